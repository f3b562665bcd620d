//! The heads of statements whose query makes a table: who holds it, its key, and its properties.

use std::time::Duration;

use croner::parser::{CronParser, Seconds, Year};
use millstream_core::{ClusteringColumn, KeySpec, SortOrder, TableKind};

use super::formats;
use super::settings::{Settings, column_list};
use super::tables::{finish, missing, partitions, topic_name};
use crate::diagnostic::{Place, Problem};
use crate::graph::{OutputMode, ParseMode, Topic};
use crate::parsed::Parsed;
use crate::suggest;
use crate::syntax::statement::Head;

/// Who can hold a streaming table.
const HOLDERS: [&str; 5] = ["cassandra", "redis", "kafka", "postgresql", "parquet"];

const HOLDERS_HELP: &str = "write USING cassandra for an event-store table, redis for critical events, kafka for a topic, postgresql for a relational \
                            table, or parquet for files";

/// What a statement says about the table that its query makes.
pub(super) struct Target {
    pub(super) kind: TableKind,
    pub(super) key: KeySpec,
    pub(super) key_place: Place,
    pub(super) ttl: Option<Duration>,
    pub(super) mode: OutputMode,
    pub(super) mode_place: Place,
    pub(super) schedule: Option<String>,
    /// Where `kind` is a topic: which.
    pub(super) topic: Option<Topic>,
}

impl Target {
    /// Whether rows are only ever added: nothing says which row another replaces.
    pub(super) fn only_appends(&self) -> bool {
        self.key.is_empty()
    }
}

/// Whether a `CREATE STREAMING TABLE` says that files hold it.
pub(super) fn is_of_files(head: &Head) -> bool {
    head.using.as_ref().is_some_and(|using| using.value == "parquet")
}

/// Checks the head of `CREATE STREAMING TABLE`.
pub(super) fn streaming_target(parsed: &Parsed, head: &Head) -> Result<Target, Vec<Problem>> {
    let name = &head.name;
    let Some(using) = &head.using else {
        return Err(vec![
            Problem::new("millstream::missing_option", name.place, format!("streaming table `{}` does not say who holds it", name.value))
                .help(HOLDERS_HELP),
        ]);
    };
    let mut settings = Settings::new(head);
    refuse_options(head, "CREATE STREAMING TABLE", &mut settings);
    refuse_location(head, &mut settings);
    let mode_place = head.properties.iter().find(|p| p.key.value.eq_ignore_ascii_case("output_mode")).map_or(name.place, |p| p.value.place);
    let mut topic = None;
    let (kind, (key, key_place)) = match using.value.as_str() {
        "cassandra" => (TableKind::EventStore, event_store_key(head, &mut settings)),
        "redis" => {
            refuse_partitions(head, "a redis table", "'key'", &mut settings);
            (TableKind::Critical, listed_key(head, "key", "CREATE STREAMING TABLE ... USING redis", &mut settings))
        }
        "postgresql" => {
            refuse_partitions(head, "a relational table", "'primary_key'", &mut settings);
            (TableKind::Report, listed_key(head, "primary_key", "CREATE STREAMING TABLE ... USING postgresql", &mut settings))
        }
        "parquet" => {
            refuse_partitions(head, "a table of files", "", &mut settings);
            (TableKind::Lake, (KeySpec::default(), name.place))
        }
        "kafka" => {
            refuse_partitions(head, "a topic", "'key'", &mut settings);
            let (written, key_place) = written_topic(parsed, head, &mut settings);
            let key = KeySpec::single(written.key_columns.clone());
            topic = Some(written);
            (TableKind::Topic, (key, key_place))
        }
        other => return Err(vec![no_holder(head, other, using.place)]),
    };
    let expires = matches!(kind, TableKind::EventStore | TableKind::Critical);
    let ttl = if expires { settings.duration("ttl", "400 days") } else { None };
    let mode = output_mode(&mut settings);
    finish(settings)?;
    Ok(Target { kind, key, key_place, ttl, mode, mode_place, schedule: None, topic })
}

/// Why `using` can't hold a streaming table.
fn no_holder(head: &Head, using: &str, place: Place) -> Problem {
    match using {
        "mysql" | "delta" | "iceberg" | "csv" | "json" | "orc" | "avro" | "jdbc" => {
            Problem::new("millstream::not_supported", place, format!("streaming tables in {using} are not supported yet"))
                .help(HOLDERS_HELP)
        }
        _ => {
            let message = format!("there is nothing called `{using}` to hold `{}`", head.name.value);
            Problem::new("millstream::unknown_format", place, message).help(suggest::did_you_mean(using, HOLDERS, HOLDERS_HELP))
        }
    }
}

/// The topic that a streaming table is.
fn written_topic(parsed: &Parsed, head: &Head, settings: &mut Settings) -> (Topic, Place) {
    let form = "TBLPROPERTIES ('topic' = 'alerts', 'value.format' = 'json')";
    let name = settings.take("topic");
    match name {
        Some(name) => topic_name(name, "topic", settings),
        None => settings.problem(missing(&head.name, "topic", "which topic it is", form)),
    }
    let written = formats::written(parsed, &head.name, form, settings);
    let key = settings.columns("key");
    let place = key.as_ref().map_or(head.name.place, |k| k.place);
    let topic = Topic {
        name: name.map(|n| n.value.clone()).unwrap_or_default(),
        partitions: partitions(settings),
        retention: settings.duration("retention", "7 days"),
        mode: ParseMode::default(),
        key_columns: key.map(|k| k.value).unwrap_or_default(),
        format: written.read,
        corrupt_record: None,
        output: Some(written.format),
    };
    (topic, place)
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
    refuse_options(head, "CREATE MATERIALIZED VIEW", &mut settings);
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
        topic: None,
    })
}

/// Apache Spark 4.1 parses OPTIONS before a pipeline's query, and refuses them.
fn refuse_options(head: &Head, statement: &str, settings: &mut Settings) {
    if let Some(option) = head.options.first() {
        let problem = Problem::new("millstream::misplaced_clause", option.key.place, format!("{statement} takes no OPTIONS"));
        settings.problem(problem.help(format!("write TBLPROPERTIES ('{}' = '{}', ...)", option.key.value, option.value.value)));
    }
}

fn refuse_location(head: &Head, settings: &mut Settings) {
    if let Some(location) = &head.location {
        let problem = Problem::new("millstream::misplaced_clause", location.place, "LOCATION is for reference data");
        settings.problem(problem.help("take it out: where a table is kept, says millstream.toml"));
    }
}

fn refuse_partitions(head: &Head, what: &str, property: &str, settings: &mut Settings) {
    if let Some(partitioned) = &head.partitioned_by {
        let problem = Problem::new("millstream::misplaced_clause", partitioned.place, format!("{what} is not partitioned by columns"));
        settings.problem(match property {
            "" => problem.help("take it out"),
            property => problem.help(format!("write its key as TBLPROPERTIES ({property} = '...')")),
        });
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

/// `PARTITIONED BY` and `clustering_key`, with the place of the former.
pub(super) fn event_store_key(head: &Head, settings: &mut Settings) -> (KeySpec, Place) {
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
