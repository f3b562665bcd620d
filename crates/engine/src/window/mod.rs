//! The windowed aggregation: per-epoch partial aggregates, merged into keyed state that is kept as columns of partial results.
//!
//! In each epoch, rows are grouped and aggregated from scratch (vectorized, by DataFusion's group accumulators); the partial results
//! of the groups that occurred are merged with the state they had, and the merged rows are the epoch's *delta*: what the checkpoint
//! stores and what `update` mode evaluates. A window whose end the watermark has reached is closed: its groups leave the state, and `append`
//! mode evaluates them then. Nothing is allocated per row; state is one entry a group.

mod state;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{Field, Schema, SchemaRef, TimestampMicrosecondType};
use arrow::row::{RowConverter, SortField};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::GroupsAccumulatorAdapter;
use millstream_core::{Error, EventTime, Result};
use millstream_pipeline::graph::OutputMode;

use crate::compile::{AggregateColumn, Aggregation};
pub use state::GroupKey;
use state::GroupState;

/// The aggregation of one flow, with its state.
pub struct WindowAggregator {
    plan: Aggregation,
    converter: RowConverter,
    state: GroupState,
    state_schema: SchemaRef,
    /// Where each function's partial results are among the state's columns.
    state_columns: Vec<std::ops::Range<usize>>,
}

/// What an epoch did to the state.
pub struct Advanced {
    /// The rows that are now due, as the aggregation's output columns.
    pub due: RecordBatch,
    /// The state rows that changed and are still open: the checkpoint's delta.
    pub delta: RecordBatch,
}

fn failed(error: DataFusionError) -> Error {
    Error::internal("an aggregate could not be computed").caused_by(error)
}

/// An aggregate whose state can't hold a value (an overflowing sum) stops its flow: no single row is to blame.
fn overflowed(error: DataFusionError) -> Error {
    Error::invalid("an aggregate could not take its rows").caused_by(error)
}

impl AggregateColumn {
    fn accumulator(&self) -> Result<Box<dyn GroupsAccumulator>> {
        if self.function.groups_accumulator_supported() {
            return self.function.create_groups_accumulator().map_err(failed);
        }
        let function = self.function.clone();
        Ok(Box::new(GroupsAccumulatorAdapter::new(move || function.create_accumulator())))
    }
}

/// The ends of the windows in a column of window structs; null for a null window.
pub fn window_ends(window: &ArrayRef) -> Result<Vec<Option<i64>>> {
    let structs = window.as_struct_opt().ok_or_else(|| Error::internal("a window is not a struct"))?;
    let ends = structs.column_by_name("end").ok_or_else(|| Error::internal("a window has no end"))?;
    let ends = ends.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(|| Error::internal("a window's end is not a TIMESTAMP"))?;
    Ok((0..ends.len()).map(|i| (structs.is_valid(i) && ends.is_valid(i)).then(|| ends.value(i))).collect())
}

impl WindowAggregator {
    /// An aggregation without state. `input` are the columns that the step before it gives.
    pub fn new(plan: Aggregation, input: &SchemaRef) -> Result<Self> {
        let group_fields: Vec<Field> = input.fields()[..plan.groups].iter().map(|f| Field::clone(f)).collect();
        let converter = RowConverter::new(group_fields.iter().map(|f| SortField::new(f.data_type().clone())).collect())?;
        let mut fields = group_fields;
        let mut state_columns = Vec::new();
        for (i, column) in plan.functions.iter().enumerate() {
            let first = fields.len();
            let partial = column.function.state_fields().map_err(failed)?;
            fields.extend(
                partial.iter().enumerate().map(|(j, f)| Field::new(format!("function {i} state {j}"), f.data_type().clone(), true)),
            );
            state_columns.push(first..fields.len());
        }
        let state_schema = Arc::new(Schema::new(fields));
        Ok(Self { plan, converter, state: GroupState::new(state_schema.clone()), state_schema, state_columns })
    }

    /// The column of the window among the input's columns.
    #[must_use]
    pub fn window_column(&self) -> usize {
        self.plan.window
    }

    /// The columns of the state: groups, then partial results.
    #[must_use]
    pub fn state_schema(&self) -> &SchemaRef {
        &self.state_schema
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
        self.evaluate(&arrow::compute::filter_record_batch(&states, &picked)?)
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
        let groups = &rows.columns()[..self.plan.groups];
        let ends = window_ends(&groups[self.plan.window])?;
        let encoded = self.converter.convert_columns(groups)?;
        let key = |(row, end): (arrow::row::Row<'_>, Option<i64>)| {
            let end = end.ok_or_else(|| Error::internal("a row without a window reached the state"))?;
            Ok(GroupKey::new(EventTime(end), row.as_ref()))
        };
        encoded.iter().zip(ends).map(key).collect()
    }

    /// Takes the epoch's rows (all in open windows), then closes the windows that `watermark` has reached.
    pub fn advance(&mut self, rows: &RecordBatch, watermark: Option<EventTime>) -> Result<Advanced> {
        let merged = self.merge(rows)?;
        let due_now = match self.plan.mode {
            OutputMode::Update => Some(self.evaluate(&merged)?),
            OutputMode::Append => None,
        };
        let closed = watermark.map(|w| self.state.close(w)).transpose()?.flatten();
        let due = match (due_now, closed) {
            (Some(changed), _) => changed,
            (None, Some(closed)) => self.evaluate(&closed)?,
            (None, None) => RecordBatch::new_empty(self.plan.output.clone()),
        };
        let ends = window_ends(merged.column(self.plan.window))?;
        let open: BooleanArray = ends.iter().map(|end| Some(end.is_some_and(|e| watermark.is_none_or(|w| e > w.0)))).collect();
        let delta = arrow::compute::filter_record_batch(&merged, &open)?;
        Ok(Advanced { due, delta })
    }

    /// Aggregates `rows`, merges the result into the state and returns the state rows of the groups that occurred.
    fn merge(&mut self, rows: &RecordBatch) -> Result<RecordBatch> {
        if rows.num_rows() == 0 {
            return Ok(RecordBatch::new_empty(self.state_schema.clone()));
        }
        let (group_of_row, first_rows) = self.group(rows)?;
        let groups = first_rows.len();
        let mut columns = Vec::with_capacity(self.state_schema.fields().len());
        for column in &rows.columns()[..self.plan.groups] {
            columns.push(take(column, &first_rows, None)?);
        }
        for column in &self.plan.functions {
            columns.extend(partial(column, rows, &group_of_row, groups)?);
        }
        let fresh = RecordBatch::try_new(self.state_schema.clone(), columns)?;
        let keys = self.keys(&fresh)?;
        let (known, known_groups) = self.state.gather(&keys)?;
        let merged = if known_groups.is_empty() { fresh } else { self.merge_states(&known, &known_groups, &fresh)? };
        self.state.put(keys, merged.clone())?;
        Ok(merged)
    }

    /// For each row the number of its group, and for each group its first row.
    fn group(&self, rows: &RecordBatch) -> Result<(Vec<usize>, UInt32Array)> {
        let encoded = self.converter.convert_columns(&rows.columns()[..self.plan.groups])?;
        let mut numbers: HashMap<&[u8], usize> = HashMap::new();
        let mut first_rows = Vec::new();
        let mut group_of_row = Vec::with_capacity(rows.num_rows());
        for (i, row) in encoded.iter().enumerate() {
            let next = numbers.len();
            let number = *numbers.entry(row.data()).or_insert(next);
            if number == next {
                first_rows.push(u32::try_from(i).unwrap_or(u32::MAX));
            }
            group_of_row.push(number);
        }
        Ok((group_of_row, UInt32Array::from(first_rows)))
    }

    /// The known states of some groups, merged with the fresh partial results of all groups: older first.
    ///
    /// An accumulator takes every group that a batch introduces for seen in that batch (DataFusion's `NullState`), so the known groups are
    /// numbered first for it: else a group that is not among them would lose that it has only seen nulls.
    fn merge_states(&self, known: &RecordBatch, known_groups: &[usize], fresh: &RecordBatch) -> Result<RecordBatch> {
        let n = fresh.num_rows();
        let first: Vec<usize> = (0..known_groups.len()).collect();
        let numbers = known_first(known_groups, n);
        let back = UInt32Array::from_iter_values(numbers.iter().map(|i| u32::try_from(*i).unwrap_or(u32::MAX)));
        let mut columns: Vec<ArrayRef> = fresh.columns()[..self.plan.groups].to_vec();
        for (column, range) in self.plan.functions.iter().zip(&self.state_columns) {
            let mut accumulator = column.accumulator()?;
            accumulator.merge_batch(&known.columns()[range.clone()], &first, first.len()).map_err(overflowed)?;
            accumulator.merge_batch(&fresh.columns()[range.clone()], &numbers, n).map_err(overflowed)?;
            for state in accumulator.state(EmitTo::All).map_err(failed)? {
                columns.push(take(&state, &back, None)?);
            }
        }
        Ok(RecordBatch::try_new(self.state_schema.clone(), columns)?)
    }

    /// The results of state rows, as the aggregation's output columns.
    fn evaluate(&self, states: &RecordBatch) -> Result<RecordBatch> {
        let n = states.num_rows();
        if n == 0 {
            return Ok(RecordBatch::new_empty(self.plan.output.clone()));
        }
        let all: Vec<usize> = (0..n).collect();
        let mut columns: Vec<ArrayRef> = states.columns()[..self.plan.groups].to_vec();
        for (column, range) in self.plan.functions.iter().zip(&self.state_columns) {
            let mut accumulator = column.accumulator()?;
            accumulator.merge_batch(&states.columns()[range.clone()], &all, n).map_err(overflowed)?;
            columns.push(accumulator.evaluate(EmitTo::All).map_err(overflowed)?);
        }
        Ok(RecordBatch::try_new(self.plan.output.clone(), columns)?)
    }
}

/// New numbers for `n` groups: those of `known` (rising) get 0, 1, ... in their order, then come the others in theirs.
fn known_first(known: &[usize], n: usize) -> Vec<usize> {
    let mut next_known = 0;
    (0..n)
        .map(|group| {
            if known.get(next_known) == Some(&group) {
                next_known += 1;
                next_known - 1
            } else {
                known.len() + group - next_known
            }
        })
        .collect()
}

/// The partial results of one function over `rows`.
fn partial(column: &AggregateColumn, rows: &RecordBatch, group_of_row: &[usize], groups: usize) -> Result<Vec<ArrayRef>> {
    let mut accumulator = column.accumulator()?;
    let filter = match column.filter {
        Some(filter) => {
            Some(rows.column(filter).as_boolean_opt().ok_or_else(|| Error::internal("an aggregate's FILTER is not a BOOLEAN"))?)
        }
        None => None,
    };
    accumulator.update_batch(&rows.columns()[column.arguments.clone()], group_of_row, filter, groups).map_err(overflowed)?;
    accumulator.state(EmitTo::All).map_err(failed)
}

#[cfg(test)]
mod tests;
