#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::sync::Arc;

use arrow::array::{Int32Array, Int64Array, RecordBatch, StringArray, UInt8Array};
use arrow::datatypes::SchemaRef;
use millstream_core::ErrorKind;

use super::super::table::tests::table;
use super::*;

fn changes(schema: &SchemaRef, rows: &[(&str, i64, Option<&str>, ChangeKind, i64)]) -> ChangeBatch {
    let batch = RecordBatch::try_new(
        schema.clone(),
        vec![
            Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.0))),
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.1))),
            Arc::new(StringArray::from_iter(rows.iter().map(|r| r.2))),
        ],
    );
    let n = rows.len();
    ChangeBatch::try_new(
        batch.unwrap(),
        UInt8Array::from_iter_values(rows.iter().map(|r| r.3.code())),
        Int64Array::from_iter_values(rows.iter().map(|r| r.4)),
        Int32Array::from_value(0, n),
        Int64Array::from_iter_values(0..n as i64),
    )
    .unwrap()
}

#[test]
fn of_a_key_the_greatest_version_wins_and_of_equal_ones_the_last() {
    use ChangeKind::{Delete, Insert};
    let table = table(None);
    let schema = &table.spec.schema;
    let first = changes(schema, &[("a", 1, None, Insert, 5), ("a", 2, None, Insert, 5), ("b", 1, None, Insert, 9)]);
    let second = changes(schema, &[("a", 1, None, Delete, 5), ("b", 1, None, Insert, 8), ("a", 2, None, Insert, 4)]);
    let rows = Rows::new(&table, &[first, second]).unwrap();
    assert_eq!(rows.winners(), [3, 1, 2]);
}

#[test]
fn a_batch_has_one_partition_and_a_bounded_size() {
    let table = table(None);
    let long = "x".repeat(5_000);
    let mut rows: Vec<_> = (0..120).map(|i| (["a", "b"][i % 2], i as i64, None, ChangeKind::Insert, 1)).collect();
    rows.extend((1_000..1_014).map(|i| ("c", i, Some(long.as_str()), ChangeKind::Insert, 1)));
    let rows = Rows::new(&table, &[changes(&table.spec.schema, &rows)]).unwrap();
    let batches = rows.batches(&rows.winners());
    assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [50, 50, 10, 10, 6, 6, 2]);
    for batch in &batches {
        assert!(batch.iter().all(|row| rows.partition(*row) == rows.partition(batch[0])));
    }
    assert_eq!(batches.iter().flatten().count(), 134, "each row is in one batch");
}

#[test]
fn keys_that_cassandra_refuses_are_refused_before_anything_is_written() {
    let table = table(None);
    let error = |origin: &str| {
        let row = changes(&table.spec.schema, &[(origin, 1, None, ChangeKind::Insert, 1)]);
        Rows::new(&table, &[row]).err().map(|e| e.kind())
    };
    assert_eq!(error(""), Some(ErrorKind::InvalidInput));
    assert_eq!(error(&"x".repeat(KEY_BYTES_MAX + 1)), Some(ErrorKind::InvalidInput));
    assert_eq!(error(&"x".repeat(KEY_BYTES_MAX)), None);
}

#[test]
fn rows_of_other_columns_are_refused() {
    let table = table(None);
    let schema = Arc::new(arrow::datatypes::Schema::new(vec![arrow::datatypes::Field::new("x", arrow::datatypes::DataType::Utf8, true)]));
    let batch = RecordBatch::try_new(schema, vec![Arc::new(StringArray::from(vec!["x"]))]).unwrap();
    let other = ChangeBatch::inserts(batch, Version(1)).unwrap();
    assert_eq!(Rows::new(&table, &[other]).err().map(|e| e.kind()), Some(ErrorKind::InvalidInput));
}

#[test]
fn an_expired_row_is_not_written_and_a_delete_always_is() {
    let table = table(Some(std::time::Duration::from_secs(10)));
    let batch = changes(&table.spec.schema, &[("a", 1, None, ChangeKind::Insert, 5), ("a", 2, None, ChangeKind::Delete, 5)]);
    let rows = Rows::new(&table, &[batch]).unwrap();
    let how = |row, now| rows.write(&table, row, false, Timestamp(now)).map(|w| w.how);
    assert_eq!(how(0, 5), Some(How::Insert { ttl: Some(10), unset_nulls: false, stores_version: false }));
    assert_eq!(how(0, 10_000_005), None);
    assert_eq!(how(1, 10_000_005), Some(How::Delete));
}
