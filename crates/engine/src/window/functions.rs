//! The aggregate functions of one aggregation: rows to partial results, partial results merged, partial results to results. All of it is
//! vectorized, by DataFusion's group accumulators; no state stays here.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::GroupsAccumulatorAdapter;
use millstream_core::{Error, Result};

use super::grouping::{Grouped, Grouper};
use crate::compile::{AggregateColumn, Aggregation};

/// The functions, and how their partial results are laid out.
pub(super) struct Functions {
    groups: usize,
    columns: Vec<AggregateColumn>,
    grouper: Grouper,
    /// Group columns, then partial results.
    state: SchemaRef,
    /// Where each function's partial results are among the state's columns.
    ranges: Vec<std::ops::Range<usize>>,
    /// Group columns, then results.
    output: SchemaRef,
}

pub(super) fn failed(error: DataFusionError) -> Error {
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

    /// The partial results over `rows`.
    fn partial(&self, rows: &RecordBatch, group_of_row: &[usize], groups: usize) -> Result<Vec<ArrayRef>> {
        let mut accumulator = self.accumulator()?;
        let filter = match self.filter {
            Some(filter) => {
                Some(rows.column(filter).as_boolean_opt().ok_or_else(|| Error::internal("an aggregate's FILTER is not a BOOLEAN"))?)
            }
            None => None,
        };
        accumulator.update_batch(&rows.columns()[self.arguments.clone()], group_of_row, filter, groups).map_err(overflowed)?;
        accumulator.state(EmitTo::All).map_err(failed)
    }
}

impl Functions {
    /// Of `plan`, over rows with the columns of `input`.
    pub(super) fn new(plan: &Aggregation, input: &SchemaRef) -> Result<Self> {
        let group_fields: Vec<Field> = input.fields()[..plan.groups].iter().map(|f| Field::clone(f)).collect();
        let grouper = Grouper::new(&group_fields)?;
        let mut fields = group_fields;
        let mut ranges = Vec::new();
        for (i, column) in plan.functions.iter().enumerate() {
            let first = fields.len();
            let partial = column.function.state_fields().map_err(failed)?;
            fields.extend(
                partial.iter().enumerate().map(|(j, f)| Field::new(format!("function {i} state {j}"), f.data_type().clone(), true)),
            );
            ranges.push(first..fields.len());
        }
        let state = Arc::new(Schema::new(fields));
        Ok(Self { groups: plan.groups, columns: plan.functions.clone(), grouper, state, ranges, output: plan.output.clone() })
    }

    /// The columns of states: groups, then partial results.
    pub(super) fn state_schema(&self) -> &SchemaRef {
        &self.state
    }

    /// The columns of results.
    pub(super) fn output_schema(&self) -> &SchemaRef {
        &self.output
    }

    /// `rows` by group.
    pub(super) fn group(&self, rows: &RecordBatch) -> Result<Grouped> {
        self.grouper.group(&rows.columns()[..self.groups], None)
    }

    /// `rows` by group and number.
    pub(super) fn group_with(&self, rows: &RecordBatch, numbers: &UInt32Array) -> Result<Grouped> {
        self.grouper.group(&rows.columns()[..self.groups], Some(numbers))
    }

    /// The states of the groups of `rows`, from these rows alone.
    pub(super) fn accumulate(&self, rows: &RecordBatch, grouped: &Grouped) -> Result<RecordBatch> {
        let groups = grouped.first_rows.len();
        let mut columns = Vec::with_capacity(self.state.fields().len());
        for column in &rows.columns()[..self.groups] {
            columns.push(take(column, &grouped.first_rows, None)?);
        }
        for column in &self.columns {
            columns.extend(column.partial(rows, &grouped.of_row, groups)?);
        }
        Ok(RecordBatch::try_new(self.state.clone(), columns)?)
    }

    /// One state for each of the groups that `grouped` makes of `fresh`, merged with the `known` states, of which each belongs to the
    /// group that `group_of_known` says: older first.
    ///
    /// An accumulator takes every group that a batch introduces for seen in that batch (DataFusion's `NullState`), so the groups of known
    /// states are numbered first for it: else a group that is not among them would lose that it has only seen nulls.
    pub(super) fn merge(
        &self,
        known: &RecordBatch,
        group_of_known: &[usize],
        fresh: &RecordBatch,
        grouped: &Grouped,
    ) -> Result<RecordBatch> {
        let n = grouped.first_rows.len();
        let (numbers, known_groups) = known_first(group_of_known, n);
        let known_numbers: Vec<usize> = group_of_known.iter().map(|group| numbers[*group]).collect();
        let fresh_numbers: Vec<usize> = grouped.of_row.iter().map(|group| numbers[*group]).collect();
        let back = UInt32Array::from_iter_values(numbers.iter().map(|i| u32::try_from(*i).unwrap_or(u32::MAX)));
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.state.fields().len());
        for column in &fresh.columns()[..self.groups] {
            columns.push(take(column, &grouped.first_rows, None)?);
        }
        for (column, range) in self.columns.iter().zip(&self.ranges) {
            let mut accumulator = column.accumulator()?;
            if known_groups > 0 {
                accumulator.merge_batch(&known.columns()[range.clone()], &known_numbers, known_groups).map_err(overflowed)?;
            }
            accumulator.merge_batch(&fresh.columns()[range.clone()], &fresh_numbers, n).map_err(overflowed)?;
            for state in accumulator.state(EmitTo::All).map_err(failed)? {
                columns.push(take(&state, &back, None)?);
            }
        }
        Ok(RecordBatch::try_new(self.state.clone(), columns)?)
    }

    /// The results of states.
    pub(super) fn evaluate(&self, states: &RecordBatch) -> Result<RecordBatch> {
        let n = states.num_rows();
        if n == 0 {
            return Ok(RecordBatch::new_empty(self.output.clone()));
        }
        let all: Vec<usize> = (0..n).collect();
        let mut columns: Vec<ArrayRef> = states.columns()[..self.groups].to_vec();
        for (column, range) in self.columns.iter().zip(&self.ranges) {
            let mut accumulator = column.accumulator()?;
            accumulator.merge_batch(&states.columns()[range.clone()], &all, n).map_err(overflowed)?;
            columns.push(accumulator.evaluate(EmitTo::All).map_err(overflowed)?);
        }
        Ok(RecordBatch::try_new(self.output.clone(), columns)?)
    }
}

/// New numbers for `n` groups: those of `known` get 0, 1, ... in the order in which they occur, then come the others in theirs. And how
/// many of them are known.
fn known_first(known: &[usize], n: usize) -> (Vec<usize>, usize) {
    let mut numbers = vec![usize::MAX; n];
    let mut next = 0;
    let mut give = |number: &mut usize| {
        if *number == usize::MAX {
            *number = next;
            next += 1;
        }
        next
    };
    let known_groups = known.iter().fold(0, |_, group| give(&mut numbers[*group]));
    for number in &mut numbers {
        give(number);
    }
    (numbers, known_groups)
}

#[cfg(test)]
mod tests;
