//! The columns of the batch that is being made: what the slots of good records are appended to.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryBuilder, Decimal128Builder, ListArray, MapArray, NullBufferBuilder, StructArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    DataType, Date32Type, FieldRef, Fields, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
};

use super::plain::{Texts, Values};
use super::slot::{Slot, Spill};
use crate::error::Result;

/// The values of one column.
pub(super) enum Builder {
    Boolean(Values<bool>),
    Int8(Values<i8>),
    Int16(Values<i16>),
    Int32(Values<i32>),
    Int64(Values<i64>),
    Float(Values<f32>),
    Double(Values<f64>),
    Decimal(Decimal128Builder),
    String(Texts),
    Binary(BinaryBuilder),
    Date(Values<i32>),
    Timestamp(Values<i64>, DataType),
    Array(Box<Runs>, FieldRef),
    Struct(Box<Records>),
    Map(Box<Runs>, FieldRef),
}

/// Runs of values: the items of arrays, or keys and values of maps.
pub(super) struct Runs {
    /// One builder for items; two for keys and values.
    parts: Vec<Builder>,
    offsets: Vec<i32>,
    length: usize,
    validity: NullBufferBuilder,
}

/// The fields of structs.
pub(super) struct Records {
    fields: Fields,
    parts: Vec<Builder>,
    validity: NullBufferBuilder,
}

impl Builder {
    /// A builder for `data_type` (one that a column of a topic can have) with room for `rows`.
    pub(super) fn new(data_type: &DataType, rows: usize) -> Self {
        match data_type {
            DataType::Boolean => Self::Boolean(Values::new(rows)),
            DataType::Int8 => Self::Int8(Values::new(rows)),
            DataType::Int16 => Self::Int16(Values::new(rows)),
            DataType::Int32 => Self::Int32(Values::new(rows)),
            DataType::Int64 => Self::Int64(Values::new(rows)),
            DataType::Float32 => Self::Float(Values::new(rows)),
            DataType::Float64 => Self::Double(Values::new(rows)),
            DataType::Decimal128(..) => Self::Decimal(Decimal128Builder::with_capacity(rows).with_data_type(data_type.clone())),
            DataType::Binary => Self::Binary(BinaryBuilder::with_capacity(rows, rows * 16)),
            DataType::Date32 => Self::Date(Values::new(rows)),
            DataType::Timestamp(_, _) => Self::Timestamp(Values::new(rows), data_type.clone()),
            DataType::List(item) => Self::Array(Box::new(Runs::new(std::slice::from_ref(item), rows)), item.clone()),
            DataType::Map(entries, _) => {
                let fields = match entries.data_type() {
                    DataType::Struct(fields) => fields.as_ref(),
                    _ => &[],
                };
                Self::Map(Box::new(Runs::new(fields, rows)), entries.clone())
            }
            DataType::Struct(fields) => Self::Struct(Box::new(Records {
                fields: fields.clone(),
                parts: fields.iter().map(|f| Self::new(f.data_type(), rows)).collect(),
                validity: NullBufferBuilder::new(rows),
            })),
            _ => Self::String(Texts::new(rows)),
        }
    }

    /// Appends a slot that this column's type made; anything else becomes null.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the reader checked the range, and made the f64 from an f32")]
    pub(super) fn append(&mut self, slot: &Slot<'_>, spill: &Spill<'_>) {
        match (self, *slot) {
            (Self::Int32(b), Slot::Int(v)) => b.push(v as i32),
            (Self::Int64(b), Slot::Int(v)) => b.push(v),
            (Self::String(b), Slot::Text(v)) => b.push(v),
            (Self::Timestamp(b, _), Slot::Int(v)) => b.push(v),
            (Self::Boolean(b), Slot::Int(v)) => b.push(v != 0),
            (Self::Int8(b), Slot::Int(v)) => b.push(v as i8),
            (Self::Int16(b), Slot::Int(v)) => b.push(v as i16),
            (Self::Float(b), Slot::Double(v)) => b.push(v as f32),
            (Self::Double(b), Slot::Double(v)) => b.push(v),
            (Self::Decimal(b), Slot::Decimal(v)) => b.append_value(v),
            (Self::String(b), Slot::SpiltText(start, end)) => b.push(spill.text.get(start..end).unwrap_or_default()),
            (Self::Binary(b), Slot::Bytes(v)) => b.append_value(v),
            (Self::Binary(b), Slot::SpiltBytes(start, end)) => b.append_value(spill.bytes.get(start..end).unwrap_or_default()),
            (Self::Date(b), Slot::Int(v)) => b.push(v as i32),
            (Self::Array(runs, _) | Self::Map(runs, _), Slot::Nested(start, end)) => runs.append(spill.parts(start, end), spill),
            (Self::Struct(records), Slot::Nested(start, end)) => records.append(spill.parts(start, end), spill),
            (builder, _) => builder.append_null(),
        }
    }

    pub(super) fn append_null(&mut self) {
        match self {
            Self::Boolean(b) => b.push_null(),
            Self::Int8(b) => b.push_null(),
            Self::Int16(b) => b.push_null(),
            Self::Int32(b) => b.push_null(),
            Self::Int64(b) => b.push_null(),
            Self::Float(b) => b.push_null(),
            Self::Double(b) => b.push_null(),
            Self::Decimal(b) => b.append_null(),
            Self::String(b) => b.push_null(),
            Self::Binary(b) => b.append_null(),
            Self::Date(b) => b.push_null(),
            Self::Timestamp(b, _) => b.push_null(),
            Self::Array(runs, _) | Self::Map(runs, _) => runs.append_null(),
            Self::Struct(records) => {
                records.parts.iter_mut().for_each(Self::append_null);
                records.validity.append_null();
            }
        }
    }

    /// Forgets all rows behind the first `rows`, of a column of plain values.
    pub(super) fn truncate(&mut self, rows: usize) {
        match self {
            Self::Boolean(b) => b.truncate(rows),
            Self::Int8(b) => b.truncate(rows),
            Self::Int16(b) => b.truncate(rows),
            Self::Int32(b) | Self::Date(b) => b.truncate(rows),
            Self::Int64(b) | Self::Timestamp(b, _) => b.truncate(rows),
            Self::Float(b) => b.truncate(rows),
            Self::Double(b) => b.truncate(rows),
            Self::String(b) => b.truncate(rows),
            // These are made of slots, of which none is appended before its record is known to be good.
            Self::Decimal(_) | Self::Binary(_) | Self::Array(..) | Self::Struct(_) | Self::Map(..) => {}
        }
    }

    /// The column.
    pub(super) fn finish(&mut self) -> Result<ArrayRef> {
        Ok(match self {
            Self::Boolean(b) => b.finish_booleans(),
            Self::Int8(b) => b.finish::<Int8Type>(&DataType::Int8)?,
            Self::Int16(b) => b.finish::<Int16Type>(&DataType::Int16)?,
            Self::Int32(b) => b.finish::<Int32Type>(&DataType::Int32)?,
            Self::Int64(b) => b.finish::<Int64Type>(&DataType::Int64)?,
            Self::Float(b) => b.finish::<Float32Type>(&DataType::Float32)?,
            Self::Double(b) => b.finish::<Float64Type>(&DataType::Float64)?,
            Self::Decimal(b) => Arc::new(b.finish()),
            Self::String(b) => b.finish()?,
            Self::Binary(b) => Arc::new(b.finish()),
            Self::Date(b) => b.finish::<Date32Type>(&DataType::Date32)?,
            Self::Timestamp(b, data_type) => b.finish::<TimestampMicrosecondType>(data_type)?,
            Self::Array(runs, item) => {
                let items = runs.finish_parts()?.pop().ok_or_else(|| crate::Error::internal("an array without items"))?;
                Arc::new(ListArray::try_new(item.clone(), runs.finish_offsets(), items, runs.validity.finish())?)
            }
            Self::Map(runs, entries) => {
                let fields = match entries.data_type() {
                    DataType::Struct(fields) => fields.clone(),
                    _ => Fields::empty(),
                };
                let pairs = StructArray::try_new(fields, runs.finish_parts()?, None)?;
                Arc::new(MapArray::try_new(entries.clone(), runs.finish_offsets(), pairs, runs.validity.finish(), false)?)
            }
            Self::Struct(records) => {
                let rows = records.validity.len();
                let parts = records.parts.iter_mut().map(Self::finish).collect::<Result<Vec<_>>>()?;
                let validity = records.validity.finish();
                Arc::new(StructArray::try_new_with_length(records.fields.clone(), parts, validity, rows)?)
            }
        })
    }
}

impl Runs {
    fn new(parts: &[FieldRef], rows: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        let parts = parts.iter().map(|f| Builder::new(f.data_type(), rows)).collect();
        Self { parts, offsets, length: 0, validity: NullBufferBuilder::new(rows) }
    }

    /// Appends one run: its slots go to the parts by turns.
    fn append(&mut self, slots: &[Slot<'_>], spill: &Spill<'_>) {
        let turns = self.parts.len().max(1);
        for slots in slots.chunks_exact(turns) {
            for (part, slot) in self.parts.iter_mut().zip(slots) {
                part.append(slot, spill);
            }
        }
        self.length += slots.len() / turns;
        self.end_run();
        self.validity.append_non_null();
    }

    fn append_null(&mut self) {
        self.end_run();
        self.validity.append_null();
    }

    fn end_run(&mut self) {
        // A chunk is bounded to far fewer bytes than this.
        self.offsets.push(i32::try_from(self.length).unwrap_or(i32::MAX));
    }

    fn finish_parts(&mut self) -> Result<Vec<ArrayRef>> {
        self.length = 0;
        self.parts.iter_mut().map(Builder::finish).collect()
    }

    fn finish_offsets(&mut self) -> OffsetBuffer<i32> {
        OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(&mut self.offsets, vec![0])))
    }
}

impl Records {
    fn append(&mut self, slots: &[Slot<'_>], spill: &Spill<'_>) {
        for (at, part) in self.parts.iter_mut().enumerate() {
            match slots.get(at) {
                Some(slot) => part.append(slot, spill),
                None => part.append_null(),
            }
        }
        self.validity.append_non_null();
    }
}
