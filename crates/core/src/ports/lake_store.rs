//! [`LakeStore`]: files that flows append to in a data lake.

use async_trait::async_trait;

use super::event_store::EpochSink;
use crate::batches::BatchStream;
use crate::error::Result;
use crate::table::TableSpec;

/// Tables of files, append-only.
///
/// Epochs ([`EpochSink`]) only add rows: a change that is a delete is [`InvalidInput`](crate::ErrorKind::InvalidInput). Rows are
/// kept in files that are rolled by size and time; a manifest says which files and epochs count, so that a reader of the manifest sees each
/// committed row once. What is committed is durable, also while its file is not full yet.
#[async_trait]
pub trait LakeStore: EpochSink {
    /// Makes the table known. [`AlreadyExists`](crate::ErrorKind::AlreadyExists) shows both shapes when it exists with another.
    async fn ensure_table(&self, spec: &TableSpec) -> Result<()>;

    /// All committed rows, file by file in the order of their epochs: the columns at `columns`, or all.
    async fn scan(&self, table: &str, columns: Option<Vec<usize>>) -> Result<BatchStream>;

    /// Removes a table, its files and its flows' epochs; unknown is fine.
    async fn drop_table(&self, table: &str) -> Result<()>;
}
