#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use super::*;

fn batch(producer_id: i64, producer_epoch: i16, base_sequence: i32, count: i32, base_offset: i64) -> BatchHeader {
    BatchHeader {
        base_offset,
        batch_length: 100,
        crc: 0,
        attributes: 0,
        last_offset_delta: count - 1,
        base_timestamp_ms: 0,
        max_timestamp_ms: 0,
        producer_id,
        producer_epoch,
        base_sequence,
        record_count: count,
    }
}

fn with(batches: &[BatchHeader]) -> Producers {
    let mut producers = Producers::default();
    for b in batches {
        assert_eq!(producers.judge(b), Ok(Verdict::New));
        producers.record(b);
    }
    producers
}

#[test]
fn a_batch_that_comes_again_is_a_duplicate_with_its_first_offset() {
    let producers = with(&[batch(7, 0, 0, 3, 100), batch(7, 0, 3, 2, 103)]);
    assert_eq!(producers.judge(&batch(7, 0, 0, 3, 0)), Ok(Verdict::Duplicate { base_offset: 100, next_offset: 103 }));
    assert_eq!(producers.judge(&batch(7, 0, 3, 2, 0)), Ok(Verdict::Duplicate { base_offset: 103, next_offset: 105 }));
}

#[test]
fn a_gap_and_an_overlap_are_out_of_order() {
    let producers = with(&[batch(7, 0, 0, 3, 0)]);
    assert_eq!(producers.judge(&batch(7, 0, 4, 1, 0)), Err(SequenceError::OutOfOrder { expected: 3 }));
    assert_eq!(producers.judge(&batch(7, 0, 2, 1, 0)), Err(SequenceError::OutOfOrder { expected: 3 }));
}

#[test]
fn five_batches_are_remembered() {
    let producers = with(&(0..7).map(|i| batch(7, 0, i, 1, i64::from(i))).collect::<Vec<_>>());
    assert!(matches!(producers.judge(&batch(7, 0, 2, 1, 0)), Ok(Verdict::Duplicate { base_offset: 2, .. })));
    assert_eq!(producers.judge(&batch(7, 0, 1, 1, 0)), Err(SequenceError::OutOfOrder { expected: 7 }));
}

#[test]
fn a_newer_epoch_begins_at_sequence_0_and_fences_the_older() {
    let mut producers = with(&[batch(7, 0, 0, 3, 0)]);
    assert_eq!(producers.judge(&batch(7, 1, 3, 1, 0)), Err(SequenceError::OutOfOrder { expected: 0 }));
    let newer = batch(7, 1, 0, 1, 3);
    assert_eq!(producers.judge(&newer), Ok(Verdict::New));
    producers.record(&newer);
    assert_eq!(producers.judge(&batch(7, 0, 3, 1, 0)), Err(SequenceError::StaleEpoch { current: 1 }));
}

#[test]
fn sequences_go_on_at_zero_after_the_greatest() {
    let producers = with(&[batch(7, 0, i32::MAX - 1, 2, 0)]);
    assert_eq!(producers.judge(&batch(7, 0, 0, 1, 0)), Ok(Verdict::New));
}

#[test]
fn batches_without_producer_are_always_new() {
    let producers = with(&[batch(-1, -1, -1, 3, 0)]);
    assert_eq!(producers.judge(&batch(-1, -1, -1, 3, 0)), Ok(Verdict::New));
}

#[test]
fn the_longest_silent_producer_is_forgotten_first() {
    let mut producers = Producers::default();
    for i in 0..=PRODUCERS_MAX as i64 {
        producers.record(&batch(i, 0, 5, 1, i));
    }
    assert_eq!(producers.by_id.len(), PRODUCERS_MAX);
    assert_eq!(producers.judge(&batch(0, 0, 9, 1, 0)), Ok(Verdict::New), "the first one is unknown again");
    assert!(producers.judge(&batch(1, 0, 9, 1, 0)).is_err(), "the second one is not");
}
