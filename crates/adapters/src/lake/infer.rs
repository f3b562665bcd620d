//! The type of a CSV column from its values, by the rules of Spark's `inferSchema` (org.apache.spark.sql.catalyst.csv.CSVInferSchema):
//! the first of INT, BIGINT, DECIMAL, DOUBLE, DATE, TIMESTAMP, BOOLEAN that every value fits, else STRING.

use arrow::datatypes::DataType;
use chrono::{DateTime, NaiveDate, NaiveDateTime};
use millstream_core::table::timestamp_type;

/// What the values of a column have been so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guess {
    /// Only nulls.
    Nothing,
    Int,
    BigInt,
    /// An integer beyond BIGINT, with so many digits.
    Decimal(u8),
    Double,
    Date,
    Timestamp,
    Boolean,
    Text,
}

impl Guess {
    /// The guess after one more (not null) value.
    pub(super) fn and(self, value: &str) -> Self {
        match self {
            Self::Text => Self::Text,
            _ => self.merge(Self::of(value)),
        }
    }

    fn of(value: &str) -> Self {
        if value.parse::<i32>().is_ok() {
            return Self::Int;
        }
        if value.parse::<i64>().is_ok() {
            return Self::BigInt;
        }
        let digits = value.strip_prefix(['+', '-']).unwrap_or(value);
        if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
            return u8::try_from(digits.len()).ok().filter(|n| *n <= 38).map_or(Self::Double, Self::Decimal);
        }
        if is_double(value) {
            return Self::Double;
        }
        if NaiveDate::parse_from_str(value, "%Y-%m-%d").is_ok_and(|_| value.len() == 10) {
            return Self::Date;
        }
        if is_timestamp(value) {
            return Self::Timestamp;
        }
        if value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false") {
            return Self::Boolean;
        }
        Self::Text
    }

    fn merge(self, other: Self) -> Self {
        use Guess::{BigInt, Date, Decimal, Double, Int, Nothing, Text, Timestamp};
        match (self, other) {
            (a, b) if a == b => a,
            (Nothing, x) | (x, Nothing) => x,
            (Int, BigInt) | (BigInt, Int) => BigInt,
            // Spark: DECIMAL(20, 0) is what holds a BIGINT.
            (Decimal(p), Int | BigInt) | (Int | BigInt, Decimal(p)) => Decimal(p.max(20)),
            (Decimal(a), Decimal(b)) => Decimal(a.max(b)),
            (Double, Int | BigInt | Decimal(_)) | (Int | BigInt | Decimal(_), Double) => Double,
            (Date, Timestamp) | (Timestamp, Date) => Timestamp,
            _ => Text,
        }
    }

    pub(super) fn data_type(self) -> DataType {
        match self {
            Self::Nothing | Self::Text => DataType::Utf8,
            Self::Int => DataType::Int32,
            Self::BigInt => DataType::Int64,
            Self::Decimal(digits) => DataType::Decimal128(digits, 0),
            Self::Double => DataType::Float64,
            Self::Date => DataType::Date32,
            Self::Timestamp => timestamp_type(),
            Self::Boolean => DataType::Boolean,
        }
    }
}

/// Numbers with a digit in them, and Spark's names for the others (`NaN`, `Inf`, `-Inf`); not Rust's `infinity` or `nan`.
fn is_double(value: &str) -> bool {
    matches!(value, "NaN" | "Inf" | "-Inf") || (value.bytes().any(|b| b.is_ascii_digit()) && value.parse::<f64>().is_ok())
}

fn is_timestamp(value: &str) -> bool {
    DateTime::parse_from_rfc3339(value).is_ok()
        || ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"].iter().any(|f| NaiveDateTime::parse_from_str(value, f).is_ok())
}

#[cfg(test)]
mod tests;
