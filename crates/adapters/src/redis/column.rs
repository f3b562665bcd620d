//! Cells from Redis's text back into Arrow columns: the reverse of [`cells`](super::cells). Pure.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder, Int8Builder,
    Int16Builder, Int32Builder, Int64Builder, ListArray, MapArray, NullBufferBuilder, StringBuilder, StructArray,
    TimestampMicrosecondBuilder,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, FieldRef, Fields, TimeUnit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use millstream_core::{Error, Result};

use super::cells::has_string_keys;
use super::json::JsonReader;
use super::text::{misread, read_bool, read_date, read_decimal, read_float, read_int, read_timestamp};

/// A column that is being read.
pub(super) enum Column {
    Bool(BooleanBuilder),
    I8(Int8Builder),
    I16(Int16Builder),
    I32(Int32Builder),
    I64(Int64Builder),
    F32(Float32Builder),
    F64(Float64Builder),
    Decimal(Decimal128Builder, i8),
    Str(StringBuilder),
    Bin(BinaryBuilder),
    Date(Date32Builder),
    Time(TimestampMicrosecondBuilder),
    List { field: FieldRef, offsets: Vec<i32>, nulls: NullBufferBuilder, items: Box<Column> },
    Struct { fields: Fields, nulls: NullBufferBuilder, columns: Vec<Column> },
    Map { field: FieldRef, sorted: bool, by_name: bool, offsets: Vec<i32>, nulls: NullBufferBuilder, entries: Box<Column> },
}

impl Column {
    /// An empty column. [`Unsupported`](millstream_core::ErrorKind::Unsupported) for a type that Redis keeps no columns of.
    pub fn new(data_type: &DataType) -> Result<Self> {
        Ok(match data_type {
            DataType::Boolean => Self::Bool(BooleanBuilder::new()),
            DataType::Int8 => Self::I8(Int8Builder::new()),
            DataType::Int16 => Self::I16(Int16Builder::new()),
            DataType::Int32 => Self::I32(Int32Builder::new()),
            DataType::Int64 => Self::I64(Int64Builder::new()),
            DataType::Float32 => Self::F32(Float32Builder::new()),
            DataType::Float64 => Self::F64(Float64Builder::new()),
            DataType::Decimal128(_, scale) => Self::Decimal(Decimal128Builder::new().with_data_type(data_type.clone()), *scale),
            DataType::Utf8 => Self::Str(StringBuilder::new()),
            DataType::Binary => Self::Bin(BinaryBuilder::new()),
            DataType::Date32 => Self::Date(Date32Builder::new()),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                Self::Time(TimestampMicrosecondBuilder::new().with_data_type(data_type.clone()))
            }
            DataType::List(field) => Self::List {
                field: field.clone(),
                offsets: vec![0],
                nulls: NullBufferBuilder::new(0),
                items: Box::new(Self::new(field.data_type())?),
            },
            DataType::Struct(fields) => Self::Struct {
                fields: fields.clone(),
                nulls: NullBufferBuilder::new(0),
                columns: fields.iter().map(|f| Self::new(f.data_type())).collect::<Result<_>>()?,
            },
            DataType::Map(field, sorted) => Self::Map {
                field: field.clone(),
                sorted: *sorted,
                by_name: has_string_keys(field.data_type()),
                offsets: vec![0],
                nulls: NullBufferBuilder::new(0),
                entries: Box::new(Self::new(field.data_type())?),
            },
            other => return Err(Error::unsupported(format!("Redis keeps no columns of type {other}"))),
        })
    }

    /// Adds a null.
    pub fn push_null(&mut self) {
        match self {
            Self::Bool(b) => b.append_null(),
            Self::I8(b) => b.append_null(),
            Self::I16(b) => b.append_null(),
            Self::I32(b) => b.append_null(),
            Self::I64(b) => b.append_null(),
            Self::F32(b) => b.append_null(),
            Self::F64(b) => b.append_null(),
            Self::Decimal(b, _) => b.append_null(),
            Self::Str(b) => b.append_null(),
            Self::Bin(b) => b.append_null(),
            Self::Date(b) => b.append_null(),
            Self::Time(b) => b.append_null(),
            Self::List { offsets, nulls, .. } | Self::Map { offsets, nulls, .. } => {
                offsets.push(offsets.last().copied().unwrap_or_default());
                nulls.append_null();
            }
            Self::Struct { nulls, columns, .. } => {
                columns.iter_mut().for_each(Self::push_null);
                nulls.append_null();
            }
        }
    }

    /// Adds the cell of a hash's field.
    pub fn push_raw(&mut self, raw: &[u8]) -> Result<()> {
        match self {
            Self::Bin(b) => b.append_value(raw),
            Self::List { .. } | Self::Struct { .. } | Self::Map { .. } => {
                let mut reader = JsonReader::new(raw);
                self.push_json(&mut reader)?;
                reader.end()?;
            }
            _ => self.push_text(std::str::from_utf8(raw).map_err(|_| misread(&String::from_utf8_lossy(raw), "UTF-8"))?)?,
        }
        Ok(())
    }

    /// Adds the JSON value that `reader` stands before.
    pub fn push_json(&mut self, reader: &mut JsonReader<'_>) -> Result<()> {
        if reader.null() {
            self.push_null();
            return Ok(());
        }
        match self {
            Self::List { offsets, nulls, items, .. } => {
                let count = reader.array(|r| items.push_json(r))?;
                end_list(offsets, nulls, count)?;
            }
            Self::Map { by_name, offsets, nulls, entries, .. } => {
                let count = if *by_name { entries.push_members(reader)? } else { reader.array(|r| entries.push_json(r))? };
                end_list(offsets, nulls, count)?;
            }
            Self::Struct { fields, nulls, columns } => {
                let mut at = 0;
                reader.object(|r, name| {
                    let (Some(field), Some(column)) = (fields.get(at), columns.get_mut(at)) else {
                        return Err(misread(&name, "a field of the struct"));
                    };
                    at += 1;
                    if field.name() == &name { column.push_json(r) } else { Err(misread(&name, "a field of the struct")) }
                })?;
                if at != fields.len() {
                    return Err(misread("a JSON object", "a struct with all its fields"));
                }
                nulls.append_non_null();
            }
            Self::Bin(b) => {
                let text = reader.scalar()?;
                b.append_value(STANDARD.decode(text.as_bytes()).map_err(|_| misread(&text, "base64"))?);
            }
            _ => self.push_text(&reader.scalar()?)?,
        }
        Ok(())
    }

    /// Adds the members of an object to this column of a map's entries: each name a key.
    fn push_members(&mut self, reader: &mut JsonReader<'_>) -> Result<usize> {
        let Self::Struct { columns, nulls, .. } = self else { return Err(Error::internal("a map's entries are no struct")) };
        let [keys, values] = columns.as_mut_slice() else { return Err(Error::internal("a map has not two columns")) };
        reader.object(|r, name| {
            keys.push_text(&name)?;
            values.push_json(r)?;
            nulls.append_non_null();
            Ok(())
        })
    }

    fn push_text(&mut self, text: &str) -> Result<()> {
        match self {
            Self::Bool(b) => b.append_value(read_bool(text)?),
            Self::I8(b) => b.append_value(read_int(text)?),
            Self::I16(b) => b.append_value(read_int(text)?),
            Self::I32(b) => b.append_value(read_int(text)?),
            Self::I64(b) => b.append_value(read_int(text)?),
            Self::F32(b) => b.append_value(read_float(text)?),
            Self::F64(b) => b.append_value(read_float(text)?),
            Self::Decimal(b, scale) => b.append_value(read_decimal(text, *scale)?),
            Self::Str(b) => b.append_value(text),
            Self::Date(b) => b.append_value(read_date(text)?),
            Self::Time(b) => b.append_value(read_timestamp(text)?),
            Self::Bin(_) | Self::List { .. } | Self::Struct { .. } | Self::Map { .. } => {
                return Err(Error::internal("a binary or nested cell is no text"));
            }
        }
        Ok(())
    }

    /// The column.
    pub fn finish(self) -> Result<ArrayRef> {
        Ok(match self {
            Self::Bool(mut b) => Arc::new(b.finish()),
            Self::I8(mut b) => Arc::new(b.finish()),
            Self::I16(mut b) => Arc::new(b.finish()),
            Self::I32(mut b) => Arc::new(b.finish()),
            Self::I64(mut b) => Arc::new(b.finish()),
            Self::F32(mut b) => Arc::new(b.finish()),
            Self::F64(mut b) => Arc::new(b.finish()),
            Self::Decimal(mut b, _) => Arc::new(b.finish()),
            Self::Str(mut b) => Arc::new(b.finish()),
            Self::Bin(mut b) => Arc::new(b.finish()),
            Self::Date(mut b) => Arc::new(b.finish()),
            Self::Time(mut b) => Arc::new(b.finish()),
            Self::List { field, offsets, mut nulls, items } => {
                Arc::new(ListArray::try_new(field, OffsetBuffer::new(offsets.into()), items.finish()?, nulls.finish())?)
            }
            Self::Struct { fields, mut nulls, columns } => {
                let length = nulls.len();
                let columns = columns.into_iter().map(Self::finish).collect::<Result<_>>()?;
                Arc::new(StructArray::try_new_with_length(fields, columns, nulls.finish(), length)?)
            }
            Self::Map { field, sorted, offsets, mut nulls, entries, .. } => {
                let entries = entries.finish()?.as_struct().clone();
                Arc::new(MapArray::try_new(field, OffsetBuffer::new(offsets.into()), entries, nulls.finish(), sorted)?)
            }
        })
    }
}

fn end_list(offsets: &mut Vec<i32>, nulls: &mut NullBufferBuilder, count: usize) -> Result<()> {
    let last = i64::from(offsets.last().copied().unwrap_or_default());
    let end = i64::try_from(count).ok().and_then(|count| i32::try_from(last + count).ok());
    offsets.push(end.ok_or_else(|| Error::exhausted("more than 2 billion items of lists in one batch; read fewer rows at once"))?);
    nulls.append_non_null();
    Ok(())
}
