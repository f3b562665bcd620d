//! Functions that compute what Spark's do, in another type: the type that Spark gives their result.
//!
//! Source: Spark 4.1's function reference; for `round`, the digits that a rounded decimal can have.

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{Expr, ExprSchemable};

const MAX_PRECISION: i32 = 38;

/// The type to which the result of a call has to be cast.
pub(super) fn spark_type(function: &ScalarFunction, schema: &DFSchema) -> Option<DataType> {
    match (function.func.name(), function.args.as_slice()) {
        ("regexp_count", _) => Some(DataType::Int32),
        ("round", [value, scale @ ..]) => match (value.get_type(schema).ok()?, scale) {
            (DataType::Decimal128(precision, scale), []) => Some(rounded(precision, scale, 0)),
            (DataType::Decimal128(precision, scale), [Expr::Literal(digits, _)]) => match digits {
                ScalarValue::Int32(Some(digits)) => Some(rounded(precision, scale, *digits)),
                ScalarValue::Int64(Some(digits)) => Some(rounded(precision, scale, i32::try_from(*digits).ok()?)),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

/// The type of a DECIMAL(precision, scale) that is rounded to `digits` after the point, which may be negative.
fn rounded(precision: u8, scale: i8, digits: i32) -> DataType {
    let (precision, scale) = (i32::from(precision), i32::from(scale));
    // Rounding may carry into one more digit.
    let integral = precision - scale + 1;
    let (precision, scale) = if digits < 0 {
        (integral.max(1 - digits), 0)
    } else {
        let kept = scale.min(digits);
        (integral + kept, kept)
    };
    DataType::Decimal128(u8::try_from(precision.min(MAX_PRECISION)).unwrap_or(38), i8::try_from(scale).unwrap_or(0))
}

#[cfg(test)]
mod tests;
