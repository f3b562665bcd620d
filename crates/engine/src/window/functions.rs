//! The aggregate functions of one aggregation: rows to partial results, partial results merged, partial results to results. All of it is
//! vectorized, by DataFusion's group accumulators; no state stays here.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::row::{RowConverter, Rows, SortField};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::GroupsAccumulatorAdapter;
use millstream_core::{Error, Result};

use crate::compile::{AggregateColumn, Aggregation};

/// The functions, and how their partial results are laid out.
pub(super) struct Functions {
    groups: usize,
    columns: Vec<AggregateColumn>,
    converter: RowConverter,
    /// Group columns, then partial results.
    state: SchemaRef,
    /// Where each function's partial results are among the state's columns.
    ranges: Vec<std::ops::Range<usize>>,
    /// Group columns, then results.
    output: SchemaRef,
}

/// Rows by group, in the order in which the groups occur.
pub(super) struct Grouped {
    /// For each row the number of its group.
    pub(super) of_row: Vec<usize>,
    /// For each group its first row.
    pub(super) first_rows: UInt32Array,
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
        let converter = RowConverter::new(group_fields.iter().map(|f| SortField::new(f.data_type().clone())).collect())?;
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
        Ok(Self { groups: plan.groups, columns: plan.functions.clone(), converter, state, ranges, output: plan.output.clone() })
    }

    /// The columns of states: groups, then partial results.
    pub(super) fn state_schema(&self) -> &SchemaRef {
        &self.state
    }

    /// The columns of results.
    pub(super) fn output_schema(&self) -> &SchemaRef {
        &self.output
    }

    /// The groups of `rows`, encoded: equal groups have equal bytes.
    pub(super) fn encode(&self, rows: &RecordBatch) -> Result<Rows> {
        Ok(self.converter.convert_columns(&rows.columns()[..self.groups])?)
    }

    /// `rows` by group.
    pub(super) fn group(&self, rows: &RecordBatch) -> Result<Grouped> {
        let encoded = self.encode(rows)?;
        Ok(number(encoded.iter().map(|row| row.data())))
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

    /// One state for each of the groups that `grouped` makes of `fresh`, merged with the `known` states of some of them: older first.
    ///
    /// An accumulator takes every group that a batch introduces for seen in that batch (DataFusion's `NullState`), so the known groups are
    /// numbered first for it: else a group that is not among them would lose that it has only seen nulls.
    pub(super) fn merge(&self, known: &RecordBatch, known_groups: &[usize], fresh: &RecordBatch, grouped: &Grouped) -> Result<RecordBatch> {
        let n = grouped.first_rows.len();
        let first: Vec<usize> = (0..known_groups.len()).collect();
        let numbers = known_first(known_groups, n);
        let fresh_numbers: Vec<usize> = grouped.of_row.iter().map(|group| numbers[*group]).collect();
        let back = UInt32Array::from_iter_values(numbers.iter().map(|i| u32::try_from(*i).unwrap_or(u32::MAX)));
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.state.fields().len());
        for column in &fresh.columns()[..self.groups] {
            columns.push(take(column, &grouped.first_rows, None)?);
        }
        for (column, range) in self.columns.iter().zip(&self.ranges) {
            let mut accumulator = column.accumulator()?;
            if !first.is_empty() {
                accumulator.merge_batch(&known.columns()[range.clone()], &first, first.len()).map_err(overflowed)?;
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

/// Numbers groups by their keys, in the order in which they occur.
pub(super) fn number<K: std::hash::Hash + Eq>(keys: impl Iterator<Item = K>) -> Grouped {
    let mut numbers: HashMap<K, usize> = HashMap::new();
    let mut first_rows = Vec::new();
    let mut of_row = Vec::with_capacity(keys.size_hint().0);
    for (i, key) in keys.enumerate() {
        let next = numbers.len();
        let number = *numbers.entry(key).or_insert(next);
        if number == next {
            first_rows.push(u32::try_from(i).unwrap_or(u32::MAX));
        }
        of_row.push(number);
    }
    Grouped { of_row, first_rows: UInt32Array::from(first_rows) }
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

#[cfg(test)]
mod tests;
