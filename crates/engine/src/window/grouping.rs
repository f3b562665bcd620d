//! Rows by group within one batch: which rows belong together, and in what order the groups occur.
//!
//! Groups of plain columns are told apart column by column, by DataFusion's own group tables; others by their bytes in Arrow's row format. Both
//! give the same groups, in the same order.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::row::{RowConverter, Rows, SortField};
use datafusion::common::HashMap;
use datafusion::physical_plan::aggregates::group_values::new_group_values;
use datafusion::physical_plan::aggregates::order::GroupOrdering;
use millstream_core::Result;

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

    /// Rows by the values of `columns`, and of `more` where it is given.
    pub(super) fn group(&self, columns: &[ArrayRef], more: Option<&UInt32Array>) -> Result<Grouped> {
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

fn by_columns(columns: &[ArrayRef]) -> Result<Grouped> {
    let fields = columns.iter().enumerate().map(|(i, c)| Field::new(format!("column {i}"), c.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let mut groups = new_group_values(schema, &GroupOrdering::None).map_err(failed)?;
    let mut of_row = Vec::with_capacity(columns.first().map_or(0, |c| c.len()));
    groups.intern(columns, &mut of_row).map_err(failed)?;
    // They may be numbered in another order than that in which they occur.
    let mut numbers = vec![usize::MAX; groups.len()];
    let mut first_rows = Vec::with_capacity(groups.len());
    for (row, group) in (0_u32..).zip(&mut of_row) {
        let number = &mut numbers[*group];
        if *number == usize::MAX {
            *number = first_rows.len();
            first_rows.push(row);
        }
        *group = *number;
    }
    Ok(Grouped { of_row, first_rows: UInt32Array::from(first_rows) })
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

/// `n` rows, each a group of its own.
pub(super) fn every(n: usize) -> Grouped {
    let first_rows = UInt32Array::from_iter_values(0..u32::try_from(n).unwrap_or(u32::MAX));
    Grouped { of_row: (0..n).collect(), first_rows }
}

#[cfg(test)]
mod tests;
