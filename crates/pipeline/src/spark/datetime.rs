//! Spark's date functions that DataFusion lacks or does otherwise: `to_date`, `to_timestamp`, and `year`, `month`, `day` and their like.
//!
//! TIMESTAMP is microseconds in UTC, so there is one calendar and no session time zone.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Date32Array, Int32Array, TimestampMicrosecondArray};
use arrow::compute::{DatePart, cast, date_part};
use arrow::datatypes::{DataType, Date32Type, Field, FieldRef, TimeUnit, TimestampMicrosecondType};
use chrono::{DateTime, NaiveDate, NaiveTime};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use millstream_core::table::timestamp_type;

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// A function of one date, timestamp or string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    ToDate,
    ToTimestamp,
    Part(Part),
}

/// A part of a date, as an INT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Part {
    Year,
    Quarter,
    Month,
    Week,
    Day,
    DayOfYear,
    /// 1 is Sunday.
    DayOfWeek,
}

/// All functions of this module.
#[must_use]
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    let function = |name: &'static str, aliases: &[&str], kind| {
        let aliases = aliases.iter().map(|a| (*a).to_owned()).collect();
        Arc::new(ScalarUDF::from(DateFunction { name, aliases, kind, signature: Signature::user_defined(Volatility::Immutable) }))
    };
    vec![
        function("to_date", &["date"], Kind::ToDate),
        function("to_timestamp", &["timestamp"], Kind::ToTimestamp),
        function("year", &[], Kind::Part(Part::Year)),
        function("quarter", &[], Kind::Part(Part::Quarter)),
        function("month", &[], Kind::Part(Part::Month)),
        function("weekofyear", &[], Kind::Part(Part::Week)),
        function("day", &["dayofmonth"], Kind::Part(Part::Day)),
        function("dayofyear", &[], Kind::Part(Part::DayOfYear)),
        function("dayofweek", &[], Kind::Part(Part::DayOfWeek)),
    ]
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct DateFunction {
    name: &'static str,
    aliases: Vec<String>,
    kind: Kind,
    signature: Signature,
}

impl ScalarUDFImpl for DateFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [argument] = types else {
            return plan_err!("{}() takes one argument", self.name);
        };
        let accepted = match argument {
            DataType::Timestamp(_, Some(_)) => timestamp_type(),
            DataType::Timestamp(_, None) => DataType::Timestamp(TimeUnit::Microsecond, None),
            DataType::Date32 | DataType::Date64 => DataType::Date32,
            DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
            DataType::Null => DataType::Date32,
            other => return plan_err!("{}() takes a DATE, TIMESTAMP or STRING, not {other}", self.name),
        };
        Ok(vec![accepted])
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(match self.kind {
            Kind::ToDate => DataType::Date32,
            Kind::ToTimestamp => timestamp_type(),
            Kind::Part(_) => DataType::Int32,
        })
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let nullable = args.arg_fields.iter().any(|f| f.is_nullable());
        Ok(Arc::new(Field::new(self.name, self.return_type(&[])?, nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [argument] = args.args.as_slice() else {
            return exec_err!("{}() takes one argument", self.name);
        };
        let array = match argument {
            ColumnarValue::Array(array) => Arc::clone(array),
            ColumnarValue::Scalar(scalar) => scalar.to_array()?,
        };
        let result = match self.kind {
            Kind::ToDate => to_date(&array)?,
            Kind::ToTimestamp => to_timestamp(&array)?,
            Kind::Part(part) => extract(&to_date(&array)?, part)?,
        };
        match argument {
            ColumnarValue::Array(_) => Ok(ColumnarValue::Array(result)),
            ColumnarValue::Scalar(_) => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?)),
        }
    }
}

/// DATE, TIMESTAMP or STRING as DATE; the day of a time before 1970 is that on which it lies.
pub fn to_date(array: &ArrayRef) -> Result<ArrayRef> {
    match array.data_type() {
        DataType::Date32 => Ok(Arc::clone(array)),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let times = array.as_primitive::<TimestampMicrosecondType>();
            let days: Date32Array = times.try_unary(|t| {
                i32::try_from(t.div_euclid(MICROS_PER_DAY)).map_err(|_| exec_datafusion_err!("the time {t} µs has no DATE"))
            })?;
            Ok(Arc::new(days))
        }
        DataType::Utf8 => {
            let texts = array.as_string::<i32>();
            let dates: Result<Date32Array> = texts.iter().map(|text| text.map(parse_date).transpose()).collect();
            Ok(Arc::new(dates?))
        }
        other => exec_err!("a {other} has no DATE"),
    }
}

/// DATE, TIMESTAMP or STRING as TIMESTAMP; a text without an offset is UTC.
pub fn to_timestamp(array: &ArrayRef) -> Result<ArrayRef> {
    match array.data_type() {
        DataType::Utf8 => {
            let texts = array.as_string::<i32>();
            let times: Result<TimestampMicrosecondArray> = texts.iter().map(|text| text.map(parse_timestamp).transpose()).collect();
            Ok(Arc::new(times?.with_timezone("UTC")))
        }
        DataType::Date32 => {
            let dates = array.as_primitive::<Date32Type>();
            let times: TimestampMicrosecondArray = dates.unary(|d| i64::from(d) * MICROS_PER_DAY);
            Ok(Arc::new(times.with_timezone("UTC")))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            Ok(Arc::new(array.as_primitive::<TimestampMicrosecondType>().clone().with_timezone("UTC")))
        }
        other => Ok(cast(array, &timestamp_type()).map_err(|_| exec_datafusion_err!("a {other} has no TIMESTAMP"))?),
    }
}

fn extract(dates: &ArrayRef, part: Part) -> Result<ArrayRef> {
    let part_of = |part| date_part(dates.as_ref(), part);
    Ok(match part {
        Part::Year => part_of(DatePart::Year)?,
        Part::Quarter => part_of(DatePart::Quarter)?,
        Part::Month => part_of(DatePart::Month)?,
        Part::Week => part_of(DatePart::Week)?,
        Part::Day => part_of(DatePart::Day)?,
        Part::DayOfYear => part_of(DatePart::DayOfYear)?,
        Part::DayOfWeek => {
            let from_zero = part_of(DatePart::DayOfWeekSunday0)?;
            let from_one: Int32Array = from_zero.as_primitive::<arrow::datatypes::Int32Type>().unary(|d| d + 1);
            Arc::new(from_one)
        }
    })
}

/// A date as Spark's cast reads it: `yyyy`, `yyyy-m`, `yyyy-m-d`, and behind a space or `T` anything.
fn parse_date(text: &str) -> Result<i32> {
    let invalid = || exec_datafusion_err!("'{text}' is not a DATE (write yyyy-mm-dd)");
    let date = text.trim().split([' ', 'T']).next().and_then(calendar_date).ok_or_else(invalid)?;
    i32::try_from(days_since_epoch(date)).map_err(|_| invalid())
}

/// A time as Spark's cast reads it: a date, then optionally a time of day with fraction and an offset.
fn parse_timestamp(text: &str) -> Result<i64> {
    let invalid = || exec_datafusion_err!("'{text}' is not a TIMESTAMP (write yyyy-mm-dd hh:mm:ss)");
    let trimmed = text.trim();
    if let Ok(time) = DateTime::parse_from_rfc3339(trimmed) {
        return Ok(time.timestamp_micros());
    }
    let (date, time) = match trimmed.split_once([' ', 'T']) {
        Some((date, time)) => (date, Some(time.trim())),
        None => (trimmed, None),
    };
    let midnight = calendar_date(date).ok_or_else(invalid).map(days_since_epoch)? * MICROS_PER_DAY;
    let Some(time) = time else { return Ok(midnight) };
    let (clock, offset_us) = split_offset(time).ok_or_else(invalid)?;
    let of_day = ["%H:%M:%S%.f", "%H:%M"].iter().find_map(|format| NaiveTime::parse_from_str(clock, format).ok()).ok_or_else(invalid)?;
    let since_midnight = of_day.signed_duration_since(NaiveTime::MIN).num_microseconds().ok_or_else(invalid)?;
    Ok(midnight + since_midnight - offset_us)
}

/// The clock part and the offset from UTC in microseconds of `08:15:00+02:00`, `08:15 Z`, `08:15`.
fn split_offset(time: &str) -> Option<(&str, i64)> {
    if let Some(clock) = time.strip_suffix(['Z', 'z']).or_else(|| time.strip_suffix("UTC")) {
        return Some((clock.trim_end(), 0));
    }
    let Some(at) = time.rfind(['+', '-']) else { return Some((time, 0)) };
    let (clock, offset) = time.split_at(at);
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = offset.get(1..)?.split_once(':').unwrap_or((offset.get(1..)?, "0"));
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours <= 18 && minutes < 60).then_some((clock.trim_end(), sign * (hours * 60 + minutes) * 60_000_000))
}

fn calendar_date(text: &str) -> Option<NaiveDate> {
    let mut parts = text.splitn(3, '-');
    let year = parts.next().filter(|y| y.len() >= 4 && y.bytes().all(|b| b.is_ascii_digit()))?;
    let number = |part: Option<&str>| match part {
        None => Some(1),
        Some(digits) if (1..=2).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok(),
        Some(_) => None,
    };
    NaiveDate::from_ymd_opt(year.parse().ok()?, number(parts.next())?, number(parts.next())?)
}

fn days_since_epoch(date: NaiveDate) -> i64 {
    date.signed_duration_since(NaiveDate::default()).num_days()
}
