//! What stands of an epoch in a topic already: found by the header of its records, between where the epoch before it ended and the end.

use std::collections::BTreeMap;

use millstream_core::encode::{EpochPosition, PlacedRecord};
use millstream_core::ports::{EventLog, Record};
use millstream_core::{Epoch, Error, ErrorKind, FlowId, Offset, Result, TopicPartition};

/// How much one read takes, in bytes.
const READ_BYTES: usize = 4 << 20;

/// Records of an epoch that were found, by their sequence, and the partitions' ends.
#[derive(Debug, Default)]
pub(super) struct Standing {
    records: BTreeMap<u64, Record>,
    pub(super) ends: Vec<Offset>,
}

impl Standing {
    /// Looks for the records of `epoch` of `flow` in `topic`, from these offsets on, one a partition.
    pub(super) async fn find(log: &dyn EventLog, topic: &str, from: &[Offset], flow: &FlowId, epoch: Epoch) -> Result<Self> {
        let mut standing = Self::default();
        for (partition, from) in (0..).zip(from) {
            let at = TopicPartition::new(topic, partition);
            let bounds = log.bounds(&at).await?;
            let mut next = (*from).clamp(bounds.start, bounds.end);
            while next < bounds.end {
                let read = log.read(&at, next, READ_BYTES).await.map_err(retry_where_retention_was_faster)?;
                for record in read.records {
                    match EpochPosition::of(&record.headers) {
                        Some(position) if position.flow == *flow && position.epoch == epoch => {
                            standing.records.insert(position.sequence, record);
                        }
                        _ => {}
                    }
                }
                if read.next <= next {
                    break;
                }
                next = read.next;
            }
            standing.ends.push(bounds.end);
        }
        Ok(standing)
    }

    /// Those of `records` that don't stand there yet. A record that stands there with another content is of another epoch of the same
    /// number: the log kept more than the checkpoints did (a power loss without fsync), and then nothing is left out for it.
    pub(super) fn missing_of(&self, records: Vec<PlacedRecord>, flow: &FlowId) -> Vec<PlacedRecord> {
        let same = |wanted: &PlacedRecord, found: &Record| wanted.record.key == found.key && wanted.record.value == found.value;
        let others = records.iter().filter(|r| self.records.get(&r.sequence).is_some_and(|found| !same(r, found))).count();
        if others > 0 {
            tracing::warn!(
                %flow, records = others,
                "a topic holds records of an epoch that its flow does not know of: the disk lost checkpoints; they may be there twice"
            );
        }
        records.into_iter().filter(|r| !self.records.get(&r.sequence).is_some_and(|found| same(r, found))).collect()
    }
}

/// Records that are too old were removed between two looks: the next look begins behind them.
fn retry_where_retention_was_faster(error: Error) -> Error {
    match error.kind() {
        ErrorKind::OutOfRange => Error::unavailable("looking for what a torn epoch has left in a topic was interrupted").caused_by(error),
        _ => error,
    }
}

#[cfg(test)]
mod tests;
