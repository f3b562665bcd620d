//! The windows of a time, where windows have one length and begin at equal distances. Pure.

use millstream_core::EventTime;
use millstream_core::time::micros_of;
use millstream_pipeline::graph::FixedWindows;

/// The windows that hold one row, by the last of them: each begins a slide before the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RowWindows {
    last_end: i64,
    slide: i64,
    count: u32,
}

impl RowWindows {
    /// The one window of a row, where windows don't overlap.
    pub(super) fn one(end: i64) -> Self {
        Self { last_end: end, slide: 0, count: 1 }
    }

    /// The windows that hold `time`, of which the last one ends at `last_end`.
    pub(super) fn of(windows: &FixedWindows, time: i64, last_end: i64) -> Self {
        let slide = micros_of(windows.slide);
        // They end after the time.
        let count = last_end.saturating_sub(time).saturating_sub(1) / slide + 1;
        Self { last_end, slide, count: u32::try_from(count).unwrap_or(u32::MAX) }
    }

    /// How many end after `watermark`. They are the last ones.
    pub(super) fn open_at(&self, watermark: Option<EventTime>) -> u32 {
        let Some(EventTime(watermark)) = watermark else { return self.count };
        if self.last_end <= watermark {
            return 0;
        }
        // Mostly not even the first one is closed, which needs no division.
        let first_end = self.last_end.saturating_sub(i64::from(self.count.saturating_sub(1)).saturating_mul(self.slide));
        if self.slide == 0 || first_end > watermark {
            return self.count;
        }
        let open = self.last_end.saturating_sub(watermark).saturating_sub(1) / self.slide + 1;
        u32::try_from(open).map_or(self.count, |open| open.min(self.count))
    }

    /// The end of the last closed window, where all but `open` are closed; `None` if none is.
    pub(super) fn last_closed(&self, open: u32) -> Option<EventTime> {
        (open < self.count).then(|| EventTime(self.last_end - i64::from(open) * self.slide))
    }
}

#[cfg(test)]
mod tests;
