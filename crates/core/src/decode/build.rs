//! The columns of the batch that is being made: what the slots of good records are appended to.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder, Int8Builder, Int16Builder,
    Int32Builder, Int64Builder, ListArray, MapArray, NullBufferBuilder, StringBuilder, StructArray, TimestampMicrosecondBuilder,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, FieldRef, Fields};

use super::slot::{Slot, Spill};
use crate::error::Result;

/// The values of one column.
pub(super) enum Builder {
    Boolean(BooleanBuilder),
    Int8(Int8Builder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float(Float32Builder),
    Double(Float64Builder),
    Decimal(Decimal128Builder),
    String(StringBuilder),
    Binary(BinaryBuilder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
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
            DataType::Boolean => Self::Boolean(BooleanBuilder::with_capacity(rows)),
            DataType::Int8 => Self::Int8(Int8Builder::with_capacity(rows)),
            DataType::Int16 => Self::Int16(Int16Builder::with_capacity(rows)),
            DataType::Int32 => Self::Int32(Int32Builder::with_capacity(rows)),
            DataType::Int64 => Self::Int64(Int64Builder::with_capacity(rows)),
            DataType::Float32 => Self::Float(Float32Builder::with_capacity(rows)),
            DataType::Float64 => Self::Double(Float64Builder::with_capacity(rows)),
            DataType::Decimal128(..) => Self::Decimal(Decimal128Builder::with_capacity(rows).with_data_type(data_type.clone())),
            DataType::Binary => Self::Binary(BinaryBuilder::with_capacity(rows, rows * 16)),
            DataType::Date32 => Self::Date(Date32Builder::with_capacity(rows)),
            DataType::Timestamp(_, _) => {
                Self::Timestamp(TimestampMicrosecondBuilder::with_capacity(rows).with_data_type(data_type.clone()))
            }
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
            _ => Self::String(StringBuilder::with_capacity(rows, rows * 8)),
        }
    }

    /// Appends a slot that this column's type made; anything else becomes null.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the reader checked the range, and made the f64 from an f32")]
    pub(super) fn append(&mut self, slot: &Slot<'_>, spill: &Spill<'_>) {
        match (self, *slot) {
            (Self::Int32(b), Slot::Int(v)) => b.append_value(v as i32),
            (Self::Int64(b), Slot::Int(v)) => b.append_value(v),
            (Self::String(b), Slot::Text(v)) => b.append_value(v),
            (Self::Timestamp(b), Slot::Int(v)) => b.append_value(v),
            (Self::Boolean(b), Slot::Int(v)) => b.append_value(v != 0),
            (Self::Int8(b), Slot::Int(v)) => b.append_value(v as i8),
            (Self::Int16(b), Slot::Int(v)) => b.append_value(v as i16),
            (Self::Float(b), Slot::Double(v)) => b.append_value(v as f32),
            (Self::Double(b), Slot::Double(v)) => b.append_value(v),
            (Self::Decimal(b), Slot::Decimal(v)) => b.append_value(v),
            (Self::String(b), Slot::SpiltText(start, end)) => b.append_value(spill.text.get(start..end).unwrap_or_default()),
            (Self::Binary(b), Slot::Bytes(v)) => b.append_value(v),
            (Self::Binary(b), Slot::SpiltBytes(start, end)) => b.append_value(spill.bytes.get(start..end).unwrap_or_default()),
            (Self::Date(b), Slot::Int(v)) => b.append_value(v as i32),
            (Self::Array(runs, _) | Self::Map(runs, _), Slot::Nested(start, end)) => runs.append(spill.parts(start, end), spill),
            (Self::Struct(records), Slot::Nested(start, end)) => records.append(spill.parts(start, end), spill),
            (builder, _) => builder.append_null(),
        }
    }

    fn append_null(&mut self) {
        match self {
            Self::Boolean(b) => b.append_null(),
            Self::Int8(b) => b.append_null(),
            Self::Int16(b) => b.append_null(),
            Self::Int32(b) => b.append_null(),
            Self::Int64(b) => b.append_null(),
            Self::Float(b) => b.append_null(),
            Self::Double(b) => b.append_null(),
            Self::Decimal(b) => b.append_null(),
            Self::String(b) => b.append_null(),
            Self::Binary(b) => b.append_null(),
            Self::Date(b) => b.append_null(),
            Self::Timestamp(b) => b.append_null(),
            Self::Array(runs, _) | Self::Map(runs, _) => runs.append_null(),
            Self::Struct(records) => {
                records.parts.iter_mut().for_each(Self::append_null);
                records.validity.append_null();
            }
        }
    }

    /// The column.
    pub(super) fn finish(&mut self) -> Result<ArrayRef> {
        Ok(match self {
            Self::Boolean(b) => Arc::new(b.finish()),
            Self::Int8(b) => Arc::new(b.finish()),
            Self::Int16(b) => Arc::new(b.finish()),
            Self::Int32(b) => Arc::new(b.finish()),
            Self::Int64(b) => Arc::new(b.finish()),
            Self::Float(b) => Arc::new(b.finish()),
            Self::Double(b) => Arc::new(b.finish()),
            Self::Decimal(b) => Arc::new(b.finish()),
            Self::String(b) => Arc::new(b.finish()),
            Self::Binary(b) => Arc::new(b.finish()),
            Self::Date(b) => Arc::new(b.finish()),
            Self::Timestamp(b) => Arc::new(b.finish()),
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
