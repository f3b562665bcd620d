//! Cells as bytes: reading them out of Arrow columns ([`CellSource`]) and collecting them into Arrow columns ([`CellTarget`]). Pure.
//!
//! What the row codec stores for one cell, without its place in the row:
//!
//! - fixed width (integers, floats, decimals, dates, timestamps): the value in little endian, 1 to 16 bytes; boolean: one byte;
//! - string, binary: the bytes;
//! - nested: list and map as a count (u32) and that many nested cells, struct as one nested cell a field. A nested cell is 0 for
//!   null, or 1 and the value, in which strings and binaries have their length (u32) before them.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayData, ArrayRef, AsArray, BinaryArray, BooleanArray, BooleanBufferBuilder, ListArray, MapArray, NullBufferBuilder,
    StringArray, StructArray, make_array,
};
use arrow::buffer::{Buffer, MutableBuffer, NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, FieldRef, Fields};
use millstream_core::{Error, Result};

#[cfg(target_endian = "big")]
compile_error!("the row codec copies Arrow's buffers as they are, which are little endian in the store");

/// The bytes of a value of `data_type`, or `None` where values have no common width.
pub(super) fn fixed_width(data_type: &DataType) -> Option<usize> {
    match data_type {
        DataType::Boolean => Some(1),
        other => other.primitive_width(),
    }
}

/// One column, typed once for a whole batch.
pub(super) struct CellSource<'a> {
    nulls: Option<&'a NullBuffer>,
    values: SourceValues<'a>,
}

enum SourceValues<'a> {
    Bool(&'a BooleanArray),
    Fixed { bytes: Buffer, width: usize },
    Str(&'a StringArray),
    Bin(&'a BinaryArray),
    List { offsets: &'a [i32], items: Box<CellSource<'a>> },
    Struct(Vec<CellSource<'a>>),
}

impl<'a> CellSource<'a> {
    /// The cells of `array`. A type that no table has is [`Unsupported`](millstream_core::ErrorKind::Unsupported).
    pub fn of(array: &'a dyn Array) -> Result<Self> {
        let values = match array.data_type() {
            DataType::Boolean => SourceValues::Bool(array.as_boolean()),
            DataType::Utf8 => SourceValues::Str(array.as_string()),
            DataType::Binary => SourceValues::Bin(array.as_binary()),
            DataType::List(_) => {
                let list: &ListArray = array.as_list();
                SourceValues::List { offsets: list.value_offsets(), items: Box::new(Self::of(list.values().as_ref())?) }
            }
            DataType::Map(_, _) => {
                let map: &MapArray = array.as_map();
                SourceValues::List { offsets: map.value_offsets(), items: Box::new(Self::of(map.entries())?) }
            }
            DataType::Struct(_) => {
                SourceValues::Struct(array.as_struct().columns().iter().map(|c| Self::of(c.as_ref())).collect::<Result<_>>()?)
            }
            other => {
                let Some(width) = other.primitive_width() else {
                    return Err(Error::unsupported(format!("the built-in store keeps no columns of type {other}")));
                };
                let data = array.to_data();
                let bytes = data.buffers()[0].slice_with_length(data.offset() * width, data.len() * width);
                SourceValues::Fixed { bytes, width }
            }
        };
        Ok(Self { nulls: array.nulls(), values })
    }

    /// Whether the cell of `row` is null.
    pub fn is_null(&self, row: usize) -> bool {
        self.nulls.is_some_and(|n| n.is_null(row))
    }

    /// Whether no cell is null.
    pub fn has_no_nulls(&self) -> bool {
        self.nulls.is_none_or(|n| n.null_count() == 0)
    }

    /// The values of a fixed-width column that isn't boolean, one after the other.
    pub fn fixed_values(&self) -> Option<(&[u8], usize)> {
        match &self.values {
            SourceValues::Fixed { bytes, width } => Some((bytes.as_slice(), *width)),
            _ => None,
        }
    }

    /// The value of `row` of a boolean column; `false` for other types.
    pub fn boolean(&self, row: usize) -> bool {
        matches!(&self.values, SourceValues::Bool(a) if a.value(row))
    }

    /// The bytes of `row`, where they lie in the column as one piece.
    pub fn slice(&self, row: usize) -> Option<&[u8]> {
        match &self.values {
            SourceValues::Str(a) => Some(a.value(row).as_bytes()),
            SourceValues::Bin(a) => Some(a.value(row)),
            _ => None,
        }
    }

    /// Appends the value of `row`, as it stands inside of a nested value.
    pub fn put_nested(&self, row: usize, out: &mut Vec<u8>) {
        match &self.values {
            SourceValues::Bool(a) => out.push(u8::from(a.value(row))),
            SourceValues::Fixed { bytes, width } => out.extend_from_slice(&bytes[row * width..(row + 1) * width]),
            SourceValues::Str(_) | SourceValues::Bin(_) => {
                let bytes = self.slice(row).unwrap_or_default();
                put_count(bytes.len(), out);
                out.extend_from_slice(bytes);
            }
            SourceValues::List { offsets, items } => {
                let (start, end) = (index(offsets[row]), index(offsets[row + 1]));
                put_count(end - start, out);
                (start..end).for_each(|i| items.put_nullable(i, out));
            }
            SourceValues::Struct(fields) => fields.iter().for_each(|f| f.put_nullable(row, out)),
        }
    }

    fn put_nullable(&self, row: usize, out: &mut Vec<u8>) {
        out.push(u8::from(!self.is_null(row)));
        if !self.is_null(row) {
            self.put_nested(row, out);
        }
    }
}

fn put_count(count: usize, out: &mut Vec<u8>) {
    // Arrow's offsets are i32, so a count always fits.
    out.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}

fn index(offset: i32) -> usize {
    usize::try_from(offset).unwrap_or_default()
}

/// A column that is being read back.
pub(super) struct CellTarget {
    data_type: DataType,
    nulls: NullBufferBuilder,
    values: TargetValues,
}

enum TargetValues {
    Bool(BooleanBufferBuilder),
    Fixed { bytes: MutableBuffer, width: usize },
    Bytes { offsets: Vec<i32>, bytes: MutableBuffer },
    List { offsets: Vec<i32>, items: Box<CellTarget>, field: FieldRef },
    Struct { columns: Vec<CellTarget>, fields: Fields },
}

const CUT: &str = "a stored cell is cut off";

impl CellTarget {
    /// An empty column of `data_type` with room for `rows` cells.
    pub fn new(data_type: &DataType, rows: usize) -> Result<Self> {
        let offsets = || {
            let mut offsets = Vec::with_capacity(rows + 1);
            offsets.push(0);
            offsets
        };
        let values = match data_type {
            DataType::Boolean => TargetValues::Bool(BooleanBufferBuilder::new(rows)),
            DataType::Utf8 | DataType::Binary => TargetValues::Bytes { offsets: offsets(), bytes: MutableBuffer::new(rows * 8) },
            DataType::List(field) | DataType::Map(field, _) => {
                TargetValues::List { offsets: offsets(), items: Box::new(Self::new(field.data_type(), rows)?), field: field.clone() }
            }
            DataType::Struct(fields) => TargetValues::Struct {
                columns: fields.iter().map(|f| Self::new(f.data_type(), rows)).collect::<Result<_>>()?,
                fields: fields.clone(),
            },
            other => {
                let width = other
                    .primitive_width()
                    .ok_or_else(|| Error::unsupported(format!("the built-in store keeps no columns of type {other}")))?;
                TargetValues::Fixed { bytes: MutableBuffer::new(rows * width), width }
            }
        };
        Ok(Self { data_type: data_type.clone(), nulls: NullBufferBuilder::new(rows), values })
    }

    /// Adds a null.
    pub fn push_null(&mut self) {
        self.nulls.append_null();
        match &mut self.values {
            TargetValues::Bool(b) => b.append(false),
            TargetValues::Fixed { bytes, width } => bytes.extend_zeros(*width),
            TargetValues::Bytes { offsets, .. } | TargetValues::List { offsets, .. } => {
                offsets.push(offsets.last().copied().unwrap_or_default());
            }
            TargetValues::Struct { columns, .. } => columns.iter_mut().for_each(Self::push_null),
        }
    }

    /// Adds the value that `cell` holds, all of it.
    pub fn push(&mut self, cell: &[u8]) -> Result<()> {
        match &mut self.values {
            TargetValues::Fixed { bytes, width } if *width == cell.len() => match width {
                8 => bytes.extend_from_slice(&cell[..8]),
                4 => bytes.extend_from_slice(&cell[..4]),
                _ => bytes.extend_from_slice(cell),
            },
            TargetValues::Bool(b) if cell.len() == 1 => b.append(cell[0] != 0),
            TargetValues::Bytes { offsets, bytes } => {
                bytes.extend_from_slice(cell);
                offsets.push(offset(bytes.len())?);
            }
            TargetValues::List { .. } | TargetValues::Struct { .. } => {
                let mut rest = cell;
                self.take_nested(&mut rest)?;
                return if rest.is_empty() { Ok(()) } else { Err(Error::corrupt("a stored nested cell is too long")) };
            }
            _ => return Err(Error::corrupt(format!("a stored cell of {} bytes is no {}", cell.len(), self.data_type))),
        }
        self.nulls.append_non_null();
        Ok(())
    }

    fn take_nested(&mut self, rest: &mut &[u8]) -> Result<()> {
        match &mut self.values {
            TargetValues::Bool(_) => return self.push(take(rest, 1)?),
            TargetValues::Fixed { width, .. } => {
                let width = *width;
                return self.push(take(rest, width)?);
            }
            TargetValues::Bytes { .. } => {
                let length = take_count(rest)?;
                return self.push(take(rest, length)?);
            }
            TargetValues::List { offsets, items, .. } => {
                let count = take_count(rest)?;
                for _ in 0..count {
                    items.take_nullable(rest)?;
                }
                offsets.push(offset(index(offsets.last().copied().unwrap_or_default()) + count)?);
            }
            TargetValues::Struct { columns, .. } => {
                for column in columns {
                    column.take_nullable(rest)?;
                }
            }
        }
        self.nulls.append_non_null();
        Ok(())
    }

    fn take_nullable(&mut self, rest: &mut &[u8]) -> Result<()> {
        if take(rest, 1)?[0] == 0 {
            self.push_null();
            return Ok(());
        }
        self.take_nested(rest)
    }

    /// The column.
    pub fn finish(mut self) -> Result<ArrayRef> {
        let length = self.nulls.len();
        let nulls = self.nulls.finish();
        Ok(match self.values {
            TargetValues::Bool(mut b) => Arc::new(BooleanArray::new(b.finish(), nulls)),
            TargetValues::Fixed { bytes, .. } => {
                let data = ArrayData::builder(self.data_type).len(length).add_buffer(bytes.into()).nulls(nulls).build()?;
                make_array(data)
            }
            TargetValues::Bytes { offsets, bytes } => {
                let offsets = OffsetBuffer::new(offsets.into());
                if self.data_type == DataType::Utf8 {
                    let text = StringArray::try_new(offsets, bytes.into(), nulls);
                    Arc::new(text.map_err(|e| Error::corrupt("a stored string is not UTF-8").caused_by(e))?)
                } else {
                    Arc::new(BinaryArray::try_new(offsets, bytes.into(), nulls)?)
                }
            }
            TargetValues::List { offsets, items, field } => {
                let offsets = OffsetBuffer::new(offsets.into());
                let items = items.finish()?;
                match self.data_type {
                    DataType::Map(_, sorted) => Arc::new(MapArray::try_new(field, offsets, items.as_struct().clone(), nulls, sorted)?),
                    _ => Arc::new(ListArray::try_new(field, offsets, items, nulls)?),
                }
            }
            TargetValues::Struct { columns, fields } => {
                let columns = columns.into_iter().map(Self::finish).collect::<Result<_>>()?;
                Arc::new(StructArray::try_new_with_length(fields, columns, nulls, length)?)
            }
        })
    }

    /// About how many bytes it holds.
    pub fn bytes(&self) -> usize {
        match &self.values {
            TargetValues::Bool(b) => b.len() / 8,
            TargetValues::Fixed { bytes, .. } => bytes.len(),
            TargetValues::Bytes { offsets, bytes } => bytes.len() + 4 * offsets.len(),
            TargetValues::List { offsets, items, .. } => items.bytes() + 4 * offsets.len(),
            TargetValues::Struct { columns, .. } => columns.iter().map(Self::bytes).sum(),
        }
    }
}

fn offset(length: usize) -> Result<i32> {
    i32::try_from(length).map_err(|_| Error::exhausted("more than 2 GiB of strings in one batch; read fewer rows at once"))
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(length).ok_or_else(|| Error::corrupt(CUT))?;
    *rest = tail;
    Ok(head)
}

fn take_count(rest: &mut &[u8]) -> Result<usize> {
    let bytes = take(rest, 4)?.try_into().map_err(|_| Error::corrupt(CUT))?;
    usize::try_from(u32::from_le_bytes(bytes)).map_err(|_| Error::corrupt(CUT))
}
