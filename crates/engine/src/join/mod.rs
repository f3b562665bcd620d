//! The join of two streams: rows of each side are kept, as columns, until the watermark says that nothing can match them any more.
//!
//! Rows match when their keys are equal and their event times near each other, within bounds that the query gives. A row that is not behind the
//! watermark when it comes finds all rows that match it and came before: a row leaves only when every row
//! that could match it would be late. So the pairs that come out are those of the rows that were in time, whatever the epochs are; and a row of
//! an outer side that has matched nothing comes out alone, once, when it leaves. See docs/adr/0017.
//!
//! Rows that there is no memory for go to disk (docs/adr/0021). What comes out, and in which order, does not depend on where rows are.

mod columns;
mod half;
mod side;

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch, RecordBatchOptions, UInt8Array, UInt32Array};
use arrow::datatypes::SchemaRef;
use datafusion::common::JoinType;
use millstream_core::{ChangeKind, Error, EventTime, Result, RowPosition, Version};
use millstream_pipeline::graph::Side;

use crate::compile::{self, JoinStage, Rejects, Rows, Step};
use crate::spill::{Size, SpillArea, bytes_of};
use half::Half;
pub use side::Leaving;
use side::{NONE, SideMark};

/// A join of two streams, with the rows that it keeps.
pub struct StreamJoin {
    kind: JoinType,
    condition: Vec<Step>,
    after: Vec<Step>,
    least_us: i64,
    greatest_us: i64,
    window_side: Option<Side>,
    /// The columns of both sides.
    pair: SchemaRef,
    /// The columns that come out, before the steps.
    output: SchemaRef,
    left: Half,
    right: Half,
    /// The slots that each row of the last advance was made of.
    origins: Vec<(u32, u32)>,
    limits: Limits,
    /// For so many new rows at a time, rows are brought back from disk.
    portion: u32,
}

/// What is brought back from disk at a time takes as many bytes as the join may have in memory, but no fewer than these, and no more.
const RECALLED_BYTES_LEAST: usize = 1 << 20;
const RECALLED_BYTES_MOST: usize = 32 << 20;

/// What an epoch is held to: of one key, it has as many pairs as rows of the one side times rows of the other.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// So many pairs are looked at together.
    pairs_at_once: usize,
    /// So many rows of pairs can come out of an epoch.
    rows_max: usize,
    /// So many bytes of rows are brought back from disk at a time, if one new row doesn't look for more.
    recalled_bytes_max: usize,
    /// So many bytes of rows that have matched nothing come out at a time.
    emitted_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { pairs_at_once: 65_536, rows_max: 1 << 24, recalled_bytes_max: RECALLED_BYTES_MOST, emitted_bytes_max: usize::MAX }
    }
}

/// How far the rows that a join keeps are written. The default: none is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JoinMark {
    is_in_right: bool,
    in_side: SideMark,
}

/// What has come out of an epoch so far.
#[derive(Default)]
struct Done {
    /// The rows, after the steps.
    rows: Vec<Rows>,
    failed: Rejects,
}

/// Rows of one side that came, none of them late.
pub struct Arrived {
    /// Their columns.
    pub rows: RecordBatch,
    /// Where each was made of.
    pub events: Vec<(RowPosition, Version)>,
}

/// What rows did.
pub struct Joined {
    /// The joined rows, after the steps. What their origins mean, [`StreamJoin::completed_by`] says.
    pub rows: Rows,
    /// Joined rows that could not be computed, by their origins, and why.
    pub failed: Rejects,
    /// The rows of each side that were added or matched: the checkpoint's delta.
    pub delta: Vec<RecordBatch>,
}

impl StreamJoin {
    /// Without rows.
    pub fn new(stage: JoinStage) -> Result<Self> {
        let JoinStage { sides: [left, right], kind, condition, least_us, greatest_us, null_equals_null, window_side, pair, after } = stage;
        let spread_us = greatest_us.saturating_sub(least_us);
        let outer = |side: Side| match side {
            Side::Left => matches!(kind, JoinType::Left | JoinType::Full),
            Side::Right => matches!(kind, JoinType::Right | JoinType::Full),
        };
        let left = Half::new(left, spread_us, greatest_us, outer(Side::Left), null_equals_null)?;
        let right = Half::new(right, spread_us, least_us.saturating_neg(), outer(Side::Right), null_equals_null)?;
        let output = if kind == JoinType::LeftSemi { Arc::new(pair.project(&(0..left.width).collect::<Vec<_>>())?) } else { pair.clone() };
        let (origins, limits, portion) = (Vec::new(), Limits::default(), u32::MAX);
        Ok(Self { kind, condition, after, least_us, greatest_us, window_side, pair, output, left, right, origins, limits, portion })
    }

    /// The steps that join reference data.
    pub fn steps_mut(&mut self) -> impl Iterator<Item = &mut Step> {
        self.after.iter_mut()
    }

    /// About what the kept rows take.
    #[must_use]
    pub fn size(&self) -> Size {
        self.left.state.size().plus(self.right.state.size())
    }

    /// Puts rows into files, until about `bytes_max` bytes are in memory, as far as that can be: of each side the same share. When it fails, nothing is
    /// lost, and it can be asked again.
    pub fn spill(&mut self, area: &SpillArea, bytes_max: usize) -> Result<()> {
        self.limits.recalled_bytes_max = bytes_max.clamp(RECALLED_BYTES_LEAST, RECALLED_BYTES_MOST);
        let all = self.size();
        for half in [&mut self.left, &mut self.right] {
            let bytes_max = half.state.size().share(all, bytes_max);
            half.state.spill(area, bytes_max, &half.columns)?;
        }
        Ok(())
    }

    /// A part of the kept rows, by side: about `bytes_max` of what is behind `mark`, and the mark behind it; without one, all is written.
    pub fn part(&self, mark: &JoinMark, bytes_max: usize) -> Result<(Vec<RecordBatch>, Option<JoinMark>)> {
        let mut parts = self.nothing();
        let (mut from, mut left) = (mark.in_side.clone(), bytes_max);
        for (half, (part, is_right)) in [&self.left, &self.right].into_iter().zip(parts.iter_mut().zip([false, true])) {
            if mark.is_in_right && !is_right {
                continue;
            }
            let (rows, next) = half.state.part(&from, left, &half.columns)?;
            left = left.saturating_sub(bytes_of(&rows));
            *part = rows;
            if let Some(in_side) = next {
                return Ok((parts, Some(JoinMark { is_in_right: is_right, in_side })));
            }
            from = SideMark::default();
        }
        Ok((parts, None))
    }

    /// No rows that came, of both sides.
    #[must_use]
    pub fn nothing_arrived(&self) -> (Arrived, Arrived) {
        let nothing = |half: &Half| Arrived { rows: RecordBatch::new_empty(half.state.schema().clone()), events: Vec::new() };
        (nothing(&self.left), nothing(&self.right))
    }

    /// No rows, by side.
    #[must_use]
    pub fn nothing(&self) -> Vec<RecordBatch> {
        vec![self.left.state.nothing(), self.right.state.nothing()]
    }

    /// Puts back rows that a checkpoint stored, by side; a later state of a row replaces an earlier one.
    pub fn restore(&mut self, left: &RecordBatch, right: &RecordBatch) -> Result<()> {
        self.left.state.restore(left, &self.left.columns)?;
        self.right.state.restore(right, &self.right.columns)
    }

    /// Stored rows of a side, with the numbers that `moved` has for the partitions of their events.
    pub fn renumbered(stored: &RecordBatch, moved: impl Fn(usize) -> usize) -> Result<RecordBatch> {
        side::renumbered(stored, |partition| {
            let moved = usize::try_from(partition).ok().and_then(|partition| i32::try_from(moved(partition)).ok());
            moved.unwrap_or(partition)
        })
    }

    /// Lets go of the rows that nothing can match any more behind `watermark`, and of those that came out alone then: those that are still to come out stay, as
    /// [`emitted`](Self::emitted) said.
    pub fn drop_passed(&mut self, watermark: EventTime, emitted: [Option<Leaving>; 2]) {
        let [left, right] = emitted;
        self.left.drop_passed(watermark, left);
        self.right.drop_passed(watermark, right);
    }

    /// From now on, of rows that have matched nothing about `bytes_max` bytes come out of one [`advance`](Self::advance).
    pub fn bound_emission(&mut self, bytes_max: usize) {
        self.limits.emitted_bytes_max = bytes_max;
    }

    /// Of each side the first row that is still to come out, where not all have that the watermark has passed.
    #[must_use]
    pub fn emitted(&self) -> [Option<Leaving>; 2] {
        [self.left.emitted(), self.right.emitted()]
    }

    /// The watermark of the rows that come out, for the windows above: no row comes out any more whose time on that side is before it.
    #[must_use]
    pub fn watermark_above(&self, watermark: EventTime) -> EventTime {
        let emitted = [&self.left, &self.right].into_iter().filter_map(Half::emitted_watermark).min();
        let watermark = emitted.map_or(watermark, |emitted| emitted.min(watermark));
        let reach_us = match self.window_side {
            Some(Side::Right) => self.right.reach_us,
            _ => self.left.reach_us,
        };
        EventTime(watermark.0.saturating_sub(reach_us.max(0)))
    }

    /// Joins rows that came, none of them late, with those that are kept and with one another, and keeps them. Then lets go of what nothing can match
    /// any more behind `watermark`: of rows that come out then, as many bytes as [there may be](Self::bound_emission). Of kind [`InvalidInput`](millstream_core::ErrorKind::InvalidInput) when more rows come out than one epoch can
    /// have.
    pub fn advance(&mut self, left: Arrived, right: Arrived, watermark: Option<EventTime>) -> Result<Joined> {
        for (half, arrived) in [(&mut self.left, left), (&mut self.right, right)] {
            half.state.tidy(&half.columns)?;
            half.state.begin_epoch();
            half.add(arrived)?;
        }
        self.origins.clear();
        let mut done = Done::default();
        self.join_pairs(&mut done)?;
        for alone in self.alone(watermark)?.chunks(self.limits.pairs_at_once) {
            let rows = inserts(self.rows_of(alone)?, self.origins.len());
            self.origins.extend(alone);
            self.finish(rows, &mut done)?;
        }
        self.left.release()?;
        self.right.release()?;
        let delta = vec![self.left.state.delta()?, self.right.state.delta()?];
        Ok(Joined { rows: Rows::concat(&done.rows)?, failed: done.failed, delta })
    }

    /// Joins the pairs of slots with equal keys and times near each other, of which at least one is new; each once. Only some are looked at at a
    /// time.
    fn join_pairs(&mut self, done: &mut Done) -> Result<()> {
        let mut pairs = Vec::new();
        for side in [Side::Left, Side::Right] {
            let mut new = self.half(side).state.new_slots();
            while !new.is_empty() {
                let end = self.recall(side, &new)?;
                for slot in new.start..end {
                    self.candidates(side, slot, &mut pairs);
                    if pairs.len() >= self.limits.pairs_at_once {
                        for some in pairs.chunks(self.limits.pairs_at_once) {
                            self.join_some(some, done)?;
                        }
                        pairs.clear();
                    }
                }
                if self.half(opposite(side)).state.has_guests() {
                    self.join_some(&pairs, done)?;
                    pairs.clear();
                    self.half_mut(opposite(side)).release()?;
                }
                new.start = end;
            }
        }
        self.join_some(&pairs, done)
    }

    fn half(&self, side: Side) -> &Half {
        match side {
            Side::Left => &self.left,
            Side::Right => &self.right,
        }
    }

    fn half_mut(&mut self, side: Side) -> &mut Half {
        match side {
            Side::Left => &mut self.left,
            Side::Right => &mut self.right,
        }
    }

    /// Brings back from disk what the first of the `new` slots of a side look for, as many of them as there is memory for. Returns the first slot that is left.
    fn recall(&mut self, side: Side, new: &Range<u32>) -> Result<u32> {
        if !self.half(opposite(side)).state.has_runs() {
            return Ok(new.end);
        }
        loop {
            let end = new.start.saturating_add(self.portion).min(new.end);
            let mut prefixes = Vec::new();
            for slot in (new.start..end).filter(|slot| self.half(side).state.is_live(*slot)) {
                let own = &self.half(side).state;
                self.half(opposite(side)).state.prefixes(own.key(slot), self.times_near(side, own.slot(slot).time), &mut prefixes);
            }
            let portion = end - new.start;
            let bytes_max = if portion > 1 { self.limits.recalled_bytes_max } else { usize::MAX };
            match self.half_mut(opposite(side)).recall(prefixes, bytes_max)? {
                None => self.portion = (portion / 2).max(1),
                Some(bytes) => {
                    if bytes < bytes_max / 4 {
                        self.portion = self.portion.saturating_mul(2);
                    }
                    return Ok(end);
                }
            }
        }
    }

    /// Between which times rows of the other side can match one of `side` whose time is `time`.
    fn times_near(&self, side: Side, time: i64) -> (i64, i64) {
        let (least, greatest) = match side {
            Side::Left => (self.least_us, self.greatest_us),
            Side::Right => (self.greatest_us.saturating_neg(), self.least_us.saturating_neg()),
        };
        (time.saturating_add(least), time.saturating_add(greatest))
    }

    /// Adds to `pairs` those of a new slot: of one on the right, with earlier ones on the left.
    fn candidates(&self, side: Side, slot: u32, pairs: &mut Vec<(u32, u32)>) {
        let (left, right) = (&self.left.state, &self.right.state);
        let first = pairs.len();
        match side {
            Side::Left if left.is_live(slot) => {
                let times = self.times_near(side, left.slot(slot).time);
                right.find(left.key(slot), times, &(0..0), |other| pairs.push((slot, other)));
                if !right.is_in_order() {
                    pairs[first..].sort_unstable_by_key(|(_, other)| right.place_among_found(*other));
                }
            }
            Side::Right if right.is_live(slot) => {
                let times = self.times_near(side, right.slot(slot).time);
                left.find(right.key(slot), times, &left.new_slots(), |other| pairs.push((other, slot)));
                if !left.is_in_order() {
                    pairs[first..].sort_unstable_by_key(|(other, _)| left.place_among_found(*other));
                }
            }
            _ => {}
        }
    }

    /// Joins those of the candidates for which the condition is true.
    fn join_some(&mut self, pairs: &[(u32, u32)], done: &mut Done) -> Result<()> {
        let mut failed = Rejects::new();
        let matching = compile::run(&self.condition, inserts(self.rows_of(pairs)?, 0), &mut failed)?;
        let matching = self.note(pairs, matching)?;
        let first = self.origins.len();
        self.origins.extend(matching.origin.values().iter().map(|at| pairs[*at as usize]));
        for (at, why) in failed {
            done.failed.push((count(self.origins.len()), why));
            self.origins.push(pairs[at as usize]);
        }
        if self.origins.len() > self.limits.rows_max {
            return Err(Error::invalid(format!(
                "the events of one epoch join to over {} rows, too many to be written at once: lower engine.epoch_rows_max, join on more columns, or bring the bounds of the join nearer together",
                self.limits.rows_max
            )));
        }
        self.finish(Rows { origin: rising(first, matching.len()), ..matching }, done)
    }

    /// Does the steps behind the join.
    fn finish(&self, rows: Rows, done: &mut Done) -> Result<()> {
        let rows = compile::run(&self.after, rows, &mut done.failed)?;
        if done.rows.is_empty() || !rows.is_empty() {
            done.rows.push(rows);
        }
        Ok(())
    }

    /// The columns of both sides of these pairs.
    fn rows_of(&self, pairs: &[(u32, u32)]) -> Result<RecordBatch> {
        let (left, right): (Vec<u32>, Vec<u32>) = pairs.iter().copied().unzip();
        let mut columns = self.left.gather(&left)?;
        columns.extend(self.right.gather(&right)?);
        let options = RecordBatchOptions::new().with_row_count(Some(pairs.len()));
        Ok(RecordBatch::try_new_with_options(self.pair.clone(), columns, &options)?)
    }

    /// Notes which rows have matched, as places among `pairs`. Of a semi join, what comes out is each row of the left side when it matches first.
    fn note(&mut self, pairs: &[(u32, u32)], matching: Rows) -> Result<Rows> {
        let pairs = matching.origin.values().iter().map(|at| pairs[*at as usize]);
        if self.kind == JoinType::LeftSemi {
            let first: BooleanArray = pairs.map(|(left, _)| Some(self.left.state.set_matched(left))).collect();
            let rows = matching.filter(&first)?;
            let columns: Vec<usize> = (0..self.output.fields().len()).collect();
            return Ok(Rows { batch: rows.batch.project(&columns)?, ..rows });
        }
        for (left, right) in pairs {
            if self.left.outer {
                self.left.state.set_matched(left);
            }
            if self.right.outer {
                self.right.state.set_matched(right);
            }
        }
        Ok(matching)
    }

    /// Lets go of what the watermark has passed; returns the rows that come out alone: those of outer sides that matched nothing, and those that
    /// can't.
    fn alone(&mut self, watermark: Option<EventTime>) -> Result<Vec<(u32, u32)>> {
        let mut room = self.limits.emitted_bytes_max;
        let (left, right) = (self.left.leaving(watermark, &mut room)?, self.right.leaving(watermark, &mut room)?);
        Ok(left.into_iter().map(|slot| (slot, NONE)).chain(right.into_iter().map(|slot| (NONE, slot))).collect())
    }

    /// The event that completed the row of this origin in the last [`advance`](Self::advance): of a pair, the one that comes later in the merged
    /// order of the sources.
    #[must_use]
    pub fn completed_by(&self, origin: u32) -> (RowPosition, Version) {
        let (left, right) = self.origins.get(origin as usize).copied().unwrap_or((NONE, NONE));
        let event = |half: &Half, slot: u32| (slot != NONE).then(|| (half.state.slot(slot).version, half.state.slot(slot).position));
        let later = event(&self.left, left).max(event(&self.right, right));
        later.map_or((RowPosition { partition: -1, offset: -1 }, Version::MIN), |(version, position)| (position, version))
    }
}

fn opposite(side: Side) -> Side {
    match side {
        Side::Left => Side::Right,
        Side::Right => Side::Left,
    }
}

/// `batch` as inserts whose origins rise from `first`.
fn inserts(batch: RecordBatch, first: usize) -> Rows {
    let n = batch.num_rows();
    Rows { batch, origin: rising(first, n), kinds: UInt8Array::from_value(ChangeKind::Insert.code(), n) }
}

/// `n` origins from `first` on.
fn rising(first: usize, n: usize) -> UInt32Array {
    UInt32Array::from_iter_values(count(first)..count(first.saturating_add(n)))
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
