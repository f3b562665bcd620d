#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use bytes::Bytes;
use millstream_core::ports::NewRecord;

use super::*;
use crate::batch::encode;

fn settings(durability: Durability, segment_bytes: u64) -> BrokerSettings {
    BrokerSettings { durability, segment_bytes, ..BrokerSettings::default() }
}

fn open(folder: &Path, settings: &BrokerSettings) -> Partition {
    Partition::open(TopicPartition::new("t", 0), folder, settings, Arc::new(watch::Sender::new(()))).unwrap()
}

fn batch(values: impl IntoIterator<Item = String>, at_ms: i64) -> CheckedBatch {
    let time = Some(Timestamp(at_ms * 1000));
    let records: Vec<_> =
        values.into_iter().map(|v| NewRecord { timestamp: time, value: Some(Bytes::from(v)), ..NewRecord::default() }).collect();
    encode(&records, Timestamp(0))
}

/// `count` batches of two records; batch i has timestamp i seconds.
fn fill(partition: &Partition, count: i64) {
    for i in 0..count {
        let appended = partition.append(batch([format!("{i}a"), format!("{i}b")], i * 1000)).unwrap();
        assert_eq!(appended.base_offset, i * 2);
    }
}

fn values(outcome: &ReadOutcome) -> Vec<String> {
    outcome.records.iter().map(|r| String::from_utf8(r.value.clone().unwrap().to_vec()).unwrap()).collect()
}

#[test]
fn an_append_that_flushes_or_ends_a_segment_is_never_a_little() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let flushes = open(other.path(), &settings(Durability::Fsync, 1024));
    assert_eq!(flushes.append_cost(1), usize::MAX);
    let partition = open(folder.path(), &settings(Durability::Process, 1024));
    assert_eq!(partition.append_cost(100_000), 100_000, "an empty segment takes a batch of any size");
    fill(&partition, 1);
    let left = 1024 - usize::try_from(partition.view().segments[0].file.len).unwrap();
    assert_eq!(partition.append_cost(left), left);
    assert_eq!(partition.append_cost(left + 1), usize::MAX);
}

#[test]
fn reading_from_every_offset_gives_every_later_record_once() {
    let folder = tempfile::tempdir().unwrap();
    let partition = open(folder.path(), &settings(Durability::Process, 1024));
    fill(&partition, 60);
    assert!(partition.view().segments.len() > 3);
    let all: Vec<String> = (0..60).flat_map(|i| [format!("{i}a"), format!("{i}b")]).collect();
    for max_bytes in [1, 100, 1 << 20] {
        for from in 0..=120_i64 {
            let mut read = Vec::new();
            let mut next = from;
            loop {
                let outcome = partition.read_records(next, max_bytes).unwrap();
                if outcome.records.is_empty() {
                    break;
                }
                assert!(outcome.next.0 > next);
                next = outcome.next.0;
                read.extend(values(&outcome));
                if from != 0 && from != 57 {
                    break;
                }
            }
            assert_eq!(read, all[from as usize..][..read.len()], "from {from}, {max_bytes} bytes");
            assert_eq!(read.is_empty(), from == 120);
        }
    }
    assert!(matches!(partition.read_records(121, 1), Err(LogError::OutOfRange { .. })));
    assert!(matches!(partition.read_records(-1, 1), Err(LogError::OutOfRange { .. })));
}

#[test]
fn a_batch_that_is_larger_than_asked_for_is_read_whole() {
    let folder = tempfile::tempdir().unwrap();
    let partition = open(folder.path(), &settings(Durability::Process, 1 << 20));
    let large = "x".repeat(200_000);
    partition.append(batch([large.clone()], 0)).unwrap();
    partition.append(batch(["small".to_owned()], 0)).unwrap();
    let (_, batches) = partition.read_batches(0, 10).unwrap();
    assert_eq!(batches.headers.len(), 1);
    assert_eq!(values(&partition.read_records(0, 10).unwrap()), [large]);
    assert_eq!(values(&partition.read_records(1, 10).unwrap()), ["small"]);
}

#[test]
fn everything_is_there_after_a_restart_and_appends_go_on() {
    for durability in [Durability::Process, Durability::Fsync] {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(durability, 1024);
        fill(&open(folder.path(), &settings), 40);
        let partition = open(folder.path(), &settings);
        assert_eq!(partition.bounds(), LogBounds { start: Offset(0), end: Offset(80) });
        assert_eq!(partition.append(batch(["z".to_owned()], 0)).unwrap().base_offset, 80);
        assert_eq!(values(&partition.read_records(79, 1000).unwrap())[0], "39b");
    }
}

#[test]
fn damage_is_noticed_when_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let partition = open(folder.path(), &settings(Durability::Process, 1 << 20));
    fill(&partition, 3);
    let path = Segment::path_in(folder.path(), 0);
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.len() - 3;
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert_eq!(values(&partition.read_records(0, 1000).unwrap()), ["0a", "0b", "1a", "1b"], "what is whole is given out");
    assert!(matches!(partition.read_records(4, 1000), Err(LogError::Damaged { .. })));
}

#[test]
fn many_producers_share_flushes_and_see_what_they_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let partition = open(folder.path(), &settings(Durability::Fsync, 4096));
    std::thread::scope(|threads| {
        for t in 0..8 {
            let partition = &partition;
            threads.spawn(move || {
                for i in 0..20 {
                    let appended = partition.append(batch([format!("{t}-{i}")], 0)).unwrap();
                    let read = partition.read_records(appended.base_offset, 1).unwrap();
                    assert_eq!(values(&read), [format!("{t}-{i}")]);
                }
            });
        }
    });
    assert_eq!(partition.bounds().end, Offset(160));
}

#[test]
fn what_is_not_flushed_is_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let partition = open(folder.path(), &settings(Durability::Fsync, 1 << 20));
    fill(&partition, 1);
    let unsettled = partition.append_unsettled(batch(["later".to_owned()], 0)).unwrap();
    assert_eq!(partition.bounds().end, Offset(2));
    assert!(partition.read_records(2, 100).unwrap().records.is_empty());
    assert_eq!(partition.bytes_from(2), 0);
    partition.settle(&unsettled).unwrap();
    assert_eq!(values(&partition.read_records(2, 100).unwrap()), ["later"]);
}

#[test]
fn retention_removes_old_segments_and_keeps_offsets() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(Durability::Process, 1024);
    let partition = open(folder.path(), &settings);
    fill(&partition, 60);
    assert_eq!(partition.remove_before(Timestamp(0)).unwrap(), 0);
    assert!(partition.remove_before(Timestamp(30_000_000)).unwrap() > 0);
    let start = partition.bounds().start.0;
    assert!((40..=60).contains(&start), "{start}");
    assert!(matches!(partition.read_records(start - 1, 1), Err(LogError::OutOfRange { .. })));
    assert_eq!(values(&partition.read_records(start, 1).unwrap()), [format!("{}a", start / 2)]);
    partition.remove_before(Timestamp(3_600_000_000)).unwrap();
    assert_eq!(partition.bounds(), LogBounds { start: Offset(120), end: Offset(120) });
    drop(partition);
    let partition = open(folder.path(), &settings);
    assert_eq!(partition.append(batch(["z".to_owned()], 0)).unwrap().base_offset, 120);
}

#[test]
fn offsets_are_found_by_time() {
    let folder = tempfile::tempdir().unwrap();
    let partition = open(folder.path(), &settings(Durability::Process, 1024));
    fill(&partition, 60);
    assert_eq!(partition.offset_for_time(0).unwrap(), Some((0, 0)));
    assert_eq!(partition.offset_for_time(30_001).unwrap(), Some((62, 31_000)));
    assert_eq!(partition.offset_for_time(59_000).unwrap(), Some((118, 59_000)));
    assert_eq!(partition.offset_for_time(59_001).unwrap(), None);
    assert_eq!(partition.newest().unwrap(), Some((118, 59_000)));
}

#[test]
fn a_closed_partition_takes_nothing_more() {
    let folder = tempfile::tempdir().unwrap();
    let partition = open(folder.path(), &settings(Durability::Process, 1024));
    partition.close_deleted();
    assert!(matches!(partition.append(batch(["z".to_owned()], 0)), Err(LogError::NoTopic(_))));
}
