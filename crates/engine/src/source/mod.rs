//! Sources: a topic or a change feed, read in [`Chunk`]s that all flows of the source share.
//!
//! A chunk takes the records of all partitions **merged in the order of their versions** (for records of a topic, in effect of their
//! timestamps), never one partition ahead of another that still has older records. So which rows are late follows from the data, and
//! not from how partitions happened to be read; and a catch-up does not inflate window state.
//!
//! This module knows logs and feeds through their ports, and nothing of flows: a flow asks for the chunk after a [`SourceState`]
//! and keeps that state in its checkpoint.

mod again;
mod ahead;
mod cursor;
mod decode;
mod feed;
mod grown;
mod merge;
mod several;
mod together;
mod topic;

use std::sync::Arc;

use arrow::datatypes::Schema;
use async_trait::async_trait;
use bytes::Bytes;
use millstream_core::{ChangeBatch, Error, FlowId, Result, RowPosition, Timestamp, Version};
use serde::{Deserialize, Serialize};

pub use cursor::{SharedSource, SourceCursor};
pub(crate) use decode::learn_schemas;
pub use feed::FeedReader;
pub use several::SeveralSources;
pub use topic::{TopicReader, TopicSource};

/// The header that names the flows a record is for, separated by commas: a replayed record carries it. Without it, all flows take the record.
pub const DIRECTED_HEADER: &str = "millstream-flows";

/// Where a flow stands in its source: what its checkpoint keeps of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceState {
    /// One for each partition of the topic, or range of the feed.
    pub partitions: Vec<PartitionState>,
    /// Of several sources read as one, whose partitions stand one behind the other: where those of each but the first begin.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub starts: Vec<usize>,
}

/// Where a flow stands in one partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionState {
    /// The next record to read.
    pub position: SourcePosition,
    /// The version of the last record read; the next one's is greater.
    pub version: Version,
}

/// The next record of a partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourcePosition {
    /// An offset of a topic's partition.
    Offset(i64),
    /// A token of a feed range.
    Feed(String),
}

impl SourceState {
    /// Where this state lies in the merged order: the version and the partition of the last record that it covers.
    #[must_use]
    pub fn mark(&self) -> (Version, usize) {
        self.partitions.iter().enumerate().map(|(p, state)| (state.version, p)).max().unwrap_or((Version::MIN, 0))
    }

    /// What its partitions take, in bytes.
    fn held_bytes(&self) -> usize {
        let token = |partition: &PartitionState| match &partition.position {
            SourcePosition::Offset(_) => 0,
            SourcePosition::Feed(token) => token.len(),
        };
        self.partitions.iter().map(|partition| size_of::<PartitionState>() + token(partition)).sum()
    }

    /// Of several sources, where the partitions of this one begin.
    #[must_use]
    pub fn start_of(&self, source: usize) -> usize {
        source.checked_sub(1).map_or(0, |before| self.starts.get(before).copied().unwrap_or(self.partitions.len()))
    }

    /// Of several sources, the state of this one.
    #[must_use]
    pub fn of_source(&self, source: usize) -> Self {
        let partitions = self.partitions.get(self.start_of(source)..self.start_of(source + 1)).unwrap_or_default().to_vec();
        Self { partitions, starts: Vec::new() }
    }

    /// Of several sources, which one has `partition`, and its number there.
    #[must_use]
    pub fn source_of(&self, partition: usize) -> (usize, usize) {
        let source = self.starts.iter().take_while(|start| **start <= partition).count();
        (source, partition - self.start_of(source))
    }

    /// [`source_of`](Self::source_of) a row, and its position there.
    #[must_use]
    pub fn position_in_source(&self, position: RowPosition) -> (usize, RowPosition) {
        let Ok(partition) = usize::try_from(position.partition) else { return (0, position) };
        let (source, partition) = self.source_of(partition);
        (source, RowPosition { partition: i32::try_from(partition).unwrap_or(i32::MAX), ..position })
    }

    /// Where a row of source `source` stands among the partitions of all.
    #[must_use]
    pub fn position_among_all(&self, source: usize, position: RowPosition) -> RowPosition {
        let start = i32::try_from(self.start_of(source)).unwrap_or(i32::MAX);
        RowPosition { partition: position.partition.saturating_add(start), ..position }
    }
}

/// A piece of a source's input: rows in merged order.
#[derive(Debug)]
pub struct Chunk {
    /// The state that it begins at.
    pub start: SourceState,
    /// The state after it.
    pub end: SourceState,
    /// The rows, with versions and positions.
    pub changes: ChangeBatch,
    /// Of several sources read as one: the rows of each but the first, with its own columns.
    pub further: Vec<ChangeBatch>,
    /// Records that aren't rows.
    pub rejected: Vec<RejectedRecord>,
    /// Rows that only the named flows take, by row number, rising; the rows of a further source are numbered after those before it.
    pub directed: Vec<(u32, Arc<[FlowId]>)>,
    /// For each partition, whether the chunk reached its end.
    pub at_end: Vec<bool>,
    /// The moment of which that is true: a chunk may be processed long after it was read.
    pub seen_at: Timestamp,
    /// About how many records wait behind it.
    pub lag: u64,
    /// About how much memory it takes, in bytes.
    pub bytes: usize,
}

impl Chunk {
    /// Nothing, at `at`.
    pub(crate) fn nothing(at: SourceState, now: Timestamp) -> Self {
        let changes = ChangeBatch::empty(Arc::new(Schema::empty()));
        let (further, rejected, directed, at_end) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { start: at.clone(), end: at, changes, further, rejected, directed, at_end, seen_at: now, lag: 0, bytes: 0 }
    }

    /// How many records it covers.
    #[must_use]
    pub fn records(&self) -> usize {
        self.changes.len() + self.further.iter().map(ChangeBatch::len).sum::<usize>() + self.rejected.len()
    }

    /// About how much memory it takes with what it says of its partitions, in bytes: of a small chunk, that is most of it.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let states = self.start.held_bytes() + self.end.held_bytes() + self.at_end.len();
        size_of::<Self>() + states + self.bytes
    }

    /// How many of them `flow` takes: those that were published again for other flows alone are not among them.
    #[must_use]
    pub fn records_for(&self, flow: &FlowId) -> usize {
        let rows = self.directed.iter().filter(|(_, flows)| !flows.contains(flow)).count();
        let rejected = self.rejected.iter().filter(|record| !record.is_for(flow)).count();
        self.records() - rows - rejected
    }

    /// The rows of each source.
    pub fn sources(&self) -> impl Iterator<Item = &ChangeBatch> {
        std::iter::once(&self.changes).chain(&self.further)
    }

    /// Whether nothing was there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }
}

/// A record that is not a row of the source's columns.
#[derive(Clone, Debug)]
pub struct RejectedRecord {
    /// Where it is.
    pub position: RowPosition,
    /// Its timestamp.
    pub timestamp: Timestamp,
    /// Its raw key.
    pub key: Option<Bytes>,
    /// Its raw value.
    pub value: Option<Bytes>,
    /// What is wrong with it.
    pub reason: String,
    /// The flows it is for; `None`: all.
    pub directed: Option<Arc<[FlowId]>>,
}

impl RejectedRecord {
    /// Whether `flow` takes it.
    #[must_use]
    pub fn is_for(&self, flow: &FlowId) -> bool {
        self.directed.as_ref().is_none_or(|flows| flows.contains(flow))
    }
}

/// Where to stop a chunk.
#[derive(Clone, Copy, Debug)]
pub struct ChunkLimit {
    /// At most so many records.
    pub rows_max: usize,
    /// About so many bytes read from a partition at a time; a chunk takes a small multiple of them.
    pub bytes_max: usize,
    /// No record after this place in the merged order: a version and a partition.
    pub mark_max: (Version, usize),
}

/// Reads a source piece by piece. A reader may keep what it read ahead; asked for another state than it left off at, it starts over there.
#[async_trait]
pub trait ChunkReader: Send + Sync {
    /// The chunk after `from`; empty when nothing is there.
    async fn chunk(&mut self, from: &SourceState, limit: ChunkLimit) -> Result<Chunk>;
}

/// A source of chunks: a topic or a feed.
#[async_trait]
pub trait ChunkSource: Send + Sync {
    /// The state before the first record that is kept.
    async fn beginning(&self) -> Result<SourceState>;

    /// A reader of its own.
    fn reader(&self) -> Result<Box<dyn ChunkReader>>;

    /// The chunk between two places that a chunk once lay between, with the same rows in the same order. Topics alone give it, however many records lie there:
    /// a feed need not show again what it has shown. [`OutOfRange`](millstream_core::ErrorKind::OutOfRange) where the records are gone.
    async fn again(&self, from: &SourceState, to: &SourceState) -> Result<Chunk> {
        let _ = (from, to);
        Err(Error::internal("only the records of a topic can be read again"))
    }

    /// A reader for which topics end where `until` stands in them. What a flow that stands there has read is exactly that, and not what lies before
    /// its last record in the merged order: a partition may have got older records since. A feed is read to its end.
    fn reader_until(&self, until: &SourceState) -> Result<Box<dyn ChunkReader>> {
        let _ = until;
        self.reader()
    }

    /// Resolves when there are records after `state`.
    async fn wait(&self, state: &SourceState) -> Result<()>;

    /// About how many records there are after `state`; 0 only if there are none.
    async fn lag(&self, state: &SourceState) -> Result<u64>;
}
