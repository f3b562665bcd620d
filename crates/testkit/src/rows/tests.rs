#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use super::*;
use crate::tables;

#[test]
fn rows_of_every_column_type_come_back_as_they_were_written() {
    let spec = tables::all_types("t");
    let rows = tables::all_types_rows();
    let batch = batch(&spec.schema, &rows).unwrap();
    assert_eq!(rows_of(&batch).unwrap(), rows);
}

#[test]
fn a_cell_that_does_not_fit_its_column_is_refused_by_name() {
    let spec = tables::single("t");
    let error = batch(&spec.schema, &[row!["a", "not a number"]]).unwrap_err();
    assert!(error.to_string().starts_with("column v: Str(\"not a number\") does not fit Int64"), "{error}");
}
