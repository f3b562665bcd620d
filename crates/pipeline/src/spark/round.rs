//! `round`: half up, by the decimal digits that a number is written with, and without losing any.
//!
//! Source: Spark 4.1's function reference; a rounded DECIMAL has room for the digit into which rounding may carry.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, Float32Type, Float64Type, Int64Type};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

const MAX_PRECISION: i32 = 38;

/// `round(number [, digits])`.
#[must_use]
pub fn function() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Round { signature: Signature::user_defined(Volatility::Immutable) }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Round {
    signature: Signature,
}

impl ScalarUDFImpl for Round {
    fn name(&self) -> &str {
        "round"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let (number, digits) = match types {
            [number] => (number, None),
            [number, digits] if digits.is_integer() => (number, Some(DataType::Int32)),
            _ => return plan_err!("round() takes a number, and how many digits to keep as an INT"),
        };
        let number = match number {
            DataType::Utf8 | DataType::Null => DataType::Float64,
            number if number.is_signed_integer() || number.is_floating() || matches!(number, DataType::Decimal128(..)) => number.clone(),
            other => return plan_err!("round() takes a number, not {other}"),
        };
        Ok(std::iter::once(number).chain(digits).collect())
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        exec_err!("the type of round() depends on how many digits are kept")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let Some(number) = args.arg_fields.first() else { return plan_err!("round() takes a number") };
        let digits = match args.scalar_arguments.get(1) {
            None => 0,
            Some(Some(digits)) => digits_of(digits)?,
            Some(None) => return plan_err!("how many digits round() keeps has to be a constant"),
        };
        let data_type = match number.data_type() {
            DataType::Decimal128(precision, scale) => rounded_type(*precision, *scale, digits),
            other => other.clone(),
        };
        Ok(Arc::new(Field::new(self.name(), data_type, number.is_nullable())))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let digits = match args.args.get(1) {
            None => 0,
            Some(ColumnarValue::Scalar(digits)) => digits_of(digits)?,
            Some(ColumnarValue::Array(_)) => return exec_err!("how many digits round() keeps has to be a constant"),
        };
        match args.args.first() {
            Some(ColumnarValue::Array(array)) => Ok(ColumnarValue::Array(round_all(array, digits, args.return_type())?)),
            Some(ColumnarValue::Scalar(scalar)) => {
                let rounded = round_all(&scalar.to_array()?, digits, args.return_type())?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&rounded, 0)?))
            }
            None => exec_err!("round() takes a number"),
        }
    }
}

fn digits_of(digits: &ScalarValue) -> Result<i32> {
    match digits {
        ScalarValue::Int32(Some(digits)) => Ok(*digits),
        ScalarValue::Int64(Some(digits)) => i32::try_from(*digits).map_err(|_| exec_datafusion_err!("round() can't keep {digits} digits")),
        other => plan_err!("round() keeps a number of digits, not {other}"),
    }
}

/// The type of a DECIMAL(precision, scale) that is rounded to `digits` after the point, which may be negative.
fn rounded_type(precision: u8, scale: i8, digits: i32) -> DataType {
    let (precision, scale) = (i32::from(precision), i32::from(scale));
    let integral = precision - scale + 1;
    let (precision, scale) = if digits < 0 {
        (integral.max(1 - digits), 0)
    } else {
        let kept = scale.min(digits);
        (integral + kept, kept)
    };
    DataType::Decimal128(u8::try_from(precision.min(MAX_PRECISION)).unwrap_or(38), i8::try_from(scale).unwrap_or(0))
}

fn round_all(array: &ArrayRef, digits: i32, result: &DataType) -> Result<ArrayRef> {
    let overflow = || exec_datafusion_err!("the result of round() overflows its type");
    match array.data_type() {
        DataType::Float64 => Ok(Arc::new(array.as_primitive::<Float64Type>().unary::<_, Float64Type>(|v| round_double(v, digits)))),
        DataType::Float32 => Ok(Arc::new(array.as_primitive::<Float32Type>().unary::<_, Float32Type>(|v| round_float(v, digits)))),
        DataType::Decimal128(_, scale) => {
            let DataType::Decimal128(precision, kept) = result else { return exec_err!("round() of a DECIMAL is a DECIMAL") };
            let limit = 10_i128.pow(u32::from(*precision).min(38));
            let round = |v| {
                let rounded = round_decimal(v, i32::from(*scale), digits, i32::from(*kept));
                rounded.filter(|r| *r < limit && *r > -limit).ok_or_else(overflow)
            };
            let values = array.as_primitive::<Decimal128Type>().try_unary::<_, Decimal128Type, _>(round)?;
            Ok(Arc::new(values.with_precision_and_scale(*precision, *kept)?))
        }
        _ if digits >= 0 => Ok(Arc::clone(array)),
        integer => {
            let wide = cast(array, &DataType::Int64)?;
            let round = |v| round_decimal(i128::from(v), 0, digits, 0).and_then(|r| i64::try_from(r).ok()).ok_or_else(overflow);
            let rounded = wide.as_primitive::<Int64Type>().try_unary::<_, Int64Type, _>(round)?;
            let narrow = cast(&rounded, integer)?;
            // Arrow's cast gives null for what doesn't fit.
            if narrow.null_count() > array.null_count() { Err(overflow()) } else { Ok(narrow) }
        }
    }
}

/// `unscaled` with `scale` digits after the point, rounded half away from zero to `digits`, with `kept` digits after the point.
fn round_decimal(unscaled: i128, scale: i32, digits: i32, kept: i32) -> Option<i128> {
    let power = |exponent: i32| 10_i128.checked_pow(u32::try_from(exponent).ok()?);
    let dropped = scale - digits;
    if dropped <= 0 {
        return unscaled.checked_mul(power(kept - scale)?);
    }
    let Some(unit) = power(dropped) else { return Some(0) };
    let (quotient, rest) = (unscaled / unit, unscaled % unit);
    let carry = if rest.unsigned_abs() >= unit.unsigned_abs().div_ceil(2) { unscaled.signum() } else { 0 };
    (quotient + carry).checked_mul(power(kept - digits)?)
}

fn round_double(value: f64, digits: i32) -> f64 {
    rounded_text(&format!("{value:e}"), digits).and_then(|text| text.parse().ok()).unwrap_or(value)
}

fn round_float(value: f32, digits: i32) -> f32 {
    rounded_text(&format!("{value:e}"), digits).and_then(|text| text.parse().ok()).unwrap_or(value)
}

/// The shortest text of a number, `-1.005e0`, rounded to `digits` after the point; `None` where that changes nothing.
fn rounded_text(text: &str, digits: i32) -> Option<String> {
    let (mantissa, exponent) = text.split_once('e')?;
    let exponent: i32 = exponent.parse().ok()?;
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    // At most 17 digits.
    let unscaled: i128 = format!("{whole}{fraction}").parse().ok()?;
    let scale = i32::try_from(fraction.len()).ok()? - exponent;
    if unscaled == 0 {
        return Some("0".to_owned());
    }
    let dropped = scale - digits;
    if dropped <= 0 {
        return None;
    }
    let kept = round_decimal(unscaled, dropped, 0, 0)?;
    Some(if kept == 0 { "0".to_owned() } else { format!("{sign}{kept}e{}", -digits) })
}

#[cfg(test)]
mod tests;
