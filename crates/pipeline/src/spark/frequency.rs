//! The frequency of `percentile(value, percentage, frequency)`, looked at before it is aggregated: an aggregate can't say which of its rows a
//! negative one is of, and one event would stop its flow.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{ColumnarValue, Expr, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use crate::plan::expressions;

/// `(frequency, whether the row counts)`: the frequency. A query can't call it.
pub(crate) const CHECKED_FREQUENCY: &str = "spark_frequency";

/// `plan`, analysed, with every frequency checked.
pub(crate) fn check(plan: LogicalPlan) -> Result<LogicalPlan> {
    expressions::rewrite(plan, &|expr, _| expr.transform_up(|e| Ok(checked(e))))
}

fn checked(expr: Expr) -> Transformed<Expr> {
    let Expr::AggregateFunction(mut function) = expr else { return Transformed::no(expr) };
    let ("percentile", [value, _, frequency]) = (function.func.name(), function.params.args.as_slice()) else {
        return Transformed::no(Expr::AggregateFunction(function));
    };
    // As in Spark, the frequency of a row that is left out is not looked at.
    let has_value = value.clone().is_not_null();
    let counts = match &function.params.filter {
        Some(filter) => filter.as_ref().clone().and(has_value),
        None => has_value,
    };
    let checks =
        ScalarUDF::from(CheckedFrequency { signature: Signature::exact(vec![DataType::Int64, DataType::Boolean], Volatility::Immutable) });
    function.params.args[2] = Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(checks), vec![frequency.clone(), counts]));
    Transformed::yes(Expr::AggregateFunction(function))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CheckedFrequency {
    signature: Signature,
}

impl ScalarUDFImpl for CheckedFrequency {
    fn name(&self) -> &str {
        CHECKED_FREQUENCY
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [frequencies, counts] = arrays.as_slice() else { return exec_err!("a frequency and whether its row counts were expected") };
        let (Some(numbers), Some(counts)) = (frequencies.as_primitive_opt::<Int64Type>(), counts.as_boolean_opt()) else {
            return exec_err!("a BIGINT and a BOOLEAN were expected");
        };
        let is_negative = |row: &usize| counts.is_valid(*row) && counts.value(*row) && numbers.is_valid(*row) && numbers.value(*row) < 0;
        if let Some(row) = (0..numbers.len()).find(is_negative) {
            return exec_err!("percentile() was given the negative frequency {}", numbers.value(row));
        }
        Ok(ColumnarValue::Array(Arc::clone(frequencies)))
    }
}
