//! The graph for people and for programs: tables with who serves them, flows, jobs. Who that is, the caller says.

use std::fmt::Write as _;
use std::time::Duration;

use millstream_core::decode::ReadFormat;
use millstream_core::ports::ValueFormat;
use millstream_core::{KeySpec, SortOrder};
use serde_json::{Value, json};

use crate::describe::column;
use crate::graph::{
    Binding, DatabaseSystem, Flow, Job, OutputMode, Pipeline, Reference, ReferenceFormat, ReferenceOrigin, Table, Watermark, WindowKind,
};

/// Says who serves a table, by its name: `the built-in event store`, `Cassandra (keyspace flights)`.
pub type ServedBy<'a> = &'a dyn Fn(&str, &Table) -> String;

/// The graph as text.
#[must_use]
pub fn text(pipeline: &Pipeline, served_by: ServedBy<'_>) -> String {
    let mut text = String::from("Tables\n");
    for (name, table) in &pipeline.tables {
        let _ = writeln!(text, "  {name}: {}, served by {}", table.spec.kind.as_str(), served_by(name, table));
        let columns: Vec<_> = table.spec.schema.fields().iter().map(|f| column(f)).collect();
        let _ = writeln!(text, "    columns: {}", columns.join(", "));
        if !table.spec.key.is_empty() {
            let _ = writeln!(text, "    key: {}", key(&table.spec.key));
        }
        for line in details(table) {
            let _ = writeln!(text, "    {line}");
        }
    }
    text.push_str("\nFlows\n");
    for flow in &pipeline.flows {
        text.push_str(&flow_text(flow));
    }
    text.push_str("\nJobs\n");
    for job in &pipeline.jobs {
        let _ = writeln!(text, "  {}: {} -> {}, {}", job.report, job.inputs.join(" + "), job.report, schedule(job));
        text.push_str(&indented(&job.plan.display_indent().to_string()));
    }
    if !pipeline.warnings.is_empty() {
        text.push_str("\nWarnings\n");
        for warning in &pipeline.warnings {
            let _ = writeln!(text, "  {warning}");
        }
    }
    text
}

fn flow_text(flow: &Flow) -> String {
    let mut text = String::new();
    let joined = if flow.references.is_empty() { String::new() } else { format!(" with {}", flow.references.join(", ")) };
    let streams = flow.join.as_ref().map_or_else(|| flow.source.clone(), |join| format!("{} and stream {}", flow.source, join.right));
    let _ = writeln!(text, "  {}: stream {streams}{joined} -> {}", flow.id, flow.target);
    if let Some(watermark) = &flow.watermark {
        let _ = writeln!(text, "    watermark: {}, delayed by {}", watermark.column, length(watermark.delay));
    }
    if let Some(join) = &flow.join {
        let watermark = &join.right_watermark;
        let _ = writeln!(text, "    watermark of {}: {}, delayed by {}", join.right, watermark.column, length(watermark.delay));
        let (least, greatest) = (signed_length(join.least_us), signed_length(join.greatest_us));
        let _ = writeln!(text, "    joined: rows of {} from {least} to {greatest} after those of {}", join.right, flow.source);
    }
    for window in &flow.inner_windows {
        let _ = writeln!(text, "    window: {}", windows(window.kind));
    }
    if let Some(window) = &flow.window {
        let _ = writeln!(text, "    window: {}, output mode {}", windows(window.kind), mode(flow.mode));
    }
    text.push_str(&indented(&flow.plan.display_indent().to_string()));
    text
}

fn indented(plan: &str) -> String {
    plan.lines().fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "    | {line}");
        text
    })
}

/// The graph as JSON: `tables`, `flows`, `jobs`, `warnings`.
#[must_use]
pub fn json(pipeline: &Pipeline, served_by: ServedBy<'_>) -> Value {
    let tables: Vec<Value> = pipeline.tables.iter().map(|(name, table)| table_json(name, table, &served_by(name, table))).collect();
    let flows: Vec<Value> = pipeline.flows.iter().map(flow_json).collect();
    let jobs: Vec<Value> = pipeline
        .jobs
        .iter()
        .map(|job| {
            json!({
                "report": job.report,
                "inputs": job.inputs,
                "schedule": job.schedule,
                "plan": job.plan.display_indent().to_string(),
            })
        })
        .collect();
    json!({ "tables": tables, "flows": flows, "jobs": jobs, "warnings": pipeline.warnings })
}

fn table_json(name: &str, table: &Table, served_by: &str) -> Value {
    let columns: Vec<Value> = table
        .spec
        .schema
        .fields()
        .iter()
        .map(|f| json!({ "name": f.name(), "type": crate::check::tables::sql_type(f.data_type()), "nullable": f.is_nullable() }))
        .collect();
    let clustering: Vec<Value> = table.spec.key.clustering.iter().map(|c| json!({ "name": c.name, "order": order(c.order) })).collect();
    let mut object = json!({
        "name": name,
        "kind": table.spec.kind,
        "served_by": served_by,
        "columns": columns,
        "key": { "partition": table.spec.key.partition, "clustering": clustering },
        "ttl_seconds": table.spec.ttl.map(|t| t.as_secs()),
    });
    let more = match &table.binding {
        Binding::Topic(topic) => json!({
            "topic": topic.name,
            "partitions": topic.partitions,
            "retention_seconds": topic.retention.map(|r| r.as_secs()),
            "key_columns": topic.key_columns,
            "format": topic.format.name(),
            "written_as": topic.output.as_ref().map(ValueFormat::name),
        }),
        Binding::Reference(reference) => reference_json(reference),
        Binding::Critical(critical) => json!({ "base_table": critical.base.as_ref().map(|b| &b.table) }),
        Binding::ExistingTable => json!({ "written_by": "other services" }),
        Binding::EventStore | Binding::Report | Binding::Lake => json!({}),
    };
    if let (Some(object), Value::Object(more)) = (object.as_object_mut(), more) {
        object.extend(more);
    }
    object
}

fn reference_json(reference: &Reference) -> Value {
    let refresh_seconds = reference.refresh.as_secs();
    match &reference.origin {
        ReferenceOrigin::Files(files) => {
            json!({ "format": format_name(files.format), "location": files.location, "refresh_seconds": refresh_seconds })
        }
        ReferenceOrigin::Database(database) => json!({
            "database": database_name(database.system),
            "database_table": database.table,
            "filter": database.filter,
            "refresh_seconds": refresh_seconds,
        }),
    }
}

fn flow_json(flow: &Flow) -> Value {
    let mut object = json!({
        "name": flow.id,
        "source": flow.source,
        "references": flow.references,
        "target": flow.target,
        "watermark": flow.watermark.as_ref().map(watermark_json),
        "window": flow.window.as_ref().map(|w| window_json(w.kind, flow.mode)),
        "plan": flow.plan.display_indent().to_string(),
    });
    if let Some(join) = &flow.join {
        object["join"] = json!({
            "source": join.right,
            "watermark": watermark_json(&join.right_watermark),
            "least_us": join.least_us,
            "greatest_us": join.greatest_us,
        });
    }
    object
}

fn watermark_json(watermark: &Watermark) -> Value {
    json!({ "column": watermark.column, "delay_us": micros(watermark.delay) })
}

fn windows(kind: WindowKind) -> String {
    let windows = match kind {
        WindowKind::Fixed(windows) => windows,
        WindowKind::Session { gap: Some(gap) } => return format!("sessions with a gap of {}", length(gap)),
        WindowKind::Session { gap: None } => return "sessions with a gap that differs by row".to_owned(),
        WindowKind::Same => return "those of the aggregate below".to_owned(),
    };
    let mut text = length(windows.size);
    if windows.overlap() {
        let _ = write!(text, " every {}", length(windows.slide));
    }
    if windows.start_us != 0 {
        let (before, start) =
            if windows.start_us < 0 { ("-", windows.start_us.unsigned_abs()) } else { ("", windows.start_us.unsigned_abs()) };
        let _ = write!(text, ", starting at {before}{}", length(Duration::from_micros(start)));
    }
    text
}

fn window_json(kind: WindowKind, output_mode: OutputMode) -> Value {
    let windows = match kind {
        WindowKind::Fixed(windows) => windows,
        WindowKind::Same => return json!({ "same": true, "output_mode": mode(output_mode) }),
        WindowKind::Session { gap } => return json!({ "session_gap_us": gap.map(micros), "output_mode": mode(output_mode) }),
    };
    let mut object = json!({ "size_us": micros(windows.size), "output_mode": mode(output_mode) });
    if windows.overlap() || windows.start_us != 0 {
        object["slide_us"] = json!(micros(windows.slide));
        object["start_us"] = json!(windows.start_us);
    }
    object
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn details(table: &Table) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(ttl) = table.spec.ttl {
        lines.push(format!("expiry: {}", length(ttl)));
    }
    match &table.binding {
        Binding::Topic(topic) => {
            let retention = topic.retention.map_or_else(|| "by default".to_owned(), |r| format!("for {}", length(r)));
            lines.push(format!("topic: {}, {} partitions, kept {retention}", topic.name, topic.partitions));
            if topic.output.is_none() && !matches!(topic.format, ReadFormat::Json(_)) {
                lines.push(format!("its values are {}", topic.format.name().to_uppercase()));
            }
            if let Some(format) = &topic.output {
                let key =
                    if topic.key_columns.is_empty() { "no key".to_owned() } else { format!("the key ({})", topic.key_columns.join(", ")) };
                lines.push(format!("written as {}, with {key}", format.name().to_uppercase()));
            } else if !topic.key_columns.is_empty() {
                lines.push(format!("deleted by a record with the key ({}) and no value", topic.key_columns.join(", ")));
            }
        }
        Binding::Reference(reference) => {
            let what = match &reference.origin {
                ReferenceOrigin::Files(files) => format!("{} in {}", format_name(files.format), files.location),
                ReferenceOrigin::Database(database) => {
                    let filter = database.filter.as_ref().map_or_else(String::new, |f| format!(" where {f}"));
                    format!("table {}{filter}", database.table)
                }
            };
            lines.push(format!("{what}, looked at every {}", length(reference.refresh)));
        }
        Binding::Critical(critical) => {
            if let Some(base) = &critical.base {
                lines.push(format!("a missing row is made from {} by flow {}", base.table, base.flow));
            }
        }
        Binding::ExistingTable => lines.push("written by other services".to_owned()),
        Binding::EventStore | Binding::Report | Binding::Lake => {}
    }
    lines
}

fn database_name(system: DatabaseSystem) -> &'static str {
    match system {
        DatabaseSystem::Postgresql => "PostgreSQL",
        DatabaseSystem::Mysql => "MySQL",
    }
}

fn format_name(format: ReferenceFormat) -> &'static str {
    match format {
        ReferenceFormat::Parquet => "parquet",
        ReferenceFormat::Csv => "csv",
        ReferenceFormat::Json => "json",
    }
}

fn key(key: &KeySpec) -> String {
    let clustering: Vec<_> = key.clustering.iter().map(|c| format!("{} {}", c.name, order(c.order))).collect();
    match (key.partition.as_slice(), clustering.as_slice()) {
        (partition, []) => format!("({})", partition.join(", ")),
        (partition, clustering) => format!("({}), ordered by {}", partition.join(", "), clustering.join(", ")),
    }
}

fn order(order: SortOrder) -> &'static str {
    match order {
        SortOrder::Asc => "ASC",
        SortOrder::Desc => "DESC",
    }
}

fn mode(mode: OutputMode) -> &'static str {
    match mode {
        OutputMode::Append => "append",
        OutputMode::Update => "update",
    }
}

fn schedule(job: &Job) -> String {
    job.schedule.as_ref().map_or_else(|| "on demand".to_owned(), |cron| format!("scheduled `{cron}` UTC"))
}

/// `2 hours`, `-90 seconds`.
fn signed_length(us: i64) -> String {
    let sign = if us < 0 { "-" } else { "" };
    format!("{sign}{}", length(Duration::from_micros(us.unsigned_abs())))
}

/// `2 hours`, `400 days`, `90 seconds`.
fn length(duration: Duration) -> String {
    let us = duration.as_micros();
    let units = [("day", 86_400_000_000), ("hour", 3_600_000_000), ("minute", 60_000_000), ("second", 1_000_000), ("millisecond", 1_000)];
    let (unit, count) = units
        .iter()
        .find(|(_, size)| us >= *size && us.is_multiple_of(*size))
        .map_or(("microsecond", us), |(unit, size)| (*unit, us / size));
    if count == 1 { format!("1 {unit}") } else { format!("{count} {unit}s") }
}
