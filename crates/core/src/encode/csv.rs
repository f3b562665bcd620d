//! CSV as Spark's `to_csv` writes it: commas, a quoted value only where it is needed, quotes inside escaped by a backslash, nothing for a
//! null and `""` for an empty string. Other than in Spark's default, white space at the ends of a value is kept (in quotes).

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::DataType;

use super::{json, text};
use crate::error::Result;

/// Whether values of `data_type` can be written: nothing nested.
pub(super) fn fits(data_type: &DataType) -> bool {
    !data_type.is_nested() && json::fits(data_type)
}

/// Writes the row as a line, without its end.
pub(super) fn write_row(out: &mut Vec<u8>, rows: &RecordBatch, row: usize) -> Result<()> {
    for (i, column) in rows.columns().iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        if column.is_null(row) {
            continue;
        }
        let start = out.len();
        text::write(out, column.as_ref(), row)?;
        if needs_quotes(&out[start..]) {
            let plain = out.split_off(start);
            out.push(b'"');
            for byte in plain {
                if matches!(byte, b'"' | b'\\') {
                    out.push(b'\\');
                }
                out.push(byte);
            }
            out.push(b'"');
        }
    }
    Ok(())
}

fn needs_quotes(value: &[u8]) -> bool {
    let space = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_whitespace);
    space(value.first()) || space(value.last()) || value.iter().any(|b| matches!(b, b',' | b'"' | b'\n' | b'\r' | b'\\'))
}
