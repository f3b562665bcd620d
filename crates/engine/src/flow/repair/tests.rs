#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use arrow::array::{Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema};

use super::*;

fn rows(values: &[(&str, i64)]) -> RecordBatch {
    let schema = Schema::new(vec![Field::new("key", DataType::Utf8, true), Field::new("value", DataType::Int64, true)]);
    let keys: StringArray = values.iter().map(|(key, _)| Some(*key)).collect();
    let values: Int64Array = values.iter().map(|(_, value)| Some(*value)).collect();
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(keys), Arc::new(values)]).unwrap()
}

#[test]
fn what_changed_or_came_is_rewritten_and_what_went_is_removed() {
    let before = rows(&[("same", 1), ("changed", 2), ("gone", 3)]);
    let after = rows(&[("new", 4), ("changed", 5), ("same", 1)]);
    let found = Difference::between(&before, &after, &[0]).unwrap();
    assert_eq!(found, Difference { rewritten: UInt32Array::from(vec![0, 1]), removed: UInt32Array::from(vec![2]) });
}
