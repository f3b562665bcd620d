//! The closed sessions that are remembered, in the order of their ends, and what they take in memory.

use std::collections::BTreeSet;
use std::ops::Bound;

use super::state::GroupKey;

/// About what a remembered session takes beside its key, in bytes.
const PLACE_BYTES: usize = 64;

/// Sessions by their ends.
#[derive(Default)]
pub(super) struct Remembered {
    sessions: BTreeSet<GroupKey>,
    bytes: usize,
}

/// About what a remembered session takes in memory, in bytes.
pub(super) fn bytes_of(session: &GroupKey) -> usize {
    PLACE_BYTES + session.row().len()
}

impl Remembered {
    /// About what they take together, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn insert(&mut self, session: GroupKey) {
        let bytes = bytes_of(&session);
        if self.sessions.insert(session) {
            self.bytes += bytes;
        }
    }

    /// The one that ends first.
    pub(super) fn first(&self) -> Option<&GroupKey> {
        self.sessions.first()
    }

    /// The one that ends last.
    pub(super) fn last(&self) -> Option<&GroupKey> {
        self.sessions.last()
    }

    /// Forgets the one that ends first.
    pub(super) fn forget_first(&mut self) {
        if let Some(session) = self.sessions.pop_first() {
            self.bytes -= bytes_of(&session);
        }
    }

    /// Those behind `after`, in order.
    pub(super) fn behind(&self, after: Option<&GroupKey>) -> impl Iterator<Item = &GroupKey> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.sessions.range::<GroupKey, _>((from, Bound::Unbounded))
    }
}

#[cfg(test)]
mod tests;
