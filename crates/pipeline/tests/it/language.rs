//! What the language accepts, beyond the flights pipeline.

use std::time::Duration;

use arrow::datatypes::{DataType, TimeUnit};
use millstream_core::SortOrder;
use millstream_core::table::timestamp_type;
use millstream_pipeline::graph::{Binding, FixedWindows, OutputMode, ParseMode, ReferenceOrigin, WindowKind};
use millstream_pipeline::{SourceFile, explain, parse};

use crate::{built_in, check, checked, reference_schemas, tumbling};

const TOPIC: &str =
    "CREATE TABLE flights (event_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, carrier STRING NOT NULL, origin STRING NOT NULL,
  delay INT) USING kafka OPTIONS (subscribe 'flights', value.format 'json');
CREATE TABLE airlines (carrier STRING NOT NULL, name STRING) USING csv LOCATION 'reference/airlines.csv';
";

fn with_topic(rest: &str) -> String {
    format!("{TOPIC}{rest}")
}

#[test]
fn a_topic_has_every_simple_type() {
    let pipeline = checked(
        "CREATE TABLE t (a BOOLEAN, b TINYINT, c SMALLINT, d INT NOT NULL, e BIGINT, f FLOAT, g DOUBLE, h DECIMAL(12, 3), i STRING NOT NULL,
           j BINARY, k DATE, l TIMESTAMP, m TIMESTAMP_NTZ, `Mixed Case` STRING COMMENT 'quoted')
         USING kafka OPTIONS ('subscribe' = 'raw.events', \"value.format\" \"json\", partitions 8, retention '7 days', mode 'permissive',
           key.columns 'd, `Mixed Case`') COMMENT 'every type';
         CREATE STREAMING TABLE s USING cassandra PARTITIONED BY (d) AS SELECT * FROM STREAM t;",
    );
    let table = &pipeline.tables["t"];
    let types: Vec<_> = table.spec.schema.fields().iter().map(|f| f.data_type().clone()).collect();
    assert_eq!(
        types,
        [
            DataType::Boolean,
            DataType::Int8,
            DataType::Int16,
            DataType::Int32,
            DataType::Int64,
            DataType::Float32,
            DataType::Float64,
            DataType::Decimal128(12, 3),
            DataType::Utf8,
            DataType::Binary,
            DataType::Date32,
            timestamp_type(),
            DataType::Timestamp(TimeUnit::Microsecond, None),
            DataType::Utf8,
        ]
    );
    let Binding::Topic(topic) = &table.binding else { panic!("a topic") };
    assert_eq!((topic.name.as_str(), topic.partitions, topic.mode), ("raw.events", 8, ParseMode::Permissive));
    assert_eq!(topic.retention, Some(Duration::from_secs(7 * 86_400)));
    assert_eq!(topic.key_columns, ["d", "Mixed Case"]);
    let sink = &pipeline.tables["s"].spec;
    assert_eq!(sink.schema, table.spec.schema, "`*` is the topic's own columns, with their NOT NULL, without its metadata");
}

#[test]
fn metadata_columns_can_be_named() {
    let pipeline = checked(&with_topic(
        "CREATE STREAMING TABLE s USING cassandra PARTITIONED BY (_topic) TBLPROPERTIES ('clustering_key' = '_partition, _offset')
         AS SELECT _topic, _partition, _offset, _timestamp AS received, f.* FROM STREAM flights f;",
    ));
    let names: Vec<_> = pipeline.tables["s"].spec.schema.fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(names, ["_topic", "_partition", "_offset", "received", "event_id", "ts", "carrier", "origin", "delay"]);
}

#[test]
fn a_scan_of_a_topic_has_its_columns_and_then_the_metadata() {
    let pipeline = checked(&with_topic(
        "CREATE STREAMING TABLE s USING cassandra PARTITIONED BY (event_id) AS SELECT * , _offset FROM STREAM(flights) WHERE delay / 2 > 10;",
    ));
    let mut scans = Vec::new();
    let mut plans = vec![pipeline.flows[0].plan.clone()];
    while let Some(plan) = plans.pop() {
        if let datafusion::logical_expr::LogicalPlan::TableScan(scan) = &plan {
            scans.push(scan.source.schema().fields().iter().map(|f| f.name().clone()).collect::<Vec<_>>());
        }
        plans.extend(plan.inputs().into_iter().cloned());
    }
    let expected = ["event_id", "ts", "carrier", "origin", "delay", "_key", "_headers", "_topic", "_partition", "_offset", "_timestamp"];
    assert_eq!(scans, [expected]);
}

#[test]
fn streams_join_reference_tables() {
    let pipeline = checked(&with_topic(
        "CREATE STREAMING TABLE s USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id')
         AS SELECT f.origin, f.event_id, a.name FROM STREAM flights f LEFT JOIN airlines a ON f.carrier = a.carrier AND f.delay > 0;
         CREATE STREAMING TABLE w USING cassandra PARTITIONED BY (name) TBLPROPERTIES ('clustering_key' = 'hour DESC')
         AS SELECT a.name, window.start AS hour, window.end AS until, count(*) AS n, sum(delay) AS total
            FROM STREAM flights WATERMARK ts DELAY OF INTERVAL '90' MINUTES f JOIN airlines a USING (carrier)
            WHERE a.name IS NOT NULL GROUP BY a.name, window(f.ts, '1 day') HAVING count(*) > 1;",
    ));
    assert_eq!(pipeline.flows[0].references, ["airlines"]);
    assert_eq!(pipeline.flows[0].window, None);
    let windowed = &pipeline.flows[1];
    assert_eq!(windowed.watermark.as_ref().unwrap().delay, Duration::from_secs(5400));
    assert_eq!(windowed.window.as_ref().unwrap().kind, tumbling(86_400));
    assert_eq!(windowed.mode, OutputMode::Append);
    let types: Vec<_> = pipeline.tables["w"].spec.schema.fields().iter().map(|f| f.data_type().clone()).collect();
    assert_eq!(types, [DataType::Utf8, timestamp_type(), timestamp_type(), DataType::Int64, DataType::Int64]);
    let clustering = &pipeline.tables["w"].spec.key.clustering;
    assert_eq!((clustering[0].name.as_str(), clustering[0].order), ("hour", SortOrder::Desc));
}

#[test]
fn streams_join_materialized_views() {
    let pipeline = checked(&with_topic(
        "CREATE TEMPORARY VIEW busy AS SELECT origin, usual FROM stats WHERE flights > 10;
         CREATE STREAMING TABLE judged USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id')
         AS SELECT f.origin, f.event_id, f.delay - b.usual AS beyond, c.worst, a.name
            FROM STREAM flights f LEFT JOIN busy b ON f.origin = b.origin JOIN carriers c ON f.carrier = c.carrier
            LEFT JOIN airlines a ON f.carrier = a.carrier;
         CREATE STREAMING TABLE departures USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id')
         AS SELECT origin, event_id, carrier, delay FROM STREAM flights;
         CREATE MATERIALIZED VIEW stats USING postgresql TBLPROPERTIES ('primary_key' = 'origin', 'schedule' = '*/5 * * * *')
         AS SELECT origin, avg(delay) AS usual, count(*) AS flights FROM departures GROUP BY origin;
         CREATE MATERIALIZED VIEW carriers USING postgresql TBLPROPERTIES ('primary_key' = 'carrier')
         AS SELECT carrier, max(delay) AS worst FROM departures GROUP BY carrier;",
    ));
    assert_eq!(pipeline.flows[0].references, ["stats", "carriers", "airlines"]);
    assert_eq!(pipeline.flows[0].sources().collect::<Vec<_>>(), ["flights"]);
    let waits = "flow `judged` joins `carriers`, which has no schedule: it waits until `millstream refresh carriers` has published it once";
    assert_eq!(pipeline.warnings, [waits]);
    let text = explain::text(&pipeline, &built_in);
    assert!(text.contains("judged: stream flights with stats, carriers, airlines -> judged"), "{text}");
    let json = explain::json(&pipeline, &built_in);
    assert_eq!(json["flows"][0]["references"], serde_json::json!(["stats", "carriers", "airlines"]));
}

#[test]
fn several_flows_write_one_table_by_name() {
    let pipeline = checked(&with_topic(
        "CREATE OR REFRESH STREAMING TABLE s (origin STRING, event_id BIGINT NOT NULL, delay DOUBLE) USING cassandra
           PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id');
         CREATE FLOW early AS INSERT INTO s BY NAME SELECT delay, event_id, origin FROM STREAM flights WHERE delay < 0;
         CREATE FLOW late AS INSERT INTO s BY NAME SELECT origin, CAST(delay AS DOUBLE) AS delay, event_id FROM STREAM flights WHERE delay > 0;",
    ));
    let flows: Vec<_> = pipeline.flows.iter().map(|f| (f.id.as_str(), f.target.as_str())).collect();
    assert_eq!(flows, [("early", "s"), ("late", "s")]);
    for flow in &pipeline.flows {
        let names: Vec<_> = flow.plan.schema().fields().iter().map(|f| f.name().clone()).collect();
        assert_eq!(names, ["origin", "event_id", "delay"]);
        assert_eq!(flow.plan.schema().field(2).data_type(), &DataType::Float64);
    }
}

#[test]
fn views_and_named_subqueries_stand_for_their_query() {
    let pipeline = checked(&with_topic(
        "CREATE TEMPORARY VIEW late AS SELECT * FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 1 HOUR WHERE delay > 60;
         CREATE TEMPORARY VIEW named AS SELECT carrier, upper(name) AS name FROM airlines;
         CREATE STREAMING TABLE s USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'hour, name')
         AS WITH joined AS (SELECT l.origin, l.ts, n.name FROM STREAM late l JOIN named n ON l.carrier = n.carrier)
            SELECT origin, name, window.start AS hour, count(*) AS n FROM joined GROUP BY origin, name, window(ts, '1 hour');
         CREATE MATERIALIZED VIEW r USING postgresql TBLPROPERTIES ('primary_key' = 'origin')
         AS WITH h AS (SELECT origin, sum(n) AS n FROM s GROUP BY origin) SELECT origin, n FROM h ORDER BY n DESC LIMIT 10;
         CREATE MATERIALIZED VIEW q USING postgresql TBLPROPERTIES ('primary_key' = 'n') AS SELECT count(*) AS n FROM r;",
    ));
    assert_eq!(pipeline.flows[0].source, "flights");
    assert_eq!(pipeline.flows[0].watermark.as_ref().unwrap().column, "ts");
    assert_eq!(pipeline.flows[0].references, ["airlines"]);
    let jobs: Vec<_> = pipeline.jobs.iter().map(|j| (j.report.as_str(), j.inputs.clone())).collect();
    assert_eq!(jobs, [("r", vec!["s".to_owned()]), ("q", vec!["r".to_owned()])], "a job comes after the reports that it reads");
}

#[test]
fn statements_stand_in_any_order_and_in_several_files() {
    let files = [
        SourceFile {
            name: "flows/b.sql".to_owned(),
            text: "CREATE STREAMING TABLE s USING cassandra PARTITIONED BY (origin) AS SELECT f.origin, name FROM STREAM flights f JOIN airlines USING (carrier);"
                .to_owned(),
        },
        SourceFile { name: "tables/a.sql".to_owned(), text: TOPIC.to_owned() },
        SourceFile { name: "tables/c.sql".to_owned(), text: "CREATE TABLE abs USING parquet OPTIONS (refresh '5 minutes') LOCATION '/data/x.parquet'".to_owned() },
    ];
    let parsed = parse(&files).unwrap();
    let references = parsed.references();
    assert_eq!(references[0].0, "airlines");
    let location = |at: usize| match &references[at].1.origin {
        ReferenceOrigin::Files(files) => files.location.clone(),
        other => panic!("{other:?} is no file"),
    };
    assert_eq!(location(0), "tables/reference/airlines.csv");
    assert_eq!(references[0].2.as_ref().unwrap().fields().len(), 2, "declared columns");
    assert_eq!((location(1).as_str(), references[1].1.refresh), ("/data/x.parquet", Duration::from_secs(300)));
    assert!(references[1].2.is_none());
    let errors = parsed.check(&[("abs".to_owned(), Err("the file does not exist".to_owned()))].into()).unwrap_err();
    let error = errors.iter().next().unwrap();
    assert_eq!((errors.len(), error.file(), error.code()), (1, "tables/c.sql", "millstream::reference_unreadable"));
}

#[test]
fn every_mistake_is_reported_not_only_the_first() {
    let errors = check(&with_topic(
        "CREATE STREAMING TABLE a USING cassandra PARTITIONED BY (origin) AS SELECT orign FROM STREAM flights;
         CREATE STREAMING TABLE b USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('tttl' = '1 day') AS SELECT uper(origin) AS origin FROM STREAM flights;
         CREATE STREAMING TABLE c USING cassandra PARTITIONED BY (origin) AS SELECT origin FROM STREAM a;",
    ))
    .unwrap_err();
    let found: Vec<_> = errors.iter().map(|e| (e.code(), e.line())).collect();
    assert_eq!(
        found,
        [("millstream::unknown_column", 4), ("millstream::unknown_option", 5), ("millstream::unknown_function", 5)],
        "and `c`, which reads the wrong `a`, is passed over"
    );
    assert!(reference_schemas().contains_key("airlines"));
}

#[test]
fn a_redis_table_can_be_fed_from_a_topic_or_an_aggregate() {
    let pipeline = checked(&with_topic(
        "CREATE STREAMING TABLE latest USING redis TBLPROPERTIES ('key' = 'carrier') AS SELECT carrier, origin, delay FROM STREAM flights;
         CREATE STREAMING TABLE hot USING redis TBLPROPERTIES ('key' = 'origin, hour', 'ttl' = '2 hours', 'output_mode' = 'update')
         AS SELECT origin, window.start AS hour, count(*) AS n FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 1 HOUR
            GROUP BY origin, window(ts, '1 hour');",
    ));
    for name in ["latest", "hot"] {
        let Binding::Critical(critical) = &pipeline.tables[name].binding else { panic!("{name} is a redis table") };
        assert_eq!(critical.base, None, "{name}");
    }
    assert_eq!(pipeline.tables["hot"].spec.ttl, Some(Duration::from_secs(7200)));
}

#[test]
fn the_expressions_of_an_aggregate_have_no_aliases() {
    let pipeline = checked(&with_topic(
        "CREATE STREAMING TABLE s USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'hour')
         AS SELECT origin, window.start AS hour, sum(delay + 1) AS a, sum(if(delay > 0, 1, 0)) AS b, count(*) AS c
            FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 1 HOUR GROUP BY origin, window(ts, '1 hour');",
    ));
    let plan = pipeline.flows[0].plan.display_indent().to_string();
    let aggregate = plan.lines().find(|line| line.contains("Aggregate:")).unwrap();
    assert!(!aggregate.replace("CAST(", "").contains(" AS sum"), "{plan}");
}

#[test]
fn a_view_does_not_hide_a_volatile_function() {
    let errors = check(&with_topic(
        "CREATE TEMPORARY VIEW v AS SELECT carrier, now() AS at FROM airlines;
         CREATE STREAMING TABLE s USING cassandra PARTITIONED BY (origin) AS SELECT f.origin, v.at FROM STREAM flights f JOIN v USING (carrier);",
    ))
    .unwrap_err();
    assert_eq!(errors.iter().map(|e| e.code()).collect::<Vec<_>>(), ["millstream::volatile_function"]);
}

#[test]
fn the_unix_timestamp_of_a_value_is_that_of_the_event() {
    let flow = |time: &str| {
        check(&with_topic(&format!(
            "CREATE STREAMING TABLE s USING cassandra PARTITIONED BY (origin) AS SELECT origin, unix_timestamp({time}) AS seconds FROM STREAM flights;"
        )))
    };
    assert!(flow("ts").is_ok() && flow("'2024-02-29', 'yyyy-MM-dd'").is_ok());
    assert_eq!(flow("").unwrap_err().iter().map(|e| e.code()).collect::<Vec<_>>(), ["millstream::volatile_function"]);
}

#[test]
fn the_fingerprint_of_a_flow_changes_with_what_it_computes_alone() {
    let text = |delay: &str, more: &str| {
        with_topic(&format!(
            "CREATE STREAMING TABLE s USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'hour')
             AS SELECT origin, window.start AS hour, count(*) AS n FROM STREAM flights WATERMARK ts DELAY OF INTERVAL {delay}
                GROUP BY origin, window(ts, '1 hour');{more}"
        ))
    };
    let fingerprint = |text: &str| checked(text).flows[0].fingerprint.clone();
    let before = fingerprint(&text("1 HOUR", ""));
    assert_eq!(before, fingerprint(&text("60 MINUTES", "\n-- a comment")), "the same, written otherwise");
    assert_ne!(before, fingerprint(&text("2 HOURS", "")));
    assert_ne!(before, fingerprint(&text("1 HOUR", "").replace("'1 hour'", "'2 hours'")));
}

#[test]
fn windows_may_overlap_and_begin_anywhere() {
    let kind = |window: &str| {
        let pipeline = checked(&with_topic(&format!(
            "CREATE STREAMING TABLE s USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'hour')
             AS SELECT origin, window.start AS hour, count(*) AS n FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 1 HOUR
                GROUP BY origin, {window};"
        )));
        pipeline.flows[0].window.as_ref().unwrap().kind
    };
    let fixed = |size, slide, start_us| {
        WindowKind::Fixed(FixedWindows { size: Duration::from_secs(size), slide: Duration::from_secs(slide), start_us })
    };
    assert_eq!(kind("window(ts, '1 hour', '15 minutes')"), fixed(3_600, 900, 0));
    assert_eq!(kind("window(ts, '1 hour', '15 minutes', '-5 minutes')"), fixed(3_600, 900, -300_000_000));
    assert_eq!(kind("window(ts, '1 day', '1 day', '6 hours')"), fixed(86_400, 86_400, 21_600_000_000));
    assert_eq!(kind("window(ts, '1 hour', '60 minutes', '0 seconds')"), tumbling(3_600));
    assert_eq!(kind("window(ts, 3600000000)"), tumbling(3_600), "a number is of microseconds, as in Spark");
}

#[test]
fn windows_stand_over_the_results_of_windows() {
    let pipeline = checked(&with_topic(
        "CREATE STREAMING TABLE a USING cassandra PARTITIONED BY (day)
         AS SELECT window(window_time(window), '1 day').start AS day, max(n) AS most
            FROM (SELECT origin, window, count(*) AS n FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 1 HOUR
                  GROUP BY origin, window(ts, '1 hour', '10 minutes'))
            GROUP BY window(window_time(window), '1 day');
         CREATE STREAMING TABLE b USING cassandra PARTITIONED BY (hour)
         AS WITH sessions AS (SELECT origin, session_window AS s, count(*) AS n FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 1 HOUR
                              GROUP BY origin, session_window(ts, '10 minutes')),
                 hours AS (SELECT origin, window, sum(n) AS n FROM sessions GROUP BY origin, window(s, '1 hour'))
            SELECT window.start AS hour, count(*) AS origins FROM hours WHERE n > 1 GROUP BY window;",
    ));
    let kinds = |at: usize| {
        let flow = &pipeline.flows[at];
        flow.inner_windows.iter().chain(&flow.window).map(|w| w.kind).collect::<Vec<_>>()
    };
    let sliding = FixedWindows { size: Duration::from_secs(3_600), slide: Duration::from_secs(600), start_us: 0 };
    assert_eq!(kinds(0), [WindowKind::Fixed(sliding), tumbling(86_400)]);
    let sessions = WindowKind::Session { gap: Some(Duration::from_secs(600)) };
    assert_eq!(kinds(1), [sessions, tumbling(3_600), WindowKind::Same]);
}

#[test]
fn a_filter_on_a_window_that_overlaps_stays_above_its_aggregate() {
    let pipeline = checked(&with_topic(
        "CREATE STREAMING TABLE s USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'hour')
         AS SELECT origin, window.start AS hour, count(*) AS n FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 1 HOUR
            GROUP BY origin, window(ts, '1 hour', '10 minutes') HAVING window.start > TIMESTAMP '2024-01-01 00:00:00';",
    ));
    let plan = pipeline.flows[0].plan.display_indent().to_string();
    let (filter, aggregate) = (plan.find("Filter:").unwrap(), plan.find("Aggregate:").unwrap());
    assert!(filter < aggregate, "{plan}");
}
