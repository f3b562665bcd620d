//! The records of a topic's partitions in one order: by version, then partition. It reads through the log's port, and decodes nothing.

use std::sync::Arc;
use std::vec::IntoIter;

use millstream_core::ports::{Clock, EventLog, Record};
use millstream_core::time::next_version;
use millstream_core::{Error, Offset, Result, Timestamp, TopicPartition, Version};

use super::together::READS_A_CHUNK;
use super::{ChunkLimit, PartitionState, SourcePosition, SourceState};

/// Where a partition of a topic goes on.
pub(super) fn offset_of(partition: &PartitionState) -> Result<i64> {
    match partition.position {
        SourcePosition::Offset(offset) => Ok(offset),
        SourcePosition::Feed(_) => Err(Error::corrupt("a topic's checkpoint holds a feed position")),
    }
}

/// What the key and the value of a record take, in bytes.
pub(super) fn bytes_of(record: &Record) -> usize {
    record.value.as_ref().map_or(0, bytes::Bytes::len) + record.key.as_ref().map_or(0, bytes::Bytes::len)
}

/// Records of one partition that were read and not yet taken.
struct Buffer {
    records: IntoIter<Record>,
    /// The offset after the last buffered record.
    next: i64,
    /// The log's end when it was last read.
    end: i64,
    /// What is taken so far: the state that the chunk leaves behind.
    position: i64,
    version: Version,
}

impl Buffer {
    fn at(offset: i64, version: Version) -> Self {
        Self { records: Vec::new().into_iter(), next: offset, end: offset, position: offset, version }
    }

    fn start_at(&mut self, offset: i64, version: Version) {
        if self.position != offset || self.version != version {
            *self = Self::at(offset, version);
        }
    }

    fn is_empty(&self) -> bool {
        self.records.len() == 0
    }

    /// The version that the next buffered record gets.
    fn head(&self) -> Option<Version> {
        self.records.as_slice().first().map(|r| next_version(self.version, r.timestamp))
    }
}

/// Where a record stands in the merged order: its version, and its partition.
type Mark = (Version, usize);

/// The least of what partitions begin with, and the least of the others. Pure.
fn first_two(heads: &[Option<Mark>]) -> (Option<Mark>, Option<Mark>) {
    heads.iter().flatten().fold((None, None), |(first, second), mark| match (first, second) {
        (Some(first), None) if *mark > first => (Some(first), Some(*mark)),
        (Some(first), Some(second)) if *mark > first => (Some(first), Some(second.min(*mark))),
        (first, _) => (Some(*mark), first),
    })
}

/// Records taken from the partitions, in merged order.
pub(super) struct Taken {
    /// The state before the first one, and after the last.
    pub(super) start: SourceState,
    pub(super) end: SourceState,
    pub(super) records: Vec<Record>,
    /// The partition of each, its offset, and its version.
    pub(super) partitions: Vec<i32>,
    pub(super) offsets: Vec<i64>,
    pub(super) versions: Vec<i64>,
    /// For each partition, whether it was read to its end, and the moment of which that is true.
    pub(super) at_end: Vec<bool>,
    pub(super) seen_at: Timestamp,
    /// What they take, in bytes.
    pub(super) bytes: usize,
    /// How many records wait behind them.
    pub(super) lag: u64,
    /// Whether the limit of rows or bytes ended it, so that more is there to be taken at once.
    pub(super) is_full: bool,
}

/// Merges the partitions of one topic.
pub(super) struct Merge {
    log: Arc<dyn EventLog>,
    clock: Arc<dyn Clock>,
    topic: String,
    buffers: Vec<Buffer>,
    /// For each partition, the offset at which it ends for this reader; none: where the log ends.
    ends: Vec<i64>,
    /// How many records the last call took.
    taken_last: usize,
}

impl Merge {
    /// Of `topic`, from wherever it is asked for first.
    pub(super) fn new(log: Arc<dyn EventLog>, clock: Arc<dyn Clock>, topic: String) -> Self {
        Self { log, clock, topic, buffers: Vec::new(), ends: Vec::new(), taken_last: 0 }
    }

    /// The same, as if each partition ended at its offset in `ends`.
    pub(super) fn ending_at(self, ends: Vec<i64>) -> Self {
        Self { ends, ..self }
    }

    /// Takes the records after `from`, until the limit, or until every partition is read to its end. What was read beyond that is kept for the
    /// next call, if it goes on there.
    pub(super) async fn take(&mut self, from: &SourceState, limit: ChunkLimit) -> Result<Taken> {
        self.buffers.resize_with(from.partitions.len(), || Buffer::at(0, Version::MIN));
        for (buffer, partition) in self.buffers.iter_mut().zip(&from.partitions) {
            buffer.start_at(offset_of(partition)?, partition.version);
        }
        let room = self.taken_last;
        let mut taken = Taken {
            start: from.clone(),
            end: SourceState::default(),
            records: Vec::with_capacity(room),
            partitions: Vec::with_capacity(room),
            offsets: Vec::with_capacity(room),
            versions: Vec::with_capacity(room),
            at_end: Vec::new(),
            seen_at: self.clock.now(),
            bytes: 0,
            lag: 0,
            is_full: false,
        };
        for p in 0..self.buffers.len() {
            if self.buffers[p].is_empty() {
                self.refill(p, limit.bytes_max).await?;
            }
        }
        let bytes_max = limit.bytes_max.saturating_mul(READS_A_CHUNK);
        let mut heads: Vec<Option<Mark>> = (0..self.buffers.len()).map(|p| self.head(p)).collect();
        while let (Some(first), other) = first_two(&heads)
            && first <= limit.mark_max
        {
            taken.is_full = taken.records.len() >= limit.rows_max || taken.bytes >= bytes_max;
            if taken.is_full {
                break;
            }
            let (_, p) = first;
            // The records of this partition that come before those of all others.
            let last = other.map_or(limit.mark_max, |other| other.min(limit.mark_max));
            let buffer = &mut self.buffers[p];
            while let Some(version) = buffer.head().filter(|version| (*version, p) <= last)
                && taken.records.len() < limit.rows_max
                && taken.bytes < bytes_max
                && let Some(record) = buffer.records.next()
            {
                buffer.position = record.offset.0 + 1;
                buffer.version = version;
                taken.bytes += bytes_of(&record);
                taken.partitions.push(i32::try_from(p).unwrap_or(i32::MAX));
                taken.offsets.push(record.offset.0);
                taken.versions.push(version.0);
                taken.records.push(record);
            }
            if buffer.is_empty() {
                buffer.position = buffer.next;
                if buffer.next < buffer.end {
                    // Older records of this partition may be unread: without them the merged order isn't known.
                    self.refill(p, limit.bytes_max).await?;
                }
            }
            heads[p] = self.head(p);
        }
        taken.end = self.state();
        taken.at_end = self.buffers.iter().map(|b| b.is_empty() && b.next >= b.end).collect();
        taken.lag = self.buffers.iter().map(|b| u64::try_from(b.end - b.position).unwrap_or(0)).sum();
        self.taken_last = taken.records.len();
        Ok(taken)
    }

    /// Where the next buffered record of partition `p` stands.
    fn head(&self, p: usize) -> Option<Mark> {
        self.buffers[p].head().map(|version| (version, p))
    }

    /// Reads more of partition `p`, whose buffer is empty.
    async fn refill(&mut self, p: usize, bytes_max: usize) -> Result<()> {
        let partition = TopicPartition::new(self.topic.clone(), i32::try_from(p).unwrap_or(i32::MAX));
        // A partition that the topic has got since ends before its beginning for a reader that doesn't know it.
        let beyond = if self.ends.is_empty() { i64::MAX } else { i64::MIN };
        let end = self.ends.get(p).copied().unwrap_or(beyond);
        let buffer = &mut self.buffers[p];
        if buffer.next >= end {
            buffer.end = buffer.next;
            return Ok(());
        }
        let mut outcome = self.log.read(&partition, Offset(buffer.next), bytes_max).await?;
        if outcome.next.0 > end {
            outcome.records.retain(|record| record.offset.0 < end);
        }
        buffer.records = outcome.records.into_iter();
        buffer.next = outcome.next.0.min(end);
        buffer.end = outcome.bounds.end.0.min(end);
        if buffer.is_empty() {
            // Nothing but control records up to there: they are taken by passing over them.
            buffer.position = buffer.next;
        }
        Ok(())
    }

    fn state(&self) -> SourceState {
        let partitions = self.buffers.iter();
        SourceState {
            partitions: partitions.map(|b| PartitionState { position: SourcePosition::Offset(b.position), version: b.version }).collect(),
            starts: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
