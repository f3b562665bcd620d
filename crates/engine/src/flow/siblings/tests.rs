#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::sync::Arc;

use arrow::array::{AsArray, Int32Array, RecordBatch, StringArray, UInt8Array};
use arrow::datatypes::{DataType, Field, Int32Type, Schema};

use super::*;

fn rows(origins: &[u32], keys: &[&str]) -> Rows {
    let schema = Schema::new(vec![Field::new("k", DataType::Utf8, true), Field::new("n", DataType::Int32, true)]);
    let numbers = Int32Array::from_iter_values(0..i32::try_from(keys.len()).unwrap());
    let batch = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(StringArray::from(keys.to_vec())), Arc::new(numbers)]).unwrap();
    Rows { batch, origin: UInt32Array::from(origins.to_vec()), kinds: UInt8Array::from(vec![0; keys.len()]) }
}

fn numbers(rows: &Rows) -> Vec<i32> {
    rows.batch.column(1).as_primitive::<Int32Type>().values().to_vec()
}

#[test]
fn of_an_events_rows_with_one_key_the_last_stays() {
    let made = rows(&[0, 0, 0, 1, 2, 2], &["a", "b", "a", "a", "c", "c"]);
    assert_eq!(numbers(&last_of_each_key(made.clone(), &[0]).unwrap()), [1, 2, 3, 5]);
    assert_eq!(numbers(&last_of_each_key(made.clone(), &[]).unwrap()), [0, 1, 2, 3, 4, 5]);
    assert_eq!(numbers(&last_of_each_key(made, &[0, 1]).unwrap()), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn an_event_with_a_wrong_row_has_none() {
    let mut rejects = Rejects::new();
    let wrong = vec![(1, "first".to_owned()), (1, "second".to_owned())];
    let keep = without(&UInt32Array::from(vec![0, 1, 1, 2]), wrong, &mut rejects);
    assert_eq!((0..keep.len()).map(|i| keep.value(i)).collect::<Vec<_>>(), [true, false, false, true]);
    assert_eq!(rejects, [(1, "first".to_owned())]);
}
