//! CSV as Spark's `to_csv` writes it: a quoted value only where it is needed, quotes inside escaped, `nullValue` (nothing) for a null and
//! `emptyValue` (`""`) for an empty string. Other than in Spark's default, white space at the ends of a value is kept (in quotes).

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;

use super::{json, text};
use crate::error::Result;
use crate::style::{CsvStyle, TextStyle};

/// What begins a comment to many readers: Spark writes no line that begins so, though it reads comments only where it is told to.
const COMMENT: u8 = b'#';

/// Whether values of `data_type` can be written: nothing nested.
pub(super) fn fits(data_type: &DataType) -> bool {
    !data_type.is_nested() && json::fits(data_type)
}

/// Writes the row as a line, without its end.
pub(super) fn write_row(out: &mut Vec<u8>, columns: &[ArrayRef], row: usize, style: &TextStyle) -> Result<()> {
    let csv = &style.csv;
    for (i, column) in columns.iter().enumerate() {
        if i > 0 {
            out.extend_from_slice(csv.separator.as_bytes());
        }
        if column.is_null(row) {
            out.extend_from_slice(csv.null_value.as_bytes());
            continue;
        }
        let start = out.len();
        match column.data_type() {
            DataType::Binary if csv.of_function => text::spaced_hex(out, column.as_binary::<i32>().value(row)),
            _ => text::write(out, column.as_ref(), row, &style.times)?,
        }
        if out.len() == start && !csv.quotes_all {
            out.extend_from_slice(csv.empty_value.as_deref().unwrap_or("\"\"").as_bytes());
        } else if let Some(quote) = csv.quote
            && (csv.quotes_all
                || (i == 0 && out.get(start) == Some(&COMMENT))
                || is_ambiguous(&out[start..], csv)
                || needs_quotes(&out[start..], csv))
        {
            let plain = out.split_off(start);
            out.push(quote);
            for byte in plain {
                if let Some(escape) = csv.escape
                    && (byte == quote || byte == escape)
                {
                    out.push(escape);
                }
                out.push(byte);
            }
            out.push(quote);
        }
    }
    Ok(())
}

/// Whether it could be taken for null or for an empty string.
fn is_ambiguous(value: &[u8], csv: &CsvStyle) -> bool {
    value == csv.null_value.as_bytes() || csv.empty_value.as_ref().is_some_and(|empty| value == empty.as_bytes())
}

fn needs_quotes(value: &[u8], csv: &CsvStyle) -> bool {
    let space = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_whitespace);
    let special = |byte: &u8| matches!(byte, b'\n' | b'\r') || Some(*byte) == csv.quote || Some(*byte) == csv.escape;
    let separator = csv.separator.as_bytes();
    space(value.first())
        || space(value.last())
        || value.iter().any(special)
        || value.windows(separator.len().max(1)).any(|w| w == separator)
}
