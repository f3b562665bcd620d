//! A side of a join with what is known of its rows beforehand.

use arrow::array::ArrayRef;
use millstream_core::{EventTime, Result};

use super::Arrived;
use super::columns::MatchColumns;
use super::side::SideState;
use crate::compile::JoinSide;
use crate::spill::Prefix;

/// A side.
pub(super) struct Half {
    pub(super) state: SideState,
    pub(super) columns: MatchColumns,
    /// How many of the columns come out; those behind them are only keys.
    pub(super) width: usize,
    /// A row matches nothing that comes when the watermark is so many microseconds behind its time.
    pub(super) reach_us: i64,
    /// Whether its rows come out when they match nothing.
    pub(super) outer: bool,
}

impl Half {
    /// Without rows. `spread_us` is how far apart the times of its rows can be that match the same row.
    pub(super) fn new(side: JoinSide, spread_us: i64, reach_us: i64, outer: bool, null_keys_match: bool) -> Result<Self> {
        let columns = MatchColumns::of(&side, null_keys_match)?;
        Ok(Self { state: SideState::new(side.schema, spread_us, outer), columns, width: side.width, reach_us, outer })
    }

    /// Adds rows that came.
    pub(super) fn add(&mut self, arrived: Arrived) -> Result<()> {
        self.state.add(self.columns.keyed(arrived.rows)?, &arrived.events);
        Ok(())
    }

    /// The columns of these slots that come out.
    pub(super) fn gather(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        self.state.gather(slots, self.width)
    }

    /// Brings rows back from disk that are looked for, for a while: see [`SideState::recall`].
    pub(super) fn recall(&mut self, prefixes: Vec<Prefix>, bytes_max: usize) -> Result<Option<usize>> {
        self.state.recall(prefixes, bytes_max, &self.columns)
    }

    /// Lets go of the rows that were brought back.
    pub(super) fn release(&mut self) -> Result<()> {
        self.state.release(&self.columns)
    }

    /// The time before which rows match nothing that comes when the watermark is at `watermark`.
    fn passed_by(&self, watermark: EventTime) -> i64 {
        watermark.0.saturating_sub(self.reach_us)
    }

    /// Lets go of the rows that nothing can match any more behind `watermark`.
    pub(super) fn drop_passed(&mut self, watermark: EventTime) {
        let time = self.passed_by(watermark);
        self.state.expire(time, |_, _| ());
        self.state.close_runs(time);
    }

    /// The same; returns those that have to come out alone, and those of this epoch that can match nothing.
    pub(super) fn leaving(&mut self, watermark: Option<EventTime>) -> Result<Vec<u32>> {
        let mut matchless = Vec::new();
        if self.outer {
            matchless.extend(self.state.new_slots().filter(|slot| !self.state.is_live(*slot)));
        }
        let Some(time) = watermark.map(|watermark| self.passed_by(watermark)) else { return Ok(matchless) };
        let (mut alone, outer) = (Vec::new(), self.outer);
        self.state.expire(time, |slot, known| {
            if outer && !known.matched {
                alone.push(slot);
            }
        });
        let from_runs = self.state.expire_runs(time, &self.columns)?;
        if !from_runs.is_empty() || !self.state.is_in_order() {
            alone.extend(from_runs);
            alone.sort_unstable_by_key(|slot| self.state.place_among_leaving(*slot));
        }
        matchless.extend(alone);
        Ok(matchless)
    }
}
