//! Tables that no query of the pipeline makes: topics, existing event-store tables and (in [`references`]) reference data; and what all
//! tables have: columns, keys and their types.

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{Field, Schema, SchemaRef};
use millstream_core::decode::RecordDecoder;
use millstream_core::key::can_be_key;
use millstream_core::{KeySpec, TableKind, TableSpec};

use super::formats;
use super::references;
use super::settings::Settings;
use super::targets::{Target, event_store_key};
use crate::diagnostic::{Place, Problem};
use crate::graph::{Binding, OutputMode, TOPIC_METADATA, Table, Topic};
use crate::parsed::Parsed;
use crate::suggest;
use crate::syntax::statement::{Column, Head, Name};

const DEFAULT_PARTITIONS: i32 = 4;
const MAX_PARTITIONS: i32 = 1024;

const HOLDERS_HELP: &str = "write USING kafka for a topic, cassandra for an event-store table that other services write, or parquet, csv, json, \
                            postgresql or mysql for reference data";

/// The schema of declared columns.
pub(super) fn schema(columns: &[Column]) -> SchemaRef {
    let fields: Vec<_> = columns.iter().map(|c| Field::new(&c.name.value, c.data_type.clone(), c.nullable)).collect();
    Arc::new(Schema::new(fields))
}

/// Checks `CREATE TABLE`. `fetched` is the schema that the caller read, for reference data without declared columns.
pub(super) fn table(parsed: &Parsed, file: usize, head: &Head, fetched: Option<&Result<SchemaRef, String>>) -> Result<Table, Vec<Problem>> {
    let Some(using) = &head.using else {
        return Err(vec![
            Problem::new("millstream::missing_option", head.name.place, format!("table `{}` does not say who holds it", head.name.value))
                .help(HOLDERS_HELP),
        ]);
    };
    if using.value == "cassandra" {
        return existing(parsed, head, using);
    }
    if let Some(partitioned) = &head.partitioned_by {
        let message = "PARTITIONED BY is for event-store tables";
        return Err(vec![Problem::new("millstream::misplaced_clause", partitioned.place, message).help("take it out")]);
    }
    match using.value.as_str() {
        "kafka" => topic(parsed, file, head),
        format if references::FORMATS.contains(&format) => references::reference_table(parsed, file, head, fetched),
        _ => Err(vec![unsupported_table(using, head)]),
    }
}

fn unsupported_table(using: &Name, head: &Head) -> Problem {
    let name = &head.name.value;
    let unsupported =
        |what: &str, help: &str| Problem::new("millstream::not_supported", using.place, what.to_owned()).help(help.to_owned());
    match using.value.as_str() {
        "jdbc" => unsupported(
            "a pipeline names the database, not the driver",
            "write USING postgresql or USING mysql, with OPTIONS (dbtable 'table'); where it is, says millstream.toml",
        ),
        "redis" => unsupported(
            "a redis table is made by a flow",
            &format!("write CREATE STREAMING TABLE {name} USING redis TBLPROPERTIES ('key' = '...') AS SELECT ..."),
        ),
        "avro" | "orc" | "delta" | "iceberg" | "text" | "xml" => {
            unsupported(&format!("reference data as {} is not supported yet", using.value), "write USING parquet, csv or json")
        }
        other => {
            let known = ["kafka", "cassandra"].into_iter().chain(references::FORMATS);
            let problem =
                Problem::new("millstream::unknown_format", using.place, format!("there is nothing called `{other}` to hold a table"));
            problem.help(suggest::did_you_mean(other, known, HOLDERS_HELP))
        }
    }
}

/// An event-store table that other services write.
fn existing(parsed: &Parsed, head: &Head, using: &Name) -> Result<Table, Vec<Problem>> {
    let name = &head.name;
    let mut settings = Settings::new(head);
    if let Some(location) = &head.location {
        let problem = Problem::new("millstream::misplaced_clause", location.place, "an event-store table has no LOCATION");
        settings.problem(problem.help("take it out: where the event store is, says millstream.toml"));
    }
    if !parsed.surroundings.abilities.existing_tables {
        let message = format!("the built-in event store has no tables of other services, but `{}` is one", name.value);
        settings.problem(Problem::new("millstream::not_able", using.place, message).help(format!(
            "configure [cassandra] in millstream.toml; or let a flow write it: CREATE STREAMING TABLE {} USING cassandra ... AS SELECT ...",
            name.value
        )));
    }
    let columns = head.columns.as_deref().unwrap_or_default();
    if columns.is_empty() {
        let message = format!("event-store table `{}` declares no columns", name.value);
        settings.problem(Problem::new("millstream::missing_columns", name.place, message).help(format!(
            "write those that you read, and the key: CREATE TABLE {} (column TYPE NOT NULL, ...) USING cassandra PARTITIONED BY (column)",
            name.value
        )));
    }
    let (key, key_place) = event_store_key(head, &mut settings);
    finish(settings)?;
    let schema = schema(columns);
    let mode_place = name.place;
    let kind = TableKind::EventStore;
    let target = Target { kind, key, key_place, ttl: None, mode: OutputMode::Append, mode_place, schedule: None, topic: None };
    let problems = key_problems(head, &target, &schema);
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Table { spec: Arc::new(spec(name, kind, schema, target.key, None)), binding: Binding::ExistingTable })
}

fn topic(parsed: &Parsed, file: usize, head: &Head) -> Result<Table, Vec<Problem>> {
    let name = &head.name;
    let mut settings = Settings::new(head);
    if let Some(location) = &head.location {
        let problem = Problem::new("millstream::misplaced_clause", location.place, "a topic has no LOCATION");
        settings.problem(problem.help("write OPTIONS (subscribe 'topic'); where the broker is, says millstream.toml"));
    }
    let columns = head.columns.as_deref().unwrap_or_default();
    if columns.is_empty() {
        let problem = Problem::new("millstream::missing_columns", name.place, format!("topic `{}` declares no columns", name.value));
        settings
            .problem(problem.help(format!("write CREATE TABLE {} (event_id BIGINT NOT NULL, ts TIMESTAMP, ...) USING kafka", name.value)));
    }
    for column in columns.iter().filter(|c| TOPIC_METADATA.contains(&c.name.value.as_str())) {
        let message = format!("every topic has a column `{}` already", column.name.value);
        settings.problem(Problem::new("millstream::duplicate_column", column.name.place, message).help("give this one another name"));
    }
    let subscribe = settings.take("subscribe").cloned();
    if let Some(subscribe) = &subscribe {
        topic_name(subscribe, "subscribe", &mut settings);
    } else if let Some(topic) = settings.take("topic") {
        let problem = Problem::new("millstream::unknown_option", topic.place, "'topic' is the topic that a flow writes");
        settings.problem(problem.help(format!("write OPTIONS (subscribe '{}')", topic.value)));
    } else {
        settings.problem(missing(name, "subscribe", "which topic it is", "OPTIONS (subscribe 'topic', value.format 'json')"));
    }
    let values = formats::values(parsed, file, head, &mut settings);
    let partitions = partitions(&mut settings);
    let retention = settings.duration("retention", "7 days");
    let key_columns = settings.columns("key.columns");
    if let Some(keys) = &key_columns {
        for column in keys.value.iter().filter(|k| !columns.iter().any(|c| c.name.value == **k)) {
            settings.problem(unknown_key_column(column, keys.place, "declare it", columns.iter().map(|c| c.name.value.as_str())));
        }
    }
    finish(settings)?;
    let topic = Topic {
        name: subscribe.map(|s| s.value).unwrap_or_default(),
        partitions,
        retention,
        mode: values.mode,
        key_columns: key_columns.map(|k| k.value).unwrap_or_default(),
        format: values.format,
        corrupt_record: values.corrupt_record,
        output: None,
    };
    // What is left is how the values fit the columns: only the reader knows.
    if let Err(error) = RecordDecoder::new(schema(columns), &topic.reading()) {
        let problem = Problem::new("millstream::unsupported_type", name.place, format!("topic `{}`: {}", name.value, error.message()));
        return Err(vec![problem.help("declare columns that its values can become")]);
    }
    Ok(Table { spec: Arc::new(spec(name, TableKind::Topic, schema(columns), KeySpec::default(), None)), binding: Binding::Topic(topic) })
}

pub(super) fn missing(table: &Name, key: &str, what: &str, help: &str) -> Problem {
    Problem::new("millstream::missing_option", table.place, format!("`{}` does not say {what}: '{key}' is missing", table.value))
        .help(format!("write {help}"))
}

/// Kafka's rule: up to 249 letters, digits, dots, underscores and hyphens.
pub(super) fn topic_name(name: &Name, key: &str, settings: &mut Settings) {
    let text = &name.value;
    let legal = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if text.contains(',') {
        settings.bad(name, key, "several topics in one table are not supported yet", "topic");
    } else if text.is_empty() || text.len() > 249 || !legal || text == "." || text == ".." {
        settings.bad(name, key, "a topic's name has 1 to 249 letters, digits, dots, underscores and hyphens", "topic");
    }
}

pub(super) fn partitions(settings: &mut Settings) -> i32 {
    let Some(written) = settings.take("partitions") else { return DEFAULT_PARTITIONS };
    match written.value.parse::<i32>() {
        Ok(partitions) if (1..=MAX_PARTITIONS).contains(&partitions) => partitions,
        _ => {
            settings.bad(written, "partitions", &format!("it is not a number from 1 to {MAX_PARTITIONS}"), "4");
            DEFAULT_PARTITIONS
        }
    }
}

/// Checks that the key of a table consists of its columns, of types that can be keys.
pub(super) fn key_problems(head: &Head, target: &Target, schema: &SchemaRef) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    for column in target.key.columns() {
        let place = key_place(head, target, column);
        match schema.field_with_name(column) {
            Err(_) => problems.push(unknown_key_column(column, place, "select it", schema.fields().iter().map(|f| f.name().as_str()))),
            Ok(field) if !can_be_key(field.data_type()) => problems.push(
                Problem::new(
                    "millstream::bad_key_type",
                    place,
                    format!("column `{column}` has type {} and can't be part of a key", sql_type(field.data_type())),
                )
                .help("a key consists of integers, strings, booleans, dates, timestamps or binary; cast it, or take another column"),
            ),
            Ok(_) if seen.contains(&column) => problems.push(
                Problem::new("millstream::duplicate_key_column", place, format!("column `{column}` is twice in the key"))
                    .help("name it once"),
            ),
            Ok(_) => {}
        }
        seen.push(column);
    }
    problems
}

fn key_place(head: &Head, target: &Target, column: &str) -> Place {
    let partition = head.partitioned_by.as_ref().and_then(|p| p.value.iter().find(|c| c.value == column)).map(|c| c.place);
    let clustering = head.properties.iter().find(|p| p.key.value.eq_ignore_ascii_case("clustering_key")).map(|p| p.value.place);
    partition.or(clustering).unwrap_or(target.key_place)
}

fn unknown_key_column<'a>(column: &str, place: Place, remedy: &str, columns: impl Iterator<Item = &'a str> + Clone) -> Problem {
    let listed = format!("the columns are {}", suggest::list(columns.clone()));
    Problem::new("millstream::unknown_key_column", place, format!("key column `{column}` is not one of the table's columns"))
        .help(suggest::did_you_mean(column, columns, &format!("{remedy}; {listed}")))
}

/// The spec of a table.
pub(super) fn spec(name: &Name, kind: TableKind, schema: SchemaRef, key: KeySpec, ttl: Option<Duration>) -> TableSpec {
    TableSpec { name: name.value.clone(), kind, schema, key, ttl }
}

pub(super) fn finish(settings: Settings) -> Result<(), Vec<Problem>> {
    let problems = settings.finish();
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// How the language writes a type.
#[must_use]
pub fn sql_type(data_type: &arrow::datatypes::DataType) -> String {
    use arrow::datatypes::DataType;
    match data_type {
        DataType::Boolean => "BOOLEAN".to_owned(),
        DataType::Int8 => "TINYINT".to_owned(),
        DataType::Int16 => "SMALLINT".to_owned(),
        DataType::Int32 => "INT".to_owned(),
        DataType::Int64 => "BIGINT".to_owned(),
        DataType::Float32 => "FLOAT".to_owned(),
        DataType::Float64 => "DOUBLE".to_owned(),
        DataType::Decimal128(p, s) => format!("DECIMAL({p}, {s})"),
        DataType::Utf8 => "STRING".to_owned(),
        DataType::Binary => "BINARY".to_owned(),
        DataType::Date32 => "DATE".to_owned(),
        DataType::Timestamp(_, Some(_)) => "TIMESTAMP".to_owned(),
        DataType::Timestamp(_, None) => "TIMESTAMP_NTZ".to_owned(),
        DataType::Struct(fields) => {
            let not_null = |f: &Field| if f.is_nullable() { "" } else { " NOT NULL" };
            let members: Vec<_> = fields.iter().map(|f| format!("{}: {}{}", f.name(), sql_type(f.data_type()), not_null(f))).collect();
            format!("STRUCT<{}>", members.join(", "))
        }
        DataType::List(item) | DataType::LargeList(item) | DataType::ListView(item) => format!("ARRAY<{}>", sql_type(item.data_type())),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) => {
                let parts: Vec<_> = pair.iter().map(|f| sql_type(f.data_type())).collect();
                format!("MAP<{}>", parts.join(", "))
            }
            _ => "MAP".to_owned(),
        },
        DataType::Interval(_) | DataType::Duration(_) => "INTERVAL".to_owned(),
        DataType::Null => "VOID".to_owned(),
        other => other.to_string(),
    }
}
