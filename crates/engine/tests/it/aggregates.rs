//! Every aggregate function in a window, through epochs of one row and a death between any two: results as Apache Spark 4.1.1 gives them.

use millstream_core::ErrorKind;
use millstream_testkit::faults::Call;

use crate::world::{World, checked, rows};

/// Expression, type, and its value for the groups `a` (four rows, one of nulls), `b` (one row) and `c` (a row of nulls), as `SELECT
/// expression ... GROUP BY k` gives in Spark; `?` where the value depends on the order of rows.
const CASES: &[(&str, &str, [&str; 3])] = &[
    ("count(*)", "BIGINT", ["4", "1", "1"]),
    ("count(x)", "BIGINT", ["3", "1", "0"]),
    ("count(DISTINCT x)", "BIGINT", ["2", "1", "0"]),
    ("count(x, d)", "BIGINT", ["3", "1", "0"]),
    ("count_if(b)", "BIGINT", ["2", "0", "0"]),
    ("count_if(x > 1) FILTER (WHERE d > 0)", "BIGINT", ["1", "1", "0"]),
    ("count(x) FILTER (WHERE x > 1)", "BIGINT", ["2", "1", "0"]),
    ("count(DISTINCT s) FILTER (WHERE x > 1)", "BIGINT", ["2", "1", "0"]),
    ("approx_count_distinct(x)", "BIGINT", ["2", "1", "0"]),
    ("approx_count_distinct(s)", "BIGINT", ["2", "1", "0"]),
    ("sum(x)", "BIGINT", ["7", "7", ""]),
    ("sum(CAST(x AS TINYINT))", "BIGINT", ["7", "7", ""]),
    ("sum(DISTINCT x)", "BIGINT", ["4", "7", ""]),
    ("sum(x) FILTER (WHERE x > 100)", "BIGINT", ["", "", ""]),
    ("sum(x) FILTER (WHERE x > 3)", "BIGINT", ["", "7", ""]),
    ("sum(d)", "DOUBLE", ["3.0", "0.5", ""]),
    ("sum(m)", "DECIMAL(20, 2)", ["6.60", "9.00", ""]),
    ("sum(DISTINCT m)", "DECIMAL(20, 2)", ["6.60", "9.00", ""]),
    ("try_sum(x)", "BIGINT", ["7", "7", ""]),
    ("try_sum(m)", "DECIMAL(20, 2)", ["6.60", "9.00", ""]),
    ("avg(x)", "DOUBLE", ["2.3333333333333335", "7.0", ""]),
    ("avg(x) FILTER (WHERE x > 1)", "DOUBLE", ["3.0", "7.0", ""]),
    ("avg(m) FILTER (WHERE m < 3)", "DECIMAL(14, 6)", ["1.650000", "", ""]),
    ("avg(DISTINCT x)", "DOUBLE", ["2.0", "7.0", ""]),
    ("avg(m)", "DECIMAL(14, 6)", ["2.200000", "9.000000", ""]),
    ("try_avg(x)", "DOUBLE", ["2.3333333333333335", "7.0", ""]),
    ("mean(d)", "DOUBLE", ["1.0", "0.5", ""]),
    ("min(x)", "INT", ["1", "7", ""]),
    ("max(s)", "STRING", ["y", "z", ""]),
    ("min(b)", "BOOLEAN", ["false", "", ""]),
    ("max(m)", "DECIMAL(10, 2)", ["3.30", "9.00", ""]),
    ("first(x)", "INT", ["1", "7", ""]),
    ("first(d, true)", "DOUBLE", ["1.5", "0.5", ""]),
    ("first_value(s)", "STRING", ["x", "z", ""]),
    ("last(x)", "INT", ["3", "7", ""]),
    ("last(s, true)", "STRING", ["x", "z", ""]),
    ("any_value(x)", "INT", ["1", "7", ""]),
    ("max_by(s, x)", "STRING", ["x", "z", ""]),
    ("min_by(s, x)", "STRING", ["x", "z", ""]),
    ("max_by(x, s)", "INT", ["3", "7", ""]),
    ("max_by(x, d) FILTER (WHERE x < 5)", "INT", ["3", "", ""]),
    ("bool_and(b)", "BOOLEAN", ["false", "", ""]),
    ("every(b)", "BOOLEAN", ["false", "", ""]),
    ("bool_or(b)", "BOOLEAN", ["true", "", ""]),
    ("some(b)", "BOOLEAN", ["true", "", ""]),
    ("any(b)", "BOOLEAN", ["true", "", ""]),
    ("stddev(x)", "DOUBLE", ["1.1547005383792517", "", ""]),
    ("stddev_samp(x)", "DOUBLE", ["1.1547005383792517", "", ""]),
    ("std(d)", "DOUBLE", ["1.8027756377319946", "", ""]),
    ("stddev_pop(x)", "DOUBLE", ["0.9428090415820634", "0.0", ""]),
    ("variance(x)", "DOUBLE", ["1.3333333333333335", "", ""]),
    ("var_samp(d)", "DOUBLE", ["3.25", "", ""]),
    ("var_pop(x)", "DOUBLE", ["0.888888888888889", "0.0", ""]),
    ("corr(x, d)", "DOUBLE", ["-0.2401922307076307", "", ""]),
    ("covar_pop(x, d)", "DOUBLE", ["-0.3333333333333333", "0.0", ""]),
    ("covar_samp(x, d)", "DOUBLE", ["-0.5", "", ""]),
    ("median(x)", "DOUBLE", ["3.0", "7.0", ""]),
    ("median(d)", "DOUBLE", ["1.5", "0.5", ""]),
    ("percentile(x, 0.25)", "DOUBLE", ["2.0", "7.0", ""]),
    ("percentile(x, 0.25, 2)", "DOUBLE", ["1.5", "7.0", ""]),
    ("percentile(DISTINCT x, 0.5)", "DOUBLE", ["2.0", "7.0", ""]),
    ("percentile(m, array(0.0, 0.25, 1.0))[1]", "DOUBLE", ["1.65", "9.0", ""]),
    ("percentile_cont(0.5) WITHIN GROUP (ORDER BY x)", "DOUBLE", ["3.0", "7.0", ""]),
    ("percentile_cont(0.25) WITHIN GROUP (ORDER BY d DESC)", "DOUBLE", ["2.0", "0.5", ""]),
    ("percentile_disc(0.3) WITHIN GROUP (ORDER BY x)", "DOUBLE", ["1.0", "7.0", ""]),
    ("percentile_disc(0.3) WITHIN GROUP (ORDER BY x DESC)", "DOUBLE", ["3.0", "7.0", ""]),
    ("percentile_approx(x, 0.5)", "INT", ["3", "7", ""]),
    ("approx_percentile(m, 0.34, 100)", "DECIMAL(10, 2)", ["2.20", "9.00", ""]),
    ("percentile_approx(ts, array(0.1, 0.9))[0]", "TIMESTAMP", ["2024-01-01T00:00:00Z", "2024-01-01T00:02:00Z", "2024-01-01T00:04:00Z"]),
    ("mode(x)", "INT", ["3", "7", ""]),
    ("mode(s, true)", "STRING", ["x", "z", ""]),
    ("mode() WITHIN GROUP (ORDER BY d DESC)", "DOUBLE", ["2.5", "0.5", ""]),
    ("skewness(x)", "DOUBLE", ["-0.7071067811865478", "", ""]),
    ("kurtosis(d)", "DOUBLE", ["-1.5", "", ""]),
    ("sum(CAST(d AS INT)) + sum(d)", "DOUBLE", ["5.0", "0.5", ""]),
    ("bit_and(x)", "INT", ["1", "7", ""]),
    ("bit_or(CAST(x AS TINYINT))", "TINYINT", ["3", "7", ""]),
    ("bit_xor(x)", "INT", ["1", "7", ""]),
    ("size(collect_list(x))", "INT", ["3", "1", "0"]),
    ("size(collect_set(x))", "INT", ["2", "1", "0"]),
    ("size(array_agg(x))", "INT", ["3", "1", "0"]),
    ("string_agg(s, ',')", "STRING", ["x,y,x", "z", ""]),
    ("listagg(s, ',')", "STRING", ["x,y,x", "z", ""]),
    ("listagg(s)", "STRING", ["xyx", "z", ""]),
    ("listagg(s, '; ') WITHIN GROUP (ORDER BY s DESC)", "STRING", ["y; x; x", "z", ""]),
    ("listagg(DISTINCT s, ',') WITHIN GROUP (ORDER BY s)", "STRING", ["x,y", "z", ""]),
    ("string_agg(DISTINCT s)", "STRING", ["xy", "z", ""]),
    ("regr_count(x, d)", "BIGINT", ["3", "1", "0"]),
    ("regr_slope(x, d)", "DOUBLE", ["-0.15384615384615377", "", ""]),
    ("regr_intercept(x, d)", "DOUBLE", ["2.4871794871794872", "", ""]),
    ("regr_avgx(x, d)", "DOUBLE", ["1.0", "0.5", ""]),
    ("regr_avgy(x, d)", "DOUBLE", ["2.3333333333333335", "7.0", ""]),
    ("regr_sxx(x, d)", "DOUBLE", ["6.5", "0.0", ""]),
    ("regr_sxy(x, d)", "DOUBLE", ["-1.0", "0.0", ""]),
    ("sum(x) + count(*) * 2", "BIGINT", ["15", "9", ""]),
];

const EVENTS: &str = r#"{"ts":"2024-01-01T00:00:00Z","k":"a","x":1,"d":1.5,"m":1.10,"b":true,"s":"x"}
{"ts":"2024-01-01T00:01:00Z","k":"a"}
{"ts":"2024-01-01T00:02:00Z","k":"b","x":7,"d":0.5,"m":9,"s":"z"}
{"ts":"2024-01-01T00:03:00Z","k":"a","x":3,"d":2.5,"m":2.20,"b":false,"s":"y"}
{"ts":"2024-01-01T00:04:00Z","k":"c"}
{"ts":"2024-01-01T00:05:00Z","k":"a","x":3,"d":-1,"m":3.30,"b":true,"s":"x"}"#;

const TOPIC: &str =
    "CREATE TABLE readings (ts TIMESTAMP NOT NULL, k STRING NOT NULL, x INT, d DOUBLE, m DECIMAL(10, 2), b BOOLEAN, s STRING)
USING kafka OPTIONS (subscribe 'readings', value.format 'json', partitions '1');\n";

/// A table for each case, grouped by an expression.
fn pipeline(windows: &str) -> String {
    let tables = CASES.iter().enumerate().map(|(i, (expression, ..))| {
        format!(
            "CREATE STREAMING TABLE result{i} USING cassandra PARTITIONED BY (k) TBLPROPERTIES ('clustering_key' = 'start ASC', 'output_mode' = 'update')
             AS SELECT lower(k) AS k, window.start AS start, {expression} AS result FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 1 HOUR
                GROUP BY lower(k), {windows};\n"
        )
    });
    format!("{TOPIC}{}", tables.collect::<String>())
}

/// Whether a value of the table is Spark's: sums of floating-point numbers may differ in their last digits.
fn same(found: &str, expected: &str) -> bool {
    match (found.parse::<f64>(), expected.parse::<f64>()) {
        (Ok(a), Ok(b)) => (a - b).abs() <= 1e-12 * b.abs().max(1.0),
        _ => found == expected,
    }
}

/// Runs the events through the pipeline, one row an epoch, with deaths; and compares every window that has all events.
async fn compare(windows: &str, of_each_group: usize) {
    let mut world = World::with_epochs_of(1);
    world.pipeline = checked(&pipeline(windows));
    drop(world.engine().await);
    world.publish_values(EVENTS.lines().map(|line| (0, line.to_owned()))).await;
    for nth in 1..=6 {
        world.faults.fail(Call::Commit, nth, ErrorKind::Internal);
        world.faults.fail_after(Call::Commit, nth + 6, ErrorKind::Internal);
    }
    let engine = world.run_through_deaths().await;
    let types = millstream_pipeline::explain::json(&world.pipeline, &|_, _| String::new());
    let mut wrong = Vec::new();
    for (i, (expression, data_type, values)) in CASES.iter().enumerate() {
        let table = &world.pipeline.tables[&format!("result{i}")];
        let described = types["tables"].as_array().unwrap().iter().find(|t| t["name"] == *table.spec.name).unwrap();
        let found_type = described["columns"][2]["type"].as_str().unwrap();
        if found_type != *data_type {
            wrong.push(format!("{expression} has type {found_type}, not {data_type}"));
        }
        for (group, expected) in ["a", "b", "c"].iter().zip(values) {
            let found = rows(&engine, &format!("SELECT result FROM result{i} WHERE k = '{group}' ORDER BY start")).await;
            assert_eq!(found.len(), of_each_group, "windows of {group} for {expression}");
            wrong.extend(found.iter().filter(|f| !same(f, expected)).map(|f| format!("{expression} of {group} is {f}, not {expected}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let report = engine.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn aggregates_of_a_window_are_sparks_through_any_number_of_deaths() {
    compare("window(ts, '1 day')", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn aggregates_of_windows_that_overlap_are_sparks_too() {
    compare("window(ts, '1 day', '8 hours')", 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn having_filters_windows_by_their_results_and_an_aggregate_is_no_must() {
    let mut world = World::with_epochs_of(1);
    world.pipeline = checked(&format!(
        "{TOPIC}CREATE STREAMING TABLE many USING cassandra PARTITIONED BY (k) TBLPROPERTIES ('clustering_key' = 'start ASC')
         AS SELECT k, window.start AS start, sum(x) AS x FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 1 SECOND
            GROUP BY k, window(ts, '1 minute') HAVING sum(x) > 1 AND count(DISTINCT s) = 1;
         CREATE STREAMING TABLE seen USING cassandra PARTITIONED BY (k) TBLPROPERTIES ('clustering_key' = 'start ASC')
         AS SELECT k, window.start AS start FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 1 SECOND
            GROUP BY k, window(ts, '1 day', '1 day', '1 hour');"
    ));
    drop(world.engine().await);
    let last = r#"{"ts":"2024-01-02T12:00:00Z","k":"z"}"#;
    world.publish_values(EVENTS.lines().chain([last]).map(|line| (0, line.to_owned()))).await;
    let engine = world.run().await.unwrap();
    let many = rows(&engine, "SELECT k, start, x FROM many ORDER BY start").await;
    assert_eq!(many, ["b 2024-01-01T00:02:00Z 7", "a 2024-01-01T00:03:00Z 3", "a 2024-01-01T00:05:00Z 3"]);
    let seen = rows(&engine, "SELECT k, start FROM seen ORDER BY k").await;
    assert_eq!(seen, ["a 2023-12-31T01:00:00Z", "b 2023-12-31T01:00:00Z", "c 2023-12-31T01:00:00Z"]);
    let report = engine.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report}");
}

/// Spark's rule `NormalizeFloatingNumbers`. The sign of a NaN is one of its bits.
#[tokio::test(flavor = "multi_thread")]
async fn there_is_one_zero_and_one_nan_among_groups() {
    const SIGNED: &str = "CASE WHEN b THEN -d ELSE d END";
    let table = |name: &str, query: &str| {
        // A key can't have a DOUBLE, and a topic needs none.
        format!("CREATE STREAMING TABLE {name} USING kafka TBLPROPERTIES ('topic' = '{name}', 'value.format' = 'json') AS {query};\n")
    };
    let grouped = |window: &str| {
        let (function, _) = window.split_once('(').unwrap();
        format!(
            "SELECT k, {SIGNED} AS d, {function}.start AS start, count(*) AS n
             FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 1 SECOND GROUP BY k, {SIGNED}, {window}"
        )
    };
    let above = format!(
        "SELECT k, d, window.start AS start, count(*) AS n
         FROM (SELECT k, x, window, max({SIGNED}) AS d FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 1 SECOND GROUP BY k, x, window(ts, '1 hour'))
         GROUP BY k, d, window"
    );
    let tables = [
        ("fixed", grouped("window(ts, '1 hour')"), 1),
        ("sliding", grouped("window(ts, '1 hour', '30 minutes')"), 2),
        ("sessions", grouped("session_window(ts, '10 minutes')"), 1),
        ("above", above, 1),
    ];
    let events = r#"{"ts":"2024-01-01T00:00:00Z","k":"a","x":1,"d":-0.0}
{"ts":"2024-01-01T00:01:00Z","k":"a","x":2,"d":0.0}
{"ts":"2024-01-01T00:02:00Z","k":"a","x":3,"d":"NaN"}
{"ts":"2024-01-01T00:03:00Z","k":"a","x":4,"d":"NaN","b":true}
{"ts":"2024-01-01T00:04:00Z","k":"a","x":5,"d":0.0,"b":true}
{"ts":"2024-01-02T00:00:00Z","k":"z"}"#;
    for epoch_rows in [1, 100] {
        let mut world = World::with_epochs_of(epoch_rows);
        world.pipeline = checked(&tables.iter().fold(TOPIC.to_owned(), |text, (name, query, _)| text + &table(name, query)));
        drop(world.engine().await);
        world.publish_values(events.lines().map(|line| (0, line.to_owned()))).await;
        let engine = world.run().await.unwrap();
        for (name, _, windows) in &tables {
            let found = rows(&engine, &format!("SELECT d, n FROM {name} WHERE k = 'a' ORDER BY d, start")).await;
            let expected: Vec<&str> = ["0.0 3", "NaN 2"].into_iter().flat_map(|row| std::iter::repeat_n(row, *windows)).collect();
            assert_eq!(found, expected, "{name}, {epoch_rows} events an epoch");
        }
        let report = engine.verify(&|_| {}).await.unwrap();
        assert!(report.is_clean(), "{report}");
    }
}

/// As Spark says it, but for the row alone: its other rows are aggregated.
#[tokio::test(flavor = "multi_thread")]
async fn a_negative_frequency_makes_its_event_a_dead_letter_where_the_row_counts() {
    let query = |table: &str, filter: &str| {
        format!(
            "CREATE STREAMING TABLE {table} USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('output_mode' = 'update', 'clustering_key' = 'hour')
             AS SELECT meter, window.start AS hour, percentile(value, 0.5, often){filter} AS middle
                FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 1 HOUR GROUP BY meter, window(ts, '1 hour');"
        )
    };
    let mut world = World::new();
    world.pipeline = checked(&format!(
        "CREATE TABLE readings (id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, meter STRING NOT NULL, value INT, often INT)
         USING kafka OPTIONS (subscribe 'readings', value.format 'json', partitions '1');
         {}{}",
        query("middles", ""),
        query("likely", " FILTER (WHERE often > 0)")
    ));
    drop(world.engine().await);
    let event = |(id, (value, often)): (i32, (Option<i32>, i32))| {
        let value = value.map_or_else(|| "null".to_owned(), |value| value.to_string());
        (0, format!(r#"{{"id":{id},"ts":"2024-01-01T00:00:00Z","meter":"a","value":{value},"often":{often}}}"#))
    };
    let rows_of = [(Some(1), 1), (Some(100), -1), (Some(5), 3), (None, -7), (Some(9), 0)];
    world.publish_values((0..).zip(rows_of).map(event)).await;
    let engine = world.run().await.unwrap();
    for table in ["middles", "likely"] {
        assert_eq!(rows(&engine, &format!("SELECT middle FROM {table}")).await, ["5.0"], "{table}");
    }
    let dead = rows(&engine, "SELECT flow, \"offset\", reason FROM system.dead_letters").await;
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert!(dead[0].starts_with("middles 1 ") && dead[0].contains("the negative frequency -1"), "{dead:?}");
    let report = engine.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report}");
}

/// Cassandra refuses an empty text as a whole partition key, and takes it as a clustering column.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_may_be_an_empty_text_where_it_is_not_the_whole_partition_key() {
    let mut world = World::new();
    world.pipeline = checked(&format!(
        "{TOPIC} CREATE STREAMING TABLE counted USING cassandra PARTITIONED BY (k) TBLPROPERTIES ('output_mode' = 'update', 'clustering_key' = 's ASC, start ASC')
         AS SELECT k, s, window.start AS start, count(*) AS n FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 1 HOUR GROUP BY k, s, window(ts, '1 hour');"
    ));
    drop(world.engine().await);
    let event = |k: &str, s: &str| (0, format!(r#"{{"ts":"2024-01-01T00:00:00Z","k":"{k}","s":{s}}}"#));
    world.publish_values([event("a", r#""""#), event("", r#""x""#), event("a", "null"), event("a", r#""""#)]).await;
    let engine = world.run().await.unwrap();
    assert_eq!(rows(&engine, "SELECT k, s, n FROM counted").await, ["a  2"]);
    let dead = rows(&engine, "SELECT \"offset\", reason FROM system.dead_letters ORDER BY \"offset\"").await;
    let reason = |column: u8| format!("group column {column} is null or empty, and it is part of the table's key");
    assert_eq!(dead, [format!("1 {}", reason(1)), format!("2 {}", reason(2))]);
}
