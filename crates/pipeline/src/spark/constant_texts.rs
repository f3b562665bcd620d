//! Calls of a value and of texts that are the same for every row: a schema, a path, options.

use arrow::array::ArrayRef;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

/// What `evaluate` makes of the first argument and the texts behind it, for `function`: a scalar of a scalar.
pub(super) fn call(
    function: &str,
    args: &ScalarFunctionArgs,
    evaluate: impl FnOnce(&ArrayRef, &[&str]) -> Result<ArrayRef>,
) -> Result<ColumnarValue> {
    let Some((value, texts)) = args.args.split_first() else { return exec_err!("{function}() needs a value") };
    let texts = texts.iter().map(|arg| match arg {
        ColumnarValue::Scalar(ScalarValue::Utf8(Some(text))) => Ok(text.as_str()),
        _ => exec_err!("{function}() needs constant texts behind its value"),
    });
    let texts = texts.collect::<Result<Vec<_>>>()?;
    let array = value.to_array(if matches!(value, ColumnarValue::Scalar(_)) { 1 } else { args.number_rows })?;
    let result = evaluate(&array, &texts)?;
    match value {
        ColumnarValue::Array(_) => Ok(ColumnarValue::Array(result)),
        ColumnarValue::Scalar(_) => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?)),
    }
}

#[cfg(test)]
mod tests;
