//! Key values that are missing: a row without them can be in no table.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::DataType;

/// A column that is part of a table's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeyColumn {
    pub(super) column: usize,
    /// Whether it is the whole partition key, which must not be empty either (Cassandra's rule; a clustering column may be).
    pub(super) is_partition_key: bool,
}

impl KeyColumn {
    /// Whether its values may be missing in `rows`: decided without looking at each.
    fn may_be_missing(self, rows: &RecordBatch) -> bool {
        let column = rows.column(self.column);
        column.null_count() > 0 || (self.is_partition_key && matches!(column.data_type(), DataType::Utf8 | DataType::Binary))
    }

    fn is_missing(self, rows: &RecordBatch, row: usize) -> bool {
        let column = rows.column(self.column);
        let is_empty = || match column.data_type() {
            DataType::Utf8 => column.as_string::<i32>().value(row).is_empty(),
            DataType::Binary => column.as_binary::<i32>().value(row).is_empty(),
            _ => false,
        };
        column.is_null(row) || (self.is_partition_key && is_empty())
    }
}

/// The columns in which key values of rows may be missing.
pub(super) struct Suspects<'a> {
    rows: &'a RecordBatch,
    columns: Vec<KeyColumn>,
}

impl<'a> Suspects<'a> {
    /// Of the `key` of `rows`.
    pub(super) fn of(rows: &'a RecordBatch, key: &[KeyColumn]) -> Self {
        Self { rows, columns: key.iter().filter(|column| column.may_be_missing(rows)).copied().collect() }
    }

    /// Whether no row can lack a key value.
    pub(super) fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// The first column whose value is missing at `row`, if one is.
    pub(super) fn missing(&self, row: usize) -> Option<usize> {
        self.columns.iter().find(|column| column.is_missing(self.rows, row)).map(|column| column.column)
    }

    /// The rows that lack a key value, each with the first column in which it does.
    pub(super) fn all(&self) -> Vec<(usize, usize)> {
        let rows = if self.is_empty() { 0 } else { self.rows.num_rows() };
        (0..rows).filter_map(|row| Some((row, self.missing(row)?))).collect()
    }
}

#[cfg(test)]
mod tests;
