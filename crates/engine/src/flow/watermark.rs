//! The watermark: how far event time is known to have come. Pure.
//!
//! It is the minimum over the source's partitions of the greatest event time seen in each, less the delay; a partition that is idle is left
//! out. It never goes back. (Spark takes the maximum over partitions, and so calls late what a slow partition brings in order.)

use millstream_core::EventTime;
use serde::{Deserialize, Serialize};

/// Follows event time over the partitions of a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatermarkTracker {
    delay_micros: i64,
    /// The greatest event time of each partition; `None` where none was seen.
    greatest: Vec<Option<i64>>,
    current: Option<i64>,
    #[serde(skip)]
    idle: Vec<bool>,
}

impl WatermarkTracker {
    /// For `partitions` partitions and a delay in microseconds.
    #[must_use]
    pub fn new(partitions: usize, delay_micros: i64) -> Self {
        Self { delay_micros, greatest: vec![None; partitions], current: None, idle: vec![false; partitions] }
    }

    /// The watermark; `None` until every partition that isn't idle has brought an event.
    #[must_use]
    pub fn current(&self) -> Option<EventTime> {
        self.current.map(EventTime)
    }

    /// An event of `partition` happened at `event_time`. Partitions beyond those known are added.
    pub fn observe(&mut self, partition: usize, event_time: EventTime) {
        self.grow(partition + 1);
        let was_idle = std::mem::take(&mut self.idle[partition]);
        let before = self.greatest[partition];
        if before.is_some_and(|g| g >= event_time.0) {
            return;
        }
        self.greatest[partition] = Some(event_time.0);
        // The watermark is never behind the least of the busy partitions: one that was ahead of it doesn't hold it back. That goes for nearly all events.
        let was_ahead = || before.zip(self.current).is_some_and(|(g, current)| g.saturating_sub(self.delay_micros) > current);
        if was_idle || !was_ahead() {
            self.advance();
        }
    }

    /// Says which partitions are idle: read to their end, and silent for long enough.
    pub fn set_idle(&mut self, idle: &[bool]) {
        self.grow(idle.len());
        self.idle.iter_mut().zip(idle).for_each(|(mine, now)| *mine = *now);
        self.advance();
    }

    /// There are `partitions` partitions now, and each that was known has the number that `moved` gives for its own. The new ones have brought no event: they
    /// hold the watermark where it is until they do, or are idle.
    pub fn renumber(&mut self, partitions: usize, moved: impl Fn(usize) -> usize) {
        let known = std::mem::take(&mut self.greatest);
        self.idle.clear();
        self.grow(partitions);
        for (partition, greatest) in known.into_iter().enumerate() {
            let partition = moved(partition);
            self.grow(partition + 1);
            self.greatest[partition] = greatest;
        }
    }

    fn grow(&mut self, partitions: usize) {
        if partitions <= self.greatest.len().min(self.idle.len()) {
            return;
        }
        let partitions = partitions.max(self.greatest.len());
        self.greatest.resize(partitions, None);
        self.idle.resize(partitions, false);
    }

    fn advance(&mut self) {
        let mut busy = self.greatest.iter().zip(&self.idle).filter(|(_, idle)| !**idle).map(|(g, _)| *g).peekable();
        let least = if busy.peek().is_some() {
            // `None` is less than every `Some`: a partition without events holds the watermark back.
            busy.min().flatten()
        } else {
            self.greatest.iter().flatten().min().copied()
        };
        self.current = self.current.max(least.map(|g| g.saturating_sub(self.delay_micros)));
    }
}

#[cfg(test)]
mod tests;
