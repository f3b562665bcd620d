//! What an epoch is written again from that a sink may hold in part. Pure.
//!
//! Where rows are appended, one by one, a torn epoch has to be written again as it was: what stands there is told by epoch and sequence. The changes of a
//! flow that keeps nothing follow from the records between two places of its topic, so its checkpoints name these places, and no row. Those of a flow
//! with state, with versions of its own or with reference data don't: there the checkpoint has the changes themselves. So does that of a flow on a change
//! feed, which need not show every change again that it has shown.

use millstream_core::ports::Isolation;

use super::checkpoint::{Checkpoint, MadeOf};
use super::compatibility::{Fit, told};

/// What a flow's checkpoints have of an epoch's changes, to write them again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redo {
    /// Nothing: nobody sees a part of an epoch, or each row is written again in whatever epoch, equal to the byte.
    Nothing,
    /// The changes.
    Changes,
    /// Which records they were made of: a topic's, which are read again.
    Records,
}

impl Redo {
    /// Of a flow into a store with `isolation`, which `appends` rows or replaces them by key.
    #[must_use]
    pub fn of(isolation: Isolation, appends: bool, draws_versions: bool, reads_a_topic: bool) -> Self {
        match isolation {
            Isolation::Epoch => Self::Nothing,
            Isolation::Row if draws_versions => Self::Changes,
            Isolation::Row if !appends => Self::Nothing,
            Isolation::Row if reads_a_topic => Self::Records,
            Isolation::Row => Self::Changes,
        }
    }
}

/// What a prepared epoch that was not committed is written again from.
#[derive(Clone, Debug)]
pub enum Torn {
    /// Nothing: what it read is read again, in whatever epochs.
    Passed,
    /// The changes that its checkpoint has.
    Changes,
    /// The records between two places.
    Records(MadeOf),
    /// Records, by a query that the flow has no more: what is different.
    OfAnotherQuery(String),
}

impl Torn {
    /// By its checkpoint, whatever the flow's next ones have.
    #[must_use]
    pub fn of(checkpoint: &Checkpoint, fit: &Fit) -> Self {
        match (&checkpoint.redo, &checkpoint.header.made_of, fit) {
            (Some(_), _, _) => Self::Changes,
            (None, None, _) => Self::Passed,
            (None, Some(made_of), Fit::Same) => Self::Records(made_of.clone()),
            (None, Some(_), Fit::BehindState(changes) | Fit::Another(changes)) => Self::OfAnotherQuery(told(changes)),
            (None, Some(_), Fit::Unknown) => Self::OfAnotherQuery("nobody can tell how".to_owned()),
        }
    }
}

/// Why what was made again is not what was made at first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Records are gone: retention, or compaction, has removed them.
    Records(String),
    /// The same records make another number of rows.
    Changes(String),
}

impl MadeOf {
    /// Whether what was made again of so many records is what was made of them.
    pub fn check(&self, records: u64, changes: u64) -> Result<(), Difference> {
        if records != self.records {
            return Err(Difference::Records(format!("{records} of its {} records are left", self.records)));
        }
        if changes != self.changes {
            return Err(Difference::Changes(format!("it had {} rows, and would have {changes}", self.changes)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
