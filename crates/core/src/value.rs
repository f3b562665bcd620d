//! A single value of a key column: as a reader names it in a URL, a range bound or a page token.

use std::fmt;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Int8Array, Int16Array, Int32Array, Int64Array, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Date32Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use chrono::{DateTime, NaiveDate, NaiveDateTime};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// One value of a type that can be a key ([`crate::key::can_be_key`]). Never null: a null key goes to the dead letters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Value {
    /// BOOLEAN.
    Bool(bool),
    /// TINYINT, SMALLINT, INT and BIGINT; the column's type says which.
    Int(i64),
    /// STRING.
    Str(String),
    /// BINARY.
    Bytes(Vec<u8>),
    /// DATE: days since 1970-01-01.
    Date(i32),
    /// TIMESTAMP: microseconds since 1970-01-01T00:00:00Z.
    Timestamp(i64),
}

impl Value {
    /// Reads `text` as a value of `data_type`: integers in decimal, dates as `2013-07-22`, timestamps as RFC 3339 or
    /// `2013-07-22 19:00:00` (taken as UTC), booleans as `true`/`false`, binary as hexadecimal digits.
    pub fn parse(text: &str, data_type: &DataType) -> Result<Self> {
        let bad = |expected: &str| Error::invalid(format!("{text:?} is not {expected}"));
        match data_type {
            DataType::Boolean => text.parse().map(Self::Bool).map_err(|_| bad("true or false")),
            DataType::Int8 => text.parse::<i8>().map(|v| Self::Int(v.into())).map_err(|_| bad("a TINYINT")),
            DataType::Int16 => text.parse::<i16>().map(|v| Self::Int(v.into())).map_err(|_| bad("a SMALLINT")),
            DataType::Int32 => text.parse::<i32>().map(|v| Self::Int(v.into())).map_err(|_| bad("an INT")),
            DataType::Int64 => text.parse::<i64>().map(Self::Int).map_err(|_| bad("a BIGINT")),
            DataType::Utf8 => Ok(Self::Str(text.to_owned())),
            DataType::Binary => parse_hex(text).map(Self::Bytes).ok_or_else(|| bad("an even number of hexadecimal digits")),
            DataType::Date32 => parse_date(text).map(Self::Date).ok_or_else(|| bad("a date like 2013-07-22")),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                parse_timestamp(text).map(Self::Timestamp).ok_or_else(|| bad("a timestamp like 2013-07-22T19:00:00Z"))
            }
            other => Err(Error::invalid(format!("a {other} can't be part of a key"))),
        }
    }

    /// The value at `row` of `array`; `None` where it is null. A type that can't be a key is an error.
    pub fn at(array: &dyn Array, row: usize) -> Result<Option<Self>> {
        if array.is_null(row) {
            return Ok(None);
        }
        Ok(Some(match array.data_type() {
            DataType::Boolean => Self::Bool(array.as_boolean().value(row)),
            DataType::Int8 => Self::Int(array.as_primitive::<Int8Type>().value(row).into()),
            DataType::Int16 => Self::Int(array.as_primitive::<Int16Type>().value(row).into()),
            DataType::Int32 => Self::Int(array.as_primitive::<Int32Type>().value(row).into()),
            DataType::Int64 => Self::Int(array.as_primitive::<Int64Type>().value(row)),
            DataType::Utf8 => Self::Str(array.as_string::<i32>().value(row).to_owned()),
            DataType::Binary => Self::Bytes(array.as_binary::<i32>().value(row).to_vec()),
            DataType::Date32 => Self::Date(array.as_primitive::<Date32Type>().value(row)),
            DataType::Timestamp(TimeUnit::Microsecond, _) => Self::Timestamp(array.as_primitive::<TimestampMicrosecondType>().value(row)),
            other => return Err(Error::invalid(format!("a {other} can't be part of a key"))),
        }))
    }

    /// A column of one row that holds this value as `data_type`. A value that the type can't hold is an error.
    pub fn to_array(&self, data_type: &DataType) -> Result<ArrayRef> {
        use std::sync::Arc;
        let misfit = || Error::invalid(format!("{self} does not fit a column of type {data_type}"));
        Ok(match (self, data_type) {
            (Self::Bool(v), DataType::Boolean) => Arc::new(BooleanArray::from(vec![*v])),
            (Self::Int(v), DataType::Int8) => Arc::new(Int8Array::from(vec![i8::try_from(*v).map_err(|_| misfit())?])),
            (Self::Int(v), DataType::Int16) => Arc::new(Int16Array::from(vec![i16::try_from(*v).map_err(|_| misfit())?])),
            (Self::Int(v), DataType::Int32) => Arc::new(Int32Array::from(vec![i32::try_from(*v).map_err(|_| misfit())?])),
            (Self::Int(v), DataType::Int64) => Arc::new(Int64Array::from(vec![*v])),
            (Self::Str(v), DataType::Utf8) => Arc::new(StringArray::from(vec![v.as_str()])),
            (Self::Bytes(v), DataType::Binary) => Arc::new(BinaryArray::from(vec![v.as_slice()])),
            (Self::Date(v), DataType::Date32) => Arc::new(Date32Array::from(vec![*v])),
            (Self::Timestamp(v), DataType::Timestamp(TimeUnit::Microsecond, zone)) => {
                Arc::new(TimestampMicrosecondArray::from(vec![*v]).with_timezone_opt(zone.clone()))
            }
            _ => return Err(misfit()),
        })
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(v) => v.fmt(f),
            Self::Int(v) => v.fmt(f),
            Self::Str(v) => v.fmt(f),
            Self::Bytes(v) => f.write_str(&format_hex(v)),
            Self::Date(v) => match epoch_day().checked_add_signed(chrono::TimeDelta::days((*v).into())) {
                Some(date) => date.fmt(f),
                None => write!(f, "{v} days"),
            },
            Self::Timestamp(v) => crate::time::EventTime(*v).fmt(f),
        }
    }
}

fn epoch_day() -> NaiveDate {
    NaiveDate::default()
}

fn parse_date(text: &str) -> Option<i32> {
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    i32::try_from(date.signed_duration_since(epoch_day()).num_days()).ok()
}

fn parse_timestamp(text: &str) -> Option<i64> {
    if let Ok(t) = DateTime::parse_from_rfc3339(text) {
        return Some(t.timestamp_micros());
    }
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .map(|t| t.and_utc().timestamp_micros())
}

/// Bytes as hexadecimal digits.
pub(crate) fn format_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Bytes from hexadecimal digits; `None` where they aren't.
pub(crate) fn parse_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    digits
        .chunks_exact(2)
        .map(|pair| {
            let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
            Some(digit(pair[0])? << 4 | digit(pair[1])?)
        })
        .collect()
}

/// The word for a floating-point number that has no digits, as Java and Spark write it: `NaN`, `Infinity` or `-Infinity`.
#[must_use]
pub fn not_finite(value: f64) -> &'static str {
    if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}

#[cfg(test)]
mod tests;
