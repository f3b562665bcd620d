//! Canonical text of a pipeline and its flows: equal exactly when they compute the same, kept beside data and checkpoints.

use std::fmt::Write as _;
use std::sync::Arc;

use datafusion::logical_expr::LogicalPlan;
use millstream_core::TableSpec;
use millstream_core::decode::ReadFormat;
use millstream_core::ports::ValueFormat;
use millstream_core::style::{CsvStyle, TimeFormats};

use crate::check::tables::sql_type;
use crate::graph::{Binding, Flow, OutputMode, ParseMode, Pipeline, Table, Topic, WindowKind};

/// The version of these texts: raised when they would read differently for the same pipeline.
const VERSION: u8 = 1;

/// All that decides what `flow` computes.
pub(crate) fn fingerprint(flow: &Flow, target: &TableSpec, spec_of: &dyn Fn(&str) -> Option<Arc<TableSpec>>) -> String {
    let mut text = format!("flow v{VERSION} {} into {}\n", flow.id, flow.target);
    for name in flow.sources().chain(flow.references.iter().map(String::as_str)) {
        if let Some(spec) = spec_of(name) {
            let _ = writeln!(text, "reads {name}: {}", spec.fingerprint());
        }
    }
    let _ = writeln!(text, "writes {}: {}", target.name, target.fingerprint());
    text.push_str(&flow_lines(flow));
    text.push_str(&plan_lines(&flow.plan));
    text
}

fn flow_lines(flow: &Flow) -> String {
    let mut text = String::new();
    if let Some(watermark) = &flow.watermark {
        let _ = writeln!(text, "watermark {} delayed by {} us", watermark.column, watermark.delay.as_micros());
    }
    if let Some(join) = &flow.join {
        let watermark = &join.right_watermark;
        let _ = writeln!(
            text,
            "joined with {}, watermark {} delayed by {} us, {} to {} us after",
            join.right,
            watermark.column,
            watermark.delay.as_micros(),
            join.least_us,
            join.greatest_us
        );
    }
    for window in &flow.inner_windows {
        let _ = writeln!(text, "window {} below", window_length(window.kind));
    }
    if let Some(window) = &flow.window {
        let mode = match flow.mode {
            OutputMode::Append => "append",
            OutputMode::Update => "update",
        };
        let _ = writeln!(text, "window {}, output mode {mode}", window_length(window.kind));
    }
    text
}

pub(crate) fn window_length(kind: WindowKind) -> String {
    match kind {
        WindowKind::Fixed(windows) if windows.overlap() || windows.start_us != 0 => {
            format!("{} us every {} us from {} us", windows.size.as_micros(), windows.slide.as_micros(), windows.start_us)
        }
        WindowKind::Fixed(windows) => format!("{} us", windows.size.as_micros()),
        WindowKind::Session { gap: Some(gap) } => format!("of sessions, gap {} us", gap.as_micros()),
        WindowKind::Session { gap: None } => "of sessions, gap by row".to_owned(),
        WindowKind::Same => "of the aggregate below".to_owned(),
    }
}

/// A plan with the types of its columns.
fn plan_lines(plan: &LogicalPlan) -> String {
    let mut text = String::new();
    for line in plan.display_indent_schema().to_string().lines() {
        let _ = writeln!(text, "  {line}");
    }
    text
}

impl Pipeline {
    /// The pipeline as canonical text, a fact a line: what a data directory keeps, so that a changed pipeline can be refused with the
    /// lines that differ. What may change freely is not in it: schedules, where reference data lies, and how often it is looked at.
    #[must_use]
    pub fn description(&self) -> String {
        let mut text = format!("pipeline v{VERSION}\n");
        for (name, table) in &self.tables {
            let _ = writeln!(text, "table {name}: {}{}", table.spec.fingerprint(), binding(table));
        }
        for flow in &self.flows {
            let _ = writeln!(text, "flow {}: {} into {}", flow.id, flow.source, flow.target);
            text.push_str(&flow_lines(flow));
            text.push_str(&plan_lines(&flow.plan));
        }
        for job in &self.jobs {
            let _ = writeln!(text, "job {}", job.report);
            text.push_str(&plan_lines(&job.plan));
        }
        text
    }
}

fn binding(table: &Table) -> String {
    match &table.binding {
        Binding::Topic(topic) => {
            let mode = match topic.mode {
                ParseMode::DeadLetter => "",
                ParseMode::Permissive => "; permissive",
            };
            let keys =
                if topic.key_columns.is_empty() { String::new() } else { format!("; key columns ({})", topic.key_columns.join(", ")) };
            let output =
                topic.output.as_ref().map_or_else(String::new, |format| format!("; written as {}", format.description(&table.spec.schema)));
            let format = if is_usual(topic) { String::new() } else { format!("; values {:?}", topic.format) };
            format!("; topic {}{mode}{keys}{format}{output}", topic.name)
        }
        Binding::ExistingTable => "; of other services".to_owned(),
        _ => String::new(),
    }
}

/// Whether the topic's values are what its `value.format` alone says.
fn is_usual(topic: &Topic) -> bool {
    let usual = match topic.output {
        // The table's own schema, or the message: they stand there already.
        Some(ValueFormat::Avro | ValueFormat::Protobuf(_)) => return true,
        Some(ValueFormat::Csv) => ReadFormat::Csv(CsvStyle { exact: true, ..CsvStyle::default() }, TimeFormats::default()),
        Some(ValueFormat::Json) | None => ReadFormat::default(),
    };
    topic.format == usual
}

/// A column with its type, as the language writes it.
pub(crate) fn column(field: &arrow::datatypes::Field) -> String {
    let not_null = if field.is_nullable() { "" } else { " NOT NULL" };
    format!("{} {}{not_null}", field.name(), sql_type(field.data_type()))
}
