//! The join of two streams: rows of each side are kept, as columns, until the watermark says that nothing can match them any more.
//!
//! Rows match when their keys are equal and their event times near each other, within bounds that the query gives. A row that is not behind the
//! watermark when it comes finds all rows that match it and came before: a row leaves only when every row
//! that could match it would be late. So the pairs that come out are those of the rows that were in time, whatever the epochs are; and a row of
//! an outer side that has matched nothing comes out alone, once, when it leaves. See docs/adr/0017.

mod side;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, UInt8Array, UInt32Array};
use arrow::datatypes::{Schema, SchemaRef, TimestampMicrosecondType};
use arrow::row::{RowConverter, SortField};
use datafusion::common::JoinType;
use datafusion::physical_expr::PhysicalExpr;
use millstream_core::floats::normalized;
use millstream_core::{ChangeKind, Error, EventTime, Result, RowPosition, Version};
use millstream_pipeline::graph::Side;

use crate::compile::{self, JoinStage, Rejects, Rows, Step};
use side::{Arrival, Keyed, NONE, SideState};

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
}

/// What an epoch is held to: of one key, it has as many pairs as rows of the one side times rows of the other.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// So many pairs are looked at together.
    pairs_at_once: usize,
    /// So many rows of pairs can come out of an epoch.
    rows_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { pairs_at_once: 65_536, rows_max: 1 << 24 }
    }
}

/// What has come out of an epoch so far.
#[derive(Default)]
struct Done {
    /// The rows, after the steps.
    rows: Vec<Rows>,
    failed: Rejects,
}

/// A side with what is known of its rows beforehand.
struct Half {
    state: SideState,
    keys: Vec<Arc<dyn PhysicalExpr>>,
    converter: RowConverter,
    null_keys_match: bool,
    /// How many of the columns come out; those behind them are only keys.
    width: usize,
    time: usize,
    /// A row matches nothing that comes when the watermark is so many microseconds behind its time.
    reach_us: i64,
    /// Whether its rows come out when they match nothing.
    outer: bool,
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

impl Half {
    fn keyed(&self, rows: RecordBatch) -> Result<Keyed> {
        let n = rows.num_rows();
        let evaluate = |key: &Arc<dyn PhysicalExpr>| {
            let values = key.evaluate(&rows).and_then(|value| value.into_array(n)).map_err(compile::plan_error)?;
            Ok(normalized(&values))
        };
        let columns = self.keys.iter().map(evaluate).collect::<Result<Vec<ArrayRef>>>()?;
        let usable = (0..n).map(|row| self.null_keys_match || columns.iter().all(|c| c.is_valid(row))).collect();
        let keys = self.converter.convert_columns(&columns)?;
        Ok(Keyed { rows, keys, usable })
    }

    fn times(&self, rows: &RecordBatch) -> Result<Vec<Option<i64>>> {
        let times = rows.column(self.time).as_primitive_opt::<TimestampMicrosecondType>();
        let times = times.ok_or_else(|| Error::internal("the event time of a join's side is not a TIMESTAMP"))?;
        Ok((0..times.len()).map(|row| times.is_valid(row).then(|| times.value(row))).collect())
    }

    /// Adds rows that came.
    fn add(&mut self, arrived: Arrived) -> Result<()> {
        let times = self.times(&arrived.rows)?;
        let arrivals = arrived.events.into_iter().zip(times).map(|((position, version), time)| Arrival { position, version, time });
        let arrivals: Vec<Arrival> = arrivals.collect();
        let keyed = self.keyed(arrived.rows)?;
        self.state.add(keyed, &arrivals);
        Ok(())
    }

    fn restore(&mut self, stored: &RecordBatch) -> Result<()> {
        let mut state = std::mem::replace(&mut self.state, SideState::new(Arc::new(Schema::empty()), 1));
        let restored = state.restore(stored, |rows| {
            let times = self.times(&rows)?;
            Ok((self.keyed(rows)?, times))
        });
        self.state = state;
        restored
    }

    fn tidy(&mut self) -> Result<()> {
        let mut state = std::mem::replace(&mut self.state, SideState::new(Arc::new(Schema::empty()), 1));
        let tidied = state.tidy(|rows| self.keyed(rows));
        self.state = state;
        tidied
    }

    /// The columns of these slots that come out.
    fn gather(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        self.state.gather(slots, self.width)
    }

    /// The rows of this epoch that can match nothing.
    fn matchless(&self) -> Vec<u32> {
        (self.state.new_from()..self.state.end()).filter(|slot| !self.state.is_live(*slot)).collect()
    }

    /// Lets go of the rows that nothing can match any more behind `watermark`; returns those that have to come out alone.
    fn expire(&mut self, watermark: EventTime) -> Vec<u32> {
        let (mut alone, outer) = (Vec::new(), self.outer);
        self.state.expire(watermark.0.saturating_sub(self.reach_us), |slot, known| {
            if outer && !known.matched {
                alone.push(slot);
            }
        });
        alone
    }
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
        let half = |side: compile::JoinSide, reach_us: i64, outer: bool| -> Result<Half> {
            let types = side.keys.iter().map(|key| Ok(SortField::new(key.data_type(&side.schema).map_err(compile::plan_error)?)));
            Ok(Half {
                converter: RowConverter::new(types.collect::<Result<Vec<_>>>()?)?,
                state: SideState::new(side.schema, spread_us),
                keys: side.keys,
                null_keys_match: null_equals_null,
                width: side.width,
                time: side.time,
                reach_us,
                outer,
            })
        };
        let left = half(left, greatest_us, outer(Side::Left))?;
        let right = half(right, least_us.saturating_neg(), outer(Side::Right))?;
        let output = if kind == JoinType::LeftSemi { Arc::new(pair.project(&(0..left.width).collect::<Vec<_>>())?) } else { pair.clone() };
        let (origins, limits) = (Vec::new(), Limits::default());
        Ok(Self { kind, condition, after, least_us, greatest_us, window_side, pair, output, left, right, origins, limits })
    }

    /// The steps that join reference data.
    pub fn steps_mut(&mut self) -> impl Iterator<Item = &mut Step> {
        self.after.iter_mut()
    }

    /// About how much memory the kept rows take, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.left.state.bytes() + self.right.state.bytes()
    }

    /// The kept rows, by side: what a full checkpoint stores.
    pub fn snapshot(&self) -> Result<Vec<RecordBatch>> {
        [&self.left, &self.right].into_iter().map(|half| half.state.snapshot()).collect()
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
        self.left.restore(left)?;
        self.right.restore(right)
    }

    /// Lets go of the rows that nothing can match any more behind `watermark`, and of those that came out alone then.
    pub fn drop_passed(&mut self, watermark: EventTime) {
        self.left.expire(watermark);
        self.right.expire(watermark);
    }

    /// The watermark of the rows that come out, for the windows above: no row comes out any more whose time on that side is before it.
    #[must_use]
    pub fn watermark_above(&self, watermark: EventTime) -> EventTime {
        let reach_us = match self.window_side {
            Some(Side::Right) => self.right.reach_us,
            _ => self.left.reach_us,
        };
        EventTime(watermark.0.saturating_sub(reach_us.max(0)))
    }

    /// Joins rows that came, none of them late, with those that are kept and with one another, and keeps them. Then lets go of what nothing can match
    /// any more behind `watermark`. Of kind [`InvalidInput`](millstream_core::ErrorKind::InvalidInput) when more rows come out than one epoch can
    /// have.
    pub fn advance(&mut self, left: Arrived, right: Arrived, watermark: Option<EventTime>) -> Result<Joined> {
        self.left.tidy()?;
        self.right.tidy()?;
        self.left.state.begin_epoch();
        self.right.state.begin_epoch();
        self.left.add(left)?;
        self.right.add(right)?;
        self.origins.clear();
        let mut done = Done::default();
        self.join_pairs(&mut done)?;
        for alone in self.alone(watermark).chunks(self.limits.pairs_at_once) {
            let rows = inserts(self.rows_of(alone)?, self.origins.len());
            self.origins.extend(alone);
            self.finish(rows, &mut done)?;
        }
        let delta = vec![self.left.state.delta()?, self.right.state.delta()?];
        Ok(Joined { rows: Rows::concat(&done.rows)?, failed: done.failed, delta })
    }

    /// Joins the pairs of slots with equal keys and times near each other, of which at least one is new; each once. Only some are looked at at a
    /// time.
    fn join_pairs(&mut self, done: &mut Done) -> Result<()> {
        let mut pairs = Vec::new();
        let new = |half: &Half| half.state.new_from()..half.state.end();
        let (left, right) = (new(&self.left), new(&self.right));
        for (side, slot) in left.map(|slot| (Side::Left, slot)).chain(right.map(|slot| (Side::Right, slot))) {
            self.candidates(side, slot, &mut pairs);
            if pairs.len() >= self.limits.pairs_at_once {
                for some in pairs.chunks(self.limits.pairs_at_once) {
                    self.join_some(some, done)?;
                }
                pairs.clear();
            }
        }
        self.join_some(&pairs, done)
    }

    /// Adds to `pairs` those of a new slot: of one on the right, with earlier ones on the left.
    fn candidates(&self, side: Side, slot: u32, pairs: &mut Vec<(u32, u32)>) {
        let (left, right) = (&self.left.state, &self.right.state);
        let near = |time: i64, least: i64, greatest: i64| (time.saturating_add(least), time.saturating_add(greatest));
        match side {
            Side::Left if left.is_live(slot) => {
                let times = near(left.slot(slot).time, self.least_us, self.greatest_us);
                right.find(left.key(slot), times, right.end(), |other| pairs.push((slot, other)));
            }
            Side::Right if right.is_live(slot) => {
                let times = near(right.slot(slot).time, self.greatest_us.saturating_neg(), self.least_us.saturating_neg());
                left.find(right.key(slot), times, left.new_from(), |other| pairs.push((other, slot)));
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
    fn alone(&mut self, watermark: Option<EventTime>) -> Vec<(u32, u32)> {
        let leaving = |half: &mut Half| {
            let mut slots = if half.outer { half.matchless() } else { Vec::new() };
            slots.extend(watermark.map(|watermark| half.expire(watermark)).unwrap_or_default());
            slots
        };
        let (left, right) = (leaving(&mut self.left), leaving(&mut self.right));
        left.into_iter().map(|slot| (slot, NONE)).chain(right.into_iter().map(|slot| (NONE, slot))).collect()
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
