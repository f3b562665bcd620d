//! Spark's date functions that DataFusion lacks or does otherwise: `to_date`, `to_timestamp`, and `year`, `month`, `day` and their like.
//!
//! TIMESTAMP is microseconds in UTC, so there is one calendar and no session time zone.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Date32Array, Int32Array, Int64Array, TimestampMicrosecondArray};
use arrow::compute::{DatePart, cast, date_part};
use arrow::datatypes::{DataType, Date32Type, Field, FieldRef, TimeUnit, TimestampMicrosecondType};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use millstream_core::pattern::TimePattern;
use millstream_core::table::timestamp_type;

use super::format::{self, Patterns};
use super::time_text::{parse_date, parse_timestamp};

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// A function of one date, timestamp or string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    ToDate,
    ToTimestamp,
    /// As their namesakes; null for a text that is none.
    TryToDate,
    TryToTimestamp,
    /// The seconds of a text by a pattern.
    ToUnixTimestamp,
    Part(Part),
    /// How many units of so many microseconds lie between 1970 and a time, rounded down.
    Since1970(i64),
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
        function("try_to_date", &[], Kind::TryToDate),
        function("try_to_timestamp", &[], Kind::TryToTimestamp),
        function("to_unix_timestamp", &[], Kind::ToUnixTimestamp),
        function("unix_seconds", &[], Kind::Since1970(1_000_000)),
        function("unix_millis", &[], Kind::Since1970(1_000)),
        function("unix_micros", &[], Kind::Since1970(1)),
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
        let (argument, pattern) = match types {
            [argument] => (argument, None),
            [argument, DataType::Utf8 | DataType::Null] if self.kind.takes_pattern() => (argument, Some(DataType::Utf8)),
            _ if self.kind.takes_pattern() => return plan_err!("{}() takes a time and a pattern", self.name),
            _ => return plan_err!("{}() takes one argument", self.name),
        };
        let accepted = match argument {
            DataType::Timestamp(_, Some(_)) => timestamp_type(),
            DataType::Timestamp(_, None) => DataType::Timestamp(TimeUnit::Microsecond, None),
            DataType::Date32 | DataType::Date64 => DataType::Date32,
            DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
            DataType::Null => DataType::Date32,
            other => return plan_err!("{}() takes a DATE, TIMESTAMP or STRING, not {other}", self.name),
        };
        Ok(std::iter::once(accepted).chain(pattern).collect())
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(match self.kind {
            Kind::ToDate | Kind::TryToDate => DataType::Date32,
            Kind::ToTimestamp | Kind::TryToTimestamp => timestamp_type(),
            Kind::Part(_) => DataType::Int32,
            Kind::Since1970(_) | Kind::ToUnixTimestamp => DataType::Int64,
        })
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        // A pattern that can't be used is an error of the query, not of its rows.
        if let Some(Some(ScalarValue::Utf8(Some(pattern)))) = args.scalar_arguments.get(1) {
            reading_pattern(pattern)?;
        }
        let nullable = self.kind.is_safe() || args.arg_fields.iter().any(|f| f.is_nullable());
        Ok(Arc::new(Field::new(self.name, self.return_type(&[])?, nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (argument, mut patterns) = match args.args.as_slice() {
            [argument] => (argument, None),
            [argument, patterns] => (argument, Some(Patterns::of(patterns, reading_pattern)?)),
            _ => return exec_err!("{}() takes a time and a pattern", self.name),
        };
        let is_constant = matches!(argument, ColumnarValue::Scalar(_)) && patterns.as_ref().is_none_or(Patterns::is_constant);
        let array = argument.to_array(if is_constant { 1 } else { args.number_rows })?;
        let array = match (array.data_type(), &mut patterns, self.kind) {
            (DataType::Utf8, Some(patterns), _) => times_by(&array, patterns, self.kind.is_safe())?,
            (DataType::Utf8, None, Kind::ToUnixTimestamp) => {
                let seconds = ColumnarValue::Scalar(ScalarValue::from(UNIX_PATTERN));
                times_by(&array, &mut Patterns::of(&seconds, reading_pattern)?, false)?
            }
            (DataType::Utf8, None, Kind::TryToDate) => {
                Arc::new(array.as_string::<i32>().iter().map(|text| text.and_then(parse_date)).collect::<Date32Array>())
            }
            (DataType::Utf8, None, Kind::TryToTimestamp) => times_that_are(&array),
            _ => array,
        };
        let result = match self.kind {
            Kind::ToDate | Kind::TryToDate => to_date(&array)?,
            Kind::ToTimestamp | Kind::TryToTimestamp => to_timestamp(&array)?,
            Kind::Part(part) => extract(&to_date(&array)?, part)?,
            // Spark cuts off the fraction here, where it rounds down elsewhere.
            Kind::ToUnixTimestamp => since_1970(&array, |micros| micros / 1_000_000)?,
            Kind::Since1970(unit) => since_1970(&array, |micros| micros.div_euclid(unit))?,
        };
        if is_constant { Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?)) } else { Ok(ColumnarValue::Array(result)) }
    }
}

impl Kind {
    fn takes_pattern(self) -> bool {
        matches!(self, Self::ToDate | Self::ToTimestamp | Self::TryToDate | Self::TryToTimestamp | Self::ToUnixTimestamp)
    }

    /// Whether what is no time is null.
    fn is_safe(self) -> bool {
        matches!(self, Self::TryToDate | Self::TryToTimestamp)
    }
}

/// The pattern of a text for which none is given, where only the seconds count.
const UNIX_PATTERN: &str = "yyyy-MM-dd HH:mm:ss";

fn reading_pattern(text: &str) -> Result<TimePattern> {
    let pattern = format::pattern(text)?;
    if pattern.can_read() {
        Ok(pattern)
    } else {
        plan_err!("the pattern '{text}' can only write: days of the week and the like are not read")
    }
}

/// Texts as times by a pattern, null without one. A text without an offset is UTC.
fn times_by(texts: &ArrayRef, patterns: &mut Patterns, safe: bool) -> Result<ArrayRef> {
    let micros = |(row, text): (usize, Option<&str>)| {
        let (Some(text), Some(pattern)) = (text, patterns.at(row)?) else { return Ok(None) };
        match pattern.read(text) {
            Some(time) => {
                let seconds = time.offset_seconds.unwrap_or(0);
                Ok(Some(i64::from(time.days) * MICROS_PER_DAY + time.micros_of_day - seconds * 1_000_000))
            }
            None if safe => Ok(None),
            None => exec_err!("'{text}' is not a time like '{}'", pattern.text()),
        }
    };
    let times: Result<TimestampMicrosecondArray> = texts.as_string::<i32>().iter().enumerate().map(micros).collect();
    Ok(Arc::new(times?.with_timezone("UTC")))
}

/// Texts as times, null where they are none.
fn times_that_are(texts: &ArrayRef) -> ArrayRef {
    let times: TimestampMicrosecondArray = texts.as_string::<i32>().iter().map(|text| text.and_then(parse_timestamp)).collect();
    Arc::new(times.with_timezone("UTC"))
}

fn since_1970(times: &ArrayRef, units: impl Fn(i64) -> i64) -> Result<ArrayRef> {
    let times = to_timestamp(times)?;
    let units: Int64Array = times.as_primitive::<TimestampMicrosecondType>().unary(units);
    Ok(Arc::new(units))
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
            let dates: Result<Date32Array> = texts.iter().map(|text| text.map(date_of).transpose()).collect();
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
            let times: Result<TimestampMicrosecondArray> = texts.iter().map(|text| text.map(time_of).transpose()).collect();
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

fn date_of(text: &str) -> Result<i32> {
    parse_date(text).ok_or_else(|| exec_datafusion_err!("'{text}' is not a DATE (write yyyy-mm-dd)"))
}

fn time_of(text: &str) -> Result<i64> {
    parse_timestamp(text).ok_or_else(|| exec_datafusion_err!("'{text}' is not a TIMESTAMP (write yyyy-mm-dd hh:mm:ss)"))
}
