//! [`EventStore`] and [`ChangeFeed`]: rows by partition and clustering key, and what changed in them, boxes 3 and 4 of the
//! architecture; and [`EpochSink`], how a flow writes into either kind of table.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::batches::BatchStream;
use crate::change::ChangeBatch;
use crate::error::Result;
use crate::ident::{Attempt, Epoch, FlowId};
use crate::table::TableSpec;
use crate::value::Value;

/// The name of the version column (`Int64`, microseconds) that a [`Scan`] adds on request.
pub const VERSION_COLUMN: &str = "_version";

/// One epoch of one flow: rows for one table.
#[derive(Clone, Debug)]
pub struct EpochWrite {
    /// The flow that writes.
    pub flow: FlowId,
    /// Its attempt, from the checkpoint store.
    pub attempt: Attempt,
    /// The epoch; one greater than the last committed one.
    pub epoch: Epoch,
    /// The table.
    pub table: String,
    /// The changes, in order; may be empty. Keys may repeat.
    pub changes: Vec<ChangeBatch>,
}

/// What a reader can see of an epoch that is being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Nothing before it is committed, then all of it.
    Epoch,
    /// Row by row as they are written. After a crash the same rows, or newer versions of them, are written again, so that the table converges.
    Row,
}

/// What flows write to.
///
/// **Atomicity.** An epoch becomes visible whole, with its number, in one step; a write that fails or is dropped leaves nothing
/// that a reader sees. A system without transactions says so by [`isolation`](Self::isolation): there rows may show before their
/// epoch's number does, and everything else of this contract holds. **Order.** For one key the change with the greater version wins,
/// whatever the order of arrival; of equal versions the later write wins (a replay writes the same row). A system that resolves writes
/// by itself keeps this within an epoch; of equal versions in different epochs there a delete wins, and else its own rule decides, always
/// alike. A delete wins over all lower versions. **Idempotence.** Writing an epoch that is committed already changes nothing and
/// succeeds. **Fencing.** A write by a lower attempt than the highest that began is [`Fenced`](crate::ErrorKind::Fenced); an epoch that
/// leaves a gap is [`InvalidInput`](crate::ErrorKind::InvalidInput).
/// **Durability** is that of the event log.
#[async_trait]
pub trait EpochSink: Send + Sync {
    /// Fences all lower attempts of `flow` and returns its last committed epoch in `table` (0 before the first).
    async fn begin(&self, flow: &FlowId, attempt: Attempt, table: &str) -> Result<Epoch>;

    /// Writes an epoch and commits it. Returns how many rows now stand differently in the table; where the system can't tell, how
    /// many it was given.
    async fn commit(&self, write: EpochWrite) -> Result<u64>;

    /// What readers may see of an epoch that is being written.
    fn isolation(&self) -> Isolation {
        Isolation::Epoch
    }
}

/// A bound of a range of clustering keys: values for a prefix of the clustering columns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bound {
    /// No bound.
    #[default]
    Unbounded,
    /// From, or up to, this prefix, with all rows that begin with it.
    Included(Vec<Value>),
    /// From, or up to, this prefix, without the rows that begin with it.
    Excluded(Vec<Value>),
}

/// Where the next page begins. Opaque; valid for the same query only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PageToken(pub String);

/// A read of one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionQuery {
    /// One value for each partition column, in order.
    pub partition: Vec<Value>,
    /// Rows whose clustering key begins with these values (for the first clustering columns, in order); empty: all.
    pub prefix: Vec<Value>,
    /// The lower bound by *value* of the clustering column after `prefix`, whatever its direction.
    pub lower: Bound,
    /// The upper bound by *value* of the clustering column after `prefix`.
    pub upper: Bound,
    /// Whether to walk the partition backwards.
    pub reverse: bool,
    /// At most so many rows; 0: the store's page size.
    pub limit: usize,
    /// Go on after this page.
    pub page: Option<PageToken>,
}

/// Rows of a partition in clustering order.
#[derive(Clone, Debug)]
pub struct Page {
    /// The rows; all columns of the table and then [`VERSION_COLUMN`].
    pub rows: RecordBatch,
    /// Where to go on; `None`: this was the last.
    pub next: Option<PageToken>,
}

/// What a scan reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// The columns by index, in this order; `None`: all.
    pub columns: Option<Vec<usize>>,
    /// Only this partition (one value for each partition column).
    pub partition: Option<Vec<Value>>,
    /// Whether [`VERSION_COLUMN`] is added as the last column.
    pub with_version: bool,
}

/// Tables of rows by partition key and clustering key.
///
/// Expired rows (version plus the table's TTL is not after the clock's now) are not seen by any read.
/// An unknown table is [`NotFound`](crate::ErrorKind::NotFound).
#[async_trait]
pub trait EventStore: EpochSink {
    /// Makes the table known. [`AlreadyExists`](crate::ErrorKind::AlreadyExists) shows both shapes when it exists with another.
    async fn ensure_table(&self, spec: &TableSpec) -> Result<()>;

    /// Makes a table known that exists already and that other services write (`CREATE TABLE ... USING cassandra` without a query): only
    /// reads of it are possible. [`NotFound`](crate::ErrorKind::NotFound) where it is absent, [`AlreadyExists`](crate::ErrorKind::AlreadyExists)
    /// with both shapes where it is another, [`Unsupported`](crate::ErrorKind::Unsupported) where nobody else could have made one.
    async fn bind_table(&self, spec: &TableSpec) -> Result<()> {
        let _ = self;
        Err(crate::error::Error::unsupported(format!(
            "table {}: the built-in event store has no tables of other services; configure [cassandra]",
            spec.name
        )))
    }

    /// Rows of one partition. [`InvalidInput`](crate::ErrorKind::InvalidInput) for values that don't fit the key's columns.
    async fn read_partition(&self, table: &str, query: &PartitionQuery) -> Result<Page>;

    /// A consistent view of all tables: every epoch is in it whole or not at all.
    async fn snapshot(&self) -> Result<Arc<dyn StoreSnapshot>>;

    /// Removes a table, its rows, its feed and its flows' epochs; unknown is fine.
    async fn drop_table(&self, table: &str) -> Result<()>;
}

/// A view of the event store at one moment; later writes don't show.
#[async_trait]
pub trait StoreSnapshot: Send + Sync {
    /// Whether it is one. A store that can't keep a moment (Cassandra) says no: then each row is as it was last committed when it was read, later
    /// writes may show, and whoever reads says so (`system.jobs`).
    fn is_consistent(&self) -> bool {
        true
    }

    /// The committed epoch of every flow into `table`.
    async fn epochs(&self, table: &str) -> Result<BTreeMap<FlowId, Epoch>>;

    /// The rows of a table, partition by partition, each in clustering order; partitions are in no particular order.
    async fn scan(&self, table: &str, scan: &Scan) -> Result<BatchStream>;
}

/// A place in a feed range: a token of the store, opaque to everybody else. The empty one is the beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FeedPosition(pub String);

/// Changes read from a feed range.
#[derive(Clone, Debug)]
pub struct FeedPage {
    /// The changes in commit order: kind, version and the row after it (of a delete only the key columns; the others are null).
    /// Each row's source position is the range and a sequence that rises within the range.
    pub changes: ChangeBatch,
    /// Where to go on.
    pub next: FeedPosition,
    /// About how many changes wait after `next`.
    pub pending: u64,
}

/// The change feed of event-store tables.
///
/// Each table's feed is split into ranges (numbered from 0, fixed for the table's life); all changes of one partition key are in
/// one range, in commit order. A change shows once its epoch has committed, each exactly once, with the kind that it had on the
/// table: a row that a write left as it was (an older version, a byte-equal replay) is no change; expiry is no change.
/// A position from another table, or beyond the feed's end, is [`OutOfRange`](crate::ErrorKind::OutOfRange).
#[async_trait]
pub trait ChangeFeed: Send + Sync {
    /// How many ranges the feed of `table` has.
    async fn ranges(&self, table: &str) -> Result<i32>;

    /// Up to `limit` changes of a range after `after`. An empty page means caught up only if `pending` is 0.
    async fn read(&self, table: &str, range: i32, after: &FeedPosition, limit: usize) -> Result<FeedPage>;

    /// Resolves when some range `r` has changes after `seen[r]` (at once if it has).
    async fn wait(&self, table: &str, seen: &[FeedPosition]) -> Result<()>;
}
