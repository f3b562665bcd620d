//! Which partitions a flow has last seen records in, and since when the others are silent. Pure.

use std::time::Duration;

use millstream_core::Timestamp;

use crate::source::Chunk;

/// What a flow knows of its partitions' activity.
#[derive(Clone, Debug)]
pub(super) struct Activity {
    /// For each partition, when it was last seen with something to read.
    active: Vec<Timestamp>,
    /// For each partition, whether it is read to its end.
    at_end: Vec<bool>,
    /// When the source was looked at last.
    seen_at: Timestamp,
}

impl Activity {
    /// Of `partitions` that have not been looked at by `now`.
    pub(super) fn new(partitions: usize, now: Timestamp) -> Self {
        Self { active: vec![now; partitions], at_end: vec![false; partitions], seen_at: now }
    }

    /// Notes what `chunk` shows, which the flow has got `now`.
    pub(super) fn note(&mut self, chunk: &Chunk, now: Timestamp) {
        let moved = |p: usize| chunk.start.partitions.get(p) != chunk.end.partitions.get(p);
        let moved: Vec<bool> = (0..chunk.at_end.len()).map(moved).collect();
        self.look(&moved, &chunk.at_end, chunk.seen_at, now);
    }

    fn look(&mut self, moved: &[bool], at_end: &[bool], seen_at: Timestamp, now: Timestamp) {
        self.active.resize(at_end.len(), now);
        for ((active, moved), at_end) in self.active.iter_mut().zip(moved).zip(at_end) {
            if *moved || !*at_end {
                *active = now;
            }
        }
        self.at_end = at_end.to_vec();
        self.seen_at = seen_at;
    }

    /// Whether every partition was read to its end when it was looked at last.
    pub(super) fn is_at_end(&self) -> bool {
        !self.at_end.is_empty() && self.at_end.iter().all(|at_end| *at_end)
    }

    /// For each partition, whether it was idle at the last look: read to its end, and silent for `idle_after`.
    pub(super) fn idle(&self, idle_after: Duration) -> Vec<bool> {
        self.active.iter().zip(&self.at_end).map(|(active, at_end)| *at_end && active.plus(idle_after) <= self.seen_at).collect()
    }

    /// When the next partition will be idle that was not at the last look. It may have passed since then: who waits for it looks again at once.
    pub(super) fn next_idle(&self, idle_after: Duration) -> Option<Timestamp> {
        self.active.iter().map(|active| active.plus(idle_after)).filter(|at| *at > self.seen_at).min()
    }
}

#[cfg(test)]
mod tests;
