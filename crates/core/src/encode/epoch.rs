//! The records of an epoch: where each goes, and the header by which a reader, and a sink that comes back after a crash, knows it again.

use std::fmt;

use bytes::Bytes;

use super::{RowEncoder, partition_of_key, text};
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

impl RowEncoder {
    /// The records of an epoch, in order, for a topic of so many partitions. The same epoch gives the same records in the same partitions.
    pub fn encode_epoch(&self, write: &EpochWrite, partitions: i32) -> Result<Vec<PlacedRecord>> {
        let count = write.changes.iter().map(crate::ChangeBatch::len).sum();
        let mut records = Vec::with_capacity(count);
        let mut positions = positions(write, count).into_iter();
        for changes in &write.changes {
            for encoded in self.encode(changes)? {
                let sequence = records.len() as u64;
                let partition = match &encoded.key {
                    Some(key) => partition_of_key(key, partitions),
                    None => in_turn(write.epoch, sequence, partitions),
                };
                let record = NewRecord {
                    timestamp: Some(encoded.timestamp),
                    key: encoded.key,
                    value: encoded.value,
                    headers: vec![(POSITION_HEADER.to_owned(), positions.next())],
                };
                records.push(PlacedRecord { partition, sequence, record });
            }
        }
        Ok(records)
    }
}

/// The positions of the first `count` records of an epoch, as text, in one piece of memory.
fn positions(write: &EpochWrite, count: usize) -> Vec<Bytes> {
    let epoch = format!("{}/{}/{}/", write.flow, write.attempt, write.epoch);
    let mut all = Vec::with_capacity(count * (epoch.len() + 6));
    let mut ends = Vec::with_capacity(count);
    for sequence in (0_i64..).take(count) {
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
