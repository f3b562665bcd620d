//! State beyond memory: keyed rows that a flow has put into files until it needs them again.
//!
//! What is put aside at once is a *run*: an immutable file of rows in the order of their keys, in blocks of columns, each with a checksum. Of a
//! run, memory holds the first key of each block and a filter that says which keys the run surely does not have. Of several runs
//! with a key, the newest one has its state; a row can also say that its group is gone. Runs of about the same size are merged when there are several. Keys begin
//! with the end of their window, so that windows that close are the heads of runs, and a run whose windows are all closed is dropped unread.
//!
//! Nothing here outlives the process, nothing here is needed after a crash, and the format may change with every build: a flow goes on from its
//! checkpoint. This module knows rows and keys; it knows no windows and no flows. Files are behind core's [`SpillStore`].

mod block;
mod filter;
pub mod memory;
mod merge;
mod run;
mod runs;

use std::sync::Arc;

use millstream_core::ports::{SpillStore, SpillWriter};
use millstream_core::{EventTime, FlowId, Result};

pub(crate) use merge::{At, Merge, Picker, Source};
pub(crate) use run::{Written, write};
pub(crate) use runs::Runs;

/// A group: its window's end, then its group columns in Arrow's row format. Outside of memory it is only in files of this process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupKey {
    end: EventTime,
    row: Box<[u8]>,
}

/// A [`GroupKey`] that stands elsewhere. It is ordered as that is.
pub(crate) type KeyRef<'a> = (EventTime, &'a [u8]);

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
