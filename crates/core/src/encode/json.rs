//! JSON as Spark's `to_json` writes it: null columns are left out, timestamps are RFC 3339, binary is Base64, and a number that JSON has no
//! word for (`NaN`) is a string.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float32Type, Float64Type, TimeUnit};

use super::text;
use crate::error::Result;
use crate::style::TimeFormats;

/// Whether values of `data_type` can be written.
pub(super) fn fits(data_type: &DataType) -> bool {
    match data_type {
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Decimal128(..)
        | DataType::Utf8
        | DataType::Binary
        | DataType::Date32
        | DataType::Timestamp(TimeUnit::Microsecond, _) => true,
        DataType::List(item) => fits(item.data_type()),
        DataType::Struct(fields) => fields.iter().all(|f| fits(f.data_type())),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => fields.iter().all(|f| fits(f.data_type())) && !fields[0].data_type().is_nested(),
            _ => false,
        },
        _ => false,
    }
}

/// Writes the row as an object.
pub(super) fn write_row(out: &mut Vec<u8>, rows: &RecordBatch, row: usize, times: &TimeFormats) -> Result<()> {
    let fields = rows.schema_ref().fields();
    write_object(out, fields.iter().zip(rows.columns()).map(|(f, c)| (f.name().as_str(), c.as_ref())), row, times)
}

/// Writes an object of the values at `row`, without those that are null.
pub(super) fn write_object<'a>(
    out: &mut Vec<u8>,
    members: impl Iterator<Item = (&'a str, &'a dyn Array)>,
    row: usize,
    times: &TimeFormats,
) -> Result<()> {
    out.push(b'{');
    let mut first = true;
    for (name, array) in members.filter(|(_, array)| array.is_valid(row)) {
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        string(out, name);
        out.push(b':');
        value(out, array, row, times)?;
    }
    out.push(b'}');
    Ok(())
}

/// Writes the value at `row`.
pub(super) fn value(out: &mut Vec<u8>, array: &dyn Array, row: usize, times: &TimeFormats) -> Result<()> {
    if array.is_null(row) {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    match array.data_type() {
        DataType::Utf8 => string(out, array.as_string::<i32>().value(row)),
        DataType::Binary | DataType::Date32 | DataType::Timestamp(..) => return quoted(out, array, row, times),
        DataType::Float32 if !array.as_primitive::<Float32Type>().value(row).is_finite() => return quoted(out, array, row, times),
        DataType::Float64 if !array.as_primitive::<Float64Type>().value(row).is_finite() => return quoted(out, array, row, times),
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            out.push(b'[');
            for item in 0..items.len() {
                if item > 0 {
                    out.push(b',');
                }
                value(out, items.as_ref(), item, times)?;
            }
            out.push(b']');
        }
        DataType::Struct(fields) => {
            let members = array.as_struct();
            write_object(out, fields.iter().zip(members.columns()).map(|(f, c)| (f.name().as_str(), c.as_ref())), row, times)?;
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            out.push(b'{');
            for entry in 0..entries.len() {
                if entry > 0 {
                    out.push(b',');
                }
                let mut name = Vec::new();
                text::write(&mut name, entries.column(0).as_ref(), entry, times)?;
                string(out, &String::from_utf8_lossy(&name));
                out.push(b':');
                value(out, entries.column(1).as_ref(), entry, times)?;
            }
            out.push(b'}');
        }
        _ => text::write(out, array, row, times)?,
    }
    Ok(())
}

/// The text of a value that isn't a string.
fn quoted(out: &mut Vec<u8>, array: &dyn Array, row: usize, times: &TimeFormats) -> Result<()> {
    let start = out.len();
    text::write(out, array, row, times)?;
    if out[start..].iter().any(|b| matches!(b, b'"' | b'\\')) {
        // A pattern of times may say anything.
        let text = String::from_utf8_lossy(&out.split_off(start)).into_owned();
        string(out, &text);
        return Ok(());
    }
    out.insert(start, b'"');
    out.push(b'"');
    Ok(())
}

/// A string with the escapes of RFC 8259, section 7.
pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    out.push(b'"');
    let mut plain = 0;
    let bytes = text.as_bytes();
    for (i, byte) in bytes.iter().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0x08 => b"\\b",
            0x0c => b"\\f",
            0..=0x1f => &[b'\\', b'u', b'0', b'0', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]],
            _ => continue,
        };
        out.extend_from_slice(&bytes[plain..i]);
        out.extend_from_slice(escape);
        plain = i + 1;
    }
    out.extend_from_slice(&bytes[plain..]);
    out.push(b'"');
}
