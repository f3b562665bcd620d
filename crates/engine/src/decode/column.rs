//! One column while records are decoded: what a JSON token becomes in it ([`ColumnType`]), where that waits until the whole record is
//! known to be good ([`Slot`]), and the builder that it goes to then. The rules are those of Spark's `from_json` (see the module above).

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder, Int8Builder, Int16Builder,
    Int32Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, TimeUnit};
use millstream_core::{Error, Result};

use super::scalar::{parse_base64, parse_date, parse_decimal, parse_special_float, parse_timestamp};
use super::scan::{Literal, Malformed, NumberToken, Scanner};

/// A type that a JSON value can become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ColumnType {
    Boolean,
    /// TINYINT to BIGINT, with the least and greatest value.
    Integer(i64, i64),
    Float,
    Double,
    Decimal(u8, i8),
    String,
    Binary,
    Date,
    /// TIMESTAMP if zoned, else TIMESTAMP_NTZ.
    Timestamp {
        zoned: bool,
    },
}

impl ColumnType {
    /// The rules for `data_type`; [`Unsupported`](millstream_core::ErrorKind::Unsupported) names the column.
    pub(super) fn of(name: &str, data_type: &DataType) -> Result<Self> {
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
            DataType::Date32 => Self::Date,
            DataType::Timestamp(TimeUnit::Microsecond, zone) => Self::Timestamp { zoned: zone.is_some() },
            other => {
                return Err(Error::unsupported(format!(
                    "column {name} is a {other}: a topic's columns are scalars (read a nested value as STRING, it keeps its JSON text)"
                )));
            }
        })
    }

    /// The type's name in SQL.
    pub(super) fn sql_name(&self) -> String {
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
            Self::Date => "DATE".to_owned(),
            Self::Timestamp { zoned: true } => "TIMESTAMP".to_owned(),
            Self::Timestamp { zoned: false } => "TIMESTAMP_NTZ".to_owned(),
        }
    }

    /// Reads the value at the cursor into the slot of a column of this type.
    #[inline]
    pub(super) fn read<'a>(&self, scanner: &mut Scanner<'a>, spill: &mut Spill, slot: &mut Slot<'a>) -> Result<(), Malformed> {
        let start = scanner.position();
        let value = match scanner.peek() {
            Some(b'"') => {
                let token = scanner.string()?;
                if token.escaped {
                    let text = scanner.unescape(token)?;
                    self.unescaped(&text, spill)
                } else {
                    self.text(scanner.slice(token.start, token.end), spill)
                }
            }
            Some(b'-' | b'0'..=b'9') => {
                let token = scanner.number()?;
                self.number(token, scanner.slice(token.start, token.end))
            }
            Some(b'{' | b'[') => {
                scanner.skip_value(1)?;
                self.raw(scanner.slice(start, scanner.position()))
            }
            _ => match scanner.literal()? {
                Literal::Null => Some(Slot::Null),
                word => match self {
                    Self::Boolean => Some(Slot::Int((word == Literal::True).into())),
                    _ => self.raw(scanner.slice(start, scanner.position())),
                },
            },
        };
        *slot = value.unwrap_or_else(|| Slot::Bad(scanner.slice(start, scanner.position())));
        Ok(())
    }

    /// A value of another JSON type: its text in a STRING column, nothing elsewhere.
    fn raw<'a>(&self, raw: &'a str) -> Option<Slot<'a>> {
        matches!(self, Self::String).then_some(Slot::Text(raw))
    }

    #[inline]
    fn number<'a>(&self, token: NumberToken, raw: &'a str) -> Option<Slot<'a>> {
        match self {
            Self::Integer(min, max) if token.integral => {
                let magnitude = i128::from(token.magnitude?);
                let value = i64::try_from(if token.negative { -magnitude } else { magnitude }).ok()?;
                (*min..=*max).contains(&value).then_some(Slot::Int(value))
            }
            Self::Double => raw.parse().ok().map(Slot::Double),
            Self::Float => raw.parse::<f32>().ok().map(|v| Slot::Double(v.into())),
            Self::Decimal(precision, scale) => parse_decimal(raw, *precision, *scale).map(Slot::Decimal),
            Self::String => Some(Slot::Text(raw)),
            // Spark: whole seconds since 1970.
            Self::Timestamp { zoned: true } if token.integral => {
                let seconds = i64::try_from(token.magnitude?).ok()?;
                let micros = seconds.checked_mul(1_000_000)?;
                Some(Slot::Int(if token.negative { -micros } else { micros }))
            }
            _ => None,
        }
    }

    /// The value that a string says.
    #[inline]
    pub(super) fn text<'a>(&self, text: &'a str, spill: &mut Spill) -> Option<Slot<'a>> {
        match self {
            Self::String => Some(Slot::Text(text)),
            Self::Timestamp { zoned } => parse_timestamp(text, *zoned).map(Slot::Int),
            Self::Date => parse_date(text).map(|days| Slot::Int(days.into())),
            Self::Double | Self::Float => parse_special_float(text).map(Slot::Double),
            Self::Decimal(precision, scale) => parse_decimal(text, *precision, *scale).map(Slot::Decimal),
            Self::Binary => {
                let start = spill.bytes.len();
                parse_base64(text, &mut spill.bytes)?;
                Some(Slot::SpiltBytes(start, spill.bytes.len()))
            }
            Self::Boolean | Self::Integer(..) => None,
        }
    }

    /// The same for a text that doesn't outlive the call.
    fn unescaped<'a>(&self, text: &str, spill: &mut Spill) -> Option<Slot<'a>> {
        Some(match self.text(text, spill)? {
            Slot::Text(text) => {
                let start = spill.text.len();
                spill.text.push_str(text);
                Slot::SpiltText(start, spill.text.len())
            }
            Slot::Int(v) => Slot::Int(v),
            Slot::Double(v) => Slot::Double(v),
            Slot::Decimal(v) => Slot::Decimal(v),
            Slot::SpiltBytes(start, end) => Slot::SpiltBytes(start, end),
            Slot::SpiltText(start, end) => Slot::SpiltText(start, end),
            Slot::Missing | Slot::Null | Slot::Bad(_) => return None,
        })
    }

    /// What a plain text (a record key) says: a value of a column that JSON would write without quotes, or a string's content.
    pub(super) fn plain<'a>(&self, text: &'a str, spill: &mut Spill) -> Option<Slot<'a>> {
        if let Some(slot) = self.text(text, spill) {
            return Some(slot);
        }
        let mut scanner = Scanner::new(text);
        let mut slot = Slot::Missing;
        self.read(&mut scanner, spill, &mut slot).ok()?;
        scanner.finish().ok()?;
        (!matches!(slot, Slot::Bad(_) | Slot::Null)).then_some(slot)
    }

    /// What stands in a NOT NULL column of a delete, where only the key means something.
    pub(super) fn filler(&self) -> Slot<'static> {
        match self {
            Self::Boolean | Self::Integer(..) | Self::Date | Self::Timestamp { .. } => Slot::Int(0),
            Self::Float | Self::Double => Slot::Double(0.0),
            Self::Decimal(..) => Slot::Decimal(0),
            Self::String => Slot::Text(""),
            Self::Binary => Slot::SpiltBytes(0, 0),
        }
    }
}

/// A value of the record that is being decoded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Slot<'a> {
    /// The record doesn't name the column.
    Missing,
    Null,
    /// An integer, days, microseconds, or a boolean as 0 or 1: every payload is a whole word, for copying an enum with a payload of one
    /// byte stalls (it cost a third of the decoder's time).
    Int(i64),
    /// A DOUBLE; of a FLOAT column, a value that `f32` holds exactly.
    Double(f64),
    /// An unscaled decimal.
    Decimal(i128),
    /// A slice of the record.
    Text(&'a str),
    /// A range of [`Spill::text`].
    SpiltText(usize, usize),
    /// A range of [`Spill::bytes`].
    SpiltBytes(usize, usize),
    /// A value that the column can't hold: its JSON text.
    Bad(&'a str),
}

/// Values of one record that aren't slices of it: unescaped strings, decoded base64. Reused from record to record.
#[derive(Debug, Default)]
pub(super) struct Spill {
    pub text: String,
    pub bytes: Vec<u8>,
}

impl Spill {
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.bytes.clear();
    }
}

/// The values of one column of the batch that is being made.
pub(super) enum Builder {
    Boolean(BooleanBuilder),
    Int8(Int8Builder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float(Float32Builder),
    Double(Float64Builder),
    Decimal(Decimal128Builder),
    String(StringBuilder),
    Binary(BinaryBuilder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
}

impl Builder {
    /// A builder for `data_type` (one that [`ColumnType::of`] accepts) with room for `rows`.
    pub(super) fn new(data_type: &DataType, rows: usize) -> Self {
        match data_type {
            DataType::Boolean => Self::Boolean(BooleanBuilder::with_capacity(rows)),
            DataType::Int8 => Self::Int8(Int8Builder::with_capacity(rows)),
            DataType::Int16 => Self::Int16(Int16Builder::with_capacity(rows)),
            DataType::Int32 => Self::Int32(Int32Builder::with_capacity(rows)),
            DataType::Int64 => Self::Int64(Int64Builder::with_capacity(rows)),
            DataType::Float32 => Self::Float(Float32Builder::with_capacity(rows)),
            DataType::Float64 => Self::Double(Float64Builder::with_capacity(rows)),
            DataType::Decimal128(..) => Self::Decimal(Decimal128Builder::with_capacity(rows).with_data_type(data_type.clone())),
            DataType::Binary => Self::Binary(BinaryBuilder::with_capacity(rows, rows * 16)),
            DataType::Date32 => Self::Date(Date32Builder::with_capacity(rows)),
            DataType::Timestamp(_, _) => {
                Self::Timestamp(TimestampMicrosecondBuilder::with_capacity(rows).with_data_type(data_type.clone()))
            }
            _ => Self::String(StringBuilder::with_capacity(rows, rows * 8)),
        }
    }

    /// Appends a slot that this column's [`ColumnType`] made; anything else becomes null.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "ColumnType::read checked the range, and made the f64 from an f32")]
    pub(super) fn append(&mut self, slot: &Slot<'_>, spill: &Spill) {
        match (self, *slot) {
            (Self::Int32(b), Slot::Int(v)) => b.append_value(v as i32),
            (Self::Int64(b), Slot::Int(v)) => b.append_value(v),
            (Self::String(b), Slot::Text(v)) => b.append_value(v),
            (Self::Timestamp(b), Slot::Int(v)) => b.append_value(v),
            (Self::Boolean(b), Slot::Int(v)) => b.append_value(v != 0),
            (Self::Int8(b), Slot::Int(v)) => b.append_value(v as i8),
            (Self::Int16(b), Slot::Int(v)) => b.append_value(v as i16),
            (Self::Float(b), Slot::Double(v)) => b.append_value(v as f32),
            (Self::Double(b), Slot::Double(v)) => b.append_value(v),
            (Self::Decimal(b), Slot::Decimal(v)) => b.append_value(v),
            (Self::String(b), Slot::SpiltText(start, end)) => b.append_value(spill.text.get(start..end).unwrap_or_default()),
            (Self::Binary(b), Slot::SpiltBytes(start, end)) => b.append_value(spill.bytes.get(start..end).unwrap_or_default()),
            (Self::Date(b), Slot::Int(v)) => b.append_value(v as i32),
            (builder, _) => builder.append_null(),
        }
    }

    fn append_null(&mut self) {
        match self {
            Self::Boolean(b) => b.append_null(),
            Self::Int8(b) => b.append_null(),
            Self::Int16(b) => b.append_null(),
            Self::Int32(b) => b.append_null(),
            Self::Int64(b) => b.append_null(),
            Self::Float(b) => b.append_null(),
            Self::Double(b) => b.append_null(),
            Self::Decimal(b) => b.append_null(),
            Self::String(b) => b.append_null(),
            Self::Binary(b) => b.append_null(),
            Self::Date(b) => b.append_null(),
            Self::Timestamp(b) => b.append_null(),
        }
    }

    /// The column.
    pub(super) fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Boolean(b) => Arc::new(b.finish()),
            Self::Int8(b) => Arc::new(b.finish()),
            Self::Int16(b) => Arc::new(b.finish()),
            Self::Int32(b) => Arc::new(b.finish()),
            Self::Int64(b) => Arc::new(b.finish()),
            Self::Float(b) => Arc::new(b.finish()),
            Self::Double(b) => Arc::new(b.finish()),
            Self::Decimal(b) => Arc::new(b.finish()),
            Self::String(b) => Arc::new(b.finish()),
            Self::Binary(b) => Arc::new(b.finish()),
            Self::Date(b) => Arc::new(b.finish()),
            Self::Timestamp(b) => Arc::new(b.finish()),
        }
    }
}
