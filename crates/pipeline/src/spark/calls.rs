//! Calls that compute what Spark's do once an argument or the result is cast.

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{Expr, ExprSchemable, cast};

/// The call with its casts; `None` where it needs none.
pub(super) fn with_casts(function: &ScalarFunction, schema: &DFSchema) -> Option<Expr> {
    match function.func.name() {
        "regexp_count" => Some(cast(Expr::ScalarFunction(function.clone()), DataType::Int32)),
        "format_string" => {
            let is_decimal = |e: &Expr| -> Result<bool> { Ok(e.get_type(schema)?.is_decimal()) };
            if !function.args.iter().any(|e| is_decimal(e).unwrap_or(false)) {
                return None;
            }
            let mut call = function.clone();
            for argument in call.args.iter_mut().filter(|e| is_decimal(e).unwrap_or(false)) {
                *argument = cast(std::mem::take(argument), DataType::Utf8);
            }
            Some(Expr::ScalarFunction(call))
        }
        _ => None,
    }
}
