//! The contract of [`EventLog`].

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use millstream_core::ports::{EventLog, NewRecord, ReadOutcome, Record, TopicInfo, TopicSpec};
use millstream_core::{ErrorKind, FlowId, Offset, Timestamp, TopicPartition};
use tokio::task::JoinSet;

use super::{ready_now, suite, woken};
use crate::check::{CaseResult, Failure, refused};
use crate::harness::Harness;
use crate::{check, check_eq};

/// The port that the suite tests.
pub type Port = Arc<dyn EventLog>;

suite!(
    "event log",
    Port,
    [
        an_append_is_read_back,
        keys_values_headers_and_timestamps_are_kept,
        a_record_without_a_timestamp_gets_the_logs_clock,
        offsets_rise_in_the_order_of_appends,
        partitions_are_separate,
        an_append_is_one_run_of_offsets,
        reading_goes_on_from_next_until_the_end,
        a_read_from_every_offset_begins_there,
        a_record_larger_than_the_limit_is_read_alone,
        bounds_follow_appends,
        reading_at_the_end_is_empty,
        reading_outside_the_bounds_is_refused,
        readers_at_different_places_hold_each_other_up_nowhere,
        acknowledging_takes_nothing_away,
        unknown_topics_and_partitions_are_not_found,
        topics_are_created_once,
        topic_names_and_partition_counts_are_checked,
        topics_are_listed_by_name,
        a_deleted_topic_is_gone_and_can_be_made_again,
        what_was_appended_survives_a_restart,
        it_is_the_same_log_after_a_restart,
        a_deleted_topic_stays_deleted_after_a_restart,
        concurrent_appends_lose_and_mix_nothing,
        concurrent_readers_see_a_prefix,
        a_dropped_append_happened_wholly_or_not_at_all,
        wait_returns_at_once_when_there_is_more,
        wait_wakes_on_an_append_to_any_partition,
        wait_is_not_found_when_the_topic_is_deleted,
    ]
);

const NO_LIMIT: usize = 64 << 20;

fn topic(name: &str, partitions: i32) -> TopicSpec {
    TopicSpec { name: name.to_owned(), partitions, retention: None }
}

fn record(value: impl Into<String>) -> NewRecord {
    NewRecord { timestamp: Some(Timestamp(1_000_000)), key: None, value: Some(Bytes::from(value.into())), headers: Vec::new() }
}

fn text(record: &Record) -> String {
    String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned()
}

fn at(partition: i32) -> TopicPartition {
    TopicPartition::new("flights", partition)
}

async fn log_with_topic(h: &dyn Harness<Port>, partitions: i32) -> CaseResult<Port> {
    let log = h.open().await?;
    log.create_topic(&topic("flights", partitions)).await?;
    Ok(log)
}

/// Everything from `from` on, read with `max_bytes` a time; checks what each outcome promises.
async fn read_all(log: &Port, partition: &TopicPartition, from: Offset, max_bytes: usize) -> CaseResult<Vec<Record>> {
    let mut records: Vec<Record> = Vec::new();
    let mut from = from;
    loop {
        let ReadOutcome { records: some, next, bounds } = log.read(partition, from, max_bytes).await?;
        let offsets: Vec<_> = some.iter().map(|r| r.offset).collect();
        check!(
            offsets.iter().all(|o| *o >= from && *o < bounds.end),
            "a read from {from} returns offsets from there to the end, not {offsets:?}"
        );
        check!(offsets.windows(2).all(|w| w[0] < w[1]), "a read returns rising offsets, not {offsets:?}");
        check!(offsets.last().is_none_or(|last| next > *last), "next ({next}) is after the last record ({offsets:?})");
        if some.is_empty() && next == from {
            check!(from == bounds.end, "a read from {from} finds something before the end ({})", bounds.end);
            return Ok(records);
        }
        check!(next > from, "a read from {from} makes progress (next is {next})");
        records.extend(some);
        from = next;
    }
}

async fn texts(log: &Port, partition: &TopicPartition) -> CaseResult<Vec<String>> {
    Ok(read_all(log, partition, Offset(0), NO_LIMIT).await?.iter().map(text).collect())
}

fn numbered(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|i| format!("v{i:04}")).collect()
}

fn records(values: &[String]) -> Vec<NewRecord> {
    values.iter().map(record).collect()
}

/// An append that returned is seen by every later read.
pub async fn an_append_is_read_back(h: &dyn Harness<Port>) -> CaseResult {
    let log = log_with_topic(h, 1).await?;
    let first = log.append(&at(0), vec![record("a"), record("b")]).await?;
    check_eq!(first, Offset(0), "the first record of a topic has offset 0");
    check_eq!(texts(&log, &at(0)).await?, ["a", "b"], "both records are read, in order");
    check_eq!(texts(&log, &at(0)).await?, ["a", "b"], "reading takes nothing away");
    Ok(())
}

/// Keys, tombstones, headers and timestamps come back as they were appended.
pub async fn keys_values_headers_and_timestamps_are_kept(h: &dyn Harness<Port>) -> CaseResult {
    let log = log_with_topic(h, 1).await?;
    let bytes = |s: &'static [u8]| Some(Bytes::from_static(s));
    let shapes = [
        (None, None, vec![]),
        (bytes(b""), bytes(b""), vec![]),
        (bytes(b"key"), None, vec![]),
        (None, bytes(b"value"), vec![("h".to_owned(), bytes(b"1")), ("h".to_owned(), bytes(b"2")), ("a".to_owned(), None)]),
        (bytes(&[0, 255, 254]), bytes(&[0, 159, 146, 150]), vec![("é".to_owned(), bytes(b"")), (String::new(), bytes(b"x"))]),
    ];
    // Not 0: to librdkafka that is no time at all.
    let times = [2_000, 1_000, 1_704_067_200_123_000, 253_402_300_799_999_000, 1_000];
    let appended: Vec<NewRecord> = shapes
        .into_iter()
        .zip(times)
        .map(|((key, value, headers), t)| NewRecord { timestamp: Some(Timestamp(t)), key, value, headers })
        .collect();
    log.append(&at(0), appended.clone()).await?;
    let read = read_all(&log, &at(0), Offset(0), NO_LIMIT).await?;
    let back: Vec<NewRecord> =
        read.into_iter().map(|r| NewRecord { timestamp: Some(r.timestamp), key: r.key, value: r.value, headers: r.headers }).collect();
    check_eq!(back, appended, "key, value, headers and timestamp are those that were appended");
    Ok(())
}

/// `timestamp: None` takes the log's clock.
pub async fn a_record_without_a_timestamp_gets_the_logs_clock(h: &dyn Harness<Port>) -> CaseResult {
    if !h.abilities().settable_clock {
        return Err(Failure::skipped("its clock can't be set"));
    }
    let log = log_with_topic(h, 1).await?;
    h.clock().set(Timestamp(1_704_067_200_777_999));
    log.append(&at(0), vec![NewRecord { timestamp: None, ..record("a") }]).await?;
    let read = read_all(&log, &at(0), Offset(0), NO_LIMIT).await?;
    check_eq!(read[0].timestamp, Timestamp(1_704_067_200_777_000), "the record has the clock's time, to the millisecond");
    Ok(())
}

/// Offsets rise in the order of appends.
pub async fn offsets_rise_in_the_order_of_appends(h: &dyn Harness<Port>) -> CaseResult {
    let log = log_with_topic(h, 1).await?;
    let mut firsts = Vec::new();
    for value in numbered(0..20) {
        firsts.push(log.append(&at(0), vec![record(value)]).await?);
    }
    check!(firsts.windows(2).all(|w| w[0] < w[1]), "each append gets a greater offset: {firsts:?}");
    let read = read_all(&log, &at(0), Offset(0), NO_LIMIT).await?;
    check_eq!(read.iter().map(|r| r.offset).collect::<Vec<_>>(), firsts, "a record is read at the offset that its append returned");
    check_eq!(read.iter().map(text).collect::<Vec<_>>(), numbered(0..20), "records are in the order of their appends");
    Ok(())
}

/// What is appended to one partition is in that one alone, in each topic.
pub async fn partitions_are_separate(h: &dyn Harness<Port>) -> CaseResult {
    let log = log_with_topic(h, 3).await?;
    log.create_topic(&topic("flights-0", 1)).await?;
    log.append(&at(2), vec![record("two")]).await?;
    log.append(&at(0), vec![record("zero")]).await?;
    log.append(&TopicPartition::new("flights-0", 0), vec![record("other topic")]).await?;
    check_eq!(texts(&log, &at(0)).await?, ["zero"], "partition 0 holds its own record alone");
    check_eq!(texts(&log, &at(1)).await?, Vec::<String>::new(), "partition 1 is empty");
    check_eq!(texts(&log, &at(2)).await?, ["two"], "partition 2 holds its own record alone");
    check_eq!(log.bounds(&at(2)).await?.end, Offset(1), "each partition counts its own offsets");
    Ok(())
}

/// All records of an append stand one after the other.
pub async fn an_append_is_one_run_of_offsets(h: &dyn Harness<Port>) -> CaseResult {
    let log = log_with_topic(h, 1).await?;
    for (batch, size) in [1_usize, 5, 2, 100, 1].into_iter().enumerate() {
        let values: Vec<_> = (0..size).map(|i| format!("{batch}-{i}")).collect();
        let first = log.append(&at(0), records(&values)).await?;
        let read = read_all(&log, &at(0), first, NO_LIMIT).await?;
        check_eq!(read.iter().map(text).collect::<Vec<_>>(), values, "the append's records are read from the offset that it returned");
        check_eq!(read[size - 1].offset.0 - first.0, i64::try_from(size).unwrap_or(0) - 1, "their offsets have no gap");
    }
    Ok(())
}

/// Small reads, chained by `next`, give the same as one large read.
pub async fn reading_goes_on_from_next_until_the_end(h: &dyn Harness<Port>) -> CaseResult {
    let log = log_with_topic(h, 1).await?;
    for chunk in numbered(0..300).chunks(37) {
        log.append(&at(0), records(chunk)).await?;
    }
    for max_bytes in [1, 100, 1_000, NO_LIMIT] {
        let read = read_all(&log, &at(0), Offset(0), max_bytes).await?;
        check_eq!(
            read.iter().map(text).collect::<Vec<_>>(),
            numbered(0..300),
            "reads of {max_bytes} bytes give each record once, in order"
        );
    }
    let some = log.read(&at(0), Offset(0), 2_000).await?.records.len();
    check!(some < 300, "a read of 2,000 bytes is bounded (it returned all of 300 records)");
    Ok(())
}

/// A read from an offset in the middle of an append begins exactly there.
pub async fn a_read_from_every_offset_begins_there(h: &dyn Harness<Port>) -> CaseResult {
    let log = log_with_topic(h, 1).await?;
    log.append(&at(0), records(&numbered(0..10))).await?;
    log.append(&at(0), records(&numbered(10..25))).await?;
    for from in 0..25 {
        let read = read_all(&log, &at(0), Offset(i64::try_from(from).unwrap_or(0)), NO_LIMIT).await?;
        check_eq!(read.iter().map(text).collect::<Vec<_>>(), numbered(from..25), "a read from {from} begins at that record");
    }
    Ok(())
}

/// At least one record, whatever its size.
pub async fn a_record_larger_than_the_limit_is_read_alone(h: &dyn Harness<Port>) -> CaseResult {
    let log = log_with_topic(h, 1).await?;
    let large = "x".repeat(300_000);
    log.append(&at(0), vec![record(large.clone())]).await?;
    log.append(&at(0), vec![record("small")]).await?;
    let outcome = log.read(&at(0), Offset(0), 1_000).await?;
    check!(!outcome.records.is_empty(), "a read returns a record that is larger than its limit");
    check!(text(&outcome.records[0]) == large, "the large record is whole");
    check_eq!(texts(&log, &at(0)).await?.len(), 2, "the record after it is read too");
    Ok(())
}

/// `start` is inclusive, `end` is the next record's offset.
pub async fn bounds_follow_appends(h: &dyn Harness<Port>) -> CaseResult {
    let log = log_with_topic(h, 1).await?;
    let bounds = log.bounds(&at(0)).await?;
    check_eq!((bounds.start, bounds.end), (Offset(0), Offset(0)), "a new partition is empty");
    log.append(&at(0), records(&numbered(0..3))).await?;
    let bounds = log.bounds(&at(0)).await?;
    check_eq!((bounds.start, bounds.end), (Offset(0), Offset(3)), "three records are offsets 0 to 3");
    let first = log.append(&at(0), vec![record("d")]).await?;
    check_eq!(first, bounds.end, "the next record gets the offset that `end` named");
    check_eq!(log.read(&at(0), Offset(0), NO_LIMIT).await?.bounds, log.bounds(&at(0)).await?, "a read reports the partition's bounds");
    Ok(())
}

/// `from == end` is an empty outcome.
pub async fn reading_at_the_end_is_empty(h: &dyn Harness<Port>) -> CaseResult {
    let log = log_with_topic(h, 1).await?;
    let empty = log.read(&at(0), Offset(0), NO_LIMIT).await?;
    check!(empty.records.is_empty() && empty.next == Offset(0), "a new partition reads as empty, next stays 0");
    log.append(&at(0), records(&numbered(0..3))).await?;
    let end = log.read(&at(0), Offset(3), NO_LIMIT).await?;
    check!(end.records.is_empty() && end.next == Offset(3), "a read at the end is empty, and next stays there");
    log.append(&at(0), vec![record("more")]).await?;
    check_eq!(log.read(&at(0), end.next, NO_LIMIT).await?.records.len(), 1, "the same read finds what was appended since");
    Ok(())
}

/// A read before the start or after the end is `OutOfRange`.
pub async fn reading_outside_the_bounds_is_refused(h: &dyn Harness<Port>) -> CaseResult {
    let log = log_with_topic(h, 1).await?;
    refused(log.read(&at(0), Offset(1), NO_LIMIT).await, ErrorKind::OutOfRange, "a read after the end of an empty partition")?;
    log.append(&at(0), records(&numbered(0..3))).await?;
    refused(log.read(&at(0), Offset(4), NO_LIMIT).await, ErrorKind::OutOfRange, "a read after the end")?;
    refused(log.read(&at(0), Offset(-1), NO_LIMIT).await, ErrorKind::OutOfRange, "a read before the start")?;
    refused(log.read(&at(0), Offset(i64::MAX), NO_LIMIT).await, ErrorKind::OutOfRange, "a read far after the end")?;
    Ok(())
}

/// Readers of one partition that stand at different places each get all records from their own place on.
pub async fn readers_at_different_places_hold_each_other_up_nowhere(h: &dyn Harness<Port>) -> CaseResult {
    const READERS: usize = 6;
    let log = log_with_topic(h, 1).await?;
    for chunk in numbered(0..600).chunks(20) {
        log.append(&at(0), records(chunk)).await?;
    }
    let mut tasks = JoinSet::new();
    for reader in 0..READERS {
        let log = log.clone();
        tasks.spawn(async move {
            let from = i64::try_from(reader * 90).unwrap_or(0);
            (reader * 90, read_all(&log, &at(0), Offset(from), 700).await)
        });
    }
    while let Some(done) = tasks.join_next().await {
        let (from, read) = done.map_err(|e| Failure::Broken(format!("a reader ends: {e}")))?;
        check_eq!(
            read?.iter().map(text).collect::<Vec<_>>(),
            numbered(from..600),
            "the reader from {from} gets each record once, in order"
        );
    }
    Ok(())
}

/// What a reader has acknowledged is still there, for it and for everybody else.
pub async fn acknowledging_takes_nothing_away(h: &dyn Harness<Port>) -> CaseResult {
    let log = log_with_topic(h, 2).await?;
    log.append(&at(1), records(&numbered(0..5))).await?;
    let flow = FlowId::new("departures");
    for next in [3, 5, 4] {
        log.acknowledge(&flow, "flights", &[Offset(0), Offset(next)]).await?;
        check_eq!(texts(&log, &at(1)).await?, numbered(0..5), "all records are read after an acknowledgement of those before {next}");
    }
    Ok(())
}

/// Unknown topics and partitions are `NotFound` in every call.
pub async fn unknown_topics_and_partitions_are_not_found(h: &dyn Harness<Port>) -> CaseResult {
    let log = log_with_topic(h, 2).await?;
    for unknown in [TopicPartition::new("nope", 0), at(2), at(-1)] {
        refused(log.append(&unknown, vec![record("a")]).await, ErrorKind::NotFound, &format!("an append to {unknown}"))?;
        refused(log.read(&unknown, Offset(0), NO_LIMIT).await, ErrorKind::NotFound, &format!("a read of {unknown}"))?;
        refused(log.bounds(&unknown).await, ErrorKind::NotFound, &format!("the bounds of {unknown}"))?;
    }
    refused(woken("wait on an unknown topic", log.wait("nope", &[Offset(0)])).await?, ErrorKind::NotFound, "a wait on an unknown topic")?;
    refused(log.delete_topic("nope").await, ErrorKind::NotFound, "deleting an unknown topic")?;
    Ok(())
}

/// `Ok(false)` for the same again, `AlreadyExists` for another partition count.
pub async fn topics_are_created_once(h: &dyn Harness<Port>) -> CaseResult {
    let log = h.open().await?;
    check!(log.create_topic(&topic("flights", 3)).await?, "the first creation says so");
    log.append(&at(1), vec![record("a")]).await?;
    check!(!log.create_topic(&topic("flights", 3)).await?, "the second creation says that it exists");
    refused(log.create_topic(&topic("flights", 4)).await, ErrorKind::AlreadyExists, "another number of partitions")?;
    check_eq!(texts(&log, &at(1)).await?, ["a"], "creating it again leaves its records alone");
    Ok(())
}

/// Kafka's rule for names; at least one partition.
pub async fn topic_names_and_partition_counts_are_checked(h: &dyn Harness<Port>) -> CaseResult {
    let log = h.open().await?;
    for name in ["", ".", "..", "a/b", "a b", "é", &"x".repeat(250)] {
        refused(log.create_topic(&topic(name, 1)).await, ErrorKind::InvalidInput, &format!("the topic name {name:?}"))?;
    }
    for partitions in [0, -1] {
        refused(log.create_topic(&topic("flights", partitions)).await, ErrorKind::InvalidInput, &format!("{partitions} partitions"))?;
    }
    for name in ["a.b_C-9", &"x".repeat(249), "...", "-"] {
        check!(log.create_topic(&topic(name, 1)).await?, "{name:?} is a good name");
        log.append(&TopicPartition::new(name, 0), vec![record("a")]).await?;
    }
    Ok(())
}

/// All topics, by name.
pub async fn topics_are_listed_by_name(h: &dyn Harness<Port>) -> CaseResult {
    let log = h.open().await?;
    for (name, partitions) in [("b", 2), ("a", 1), ("c", 3)] {
        log.create_topic(&topic(name, partitions)).await?;
    }
    let info = |name: &str, partitions| TopicInfo { name: name.to_owned(), partitions };
    let ours: Vec<_> = log.topics().await?.into_iter().filter(|t| ["a", "b", "c"].contains(&t.name.as_str())).collect();
    check_eq!(ours, [info("a", 1), info("b", 2), info("c", 3)], "topics are listed by name, with their partitions");
    Ok(())
}

/// A deleted topic is unknown; made again, it is empty.
pub async fn a_deleted_topic_is_gone_and_can_be_made_again(h: &dyn Harness<Port>) -> CaseResult {
    let log = log_with_topic(h, 1).await?;
    log.append(&at(0), records(&numbered(0..5))).await?;
    log.delete_topic("flights").await?;
    refused(log.read(&at(0), Offset(0), NO_LIMIT).await, ErrorKind::NotFound, "a read of a deleted topic")?;
    refused(log.append(&at(0), vec![record("a")]).await, ErrorKind::NotFound, "an append to a deleted topic")?;
    check!(log.topics().await?.iter().all(|t| t.name != "flights"), "a deleted topic is not listed");
    check!(log.create_topic(&topic("flights", 2)).await?, "it can be made again, with other partitions");
    check_eq!(log.append(&at(0), vec![record("new")]).await?, Offset(0), "the new topic begins at offset 0");
    check_eq!(texts(&log, &at(0)).await?, ["new"], "the old records don't come back");
    Ok(())
}

/// Topics and records are found again by the next process; offsets go on.
pub async fn what_was_appended_survives_a_restart(h: &dyn Harness<Port>) -> CaseResult {
    if !h.abilities().keeps_data {
        return Err(Failure::skipped("it keeps nothing"));
    }
    let mut log = log_with_topic(h, 2).await?;
    for round in 0..3 {
        log.append(&at(1), records(&numbered(round * 10..round * 10 + 10))).await?;
        let before = read_all(&log, &at(1), Offset(0), NO_LIMIT).await?;
        log = h.reopen(log).await?;
        check_eq!(log.topics().await?.len(), 1, "the topic is known after a restart");
        check_eq!(read_all(&log, &at(1), Offset(0), NO_LIMIT).await?, before, "every record is there after a restart, as it was");
        check_eq!(log.bounds(&at(1)).await?.end.0, i64::try_from(round).unwrap_or(0) * 10 + 10, "offsets go on after a restart");
    }
    check_eq!(texts(&log, &at(0)).await?, Vec::<String>::new(), "the other partition is still empty");
    Ok(())
}

/// Who remembers an offset can tell whether it is one of this log.
pub async fn it_is_the_same_log_after_a_restart(h: &dyn Harness<Port>) -> CaseResult {
    if !h.abilities().keeps_data {
        return Err(Failure::skipped("it keeps nothing"));
    }
    let log = log_with_topic(h, 1).await?;
    let before = log.identity().await?;
    check!(!before.is_empty(), "a log says which it is");
    log.append(&at(0), vec![record("a")]).await?;
    let log = h.reopen(log).await?;
    check_eq!(log.identity().await?, before, "it is the same log after a restart");
    Ok(())
}

/// A deletion is durable too.
pub async fn a_deleted_topic_stays_deleted_after_a_restart(h: &dyn Harness<Port>) -> CaseResult {
    if !h.abilities().keeps_data {
        return Err(Failure::skipped("it keeps nothing"));
    }
    let log = log_with_topic(h, 1).await?;
    log.append(&at(0), vec![record("a")]).await?;
    log.delete_topic("flights").await?;
    let log = h.reopen(log).await?;
    check!(log.topics().await?.is_empty(), "the deleted topic is not there after a restart");
    log.create_topic(&topic("flights", 1)).await?;
    let log = h.reopen(log).await?;
    check_eq!(texts(&log, &at(0)).await?, Vec::<String>::new(), "its records don't come back with the next topic of that name");
    Ok(())
}

/// Appends that run at the same time: none lost, none doubled, none torn, each writer's in order.
pub async fn concurrent_appends_lose_and_mix_nothing(h: &dyn Harness<Port>) -> CaseResult {
    const WRITERS: usize = 8;
    const APPENDS: usize = 25;
    const SIZE: usize = 3;
    let log = log_with_topic(h, 1).await?;
    let mut tasks = JoinSet::new();
    for writer in 0..WRITERS {
        let log = log.clone();
        tasks.spawn(async move {
            for append in 0..APPENDS {
                let values: Vec<_> = (0..SIZE).map(|i| format!("{writer}/{append:03}/{i}")).collect();
                log.append(&at(0), records(&values)).await?;
            }
            Ok::<_, millstream_core::Error>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.map_err(|e| Failure::Broken(format!("a writer ends: {e}")))??;
    }
    let read = texts(&log, &at(0)).await?;
    check_eq!(read.len(), WRITERS * APPENDS * SIZE, "no record is lost or doubled");
    check_eq!(read.iter().collect::<BTreeSet<_>>().len(), read.len(), "every record is there once");
    for run in read.chunks(SIZE) {
        let of = |value: &str| value.rsplit_once('/').map(|(append, _)| append.to_owned());
        check!(run.iter().all(|v| of(v) == of(&run[0])), "an append's records stand together: {run:?}");
    }
    for writer in 0..WRITERS {
        let own: Vec<_> = read.iter().filter(|v| v.starts_with(&format!("{writer}/"))).collect();
        check!(own.windows(2).all(|w| w[0] < w[1]), "writer {writer}'s appends are in its order");
    }
    Ok(())
}

/// A reader beside a writer always sees the first n records, whole appends only.
pub async fn concurrent_readers_see_a_prefix(h: &dyn Harness<Port>) -> CaseResult {
    let log = log_with_topic(h, 1).await?;
    let writer = log.clone();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        for chunk in numbered(0..600).chunks(6) {
            writer.append(&at(0), records(chunk)).await?;
            tokio::task::yield_now().await;
        }
        Ok::<_, millstream_core::Error>(())
    });
    let all = numbered(0..600);
    loop {
        let written = tasks.try_join_next();
        let read = texts(&log, &at(0)).await?;
        check!(read.len() % 6 == 0, "an append is seen whole ({} records are seen)", read.len());
        check_eq!(read, all[..read.len()], "what is seen is the first {} records", read.len());
        if let Some(done) = written {
            done.map_err(|e| Failure::Broken(format!("the writer ends: {e}")))??;
            check_eq!(read.len(), all.len(), "all appends that returned are seen");
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
}

/// An append whose future is dropped leaves all of its records or none, and the log usable.
pub async fn a_dropped_append_happened_wholly_or_not_at_all(h: &dyn Harness<Port>) -> CaseResult {
    let log = log_with_topic(h, 1).await?;
    for round in 0..10 {
        {
            let partition = at(0);
            let mut append = log.append(&partition, records(&numbered(round * 5..round * 5 + 5)));
            let _ = futures::poll!(&mut append);
        }
        log.append(&at(0), vec![record("mark")]).await?;
    }
    let log = if h.abilities().keeps_data { h.reopen(log).await? } else { log };
    let read = texts(&log, &at(0)).await?;
    check_eq!(read.iter().filter(|v| *v == "mark").count(), 10, "the appends that returned are there");
    for round in 0..10 {
        let own = numbered(round * 5..round * 5 + 5);
        let left: Vec<_> = read.iter().filter(|v| own.contains(v)).cloned().collect();
        check!(left.is_empty() || left == own, "dropped append {round} left all of its records, in order and once, or none: {left:?}");
    }
    Ok(())
}

/// `wait` resolves at once when an end is already greater.
pub async fn wait_returns_at_once_when_there_is_more(h: &dyn Harness<Port>) -> CaseResult {
    let log = log_with_topic(h, 3).await?;
    log.append(&at(2), vec![record("a")]).await?;
    woken("a wait with something there", log.wait("flights", &[Offset(0), Offset(0), Offset(0)])).await??;
    Ok(())
}

/// `wait` is pending while nothing comes, and wakes on an append to any partition of the topic.
pub async fn wait_wakes_on_an_append_to_any_partition(h: &dyn Harness<Port>) -> CaseResult {
    let log = log_with_topic(h, 3).await?;
    log.create_topic(&topic("other", 1)).await?;
    let mut seen = vec![Offset(0); 3];
    for partition in [0, 2, 1, 1] {
        let before = seen.clone();
        let mut wait = log.wait("flights", &before);
        log.append(&TopicPartition::new("other", 0), vec![record("elsewhere")]).await?;
        check!(ready_now(&mut wait).await.is_none(), "a wait is pending while its topic gets nothing");
        log.append(&at(partition), vec![record("a")]).await?;
        woken("a wait whose topic got a record", wait).await??;
        seen[usize::try_from(partition).unwrap_or(0)] = log.bounds(&at(partition)).await?.end;
    }
    Ok(())
}

/// Waiting readers of a deleted topic get `NotFound`.
pub async fn wait_is_not_found_when_the_topic_is_deleted(h: &dyn Harness<Port>) -> CaseResult {
    let log = log_with_topic(h, 1).await?;
    let mut wait = log.wait("flights", &[Offset(0)]);
    check!(ready_now(&mut wait).await.is_none(), "a wait is pending while its topic gets nothing");
    log.delete_topic("flights").await?;
    refused(woken("a wait whose topic is deleted", wait).await?, ErrorKind::NotFound, "a wait on a topic that was deleted")?;
    Ok(())
}
