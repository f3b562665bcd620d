#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use super::*;

fn record(partition: i32, sequence: u64, bytes: usize) -> PlacedRecord {
    PlacedRecord { partition, sequence, record: NewRecord { value: Some(vec![b'x'; bytes].into()), ..NewRecord::default() } }
}

fn sizes(records: Vec<PlacedRecord>) -> Vec<(i32, Vec<Vec<usize>>)> {
    let of = |batch: Vec<NewRecord>| batch.iter().map(|r| r.value.as_ref().unwrap().len()).collect();
    batches(records, 1_000).into_iter().map(|(p, batches)| (p, batches.into_iter().map(of).collect())).collect()
}

#[test]
fn a_partition_gets_few_batches_each_within_the_bound() {
    let records = (0..).zip([(0, 300), (1, 10), (0, 301), (0, 302), (1, 11)]).map(|(s, (p, bytes))| record(p, s, bytes)).collect();
    assert_eq!(sizes(records), [(0, vec![vec![300, 301], vec![302]]), (1, vec![vec![10, 11]])]);
}

#[test]
fn a_record_that_is_larger_than_the_bound_goes_alone() {
    let records = (0..).zip([10, 5_000, 20]).map(|(s, bytes)| record(0, s, bytes)).collect();
    assert_eq!(sizes(records), [(0, vec![vec![10], vec![5_000], vec![20]])]);
}
