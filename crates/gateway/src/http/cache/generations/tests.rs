#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
use std::sync::Arc;

use super::*;

fn values() -> Vec<(Value, DataType)> {
    vec![
        (Value::Bool(true), DataType::Boolean),
        (Value::Int(-3), DataType::Int8),
        (Value::Int(300), DataType::Int16),
        (Value::Int(70_000), DataType::Int32),
        (Value::Int(i64::MIN), DataType::Int64),
        (Value::Str("EWR".into()), DataType::Utf8),
        (Value::Bytes(vec![0, 255]), DataType::Binary),
        (Value::Date(15_908), DataType::Date32),
        (Value::Timestamp(1_374_519_600_000_000), millstream_core::table::timestamp_type()),
    ]
}

#[test]
fn a_written_row_and_a_read_of_its_partition_have_one_slot_for_every_key_type() {
    let (values, types): (Vec<Value>, Vec<DataType>) = values().into_iter().unzip();
    for (i, (value, data_type)) in values.iter().zip(&types).enumerate() {
        let array = value.to_array(data_type).unwrap();
        let rows = RecordBatch::try_from_iter([("k", array)]).unwrap();
        assert_eq!(Slot::of_rows("t", &rows, &[0]).unwrap(), [Slot::of("t", std::slice::from_ref(value))], "{i}");
    }
    let columns = values.iter().zip(&types).enumerate().map(|(i, (v, t))| (format!("c{i}"), v.to_array(t).unwrap()));
    let all = RecordBatch::try_from_iter(columns).unwrap();
    let indices: Vec<usize> = (0..values.len()).rev().collect();
    let key: Vec<Value> = values.iter().rev().cloned().collect();
    assert_eq!(Slot::of_rows("t", &all, &indices).unwrap(), [Slot::of("t", &key)]);
}

#[test]
fn a_slot_is_named_once_however_many_rows_have_it() {
    let keys = arrow::array::StringArray::from(vec!["a", "b", "a", "a"]);
    let rows = RecordBatch::try_from_iter([("k", Arc::new(keys) as _)]).unwrap();
    assert_eq!(Slot::of_rows("t", &rows, &[0]).unwrap().len(), 2);
}

#[test]
fn tables_and_split_strings_are_told_apart() {
    let text = |s: &str| Value::Str(s.into());
    assert_ne!(Slot::of("t", &[text("a")]), Slot::of("u", &[text("a")]));
    assert_ne!(Slot::of("t", &[text("ab"), text("c")]), Slot::of("t", &[text("a"), text("bc")]));
}

#[test]
fn a_column_that_cannot_be_a_key_has_no_slots() {
    let rows = RecordBatch::try_from_iter([("k", Arc::new(arrow::array::Float64Array::from(vec![1.0])) as _)]).unwrap();
    assert!(Slot::of_rows("t", &rows, &[0]).is_none());
}

#[test]
fn counting_up_touches_one_slot_or_all() {
    let generations = Generations::default();
    let (a, b) = (Slot(1), Slot(2));
    generations.bump(a);
    assert_eq!((generations.read(a), generations.read(b)), (1, 0));
    generations.bump_all();
    assert_eq!((generations.read(a), generations.read(b)), (2, 1));
}
