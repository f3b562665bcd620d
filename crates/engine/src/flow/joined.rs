//! One chunk of two streams through a flow that joins them. Decides everything, does no I/O.

use std::collections::HashSet;

use arrow::array::{Array, AsArray, BooleanArray};
use arrow::datatypes::TimestampMicrosecondType;
use millstream_core::{ChangeBatch, Error, EventTime, Result, RowPosition, Timestamp, Version};

use super::keys::{KeyColumn, Suspects};
use super::process::{Late, Lateness, Processed, Processor, Rejected, no_key_of_group};
use super::siblings;
use super::watermark::WatermarkTracker;
use crate::compile::{self, JoinSide, Rejects, Rows, Step};
use crate::join::{Arrived, Joined, StreamJoin};
use crate::source::Chunk;
use crate::window::{Arrivals, Bounds};

/// What a side of a join of streams does with its rows before they are kept.
pub(super) struct SideProgram {
    /// Which of the flow's sources it reads.
    pub(super) source: usize,
    pub(super) inputs: Vec<String>,
    pub(super) before: Vec<Step>,
    /// The column of the event time, after the steps.
    pub(super) time: usize,
    pub(super) watermark_column: String,
    pub(super) watermark_delay_us: i64,
}

impl SideProgram {
    /// Takes out of `side` what is done before rows are kept.
    pub(super) fn of(side: &mut JoinSide) -> Self {
        Self {
            source: side.source,
            inputs: std::mem::take(&mut side.inputs),
            before: std::mem::take(&mut side.before),
            time: side.time,
            watermark_column: std::mem::take(&mut side.watermark_column),
            watermark_delay_us: side.watermark_delay_us,
        }
    }
}

/// What a chunk has that no row comes of: each event once.
#[derive(Default)]
struct Aside {
    rejected: Vec<Rejected>,
    rejected_events: HashSet<RowPosition>,
    late: Vec<Late>,
    late_events: HashSet<RowPosition>,
}

impl Aside {
    fn reject(&mut self, (position, version): (RowPosition, Version), reason: String) {
        if self.rejected_events.insert(position) {
            self.rejected.push((position, Timestamp(version.0), reason));
        }
    }

    fn late(&mut self, late: Late) {
        if self.late_events.insert(late.position) {
            self.late.push(late);
        }
    }
}

impl Processor {
    /// Runs a chunk of two streams through the join and what is above it.
    pub(super) fn process_joined(&mut self, chunk: &Chunk, now: Timestamp) -> Result<Processed> {
        let before = self.observe_streams(chunk)?;
        let mut aside = Aside::default();
        let left = self.arrived(0, chunk, &before, &mut aside)?;
        let right = self.arrived(1, chunk, &before, &mut aside)?;
        let watermark = match self.lateness {
            Lateness::ByWatermark => self.watermark.as_ref().and_then(WatermarkTracker::current),
            Lateness::Exactly(_) | Lateness::AsBefore { .. } => None,
        };
        self.advance_join((left, right), watermark, watermark, now, aside)
    }

    /// The next part of what the watermark has passed.
    pub(super) fn go_on_joined(&mut self, now: Timestamp) -> Result<Processed> {
        let watermark = self.watermark.as_ref().and_then(WatermarkTracker::current);
        let Some(join) = &self.state.join else { return Err(Error::internal("a flow of one stream was asked to join")) };
        let arrived = join.nothing_arrived();
        self.advance_join(arrived, watermark, watermark, now, Aside::default())
    }

    /// What comes out of a join when the watermark is known to have come to `watermark` in the end; windows above it stay open. For a processor
    /// that lets go of nothing; to be asked once.
    pub fn settle(&mut self, watermark: Option<EventTime>) -> Result<Option<ChangeBatch>> {
        let Some(join) = &self.state.join else { return Ok(None) };
        let arrived = join.nothing_arrived();
        Ok(Some(self.advance_join(arrived, watermark, None, Timestamp(0), Aside::default())?.changes))
    }

    /// Joins what has arrived on both sides. `watermark` says which rows of the join leave, `closing` which windows above it are closed.
    fn advance_join(
        &mut self,
        (left, right): (Arrived, Arrived),
        watermark: Option<EventTime>,
        closing: Option<EventTime>,
        now: Timestamp,
        mut aside: Aside,
    ) -> Result<Processed> {
        let Some(join) = &mut self.state.join else { return Err(Error::internal("a flow of one stream was asked to join")) };
        let Joined { rows, failed, mut delta } =
            join.advance(left, right, watermark).map_err(|e| e.context(format!("flow {}", self.flow)))?;
        let mut rejects = failed;
        // Where rows are still to come out, windows wait for them.
        let closing = self.state.watermark_of_windows(closing);
        let rows = match &mut self.state.stages {
            None => rows,
            Some(stages) => {
                let ends = Bounds::ends(rows.batch.column(stages.window_column()))?;
                let rows = if ends.are_all_there() {
                    rows
                } else {
                    let keep: BooleanArray = (0..rows.len()).map(|row| Some(ends.is_there(row))).collect();
                    let without = (0..rows.len()).filter(|row| !ends.is_there(*row));
                    rejects.extend(without.map(|row| (rows.origin.value(row), stages.why_in_none().to_owned())));
                    rows.filter(&keep)?
                };
                let rows = without_keyless_groups(rows, &self.key_groups, &mut rejects)?;
                let advanced = stages
                    .advance(&rows.batch, &Arrivals::in_time(rows.len()), closing)
                    .map_err(|e| e.context(format!("flow {}", self.flow)))?;
                delta.extend(advanced.delta);
                if let Some(join) = &self.state.join {
                    blame(join, std::mem::take(&mut rejects), &mut aside);
                }
                advanced.due
            }
        };
        let rows = match self.state.stages {
            None => self.writable(self.without_keyless(rows, &mut rejects)?, &mut rejects)?,
            Some(_) => rows,
        };
        if let Some(join) = &self.state.join {
            blame(join, rejects, &mut aside);
        }
        let changes = self.changes(rows, None, now, &mut Rejects::new())?;
        Ok(Processed { changes, rejected: aside.rejected, late: aside.late, aggregated: 0, delta })
    }

    /// Rows of one side that came in time, after its steps.
    fn arrived(&self, number: usize, chunk: &Chunk, before: &[Vec<Option<EventTime>>], aside: &mut Aside) -> Result<Arrived> {
        let lost = || Error::internal(format!("flow {}: a chunk lacks the rows of one of its sources", self.flow));
        let side = self.sides.get(number).ok_or_else(lost)?;
        let changes = chunk.sources().nth(side.source).ok_or_else(lost)?;
        let first: usize = chunk.sources().take(side.source).map(ChangeBatch::len).sum();
        let rows = self.inputs(&side.inputs, changes, &chunk.directed, first)?;
        let mut rejects = Rejects::new();
        let rows = compile::run(&side.before, rows, &mut rejects)?;
        for (row, reason) in rejects {
            aside.reject((changes.position(row as usize), changes.version(row as usize)), reason);
        }
        let times = rows.batch.column(side.time).as_primitive_opt::<TimestampMicrosecondType>();
        let times = times.ok_or_else(|| Error::internal(format!("flow {}: an event time is not a TIMESTAMP", self.flow)))?;
        let marks = before.get(side.source).ok_or_else(lost)?;
        let mut keep = Vec::with_capacity(rows.len());
        let mut events = Vec::with_capacity(rows.len());
        for (row, origin) in rows.origin.values().iter().enumerate() {
            let at = *origin as usize;
            let (position, version) = (changes.position(at), changes.version(at));
            let event_time = times.is_valid(row).then(|| EventTime(times.value(row)));
            let behind = match &self.lateness {
                Lateness::ByWatermark => {
                    marks.get(at).copied().flatten().filter(|watermark| event_time.is_some_and(|time| time < *watermark))
                }
                Lateness::Exactly(late) | Lateness::AsBefore { late, .. } => late.get(&position).copied(),
            };
            keep.push(behind.is_none());
            match behind {
                None => events.push((position, version)),
                Some(watermark) => {
                    let event_time = event_time.unwrap_or(watermark);
                    aside.late(Late { position, version, event_time, window_end: event_time, watermark, is_in_others: false });
                }
            }
        }
        let rows = if events.len() == keep.len() { rows } else { rows.filter(&BooleanArray::from(keep))? };
        Ok(Arrived { rows: rows.batch, events })
    }

    /// Shows the watermark the event times of all streams in their merged order; returns, for each source, the watermark that each row came at.
    fn observe_streams(&mut self, chunk: &Chunk) -> Result<Vec<Vec<Option<EventTime>>>> {
        let Some(tracker) = &mut self.watermark else { return Err(Error::internal("a join of streams has no watermark")) };
        let mut times = Vec::new();
        for (source, changes) in chunk.sources().enumerate() {
            let side = self.sides.iter().find(|side| side.source == source);
            let side = side.ok_or_else(|| Error::internal("a source of a join is on none of its sides"))?;
            let column = changes.rows().column_by_name(&side.watermark_column);
            let column = column.and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
            let column =
                column.ok_or_else(|| Error::internal(format!("the watermark's column {} is no TIMESTAMP", side.watermark_column)))?;
            times.push((changes, column, side.watermark_delay_us));
        }
        let mut next = vec![0; times.len()];
        let mut before: Vec<Vec<Option<EventTime>>> = times.iter().map(|(changes, ..)| Vec::with_capacity(changes.len())).collect();
        loop {
            let head = |(source, row): (usize, &usize)| {
                let (changes, ..) = times[source];
                (*row < changes.len()).then(|| (changes.version(*row), changes.position(*row).partition, source))
            };
            let Some((_, partition, source)) = next.iter().enumerate().filter_map(head).min() else { return Ok(before) };
            let (_, column, delay_us) = times[source];
            let row = next[source];
            next[source] += 1;
            before[source].push(tracker.current());
            if column.is_valid(row) {
                tracker.observe(usize::try_from(partition).unwrap_or(0), EventTime(column.value(row).saturating_sub(delay_us)));
            }
        }
    }

    /// Joined rows that have a key; of the others, the events are rejected.
    fn without_keyless(&self, rows: Rows, rejects: &mut Rejects) -> Result<Rows> {
        let keyless = Suspects::of(&rows.batch, &self.key_columns).all();
        if keyless.is_empty() {
            return Ok(rows);
        }
        let wrong = keyless.iter().map(|(row, column)| {
            let name = self.program.output.field(*column).name();
            (rows.origin.value(*row), format!("key column {name} of a joined row is null or empty"))
        });
        let keep = siblings::without(&rows.origin, wrong.collect(), rejects);
        Ok(rows.filter(&keep)?)
    }
}

/// Rows whose groups can be a key of the table.
fn without_keyless_groups(rows: Rows, key_groups: &[KeyColumn], rejects: &mut Rejects) -> Result<Rows> {
    let keyless = Suspects::of(&rows.batch, key_groups).all();
    if keyless.is_empty() {
        return Ok(rows);
    }
    let mut keep = vec![true; rows.len()];
    for (row, column) in keyless {
        keep[row] = false;
        rejects.push((rows.origin.value(row), no_key_of_group(column)));
    }
    Ok(rows.filter(&BooleanArray::from(keep))?)
}

/// Puts aside the events that completed rows which could not be computed.
fn blame(join: &StreamJoin, rejects: Rejects, aside: &mut Aside) {
    for (origin, reason) in rejects {
        aside.reject(join.completed_by(origin), reason);
    }
}
