#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
use arrow::array::Int64Array;
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{CaseExpr, binary, col, lit};
use millstream_core::ErrorKind;

use super::*;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]))
}

/// Inserts with the numbers `n`.
fn inserts(n: &[i64]) -> Rows {
    let batch = RecordBatch::try_new(schema(), vec![Arc::new(Int64Array::from(n.to_vec()))]).unwrap();
    let origin = UInt32Array::from_iter_values(0..u32::try_from(n.len()).unwrap());
    Rows { batch, origin, kinds: UInt8Array::from_value(ChangeKind::Insert.code(), n.len()) }
}

/// A constant that fails whatever the number of rows.
fn failing() -> Arc<dyn PhysicalExpr> {
    binary(lit(1_i64), Operator::Divide, lit(0_i64), &schema()).unwrap()
}

fn column() -> Arc<dyn PhysicalExpr> {
    col("n", &schema()).unwrap()
}

fn project(expression: Arc<dyn PhysicalExpr>, data_type: DataType) -> Step {
    Step::Project { expressions: vec![expression], schema: Arc::new(Schema::new(vec![Field::new("x", data_type, true)])) }
}

/// The steps' results, and how many rows were rejected.
fn results(steps: &[Step], n: &[i64]) -> (Vec<i64>, usize) {
    let mut rejects = Rejects::new();
    let rows = run(steps, inserts(n), &mut rejects).unwrap();
    (rows.batch.column(0).as_primitive::<Int64Type>().values().to_vec(), rejects.len())
}

/// The first epoch of a flow with windows has no result, and its steps run all the same.
#[test]
fn a_constant_that_fails_does_so_for_each_row_and_not_where_there_is_none() {
    let steps = [project(failing(), DataType::Int64)];
    assert_eq!(results(&steps, &[]), (vec![], 0));
    assert_eq!(results(&steps, &[1, 2, 3]), (vec![], 3));
    let above = binary(column(), Operator::Gt, failing(), &schema()).unwrap();
    assert_eq!(results(&[Step::Filter(Arc::clone(&above))], &[]), (vec![], 0));
    assert_eq!(results(&[Step::Filter(above)], &[1, 2, 3]), (vec![], 3));
}

#[test]
fn a_constant_that_fails_is_of_the_rows_that_take_its_branch() {
    let large = binary(column(), Operator::Gt, lit(2_i64), &schema()).unwrap();
    let case = CaseExpr::try_new(None, vec![(large, failing())], Some(column())).unwrap();
    let steps = [project(Arc::new(case), DataType::Int64)];
    assert_eq!(results(&steps, &[]), (vec![], 0));
    assert_eq!(results(&steps, &[1, 2]), (vec![1, 2], 0));
    assert_eq!(results(&steps, &[1, 3, 2]), (vec![1, 2], 1));
}

/// Halving ends, whatever fails.
#[test]
fn what_fails_without_rows_ends_with_an_error() {
    let steps = [project(lit(1_i64), DataType::Utf8)];
    for n in [&[][..], &[1], &[1, 2]] {
        let error = run(&steps, inserts(n), &mut Rejects::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.message().starts_with("the query can't be computed at all: "), "{error}");
    }
}
