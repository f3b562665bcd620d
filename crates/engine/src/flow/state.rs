//! What a flow keeps from epoch to epoch: the rows of a join of streams, the windows, or both. Whoever stores, restores and measures it does not
//! know which.

use arrow::array::RecordBatch;
use millstream_core::{Error, EventTime, Result};
use millstream_pipeline::graph::WindowKind;

use super::emission::Emitted;
use crate::join::{JoinMark, Leaving, StreamJoin};
use crate::spill::{Size, SpillArea, bytes_of};
use crate::window::{Reach, Stages, StagesMark};

/// The state of a flow.
#[derive(Default)]
pub struct State {
    pub(super) join: Option<StreamJoin>,
    pub(super) stages: Option<Stages>,
}

/// How far state is written: the rows of a join, then the windows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateMark {
    /// Rows of a join.
    Join(JoinMark),
    /// All rows of a join are written, and windows.
    Windows(StagesMark),
}

impl Default for StateMark {
    /// Nothing is written.
    fn default() -> Self {
        Self::Join(JoinMark::default())
    }
}

impl State {
    /// Whether there is any.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.join.is_some() || self.stages.is_some()
    }

    fn size_of_join(&self) -> Size {
        self.join.as_ref().map(StreamJoin::size).unwrap_or_default()
    }

    fn size_of_windows(&self) -> Size {
        self.stages.as_ref().map(Stages::size).unwrap_or_default()
    }

    /// About what it takes.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size_of_join().plus(self.size_of_windows())
    }

    /// Puts state into files, until about `bytes_max` bytes are in memory, as far as that can be. When it fails, nothing is lost, and it can be
    /// asked again.
    pub fn spill(&mut self, area: &SpillArea, bytes_max: usize) -> Result<()> {
        let (of_join, of_windows) = (self.size_of_join(), self.size_of_windows());
        let all = of_join.plus(of_windows);
        if let Some(join) = &mut self.join {
            join.spill(area, of_join.share(all, bytes_max))?;
        }
        self.stages.as_mut().map_or(Ok(()), |stages| stages.spill(area, of_windows.share(all, bytes_max)))
    }

    /// What it consists of, for people.
    #[must_use]
    pub fn what(&self) -> &'static str {
        match (&self.join, &self.stages) {
            (Some(_), Some(_)) => "the rows that its join keeps and its open windows",
            (Some(_), None) => "the rows that its join keeps",
            _ => "its open windows",
        }
    }

    /// A part of it, by side of a join and by aggregation: about `bytes_max` of what is behind `mark`, and the mark behind it; without one, all is written.
    pub fn part(&self, mark: &StateMark, bytes_max: usize) -> Result<(Vec<RecordBatch>, Option<StateMark>)> {
        let mut parts = self.nothing();
        let mut left = bytes_max;
        let mut from = StagesMark::default();
        match (mark, &self.join) {
            (StateMark::Windows(mark), _) => from = mark.clone(),
            (StateMark::Join(_), None) => {}
            (StateMark::Join(mark), Some(join)) => {
                let (rows, next) = join.part(mark, left)?;
                left = left.saturating_sub(rows.iter().map(bytes_of).sum());
                for (part, rows) in parts.iter_mut().zip(rows) {
                    *part = rows;
                }
                if let Some(next) = next {
                    return Ok((parts, Some(StateMark::Join(next))));
                }
            }
        }
        let Some(stages) = &self.stages else { return Ok((parts, None)) };
        let (rows, next) = stages.part(&from, left)?;
        for (part, rows) in parts.iter_mut().rev().zip(rows.into_iter().rev()) {
            *part = rows;
        }
        Ok((parts, next.map(StateMark::Windows)))
    }

    /// A delta in which nothing has changed.
    #[must_use]
    pub fn nothing(&self) -> Vec<RecordBatch> {
        let mut rows = self.join.as_ref().map(StreamJoin::nothing).unwrap_or_default();
        rows.extend(self.stages.as_ref().map(Stages::nothing).unwrap_or_default());
        rows
    }

    /// Gives the rows of a join that a checkpoint stored the numbers that `moved` has for the partitions of their events.
    pub fn renumber(&self, stored: &mut [RecordBatch], moved: impl Fn(usize) -> usize) -> Result<()> {
        if let (Some(_), [left, right, ..]) = (&self.join, stored) {
            (*left, *right) = (StreamJoin::renumbered(left, &moved)?, StreamJoin::renumbered(right, &moved)?);
        }
        Ok(())
    }

    /// Puts back what a checkpoint stored; later rows replace earlier ones.
    pub fn restore(&mut self, mut stored: Vec<RecordBatch>) -> Result<()> {
        if let Some(join) = &mut self.join {
            if stored.len() < 2 {
                return Err(Error::corrupt("a checkpoint lacks the rows of a join's sides"));
            }
            let windows = stored.split_off(2);
            if let [left, right] = stored.as_slice() {
                join.restore(left, right)?;
            }
            stored = windows;
        }
        match &mut self.stages {
            Some(stages) => stages.restore(stored),
            None if stored.is_empty() => Ok(()),
            None => Err(Error::corrupt("a checkpoint has windows, and the flow has none")),
        }
    }

    /// Lets go of what the watermark has passed, without results: for deltas that were stored before. What is still to come out stays: of the sides of a join
    /// as `sides` says, of aggregations as `windows` does.
    pub fn drop_passed(
        &mut self,
        watermark: Option<EventTime>,
        sides: [Option<Leaving>; 2],
        windows: Vec<Option<RecordBatch>>,
    ) -> Result<()> {
        if let (Some(join), Some(watermark)) = (&mut self.join, watermark) {
            join.drop_passed(watermark, sides);
        }
        let of_windows = self.watermark_of_windows(watermark);
        self.stages.as_mut().map_or(Ok(()), |stages| stages.drop_closed(of_windows, windows))
    }

    /// From now on, of what the watermark passes about `bytes_max` bytes come out at a time, from each place where rows are kept.
    pub fn bound_emission(&mut self, bytes_max: usize) {
        if let Some(join) = &mut self.join {
            join.bound_emission(bytes_max);
        }
        if let Some(stages) = &mut self.stages {
            stages.bound_emission(bytes_max);
        }
    }

    /// Whether not all has come out yet that the watermark has passed.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.join.as_ref().is_some_and(|join| join.emitted() != [None, None]) || self.stages.as_ref().is_some_and(Stages::has_more)
    }

    /// How far what the watermark has passed has come out; `None`: all has.
    pub fn emitted(&self) -> Result<Option<Emitted>> {
        if !self.has_more() {
            return Ok(None);
        }
        let sides = self.join.as_ref().map(StreamJoin::emitted).unwrap_or_default();
        Emitted::of(sides, &self.stages.as_ref().map(Stages::emitted).transpose()?.unwrap_or_default()).map(Some)
    }

    /// The watermark that closes windows: over a join, rows come out whose times are behind its own. One of them may be at the very end of a
    /// session, and then is in it: so a session ends a microsecond before.
    #[must_use]
    pub fn watermark_of_windows(&self, watermark: Option<EventTime>) -> Option<EventTime> {
        match &self.join {
            Some(join) => watermark.map(|watermark| {
                let above = join.watermark_above(watermark);
                if self.makes_sessions() { EventTime(above.0.saturating_sub(1)) } else { above }
            }),
            None => watermark,
        }
    }

    /// Whether rows make sessions.
    #[must_use]
    pub fn makes_sessions(&self) -> bool {
        self.stages.as_ref().is_some_and(|stages| matches!(stages.kind(), WindowKind::Session { .. }))
    }

    /// How far back rows can reach that are not late, where only the rows say so.
    #[must_use]
    pub fn reach(&self) -> Option<Reach> {
        self.stages.as_ref().and_then(Stages::reach)
    }

    /// Puts [`reach`](Self::reach) back.
    pub fn set_reach(&mut self, reach: Reach) {
        if let Some(stages) = &mut self.stages {
            stages.set_reach(reach);
        }
    }
}
