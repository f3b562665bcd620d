//! The checked graph: what the engine runs, what `explain` prints. Everything in it is resolved, typed and supported.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::logical_expr::{Expr, LogicalPlan};
use millstream_core::decode::{ReadFormat, Reading};
use millstream_core::ports::{TopicOutput, ValueFormat};
use millstream_core::style::{TextStyle, TimeFormats};
use millstream_core::{FlowId, TableSpec};

pub use millstream_core::decode::ParseMode;

use crate::signature::Signature;

/// The metadata columns of a topic, readable beside its own (after them in the scan's schema, in this order), not part of `*`:
/// `_key` BINARY, `_headers` ARRAY of STRUCT of `key` STRING and `value` BINARY, `_topic` STRING, `_partition` INT, `_offset` BIGINT,
/// `_timestamp` TIMESTAMP.
pub const TOPIC_METADATA: [&str; 6] = ["_key", "_headers", "_topic", "_partition", "_offset", "_timestamp"];

/// The name of the scalar function that stands for `window(time, size)` and `window(time, size, slide, start)` in a plan: its arguments
/// are the event time and lengths in microseconds as BIGINT literals, its result is `STRUCT<start TIMESTAMP NOT NULL, end TIMESTAMP NOT
/// NULL>`, null for a null time. Of sliding windows it gives the last one that holds the time; an `Aggregate` that groups by it means all
/// of them.
pub const WINDOW_FUNCTION: &str = "window";

/// The name of the scalar function that stands for `session_window(time, gap)` in a plan: the span of one row, of the type of a window,
/// from its time to the end of its gap (a BIGINT literal of microseconds, or a text that may differ by row). An `Aggregate` that groups
/// by it means the sessions that rows make whose spans meet.
pub const SESSION_FUNCTION: &str = "session_window";

/// The name of the scalar function that gives the time of a window's result: the last microsecond in the window.
pub const WINDOW_TIME_FUNCTION: &str = "window_time";

/// A checked pipeline.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// All tables, by name.
    pub tables: BTreeMap<String, Table>,
    /// All flows, in the order of the text.
    pub flows: Vec<Flow>,
    /// All batch jobs, in an order in which each comes after the reports it reads.
    pub jobs: Vec<Job>,
    /// What is allowed but doubtful, ready to print.
    pub warnings: Vec<String>,
}

impl Pipeline {
    /// The event-store tables whose rows are inserted once and never change: each is made of one record, by a flow that makes the same of
    /// it whenever it is made again, and its key holds the record's `_partition` and `_offset`.
    #[must_use]
    pub fn inserted_once(&self) -> BTreeSet<String> {
        crate::check::inserted::once(self)
    }
}

/// A table and who serves it.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its name, columns, key and expiry.
    pub spec: Arc<TableSpec>,
    /// What the statement's `USING` and options say.
    pub binding: Binding,
}

/// What a table's `USING` and options say.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one for each table")]
pub enum Binding {
    /// `USING kafka`.
    Topic(Topic),
    /// `CREATE STREAMING TABLE ... USING cassandra`.
    EventStore,
    /// `CREATE TABLE ... USING cassandra`: a table that exists already and that other services write.
    ExistingTable,
    /// `USING redis`.
    Critical(Critical),
    /// `CREATE TABLE ... USING parquet`, `csv`, `json`, `postgresql` or `mysql`.
    Reference(Reference),
    /// `USING postgresql`, where a job (`CREATE MATERIALIZED VIEW`) or flows (`CREATE STREAMING TABLE`) write it.
    Report,
    /// `CREATE STREAMING TABLE ... USING parquet`: files that flows append to.
    Lake,
}

impl Binding {
    /// Whether the event store holds it.
    #[must_use]
    pub fn is_event_store(&self) -> bool {
        matches!(self, Self::EventStore | Self::ExistingTable)
    }
}

/// A topic and how its values become rows, or rows its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// `subscribe`, or `topic` where flows write it: its name on the broker.
    pub name: String,
    /// `partitions`: with how many it is created (default 4).
    pub partitions: i32,
    /// `retention`: how long records are kept; `None`: the broker's default.
    pub retention: Option<Duration>,
    /// `mode`: what a malformed value becomes.
    pub mode: ParseMode,
    /// `key.columns`: columns that are read from the record key of a tombstone (a JSON object, or for one column a plain value), so that
    /// it deletes the row; without them a tombstone is a dead letter. Where flows write it, `key`: the columns that make the record key.
    pub key_columns: Vec<String>,
    /// What the value of a record is, and how it is read.
    pub format: ReadFormat,
    /// `columnNameOfCorruptRecord`: the column that gets the value of a record that wasn't wholly a row, in [`ParseMode::Permissive`].
    pub corrupt_record: Option<String>,
    /// `value.format` of a topic that flows write; `None`: producers write it.
    pub output: Option<ValueFormat>,
}

impl Topic {
    /// What a [`TopicSink`](millstream_core::ports::TopicSink) has to know; `None` where producers write the topic.
    #[must_use]
    pub fn to_output(&self) -> Option<TopicOutput> {
        Some(TopicOutput {
            topic: self.name.clone(),
            partitions: self.partitions,
            retention: self.retention,
            format: self.output.clone()?,
            style: match &self.format {
                ReadFormat::Json(times) => TextStyle { times: times.clone(), ..TextStyle::default() },
                ReadFormat::Csv(csv, times) => TextStyle { times: times.clone(), csv: csv.clone() },
                _ => TextStyle::default(),
            },
            key_columns: self.key_columns.clone(),
        })
    }

    /// How its records become rows.
    #[must_use]
    pub fn reading(&self) -> Reading {
        Reading {
            format: self.format.clone(),
            mode: self.mode,
            corrupt_record: self.corrupt_record.clone(),
            key_columns: self.key_columns.clone(),
        }
    }

    /// Whether what a flow wrote with these `columns` is read again exactly: a pattern of times may cut something off, and a Protobuf message has no
    /// null in place of a list or map.
    #[must_use]
    pub fn is_exact(&self, columns: &Schema) -> bool {
        let has_no_null = || columns.fields().iter().any(|field| list_may_be_null(field));
        self.format.times() == TimeFormats::default() && !(matches!(self.format, ReadFormat::Protobuf { .. }) && has_no_null())
    }
}

/// A redis table's way back to the event store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Critical {
    /// The flow that feeds it, and the event-store table that this flow reads; `None` when it isn't fed from one.
    pub base: Option<CriticalBase>,
}

/// Where a missing row of a redis table is loaded from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CriticalBase {
    /// The flow whose query makes the row.
    pub flow: FlowId,
    /// The event-store table that it reads.
    pub table: String,
    /// For each key column of the base table, in key order, the place of its value in the redis table's key.
    pub key: Vec<usize>,
}

/// Where reference data comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Files, or a database's table.
    pub origin: ReferenceOrigin,
    /// `refresh`: how often it is looked at for changes (default 1 minute).
    pub refresh: Duration,
}

/// What holds reference data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReferenceOrigin {
    /// `USING parquet`, `csv` or `json`.
    Files(ReferenceFiles),
    /// `USING postgresql` or `mysql`.
    Database(ReferenceDatabase),
}

/// Files of reference data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceFiles {
    /// What they are.
    pub format: ReferenceFormat,
    /// `LOCATION`, a path: as written when absolute, else below the folder of the SQL file that names it. Or what the configuration says,
    /// as it stands there: a path or a URL (`s3://bucket/airports.parquet`).
    pub location: String,
}

/// A database's table that is reference data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceDatabase {
    /// Which system.
    pub system: DatabaseSystem,
    /// `dbtable`: `table`, or `schema.table`.
    pub table: String,
    /// `filter`: a condition in the database's own SQL; only rows for which it is true belong to the table.
    pub filter: Option<String>,
}

/// Databases that hold reference data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseSystem {
    /// PostgreSQL.
    Postgresql,
    /// MySQL or MariaDB.
    Mysql,
}

/// File formats of reference data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferenceFormat {
    /// Apache Parquet.
    Parquet,
    /// CSV with a header line.
    Csv,
    /// One JSON object a line.
    Json,
}

/// A flow: a query over one stream, or over a join of two, that writes one table, for ever.
#[derive(Clone, Debug)]
pub struct Flow {
    /// Its name: the table's, or the `CREATE FLOW` statement's.
    pub id: FlowId,
    /// The table it writes.
    pub target: String,
    /// The topic or event-store table that it reads as a stream; in a join of two streams, the one on the left.
    pub source: String,
    /// The query: analysed (types coerced, Spark's rules applied) and with unused columns pruned. Its output has exactly the columns of
    /// the target, in order.
    ///
    /// Shape: any number of `Aggregate`s above one another. Of each, `group_expr[window.group]` is a [`WINDOW_FUNCTION`] or
    /// [`SESSION_FUNCTION`] call, over [`WINDOW_TIME_FUNCTION`] of the window below it where there is one; or, above another aggregate,
    /// that one's window itself. There is no other call of overlapping windows or sessions. Below the lowest one (or anywhere, where
    /// there is none) only `Projection`, `Filter`, `SubqueryAlias`, `Join` (inner, or left with the stream on the left; equality keys and
    /// an optional residual filter; the other side is a query over `references` alone) down to the one `TableScan` of `source`; or
    /// down to the one `Join` of two streams that `join` tells of (inner, left, right, full or left semi; equality keys and a residual filter that
    /// has the bounds in time), below whose sides there is the same, each down to its `TableScan`. Above the lowest aggregate only `Projection`,
    /// `Filter`, `SubqueryAlias`. A topic's scan has the topic's columns and then [`TOPIC_METADATA`].
    pub plan: LogicalPlan,
    /// What it joins as it is: reference tables, and reports that jobs publish.
    pub references: Vec<String>,
    /// `WATERMARK column DELAY OF INTERVAL ...` of `source`.
    pub watermark: Option<Watermark>,
    /// Set when `plan` joins `source` with another stream.
    pub join: Option<StreamJoin>,
    /// Set when `plan` has an `Aggregate`: the windows of the uppermost one.
    pub window: Option<Window>,
    /// The windows of the aggregates below it, the lowest first.
    pub inner_windows: Vec<Window>,
    /// `output_mode`.
    pub mode: OutputMode,
    /// What decides what the flow computes, part by part: kept in its checkpoints.
    pub signature: Signature,
    /// The same as text, with DataFusion's plan: in checkpoints that were written before there were signatures.
    pub fingerprint: String,
}

impl Flow {
    /// The tables that it reads as streams, each once: `source` first.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        let right = self.join.as_ref().map(|join| join.right.as_str()).filter(|right| *right != self.source);
        std::iter::once(self.source.as_str()).chain(right)
    }

    /// Whether it reads `table` as a stream.
    #[must_use]
    pub fn reads(&self, table: &str) -> bool {
        self.sources().any(|source| source == table)
    }
}

/// A side of a join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// What stands before `JOIN`.
    Left,
    /// What stands behind it.
    Right,
}

/// A join of a flow's `source` with another stream. Rows match only when their event times are near each other, so that a row is kept until
/// the watermark says that nothing can match it any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamJoin {
    /// The table on the right; may be the one on the left.
    pub right: String,
    /// Its watermark.
    pub right_watermark: Watermark,
    /// The columns of the event times, of the left input of the `Join` and of its right one.
    pub times: [usize; 2],
    /// Rows match only if the time of the right one is at least so many microseconds after that of the left one (negative: before).
    pub least_us: i64,
    /// And at most so many.
    pub greatest_us: i64,
    /// What the filter of the `Join` says beside: over the columns of both inputs.
    pub condition: Option<Expr>,
    /// The side of whose event times the windows are by which an aggregate above groups.
    pub window_side: Option<Side>,
}

/// A flow's watermark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watermark {
    /// The event-time column of the source.
    pub column: String,
    /// How far behind the greatest event time it stays.
    pub delay: Duration,
}

/// The windows by which an aggregate groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its place in the aggregate's group expressions.
    pub group: usize,
    /// Which windows they are.
    pub kind: WindowKind,
}

/// Kinds of windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowKind {
    /// Windows of one length at equal distances.
    Fixed(FixedWindows),
    /// Sessions: rows that follow one another within a gap.
    Session {
        /// `None` where it differs by row.
        gap: Option<Duration>,
    },
    /// The windows of the aggregate below, of whose results it is grouped again.
    Same,
}

/// Windows of length `size`, one every `slide`, of which one begins `start_us` after 1970-01-01T00:00:00Z. A time is in
/// `size / slide` of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedWindows {
    /// Their length.
    pub size: Duration,
    /// From the start of one to the start of the next; at most `size`.
    pub slide: Duration,
    /// Microseconds; less than `slide` in either direction.
    pub start_us: i64,
}

impl FixedWindows {
    /// Whether a time is in more than one window.
    #[must_use]
    pub fn overlap(&self) -> bool {
        self.slide < self.size
    }
}

/// When a window's row is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputMode {
    /// Once, when the watermark has passed its end. Also the mode of flows without a window.
    #[default]
    Append,
    /// At every epoch that changed it.
    Update,
}

/// A batch job: a query over tables that makes a report.
#[derive(Clone, Debug)]
pub struct Job {
    /// The report it publishes.
    pub report: String,
    /// The query, analysed. Its `TableScan`s name the pipeline's tables; their sources are to be replaced by the run's snapshot. Its
    /// output has exactly the columns of the report, in order.
    pub plan: LogicalPlan,
    /// The tables that it reads.
    pub inputs: Vec<String>,
    /// `schedule`: cron, five fields, UTC; validated. `None`: on demand only.
    pub schedule: Option<String>,
}

/// Whether a list or map that may be null is in the column.
fn list_may_be_null(field: &Field) -> bool {
    match field.data_type() {
        DataType::List(item) => field.is_nullable() || list_may_be_null(item),
        DataType::Map(entries, _) => field.is_nullable() || list_may_be_null(entries),
        DataType::Struct(fields) => fields.iter().any(|field| list_may_be_null(field)),
        _ => false,
    }
}
