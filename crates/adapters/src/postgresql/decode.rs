//! PostgreSQL's binary values as Arrow columns. What a column's type can't hold (an infinite date, more digits than declared) is an
//! error that names column and value; nothing is rounded or cut.

use std::error::Error as StdError;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder, Int8Builder, Int16Builder,
    Int32Builder, Int64Builder, RecordBatch, RecordBatchOptions, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, FieldRef, SchemaRef, TimeUnit};
use arrow::json::ReaderBuilder;
use millstream_core::{Error, Result};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};

use super::encode::{EPOCH_DAYS, EPOCH_MICROS};

/// A value as the server sent it.
struct Raw<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// What the server sends for a column that is read as `data_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Numeric,
    Text,
    Bytea,
    Date,
    /// With or without a time zone: microseconds.
    Timestamp,
    Jsonb,
}

impl Wire {
    /// What a report's column of `data_type` is sent as.
    pub fn of_report(data_type: &DataType) -> Result<Self> {
        Ok(match data_type {
            DataType::Boolean => Self::Bool,
            DataType::Int8 | DataType::Int16 => Self::Int2,
            DataType::Int32 => Self::Int4,
            DataType::Int64 => Self::Int8,
            DataType::Float32 => Self::Float4,
            DataType::Float64 => Self::Float8,
            DataType::Decimal128(_, _) => Self::Numeric,
            DataType::Utf8 => Self::Text,
            DataType::Binary => Self::Bytea,
            DataType::Date32 => Self::Date,
            DataType::Timestamp(TimeUnit::Microsecond, _) => Self::Timestamp,
            DataType::List(_) | DataType::Struct(_) | DataType::Map(_, _) => Self::Jsonb,
            other => return Err(Error::unsupported(format!("PostgreSQL has no type for values of type {other}"))),
        })
    }
}

/// Rows on their way to a batch.
pub(super) struct BatchBuilder {
    schema: SchemaRef,
    columns: Vec<Column>,
    rows: usize,
    bytes: usize,
}

struct Column {
    field: FieldRef,
    wire: Wire,
    values: Values,
}

enum Values {
    Bool(BooleanBuilder),
    Int8(Int8Builder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Decimal(Decimal128Builder, u8, i8),
    Text(StringBuilder),
    Binary(BinaryBuilder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Json(Vec<u8>),
}

impl BatchBuilder {
    /// A builder of batches of `schema`, whose columns are sent as `wires` say.
    pub fn new(schema: SchemaRef, wires: &[Wire]) -> Result<Self> {
        let columns = schema.fields().iter().zip(wires).map(|(field, wire)| Column::new(field, *wire)).collect::<Result<_>>()?;
        Ok(Self { schema, columns, rows: 0, bytes: 0 })
    }

    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// About how many bytes they take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a row.
    pub fn push(&mut self, row: &Row) -> Result<()> {
        for (i, column) in self.columns.iter_mut().enumerate() {
            let raw: Option<Raw<'_>> = row.try_get(i).map_err(|e| Error::internal("a row of PostgreSQL lacks a column").caused_by(e))?;
            self.bytes += 8 + raw.as_ref().map_or(0, |r| r.0.len());
            column.push(raw.map(|r| r.0))?;
        }
        self.rows += 1;
        Ok(())
    }

    /// The rows as a batch; the builder is empty again.
    pub fn finish(&mut self) -> Result<RecordBatch> {
        let arrays = self.columns.iter_mut().map(Column::finish).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        (self.rows, self.bytes) = (0, 0);
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)?)
    }
}

impl Column {
    fn new(field: &FieldRef, wire: Wire) -> Result<Self> {
        let values = match field.data_type() {
            DataType::Boolean => Values::Bool(BooleanBuilder::new()),
            DataType::Int8 => Values::Int8(Int8Builder::new()),
            DataType::Int16 => Values::Int16(Int16Builder::new()),
            DataType::Int32 => Values::Int32(Int32Builder::new()),
            DataType::Int64 => Values::Int64(Int64Builder::new()),
            DataType::Float32 => Values::Float32(Float32Builder::new()),
            DataType::Float64 => Values::Float64(Float64Builder::new()),
            DataType::Decimal128(p, s) => Values::Decimal(Decimal128Builder::new().with_precision_and_scale(*p, *s)?, *p, *s),
            DataType::Utf8 => Values::Text(StringBuilder::new()),
            DataType::Binary => Values::Binary(BinaryBuilder::new()),
            DataType::Date32 => Values::Date(Date32Builder::new()),
            DataType::Timestamp(TimeUnit::Microsecond, zone) => {
                Values::Timestamp(TimestampMicrosecondBuilder::new().with_timezone_opt(zone.clone()))
            }
            DataType::List(_) | DataType::Struct(_) | DataType::Map(_, _) => Values::Json(Vec::new()),
            other => return Err(Error::unsupported(format!("column {}: no value of PostgreSQL is read as {other}", field.name()))),
        };
        Ok(Self { field: field.clone(), wire, values })
    }

    fn misfit(&self, value: &str) -> Error {
        Error::invalid(format!("column {}: the value {value} of PostgreSQL does not fit {}", self.field.name(), self.field.data_type()))
    }

    fn push(&mut self, raw: Option<&[u8]>) -> Result<()> {
        let Some(raw) = raw else { return self.push_null() };
        let read = Number::read(self.wire, raw);
        match (&mut self.values, read) {
            (Values::Bool(b), Some(Number::Int(v))) if self.wire == Wire::Bool => b.append_value(v != 0),
            (Values::Int8(b), Some(Number::Int(v))) if i8::try_from(v).is_ok() => b.append_value(v as i8),
            (Values::Int16(b), Some(Number::Int(v))) if i16::try_from(v).is_ok() => b.append_value(v as i16),
            (Values::Int32(b), Some(Number::Int(v))) if i32::try_from(v).is_ok() => b.append_value(v as i32),
            (Values::Int64(b), Some(Number::Int(v))) => b.append_value(v),
            (Values::Float32(b), Some(Number::Float4(v))) => b.append_value(v),
            (Values::Float64(b), Some(Number::Float4(v))) => b.append_value(v.into()),
            (Values::Float64(b), Some(Number::Float8(v))) => b.append_value(v),
            (Values::Decimal(b, precision, scale), Some(Number::Int(v))) => match scaled(v.into(), *precision, *scale) {
                Some(v) => b.append_value(v),
                None => return Err(self.misfit(&v.to_string())),
            },
            (Values::Decimal(b, precision, scale), None) if self.wire == Wire::Numeric => match numeric(raw, *precision, *scale) {
                Ok(v) => b.append_value(v),
                Err(value) => return Err(self.misfit(&value)),
            },
            (Values::Text(b), None) if self.wire == Wire::Text => b.append_value(utf8(raw)?),
            (Values::Binary(b), None) if self.wire == Wire::Bytea => b.append_value(raw),
            // The greatest and the least number stand for the infinities.
            (Values::Date(b), Some(Number::Date(v))) => match v.checked_add(EPOCH_DAYS) {
                Some(days) if v > i32::MIN => b.append_value(days),
                _ => return Err(self.misfit(if v > 0 { "infinity" } else { "-infinity" })),
            },
            (Values::Timestamp(b), Some(Number::Micros(v))) => match v.checked_add(EPOCH_MICROS) {
                Some(micros) if v > i64::MIN => b.append_value(micros),
                _ if v == i64::MAX || v == i64::MIN => return Err(self.misfit(if v > 0 { "infinity" } else { "-infinity" })),
                _ => return Err(self.misfit("of a year after 294246")),
            },
            (Values::Json(text), None) if self.wire == Wire::Jsonb => {
                text.extend_from_slice(raw.get(1..).unwrap_or_default());
                text.push(b'\n');
            }
            (_, Some(Number::Int(v))) => return Err(self.misfit(&v.to_string())),
            _ => {
                return Err(Error::internal(format!(
                    "column {} was sent as {:?}, which its type has no use for",
                    self.field.name(),
                    self.wire
                )));
            }
        }
        Ok(())
    }

    fn push_null(&mut self) -> Result<()> {
        if !self.field.is_nullable() {
            return Err(Error::invalid(format!("column {} is declared NOT NULL, and PostgreSQL has a null in it", self.field.name())));
        }
        match &mut self.values {
            Values::Bool(b) => b.append_null(),
            Values::Int8(b) => b.append_null(),
            Values::Int16(b) => b.append_null(),
            Values::Int32(b) => b.append_null(),
            Values::Int64(b) => b.append_null(),
            Values::Float32(b) => b.append_null(),
            Values::Float64(b) => b.append_null(),
            Values::Decimal(b, _, _) => b.append_null(),
            Values::Text(b) => b.append_null(),
            Values::Binary(b) => b.append_null(),
            Values::Date(b) => b.append_null(),
            Values::Timestamp(b) => b.append_null(),
            Values::Json(text) => text.extend_from_slice(b"null\n"),
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        Ok(match &mut self.values {
            Values::Bool(b) => Arc::new(b.finish()),
            Values::Int8(b) => Arc::new(b.finish()),
            Values::Int16(b) => Arc::new(b.finish()),
            Values::Int32(b) => Arc::new(b.finish()),
            Values::Int64(b) => Arc::new(b.finish()),
            Values::Float32(b) => Arc::new(b.finish()),
            Values::Float64(b) => Arc::new(b.finish()),
            Values::Decimal(b, _, _) => Arc::new(b.finish()),
            Values::Text(b) => Arc::new(b.finish()),
            Values::Binary(b) => Arc::new(b.finish()),
            Values::Date(b) => Arc::new(b.finish()),
            Values::Timestamp(b) => Arc::new(b.finish()),
            Values::Json(text) => return json(&self.field, &std::mem::take(text)),
        })
    }
}

/// A value of a fixed length.
enum Number {
    Int(i64),
    Float4(f32),
    Float8(f64),
    Date(i32),
    Micros(i64),
}

impl Number {
    fn read(wire: Wire, raw: &[u8]) -> Option<Self> {
        Some(match wire {
            Wire::Bool => Self::Int(i64::from(*raw.first()?)),
            Wire::Int2 => Self::Int(i16::from_be_bytes(raw.try_into().ok()?).into()),
            Wire::Int4 => Self::Int(i32::from_be_bytes(raw.try_into().ok()?).into()),
            Wire::Int8 => Self::Int(i64::from_be_bytes(raw.try_into().ok()?)),
            Wire::Float4 => Self::Float4(f32::from_be_bytes(raw.try_into().ok()?)),
            Wire::Float8 => Self::Float8(f64::from_be_bytes(raw.try_into().ok()?)),
            Wire::Date => Self::Date(i32::from_be_bytes(raw.try_into().ok()?)),
            Wire::Timestamp => Self::Micros(i64::from_be_bytes(raw.try_into().ok()?)),
            Wire::Numeric | Wire::Text | Wire::Bytea | Wire::Jsonb => return None,
        })
    }
}

fn utf8(raw: &[u8]) -> Result<&str> {
    std::str::from_utf8(raw)
        .map_err(|e| Error::unsupported("a text of PostgreSQL is not UTF-8: the database's encoding must be UTF8").caused_by(e))
}

/// `value` with `scale` digits after the point; `None` where it needs more than `precision`.
fn scaled(value: i128, precision: u8, scale: i8) -> Option<i128> {
    let value = value.checked_mul(10_i128.checked_pow(u32::try_from(scale).ok()?)?)?;
    (value.unsigned_abs() < 10_u128.checked_pow(precision.into())?).then_some(value)
}

/// A numeric (`numeric_send` of numeric.c) as an unscaled decimal; where it doesn't fit exactly, what it is.
fn numeric(raw: &[u8], precision: u8, scale: i8) -> std::result::Result<i128, String> {
    let short = |at: usize| raw.get(at..at + 2).map(|b| u16::from_be_bytes([b[0], b[1]]));
    let (Some(count), Some(weight), Some(sign)) = (short(0), short(2), short(4)) else { return Err("(cut off)".to_owned()) };
    match sign {
        0xC000 => return Err("NaN".to_owned()),
        0xD000 => return Err("Infinity".to_owned()),
        0xF000 => return Err("-Infinity".to_owned()),
        _ => {}
    }
    let weight = i32::from(weight as i16);
    let exact = || {
        let mut sum = 0_i128;
        for i in 0..i32::from(count) {
            let digit = i128::from(short(8 + 2 * usize::try_from(i).ok()?)?);
            let exponent = 4 * (weight - i) + i32::from(scale);
            let part = match u32::try_from(exponent) {
                Ok(up) => digit.checked_mul(10_i128.checked_pow(up)?)?,
                Err(_) => {
                    let down = 10_i128.checked_pow(exponent.unsigned_abs())?;
                    if digit % down != 0 {
                        return None;
                    }
                    digit / down
                }
            };
            sum = sum.checked_add(part)?;
        }
        (sum.unsigned_abs() < 10_u128.checked_pow(precision.into())?).then_some(if sign == 0x4000 { -sum } else { sum })
    };
    exact().ok_or_else(|| format!("of about {} digits before and {} after the point", 4 * (weight + 1).max(0), short(6).unwrap_or(0)))
}

/// A column of nested values from a line of JSON each.
fn json(field: &FieldRef, lines: &[u8]) -> Result<ArrayRef> {
    let named = |e: arrow::error::ArrowError| {
        Error::invalid(format!("column {}: a JSON value of PostgreSQL is no {}", field.name(), field.data_type())).caused_by(e)
    };
    let rows = lines.iter().filter(|b| **b == b'\n').count();
    let nullable = Arc::new(Field::new(field.name(), field.data_type().clone(), true));
    let mut decoder = ReaderBuilder::new_with_field(nullable).with_batch_size(rows.max(1)).build_decoder().map_err(named)?;
    decoder.decode(lines).map_err(named)?;
    match decoder.flush().map_err(named)? {
        Some(batch) => Ok(batch.column(0).clone()),
        None => Ok(arrow::array::new_empty_array(field.data_type())),
    }
}

#[cfg(test)]
mod tests;
