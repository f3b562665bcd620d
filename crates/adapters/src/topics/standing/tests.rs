#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use millstream_core::Timestamp;
use millstream_core::ports::NewRecord;

use super::*;

fn placed(sequence: u64, value: &'static str) -> PlacedRecord {
    PlacedRecord { partition: 0, sequence, record: NewRecord { value: Some(value.into()), ..NewRecord::default() } }
}

fn standing(records: &[(u64, &'static str)]) -> Standing {
    let record = |value: &'static str| Record {
        offset: Offset(0),
        timestamp: Timestamp(0),
        key: None,
        value: Some(value.into()),
        headers: Vec::new(),
    };
    Standing { records: records.iter().map(|(sequence, value)| (*sequence, record(value))).collect(), ends: Vec::new() }
}

fn missing(found: &[(u64, &'static str)], wanted: &[(u64, &'static str)]) -> Vec<u64> {
    let wanted = wanted.iter().map(|(sequence, value)| placed(*sequence, value)).collect();
    standing(found).missing_of(wanted, &FlowId::new("f")).into_iter().map(|r| r.sequence).collect()
}

#[test]
fn only_what_is_not_there_yet_is_missing() {
    let epoch = [(0, "a"), (1, "b"), (2, "c")];
    assert_eq!(missing(&[], &epoch), [0, 1, 2]);
    assert_eq!(missing(&[(0, "a"), (2, "c")], &epoch), [1]);
    assert_eq!(missing(&epoch, &epoch), [0_u64; 0]);
}

#[test]
fn a_record_of_another_content_stands_in_for_nothing() {
    assert_eq!(missing(&[(0, "a"), (1, "x")], &[(0, "a"), (1, "b")]), [1]);
}
