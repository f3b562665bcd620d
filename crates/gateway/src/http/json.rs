//! Rows as JSON: pure, from Arrow columns straight to text.
//!
//! The forms are those of Spark's `to_json`: integers and decimals are JSON numbers with all their digits (a reader that
//! keeps numbers as doubles should take a BIGINT or DECIMAL as text), NaN and the infinities are strings, dates `2013-07-22`, timestamps
//! RFC 3339 in UTC with a fraction only where there is one (without a zone for TIMESTAMP_NTZ), binary is base64 (RFC 4648, 4). A null is `null`: no
//! column is ever left out.

use std::io::Write;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{DateTime, NaiveDate, TimeDelta};
use millstream_core::value::not_finite;
use millstream_core::{Error, Result};

/// Appends row `row` of the first `columns` columns of `batch`, as an object.
pub(crate) fn write_row(out: &mut Vec<u8>, batch: &RecordBatch, columns: usize, row: usize) -> Result<()> {
    out.push(b'{');
    for (i, (field, array)) in batch.schema_ref().fields().iter().zip(batch.columns()).take(columns).enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write_text(out, field.name())?;
        out.push(b':');
        write_value(out, array, row)?;
    }
    out.push(b'}');
    Ok(())
}

/// Appends `text` as a JSON string.
pub(crate) fn write_text(out: &mut Vec<u8>, text: &str) -> Result<()> {
    serde_json::to_writer(out, text).map_err(|e| Error::internal("a text can't be written as JSON").caused_by(e))
}

macro_rules! number {
    ($out:expr, $array:expr, $row:expr, $type:ty) => {
        write!($out, "{}", $array.as_primitive::<$type>().value($row))?
    };
}

fn write_value(out: &mut Vec<u8>, array: &dyn Array, row: usize) -> Result<()> {
    if array.is_null(row) {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    match array.data_type() {
        DataType::Boolean => write!(out, "{}", array.as_boolean().value(row))?,
        DataType::Int8 => number!(out, array, row, Int8Type),
        DataType::Int16 => number!(out, array, row, Int16Type),
        DataType::Int32 => number!(out, array, row, Int32Type),
        DataType::Int64 => number!(out, array, row, Int64Type),
        DataType::UInt8 => number!(out, array, row, UInt8Type),
        DataType::UInt16 => number!(out, array, row, UInt16Type),
        DataType::UInt32 => number!(out, array, row, UInt32Type),
        DataType::UInt64 => number!(out, array, row, UInt64Type),
        DataType::Float32 => {
            let value = array.as_primitive::<Float32Type>().value(row);
            // By its own digits: 0.1 as a FLOAT is 0.1, not 0.10000000149011612.
            if value.is_finite() { serde_json::to_writer(out, &value)? } else { write_text(out, not_finite(value.into()))? }
        }
        DataType::Float64 => {
            let value = array.as_primitive::<Float64Type>().value(row);
            if value.is_finite() { serde_json::to_writer(out, &value)? } else { write_text(out, not_finite(value))? }
        }
        DataType::Decimal128(..) => out.extend_from_slice(array.as_primitive::<Decimal128Type>().value_as_string(row).as_bytes()),
        DataType::Utf8 => write_text(out, array.as_string::<i32>().value(row))?,
        DataType::LargeUtf8 => write_text(out, array.as_string::<i64>().value(row))?,
        DataType::Utf8View => write_text(out, array.as_string_view().value(row))?,
        DataType::Binary => write_base64(out, array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => write_base64(out, array.as_binary::<i64>().value(row)),
        DataType::BinaryView => write_base64(out, array.as_binary_view().value(row)),
        DataType::Date32 => write_date(out, array.as_primitive::<Date32Type>().value(row))?,
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            write_timestamp(out, array.as_primitive::<TimestampMicrosecondType>().value(row), zone.is_some())?;
        }
        DataType::List(_) => write_list(out, array.as_list::<i32>().value(row).as_ref())?,
        DataType::LargeList(_) => write_list(out, array.as_list::<i64>().value(row).as_ref())?,
        DataType::Struct(fields) => {
            out.push(b'{');
            for (i, (field, column)) in fields.iter().zip(array.as_struct().columns()).enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_text(out, field.name())?;
                out.push(b':');
                write_value(out, column, row)?;
            }
            out.push(b'}');
        }
        DataType::Map(..) => write_map(out, array, row)?,
        _ => write_text(out, &displayed(array, row)?)?,
    }
    Ok(())
}

fn write_list(out: &mut Vec<u8>, items: &dyn Array) -> Result<()> {
    out.push(b'[');
    for i in 0..items.len() {
        if i > 0 {
            out.push(b',');
        }
        write_value(out, items, i)?;
    }
    out.push(b']');
    Ok(())
}

fn write_map(out: &mut Vec<u8>, array: &dyn Array, row: usize) -> Result<()> {
    let entries = array.as_map().value(row);
    let [keys, values] = entries.columns() else {
        return Err(Error::internal("a map has not two columns"));
    };
    out.push(b'{');
    for i in 0..entries.len() {
        if i > 0 {
            out.push(b',');
        }
        write_text(out, &displayed(keys, i)?)?;
        out.push(b':');
        write_value(out, values, i)?;
    }
    out.push(b'}');
    Ok(())
}

fn displayed(array: &dyn Array, row: usize) -> Result<String> {
    Ok(ArrayFormatter::try_new(array, &FormatOptions::default())?.value(row).to_string())
}

fn write_date(out: &mut Vec<u8>, days: i32) -> Result<()> {
    match NaiveDate::default().checked_add_signed(TimeDelta::days(days.into())) {
        Some(date) => write!(out, "\"{date}\"")?,
        None => write!(out, "{days}")?,
    }
    Ok(())
}

fn write_timestamp(out: &mut Vec<u8>, micros: i64, zoned: bool) -> Result<()> {
    // chrono documents the Debug form of a time without a zone as `%Y-%m-%dT%H:%M:%S%.f`, and writes it without reading a pattern.
    match DateTime::from_timestamp_micros(micros) {
        Some(t) if zoned => write!(out, "\"{:?}Z\"", t.naive_utc())?,
        Some(t) => write!(out, "\"{:?}\"", t.naive_utc())?,
        None => write!(out, "{micros}")?,
    }
    Ok(())
}

fn write_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    out.push(b'"');
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0_u32, |g, b| g << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            let digit = DIGITS[(group >> (18 - 6 * i) & 63) as usize];
            out.push(if i <= chunk.len() { digit } else { b'=' });
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests;
