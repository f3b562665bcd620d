//! Arrow columns as CQL values (CQL binary protocol v4, section 6): pure. What CQL can't hold is found when the column is taken in, so
//! that a value can be written without an error.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray, Float32Array, Float64Array,
    Int8Array, Int16Array, Int32Array, Int64Array, StringArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimestampMicrosecondType};
use millstream_core::{Error, Result};

use super::column::{Column, CqlType, is_nested};

/// The day 1970-01-01 of CQL's `date`.
pub(super) const DATE_EPOCH: u32 = 1 << 31;

/// Room for a fixed-size value, a decimal the longest: 4 bytes of scale and 16 of digits.
pub(super) type Scratch = [u8; 20];

/// The values of a column, ready to be written.
#[derive(Clone, Debug)]
pub(super) enum Cells {
    Boolean(BooleanArray),
    TinyInt(Int8Array),
    SmallInt(Int16Array),
    Int(Int32Array),
    BigInt(Int64Array),
    Float(Float32Array),
    Double(Float64Array),
    Decimal(Decimal128Array, i32),
    Text(StringArray),
    Blob(BinaryArray),
    Uuid(FixedSizeBinaryArray),
    Date(Date32Array),
}

impl Cells {
    /// The values of `array`, which has the column's type. A value that its CQL type can't hold is
    /// [`InvalidInput`](millstream_core::ErrorKind::InvalidInput).
    pub fn new(array: &ArrayRef, column: &Column) -> Result<Self> {
        if array.data_type() != &column.data_type {
            return Err(Error::invalid(format!("column {} is a {}, not a {}", column.name, column.data_type, array.data_type())));
        }
        let lost = || Error::internal(format!("column {} is no {:?}", column.name, column.cql));
        let narrowed = |to: &DataType| -> Result<ArrayRef> {
            let options = arrow::compute::CastOptions { safe: false, ..Default::default() };
            arrow::compute::cast_with_options(array, to, &options).map_err(|e| {
                Error::invalid(format!("column {} holds a value that its CQL type {} can't hold", column.name, column.cql.name()))
                    .caused_by(e)
            })
        };
        Ok(match column.cql {
            CqlType::Boolean => Self::Boolean(array.as_boolean_opt().ok_or_else(lost)?.clone()),
            CqlType::TinyInt => Self::TinyInt(narrowed(&DataType::Int8)?.as_primitive_opt().ok_or_else(lost)?.clone()),
            CqlType::SmallInt => Self::SmallInt(narrowed(&DataType::Int16)?.as_primitive_opt().ok_or_else(lost)?.clone()),
            CqlType::Int => Self::Int(narrowed(&DataType::Int32)?.as_primitive_opt().ok_or_else(lost)?.clone()),
            CqlType::BigInt | CqlType::Counter => Self::BigInt(cast(array, &DataType::Int64)?.as_primitive_opt().ok_or_else(lost)?.clone()),
            CqlType::Timestamp => Self::BigInt(millis(array, column)?),
            CqlType::Float => Self::Float(narrowed(&DataType::Float32)?.as_primitive_opt().ok_or_else(lost)?.clone()),
            CqlType::Double => Self::Double(array.as_primitive_opt().ok_or_else(lost)?.clone()),
            CqlType::Decimal => {
                let DataType::Decimal128(_, scale) = &column.data_type else { return Err(lost()) };
                Self::Decimal(array.as_primitive_opt().ok_or_else(lost)?.clone(), i32::from(*scale))
            }
            CqlType::Text | CqlType::Ascii if is_nested(&column.data_type) => Self::Text(super::nested::to_json(array, &column.name)?),
            CqlType::Text => Self::Text(array.as_string_opt::<i32>().ok_or_else(lost)?.clone()),
            CqlType::Ascii => Self::Text(ascii(array.as_string_opt::<i32>().ok_or_else(lost)?, column)?),
            CqlType::Uuid | CqlType::TimeUuid => Self::Uuid(uuids(array.as_string_opt::<i32>().ok_or_else(lost)?, column)?),
            CqlType::Blob => Self::Blob(array.as_binary_opt::<i32>().ok_or_else(lost)?.clone()),
            CqlType::Date => Self::Date(array.as_primitive_opt().ok_or_else(lost)?.clone()),
            CqlType::Varint => {
                return Err(Error::unsupported(format!("column {} is a varint, which Millstream only reads", column.name)));
            }
        })
    }

    /// The value at `row`, as bytes; `None` is null. A value of a fixed size is put into `scratch`.
    pub fn value<'a>(&'a self, row: usize, scratch: &'a mut Scratch) -> Option<&'a [u8]> {
        fn fixed<const N: usize>(scratch: &mut Scratch, bytes: [u8; N]) -> &[u8] {
            scratch[..N].copy_from_slice(&bytes);
            &scratch[..N]
        }
        if self.array().is_null(row) {
            return None;
        }
        Some(match self {
            Self::Boolean(a) => fixed(scratch, [u8::from(a.value(row))]),
            Self::TinyInt(a) => fixed(scratch, a.value(row).to_be_bytes()),
            Self::SmallInt(a) => fixed(scratch, a.value(row).to_be_bytes()),
            Self::Int(a) => fixed(scratch, a.value(row).to_be_bytes()),
            Self::BigInt(a) => fixed(scratch, a.value(row).to_be_bytes()),
            Self::Float(a) => fixed(scratch, a.value(row).to_be_bytes()),
            Self::Double(a) => fixed(scratch, a.value(row).to_be_bytes()),
            Self::Date(a) => fixed(scratch, a.value(row).cast_unsigned().wrapping_add(DATE_EPOCH).to_be_bytes()),
            Self::Decimal(a, scale) => {
                let digits = a.value(row).to_be_bytes();
                let digits = shortest(&digits);
                scratch[..4].copy_from_slice(&scale.to_be_bytes());
                scratch[4..4 + digits.len()].copy_from_slice(digits);
                &scratch[..4 + digits.len()]
            }
            Self::Text(a) => a.value(row).as_bytes(),
            Self::Blob(a) => a.value(row),
            Self::Uuid(a) => a.value(row),
        })
    }

    /// About how many bytes the value at `row` takes.
    pub fn size(&self, row: usize) -> usize {
        match self {
            Self::Text(a) => 4 + usize::try_from(a.value_length(row)).unwrap_or(0),
            Self::Blob(a) => 4 + usize::try_from(a.value_length(row)).unwrap_or(0),
            _ => 12,
        }
    }

    fn array(&self) -> &dyn Array {
        match self {
            Self::Boolean(a) => a,
            Self::TinyInt(a) => a,
            Self::SmallInt(a) => a,
            Self::Int(a) => a,
            Self::BigInt(a) => a,
            Self::Float(a) => a,
            Self::Double(a) => a,
            Self::Decimal(a, _) => a,
            Self::Text(a) => a,
            Self::Blob(a) => a,
            Self::Uuid(a) => a,
            Self::Date(a) => a,
        }
    }
}

/// The bytes of a two's complement number without those that only repeat its sign.
pub(super) fn shortest(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    while let [first, second, ..] = rest
        && (*first == 0 && *second < 0x80 || *first == 0xFF && *second >= 0x80)
    {
        rest = &rest[1..];
    }
    rest
}

/// Microseconds as milliseconds. A finer part is refused: it would be lost.
fn millis(array: &ArrayRef, column: &Column) -> Result<Int64Array> {
    let micros = array.as_primitive_opt::<TimestampMicrosecondType>();
    let micros = micros.ok_or_else(|| Error::internal(format!("column {} is no timestamp", column.name)))?;
    if let Some(finer) = micros.iter().flatten().find(|v| v % 1_000 != 0) {
        return Err(Error::invalid(format!(
            "column {}: {} is finer than a millisecond, and the CQL type timestamp isn't; round it in the query (date_trunc) or hold the \
             column as bigint",
            column.name,
            millstream_core::EventTime(finer)
        )));
    }
    Ok(micros.unary(|v| v / 1_000))
}

fn ascii(strings: &StringArray, column: &Column) -> Result<StringArray> {
    match strings.iter().flatten().find(|s| !s.is_ascii()) {
        Some(other) => Err(Error::invalid(format!("column {}: {other:?} is not ASCII, and the column is", column.name))),
        None => Ok(strings.clone()),
    }
}

fn uuids(strings: &StringArray, column: &Column) -> Result<FixedSizeBinaryArray> {
    let parsed = strings.iter().map(|text| text.map(|t| parse_uuid(t, &column.name)).transpose()).collect::<Result<Vec<_>>>()?;
    Ok(FixedSizeBinaryArray::try_from_sparse_iter_with_size(parsed.into_iter(), 16)?)
}

/// The 16 bytes of a UUID in its canonical text (RFC 4122, section 3).
fn parse_uuid(text: &str, column: &str) -> Result<[u8; 16]> {
    let bad = || Error::invalid(format!("column {column}: {text:?} is no UUID"));
    let hyphens = [8, 13, 18, 23];
    if text.len() != 36 || hyphens.iter().any(|i| text.as_bytes()[*i] != b'-') {
        return Err(bad());
    }
    let digits: Vec<u8> = text.bytes().enumerate().filter(|(i, _)| !hyphens.contains(i)).map(|(_, b)| b).collect();
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok()).ok_or_else(bad);
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Ok(bytes)
}

/// The one value of a key column that a reader names.
pub(super) fn key_value(value: &millstream_core::Value, column: &Column) -> Result<Option<Vec<u8>>> {
    let array = value.to_array(&column.data_type).map_err(|e| e.context(format!("key column {}", column.name)))?;
    let array: ArrayRef = Arc::clone(&array);
    Ok(Cells::new(&array, column)?.value(0, &mut Scratch::default()).map(<[u8]>::to_vec))
}

#[cfg(test)]
mod tests;
