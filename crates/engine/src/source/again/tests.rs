#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::sync::Arc;

use millstream_core::ports::{NewRecord, TopicSpec};
use millstream_core::{ErrorKind, Timestamp};
use millstream_testkit::generate::Changes;
use millstream_testkit::{ManualClock, toy};

use super::*;
use crate::source::merge::Merge;
use crate::source::{ChunkLimit, PartitionState, SourcePosition};

const PARTITIONS: i32 = 3;

struct Topic {
    log: Arc<toy::ToyEventLog>,
    clock: Arc<ManualClock>,
}

impl Topic {
    async fn new() -> Self {
        let clock = Arc::new(ManualClock::at(ManualClock::START));
        let log = Arc::new(toy::ToyEventLog::open(Arc::default(), clock.clone()));
        log.create_topic(&TopicSpec { name: "t".to_owned(), partitions: PARTITIONS, retention: None }).await.unwrap();
        Self { log, clock }
    }

    /// Appends a record whose time is so many milliseconds after the beginning, and that is `bytes` long.
    async fn append(&self, partition: i32, millis: i64, bytes: usize) {
        let timestamp = Some(Timestamp(1_700_000_000_000_000 + millis * 1_000));
        let record = NewRecord { value: Some(vec![b'x'; bytes].into()), timestamp, ..NewRecord::default() };
        self.log.append(&TopicPartition::new("t", partition), vec![record]).await.unwrap();
    }

    async fn again(&self, from: &SourceState, to: &SourceState) -> Result<Taken> {
        take(self.log.as_ref(), self.clock.as_ref(), "t", from, to).await
    }
}

fn at(offsets: [i64; 3]) -> SourceState {
    let partitions = offsets.map(|o| PartitionState { position: SourcePosition::Offset(o), version: Version::MIN });
    SourceState { partitions: partitions.into(), starts: Vec::new() }
}

/// What a chunk took, in its order: partition, version, offset.
fn order(taken: &Taken) -> Vec<(i32, i64, i64)> {
    let places = taken.partitions.iter().zip(&taken.versions).zip(&taken.records);
    places.map(|((partition, version), record)| (*partition, *version, record.offset.0)).collect()
}

/// Whatever ended a chunk, and whatever came meanwhile: times that go back and repeat, partitions that were at their end and have older records since.
#[tokio::test]
async fn the_records_between_the_ends_of_a_chunk_come_in_the_order_in_which_the_chunk_took_them() {
    let (mut chunks, mut mixed) = (0, 0);
    for seed in 0..60 {
        let mut chance = Changes::seeded(seed, 1);
        let topic = Topic::new().await;
        let mut merge = Merge::new(topic.log.clone(), topic.clock.clone(), "t".to_owned());
        let mut state = at([0, 0, 0]);
        for _ in 0..40 {
            for _ in 0..chance.below(12) {
                let partition = i32::try_from(chance.below(3)).unwrap();
                let millis = i64::try_from(chance.below(30)).unwrap();
                topic.append(partition, millis, chance.below(40)).await;
            }
            let (version, partition) = (Version(1_700_000_000_000_000 + i64::try_from(chance.below(40)).unwrap() * 1_000), chance.below(3));
            let limit = ChunkLimit {
                rows_max: 1 + chance.below(9),
                bytes_max: 1 + chance.below(90),
                mark_max: if chance.below(4) == 0 { (version, partition) } else { (Version::MAX, usize::MAX) },
            };
            if chance.below(6) == 0 {
                merge = Merge::new(topic.log.clone(), topic.clock.clone(), "t".to_owned());
            }
            let taken = merge.take(&state, limit).await.unwrap();
            let again = topic.again(&taken.start, &taken.end).await.unwrap();
            assert_eq!(order(&again), order(&taken), "seed {seed}");
            assert_eq!(again.records, taken.records, "seed {seed}");
            chunks += usize::from(!taken.records.is_empty());
            mixed += usize::from(taken.partitions.windows(2).any(|pair| pair[0] > pair[1]));
            state = taken.end;
        }
    }
    assert!(chunks > 500 && mixed > 200, "{chunks} chunks, {mixed} of several partitions");
}

#[tokio::test]
async fn records_that_the_log_has_no_more_are_an_error() {
    let topic = Topic::new().await;
    for partition in 0..PARTITIONS {
        topic.append(partition, 1, 5).await;
    }
    assert_eq!(topic.again(&at([0, 1, 0]), &at([1, 1, 0])).await.unwrap().records.len(), 1);
    let error = topic.again(&at([0, 0, 0]), &at([1, 1, 2])).await.err().unwrap();
    assert_eq!((error.kind(), error.message()), (ErrorKind::OutOfRange, "t-2 ends at offset 1, and was read up to 2 before"));
    let two = SourceState { partitions: at([0, 0, 0]).partitions[..2].to_vec(), starts: Vec::new() };
    assert_eq!(topic.again(&two, &at([1, 1, 1])).await.err().unwrap().kind(), ErrorKind::Corrupt);
}
