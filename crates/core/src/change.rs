//! Changes: the rows that travel inside Millstream, each with what it does (kind), which write wins (version) and where it came
//! from (source position).

use std::sync::Arc;

use arrow::array::{Array, Int32Array, Int64Array, RecordBatch, UInt8Array, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::SchemaRef;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::time::Version;

/// What a change does to the row of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum ChangeKind {
    /// The row is new.
    Insert = 0,
    /// The row replaces an older one of the same key.
    Update = 1,
    /// The row of this key is gone; only its key columns mean anything.
    Delete = 2,
}

impl ChangeKind {
    /// The kind stored as `code`; an unknown code is [`Corrupt`](crate::ErrorKind::Corrupt).
    pub fn from_code(code: u8) -> Result<Self> {
        match code {
            0 => Ok(Self::Insert),
            1 => Ok(Self::Update),
            2 => Ok(Self::Delete),
            other => Err(Error::corrupt(format!("{other} is not a change kind (0 insert, 1 update, 2 delete)"))),
        }
    }

    /// The stored code.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// Where a change came from: a topic's partition and offset, or a feed's range and sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RowPosition {
    /// The source's partition, or feed range.
    pub partition: i32,
    /// The offset in it, or the sequence.
    pub offset: i64,
}

/// Rows with their three hidden columns. All columns have the same length.
#[derive(Clone, Debug)]
pub struct ChangeBatch {
    rows: RecordBatch,
    kinds: UInt8Array,
    versions: Int64Array,
    partitions: Int32Array,
    offsets: Int64Array,
}

impl ChangeBatch {
    /// Puts rows and hidden columns together: `kinds` as [`ChangeKind::code`], `versions` in microseconds, positions per row.
    /// Columns of different lengths, an unknown kind, or a null in a hidden column are refused.
    pub fn try_new(
        rows: RecordBatch,
        kinds: UInt8Array,
        versions: Int64Array,
        partitions: Int32Array,
        offsets: Int64Array,
    ) -> Result<Self> {
        let n = rows.num_rows();
        if [kinds.len(), versions.len(), partitions.len(), offsets.len()] != [n; 4] {
            return Err(Error::internal(format!(
                "{n} rows with hidden columns of lengths {}, {}, {}, {}",
                kinds.len(),
                versions.len(),
                partitions.len(),
                offsets.len()
            )));
        }
        if kinds.null_count() + versions.null_count() + partitions.null_count() + offsets.null_count() > 0 {
            return Err(Error::internal("a hidden column holds a null"));
        }
        if let Some(bad) = kinds.values().iter().find(|k| **k > ChangeKind::Delete.code()) {
            ChangeKind::from_code(*bad)?;
        }
        Ok(Self { rows, kinds, versions, partitions, offsets })
    }

    /// Inserts of `rows`, all with the same `version` and from no position (-1, -1): for tests and for replayed rows.
    pub fn inserts(rows: RecordBatch, version: Version) -> Result<Self> {
        let n = rows.num_rows();
        Self::try_new(
            rows,
            UInt8Array::from_value(ChangeKind::Insert.code(), n),
            Int64Array::from_value(version.0, n),
            Int32Array::from_value(-1, n),
            Int64Array::from_value(-1, n),
        )
    }

    /// No changes, of rows of `schema`.
    #[must_use]
    pub fn empty(schema: SchemaRef) -> Self {
        Self {
            rows: RecordBatch::new_empty(schema),
            kinds: UInt8Array::from(Vec::<u8>::new()),
            versions: Int64Array::from(Vec::<i64>::new()),
            partitions: Int32Array::from(Vec::<i32>::new()),
            offsets: Int64Array::from(Vec::<i64>::new()),
        }
    }

    /// The user's columns.
    #[must_use]
    pub fn rows(&self) -> &RecordBatch {
        &self.rows
    }

    /// How many changes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.num_rows()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The change kinds, as codes.
    #[must_use]
    pub fn kinds(&self) -> &UInt8Array {
        &self.kinds
    }

    /// The kind of change `row`.
    #[must_use]
    pub fn kind(&self, row: usize) -> ChangeKind {
        match self.kinds.value(row) {
            0 => ChangeKind::Insert,
            1 => ChangeKind::Update,
            _ => ChangeKind::Delete,
        }
    }

    /// The versions, in microseconds.
    #[must_use]
    pub fn versions(&self) -> &Int64Array {
        &self.versions
    }

    /// The version of change `row`.
    #[must_use]
    pub fn version(&self, row: usize) -> Version {
        Version(self.versions.value(row))
    }

    /// The source partitions.
    #[must_use]
    pub fn partitions(&self) -> &Int32Array {
        &self.partitions
    }

    /// The source offsets.
    #[must_use]
    pub fn offsets(&self) -> &Int64Array {
        &self.offsets
    }

    /// Where change `row` came from.
    #[must_use]
    pub fn position(&self, row: usize) -> RowPosition {
        RowPosition { partition: self.partitions.value(row), offset: self.offsets.value(row) }
    }

    /// The same changes with other user columns (`rows` has as many rows).
    pub fn with_rows(&self, rows: RecordBatch) -> Result<Self> {
        Self::try_new(rows, self.kinds.clone(), self.versions.clone(), self.partitions.clone(), self.offsets.clone())
    }

    /// `length` changes from `offset`, without a copy.
    #[must_use]
    pub fn slice(&self, offset: usize, length: usize) -> Self {
        Self {
            rows: self.rows.slice(offset, length),
            kinds: self.kinds.slice(offset, length),
            versions: self.versions.slice(offset, length),
            partitions: self.partitions.slice(offset, length),
            offsets: self.offsets.slice(offset, length),
        }
    }

    /// The changes at `indices`, in that order.
    pub fn take(&self, indices: &UInt32Array) -> Result<Self> {
        let hidden = |a: &dyn Array| -> Result<_> { Ok(arrow::compute::take(a, indices, None)?) };
        Self::try_new(
            take_record_batch(&self.rows, indices)?,
            hidden(&self.kinds)?.as_any().downcast_ref().cloned().ok_or_else(lost_type)?,
            hidden(&self.versions)?.as_any().downcast_ref().cloned().ok_or_else(lost_type)?,
            hidden(&self.partitions)?.as_any().downcast_ref().cloned().ok_or_else(lost_type)?,
            hidden(&self.offsets)?.as_any().downcast_ref().cloned().ok_or_else(lost_type)?,
        )
    }

    /// All of `batches`, one after the other; their user columns are those of `schema`.
    pub fn concat<'a>(schema: &SchemaRef, batches: impl IntoIterator<Item = &'a Self>) -> Result<Self> {
        let all: Vec<&Self> = batches.into_iter().collect();
        if let [one] = all.as_slice() {
            return Ok((*one).clone());
        }
        let hidden = |pick: &dyn Fn(&Self) -> Arc<dyn Array>| -> Result<Arc<dyn Array>> {
            let arrays: Vec<_> = all.iter().map(|b| pick(b)).collect();
            let refs: Vec<&dyn Array> = arrays.iter().map(AsRef::as_ref).collect();
            Ok(arrow::compute::concat(&refs)?)
        };
        if all.is_empty() {
            return Ok(Self::empty(schema.clone()));
        }
        Self::try_new(
            arrow::compute::concat_batches(schema, all.iter().map(|b| &b.rows))?,
            hidden(&|b| Arc::new(b.kinds.clone()))?.as_any().downcast_ref().cloned().ok_or_else(lost_type)?,
            hidden(&|b| Arc::new(b.versions.clone()))?.as_any().downcast_ref().cloned().ok_or_else(lost_type)?,
            hidden(&|b| Arc::new(b.partitions.clone()))?.as_any().downcast_ref().cloned().ok_or_else(lost_type)?,
            hidden(&|b| Arc::new(b.offsets.clone()))?.as_any().downcast_ref().cloned().ok_or_else(lost_type)?,
        )
    }
}

fn lost_type() -> Error {
    Error::internal("a hidden column changed its type")
}
