//! Streaming tables in topics, relational tables and files: what they are in the graph.

use std::time::Duration;

use millstream_core::TableKind;
use millstream_core::ports::{TopicOutput, ValueFormat};
use millstream_core::style::TextStyle;
use millstream_pipeline::explain;
use millstream_pipeline::graph::{Binding, OutputMode};

use crate::checked;

const TOPIC: &str = "
CREATE TABLE flights (event_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, origin STRING NOT NULL, delay INT)
USING kafka OPTIONS (subscribe 'flights', value.format 'json');
";

const HOURS: &str = "AS SELECT origin, window.start AS hour, count(*) AS n FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 1 HOUR
    GROUP BY origin, window(ts, '1 hour');";

#[test]
fn a_topic_is_written_as_its_properties_say() {
    let pipeline = checked(&format!(
        "{TOPIC} CREATE STREAMING TABLE late USING kafka
         TBLPROPERTIES ('topic' = 'late-flights', 'value.format' = 'avro', 'key' = 'origin, event_id', 'partitions' = '8', 'retention' = '7 days')
         AS SELECT origin, event_id, delay FROM STREAM flights WHERE delay > 60;"
    ));
    let table = &pipeline.tables["late"];
    let Binding::Topic(topic) = &table.binding else { panic!("a topic") };
    let expected = TopicOutput {
        topic: "late-flights".to_owned(),
        partitions: 8,
        retention: Some(Duration::from_secs(7 * 86_400)),
        format: ValueFormat::Avro,
        style: TextStyle::default(),
        key_columns: vec!["origin".to_owned(), "event_id".to_owned()],
    };
    assert_eq!(topic.to_output(), Some(expected));
    assert_eq!((table.spec.kind, table.spec.key.partition.len()), (TableKind::Topic, 2));
    let Binding::Topic(source) = &pipeline.tables["flights"].binding else { panic!("a topic") };
    assert_eq!(source.to_output(), None);
    assert!(explain::text(&pipeline, &crate::built_in).contains("written as AVRO, with the key (origin, event_id)"));
}

#[test]
fn a_json_topic_that_a_flow_writes_is_the_source_of_another_with_its_metadata() {
    let pipeline = checked(&format!(
        "{TOPIC} CREATE STREAMING TABLE late USING kafka TBLPROPERTIES ('topic' = 'late', 'value.format' = 'json')
         AS SELECT origin, event_id, ts FROM STREAM flights WHERE delay > 60;
         CREATE STREAMING TABLE copies USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'at, event_id')
         AS SELECT origin, event_id, _offset AS at FROM STREAM late;"
    ));
    assert_eq!(pipeline.flows[1].source, "late");
    assert_eq!(pipeline.warnings, Vec::<String>::new());
}

#[test]
fn upserts_by_key_are_what_a_keyed_topic_and_a_relational_table_are_for() {
    let topic = "'topic' = 'hours', 'value.format' = 'json'";
    let pipeline = checked(&format!(
        "{TOPIC} CREATE STREAMING TABLE hours USING kafka TBLPROPERTIES ({topic}, 'key' = 'origin, hour', 'output_mode' = 'update') {HOURS}
         CREATE STREAMING TABLE current USING postgresql TBLPROPERTIES ('primary_key' = 'origin, hour', 'output_mode' = 'update') {HOURS}
         CREATE STREAMING TABLE copy USING postgresql TBLPROPERTIES ('primary_key' = 'origin, hour') AS SELECT * FROM STREAM hours;"
    ));
    assert!(pipeline.flows.iter().take(2).all(|f| f.mode == OutputMode::Update));
    assert!(matches!(pipeline.tables["current"].binding, Binding::Report));
    assert_eq!(pipeline.tables["current"].spec.kind, TableKind::Report);
}

#[test]
fn appended_windows_need_no_key_and_a_topics_key_only_places_them() {
    let topic = "'topic' = 'hours', 'value.format' = 'csv'";
    let pipeline = checked(&format!(
        "{TOPIC} CREATE STREAMING TABLE files USING parquet {HOURS}
         CREATE STREAMING TABLE lines USING kafka TBLPROPERTIES ({topic}) {HOURS}
         CREATE STREAMING TABLE placed USING kafka TBLPROPERTIES ({topic}, 'key' = 'origin') {HOURS}"
    ));
    assert!(matches!(pipeline.tables["files"].binding, Binding::Lake));
    assert!(pipeline.tables["files"].spec.key.is_empty() && pipeline.tables["lines"].spec.key.is_empty());
    assert_eq!(pipeline.tables["placed"].spec.key.partition, ["origin"]);
}

#[test]
fn a_job_reads_relational_tables_and_files_that_flows_write() {
    let pipeline = checked(&format!(
        "{TOPIC} CREATE STREAMING TABLE files USING parquet AS SELECT origin, delay FROM STREAM flights;
         CREATE STREAMING TABLE current USING postgresql TBLPROPERTIES ('primary_key' = 'origin') AS SELECT origin, delay FROM STREAM flights;
         CREATE MATERIALIZED VIEW worst USING postgresql TBLPROPERTIES ('primary_key' = 'origin')
         AS SELECT f.origin, max(f.delay) AS worst FROM files f JOIN current c ON f.origin = c.origin GROUP BY f.origin;"
    ));
    assert_eq!(pipeline.jobs[0].inputs, ["files", "current"]);
}
