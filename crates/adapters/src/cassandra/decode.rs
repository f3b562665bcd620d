//! CQL values as Arrow columns (CQL binary protocol v4, section 6): pure. A value that the column can't hold is an error, never rounded.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder, Int8Builder, Int16Builder,
    Int32Builder, Int64Builder, RecordBatch, RecordBatchOptions, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use millstream_core::ports::VERSION_COLUMN;
use millstream_core::{Error, Result};

use super::column::{Column, CqlType, is_nested};
use super::encode::DATE_EPOCH;

enum Builder {
    Boolean(BooleanBuilder),
    Int8(Int8Builder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Decimal(Decimal128Builder, u8, i8),
    Text(StringBuilder),
    Json(StringBuilder),
    Binary(BinaryBuilder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
}

/// A column that is being read.
struct Reading {
    column: Column,
    builder: Builder,
}

/// Rows that are being read into columns.
pub(super) struct RowDecoder {
    columns: Vec<Reading>,
    versions: Option<Int64Builder>,
    schema: SchemaRef,
    rows: usize,
}

impl RowDecoder {
    /// For rows of `columns`, whose fields are those of `schema`; with their version last where `with_version`.
    pub fn new(columns: impl IntoIterator<Item = Column>, schema: &SchemaRef, with_version: bool) -> Result<Self> {
        let columns = columns.into_iter().map(Reading::new).collect::<Result<Vec<_>>>()?;
        let schema = if with_version {
            let version = Arc::new(Field::new(VERSION_COLUMN, DataType::Int64, false));
            let fields: Vec<_> = schema.fields().iter().cloned().chain([version]).collect();
            Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
        } else {
            schema.clone()
        };
        Ok(Self { columns, versions: with_version.then(Int64Builder::new), schema, rows: 0 })
    }

    /// Adds a row: its columns' values in order.
    pub fn push(&mut self, cells: &[Option<&[u8]>], version: i64) -> Result<()> {
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            column.push(*cell)?;
        }
        if let Some(versions) = &mut self.versions {
            versions.append_value(version);
        }
        self.rows += 1;
        Ok(())
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The rows so far.
    pub fn finish(&mut self) -> Result<RecordBatch> {
        let mut arrays = self.columns.iter_mut().map(Reading::finish).collect::<Result<Vec<_>>>()?;
        if let Some(versions) = &mut self.versions {
            arrays.push(Arc::new(versions.finish()));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(std::mem::take(&mut self.rows)));
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)?)
    }
}

impl Reading {
    fn new(column: Column) -> Result<Self> {
        let builder = match &column.data_type {
            DataType::Boolean => Builder::Boolean(BooleanBuilder::new()),
            DataType::Int8 => Builder::Int8(Int8Builder::new()),
            DataType::Int16 => Builder::Int16(Int16Builder::new()),
            DataType::Int32 => Builder::Int32(Int32Builder::new()),
            DataType::Int64 => Builder::Int64(Int64Builder::new()),
            DataType::Float32 => Builder::Float32(Float32Builder::new()),
            DataType::Float64 => Builder::Float64(Float64Builder::new()),
            DataType::Decimal128(p, s) => Builder::Decimal(Decimal128Builder::new().with_precision_and_scale(*p, *s)?, *p, *s),
            DataType::Utf8 => Builder::Text(StringBuilder::new()),
            DataType::Binary => Builder::Binary(BinaryBuilder::new()),
            DataType::Date32 => Builder::Date(Date32Builder::new()),
            DataType::Timestamp(TimeUnit::Microsecond, zone) => {
                Builder::Timestamp(TimestampMicrosecondBuilder::new().with_timezone_opt(zone.clone()))
            }
            nested if is_nested(nested) => Builder::Json(StringBuilder::new()),
            other => return Err(Error::unsupported(format!("column {}: {other} can't be read from Cassandra", column.name))),
        };
        Ok(Self { column, builder })
    }

    fn push(&mut self, cell: Option<&[u8]>) -> Result<()> {
        let column = &self.column;
        // Cassandra has empty values of types other than text and blob, a relic of Thrift: they mean nothing else than null.
        let cell = cell.filter(|c| !c.is_empty() || matches!(column.cql, CqlType::Text | CqlType::Ascii | CqlType::Blob));
        match &mut self.builder {
            Builder::Boolean(b) => b.append_option(cell.map(|c| c.iter().any(|b| *b != 0))),
            Builder::Int8(b) => b.append_option(cell.map(|c| integer(c, column)).transpose()?),
            Builder::Int16(b) => b.append_option(cell.map(|c| integer(c, column)).transpose()?),
            Builder::Int32(b) => b.append_option(cell.map(|c| integer(c, column)).transpose()?),
            Builder::Int64(b) => b.append_option(cell.map(|c| integer(c, column)).transpose()?),
            Builder::Float32(b) => b.append_option(cell.map(|c| Ok::<_, Error>(f32::from_be_bytes(fixed(c, column)?))).transpose()?),
            Builder::Float64(b) if column.cql == CqlType::Float => {
                b.append_option(cell.map(|c| Ok::<_, Error>(f32::from_be_bytes(fixed(c, column)?).into())).transpose()?);
            }
            Builder::Float64(b) => b.append_option(cell.map(|c| Ok::<_, Error>(f64::from_be_bytes(fixed(c, column)?))).transpose()?),
            Builder::Decimal(b, precision, scale) => {
                b.append_option(cell.map(|c| decimal(c, *precision, *scale, column)).transpose()?);
            }
            Builder::Text(b) if matches!(column.cql, CqlType::Uuid | CqlType::TimeUuid) => {
                b.append_option(cell.map(|c| Ok::<_, Error>(uuid_text(fixed(c, column)?))).transpose()?);
            }
            Builder::Text(b) | Builder::Json(b) => b.append_option(cell.map(|c| text(c, column)).transpose()?),
            Builder::Binary(b) => b.append_option(cell),
            Builder::Date(b) => {
                let day = |c| Ok::<_, Error>(u32::from_be_bytes(fixed(c, column)?).wrapping_sub(DATE_EPOCH).cast_signed());
                b.append_option(cell.map(day).transpose()?);
            }
            Builder::Timestamp(b) => b.append_option(cell.map(|c| micros(c, column)).transpose()?),
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        Ok(match &mut self.builder {
            Builder::Boolean(b) => Arc::new(b.finish()),
            Builder::Int8(b) => Arc::new(b.finish()),
            Builder::Int16(b) => Arc::new(b.finish()),
            Builder::Int32(b) => Arc::new(b.finish()),
            Builder::Int64(b) => Arc::new(b.finish()),
            Builder::Float32(b) => Arc::new(b.finish()),
            Builder::Float64(b) => Arc::new(b.finish()),
            Builder::Decimal(b, _, _) => Arc::new(b.finish()),
            Builder::Text(b) => Arc::new(b.finish()),
            Builder::Json(b) => super::nested::from_json(&b.finish(), &self.column)?,
            Builder::Binary(b) => Arc::new(b.finish()),
            Builder::Date(b) => Arc::new(b.finish()),
            Builder::Timestamp(b) => Arc::new(b.finish()),
        })
    }
}

fn fixed<const N: usize>(cell: &[u8], column: &Column) -> Result<[u8; N]> {
    cell.try_into().map_err(|_| Error::corrupt(format!("column {}: {} bytes are no {}", column.name, cell.len(), column.cql.name())))
}

fn text<'a>(cell: &'a [u8], column: &Column) -> Result<&'a str> {
    std::str::from_utf8(cell).map_err(|e| Error::corrupt(format!("column {} holds text that isn't UTF-8", column.name)).caused_by(e))
}

/// A big-endian two's complement number of any length up to 16 bytes.
fn number(cell: &[u8], column: &Column) -> Result<i128> {
    let short = super::encode::shortest(cell);
    if short.len() > 16 {
        return Err(misfit(column));
    }
    let mut bytes = if short.first().is_some_and(|b| *b >= 0x80) { [0xFF; 16] } else { [0; 16] };
    bytes[16 - short.len()..].copy_from_slice(short);
    Ok(i128::from_be_bytes(bytes))
}

fn integer<T: TryFrom<i128>>(cell: &[u8], column: &Column) -> Result<T> {
    T::try_from(number(cell, column)?).map_err(|_| misfit(column))
}

fn misfit(column: &Column) -> Error {
    Error::invalid(format!(
        "column {} holds a {} that doesn't fit a {}; give the column a wider type in its CREATE TABLE",
        column.name,
        column.cql.name(),
        column.data_type
    ))
}

/// A decimal (4 bytes of scale, then the digits) or a varint, brought to the column's scale without a loss.
fn decimal(cell: &[u8], precision: u8, scale: i8, column: &Column) -> Result<i128> {
    let (present, digits) = match (column.cql, cell.split_first_chunk::<4>()) {
        (CqlType::Varint, _) => (0, cell),
        (_, Some((present, digits))) => (i32::from_be_bytes(*present), digits),
        (_, None) => return Err(Error::corrupt(format!("column {}: {} bytes are no decimal", column.name, cell.len()))),
    };
    let mut value = number(digits, column)?;
    let mut missing = i64::from(scale) - i64::from(present);
    while missing > 0 && value != 0 {
        value = value.checked_mul(10).ok_or_else(|| misfit(column))?;
        missing -= 1;
    }
    while missing < 0 && value != 0 {
        if value % 10 != 0 {
            return Err(misfit(column));
        }
        value /= 10;
        missing += 1;
    }
    if value.unsigned_abs() >= 10_u128.pow(u32::from(precision)) {
        return Err(misfit(column));
    }
    Ok(value)
}

fn micros(cell: &[u8], column: &Column) -> Result<i64> {
    let value = i64::from_be_bytes(fixed(cell, column)?);
    if column.cql == CqlType::Timestamp { value.checked_mul(1_000).ok_or_else(|| misfit(column)) } else { Ok(value) }
}

fn uuid_text(bytes: [u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (i, byte) in bytes.iter().enumerate() {
        if [4, 6, 8, 10].contains(&i) {
            text.push('-');
        }
        text.extend([byte >> 4, byte & 0xF].iter().filter_map(|d| char::from_digit((*d).into(), 16)));
    }
    text
}
