//! The windowed aggregation: per-epoch partial aggregates, merged into keyed state that is kept as columns of partial results.
//!
//! In each epoch, rows are grouped and aggregated from scratch (vectorized, by DataFusion's group accumulators); the partial results
//! of the groups that occurred are merged with the state they had, and the merged rows are the epoch's *delta*: what the checkpoint
//! stores and what `update` mode evaluates. A window whose end the watermark has reached is closed: its groups leave the state, and `append`
//! mode evaluates them then. Nothing is allocated per row; state is one entry a group.
//!
//! Where windows overlap, rows are aggregated once for each *pane* (the rows of a group that share all their open windows), and the panes'
//! partial results are merged into each of these windows.

mod fixed;
mod functions;
mod state;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::{filter, filter_record_batch, take, take_record_batch};
use arrow::datatypes::{SchemaRef, TimestampMicrosecondType, UInt32Type};
use millstream_core::time::micros_of;
use millstream_core::{Error, EventTime, Result};
use millstream_pipeline::graph::{FixedWindows, OutputMode, WindowKind};
use millstream_pipeline::window_column;

use crate::compile::Aggregation;
use fixed::RowWindows;
use functions::{Functions, Grouped};
pub use state::GroupKey;
use state::GroupState;

/// The aggregation of one flow, with its state.
pub struct WindowAggregator {
    plan: Aggregation,
    functions: Functions,
    state: GroupState,
}

/// A row that came behind the watermark of at least one of its windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LateRow {
    /// Its number among the rows that were given.
    pub row: usize,
    /// The end of the last window that it missed.
    pub window_end: EventTime,
    /// The watermark that it came behind.
    pub watermark: EventTime,
    /// Whether other windows took it.
    pub is_in_others: bool,
}

/// What rows did to the state.
pub struct Advanced {
    /// The rows that are now due, as the aggregation's output columns.
    pub due: RecordBatch,
    /// The state rows that changed and are still open: the checkpoint's delta.
    pub delta: RecordBatch,
    /// The rows that came too late.
    pub late: Vec<LateRow>,
}

/// The ends of the windows in a column of window structs; null for a null window.
pub fn window_ends(window: &ArrayRef) -> Result<Vec<Option<i64>>> {
    let structs = window.as_struct_opt().ok_or_else(|| Error::internal("a window is not a struct"))?;
    let ends = structs.column_by_name("end").ok_or_else(|| Error::internal("a window has no end"))?;
    let ends = ends.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(|| Error::internal("a window's end is not a TIMESTAMP"))?;
    Ok((0..ends.len()).map(|i| (structs.is_valid(i) && ends.is_valid(i)).then(|| ends.value(i))).collect())
}

fn required(end: Option<i64>) -> Result<i64> {
    end.ok_or_else(|| Error::internal("a row without a window reached the state"))
}

impl WindowAggregator {
    /// An aggregation without state. `input` are the columns that the step before it gives.
    pub fn new(plan: Aggregation, input: &SchemaRef) -> Result<Self> {
        let functions = Functions::new(&plan, input)?;
        let state = GroupState::new(functions.state_schema().clone());
        Ok(Self { plan, functions, state })
    }

    /// The column of the window among the input's columns.
    #[must_use]
    pub fn window_column(&self) -> usize {
        self.plan.window
    }

    /// The columns of the state: groups, then partial results.
    #[must_use]
    pub fn state_schema(&self) -> &SchemaRef {
        self.functions.state_schema()
    }

    /// About how much memory the state takes, in bytes.
    #[must_use]
    pub fn state_bytes(&self) -> usize {
        self.state.bytes()
    }

    /// How many groups are open.
    #[must_use]
    pub fn open_groups(&self) -> usize {
        self.state.len()
    }

    /// The whole state: what a full checkpoint stores.
    pub fn snapshot(&self) -> Result<RecordBatch> {
        self.state.all()
    }

    /// The results of the windows whose end `only` picks, as the aggregation's output columns.
    pub fn results(&self, only: impl Fn(EventTime) -> bool) -> Result<RecordBatch> {
        let states = self.state.all()?;
        let ends = window_ends(states.column(self.plan.window))?;
        let picked: BooleanArray = ends.iter().map(|end| Some(end.is_some_and(|e| only(EventTime(e))))).collect();
        self.functions.evaluate(&filter_record_batch(&states, &picked)?)
    }

    /// Puts back state rows that a checkpoint stored; a later row of a group replaces an earlier one.
    pub fn restore(&mut self, rows: RecordBatch) -> Result<()> {
        let keys = self.keys(&rows)?;
        self.state.put(keys, rows)
    }

    /// Forgets the windows that the watermark has reached: for deltas that were stored before they closed.
    pub fn drop_closed(&mut self, watermark: Option<EventTime>) -> Result<()> {
        if let Some(watermark) = watermark {
            self.state.close(watermark)?;
        }
        Ok(())
    }

    /// The key of each row of `rows`, whose first columns are the groups.
    fn keys(&self, rows: &RecordBatch) -> Result<Vec<GroupKey>> {
        let ends = window_ends(rows.column(self.plan.window))?;
        let encoded = self.functions.encode(rows)?;
        encoded.iter().zip(ends).map(|(row, end)| Ok(GroupKey::new(EventTime(required(end)?), row.as_ref()))).collect()
    }

    /// Takes `rows`, each of which came at the watermark in `arrived` (as many): into those of its windows that were open then. Then closes the
    /// windows that `watermark` has reached.
    pub fn advance(&mut self, rows: &RecordBatch, arrived: &[Option<EventTime>], watermark: Option<EventTime>) -> Result<Advanced> {
        let (open, late) = self.place(rows, arrived)?;
        let merged = self.merge(rows, &open)?;
        let due_now = match self.plan.mode {
            OutputMode::Update => Some(self.functions.evaluate(&merged)?),
            OutputMode::Append => None,
        };
        let closed = watermark.map(|w| self.state.close(w)).transpose()?.flatten();
        let due = match (due_now, closed) {
            (Some(changed), _) => changed,
            (None, Some(closed)) => self.functions.evaluate(&closed)?,
            (None, None) => RecordBatch::new_empty(self.functions.output_schema().clone()),
        };
        let ends = window_ends(merged.column(self.plan.window))?;
        let open: BooleanArray = ends.iter().map(|end| Some(end.is_some_and(|e| watermark.is_none_or(|w| e > w.0)))).collect();
        let delta = filter_record_batch(&merged, &open)?;
        Ok(Advanced { due, delta, late })
    }

    /// For each row how many of its windows were open when it came, and the rows for which not all were.
    fn place(&self, rows: &RecordBatch, arrived: &[Option<EventTime>]) -> Result<(UInt32Array, Vec<LateRow>)> {
        let WindowKind::Fixed(windows) = self.plan.kind;
        let ends = window_ends(rows.column(self.plan.window))?;
        let times = self.times(rows)?;
        let mut open = Vec::with_capacity(rows.num_rows());
        let mut late = Vec::new();
        for (row, (end, watermark)) in ends.into_iter().zip(arrived).enumerate() {
            let end = required(end)?;
            let of_row = times.map_or_else(|| RowWindows::one(end), |times| RowWindows::of(&windows, times[row], end));
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
        let is_open: BooleanArray = open.values().iter().map(|n| Some(*n > 0)).collect();
        let (rows, open) = match is_open.true_count() {
            0 => return Ok(RecordBatch::new_empty(self.state_schema().clone())),
            n if n == rows.num_rows() => (rows.clone(), open.clone()),
            _ => (filter_record_batch(rows, &is_open)?, filter(open, &is_open)?.as_primitive::<UInt32Type>().clone()),
        };
        let WindowKind::Fixed(windows) = self.plan.kind;
        let (fresh, grouped) = if !windows.overlap() {
            let grouped = self.functions.group(&rows)?;
            let fresh = self.functions.accumulate(&rows, &grouped)?;
            let as_they_are = every(fresh.num_rows());
            (fresh, as_they_are)
        } else if self.plan.is_ordered() {
            // What depends on the order of rows is not the merged results of panes.
            let expanded = expand(&rows, self.plan.window, &open, &windows)?;
            let grouped = self.functions.group(&expanded)?;
            let fresh = self.functions.accumulate(&expanded, &grouped)?;
            let as_they_are = every(fresh.num_rows());
            (fresh, as_they_are)
        } else {
            let panes = {
                let encoded = self.functions.encode(&rows)?;
                functions::number(encoded.iter().map(|row| row.data()).zip(open.values()))
            };
            let fresh = self.functions.accumulate(&rows, &panes)?;
            let open_of_pane = take(&open, &panes.first_rows, None)?;
            let expanded = expand(&fresh, self.plan.window, open_of_pane.as_primitive(), &windows)?;
            let grouped = self.functions.group(&expanded)?;
            (expanded, grouped)
        };
        let keys = self.keys(&take_record_batch(&fresh, &grouped.first_rows)?)?;
        let (known, known_groups) = self.state.gather(&keys)?;
        let alone = known_groups.is_empty() && grouped.first_rows.len() == fresh.num_rows();
        let merged = if alone { fresh } else { self.functions.merge(&known, &known_groups, &fresh, &grouped)? };
        self.state.put(keys, merged.clone())?;
        Ok(merged)
    }
}

/// `n` rows, each a group of its own.
fn every(n: usize) -> Grouped {
    let first_rows = UInt32Array::from_iter_values(0..u32::try_from(n).unwrap_or(u32::MAX));
    Grouped { of_row: (0..n).collect(), first_rows }
}

/// Each of `rows`, whose column `window` is the last of its windows, once for each of its last `open` windows.
fn expand(rows: &RecordBatch, window: usize, open: &UInt32Array, windows: &FixedWindows) -> Result<RecordBatch> {
    let (size, slide) = (micros_of(windows.size), micros_of(windows.slide));
    let total = open.values().iter().map(|n| *n as usize).sum();
    let (mut indices, mut starts, mut ends) = (Vec::with_capacity(total), Vec::with_capacity(total), Vec::with_capacity(total));
    let last = window_ends(rows.column(window))?;
    for ((row, n), end) in (0..).zip(open.values()).zip(last) {
        let end = required(end)?;
        for before in 0..i64::from(*n) {
            indices.push(row);
            ends.push(end - before * slide);
            starts.push(end - before * slide - size);
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
