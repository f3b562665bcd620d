//! Arrow columns in PostgreSQL's binary formats: as fields of COPY rows (PostgreSQL manual, "COPY", binary format) and as arrays
//! that a statement takes as parameters. What PostgreSQL can't hold is refused, naming column and value; nothing is rounded.

use arrow::array::{
    Array, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array,
    Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, TimeUnit};
use arrow::json::writer::{EncoderOptions, make_encoder};
use bytes::{BufMut, BytesMut};
use millstream_core::{Error, Result, Value};
use std::sync::Arc;
use tokio_postgres::types::Type;

/// Days from 1970-01-01 to 2000-01-01, where PostgreSQL counts from.
pub(super) const EPOCH_DAYS: i32 = 10_957;
/// The same in microseconds.
pub(super) const EPOCH_MICROS: i64 = 946_684_800_000_000;
/// The first day that PostgreSQL has, 4714-11-24 BC, in its own count; and the first one that it hasn't, in 5874898 AD
/// (`DATETIME_MIN_JULIAN` and `DATE_END_JULIAN` of datetime.h).
const DAYS: std::ops::Range<i64> = -2_451_545..2_145_031_949;
/// The first timestamp that PostgreSQL has, 4714-11-24 BC (`MIN_TIMESTAMP` of timestamp.h); its last one is later than any that 64 bits of
/// microseconds since 1970 can name.
const FIRST_MICROS: i64 = -211_813_488_000_000_000;

/// How a stream of binary COPY data begins: signature, flags, length of the extension.
pub(super) const COPY_HEAD: &[u8] = b"PGCOPY\n\xFF\r\n\0\0\0\0\0\0\0\0\0";
/// And how it ends.
pub(super) const COPY_END: [u8; 2] = (-1_i16).to_be_bytes();

/// A column whose values were checked.
pub(super) enum Cells<'a> {
    Bool(&'a BooleanArray),
    Int8(&'a Int8Array),
    Int16(&'a Int16Array),
    Int32(&'a Int32Array),
    Int64(&'a Int64Array),
    Float32(&'a Float32Array),
    Float64(&'a Float64Array),
    Decimal(&'a Decimal128Array, usize),
    Text(&'a StringArray),
    Binary(&'a BinaryArray),
    Date(&'a Date32Array),
    Timestamp(&'a TimestampMicrosecondArray),
    /// Nested values as JSON text.
    Json(Vec<Option<Vec<u8>>>),
}

fn cannot_hold(column: &str, value: &str, why: &str) -> Error {
    Error::invalid(format!("column {column}: PostgreSQL can't hold {value}: {why}"))
}

impl<'a> Cells<'a> {
    /// The values of `array`, the column called `column`.
    pub fn new(column: &str, array: &'a dyn Array) -> Result<Self> {
        Ok(match array.data_type() {
            DataType::Boolean => Self::Bool(array.as_boolean()),
            DataType::Int8 => Self::Int8(array.as_primitive()),
            DataType::Int16 => Self::Int16(array.as_primitive()),
            DataType::Int32 => Self::Int32(array.as_primitive()),
            DataType::Int64 => Self::Int64(array.as_primitive()),
            DataType::Float32 => Self::Float32(array.as_primitive()),
            DataType::Float64 => Self::Float64(array.as_primitive()),
            DataType::Decimal128(_, scale) => Self::Decimal(array.as_primitive(), usize::try_from(*scale).unwrap_or_default()),
            DataType::Utf8 => Self::Text(text(column, array.as_string())?),
            DataType::Binary => Self::Binary(array.as_binary()),
            DataType::Date32 => Self::Date(dates(column, array.as_primitive())?),
            DataType::Timestamp(TimeUnit::Microsecond, _) => Self::Timestamp(timestamps(column, array.as_primitive())?),
            DataType::List(_) | DataType::Struct(_) | DataType::Map(_, _) => Self::Json(json(column, array)?),
            other => return Err(Error::unsupported(format!("column {column}: PostgreSQL has no type for values of type {other}"))),
        })
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Bool(a) => a.is_null(row),
            Self::Int8(a) => a.is_null(row),
            Self::Int16(a) => a.is_null(row),
            Self::Int32(a) => a.is_null(row),
            Self::Int64(a) => a.is_null(row),
            Self::Float32(a) => a.is_null(row),
            Self::Float64(a) => a.is_null(row),
            Self::Decimal(a, _) => a.is_null(row),
            Self::Text(a) => a.is_null(row),
            Self::Binary(a) => a.is_null(row),
            Self::Date(a) => a.is_null(row),
            Self::Timestamp(a) => a.is_null(row),
            Self::Json(values) => values[row].is_none(),
        }
    }

    /// Adds a field: its length and its bytes, or -1 for null.
    pub fn put(&self, row: usize, out: &mut BytesMut) -> Result<()> {
        if self.is_null(row) {
            out.put_i32(-1);
            return Ok(());
        }
        match self {
            Self::Bool(a) => {
                out.put_i32(1);
                out.put_u8(u8::from(a.value(row)));
            }
            Self::Int8(a) => {
                out.put_i32(2);
                out.put_i16(a.value(row).into());
            }
            Self::Int16(a) => {
                out.put_i32(2);
                out.put_i16(a.value(row));
            }
            Self::Int32(a) => {
                out.put_i32(4);
                out.put_i32(a.value(row));
            }
            Self::Int64(a) => put_i64(a.value(row), out),
            Self::Float32(a) => {
                out.put_i32(4);
                out.put_f32(a.value(row));
            }
            Self::Float64(a) => {
                out.put_i32(8);
                out.put_f64(a.value(row));
            }
            Self::Decimal(a, scale) => put_numeric(a.value(row), *scale, out),
            Self::Text(a) => put_bytes(&[], a.value(row).as_bytes(), out)?,
            Self::Binary(a) => put_bytes(&[], a.value(row), out)?,
            Self::Date(a) => {
                out.put_i32(4);
                out.put_i32(a.value(row) - EPOCH_DAYS);
            }
            Self::Timestamp(a) => put_i64(a.value(row) - EPOCH_MICROS, out),
            // jsonb's own version comes first.
            Self::Json(values) => put_bytes(&[1], values[row].as_deref().unwrap_or_default(), out)?,
        }
        Ok(())
    }
}

fn put_i64(value: i64, out: &mut BytesMut) {
    out.put_i32(8);
    out.put_i64(value);
}

fn put_bytes(head: &[u8], bytes: &[u8], out: &mut BytesMut) -> Result<()> {
    let length = i32::try_from(head.len() + bytes.len()).map_err(|_| Error::invalid("PostgreSQL can't hold a value of 2 GiB"))?;
    out.put_i32(length);
    out.put_slice(head);
    out.put_slice(bytes);
    Ok(())
}

/// A decimal as PostgreSQL's numeric: digits to the base of 10,000 from the weight of the first down (numeric.c, `numeric_send`).
fn put_numeric(value: i128, scale: usize, out: &mut BytesMut) {
    /// 39 decimal digits and up to 38 after the point, each side filled up to a multiple of four.
    const DIGITS: usize = 80;
    let mut digits = [0_u8; DIGITS];
    // The point stands before `point`, at a multiple of four.
    let point = 40;
    let mut rest = value.unsigned_abs();
    let mut at = point + scale;
    while rest > 0 {
        at -= 1;
        digits[at] = (rest % 10) as u8;
        rest /= 10;
    }
    let mut groups = [0_i16; DIGITS / 4];
    for (group, four) in groups.iter_mut().zip(digits.chunks_exact(4)) {
        *group = four.iter().fold(0, |n, d| n * 10 + i16::from(*d));
    }
    let first = groups.iter().position(|g| *g != 0);
    let last = groups.iter().rposition(|g| *g != 0);
    let (first, count) = match (first, last) {
        (Some(first), Some(last)) => (first, last - first + 1),
        _ => (point / 4 - 1, 0),
    };
    out.put_i32(8 + 2 * count as i32);
    out.put_i16(count as i16);
    out.put_i16((point / 4) as i16 - 1 - first as i16);
    out.put_u16(if value < 0 { 0x4000 } else { 0 });
    out.put_i16(scale as i16);
    groups[first..first + count].iter().for_each(|g| out.put_i16(*g));
}

fn text<'a>(column: &str, array: &'a StringArray) -> Result<&'a StringArray> {
    // One look at all bytes of the column; which row it is only matters where there is one.
    let offsets = array.value_offsets();
    let (from, to) = (offsets.first().copied().unwrap_or(0) as usize, offsets.last().copied().unwrap_or(0) as usize);
    if array.value_data()[from..to].contains(&0)
        && let Some(value) = array.iter().flatten().find(|v| v.contains('\0'))
    {
        return Err(cannot_hold(column, &format!("{value:?}"), "a NUL character in text"));
    }
    Ok(array)
}

fn dates<'a>(column: &str, array: &'a Date32Array) -> Result<&'a Date32Array> {
    match array.iter().flatten().find(|d| !DAYS.contains(&(i64::from(*d) - i64::from(EPOCH_DAYS)))) {
        None => Ok(array),
        Some(day) => Err(cannot_hold(column, &format!("the date {}", Value::Date(day)), "its dates reach from 4713 BC to 5874897 AD")),
    }
}

fn timestamps<'a>(column: &str, array: &'a TimestampMicrosecondArray) -> Result<&'a TimestampMicrosecondArray> {
    match array.iter().flatten().find(|t| t.checked_sub(EPOCH_MICROS).is_none_or(|t| t < FIRST_MICROS)) {
        None => Ok(array),
        Some(micros) => Err(cannot_hold(column, &format!("the timestamp {}", Value::Timestamp(micros)), "its timestamps begin in 4713 BC")),
    }
}

/// Nested values as JSON. A number that JSON has no word for, and a NUL, are refused.
fn json(column: &str, array: &dyn Array) -> Result<Vec<Option<Vec<u8>>>> {
    if has_non_finite(array) {
        return Err(cannot_hold(column, "NaN or an infinity in a nested value", "JSON has no word for it"));
    }
    let field = Arc::new(Field::new(column, array.data_type().clone(), true));
    let options = EncoderOptions::default().with_explicit_nulls(true);
    let mut encoder = make_encoder(&field, array, &options)?;
    (0..array.len())
        .map(|row| {
            if encoder.is_null(row) {
                return Ok(None);
            }
            let mut text = Vec::new();
            encoder.encode(row, &mut text);
            if text.windows(6).any(|w| w == b"\\u0000") {
                return Err(cannot_hold(column, &String::from_utf8_lossy(&text), "a NUL character in text"));
            }
            Ok(Some(text))
        })
        .collect()
}

fn has_non_finite(array: &dyn Array) -> bool {
    match array.data_type() {
        DataType::Float32 => array.as_primitive::<arrow::datatypes::Float32Type>().iter().flatten().any(|v| !v.is_finite()),
        DataType::Float64 => array.as_primitive::<arrow::datatypes::Float64Type>().iter().flatten().any(|v| !v.is_finite()),
        DataType::List(_) => has_non_finite(array.as_list::<i32>().values()),
        DataType::Map(_, _) => has_non_finite(array.as_map().entries()),
        DataType::Struct(_) => array.as_struct().columns().iter().any(|c| has_non_finite(c)),
        _ => false,
    }
}

/// The columns of `rows`, checked.
pub(super) fn cells(rows: &RecordBatch) -> Result<Vec<Cells<'_>>> {
    let schema = rows.schema_ref();
    rows.columns().iter().zip(schema.fields()).map(|(array, field)| Cells::new(field.name(), array)).collect()
}

/// Adds a row of a COPY.
pub(super) fn put_row(cells: &[Cells<'_>], row: usize, out: &mut BytesMut) -> Result<()> {
    out.put_i16(i16::try_from(cells.len()).map_err(|_| Error::invalid("a table of more than 32,767 columns"))?);
    cells.iter().try_for_each(|c| c.put(row, out))
}

/// The values of a column at `rows` as an array of `element`s (`array_send` of arrayfuncs.c).
pub(super) fn array_of(cells: &Cells<'_>, rows: &[usize], element: &Type) -> Result<BytesMut> {
    let mut out = BytesMut::with_capacity(20 + rows.len() * 12);
    let has_null = rows.iter().any(|row| cells.is_null(*row));
    out.put_i32(1);
    out.put_i32(i32::from(has_null));
    out.put_u32(element.oid());
    out.put_i32(i32::try_from(rows.len()).map_err(|_| Error::invalid("an array of more than 2 billion values"))?);
    out.put_i32(1);
    rows.iter().try_for_each(|row| cells.put(*row, &mut out))?;
    Ok(out)
}

#[cfg(test)]
mod tests;
