//! Streaming tables in topics, relational tables and files: what they are in the graph.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_core::TableKind;
use millstream_core::ports::{TopicOutput, ValueFormat};
use millstream_core::style::TextStyle;
use millstream_pipeline::graph::{Binding, OutputMode, Pipeline};
use millstream_pipeline::{SourceFile, Surroundings, explain, parse};

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

// What protoc --descriptor_set_out writes of
// syntax = "proto3"; package air; enum Kind { EARLY = 0; LATE = 1; }
// message Alert { int64 id = 1; string origin = 2; optional int32 delay = 3; repeated string words = 4; Kind kind = 5; }
const DESCRIPTOR: &str = "\
    0aa2010a0b616c6572742e70726f746f120361697222690a05416c657274120a0a026964180120012803120e0a066f726967696e1802200128091212\
    0a0564656c61791803200128054800880101120d0a05776f72647318042003280912170a046b696e6418052001280e32092e6169722e4b696e644208\
    0a065f64656c61792a1b0a044b696e6412090a054541524c59100012080a044c4154451001620670726f746f33";

/// A topic of messages with these columns and properties, checked with the descriptor file at hand.
fn written_as_protobuf(columns: &str, more: &str) -> Result<Pipeline, String> {
    let text = format!(
        "{TOPIC} CREATE STREAMING TABLE alerts USING kafka TBLPROPERTIES ('topic' = 'alerts', 'value.format' = 'protobuf'{more})
         AS SELECT {columns} FROM STREAM flights;"
    );
    let parsed = parse(&[SourceFile { name: "flows/pipeline.sql".to_owned(), text }]).unwrap();
    assert!(parsed.files().iter().all(|path| path == "flows/alert.desc"));
    let bytes = (0..DESCRIPTOR.len() / 2).map(|at| u8::from_str_radix(&DESCRIPTOR[2 * at..2 * at + 2], 16).unwrap()).collect();
    let surroundings = Surroundings { files: BTreeMap::from([("flows/alert.desc".to_owned(), Ok(bytes))]), ..Surroundings::default() };
    let checked = parsed.within(surroundings).check(&BTreeMap::new());
    checked.map_err(|problems| problems.iter().map(|problem| problem.message()).collect::<Vec<_>>().join("; "))
}

#[test]
fn a_topic_of_messages_takes_columns_that_are_its_fields() {
    let file = ", 'descriptor' = 'alert.desc', 'message' = 'Alert'";
    let pipeline = written_as_protobuf("event_id AS id, origin, delay", file).unwrap();
    let Binding::Topic(topic) = &pipeline.tables["alerts"].binding else { panic!("a topic") };
    let Some(TopicOutput { format: ValueFormat::Protobuf(message), .. }) = topic.to_output() else { panic!("{topic:?}") };
    assert_eq!(message.name(), "Alert");
    assert_eq!(topic.format.name(), "protobuf");
    assert!(topic.is_exact(&pipeline.tables["alerts"].spec.schema));
    assert!(explain::text(&pipeline, &crate::built_in).contains("written as PROTOBUF, with no key"));
    let listed = written_as_protobuf("event_id AS id, CASE WHEN delay > 0 THEN array(origin) END AS words", file).unwrap();
    let Binding::Topic(topic) = &listed.tables["alerts"].binding else { panic!("a topic") };
    assert!(!topic.is_exact(&listed.tables["alerts"].spec.schema), "a list that is null is read as an empty one");
    let why = |columns: &str, more: &str| written_as_protobuf(columns, more).unwrap_err();
    assert!(why("event_id", file).contains("the message Alert has no field event_id; it has id, origin, delay, words, kind"));
    assert!(why("CAST(delay AS BIGINT) AS id", file).contains("the column id may be null"));
    assert!(why("event_id AS delay", file).contains("field delay: a BIGINT does not fit int32: write CAST(... AS INT)"));
    assert!(why("event_id AS id", "").contains("does not say in which descriptor file its message is"));
    assert!(why("event_id AS id", ", 'descriptor' = 'alert.desc', 'message' = 'Nothing'").contains("it has no message Nothing"));
}
