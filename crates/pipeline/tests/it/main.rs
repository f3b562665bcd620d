//! Tests of the language through its public interface.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod flights;
mod functions;
mod golden;
mod joins;
mod language;
mod mutations;
mod nested;
mod signatures;
mod sinks;
mod spark;
mod surroundings;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use millstream_core::TableKind;
use millstream_pipeline::graph::{FixedWindows, Pipeline, Table, WindowKind};
use millstream_pipeline::{Diagnostics, SourceFile, parse};

/// The pipeline of DESIGN.md section 2, with all columns of the data.
pub const FLIGHTS: &str = include_str!("../flights.sql");

/// The columns of the flights example's reference files.
pub fn reference_schemas() -> BTreeMap<String, Result<SchemaRef, String>> {
    let strings = |names: &[&str]| -> Result<SchemaRef, String> {
        let fields: Vec<_> = names.iter().map(|n| Field::new(*n, DataType::Utf8View, true)).collect();
        Ok(Arc::new(Schema::new(fields)))
    };
    BTreeMap::from([("airlines".to_owned(), strings(&["carrier", "name"])), ("airports".to_owned(), strings(&["faa", "name", "tzone"]))])
}

/// Parses and checks one file.
pub fn check(text: &str) -> Result<Pipeline, Diagnostics> {
    let file = SourceFile { name: "pipeline.sql".to_owned(), text: text.to_owned() };
    parse(&[file])?.check(&reference_schemas())
}

/// The same, where it must succeed.
pub fn checked(text: &str) -> Pipeline {
    check(text).unwrap_or_else(|errors| panic!("{}", errors.render(false)))
}

/// Who serves a table where nothing is configured, for `explain`.
pub fn built_in(_: &str, table: &Table) -> String {
    let engine = match table.spec.kind {
        TableKind::Topic => "the built-in Kafka endpoint",
        TableKind::EventStore => "the built-in event store",
        TableKind::Critical => "the built-in cache",
        TableKind::Report => "the built-in report store",
        TableKind::Reference | TableKind::Lake | TableKind::System => "files",
    };
    engine.to_owned()
}

/// Windows of so many seconds that follow one another.
pub fn tumbling(seconds: u64) -> WindowKind {
    let size = Duration::from_secs(seconds);
    WindowKind::Fixed(FixedWindows { size, slide: size, start_us: 0 })
}
