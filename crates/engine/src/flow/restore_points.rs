//! Which checkpoints are kept. Pure.

use std::collections::VecDeque;

use millstream_core::Epoch;

/// The checkpoints that the last rounds of a flow began with: each, with all that follow it, is what a flow can be restored from.
#[derive(Debug)]
pub struct RestorePoints {
    kept: usize,
    full: VecDeque<Epoch>,
}

impl RestorePoints {
    /// So many are to be `kept`.
    #[must_use]
    pub fn new(kept: u64) -> Self {
        Self { kept: usize::try_from(kept).unwrap_or(usize::MAX), full: VecDeque::new() }
    }

    /// A checkpoint that is committed builds upon that of `epoch`. Epochs never fall.
    pub fn add(&mut self, epoch: Epoch) {
        if self.full.back() == Some(&epoch) {
            return;
        }
        self.full.push_back(epoch);
        if self.full.len() > self.kept {
            self.full.pop_front();
        }
    }

    /// The checkpoints before this epoch can go; `None`: as far as is known, all are needed.
    #[must_use]
    pub fn keep_from(&self) -> Option<Epoch> {
        (self.full.len() >= self.kept).then(|| self.full.front().copied()).flatten()
    }
}

#[cfg(test)]
mod tests;
