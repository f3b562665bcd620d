//! Rows by group within one batch: which rows belong together, and in what order the groups occur.
//!
//! Groups of plain columns are told apart column by column, by DataFusion's own group tables; others by their bytes in Arrow's row format. Both
//! give the same groups, in the same order. A column of windows becomes one of small numbers before that: rows come nearly in the order of their times, so
//! that most have the window of the row before.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::row::{RowConverter, Rows, SortField};
use datafusion::common::HashMap;
use datafusion::physical_plan::aggregates::group_values::new_group_values;
use datafusion::physical_plan::aggregates::order::GroupOrdering;
use millstream_core::Result;

use super::Bounds;
use super::functions::failed;

/// Rows by group, in the order in which the groups occur.
pub(super) struct Grouped {
    /// For each row the number of its group.
    pub(super) of_row: Vec<usize>,
    /// For each group its first row.
    pub(super) first_rows: UInt32Array,
}

/// Finds the groups of rows by columns of these types.
pub(super) struct Grouper {
    converter: RowConverter,
}

impl Grouper {
    /// By the columns `fields`.
    pub(super) fn new(fields: &[Field]) -> Result<Self> {
        Ok(Self { converter: RowConverter::new(fields.iter().map(|f| SortField::new(f.data_type().clone())).collect())? })
    }

    /// The groups encoded: equal groups have equal bytes.
    pub(super) fn encode(&self, columns: &[ArrayRef]) -> Result<Rows> {
        Ok(self.converter.convert_columns(columns)?)
    }

    /// The columns of groups that were encoded.
    pub(super) fn decode(&self, groups: &[&[u8]]) -> Result<Vec<ArrayRef>> {
        let parser = self.converter.parser();
        Ok(self.converter.convert_rows(groups.iter().map(|group| parser.parse(group)))?)
    }

    /// Rows by the values of `columns`, and of `more` where it is given.
    pub(super) fn group(&self, columns: &[ArrayRef], more: Option<&UInt32Array>) -> Result<Grouped> {
        if let (None, [column]) = (more, columns)
            && let Some(numbered) = numbered_windows(column)
        {
            return Ok(numbered);
        }
        if let Some(mut plain) = plain(columns) {
            plain.extend(more.map(|numbers| Arc::new(numbers.clone()) as ArrayRef));
            return by_columns(&plain);
        }
        let encoded = self.encode(columns)?;
        Ok(match more {
            None => number(encoded.iter().map(|row| row.data())),
            Some(numbers) => number(encoded.iter().map(|row| row.data()).zip(numbers.values())),
        })
    }
}

/// `columns` as columns of plain types of which equal values have equal bytes, if that is what they are. A struct, as a window is one, stands for
/// its members.
fn plain(columns: &[ArrayRef]) -> Option<Vec<ArrayRef>> {
    let mut plain = Vec::with_capacity(columns.len() + 1);
    for column in columns {
        match column.data_type() {
            DataType::Boolean
            | DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Utf8
            | DataType::Date32
            | DataType::Timestamp(..) => plain.push(column.clone()),
            DataType::Struct(_) if column.null_count() == 0 => {
                if let Some(numbered) = numbered_windows(column) {
                    let numbers = numbered.of_row.iter().map(|window| u32::try_from(*window).unwrap_or(u32::MAX));
                    plain.push(Arc::new(UInt32Array::from_iter_values(numbers)));
                    continue;
                }
                let members = column.as_struct().columns();
                if members.iter().any(|m| m.data_type().is_nested()) {
                    return None;
                }
                plain.extend(self::plain(members)?);
            }
            _ => return None,
        }
    }
    Some(plain).filter(|columns| !columns.is_empty())
}

/// The rows of a column by window, if it is one of windows and none is null.
fn numbered_windows(column: &ArrayRef) -> Option<Grouped> {
    let (starts, ends) = (Bounds::starts(column).ok()?, Bounds::ends(column).ok()?);
    let (starts, ends) = (starts.all().ok()?, ends.all().ok()?);
    let mut numbers: HashMap<(i64, i64), usize> = HashMap::new();
    let (mut of_row, mut first_rows) = (Vec::with_capacity(starts.len()), Vec::new());
    let (mut last, mut number) = (None, 0);
    for (row, window) in starts.iter().copied().zip(ends.iter().copied()).enumerate() {
        if last != Some(window) {
            let next = numbers.len();
            number = *numbers.entry(window).or_insert(next);
            if number == next {
                first_rows.push(u32::try_from(row).unwrap_or(u32::MAX));
            }
            last = Some(window);
        }
        of_row.push(number);
    }
    Some(Grouped { of_row, first_rows: UInt32Array::from(first_rows) })
}

fn by_columns(columns: &[ArrayRef]) -> Result<Grouped> {
    let fields = columns.iter().enumerate().map(|(i, c)| Field::new(format!("column {i}"), c.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let mut groups = new_group_values(schema, &GroupOrdering::None).map_err(failed)?;
    let mut of_row = Vec::with_capacity(columns.first().map_or(0, |c| c.len()));
    groups.intern(columns, &mut of_row).map_err(failed)?;
    Ok(in_order(of_row, groups.len()))
}

/// Rows whose groups have numbers below `groups`, in any order and some of them none, as rows by group.
pub(super) fn in_order(mut of_row: Vec<usize>, groups: usize) -> Grouped {
    let mut numbers = vec![usize::MAX; groups];
    let mut first_rows = Vec::with_capacity(groups);
    for (row, group) in (0_u32..).zip(&mut of_row) {
        let number = &mut numbers[*group];
        if *number == usize::MAX {
            *number = first_rows.len();
            first_rows.push(row);
        }
        *group = *number;
    }
    Grouped { of_row, first_rows: UInt32Array::from(first_rows) }
}

/// Numbers groups by their keys, in the order in which they occur.
fn number<K: std::hash::Hash + Eq>(keys: impl Iterator<Item = K>) -> Grouped {
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

/// `n` rows, each a group of its own.
pub(super) fn every(n: usize) -> Grouped {
    let first_rows = UInt32Array::from_iter_values(0..u32::try_from(n).unwrap_or(u32::MAX));
    Grouped { of_row: (0..n).collect(), first_rows }
}

#[cfg(test)]
mod tests;
