//! A side of a join with what is known of its rows beforehand.

use arrow::array::ArrayRef;
use millstream_core::{EventTime, Result};

use super::Arrived;
use super::columns::MatchColumns;
use super::side::{Leaving, SideState};
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
    /// Whether rows are still to come out that the watermark has passed.
    is_behind: bool,
}

impl Half {
    /// Without rows. `spread_us` is how far apart the times of its rows can be that match the same row.
    pub(super) fn new(side: JoinSide, spread_us: i64, reach_us: i64, outer: bool, null_keys_match: bool) -> Result<Self> {
        let columns = MatchColumns::of(&side, null_keys_match)?;
        Ok(Self { state: SideState::new(side.schema, spread_us, outer), columns, width: side.width, reach_us, outer, is_behind: false })
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

    /// Lets go of the rows that nothing can match any more behind `watermark`, but for those that are still to come out: from `emitted` on, where that is
    /// given.
    pub(super) fn drop_passed(&mut self, watermark: EventTime, emitted: Option<Leaving>) {
        let emitted = emitted.filter(|_| self.outer);
        let place = emitted.unwrap_or((self.passed_by(watermark), i64::MIN));
        self.state.expire(place, |_, _, _| false);
        self.state.pass(place);
        self.is_behind = emitted.is_some();
    }

    /// The place of the first row that is still to come out, where not all have that the watermark has passed.
    pub(super) fn emitted(&self) -> Option<Leaving> {
        self.is_behind.then(|| self.state.passed())
    }

    /// The watermark behind which all have come out, where that is not the one there is.
    pub(super) fn emitted_watermark(&self) -> Option<EventTime> {
        self.emitted().map(|(time, _)| EventTime(time.saturating_add(self.reach_us)))
    }

    /// The same as [`drop_passed`](Self::drop_passed); returns those that have to come out alone, about as many bytes as there is `room` for, and those of this
    /// epoch that can match nothing. What there is no room for comes out in the epochs that follow.
    pub(super) fn leaving(&mut self, watermark: Option<EventTime>, room: &mut usize) -> Result<Vec<u32>> {
        let mut matchless = Vec::new();
        if self.outer {
            matchless.extend(self.state.new_slots().filter(|slot| !self.state.is_live(*slot)));
        }
        let Some(time) = watermark.map(|watermark| self.passed_by(watermark)) else { return Ok(matchless) };
        let until = (time, i64::MIN);
        if !self.outer {
            self.state.expire(until, |_, _, _| false);
            self.state.pass(until);
            return Ok(matchless);
        }
        // A row of this epoch may stand where others have left before: those wait for nothing, so that all before one place have left.
        let (mut alone, mut bytes) = (Vec::new(), 0_usize);
        self.state.expire(self.state.passed().min(until), |slot, known, row_bytes| {
            if !known.matched {
                alone.push(slot);
                bytes = bytes.saturating_add(row_bytes);
            }
            false
        });
        let left = room.saturating_sub(bytes);
        if left == 0 {
            self.is_behind |= self.state.passed() < until;
            *room = 0;
            matchless.extend(alone);
            return Ok(matchless);
        }
        let (from_runs, bytes_of_runs, read) = self.state.recall_leaving(time, left, &self.columns)?;
        let passed = self.state.expire(read, |slot, known, row_bytes| {
            if !known.matched {
                alone.push(slot);
                bytes = bytes.saturating_add(row_bytes);
            }
            bytes >= *room
        });
        if !from_runs.is_empty() {
            alone.extend(from_runs.filter(|slot| self.state.place_among_leaving(*slot) < passed));
            alone.sort_unstable_by_key(|slot| self.state.place_among_leaving(*slot));
        }
        self.state.pass(passed);
        self.is_behind = passed < until;
        *room = room.saturating_sub(bytes.saturating_add(bytes_of_runs));
        matchless.extend(alone);
        Ok(matchless)
    }
}
