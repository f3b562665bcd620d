//! [`CriticalStore`]: critical events by key, with expiry, box 9 of the architecture; and [`CriticalLoader`], its way back to the event store.

use arrow::array::RecordBatch;
use async_trait::async_trait;

use super::event_store::EpochSink;
use crate::batches::BatchStream;
use crate::error::Result;
use crate::table::TableSpec;
use crate::time::{Timestamp, Version};
use crate::value::Value;

/// A row of a redis table.
#[derive(Clone, Debug)]
pub struct CriticalRow {
    /// A batch of one row, of the table's columns.
    pub row: RecordBatch,
    /// Its version.
    pub version: Version,
    /// When it expires: version plus the table's TTL.
    pub expires: Option<Timestamp>,
}

/// Rows by key, each until it expires.
///
/// Writes arrive as epochs ([`EpochSink`]). A greater version wins, in whatever order writes, deletes and fills arrive; a delete is
/// remembered for as long as an older fill could come after it. An expired row is not seen by any read. Expiry is an absolute
/// instant, so writing a row again never extends it.
///
/// **Loss.** The table is a cache: a store of critical events is allowed to lose what it holds (Redis without AOF), and rows are then loaded
/// from the event store as they are read. When a flow's epochs are gone, [`begin`](EpochSink::begin) returns the last that is left, or 0. When they
/// went since the flow began, its next [`commit`](EpochSink::commit) leaves a gap and is refused as such: who then begins again sees why. Either way
/// the flow goes on from what is left, or builds the table again from the beginning of its source.
#[async_trait]
pub trait CriticalStore: EpochSink {
    /// Makes the table known. [`AlreadyExists`](crate::ErrorKind::AlreadyExists) shows both shapes when it exists with another.
    async fn ensure_table(&self, spec: &TableSpec) -> Result<()>;

    /// The row with this key (one value for each key column, in order).
    async fn get(&self, table: &str, key: &[Value]) -> Result<Option<CriticalRow>>;

    /// Puts a row that was loaded after a miss, unless the store has this version or a greater one, or a delete of one.
    async fn fill(&self, table: &str, row: &CriticalRow) -> Result<()>;

    /// All rows that have not expired, in key order: the columns at `columns`, or all.
    async fn scan(&self, table: &str, columns: Option<Vec<usize>>) -> Result<BatchStream>;

    /// Forgets all rows of a table (not its epochs): what losing the cache does. Reads then load from the event store.
    async fn evict_all(&self, table: &str) -> Result<()>;

    /// Removes a table, its rows and its flows' epochs; unknown is fine.
    async fn drop_table(&self, table: &str) -> Result<()>;
}

/// Loads a row of a redis table from its base table in the event store, by applying the table's query to the base row.
#[async_trait]
pub trait CriticalLoader: Send + Sync {
    /// The row that the table should hold for `key`, or `None` where its query yields none. An expired row is none.
    /// [`Unsupported`](crate::ErrorKind::Unsupported) for a table that isn't fed from an event-store table.
    async fn load(&self, table: &str, key: &[Value]) -> Result<Option<CriticalRow>>;
}
