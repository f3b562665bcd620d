//! [`EventLog`]: partitioned topics of records, box 1 of the architecture.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::Result;
use crate::ident::{FlowId, Offset, TopicPartition};
use crate::time::Timestamp;

/// A topic to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name: 1 to 249 characters of `a-z A-Z 0-9 . _ -`, not `.` or `..` (Kafka's rule).
    pub name: String,
    /// How many partitions, at least 1.
    pub partitions: i32,
    /// How long records are kept; `None`: the log's default.
    pub retention: Option<Duration>,
}

/// A topic that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicInfo {
    /// Its name.
    pub name: String,
    /// How many partitions; they are numbered from 0.
    pub partitions: i32,
}

/// A record as read from a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its offset.
    pub offset: Offset,
    /// The producer's time, or the log's where the producer gave none.
    pub timestamp: Timestamp,
    /// The key, where it has one.
    pub key: Option<Bytes>,
    /// The value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Headers, in order; names may repeat.
    pub headers: Vec<(String, Option<Bytes>)>,
}

/// A record to be appended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewRecord {
    /// The producer's time; `None`: the log takes its own clock's. Kept to the millisecond (Kafka's resolution); the epoch's very first
    /// millisecond may be taken for none.
    pub timestamp: Option<Timestamp>,
    /// The key.
    pub key: Option<Bytes>,
    /// The value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Headers.
    pub headers: Vec<(String, Option<Bytes>)>,
}

/// What a partition holds: offsets `start` (inclusive) to `end` (exclusive; the next record's offset).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogBounds {
    /// The first offset that is kept.
    pub start: Offset,
    /// The offset that the next record gets.
    pub end: Offset,
}

/// What a read found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadOutcome {
    /// The records in offset order, without doubles; offsets may have gaps. Empty when nothing is there yet.
    pub records: Vec<Record>,
    /// Where the next read goes on. Greater than the last record's offset, and than `from` unless nothing was there.
    pub next: Offset,
    /// The partition's bounds when it was read.
    pub bounds: LogBounds,
}

/// Partitioned, append-only topics.
///
/// **Order and durability.** Records of a partition have rising offsets in the order of their appends, and never change. An append
/// that returned is not lost by the death of the process (nor of the machine, where the log is configured to fsync), and is seen
/// by every later read. An append is atomic: all its records, one after the other, or none.
///
/// **Errors.** [`NotFound`](crate::ErrorKind::NotFound) for an unknown topic or partition;
/// [`OutOfRange`](crate::ErrorKind::OutOfRange) for a read before `start` or after `end` (never silently moved);
/// [`Exhausted`](crate::ErrorKind::Exhausted) when there is no room;
/// [`Corrupt`](crate::ErrorKind::Corrupt) when a stored batch fails its checksum.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// Which log this is: the same text for as long as its offsets mean the same, over restarts and by whatever address it is reached, and
    /// another for another log.
    async fn identity(&self) -> Result<String>;

    /// Creates a topic. `Ok(false)`: it exists already with as many partitions.
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists): with another number.
    async fn create_topic(&self, spec: &TopicSpec) -> Result<bool>;

    /// Deletes a topic with its records. Waiting readers get `NotFound`.
    async fn delete_topic(&self, topic: &str) -> Result<()>;

    /// All topics, by name.
    async fn topics(&self) -> Result<Vec<TopicInfo>>;

    /// Appends `records` (at least one) and returns the first one's offset.
    async fn append(&self, partition: &TopicPartition, records: Vec<NewRecord>) -> Result<Offset>;

    /// The partition's bounds.
    async fn bounds(&self, partition: &TopicPartition) -> Result<LogBounds>;

    /// The records from offset `from` on: at least one if there is one, and beyond it up to about `max_bytes` in all.
    /// `from == end` gives an empty outcome.
    async fn read(&self, partition: &TopicPartition, from: Offset, max_bytes: usize) -> Result<ReadOutcome>;

    /// Tells the log how far `reader` has come, for its own tools (a consumer group's committed offsets): `next[p]` is the offset that the
    /// reader will read next of partition `p`, everything before it is acknowledged by the reader's sink. Nobody resumes from it.
    async fn acknowledge(&self, reader: &FlowId, topic: &str, next: &[Offset]) -> Result<()> {
        let _ = (reader, topic, next);
        Ok(())
    }

    /// Resolves when some partition `p` of `topic` has an end greater than `seen[p]` (at once if it has).
    async fn wait(&self, topic: &str, seen: &[Offset]) -> Result<()>;
}
