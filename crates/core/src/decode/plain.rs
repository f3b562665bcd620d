//! Columns of plain values while they are made: a value costs a push, a null is remembered by its place, and the last row can be taken back.

use std::sync::Arc;

use arrow::array::{ArrayRef, ArrowPrimitiveType, BooleanArray, BooleanBufferBuilder, PrimitiveArray, StringArray};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::DataType;

use crate::error::Result;

/// The places of nulls, rising.
#[derive(Default)]
struct Nulls(Vec<u32>);

impl Nulls {
    fn push(&mut self, row: usize) {
        // A chunk is bounded to far fewer rows than this.
        self.0.push(u32::try_from(row).unwrap_or(u32::MAX));
    }

    fn truncate(&mut self, rows: usize) {
        while self.0.last().is_some_and(|last| *last as usize >= rows) {
            self.0.pop();
        }
    }

    /// Which of `rows` rows hold a value; `None` where all do.
    fn finish(&mut self, rows: usize) -> Option<NullBuffer> {
        if self.0.is_empty() {
            return None;
        }
        let mut valid = BooleanBufferBuilder::new(rows);
        valid.append_n(rows, true);
        self.0.drain(..).for_each(|row| valid.set_bit(row as usize, false));
        Some(NullBuffer::new(valid.finish()))
    }
}

/// Values of one length.
pub(super) struct Values<T> {
    values: Vec<T>,
    nulls: Nulls,
}

impl<T: Default> Values<T> {
    /// With room for `rows`.
    pub(super) fn new(rows: usize) -> Self {
        Self { values: Vec::with_capacity(rows), nulls: Nulls::default() }
    }

    #[inline]
    pub(super) fn push(&mut self, value: T) {
        self.values.push(value);
    }

    pub(super) fn push_null(&mut self) {
        self.nulls.push(self.values.len());
        self.values.push(T::default());
    }

    /// Forgets all rows behind the first `rows`.
    pub(super) fn truncate(&mut self, rows: usize) {
        self.values.truncate(rows);
        self.nulls.truncate(rows);
    }
}

impl<T: Default + arrow::datatypes::ArrowNativeType> Values<T> {
    /// The column, of the type `data_type`.
    pub(super) fn finish<P: ArrowPrimitiveType<Native = T>>(&mut self, data_type: &DataType) -> Result<ArrayRef> {
        let values = ScalarBuffer::from(std::mem::take(&mut self.values));
        let nulls = self.nulls.finish(values.len());
        Ok(Arc::new(PrimitiveArray::<P>::try_new(values, nulls)?.with_data_type(data_type.clone())))
    }
}

impl Values<bool> {
    /// The column.
    pub(super) fn finish_booleans(&mut self) -> ArrayRef {
        let values = BooleanBuffer::from(std::mem::take(&mut self.values));
        let nulls = self.nulls.finish(values.len());
        Arc::new(BooleanArray::new(values, nulls))
    }
}

/// Texts.
pub(super) struct Texts {
    bytes: Vec<u8>,
    offsets: Vec<i32>,
    nulls: Nulls,
}

impl Texts {
    /// With room for `rows`.
    pub(super) fn new(rows: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Self { bytes: Vec::with_capacity(rows * 8), offsets, nulls: Nulls::default() }
    }

    #[inline]
    pub(super) fn push(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
        self.end_row();
    }

    pub(super) fn push_null(&mut self) {
        self.nulls.push(self.offsets.len() - 1);
        self.end_row();
    }

    #[inline]
    fn end_row(&mut self) {
        // A chunk is bounded to far fewer bytes than this.
        self.offsets.push(i32::try_from(self.bytes.len()).unwrap_or(i32::MAX));
    }

    /// Forgets all rows behind the first `rows`.
    pub(super) fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows + 1);
        self.bytes.truncate(self.offsets.last().map_or(0, |end| usize::try_from(*end).unwrap_or(0)));
        self.nulls.truncate(rows);
    }

    /// The column.
    pub(super) fn finish(&mut self) -> Result<ArrayRef> {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(&mut self.offsets, vec![0])));
        let nulls = self.nulls.finish(offsets.len() - 1);
        Ok(Arc::new(StringArray::try_new(offsets, Buffer::from(std::mem::take(&mut self.bytes)), nulls)?))
    }
}
