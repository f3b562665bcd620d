//! Windows of one length at equal distances, tumbling or overlapping.
//!
//! Where windows overlap, rows are aggregated once for each *pane* (the rows of a group that share all their open windows), and the panes'
//! partial results are merged into each of these windows.

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{filter, filter_record_batch, take};
use arrow::datatypes::{SchemaRef, TimestampMicrosecondType, UInt32Type};
use millstream_core::time::micros_of;
use millstream_core::{Error, EventTime, Result};
use millstream_pipeline::graph::{FixedWindows, OutputMode};
use millstream_pipeline::window_column;

use super::functions::Functions;
use super::grouping::{Grouper, every};
use super::placement::RowWindows;
use super::state::{Emitted, GroupKey, GroupState};
use super::{Advanced, Arrivals, Bounds, LateRow, Mark};
use crate::compile::Aggregation;
use crate::spill::{Size, SpillArea};

/// An aggregation over such windows, with its state.
pub(super) struct FixedAggregator {
    plan: Aggregation,
    /// Which windows there are, where they overlap: a row brings the last one.
    overlapping: Option<FixedWindows>,
    functions: Functions,
    /// The group columns that tell groups of windows with the same end apart.
    key_columns: Vec<usize>,
    keys: Grouper,
    state: GroupState,
    /// About so many bytes of closed windows come out at a time.
    emitted_bytes_max: usize,
}

impl FixedAggregator {
    /// Without state. `input` are the columns that the step before it gives.
    pub(super) fn new(plan: Aggregation, windows: FixedWindows, input: &SchemaRef) -> Result<Self> {
        // A window's end says which window it is.
        let key_columns = (0..plan.groups).filter(|column| *column != plan.window).collect();
        Self::keyed(plan, Some(windows).filter(FixedWindows::overlap), key_columns, input)
    }

    /// Where each row brings its one window, whatever that is.
    pub(super) fn of_given_windows(plan: Aggregation, input: &SchemaRef) -> Result<Self> {
        let key_columns = (0..plan.groups).collect();
        Self::keyed(plan, None, key_columns, input)
    }

    fn keyed(plan: Aggregation, overlapping: Option<FixedWindows>, key_columns: Vec<usize>, input: &SchemaRef) -> Result<Self> {
        let functions = Functions::new(&plan, input)?;
        let keys = Grouper::new(&key_columns.iter().map(|column| input.field(*column).clone()).collect::<Vec<_>>())?;
        let state = GroupState::new(functions.state_schema().clone());
        Ok(Self { plan, overlapping, functions, key_columns, keys, state, emitted_bytes_max: usize::MAX })
    }

    /// The columns of the state: groups, then partial results.
    pub(super) fn state_schema(&self) -> &SchemaRef {
        self.functions.state_schema()
    }

    /// About what the state takes.
    pub(super) fn size(&self) -> Size {
        Size { memory: self.state.bytes(), pinned: self.state.pinned_bytes(), disk: self.state.disk_bytes() }
    }

    /// See [`GroupState::spill`].
    pub(super) fn spill(&mut self, area: &SpillArea, bytes_max: usize) -> Result<()> {
        self.state.spill(area, bytes_max)
    }

    /// A part of the state, of about `bytes_max`: what is behind `mark`, and the mark behind it; without, all is written.
    pub(super) fn part(&self, mark: &Mark, bytes_max: usize) -> Result<(RecordBatch, Option<Mark>)> {
        let (rows, last) = self.state.part(mark.after.as_ref(), bytes_max)?;
        Ok((rows, last.map(|last| Mark { after: Some(last), ..Mark::default() })))
    }

    /// The results of the windows whose end `only` picks, as the aggregation's output columns.
    pub(super) fn results(&self, only: impl Fn(EventTime) -> bool) -> Result<RecordBatch> {
        let states = self.state.all()?;
        let ends = Bounds::ends(states.column(self.plan.window))?;
        let picked: BooleanArray = ends.iter().map(|end| Some(end.is_some_and(|e| only(EventTime(e))))).collect();
        self.functions.evaluate(&filter_record_batch(&states, &picked)?)
    }

    /// Puts back state rows that a checkpoint stored; a later row of a group replaces an earlier one.
    pub(super) fn restore(&mut self, rows: RecordBatch) -> Result<()> {
        let keys = self.keys(&rows)?;
        self.state.restore(keys, &rows)
    }

    /// Forgets the windows that the watermark has reached: for deltas that were stored before they closed. Of `emitted`, what is behind is still to come out.
    pub(super) fn drop_closed(&mut self, watermark: Option<EventTime>, emitted: Option<RecordBatch>) -> Result<()> {
        let Some(watermark) = watermark else { return Ok(()) };
        let emitted = match emitted {
            Some(row) => self.keys(&row)?.pop().map(|key| Emitted { key, row }),
            None => None,
        };
        self.state.forget(watermark, emitted)
    }

    /// From now on, about so many bytes of closed windows come out at a time.
    pub(super) fn bound_emission(&mut self, bytes_max: usize) {
        self.emitted_bytes_max = bytes_max;
    }

    /// The last group that has come out of closed windows, where others are still to come out.
    pub(super) fn emitted(&self) -> Option<&Emitted> {
        self.state.emitted()
    }

    /// The key of each row of `rows`, whose first columns are the groups.
    fn keys(&self, rows: &RecordBatch) -> Result<Vec<GroupKey>> {
        self.keys_of(&rows.columns()[..self.plan.groups])
    }

    /// The keys of groups, by their columns.
    fn keys_of(&self, groups: &[ArrayRef]) -> Result<Vec<GroupKey>> {
        let ends = Bounds::ends(&groups[self.plan.window])?;
        let ends = ends.all()?.iter().map(|end| EventTime(*end));
        if self.key_columns.is_empty() {
            return Ok(ends.map(|end| GroupKey::new(end, &[])).collect());
        }
        let encoded = self.keys.encode(&self.key_columns.iter().map(|column| groups[*column].clone()).collect::<Vec<_>>())?;
        Ok(encoded.iter().zip(ends).map(|(row, end)| GroupKey::new(end, row.as_ref())).collect())
    }

    pub(super) fn advance(&mut self, rows: &RecordBatch, arrivals: &Arrivals, watermark: Option<EventTime>) -> Result<Advanced> {
        let (open, late) = self.place(rows, &arrivals.watermarks)?;
        let merged = self.merge(rows, &open)?;
        let due = match self.plan.mode {
            OutputMode::Update => {
                let changed = self.functions.evaluate(&merged)?;
                self.drop_closed(watermark, None)?;
                changed
            }
            OutputMode::Append => match watermark.map(|w| self.state.close(w, self.emitted_bytes_max)).transpose()?.flatten() {
                Some((_, closed)) => self.functions.evaluate(&closed)?,
                None => RecordBatch::new_empty(self.functions.output_schema().clone()),
            },
        };
        let ends = Bounds::ends(merged.column(self.plan.window))?;
        // What is closed and still to come out is kept as if it were open.
        let waits = match self.state.emitted() {
            Some(last) => self.keys(&merged)?.iter().map(|key| *key > last.key).collect(),
            None => Vec::new(),
        };
        let is_open = |(row, end): (usize, Option<i64>)| {
            end.is_some_and(|e| watermark.is_none_or(|w| e > w.0)) || waits.get(row).copied().unwrap_or_default()
        };
        let open: BooleanArray = ends.iter().enumerate().map(|at| Some(is_open(at))).collect();
        let delta = filter_record_batch(&merged, &open)?;
        Ok(Advanced { due, delta, late })
    }

    /// For each row how many of its windows were open when it came, and the rows for which not all were.
    fn place(&self, rows: &RecordBatch, arrived: &[Option<EventTime>]) -> Result<(UInt32Array, Vec<LateRow>)> {
        let ends = Bounds::ends(rows.column(self.plan.window))?;
        let times = self.times(rows)?;
        let mut open = Vec::with_capacity(rows.num_rows());
        let mut late = Vec::new();
        for (row, (end, watermark)) in ends.all()?.iter().zip(arrived).enumerate() {
            let of_row = match (&self.overlapping, times) {
                (Some(windows), Some(times)) => RowWindows::of(windows, times[row], *end),
                _ => RowWindows::one(*end),
            };
            let n = of_row.open_at(*watermark);
            if let (Some(window_end), Some(watermark)) = (of_row.last_closed(n), *watermark) {
                late.push(LateRow { row, window_end, watermark, is_in_others: n > 0 });
            }
            open.push(n);
        }
        Ok((UInt32Array::from(open), late))
    }

    /// The event times of rows, where windows overlap.
    fn times<'a>(&self, rows: &'a RecordBatch) -> Result<Option<&'a [i64]>> {
        let Some(column) = self.plan.time else { return Ok(None) };
        let times = rows.column(column).as_primitive_opt::<TimestampMicrosecondType>();
        Ok(Some(times.ok_or_else(|| Error::internal("an event time is not a TIMESTAMP"))?.values()))
    }

    /// Aggregates `rows`, merges the result into the state and returns the state rows of the groups that occurred.
    fn merge(&mut self, rows: &RecordBatch, open: &UInt32Array) -> Result<RecordBatch> {
        let is_open = BooleanArray::from(BooleanBuffer::collect_bool(open.len(), |row| open.value(row) > 0));
        let (rows, open) = match is_open.true_count() {
            0 => return Ok(RecordBatch::new_empty(self.state_schema().clone())),
            n if n == rows.num_rows() => (rows.clone(), open.clone()),
            _ => (filter_record_batch(rows, &is_open)?, filter(open, &is_open)?.as_primitive::<UInt32Type>().clone()),
        };
        let (fresh, grouped) = match &self.overlapping {
            None => {
                let grouped = self.functions.group(&rows)?;
                let fresh = self.functions.accumulate(&rows, &grouped)?;
                let as_they_are = every(fresh.num_rows());
                (fresh, as_they_are)
            }
            // What depends on the order of rows is not the merged results of panes.
            Some(windows) if self.plan.is_ordered() => {
                let expanded = expand(&rows, self.plan.window, &open, windows)?;
                let grouped = self.functions.group(&expanded)?;
                let fresh = self.functions.accumulate(&expanded, &grouped)?;
                let as_they_are = every(fresh.num_rows());
                (fresh, as_they_are)
            }
            Some(windows) => {
                let panes = self.functions.group_with(&rows, &open)?;
                let fresh = self.functions.accumulate(&rows, &panes)?;
                let open_of_pane = take(&open, &panes.first_rows, None)?;
                let expanded = expand(&fresh, self.plan.window, open_of_pane.as_primitive(), windows)?;
                let grouped = self.functions.group(&expanded)?;
                (expanded, grouped)
            }
        };
        let groups = fresh.columns()[..self.plan.groups].iter();
        let groups: Vec<ArrayRef> = match grouped.first_rows.len() {
            all if all == fresh.num_rows() => groups.cloned().collect(),
            _ => groups.map(|column| take(column, &grouped.first_rows, None)).collect::<std::result::Result<_, _>>()?,
        };
        let keys = self.keys_of(&groups)?;
        let functions = &self.functions;
        self.state.update(keys, |known, known_groups| {
            let alone = known_groups.is_empty() && grouped.first_rows.len() == fresh.num_rows();
            if alone { Ok(fresh) } else { functions.merge(&known, &known_groups, &fresh, &grouped) }
        })
    }
}

/// Each of `rows`, whose column `window` is the last of its windows, once for each of its last `open` windows.
fn expand(rows: &RecordBatch, window: usize, open: &UInt32Array, windows: &FixedWindows) -> Result<RecordBatch> {
    let (size, slide) = (micros_of(windows.size), micros_of(windows.slide));
    let total = open.values().iter().map(|n| *n as usize).sum();
    let (mut indices, mut starts, mut ends) = (Vec::with_capacity(total), Vec::with_capacity(total), Vec::with_capacity(total));
    let last = Bounds::ends(rows.column(window))?;
    for ((row, n), end) in (0..).zip(open.values()).zip(last.all()?) {
        for before in 0..i64::from(*n) {
            indices.push(row);
            let end = *end - before * slide;
            ends.push(end);
            // The first times that there can be are in windows that would begin before them.
            starts.push(end.saturating_sub(size));
        }
    }
    let indices = UInt32Array::from(indices);
    let mut columns = Vec::with_capacity(rows.num_columns());
    for (i, column) in rows.columns().iter().enumerate() {
        columns.push(if i == window {
            window_column(std::mem::take(&mut starts), std::mem::take(&mut ends), None)
        } else {
            take(column, &indices, None)?
        });
    }
    Ok(RecordBatch::try_new(rows.schema(), columns)?)
}

#[cfg(test)]
mod tests;
