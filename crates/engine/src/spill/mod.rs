//! State beyond memory: keyed rows that a flow has put into files until it needs them again.
//!
//! What is put aside at once is a *run*: an immutable file of rows in the order of their keys, in blocks of columns, each with a checksum. Of a
//! run, memory holds the first key of each block and a filter that says which keys, or beginnings of keys, the run surely does not have. Of several runs
//! with a key, the newest one has its state; a row can also say that its group is gone. Runs of about the same size are merged when there are several. Keys begin
//! with a time, the end of a window or of a part of time, so that what closes is the heads of runs, and a run of which all is closed is dropped unread.
//!
//! Nothing here outlives the process, nothing here is needed after a crash, and the format may change with every build: a flow goes on from its
//! checkpoint. This module knows rows and keys; it knows no windows, no joins and no flows. Files are behind core's [`SpillStore`].

mod block;
mod filter;
pub mod memory;
mod merge;
mod run;
mod runs;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use millstream_core::ports::{SpillStore, SpillWriter};
use millstream_core::{EventTime, FlowId, Result};

pub(crate) use merge::{At, Merge, Picker, Source};
pub(crate) use run::{Filtering, Run, RunWriter, Written, block_rows, write};
pub(crate) use runs::Runs;

/// A group: its window's end, then those of its group columns in Arrow's row format that the end doesn't tell. Outside of memory it is only in files of this process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupKey {
    end: EventTime,
    row: Box<[u8]>,
}

/// A [`GroupKey`] that stands elsewhere. It is ordered as that is.
pub(crate) type KeyRef<'a> = (EventTime, &'a [u8]);

/// So many bytes of a key, behind its time, are the beginning that rows can be looked for by.
const PREFIX_BYTES: usize = 8;

/// The beginning of a key: its time and its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Prefix {
    end: EventTime,
    row: [u8; PREFIX_BYTES],
}

impl Prefix {
    /// Of the keys of `end` that go on with `number`.
    pub(crate) fn new(end: EventTime, number: u64) -> Self {
        Self { end, row: number.to_be_bytes() }
    }

    fn borrowed(&self) -> KeyRef<'_> {
        (self.end, &self.row)
    }
}

/// The [`Prefix`] of a key.
fn begins((end, row): KeyRef<'_>) -> KeyRef<'_> {
    (end, row.get(..PREFIX_BYTES).unwrap_or(row))
}

/// What state takes, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// In memory.
    pub memory: usize,
    /// Of that, what can't be put into files.
    pub pinned: usize,
    /// In files.
    pub disk: u64,
}

impl Size {
    /// Of both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { memory: self.memory + other.memory, pinned: self.pinned + other.pinned, disk: self.disk + other.disk }
    }

    /// In memory, and could be put into files.
    #[must_use]
    pub fn movable(self) -> usize {
        self.memory.saturating_sub(self.pinned)
    }

    /// In memory and in files.
    #[must_use]
    pub fn total(self) -> u64 {
        self.disk.saturating_add(self.memory as u64)
    }

    /// How many bytes of memory this has to come down to, when all that it is a part of has to come down to `bytes_max`: each part gives the same share.
    #[must_use]
    pub fn share(self, all: Self, bytes_max: usize) -> usize {
        let room = bytes_max.saturating_sub(all.pinned) as u128;
        let kept = self.movable() as u128 * room / all.movable().max(1) as u128;
        self.pinned.saturating_add(usize::try_from(kept).unwrap_or(usize::MAX))
    }
}

/// The bytes of rows that may be a part of a larger batch, whose other parts count for themselves.
pub(crate) fn bytes_of(rows: &RecordBatch) -> usize {
    let column = |column: &ArrayRef| column.to_data().get_slice_memory_size().unwrap_or_else(|_| column.get_array_memory_size());
    rows.columns().iter().map(column).sum()
}

impl GroupKey {
    /// The group `row` of the window that ends at `end`.
    #[must_use]
    pub fn new(end: EventTime, row: &[u8]) -> Self {
        Self { end, row: row.into() }
    }

    /// The end of its window.
    #[must_use]
    pub fn end(&self) -> EventTime {
        self.end
    }

    /// The group as it was given.
    #[must_use]
    pub fn row(&self) -> &[u8] {
        &self.row
    }

    /// The same without owning it.
    pub(crate) fn borrowed(&self) -> KeyRef<'_> {
        (self.end, &self.row)
    }
}

/// Where a group's row is in memory: a batch and a row in it; or [`GONE`].
pub(crate) type Place = (usize, usize);

/// The place of a group that is there no more, though a run may have it.
pub(crate) const GONE: Place = (usize::MAX, 0);

/// Where a flow may put its state.
#[derive(Clone)]
pub struct SpillArea {
    store: Arc<dyn SpillStore>,
    flow: FlowId,
}

impl SpillArea {
    /// The files of `flow` in `store`.
    #[must_use]
    pub fn new(store: Arc<dyn SpillStore>, flow: FlowId) -> Self {
        Self { store, flow }
    }

    /// Removes what an earlier process left. The flow has no runs yet.
    pub fn clear(&self) -> Result<()> {
        self.store.clear(&self.flow)
    }

    fn create(&self) -> Result<Box<dyn SpillWriter>> {
        self.store.create(&self.flow)
    }
}

#[cfg(test)]
mod tests;
