//! A block of a run: some rows and their keys, in the order of keys, as bytes. Pure.
//!
//! The bytes are an Arrow IPC stream of one batch: the columns of the rows, then the end of the window, the group, and whether the group is gone (its columns
//! are null then).

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryArray, BooleanArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use millstream_core::batches::{from_ipc, to_ipc};
use millstream_core::{Error, EventTime, Result};

use super::{KeyRef, Prefix, begins};

/// The columns behind those of the rows.
const HIDDEN: [(&str, DataType); 3] = [("end", DataType::Int64), ("group", DataType::Binary), ("gone", DataType::Boolean)];

/// A block that was read.
pub(crate) struct Block {
    rows: RecordBatch,
    ends: Int64Array,
    groups: BinaryArray,
    gone: BooleanArray,
}

/// The columns of blocks of rows that have the columns of `rows`.
pub(super) fn stored_schema(rows: &Schema) -> SchemaRef {
    let own = rows.fields().iter().map(|field| Field::clone(field).with_nullable(true));
    let hidden = HIDDEN.into_iter().map(|(name, data_type)| Field::new(name, data_type, false));
    Arc::new(Schema::new(own.chain(hidden).collect::<Vec<_>>()))
}

/// A block as bytes. `columns` are those of the rows.
pub(super) fn encode(schema: &SchemaRef, mut columns: Vec<ArrayRef>, keys: &[KeyRef<'_>], gone: Vec<bool>) -> Result<Vec<u8>> {
    columns.push(Arc::new(Int64Array::from_iter_values(keys.iter().map(|(end, _)| end.0))));
    columns.push(Arc::new(BinaryArray::from_iter_values(keys.iter().map(|(_, row)| row))));
    columns.push(Arc::new(BooleanArray::from(gone)));
    to_ipc(schema, &[RecordBatch::try_new(schema.clone(), columns)?])
}

impl Block {
    /// What [`encode`] wrote.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let lost = || Error::corrupt("a block of spilled state has other columns than were written");
        let (_, batches) = from_ipc(bytes)?;
        let [batch] = batches.as_slice() else { return Err(lost()) };
        let own = batch.num_columns().checked_sub(HIDDEN.len()).ok_or_else(lost)?;
        Ok(Self {
            rows: batch.project(&(0..own).collect::<Vec<_>>())?,
            ends: batch.column(own).as_primitive_opt::<Int64Type>().ok_or_else(lost)?.clone(),
            groups: batch.column(own + 1).as_binary_opt::<i32>().ok_or_else(lost)?.clone(),
            gone: batch.column(own + 2).as_boolean_opt().ok_or_else(lost)?.clone(),
        })
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn rows(&self) -> &RecordBatch {
        &self.rows
    }

    pub(super) fn key(&self, row: usize) -> KeyRef<'_> {
        (EventTime(self.ends.value(row)), self.groups.value(row))
    }

    pub(super) fn is_gone(&self, row: usize) -> bool {
        self.gone.value(row)
    }

    /// The first row whose key is `key` or after it.
    pub(super) fn seek(&self, key: KeyRef<'_>) -> usize {
        self.first_without(|of_row| of_row < key)
    }

    /// The rows whose keys begin with `prefix`.
    pub(super) fn beginning_with(&self, prefix: &Prefix) -> Range<usize> {
        let prefix = prefix.borrowed();
        self.first_without(|of_row| begins(of_row) < prefix)..self.first_without(|of_row| begins(of_row) <= prefix)
    }

    /// The first row whose key is not `before`, which is so of the keys up to one.
    fn first_without(&self, before: impl Fn(KeyRef<'_>) -> bool) -> usize {
        let (mut from, mut to) = (0, self.len());
        while from < to {
            let middle = from + (to - from) / 2;
            if before(self.key(middle)) { from = middle + 1 } else { to = middle }
        }
        from
    }

    /// The row of `key`.
    pub(super) fn find(&self, key: KeyRef<'_>) -> Option<usize> {
        Some(self.seek(key)).filter(|row| *row < self.len() && self.key(*row) == key)
    }
}
