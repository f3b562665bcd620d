//! Spark's decimal arithmetic: its result types, computed exactly and rounded half up.
//!
//! Source: Spark's `DecimalPrecision` and `DecimalType.adjustPrecisionScale` as documented in "ANSI Compliance".

use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, Int64Array, PrimitiveArray};
use arrow::datatypes::{DataType, Decimal128Type, i256};
use arrow::error::ArrowError;

use super::arithmetic::Operation;

const MAX_PRECISION: i16 = 38;
const MINIMUM_ADJUSTED_SCALE: i16 = 6;

/// The decimal type that holds every value of an integer type.
#[must_use]
pub fn of_integer(integer: &DataType) -> DataType {
    match integer {
        DataType::Int8 => DataType::Decimal128(3, 0),
        DataType::Int16 => DataType::Decimal128(5, 0),
        DataType::Int32 => DataType::Decimal128(10, 0),
        _ => DataType::Decimal128(20, 0),
    }
}

/// The type of `operation` on decimals of these precisions and scales.
#[must_use]
pub fn result_type(operation: Operation, left: (u8, i8), right: (u8, i8)) -> DataType {
    let (p1, s1) = (i16::from(left.0), i16::from(left.1));
    let (p2, s2) = (i16::from(right.0), i16::from(right.1));
    let (precision, scale) = match operation {
        Operation::Add | Operation::Subtract => {
            let scale = s1.max(s2);
            ((p1 - s1).max(p2 - s2) + scale + 1, scale)
        }
        Operation::Multiply => (p1 + p2 + 1, s1 + s2),
        Operation::Divide => {
            let scale = MINIMUM_ADJUSTED_SCALE.max(s1 + p2 + 1);
            (p1 - s1 + s2 + scale, scale)
        }
        Operation::Remainder => {
            let scale = s1.max(s2);
            ((p1 - s1).min(p2 - s2) + scale, scale)
        }
        Operation::IntegralDivide => return DataType::Int64,
    };
    let (precision, scale) = adjust(precision, scale);
    DataType::Decimal128(u8::try_from(precision).unwrap_or(38), i8::try_from(scale).unwrap_or(0))
}

/// What doesn't fit 38 digits loses digits after the point first, but keeps six of them.
fn adjust(precision: i16, scale: i16) -> (i16, i16) {
    if precision <= MAX_PRECISION {
        return (precision.max(1), scale);
    }
    let integral_digits = precision - scale;
    let kept = scale.min(MINIMUM_ADJUSTED_SCALE);
    (MAX_PRECISION, (MAX_PRECISION - integral_digits).max(kept))
}

/// `operation` on two columns of equal length.
pub fn compute(operation: Operation, left: &Decimal128Array, right: &Decimal128Array) -> Result<ArrayRef, ArrowError> {
    let (l, r) = ((left.precision(), left.scale()), (right.precision(), right.scale()));
    let pairs = left.iter().zip(right.iter());
    let DataType::Decimal128(precision, scale) = result_type(operation, l, r) else {
        let quotients: Result<Int64Array, _> = pairs
            .map(|pair| match pair {
                (Some(a), Some(b)) => integral_quotient((a, l.1), (b, r.1)).map(Some),
                _ => Ok(None),
            })
            .collect();
        return Ok(Arc::new(quotients?));
    };
    let limit = power(i16::from(precision))?;
    let values: Result<PrimitiveArray<Decimal128Type>, ArrowError> = pairs
        .map(|pair| match pair {
            (Some(a), Some(b)) => {
                let value = value(operation, (a, l.1), (b, r.1), i16::from(scale))?;
                let fits = value < limit && value > limit.wrapping_neg();
                value.to_i128().filter(|_| fits).map(Some).ok_or_else(|| overflow(operation))
            }
            _ => Ok(None),
        })
        .collect();
    Ok(Arc::new(values?.with_precision_and_scale(precision, scale)?))
}

fn value(operation: Operation, left: (i128, i8), right: (i128, i8), scale: i16) -> Result<i256, ArrowError> {
    let (a, s1) = (i256::from_i128(left.0), i16::from(left.1));
    let (b, s2) = (i256::from_i128(right.0), i16::from(right.1));
    let overflows = || overflow(operation);
    match operation {
        Operation::Add | Operation::Subtract | Operation::Remainder => {
            let aligned = s1.max(s2);
            let (a, b) = (rescale(a, s1, aligned)?, rescale(b, s2, aligned)?);
            let value = match operation {
                Operation::Add => a.checked_add(b),
                Operation::Subtract => a.checked_sub(b),
                _ if b == i256::ZERO => return Err(ArrowError::DivideByZero),
                _ => a.checked_rem(b),
            };
            rescale(value.ok_or_else(overflows)?, aligned, scale)
        }
        Operation::Multiply => rescale(a.checked_mul(b).ok_or_else(overflows)?, s1 + s2, scale),
        Operation::Divide | Operation::IntegralDivide => {
            if b == i256::ZERO {
                return Err(ArrowError::DivideByZero);
            }
            // One digit more than asked for, by which the quotient is rounded.
            let dividend = rescale(a, s1, scale + 1 + s2)?;
            rescale(dividend.checked_div(b).ok_or_else(overflows)?, scale + 1, scale)
        }
    }
}

fn integral_quotient(left: (i128, i8), right: (i128, i8)) -> Result<i64, ArrowError> {
    let aligned = i16::from(left.1.max(right.1));
    let a = rescale(i256::from_i128(left.0), i16::from(left.1), aligned)?;
    let b = rescale(i256::from_i128(right.0), i16::from(right.1), aligned)?;
    if b == i256::ZERO {
        return Err(ArrowError::DivideByZero);
    }
    let quotient = a.checked_div(b).and_then(i256::to_i128).and_then(|q| i64::try_from(q).ok());
    quotient.ok_or_else(|| overflow(Operation::IntegralDivide))
}

/// `value` with `from` digits after the point as one with `to`, rounded half up.
fn rescale(value: i256, from: i16, to: i16) -> Result<i256, ArrowError> {
    if to >= from {
        return value.checked_mul(power(to - from)?).ok_or_else(|| overflow(Operation::Multiply));
    }
    let divisor = power(from - to)?;
    let half = divisor.wrapping_div(i256::from_i128(2));
    let away = if value < i256::ZERO { half.wrapping_neg() } else { half };
    Ok(value.wrapping_add(away).wrapping_div(divisor))
}

fn power(exponent: i16) -> Result<i256, ArrowError> {
    let exponent = u32::try_from(exponent).map_err(|_| overflow(Operation::Multiply))?;
    i256::from_i128(10).checked_pow(exponent).ok_or_else(|| overflow(Operation::Multiply))
}

fn overflow(operation: Operation) -> ArrowError {
    ArrowError::ArithmeticOverflow(format!("the result of {} does not fit a decimal of 38 digits", operation.symbol()))
}

/// The unscaled value of DECIMAL(precision, scale) that a text stands for, rounded half up: digits with a point, an exponent, blanks
/// around. `None` for what is no number, and for one that has more digits than the type.
#[must_use]
pub fn parse(text: &str, precision: u8, scale: i8) -> Option<i128> {
    let text = text.trim();
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits: Vec<u8> = digits.into_iter().skip_while(|digit| *digit == b'0').collect();
    // How many of the digits stand before the last place that is kept.
    let kept = i64::try_from(digits.len()).ok()? - i64::try_from(fraction.len()).ok()? + exponent + i64::from(scale);
    if digits.is_empty() || kept < 0 {
        return Some(0);
    }
    if kept > i64::from(precision) {
        return None;
    }
    let kept = usize::try_from(kept).ok()?;
    let mut value = digits.iter().copied().chain(std::iter::repeat(b'0')).take(kept).fold(0_i128, |v, d| v * 10 + i128::from(d - b'0'));
    value += i128::from(digits.get(kept).is_some_and(|next| *next >= b'5'));
    (value < 10_i128.checked_pow(u32::from(precision))?).then_some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests;
