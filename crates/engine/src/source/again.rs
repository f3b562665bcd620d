//! The records of a topic between two places, as the chunk between these places had them: to make an epoch again.
//!
//! A chunk is ended by what was there and by bounds, neither of which holds a second time, so each partition is read up to where the chunk left it. The order is
//! the chunk's own, by version and then partition. For [`merge`](super::merge) takes, of the records that it has at hand, always the first one in this order;
//! a record's version is greater than that of the one before it in its partition; and a partition that has nothing at hand while others do gives the
//! chunk no more records. So of any two records of a chunk the lesser was taken first. Chunks that are [taken together](super::together) are put in that order.

use millstream_core::ports::{Clock, EventLog, Record};
use millstream_core::time::next_version;
use millstream_core::{Error, Offset, Result, TopicPartition, Version};

use super::SourceState;
use super::merge::{Taken, bytes_of, offset_of};

/// How much one read takes, in bytes.
const READ_BYTES: usize = 4 << 20;

/// The records of `topic` from `from` up to `to`. [`OutOfRange`](millstream_core::ErrorKind::OutOfRange) where the log doesn't hold them any more.
pub(super) async fn take(log: &dyn EventLog, clock: &dyn Clock, topic: &str, from: &SourceState, to: &SourceState) -> Result<Taken> {
    if from.partitions.len() != to.partitions.len() {
        return Err(Error::corrupt("a checkpoint names the places of an epoch in different partitions"));
    }
    let mut all: Vec<(Version, i32, Record)> = Vec::new();
    for (number, (start, end)) in (0..).zip(from.partitions.iter().zip(&to.partitions)) {
        let mut version = start.version;
        let at = TopicPartition::new(topic, number);
        for record in read(log, &at, offset_of(start)?, offset_of(end)?).await? {
            version = next_version(version, record.timestamp);
            all.push((version, number, record));
        }
    }
    all.sort_by_key(|(version, partition, _)| (*version, *partition));
    let mut taken = Taken {
        start: from.clone(),
        end: to.clone(),
        records: Vec::with_capacity(all.len()),
        partitions: Vec::with_capacity(all.len()),
        offsets: Vec::with_capacity(all.len()),
        versions: Vec::with_capacity(all.len()),
        at_end: vec![false; from.partitions.len()],
        bytes: 0,
        seen_at: clock.now(),
        lag: 0,
        is_full: false,
    };
    for (version, partition, record) in all {
        taken.bytes += bytes_of(&record);
        taken.versions.push(version.0);
        taken.partitions.push(partition);
        taken.offsets.push(record.offset.0);
        taken.records.push(record);
    }
    Ok(taken)
}

/// The records of a partition at the offsets from `from` on, before `to`.
async fn read(log: &dyn EventLog, at: &TopicPartition, from: i64, to: i64) -> Result<Vec<Record>> {
    let (mut records, mut next) = (Vec::new(), from);
    while next < to {
        let outcome = log.read(at, Offset(next), READ_BYTES).await?;
        records.extend(outcome.records.into_iter().filter(|record| record.offset.0 < to));
        if outcome.next.0 <= next {
            return Err(Error::out_of_range(format!("{at} ends at offset {next}, and was read up to {to} before")));
        }
        next = outcome.next.0;
    }
    Ok(records)
}

#[cfg(test)]
mod tests;
