use std::sync::Arc;

use arrow::array::{Int64Array, StringArray};

use super::*;

fn rows() -> RecordBatch {
    let texts = StringArray::from(vec![Some("a"), Some(""), None]);
    let numbers = Int64Array::from(vec![Some(0), None, Some(2)]);
    RecordBatch::try_from_iter([("text", Arc::new(texts) as _), ("number", Arc::new(numbers) as _)]).unwrap()
}

fn missing(key: &[(usize, bool)]) -> Vec<(usize, usize)> {
    let key: Vec<_> = key.iter().map(|(column, whole)| KeyColumn { column: *column, is_partition_key: *whole }).collect();
    Suspects::of(&rows(), &key).all()
}

#[test]
fn a_null_is_missing_in_any_key_column() {
    assert_eq!(missing(&[(0, false), (1, false)]), [(1, 1), (2, 0)]);
    assert_eq!(missing(&[(1, false)]), [(1, 1)]);
    assert_eq!(missing(&[]), []);
}

#[test]
fn an_empty_text_is_missing_only_where_it_is_the_whole_partition_key() {
    assert_eq!(missing(&[(0, true)]), [(1, 0), (2, 0)]);
    assert_eq!(missing(&[(0, false)]), [(2, 0)]);
}

#[test]
fn columns_without_nulls_are_not_looked_at() {
    let rows = RecordBatch::try_from_iter([("number", Arc::new(Int64Array::from(vec![1, 2])) as _)]).unwrap();
    assert!(Suspects::of(&rows, &[KeyColumn { column: 0, is_partition_key: true }]).is_empty());
}
