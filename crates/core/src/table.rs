//! What a table of the pipeline is: its name, columns, key and expiry, as every adapter gets to see it.

use std::time::Duration;

use arrow::datatypes::{DataType, Schema, SchemaRef, TimeUnit};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::key::{KeySpec, can_be_key};

/// The role of a table in the architecture, and with it the port that serves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TableKind {
    /// A topic (`USING kafka`): [`EventLog`](crate::ports::EventLog), and [`TopicSink`](crate::ports::TopicSink) where a flow writes it.
    Topic,
    /// An event-store table (`USING cassandra`): [`EventStore`](crate::ports::EventStore).
    EventStore,
    /// A table of critical events (`USING redis`): [`CriticalStore`](crate::ports::CriticalStore).
    Critical,
    /// Reference data (`USING parquet`, `csv`, `json`): [`ReferenceSource`](crate::ports::ReferenceSource).
    Reference,
    /// A relational table (`CREATE MATERIALIZED VIEW` or `CREATE STREAMING TABLE`, `USING postgresql`): [`ReportStore`](crate::ports::ReportStore).
    Report,
    /// Files that a flow appends to (`CREATE STREAMING TABLE ... USING parquet`): [`LakeStore`](crate::ports::LakeStore).
    Lake,
    /// A table about Millstream itself (`system.*`): [`SystemStore`](crate::ports::SystemStore).
    System,
}

impl TableKind {
    /// The word for it in messages and in `explain`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Topic => "topic",
            Self::EventStore => "event store",
            Self::Critical => "critical events",
            Self::Reference => "reference data",
            Self::Report => "report",
            Self::Lake => "data lake",
            Self::System => "system table",
        }
    }
}

/// A table: immutable once checked.
///
/// Column types are Arrow's: BOOLEAN `Boolean`, TINYINT to BIGINT `Int8` to `Int64`, FLOAT `Float32`, DOUBLE `Float64`,
/// DECIMAL(p, s) `Decimal128`, STRING `Utf8`, BINARY `Binary`, DATE `Date32`, TIMESTAMP `Timestamp(Microsecond, "UTC")`,
/// TIMESTAMP_NTZ `Timestamp(Microsecond, None)`. A nested type is stored as its Arrow counterpart.
#[derive(Clone, Debug, PartialEq)]
pub struct TableSpec {
    /// The name in the SQL, in lower case unless it was quoted.
    pub name: String,
    /// Its role.
    pub kind: TableKind,
    /// The user's columns, without hidden ones.
    pub schema: SchemaRef,
    /// Its primary key; empty for reference data, files, and topics but for those that flows write with a key.
    pub key: KeySpec,
    /// How long a row lives, counted from its version; `None`: for ever.
    pub ttl: Option<Duration>,
}

/// Whether a column can have this type: one of those in [`TableSpec`]'s documentation, or nested of them. What a system doesn't have of these,
/// its adapter's `check_table` refuses.
#[must_use]
pub fn is_column_type(data_type: &DataType) -> bool {
    match data_type {
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Utf8
        | DataType::Binary
        | DataType::Date32
        | DataType::Timestamp(TimeUnit::Microsecond, None) => true,
        DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) => zone.as_ref() == "UTC",
        DataType::Decimal128(precision, scale) => *precision <= 38 && u8::try_from(*scale).is_ok_and(|s| s <= *precision),
        DataType::List(item) => is_column_type(item.data_type()),
        DataType::Map(entries, _) => is_column_type(entries.data_type()),
        DataType::Struct(fields) => !fields.is_empty() && fields.iter().all(|f| is_column_type(f.data_type())),
        _ => false,
    }
}

/// Whether all maps in it have strings as keys, as JSON's objects have: what a system that holds nested values as JSON asks for.
#[must_use]
pub fn has_text_keys(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(item) => has_text_keys(item.data_type()),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => fields[0].data_type() == &DataType::Utf8 && has_text_keys(fields[1].data_type()),
            _ => false,
        },
        DataType::Struct(fields) => fields.iter().all(|f| has_text_keys(f.data_type())),
        _ => true,
    }
}

/// The Arrow type of Spark's TIMESTAMP.
#[must_use]
pub fn timestamp_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

impl TableSpec {
    /// Checks what no adapter can work without: a key where the kind needs one, of columns that exist and can be keys, each once; and
    /// that what doesn't expire has no TTL ([`Unsupported`](crate::ErrorKind::Unsupported)).
    pub fn validate(&self) -> Result<()> {
        let needs_key = matches!(self.kind, TableKind::EventStore | TableKind::Critical | TableKind::Report);
        if needs_key && self.key.is_empty() {
            return Err(Error::invalid(format!("table {} ({}) has no key", self.name, self.kind.as_str())));
        }
        if self.kind == TableKind::Report && self.ttl.is_some() {
            return Err(Error::unsupported(format!(
                "table {} ({}) can't have a ttl: its rows don't expire",
                self.name,
                self.kind.as_str()
            )));
        }
        let mut seen = Vec::new();
        for column in self.key.columns() {
            let field = self
                .schema
                .field_with_name(column)
                .map_err(|_| Error::invalid(format!("key column {column} of table {} is not one of its columns", self.name)))?;
            if !can_be_key(field.data_type()) {
                return Err(Error::invalid(format!(
                    "column {column} of table {} is a {} and can't be part of a key",
                    self.name,
                    field.data_type()
                )));
            }
            if seen.contains(&column) {
                return Err(Error::invalid(format!("key column {column} of table {} is named twice", self.name)));
            }
            seen.push(column);
        }
        Ok(())
    }

    /// A description that is equal exactly when two specs are: what an adapter keeps beside the data, to refuse another shape.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let columns: Vec<_> = self
            .schema
            .fields()
            .iter()
            .map(|f| format!("{} {}{}", f.name(), f.data_type(), if f.is_nullable() { "" } else { " NOT NULL" }))
            .collect();
        let clustering: Vec<_> = self.key.clustering.iter().map(|c| format!("{} {:?}", c.name, c.order)).collect();
        let ttl = self.ttl.map_or_else(|| "none".to_owned(), |t| format!("{}s", t.as_secs()));
        format!(
            "{} ({}); partition key ({}); clustering ({}); ttl {ttl}",
            self.kind.as_str(),
            columns.join(", "),
            self.key.partition.join(", "),
            clustering.join(", ")
        )
    }
}

/// `schema` with only the columns at `indices`, in that order; all of them for `None`.
pub fn project_schema(schema: &SchemaRef, indices: Option<&[usize]>) -> Result<SchemaRef> {
    match indices {
        None => Ok(schema.clone()),
        Some(indices) => Ok(std::sync::Arc::new(Schema::clone(schema).project(indices)?)),
    }
}
