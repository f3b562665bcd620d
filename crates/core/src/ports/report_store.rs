//! [`ReportStore`]: relational tables, published whole by batch jobs or upserted by flows, boxes 7 and 8 of the architecture.

use std::sync::Arc;

use arrow::array::RecordBatch;
use async_trait::async_trait;

use super::event_store::EpochSink;
use crate::batches::BatchStream;
use crate::error::Result;
use crate::table::TableSpec;
use crate::value::Value;

/// A report to be published.
pub struct Publication {
    /// The report's name.
    pub report: String,
    /// The run that made it; rises with every run of the report.
    pub run: u64,
    /// All its rows, of the report's columns.
    pub rows: BatchStream,
}

/// What a publication did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// Rows of the new report.
    pub rows: u64,
    /// Keys of the old report that the new one no longer has.
    pub removed: u64,
}

/// Relational tables by name: a report is either published whole by a job, or upserted continuously by flows.
///
/// **Atomicity.** A reader sees the old report or the new one, whole, and all reports of a [`ReportSnapshot`] as they were at one moment. A
/// publication that fails, or whose process dies, leaves the old one. **Flows** write by [`EpochSink`], whose contract holds in full: each epoch shows whole, of two writes of a primary key the
/// greater version wins, a delete is remembered as long as an older write could come, lower attempts are fenced. Rows of a report don't
/// expire: a TTL is [`Unsupported`](crate::ErrorKind::Unsupported). **One or the other.** What was published takes no epochs, and what
/// a flow has begun to write is not published: [`InvalidInput`](crate::ErrorKind::InvalidInput), until it is dropped.
/// **Errors.** [`InvalidInput`](crate::ErrorKind::InvalidInput) for two rows of a publication with one primary key, or a null in it: the
/// message names the key. [`Fenced`](crate::ErrorKind::Fenced) for a run lower than the published one.
/// [`NotFound`](crate::ErrorKind::NotFound) for a report that was never ensured.
#[async_trait]
pub trait ReportStore: EpochSink {
    /// Makes the report known, empty at first. [`AlreadyExists`](crate::ErrorKind::AlreadyExists) shows both shapes when it exists with another.
    async fn ensure_report(&self, spec: &TableSpec) -> Result<()>;

    /// Puts the new rows in the place of all old ones.
    async fn publish(&self, publication: Publication) -> Result<Published>;

    /// The run of the published report; `None` before the first, and for what flows write.
    async fn published_run(&self, report: &str) -> Result<Option<u64>>;

    /// A consistent view of all reports, as they are now.
    async fn snapshot(&self) -> Result<Arc<dyn ReportSnapshot>>;

    /// The row with this primary key (one value for each key column, in order), as a batch of at most one row.
    async fn get(&self, report: &str, key: &[Value]) -> Result<RecordBatch>;

    /// Removes a report, its rows and its flows' epochs; unknown is fine.
    async fn drop_report(&self, report: &str) -> Result<()>;
}

/// All reports at one moment; later publications and epochs don't show. Let go of it soon: a database keeps the old rows, and perhaps a
/// connection, as long as it or one of its streams lives.
#[async_trait]
pub trait ReportSnapshot: Send + Sync {
    /// All rows in key order, from one publication, or with each epoch whole or absent: the columns at `columns`, or all. Scans may be read
    /// side by side, at any pace; a stream may outlive the snapshot. [`NotFound`](crate::ErrorKind::NotFound) for a report that was never
    /// ensured; one that was made after the snapshot has no rows.
    async fn scan(&self, report: &str, columns: Option<Vec<usize>>) -> Result<BatchStream>;
}
