//! `date_trunc` and `trunc`: the beginning of the year, month, hour in which a time or date lies, for every time that there is.
//!
//! Source: Spark 4.1's function reference; a unit that is none gives null.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Date32Array, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Date32Type, Field, FieldRef, TimestampMicrosecondType};
use chrono::{Datelike, NaiveDate};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use millstream_core::table::timestamp_type;

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Both functions.
#[must_use]
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    let function = |of_time| Arc::new(ScalarUDF::from(Truncate { of_time, signature: Signature::user_defined(Volatility::Immutable) }));
    vec![function(true), function(false)]
}

/// What is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Year,
    Quarter,
    Month,
    Week,
    /// So many microseconds, at most a day.
    Micros(i64),
}

impl Unit {
    fn parse(text: &str) -> Option<Self> {
        Some(match text.to_uppercase().as_str() {
            "YEAR" | "YYYY" | "YY" => Self::Year,
            "QUARTER" => Self::Quarter,
            "MONTH" | "MM" | "MON" => Self::Month,
            "WEEK" => Self::Week,
            "DAY" | "DD" => Self::Micros(MICROS_PER_DAY),
            "HOUR" => Self::Micros(3_600_000_000),
            "MINUTE" => Self::Micros(60_000_000),
            "SECOND" => Self::Micros(1_000_000),
            "MILLISECOND" => Self::Micros(1_000),
            "MICROSECOND" => Self::Micros(1),
            _ => return None,
        })
    }

    /// The first day of the unit in which a day since 1970 lies; `None` beyond the calendar.
    fn first_day(self, days: i64) -> Option<i64> {
        let from_common_era = i32::try_from(days + 719_163).ok()?;
        let day = NaiveDate::from_num_days_from_ce_opt(from_common_era)?;
        let first = match self {
            Self::Year => day.with_ordinal(1)?,
            Self::Quarter => NaiveDate::from_ymd_opt(day.year(), day.month0() / 3 * 3 + 1, 1)?,
            Self::Month => day.with_day(1)?,
            Self::Week => return Some(days - i64::from(day.weekday().num_days_from_monday())),
            Self::Micros(_) => day,
        };
        Some(i64::from(first.num_days_from_ce()) - 719_163)
    }
}

fn truncate_time(micros: i64, unit: Unit) -> Option<i64> {
    match unit {
        Unit::Micros(size) => Some(micros - micros.rem_euclid(size)),
        _ => unit.first_day(micros.div_euclid(MICROS_PER_DAY))?.checked_mul(MICROS_PER_DAY),
    }
}

fn truncate_date(days: i32, unit: Unit) -> Option<i32> {
    match unit {
        // Of a date nothing is left to cut off.
        Unit::Micros(_) => None,
        _ => i32::try_from(unit.first_day(i64::from(days))?).ok(),
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Truncate {
    /// `date_trunc(unit, time)`, or `trunc(date, unit)`.
    of_time: bool,
    signature: Signature,
}

impl Truncate {
    fn result(&self) -> DataType {
        if self.of_time { timestamp_type() } else { DataType::Date32 }
    }
}

impl ScalarUDFImpl for Truncate {
    fn name(&self) -> &str {
        if self.of_time { "date_trunc" } else { "trunc" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [DataType::Utf8, DataType::Timestamp(..) | DataType::Null] if self.of_time => Ok(vec![DataType::Utf8, timestamp_type()]),
            [DataType::Date32 | DataType::Null, DataType::Utf8] if !self.of_time => Ok(vec![DataType::Date32, DataType::Utf8]),
            _ if self.of_time => plan_err!("date_trunc() takes a unit and a TIMESTAMP"),
            _ => plan_err!("trunc() takes a DATE and a unit"),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(self.result())
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(self.name(), self.result(), true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (unit, values) = match (self.of_time, args.args.as_slice()) {
            (true, [unit, values]) | (false, [values, unit]) => (unit, values),
            _ => return exec_err!("{}() takes two arguments", self.name()),
        };
        if let (ColumnarValue::Scalar(unit), ColumnarValue::Scalar(value)) = (unit, values) {
            let truncated = self.truncate(&value.to_array()?, &unit.to_array()?);
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&truncated, 0)?));
        }
        let values = values.to_array(args.number_rows)?;
        let units = match unit {
            ColumnarValue::Array(units) => Arc::clone(units),
            // One for all rows.
            ColumnarValue::Scalar(unit) => unit.to_array()?,
        };
        Ok(ColumnarValue::Array(self.truncate(&values, &units)))
    }
}

impl Truncate {
    /// `units` has one for each value, or one for all.
    fn truncate(&self, values: &ArrayRef, units: &ArrayRef) -> ArrayRef {
        let units: Vec<Option<Unit>> = units.as_string::<i32>().iter().map(|unit| unit.and_then(Unit::parse)).collect();
        let unit = |row: usize| if let [unit] = units.as_slice() { *unit } else { units.get(row).copied().flatten() };
        if self.of_time {
            let times = values.as_primitive::<TimestampMicrosecondType>();
            let truncated: TimestampMicrosecondArray =
                times.iter().enumerate().map(|(row, time)| truncate_time(time?, unit(row)?)).collect();
            Arc::new(truncated.with_timezone("UTC"))
        } else {
            let dates = values.as_primitive::<Date32Type>();
            let truncated: Date32Array = dates.iter().enumerate().map(|(row, day)| truncate_date(day?, unit(row)?)).collect();
            Arc::new(truncated)
        }
    }
}

#[cfg(test)]
mod tests;
