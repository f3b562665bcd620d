//! The records of an epoch: where each goes, and the header by which a reader, and a sink that comes back after a crash, knows it again.

use std::fmt;

use bytes::Bytes;

use super::{EncodedRecord, RowEncoder, partition_of_key, text};
use crate::change::ChangeBatch;
use crate::error::Result;
use crate::ident::{Attempt, Epoch, FlowId};
use crate::ports::{EpochWrite, NewRecord};

/// The name of the header that holds a record's [`EpochPosition`].
pub const POSITION_HEADER: &str = "millstream-position";

/// Where a record stands in what its flow has written. As text `flow/attempt/epoch/sequence`; two records of the same flow, epoch and
/// sequence are the same record, whichever attempt wrote them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EpochPosition {
    /// The flow that wrote it.
    pub flow: FlowId,
    /// The flow's attempt.
    pub attempt: Attempt,
    /// The epoch that it belongs to.
    pub epoch: Epoch,
    /// Its place in the epoch, over all partitions, from 0.
    pub sequence: u64,
}

impl fmt::Display for EpochPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}", self.flow, self.attempt, self.epoch, self.sequence)
    }
}

impl EpochPosition {
    /// The position that `text` names. A flow's name may hold a slash.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.rsplitn(4, '/');
        let mut number = || parts.next()?.parse::<u64>().ok();
        let (sequence, epoch, attempt) = (number()?, number()?, number()?);
        Some(Self { flow: FlowId::new(parts.next()?), attempt: Attempt(attempt), epoch: Epoch(epoch), sequence })
    }

    /// The position that a record with these headers names; `None`: no flow wrote it.
    #[must_use]
    pub fn of(headers: &[(String, Option<Bytes>)]) -> Option<Self> {
        let (_, value) = headers.iter().find(|(name, _)| name == POSITION_HEADER)?;
        Self::parse(std::str::from_utf8(value.as_deref()?).ok()?)
    }
}

/// A record of an epoch, and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedRecord {
    /// The partition: of a key that where every producer puts it, without a key one after the other.
    pub partition: i32,
    /// Its place in the epoch.
    pub sequence: u64,
    /// The record, with its [`POSITION_HEADER`].
    pub record: NewRecord,
}

/// Some of an epoch's changes, one behind the other, and the place of the first of them in the epoch. Each part is encoded by itself.
#[derive(Clone, Debug)]
pub struct EpochPart {
    changes: ChangeBatch,
    first: u64,
}

/// The changes of an epoch, in order, as parts of at most `rows_max` (at least one) each.
#[must_use]
pub fn parts(write: &EpochWrite, rows_max: usize) -> Vec<EpochPart> {
    let mut parts = Vec::new();
    let mut first = 0;
    for changes in &write.changes {
        for offset in (0..changes.len()).step_by(rows_max.max(1)) {
            let changes = changes.slice(offset, rows_max.max(1).min(changes.len() - offset));
            let next = first + changes.len() as u64;
            parts.push(EpochPart { changes, first });
            first = next;
        }
    }
    parts
}

impl RowEncoder {
    /// The records of an epoch, in order, for a topic of so many partitions. The same epoch gives the same records in the same partitions.
    pub fn encode_epoch(&self, write: &EpochWrite, partitions: i32) -> Result<Vec<PlacedRecord>> {
        let mut records = Vec::with_capacity(write.changes.iter().map(ChangeBatch::len).sum());
        for part in parts(write, usize::MAX) {
            records.extend(self.encode_part(write, &part, partitions)?);
        }
        Ok(records)
    }

    /// The records of a part of `write`: those that [`encode_epoch`](Self::encode_epoch) has at its places.
    pub fn encode_part(&self, write: &EpochWrite, part: &EpochPart, partitions: i32) -> Result<Vec<PlacedRecord>> {
        let encoded = self.encode(&part.changes)?;
        let positions = positions(write, part.first, encoded.len());
        let placed = |((sequence, encoded), position): ((u64, EncodedRecord), Bytes)| {
            let partition = match &encoded.key {
                Some(key) => partition_of_key(key, partitions),
                None => in_turn(write.epoch, sequence, partitions),
            };
            let headers = vec![(POSITION_HEADER.to_owned(), Some(position))];
            let record = NewRecord { timestamp: Some(encoded.timestamp), key: encoded.key, value: encoded.value, headers };
            PlacedRecord { partition, sequence, record }
        };
        Ok((part.first..).zip(encoded).zip(positions).map(placed).collect())
    }
}

/// The positions of `count` records of an epoch from the place `first` on, as text, in one piece of memory.
fn positions(write: &EpochWrite, first: u64, count: usize) -> Vec<Bytes> {
    let epoch = format!("{}/{}/{}/", write.flow, write.attempt, write.epoch);
    let mut all = Vec::with_capacity(count * (epoch.len() + 8));
    let mut ends = Vec::with_capacity(count);
    for sequence in (first.cast_signed()..).take(count) {
        all.extend_from_slice(epoch.as_bytes());
        text::integer(&mut all, sequence);
        ends.push(all.len());
    }
    let all = Bytes::from(all);
    let starts = std::iter::once(0).chain(ends.iter().copied());
    starts.zip(&ends).map(|(start, end)| all.slice(start..*end)).collect()
}

/// The partition of a record without a key: small epochs begin at another partition each.
fn in_turn(epoch: Epoch, sequence: u64, partitions: i32) -> i32 {
    let all = u64::from(partitions.max(1).unsigned_abs());
    i32::try_from(epoch.0.wrapping_add(sequence) % all).unwrap_or(0)
}
