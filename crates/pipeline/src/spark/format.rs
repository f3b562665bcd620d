//! `date_format`: a time as text by a pattern of letters.
//!
//! Source: Spark 4.1, "Datetime Patterns for Formatting and Parsing"; the letters y, M, d, D, E, a, H, h, m, s and S.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringArray};
use arrow::datatypes::{DataType, Field, FieldRef, TimestampMicrosecondType};
use chrono::{DateTime, Datelike, Timelike, Utc};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use millstream_core::table::timestamp_type;

use super::datetime;

/// `date_format(time, pattern) -> STRING`.
#[must_use]
pub fn function() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(DateFormat { signature: Signature::user_defined(Volatility::Immutable) }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct DateFormat {
    signature: Signature,
}

impl ScalarUDFImpl for DateFormat {
    fn name(&self) -> &str {
        "date_format"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [DataType::Timestamp(_, _) | DataType::Null, DataType::Utf8] => Ok(vec![timestamp_type(), DataType::Utf8]),
            [DataType::Date32, DataType::Utf8] => Ok(vec![DataType::Date32, DataType::Utf8]),
            [DataType::Utf8, DataType::Utf8] => Ok(vec![DataType::Utf8, DataType::Utf8]),
            _ => plan_err!("date_format() takes a TIMESTAMP and a pattern"),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        // A pattern that can't be used is an error of the query, not of its rows.
        if let Some(Some(ScalarValue::Utf8(Some(pattern)))) = args.scalar_arguments.get(1) {
            parse(pattern)?;
        }
        let nullable = args.arg_fields.first().is_none_or(|f| f.is_nullable());
        Ok(Arc::new(Field::new(self.name(), DataType::Utf8, nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [times, ColumnarValue::Scalar(ScalarValue::Utf8(Some(pattern)))] = args.args.as_slice() else {
            return exec_err!("date_format() needs a constant pattern");
        };
        let pieces = parse(pattern)?;
        match times {
            ColumnarValue::Array(times) => Ok(ColumnarValue::Array(format_all(times, &pieces)?)),
            ColumnarValue::Scalar(time) => {
                let texts = format_all(&time.to_array()?, &pieces)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&texts, 0)?))
            }
        }
    }
}

fn format_all(times: &ArrayRef, pieces: &[Piece]) -> Result<ArrayRef> {
    let times = datetime::to_timestamp(times)?;
    let times = times.as_primitive::<TimestampMicrosecondType>();
    let texts: Result<StringArray> = times
        .iter()
        .map(|micros| {
            micros
                .map(|micros| {
                    let time =
                        DateTime::from_timestamp_micros(micros).ok_or_else(|| exec_datafusion_err!("the time {micros} µs has no text"))?;
                    Ok(pieces.iter().map(|piece| piece.format(&time)).collect::<String>())
                })
                .transpose()
        })
        .collect();
    Ok(Arc::new(texts?))
}

/// A run of one letter, or text.
enum Piece {
    Text(String),
    Field(char, usize),
}

fn parse(pattern: &str) -> Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\'' {
            pieces.push(Piece::Text(quoted(&mut chars, pattern)?));
        } else if c.is_ascii_alphabetic() {
            let mut width = 1;
            while chars.next_if_eq(&c).is_some() {
                width += 1;
            }
            let longest = match c {
                'y' => 6,
                'M' | 'E' => 4,
                'd' | 'H' | 'h' | 'm' | 's' => 2,
                'D' => 3,
                'a' => 1,
                'S' => 9,
                _ => return exec_err!("the letter '{c}' in the pattern '{pattern}' is not supported"),
            };
            if width > longest {
                return exec_err!("'{c}' is repeated {width} times in the pattern '{pattern}', at most {longest} are supported");
            }
            pieces.push(Piece::Field(c, width));
        } else {
            pieces.push(Piece::Text(c.to_string()));
        }
    }
    Ok(pieces)
}

/// The text up to the closing quote; two quotes are one.
fn quoted(chars: &mut std::iter::Peekable<std::str::Chars>, pattern: &str) -> Result<String> {
    let mut text = String::new();
    while let Some(c) = chars.next() {
        if c != '\'' {
            text.push(c);
        } else if chars.next_if_eq(&'\'').is_some() {
            text.push('\'');
        } else {
            return Ok(if text.is_empty() { "'".to_owned() } else { text });
        }
    }
    exec_err!("a quote in the pattern '{pattern}' is not closed")
}

impl Piece {
    fn format(&self, time: &DateTime<Utc>) -> String {
        let number = |value: u32, width: usize| format!("{value:0width$}");
        match self {
            Self::Text(text) => text.clone(),
            Self::Field('y', 2) => number(time.year().rem_euclid(100).unsigned_abs(), 2),
            Self::Field('y', 4) if time.year() > 9_999 => format!("+{}", time.year()),
            Self::Field('y', width) => format!("{:0width$}", time.year()),
            Self::Field('M', 3) => time.format("%b").to_string(),
            Self::Field('M', 4) => time.format("%B").to_string(),
            Self::Field('M', width) => number(time.month(), *width),
            Self::Field('d', width) => number(time.day(), *width),
            Self::Field('D', width) => number(time.ordinal(), *width),
            Self::Field('E', 4) => time.format("%A").to_string(),
            Self::Field('E', _) => time.format("%a").to_string(),
            Self::Field('a', _) => time.format("%p").to_string(),
            Self::Field('H', width) => number(time.hour(), *width),
            Self::Field('h', width) => number(time.hour12().1, *width),
            Self::Field('m', width) => number(time.minute(), *width),
            Self::Field('s', width) => number(time.second(), *width),
            Self::Field(_, width) => format!("{:09}", time.nanosecond()).chars().take(*width).collect(),
        }
    }
}
