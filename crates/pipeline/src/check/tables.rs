//! Tables that no query of the pipeline makes: topics and reference data; and the keys and properties of those that one makes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{Field, Schema, SchemaRef};
use croner::parser::{CronParser, Seconds, Year};
use millstream_core::key::can_be_key;
use millstream_core::{ClusteringColumn, KeySpec, SortOrder, TableKind, TableSpec};

use super::settings::{Settings, column_list, looks_like_connection};
use crate::diagnostic::{Place, Problem, Sources};
use crate::graph::{Binding, OutputMode, ParseMode, Reference, ReferenceFormat, TOPIC_METADATA, Table, Topic};
use crate::suggest;
use crate::syntax::statement::{Column, Head, Name};

const DEFAULT_PARTITIONS: i32 = 4;
const MAX_PARTITIONS: i32 = 1024;
const DEFAULT_REFRESH: Duration = Duration::from_secs(60);

/// The schema of declared columns.
pub(super) fn schema(columns: &[Column]) -> SchemaRef {
    let fields: Vec<_> = columns.iter().map(|c| Field::new(&c.name.value, c.data_type.clone(), c.nullable)).collect();
    Arc::new(Schema::new(fields))
}

/// A reference table of a statement that is one and says where its data lies.
pub(crate) fn reference(sources: &Sources, file: usize, head: &Head) -> Option<(String, Reference, Option<SchemaRef>)> {
    reference_format(head.using.as_ref()?)?;
    let mut settings = Settings::new(head);
    let reference = reference_of(sources, file, head, &mut settings)?;
    Some((head.name.value.clone(), reference, head.columns.as_deref().map(schema)))
}

fn reference_format(using: &Name) -> Option<ReferenceFormat> {
    match using.value.as_str() {
        "parquet" => Some(ReferenceFormat::Parquet),
        "csv" => Some(ReferenceFormat::Csv),
        "json" => Some(ReferenceFormat::Json),
        _ => None,
    }
}

fn reference_of(sources: &Sources, file: usize, head: &Head, settings: &mut Settings) -> Option<Reference> {
    let format = reference_format(head.using.as_ref()?)?;
    let refresh = settings.duration("refresh", "1 minute").unwrap_or(DEFAULT_REFRESH);
    if format == ReferenceFormat::Csv
        && let Some(header) = settings.take("header")
        && header.value != "true"
    {
        settings.bad(header, "header", "a CSV file begins with a line of names", "true");
    }
    let Some(location) = &head.location else {
        settings.problem(
            Problem::new("millstream::missing_option", head.name.place, format!("reference table `{}` has no LOCATION", head.name.value))
                .help("write where the file lies: USING parquet LOCATION 'reference/data.parquet'"),
        );
        return None;
    };
    let scheme = location.value.split_once(':').is_some_and(|(scheme, _)| scheme.len() > 1 && !scheme.contains(['/', '\\', '.']));
    if scheme || looks_like_connection(&location.value) {
        settings.problem(
            Problem::new("millstream::connection_in_sql", location.place, "LOCATION names a system; a pipeline names a path alone")
                .help("write a path relative to this file; another place belongs into millstream.toml, under [tables.NAME]"),
        );
        return None;
    }
    if location.value.trim().is_empty() {
        settings.problem(Problem::new("millstream::bad_option", location.place, "LOCATION is empty").help("write the path of a file"));
        return None;
    }
    let folder = Path::new(sources.name(file)).parent().map_or_else(PathBuf::new, Path::to_path_buf);
    Some(Reference { format, location: folder.join(&location.value), refresh })
}

/// Checks `CREATE TABLE`. `fetched` is the schema that the caller read, for reference data without declared columns.
pub(super) fn table(
    sources: &Sources,
    file: usize,
    head: &Head,
    fetched: Option<&Result<SchemaRef, String>>,
) -> Result<Table, Vec<Problem>> {
    let Some(using) = &head.using else {
        return Err(vec![
            Problem::new("millstream::missing_option", head.name.place, format!("table `{}` does not say who holds it", head.name.value))
                .help("write USING kafka for a topic, or USING parquet, csv or json for reference data"),
        ]);
    };
    if let Some(partitioned) = &head.partitioned_by {
        let message = "PARTITIONED BY is for event-store tables";
        return Err(vec![Problem::new("millstream::misplaced_clause", partitioned.place, message).help("take it out")]);
    }
    match using.value.as_str() {
        "kafka" => topic(head),
        "parquet" | "csv" | "json" => reference_table(sources, file, head, fetched),
        _ => Err(vec![unsupported_table(using, head)]),
    }
}

fn unsupported_table(using: &Name, head: &Head) -> Problem {
    let name = &head.name.value;
    let unsupported =
        |what: &str, help: &str| Problem::new("millstream::not_supported", using.place, what.to_owned()).help(help.to_owned());
    match using.value.as_str() {
        "postgresql" | "mysql" | "jdbc" => unsupported(
            &format!("reference data from {} is not supported yet", using.value),
            "write USING parquet LOCATION '...'; the configuration rebinds a table to a database",
        ),
        "cassandra" => unsupported(
            "an event-store table that other services write is not supported yet",
            &format!("write CREATE STREAMING TABLE {name} USING cassandra ... AS SELECT ..."),
        ),
        "redis" => unsupported(
            "a redis table is made by a flow",
            &format!("write CREATE STREAMING TABLE {name} USING redis TBLPROPERTIES ('key' = '...') AS SELECT ..."),
        ),
        "avro" | "orc" | "delta" | "iceberg" | "text" | "xml" => {
            unsupported(&format!("reference data as {} is not supported yet", using.value), "write USING parquet, csv or json")
        }
        other => {
            let known = ["kafka", "parquet", "csv", "json"];
            let problem =
                Problem::new("millstream::unknown_format", using.place, format!("there is nothing called `{other}` to hold a table"));
            problem.help(suggest::did_you_mean(
                other,
                known,
                "write USING kafka for a topic, or USING parquet, csv or json for reference data",
            ))
        }
    }
}

fn topic(head: &Head) -> Result<Table, Vec<Problem>> {
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
        topic_name(subscribe, &mut settings);
    } else {
        settings.problem(missing(name, "subscribe", "which topic it is", "OPTIONS (subscribe 'topic', value.format 'json')"));
    }
    value_format(name, &mut settings);
    let partitions = partitions(&mut settings);
    let retention = settings.duration("retention", "7 days");
    let mode = parse_mode(&mut settings);
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
        mode,
        key_columns: key_columns.map(|k| k.value).unwrap_or_default(),
    };
    Ok(Table { spec: Arc::new(spec(name, TableKind::Topic, schema(columns), KeySpec::default(), None)), binding: Binding::Topic(topic) })
}

fn missing(table: &Name, key: &str, what: &str, help: &str) -> Problem {
    Problem::new("millstream::missing_option", table.place, format!("`{}` does not say {what}: '{key}' is missing", table.value))
        .help(format!("write {help}"))
}

/// Kafka's rule: up to 249 letters, digits, dots, underscores and hyphens.
fn topic_name(name: &Name, settings: &mut Settings) {
    let text = &name.value;
    let legal = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if text.contains(',') {
        settings.bad(name, "subscribe", "several topics in one table are not supported yet", "topic");
    } else if text.is_empty() || text.len() > 249 || !legal || text == "." || text == ".." {
        settings.bad(name, "subscribe", "a topic's name has 1 to 249 letters, digits, dots, underscores and hyphens", "topic");
    }
}

fn value_format(table: &Name, settings: &mut Settings) {
    let Some(format) = settings.take("value.format") else {
        settings.problem(missing(table, "value.format", "how its values are written", "OPTIONS (subscribe '...', value.format 'json')"));
        return;
    };
    match format.value.to_lowercase().as_str() {
        "json" => {}
        "avro" | "protobuf" | "csv" => settings.problem(
            Problem::new("millstream::not_supported", format.place, format!("topics with {} values are not supported yet", format.value))
                .help("write value.format 'json'"),
        ),
        _ => settings.bad(format, "value.format", "topics hold JSON", "json"),
    }
}

fn partitions(settings: &mut Settings) -> i32 {
    let Some(written) = settings.take("partitions") else { return DEFAULT_PARTITIONS };
    match written.value.parse::<i32>() {
        Ok(partitions) if (1..=MAX_PARTITIONS).contains(&partitions) => partitions,
        _ => {
            settings.bad(written, "partitions", &format!("it is not a number from 1 to {MAX_PARTITIONS}"), "4");
            DEFAULT_PARTITIONS
        }
    }
}

fn parse_mode(settings: &mut Settings) -> ParseMode {
    let Some(mode) = settings.take("mode") else { return ParseMode::DeadLetter };
    match mode.value.to_lowercase().as_str() {
        "permissive" => ParseMode::Permissive,
        "dead_letter" | "dead_letters" => ParseMode::DeadLetter,
        "failfast" | "dropmalformed" => {
            settings.bad(mode, "mode", "one bad event neither stops a pipeline nor disappears", "dead_letter");
            ParseMode::DeadLetter
        }
        _ => {
            settings.bad(mode, "mode", "it is 'dead_letter' or 'permissive'", "permissive");
            ParseMode::DeadLetter
        }
    }
}

fn reference_table(
    sources: &Sources,
    file: usize,
    head: &Head,
    fetched: Option<&Result<SchemaRef, String>>,
) -> Result<Table, Vec<Problem>> {
    let mut settings = Settings::new(head);
    let reference = reference_of(sources, file, head, &mut settings);
    let columns = match (&head.columns, fetched) {
        (Some(columns), _) => Some(schema(columns)),
        (None, Some(Ok(schema))) => reference_schema(schema, head, &mut settings),
        (None, Some(Err(why))) => {
            let place = head.location.as_ref().map_or(head.name.place, |l| l.place);
            let message = format!("the columns of `{}` can't be read: {why}", head.name.value);
            settings.problem(
                Problem::new("millstream::reference_unreadable", place, message)
                    .help("put the file there, or declare the columns: CREATE TABLE name (column TYPE, ...)"),
            );
            None
        }
        (None, None) => None,
    };
    let problems = settings.finish();
    match (reference, columns) {
        (Some(reference), Some(schema)) if problems.is_empty() => Ok(Table {
            spec: Arc::new(spec(&head.name, TableKind::Reference, schema, KeySpec::default(), None)),
            binding: Binding::Reference(reference),
        }),
        (Some(_), None) if problems.is_empty() => Err(vec![
            Problem::new(
                "millstream::reference_unreadable",
                head.name.place,
                format!("the columns of `{}` are not known", head.name.value),
            )
            .help("declare them: CREATE TABLE name (column TYPE, ...)"),
        ]),
        _ => Err(problems),
    }
}

/// The file's schema with each type as the language knows it.
fn reference_schema(schema: &SchemaRef, head: &Head, settings: &mut Settings) -> Option<SchemaRef> {
    let mut fields = Vec::new();
    for field in schema.fields() {
        match crate::plan::column_type(field.data_type()) {
            Some(data_type) => fields.push(Field::new(field.name(), data_type, field.is_nullable())),
            None => settings.problem(
                Problem::new(
                    "millstream::unsupported_type",
                    head.name.place,
                    format!(
                        "column `{}` of `{}` has type {}, which is not supported yet",
                        field.name(),
                        head.name.value,
                        field.data_type()
                    ),
                )
                .help("declare the columns that you need: CREATE TABLE name (column TYPE, ...)"),
            ),
        }
    }
    (fields.len() == schema.fields().len()).then(|| Arc::new(Schema::new(fields)))
}

/// What a statement says about the table that its query makes.
pub(super) struct Target {
    pub(super) kind: TableKind,
    pub(super) key: KeySpec,
    pub(super) key_place: Place,
    pub(super) ttl: Option<Duration>,
    pub(super) mode: OutputMode,
    pub(super) mode_place: Place,
    pub(super) schedule: Option<String>,
}

/// Checks the head of `CREATE STREAMING TABLE`.
pub(super) fn streaming_target(head: &Head) -> Result<Target, Vec<Problem>> {
    let name = &head.name;
    let Some(using) = &head.using else {
        return Err(vec![
            Problem::new("millstream::missing_option", name.place, format!("streaming table `{}` does not say who holds it", name.value))
                .help("write USING cassandra for an event-store table, or USING redis for critical events"),
        ]);
    };
    let mut settings = Settings::new(head);
    refuse_location(head, &mut settings);
    let mode_place = head.properties.iter().find(|p| p.key.value.eq_ignore_ascii_case("output_mode")).map_or(name.place, |p| p.value.place);
    let (kind, key, key_place) = match using.value.as_str() {
        "cassandra" => {
            let (key, place) = event_store_key(head, &mut settings);
            (TableKind::EventStore, key, place)
        }
        "redis" => {
            refuse_partitions(head, "a redis table", "'key'", &mut settings);
            let (key, place) = listed_key(head, "key", "CREATE STREAMING TABLE ... USING redis", &mut settings);
            (TableKind::Critical, key, place)
        }
        "kafka" | "postgresql" | "parquet" | "mysql" | "delta" | "csv" | "json" => {
            return Err(vec![
                Problem::new(
                    "millstream::not_supported",
                    using.place,
                    format!("streaming tables in {} are not supported yet", using.value),
                )
                .help("write USING cassandra or USING redis"),
            ]);
        }
        other => {
            let problem =
                Problem::new("millstream::unknown_format", using.place, format!("there is nothing called `{other}` to hold a table"));
            return Err(vec![problem.help(suggest::did_you_mean(
                other,
                ["cassandra", "redis"],
                "write USING cassandra for an event-store table, or USING redis for critical events",
            ))]);
        }
    };
    let ttl = settings.duration("ttl", "400 days");
    let mode = output_mode(&mut settings);
    finish(settings)?;
    Ok(Target { kind, key, key_place, ttl, mode, mode_place, schedule: None })
}

/// Checks the head of `CREATE MATERIALIZED VIEW`.
pub(super) fn report_target(head: &Head) -> Result<Target, Vec<Problem>> {
    let name = &head.name;
    match head.using.as_ref().map(|u| (u, u.value.as_str())) {
        Some((_, "postgresql")) => {}
        Some((using, "mysql" | "parquet" | "cassandra" | "kafka" | "redis" | "delta" | "csv" | "json")) => {
            return Err(vec![
                Problem::new("millstream::not_supported", using.place, format!("reports in {} are not supported yet", using.value))
                    .help("write USING postgresql"),
            ]);
        }
        Some((using, other)) => {
            let problem =
                Problem::new("millstream::unknown_format", using.place, format!("there is nothing called `{other}` to hold a report"));
            return Err(vec![problem.help(suggest::did_you_mean(other, ["postgresql"], "write USING postgresql"))]);
        }
        None => {
            return Err(vec![
                Problem::new("millstream::missing_option", name.place, format!("report `{}` does not say who holds it", name.value))
                    .help("write USING postgresql"),
            ]);
        }
    }
    let mut settings = Settings::new(head);
    refuse_location(head, &mut settings);
    refuse_partitions(head, "a report", "'primary_key'", &mut settings);
    let (key, key_place) = listed_key(head, "primary_key", "CREATE MATERIALIZED VIEW ... USING postgresql", &mut settings);
    let schedule = settings.take("schedule").cloned();
    if let Some(schedule) = &schedule
        && let Err(why) = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build().parse(&schedule.value)
    {
        let why = why.to_string().to_lowercase();
        settings.bad(schedule, "schedule", why.trim_end_matches('.'), "*/5 * * * *");
    }
    finish(settings)?;
    Ok(Target {
        kind: TableKind::Report,
        key,
        key_place,
        ttl: None,
        mode: OutputMode::Append,
        mode_place: name.place,
        schedule: schedule.map(|s| s.value),
    })
}

fn refuse_location(head: &Head, settings: &mut Settings) {
    if let Some(location) = &head.location {
        let problem = Problem::new("millstream::misplaced_clause", location.place, "LOCATION is for reference data");
        settings.problem(problem.help("take it out: where a table is kept, says millstream.toml"));
    }
}

fn refuse_partitions(head: &Head, what: &str, property: &str, settings: &mut Settings) {
    if let Some(partitioned) = &head.partitioned_by {
        let problem = Problem::new("millstream::misplaced_clause", partitioned.place, format!("{what} is not partitioned"));
        settings.problem(problem.help(format!("write its key as TBLPROPERTIES ({property} = '...')")));
    }
}

fn output_mode(settings: &mut Settings) -> OutputMode {
    let Some(mode) = settings.take("output_mode") else { return OutputMode::Append };
    match mode.value.to_lowercase().as_str() {
        "append" => OutputMode::Append,
        "update" => OutputMode::Update,
        "complete" => {
            settings.bad(mode, "output_mode", "complete mode keeps every window for ever and is not supported", "update");
            OutputMode::Append
        }
        _ => {
            settings.bad(mode, "output_mode", "it is 'append' or 'update'", "update");
            OutputMode::Append
        }
    }
}

fn event_store_key(head: &Head, settings: &mut Settings) -> (KeySpec, Place) {
    let place = head.partitioned_by.as_ref().map_or(head.name.place, |p| p.place);
    let partition = match &head.partitioned_by {
        Some(columns) => columns.value.iter().map(|c| c.value.clone()).collect(),
        None => {
            settings.problem(
                Problem::new("millstream::missing_key", place, format!("event-store table `{}` has no PARTITIONED BY", head.name.value))
                    .help("write PARTITIONED BY (column, ...): the columns by which its rows are found"),
            );
            Vec::new()
        }
    };
    let mut clustering = Vec::new();
    if let Some(written) = settings.take("clustering_key") {
        match column_list(&written.value) {
            None => settings.bad(written, "clustering_key", "it is not a list of columns, each with ASC or DESC", "ts DESC, event_id ASC"),
            Some(columns) => {
                for (name, order) in columns {
                    let order = match order.as_deref() {
                        None | Some("ASC") => SortOrder::Asc,
                        Some("DESC") => SortOrder::Desc,
                        Some(other) => {
                            settings.bad(written, "clustering_key", &format!("`{other}` is neither ASC nor DESC"), "ts DESC, event_id ASC");
                            SortOrder::Asc
                        }
                    };
                    clustering.push(ClusteringColumn { name, order });
                }
            }
        }
    }
    (KeySpec { partition, clustering }, place)
}

fn listed_key(head: &Head, property: &'static str, statement: &str, settings: &mut Settings) -> (KeySpec, Place) {
    match settings.columns(property) {
        Some(columns) => (KeySpec::single(columns.value), columns.place),
        None => {
            if !head.properties.iter().chain(&head.options).any(|p| p.key.value.eq_ignore_ascii_case(property)) {
                let message = format!("`{}` has no key: '{property}' is missing", head.name.value);
                let help = format!("write {statement} TBLPROPERTIES ('{property}' = 'column, ...')");
                settings.problem(Problem::new("millstream::missing_key", head.name.place, message).help(help));
            }
            (KeySpec::default(), head.name.place)
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

fn finish(settings: Settings) -> Result<(), Vec<Problem>> {
    let problems = settings.finish();
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// How the language writes a type.
pub(crate) fn sql_type(data_type: &arrow::datatypes::DataType) -> String {
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
        DataType::Struct(_) => "STRUCT".to_owned(),
        DataType::List(_) | DataType::LargeList(_) | DataType::ListView(_) => "ARRAY".to_owned(),
        DataType::Map(..) => "MAP".to_owned(),
        DataType::Interval(_) | DataType::Duration(_) => "INTERVAL".to_owned(),
        DataType::Null => "VOID".to_owned(),
        other => other.to_string(),
    }
}
