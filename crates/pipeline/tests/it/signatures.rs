//! What a flow's signature calls different, and what not.

use millstream_pipeline::signature::{Change, Scope};

use crate::checked;

const TOPIC: &str = "
CREATE TABLE readings (id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, meter STRING NOT NULL, value INT, note STRING)
USING kafka OPTIONS (subscribe 'readings', value.format 'json');
";

const HOURLY: &str = "
CREATE STREAMING TABLE hourly USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'hour')
AS SELECT meter, window.start AS hour, count(*) AS n, sum(value) AS total
   FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 1 HOUR WHERE value > 0 AND meter <> 'x'
   GROUP BY meter, window(ts, '1 hour') HAVING count(*) > 1;
";

const PLAIN: &str = "
CREATE STREAMING TABLE plain USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'id')
AS SELECT meter, id, value + 1 AS more FROM STREAM readings WHERE value > 0;
";

/// What is different when `from` stands as `to` in `flow`, or in the topic.
fn changes(flow: &str, from: &str, to: &str) -> Vec<Change> {
    let before = format!("{TOPIC}{flow}");
    assert!(before.contains(from), "{from}");
    let (before, now) = (checked(&before), checked(&before.replacen(from, to, 1)));
    before.flows[0].signature.changes(&now.flows[0].signature)
}

fn parts(flow: &str, from: &str, to: &str) -> Vec<String> {
    changes(flow, from, to).into_iter().map(|c| format!("{:?} {}", c.scope, c.part).to_lowercase()).collect()
}

#[test]
fn what_makes_no_difference_changes_nothing() {
    for (from, to) in [
        ("value > 0 AND meter <> 'x'", "meter <> 'x' AND value > 0"),
        ("1 HOUR", "60 MINUTES"),
        ("'1 hour'", "'60 minutes'"),
        ("count(*) AS n, sum(value) AS total", "count(*) AS n, sum(value) AS total -- a comment"),
        ("INTERVAL 1 HOUR WHERE", "INTERVAL 1 HOUR r WHERE"),
        (", note STRING)", ", note STRING, other INT)"),
        (", value INT", ", value INT NOT NULL"),
    ] {
        assert_eq!(parts(HOURLY, from, to), [""; 0], "{from} -> {to}");
    }
}

#[test]
fn a_column_by_another_name_in_between_changes_nothing() {
    let nested = PLAIN.replace("FROM STREAM readings WHERE", "FROM (SELECT id, meter, value FROM STREAM readings) WHERE");
    let renamed = nested.replace("SELECT id, meter, value FROM", "SELECT id, value AS v, meter FROM").replace("value + 1", "v + 1");
    let renamed = renamed.replace("WHERE value", "WHERE v");
    let signature = |flow: &str| checked(&format!("{TOPIC}{flow}")).flows[0].signature.clone();
    assert_eq!(signature(PLAIN), signature(&nested));
    assert_eq!(signature(PLAIN), signature(&renamed));
}

#[test]
fn what_the_state_was_made_of_is_named() {
    for (from, to, expected) in [
        ("value > 0", "value > 1", vec!["state filter"]),
        ("'1 hour'", "'2 hours'", vec!["state window"]),
        ("1 HOUR", "2 HOURS", vec!["state watermark"]),
        ("sum(value) AS total", "sum(value + 1) AS total", vec!["state aggregate 2", "result column total"]),
        ("sum(value) AS total", "sum(DISTINCT value) AS total", vec!["state aggregate 2", "result column total"]),
        ("USING kafka", "USING kafka ", vec![]),
        ("value.format 'json'", "value.format 'json', mode 'permissive'", vec!["state source"]),
        ("'clustering_key' = 'hour'", "'clustering_key' = 'hour', 'output_mode' = 'update'", vec!["state output mode"]),
        ("'clustering_key' = 'hour'", "'clustering_key' = 'hour DESC'", vec!["state table"]),
        ("value INT", "value BIGINT", vec!["state aggregate 2", "state columns read"]),
    ] {
        let found = parts(HOURLY, from, to);
        assert!(expected.iter().all(|part| found.contains(&(*part).to_owned())), "{from} -> {to}: {found:?}");
        assert_eq!(expected.is_empty(), found.is_empty(), "{from} -> {to}: {found:?}");
    }
    let change = &changes(HOURLY, "value > 0", "value > 1")[0];
    assert_eq!(
        change.to_string(),
        "filter was (readings.meter != 'x') AND (readings.value > 0), and is (readings.meter != 'x') AND (readings.value > 1)"
    );
}

#[test]
fn a_cast_is_told_by_its_type() {
    let flow = HOURLY.replace("value > 0", "CAST(note AS DECIMAL(9, 2)) > 0");
    assert_eq!(parts(&flow, "DECIMAL(9, 2)", "DECIMAL(9, 4)"), ["state filter"]);
}

#[test]
fn what_follows_the_state_is_told_apart() {
    assert_eq!(parts(HOURLY, "HAVING count(*) > 1", "HAVING count(*) > 2"), ["result having"]);
    assert_eq!(parts(HOURLY, "HAVING count(*) > 1", ""), ["result having"]);
    assert_eq!(parts(HOURLY, "count(*) AS n", "count(*) * 2 AS n"), ["result column n"]);
    // It may be applied to rows before they are aggregated.
    assert_eq!(parts(HOURLY, "HAVING count(*) > 1", "HAVING count(*) > 1 AND meter <> 'y'"), ["state filter"]);
}

#[test]
fn a_flow_without_state_keeps_only_its_place_and_its_table() {
    assert_eq!(parts(PLAIN, "value > 0", "value > 1"), ["result filter"]);
    assert_eq!(parts(PLAIN, "value + 1", "value + 2"), ["result column more"]);
    assert!(changes(PLAIN, "value + 1 AS more", "value + 1 AS less").iter().any(|c| c.part == "table" && c.scope == Scope::State));
}

#[test]
fn windows_over_windows_are_told_apart() {
    let flow = "
        CREATE STREAMING TABLE busiest USING cassandra PARTITIONED BY (hour)
        AS SELECT window(window_time(w), '1 hour').start AS hour, max(n) AS most
           FROM (SELECT meter, window AS w, count(*) AS n
                 FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 5 MINUTES GROUP BY meter, window(ts, '15 minutes') HAVING count(*) > 2)
           GROUP BY window(window_time(w), '1 hour');";
    assert_eq!(parts(flow, "count(*) > 2", "count(*) > 3"), ["state filter of aggregation 2"]);
    let found = parts(flow, "'15 minutes'", "'30 minutes'");
    assert!(found.contains(&"state window of aggregation 1".to_owned()), "{found:?}");
}

#[test]
fn joined_reference_data_is_part_of_it() {
    let flow = "
        CREATE STREAMING TABLE named USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'id')
        AS SELECT r.meter, r.id, a.name FROM STREAM readings r LEFT JOIN airlines a ON r.meter = a.carrier;";
    let topic = format!("CREATE TABLE airlines USING parquet LOCATION 'airlines.parquet';{flow}");
    assert_eq!(parts(&topic, "LEFT JOIN", "JOIN"), ["result join 1"]);
    assert_eq!(parts(&topic, "r.meter = a.carrier", "r.meter = upper(a.carrier)"), ["result join 1"]);
    assert_eq!(parts(&topic, "LEFT JOIN airlines a", "LEFT JOIN (SELECT * FROM airlines WHERE name <> 'x') a"), ["result join 1"]);
}

/// It is checked row by row, which is nothing of the state.
#[test]
fn a_frequency_is_told_as_it_was_written() {
    let flow = HOURLY.replace("sum(value) AS total", "percentile(value, 0.5, id) AS middle");
    let change = changes(&flow, "0.5, id)", "0.5, id + 1)");
    let aggregate = change.iter().find(|c| c.part == "aggregate 2").unwrap();
    let was = aggregate.was.as_ref().unwrap();
    assert!(was.starts_with("percentile(readings.value, ") && was.contains(", readings.id), kept as"), "{was}");
}

#[test]
fn bytes_are_told_to_the_last_one() {
    let flow = HOURLY.replace("meter <> 'x'", "CAST(meter AS BINARY) <> X'000102030405060708090A0B'");
    assert_eq!(parts(&flow, "0A0B'", "0A0C'"), ["state filter"]);
}

#[test]
fn how_values_are_read_decides_the_state_or_else_what_is_written_from_now_on() {
    let json = "value.format 'json'";
    for (to, what) in [
        ("value.format 'json', timestampFormat 'yyyy-MM-dd HH:mm'", "timestampFormat 'yyyy-MM-dd HH:mm'"),
        ("value.format 'csv', sep ';', nullValue '-'", "sep ';', nullValue '-'"),
    ] {
        let found = changes(HOURLY, json, to);
        let format = found.iter().find(|c| c.part == "format").unwrap();
        assert_eq!((format.scope, format.is.as_deref()), (Scope::State, Some(what)));
        let found = changes(PLAIN, json, to);
        assert_eq!(found.iter().find(|c| c.part == "format").unwrap().scope, Scope::Result);
    }
    assert_eq!(parts(HOURLY, json, "value.format 'json', dateFormat 'dd.MM.yyyy'"), ["state format"]);
}

#[test]
fn a_query_within_the_query_of_reference_data_is_a_part_of_it() {
    let flow = "
        CREATE TABLE places (meter STRING, area INT) USING parquet LOCATION 'places.parquet';
        CREATE TABLE areas (area INT, open BOOLEAN) USING parquet LOCATION 'areas.parquet';
        CREATE STREAMING TABLE plain USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'id')
        AS SELECT r.meter, r.id, p.area FROM STREAM readings r
           JOIN (SELECT * FROM places WHERE area IN (SELECT area FROM areas WHERE open)) p ON r.meter = p.meter;";
    assert_eq!(parts(flow, "WHERE open)", "WHERE NOT open)"), ["result join 1"]);
}
