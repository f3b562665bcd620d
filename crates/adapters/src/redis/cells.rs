//! Cells out of Arrow columns as text: raw, as a field of a hash, or as JSON. Pure.
//!
//! Raw: a string's and a binary's own bytes; other scalars as [`text`](super::text) writes them; nested values as JSON. JSON: numbers and
//! decimals are numbers with all their digits, floats without digits, dates and timestamps are strings, binary is base64 (RFC 4648, 4), a
//! list is an array, a struct an object, a map with string keys an object and another map an array of `{"key":...,"value":...}`.

use std::io::Write;

use arrow::array::{Array, AsArray, StructArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use millstream_core::value::not_finite;
use millstream_core::{Error, Result};

use super::text::{write_date, write_decimal, write_timestamp};

/// Whether a map's entries are written as an object.
pub(super) fn has_string_keys(entries: &DataType) -> bool {
    matches!(entries, DataType::Struct(fields) if fields.first().is_some_and(|f| f.data_type() == &DataType::Utf8))
}

/// Appends the cell at `row`, which isn't null, raw.
pub(super) fn write_raw(out: &mut Vec<u8>, array: &dyn Array, row: usize) -> Result<()> {
    match array.data_type() {
        DataType::Utf8 => out.extend_from_slice(array.as_string::<i32>().value(row).as_bytes()),
        DataType::Binary => out.extend_from_slice(array.as_binary::<i32>().value(row)),
        _ => write_scalar(out, array, row, b"")?,
    }
    Ok(())
}

/// Appends the cell at `row` as JSON.
pub(super) fn write_json(out: &mut Vec<u8>, array: &dyn Array, row: usize) -> Result<()> {
    if array.is_null(row) {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    match array.data_type() {
        DataType::Utf8 => write_string(out, array.as_string::<i32>().value(row)),
        DataType::Binary => write_string(out, &STANDARD.encode(array.as_binary::<i32>().value(row))),
        _ => write_scalar(out, array, row, b"\""),
    }
}

/// Appends `text` as a JSON string.
pub(super) fn write_string(out: &mut Vec<u8>, text: &str) -> Result<()> {
    serde_json::to_writer(out, text).map_err(|e| Error::internal("a text can't be written as JSON").caused_by(e))
}

macro_rules! number {
    ($out:expr, $array:expr, $row:expr, $type:ty) => {
        write!($out, "{}", $array.as_primitive::<$type>().value($row))?
    };
}

/// Appends what is neither string nor binary; `quote` stands around what is no JSON number.
fn write_scalar(out: &mut Vec<u8>, array: &dyn Array, row: usize, quote: &[u8]) -> Result<()> {
    match array.data_type() {
        DataType::Boolean => write!(out, "{}", array.as_boolean().value(row))?,
        DataType::Int8 => number!(out, array, row, Int8Type),
        DataType::Int16 => number!(out, array, row, Int16Type),
        DataType::Int32 => number!(out, array, row, Int32Type),
        DataType::Int64 => number!(out, array, row, Int64Type),
        DataType::Float32 => {
            let value = array.as_primitive::<Float32Type>().value(row);
            if value.is_finite() {
                serde_json::to_writer(out, &value)?;
            } else {
                write_word(out, quote, not_finite(value.into()));
            }
        }
        DataType::Float64 => {
            let value = array.as_primitive::<Float64Type>().value(row);
            if value.is_finite() {
                serde_json::to_writer(out, &value)?;
            } else {
                write_word(out, quote, not_finite(value));
            }
        }
        DataType::Decimal128(_, scale) => write_decimal(out, array.as_primitive::<Decimal128Type>().value(row), *scale)?,
        DataType::Date32 => quoted(out, quote, |out| write_date(out, array.as_primitive::<Date32Type>().value(row)))?,
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
            quoted(out, quote, |out| write_timestamp(out, micros, zone.is_some()))?;
        }
        DataType::List(_) => write_list(out, array.as_list::<i32>().value(row).as_ref())?,
        DataType::Struct(_) => write_struct(out, array.as_struct(), row)?,
        DataType::Map(field, _) => {
            let entries = array.as_map().value(row);
            if has_string_keys(field.data_type()) { write_object(out, &entries)? } else { write_list(out, &entries)? }
        }
        other => return Err(Error::unsupported(format!("Redis keeps no columns of type {other}"))),
    }
    Ok(())
}

fn write_word(out: &mut Vec<u8>, quote: &[u8], word: &str) {
    [quote, word.as_bytes(), quote].into_iter().for_each(|part| out.extend_from_slice(part));
}

fn quoted(out: &mut Vec<u8>, quote: &[u8], write: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
    out.extend_from_slice(quote);
    write(out)?;
    out.extend_from_slice(quote);
    Ok(())
}

fn write_list(out: &mut Vec<u8>, items: &dyn Array) -> Result<()> {
    out.push(b'[');
    for i in 0..items.len() {
        if i > 0 {
            out.push(b',');
        }
        write_json(out, items, i)?;
    }
    out.push(b']');
    Ok(())
}

fn write_struct(out: &mut Vec<u8>, array: &StructArray, row: usize) -> Result<()> {
    out.push(b'{');
    for (i, (field, column)) in array.fields().iter().zip(array.columns()).enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write_string(out, field.name())?;
        out.push(b':');
        write_json(out, column, row)?;
    }
    out.push(b'}');
    Ok(())
}

fn write_object(out: &mut Vec<u8>, entries: &StructArray) -> Result<()> {
    let [keys, values] = entries.columns() else {
        return Err(Error::internal("a map has not two columns"));
    };
    out.push(b'{');
    for i in 0..entries.len() {
        if i > 0 {
            out.push(b',');
        }
        write_json(out, keys, i)?;
        out.push(b':');
        write_json(out, values, i)?;
    }
    out.push(b'}');
    Ok(())
}
