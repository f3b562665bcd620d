#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use arrow::array::{AsArray, Int64Array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};

use super::*;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("value", DataType::Int64, true)]))
}

fn rows(values: &[i64]) -> RecordBatch {
    RecordBatch::try_new(schema(), vec![Arc::new(Int64Array::from(values.to_vec()))]).unwrap()
}

fn values(batch: &RecordBatch) -> Vec<i64> {
    batch.column(0).as_primitive::<Int64Type>().values().to_vec()
}

fn key(end: i64, group: u8) -> GroupKey {
    GroupKey::new(EventTime(end), &[group])
}

#[test]
fn the_last_row_of_a_group_is_its_state() {
    let mut state = GroupState::new(schema());
    state.put(vec![key(10, 1), key(20, 1)], rows(&[1, 2])).unwrap();
    state.put(vec![key(20, 1), key(10, 2)], rows(&[22, 3])).unwrap();
    let (known, which) = state.gather(&[key(10, 1), key(99, 9), key(20, 1)]).unwrap();
    assert_eq!((values(&known), which), (vec![1, 22], vec![0, 2]));
    assert_eq!(values(&state.all().unwrap()), [1, 3, 22]);
}

#[test]
fn closing_takes_the_windows_that_the_watermark_has_reached_in_the_order_of_their_ends() {
    let mut state = GroupState::new(schema());
    state.put(vec![key(30, 1), key(10, 2), key(20, 1), key(10, 1)], rows(&[4, 2, 3, 1])).unwrap();
    assert!(state.close(EventTime(9)).unwrap().is_none());
    assert_eq!(values(&state.close(EventTime(20)).unwrap().unwrap().1), [1, 2, 3]);
    assert_eq!((state.len(), values(&state.all().unwrap())), (1, vec![4]));
    assert_eq!(values(&state.close(EventTime(i64::MAX - 1)).unwrap().unwrap().1), [4]);
    assert_eq!(state.bytes(), 0);
}

#[test]
fn rewriting_the_same_groups_for_ever_does_not_grow() {
    let mut state = GroupState::new(schema());
    let mut most = 0;
    for round in 0..2_000_i64 {
        state.put((0..8).map(|g| key(10, g)).collect(), rows(&[round; 8])).unwrap();
        most = most.max(state.rows);
    }
    assert!(most <= ROWS_MIN + 8, "{most} rows are held for 8 groups");
    assert_eq!(values(&state.all().unwrap()), [1_999; 8]);
}

#[test]
fn taken_groups_are_there_no_more() {
    let mut state = GroupState::new(schema());
    state.put(vec![key(30, 1), key(10, 2)], rows(&[4, 2])).unwrap();
    assert_eq!(values(&state.take(&[key(10, 2), key(99, 9)]).unwrap()), [2]);
    assert_eq!((state.len(), values(&state.all().unwrap())), (1, vec![4]));
}
