//! When all of the state is written, and how much of it in one checkpoint. Pure.
//!
//! A *round* writes each group of the windows and each row of a join once, part by part, a part in each epoch's checkpoint beside the epoch's delta. So a full
//! checkpoint is never in memory as a whole, and no epoch waits for it. Whoever reads the checkpoints from a round's first to any one after its last
//! has the newest state of each: it is in a delta since the round began, or was written as it was. A checkpoint names as its base the first
//! epoch of the last round that is whole; state that fits into one part makes a round of one epoch, which is a full checkpoint.

use millstream_core::Epoch;

use super::state::StateMark;

/// A round begins at least so many epochs after the one before it.
const EPOCHS_MIN: u64 = 64;

/// A part has at most so many bytes, or this part of the state, so that no round takes much longer than that number of epochs.
const PART_BYTES_MAX: u64 = 4 << 20;
const PARTS_MAX: u64 = 256;

/// A part takes at most one in so many of the bytes that all state may take in memory.
const PARTS_IN_MEMORY: u64 = 16;

/// Which rounds a flow has written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rounds {
    /// The first epoch of the last whole one.
    base: Option<Epoch>,
    /// The one that is being written: its first epoch, and how far it is.
    under_way: Option<(Epoch, StateMark)>,
    /// The next one begins at once.
    is_due: bool,
}

/// What the checkpoint of an epoch has of the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// What the epoch changed.
    Delta {
        /// What it builds upon.
        base: Epoch,
    },
    /// That and a part of a round.
    Part {
        /// The round's first epoch.
        first: Epoch,
        /// Where the part begins.
        mark: StateMark,
        /// What the checkpoint builds upon, until the round is whole. `None`: there is nothing, the round has to be whole at once.
        base: Option<Epoch>,
    },
}

impl Rounds {
    /// Of a flow whose state is in the checkpoints from `base` on.
    pub(super) fn restored(base: Epoch) -> Self {
        Self { base: Some(base), under_way: None, is_due: true }
    }

    /// What the checkpoint of `epoch` has.
    pub(super) fn content(&self, epoch: Epoch) -> Content {
        match (&self.under_way, self.base) {
            (Some((first, mark)), base) => Content::Part { first: *first, mark: mark.clone(), base },
            (None, Some(base)) if !self.is_due && epoch.0.saturating_sub(base.0) < EPOCHS_MIN => Content::Delta { base },
            (None, base) => Content::Part { first: epoch, mark: StateMark::default(), base },
        }
    }

    /// When a part of the round that began at `first` is written, up to `next`; without one the round is whole.
    pub(super) fn after_part(&self, first: Epoch, next: Option<StateMark>) -> Self {
        match next {
            None => Self { base: Some(first), under_way: None, is_due: false },
            Some(next) => Self { base: self.base, under_way: Some((first, next)), is_due: false },
        }
    }
}

/// How many bytes a part has at most, of state that takes `state` bytes, where all may take `memory` bytes in memory.
pub(super) fn part_bytes(state: u64, memory: usize) -> usize {
    let in_memory = (memory as u64 / PARTS_IN_MEMORY).max(1);
    usize::try_from(PART_BYTES_MAX.min(in_memory).max(state / PARTS_MAX)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
