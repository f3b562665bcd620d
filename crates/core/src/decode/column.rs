//! What a column of a topic can be: [`ColumnType`], the types that a record's value can become. How it becomes one is each format's matter.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};

use super::scalar::{parse_base64, parse_date, parse_decimal_text, parse_special_float, parse_timestamp};
use super::slot::{Slot, Spill};
use crate::calendar::DAY_MICROS;
use crate::error::{Error, Result};
use crate::pattern::TimePattern;
use crate::style::TimeFormats;

/// A type that a value can become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ColumnType {
    Boolean,
    /// TINYINT to BIGINT, with the least and greatest value.
    Integer(i64, i64),
    Float,
    Double,
    Decimal(u8, i8),
    String,
    Binary,
    Date(Option<Arc<TimePattern>>),
    /// TIMESTAMP if zoned, else TIMESTAMP_NTZ.
    Timestamp {
        zoned: bool,
        pattern: Option<Arc<TimePattern>>,
    },
    Array(Box<ColumnType>),
    Struct(Vec<Member>),
    /// Keys are strings where the format knows no others.
    Map(Box<ColumnType>, Box<ColumnType>),
}

/// A field of a struct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub name: String,
    pub kind: ColumnType,
    /// NOT NULL.
    pub required: bool,
}

impl ColumnType {
    /// The rules for `data_type`; [`Unsupported`](crate::ErrorKind::Unsupported) names the column.
    pub(crate) fn of(name: &str, data_type: &DataType, times: &TimeFormats) -> Result<Self> {
        let pattern = |pattern: &Option<TimePattern>| pattern.clone().map(Arc::new);
        Ok(match data_type {
            DataType::Boolean => Self::Boolean,
            DataType::Int8 => Self::Integer(i8::MIN.into(), i8::MAX.into()),
            DataType::Int16 => Self::Integer(i16::MIN.into(), i16::MAX.into()),
            DataType::Int32 => Self::Integer(i32::MIN.into(), i32::MAX.into()),
            DataType::Int64 => Self::Integer(i64::MIN, i64::MAX),
            DataType::Float32 => Self::Float,
            DataType::Float64 => Self::Double,
            DataType::Decimal128(precision, scale) => Self::Decimal(*precision, *scale),
            DataType::Utf8 => Self::String,
            DataType::Binary => Self::Binary,
            DataType::Date32 => Self::Date(pattern(&times.date)),
            DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => Self::Timestamp { zoned: true, pattern: pattern(&times.timestamp) },
            DataType::Timestamp(TimeUnit::Microsecond, None) => Self::Timestamp { zoned: false, pattern: pattern(&times.timestamp_ntz) },
            DataType::List(item) => Self::Array(Box::new(Self::of(name, item.data_type(), times)?)),
            DataType::Struct(fields) => {
                let member = |field: &Arc<Field>| {
                    let kind = Self::of(name, field.data_type(), times)?;
                    Ok(Member { name: field.name().clone(), kind, required: !field.is_nullable() })
                };
                Self::Struct(fields.iter().map(member).collect::<Result<_>>()?)
            }
            DataType::Map(entries, _) => {
                let DataType::Struct(fields) = entries.data_type() else { return Err(unsupported(name, data_type)) };
                let [key, value] = fields.as_ref() else { return Err(unsupported(name, data_type)) };
                Self::Map(Box::new(Self::of(name, key.data_type(), times)?), Box::new(Self::of(name, value.data_type(), times)?))
            }
            other => return Err(unsupported(name, other)),
        })
    }

    /// The type's name in SQL.
    pub(crate) fn sql_name(&self) -> String {
        match self {
            Self::Boolean => "BOOLEAN".to_owned(),
            Self::Integer(_, max) => match *max {
                127 => "TINYINT",
                32_767 => "SMALLINT",
                2_147_483_647 => "INT",
                _ => "BIGINT",
            }
            .to_owned(),
            Self::Float => "FLOAT".to_owned(),
            Self::Double => "DOUBLE".to_owned(),
            Self::Decimal(p, s) => format!("DECIMAL({p}, {s})"),
            Self::String => "STRING".to_owned(),
            Self::Binary => "BINARY".to_owned(),
            Self::Date(None) => "DATE".to_owned(),
            Self::Date(Some(pattern)) => format!("DATE by '{}'", pattern.text()),
            Self::Timestamp { zoned, pattern } => {
                let name = if *zoned { "TIMESTAMP" } else { "TIMESTAMP_NTZ" };
                pattern.as_ref().map_or_else(|| name.to_owned(), |p| format!("{name} by '{}'", p.text()))
            }
            Self::Array(_) => "ARRAY".to_owned(),
            Self::Struct(_) => "STRUCT".to_owned(),
            Self::Map(..) => "MAP".to_owned(),
        }
    }

    pub(super) fn is_nested(&self) -> bool {
        matches!(self, Self::Array(_) | Self::Struct(_) | Self::Map(..))
    }

    /// Whether it holds a map whose keys are no strings: what JSON has no word for.
    pub(super) fn has_other_keys(&self) -> bool {
        match self {
            Self::Array(item) => item.has_other_keys(),
            Self::Struct(members) => members.iter().any(|m| m.kind.has_other_keys()),
            Self::Map(key, value) => **key != Self::String || value.has_other_keys(),
            _ => false,
        }
    }

    /// The value that a string within JSON says.
    #[inline]
    pub(super) fn text<'a>(&self, text: &'a str, spill: &mut Spill<'_>) -> Option<Slot<'a>> {
        match self {
            Self::String => Some(Slot::Text(text)),
            Self::Timestamp { zoned, pattern } => timestamp(text, *zoned, pattern.as_deref()).map(Slot::Int),
            Self::Date(pattern) => date(text, pattern.as_deref()).map(|days| Slot::Int(days.into())),
            Self::Double | Self::Float => parse_special_float(text).map(Slot::Double),
            Self::Decimal(precision, scale) => parse_decimal_text(text, *precision, *scale).map(Slot::Decimal),
            Self::Binary => {
                let start = spill.bytes.len();
                parse_base64(text, &mut spill.bytes)?;
                Some(Slot::SpiltBytes(start, spill.bytes.len()))
            }
            Self::Boolean | Self::Integer(..) | Self::Array(_) | Self::Struct(_) | Self::Map(..) => None,
        }
    }

    /// What stands in a NOT NULL column of a delete, where only the key means something.
    pub(super) fn filler<'a>(&self, spill: &mut Spill<'a>) -> Slot<'a> {
        match self {
            Self::Boolean | Self::Integer(..) | Self::Date(_) | Self::Timestamp { .. } => Slot::Int(0),
            Self::Float | Self::Double => Slot::Double(0.0),
            Self::Decimal(..) => Slot::Decimal(0),
            Self::String => Slot::Text(""),
            Self::Binary => Slot::SpiltBytes(0, 0),
            Self::Array(_) | Self::Map(..) => Slot::Nested(0, 0),
            Self::Struct(members) => {
                let base = spill.open();
                for member in members {
                    let slot = if member.required { member.kind.filler(spill) } else { Slot::Null };
                    spill.push(slot);
                }
                spill.close(base)
            }
        }
    }
}

/// Days since 1970-01-01.
pub(super) fn date(text: &str, pattern: Option<&TimePattern>) -> Option<i32> {
    match pattern {
        None => parse_date(text),
        Some(pattern) => pattern.read(text).map(|time| time.days),
    }
}

/// Microseconds since 1970-01-01T00:00:00Z.
#[inline]
pub(super) fn timestamp(text: &str, zoned: bool, pattern: Option<&TimePattern>) -> Option<i64> {
    let Some(pattern) = pattern else { return parse_timestamp(text, zoned) };
    let time = pattern.read(text).filter(|time| zoned || time.offset_seconds.is_none())?;
    let local = i64::from(time.days).checked_mul(DAY_MICROS)?.checked_add(time.micros_of_day)?;
    local.checked_sub(time.offset_seconds.unwrap_or(0) * 1_000_000)
}

fn unsupported(name: &str, data_type: &DataType) -> Error {
    Error::unsupported(format!("column {name} is a {data_type}, which no topic holds: cast it to a type of the language"))
}
