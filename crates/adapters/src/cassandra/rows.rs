//! The rows of an epoch on their way into a table: which change of a key wins, which rows share a partition, and how a row's values stand
//! in a statement. Pure.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use millstream_core::{ChangeBatch, ChangeKind, Error, Result, Timestamp, Version};
use scylla::serialize::SerializationError;
use scylla::serialize::row::{RowSerializationContext, SerializeRow};
use scylla::serialize::writers::RowWriter;

use super::encode::{Cells, Scratch};
use super::table::{KEY_BYTES_MAX, Table, VersionSource};

/// A batch has at most so many rows.
pub(super) const BATCH_ROWS: usize = 50;
/// And not many more bytes than this: Cassandra warns at 5 KB and refuses at 50 KB by default.
pub(super) const BATCH_BYTES: usize = 32 << 10;

/// The changes of an epoch as CQL values.
pub(super) struct Rows {
    pub changes: ChangeBatch,
    pub cells: Vec<Cells>,
    keys: Vec<u8>,
    spans: Vec<Span>,
}

/// Where the key of a row is in the key bytes.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: usize,
    partition_end: usize,
    end: usize,
}

impl Rows {
    /// Takes the changes in. Columns that aren't the table's, null keys, and values that CQL can't hold are
    /// [`InvalidInput`](millstream_core::ErrorKind::InvalidInput).
    pub fn new(table: &Table, changes: &[ChangeBatch]) -> Result<Self> {
        let spec = &table.spec;
        for batch in changes {
            let same = |(a, b): (&std::sync::Arc<arrow::datatypes::Field>, &std::sync::Arc<arrow::datatypes::Field>)| {
                a.name() == b.name() && a.data_type() == b.data_type()
            };
            let schema = batch.rows().schema();
            if schema.fields().len() != spec.schema.fields().len() || !schema.fields().iter().zip(spec.schema.fields()).all(same) {
                return Err(Error::invalid(format!("rows of other columns than those of table {}: {schema}", spec.name)));
            }
        }
        let changes = match changes {
            [one] => one.clone(),
            several => ChangeBatch::concat(&spec.schema, several)?,
        };
        let cells = table
            .columns
            .iter()
            .zip(changes.rows().columns())
            .map(|(column, array)| Cells::new(array, column).map_err(|e| e.context(format!("table {}", spec.name))))
            .collect::<Result<Vec<_>>>()?;
        let mut rows = Self { keys: Vec::with_capacity(changes.len() * 32), spans: Vec::with_capacity(changes.len()), changes, cells };
        rows.read_keys(table)?;
        Ok(rows)
    }

    fn read_keys(&mut self, table: &Table) -> Result<()> {
        let mut scratch = Scratch::default();
        for row in 0..self.changes.len() {
            let start = self.keys.len();
            let mut partition_end = start;
            for (i, index) in table.key.iter().enumerate() {
                let column = &table.columns[*index].name;
                let Some(value) = self.cells[*index].value(row, &mut scratch) else {
                    return Err(Error::invalid(format!("table {}: the key column {column} of a row is null", table.spec.name)));
                };
                if value.len() > KEY_BYTES_MAX {
                    return Err(Error::invalid(format!(
                        "table {}: the key column {column} of a row has {} bytes, and Cassandra takes {KEY_BYTES_MAX}",
                        table.spec.name,
                        value.len()
                    )));
                }
                if value.is_empty() && table.partition_len() == 1 && i == 0 {
                    return Err(Error::invalid(format!(
                        "table {}: the partition key {column} of a row is empty, which Cassandra refuses; filter such rows in the query",
                        table.spec.name
                    )));
                }
                self.keys.extend_from_slice(&(value.len() as u32).to_be_bytes());
                self.keys.extend_from_slice(value);
                if i + 1 == table.partition_len() {
                    partition_end = self.keys.len();
                }
            }
            self.spans.push(Span { start, partition_end, end: self.keys.len() });
        }
        Ok(())
    }

    /// The bytes of a row's whole key.
    pub fn key(&self, row: usize) -> &[u8] {
        &self.keys[self.spans[row].start..self.spans[row].end]
    }

    /// The bytes of a row's partition key.
    pub fn partition(&self, row: usize) -> &[u8] {
        &self.keys[self.spans[row].start..self.spans[row].partition_end]
    }

    /// One row for each key, in order of the keys' first appearance: the greatest version's, of equal ones the last.
    pub fn winners(&self) -> Vec<usize> {
        let mut winners: Vec<usize> = Vec::with_capacity(self.changes.len());
        let mut places: HashMap<&[u8], usize> = HashMap::with_capacity(self.changes.len());
        for row in 0..self.changes.len() {
            match places.entry(self.key(row)) {
                Entry::Vacant(place) => {
                    place.insert(winners.len());
                    winners.push(row);
                }
                Entry::Occupied(place) => {
                    let winner = &mut winners[*place.get()];
                    if self.changes.version(row) >= self.changes.version(*winner) {
                        *winner = row;
                    }
                }
            }
        }
        winners
    }

    /// `rows` in groups of one partition each, none larger than a batch may be.
    pub fn batches(&self, rows: &[usize]) -> Vec<Vec<usize>> {
        let mut open: HashMap<&[u8], (usize, usize)> = HashMap::new();
        let mut batches: Vec<Vec<usize>> = Vec::new();
        for row in rows {
            let size = 16 + self.cells.iter().map(|c| c.size(*row)).sum::<usize>();
            let mut begin = || {
                batches.push(Vec::new());
                (batches.len() - 1, 0)
            };
            let (batch, bytes) = match open.entry(self.partition(*row)) {
                Entry::Vacant(none) => none.insert(begin()),
                Entry::Occupied(some) => some.into_mut(),
            };
            if batches[*batch].len() >= BATCH_ROWS || (*bytes + size > BATCH_BYTES && *bytes > 0) {
                batches.push(Vec::new());
                (*batch, *bytes) = (batches.len() - 1, 0);
            }
            batches[*batch].push(*row);
            *bytes += size;
        }
        batches
    }

    /// The write of `row` as of now, of which no earlier version can be there if it `is_new`; `None` for a row that has expired already.
    /// Where the row has one, its TTL is what is left of it.
    pub fn write<'a>(&'a self, table: &'a Table, row: usize, is_new: bool, now: Timestamp) -> Option<RowWrite<'a>> {
        let version = self.changes.version(row);
        let how = if self.changes.kind(row) == ChangeKind::Delete {
            How::Delete
        } else {
            let ttl = match table.spec.ttl {
                None => None,
                Some(_) => Some(table.ttl_left(version, now)?),
            };
            How::Insert { ttl, unset_nulls: is_new, stores_version: table.version == VersionSource::Stored }
        };
        Some(RowWrite { cells: &self.cells, key: &table.key, row, version, how })
    }
}

/// What is done with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// It is written whole: a null deletes what an older version left there, unless no older one can exist.
    Insert { ttl: Option<i32>, unset_nulls: bool, stores_version: bool },
    /// It is deleted.
    Delete,
}

/// One row's values, in the order in which [`Table::insert`] or [`Table::delete`] takes them.
#[derive(Clone, Copy)]
pub(super) struct RowWrite<'a> {
    cells: &'a [Cells],
    key: &'a [usize],
    row: usize,
    version: Version,
    pub how: How,
}

impl SerializeRow for RowWrite<'_> {
    fn serialize(&self, _: &RowSerializationContext<'_>, writer: &mut RowWriter<'_>) -> Result<(), SerializationError> {
        let mut scratch = Scratch::default();
        match self.how {
            How::Insert { ttl, unset_nulls, stores_version } => {
                for cells in self.cells {
                    match cells.value(self.row, &mut scratch) {
                        Some(value) => put(writer, value)?,
                        None if unset_nulls => drop(writer.make_cell_writer().set_unset()),
                        None => drop(writer.make_cell_writer().set_null()),
                    }
                }
                if stores_version {
                    put(writer, &self.version.0.to_be_bytes())?;
                }
                put(writer, &self.version.0.to_be_bytes())?;
                if let Some(ttl) = ttl {
                    put(writer, &ttl.to_be_bytes())?;
                }
            }
            How::Delete => {
                put(writer, &self.version.0.to_be_bytes())?;
                for index in self.key {
                    match self.cells[*index].value(self.row, &mut scratch) {
                        Some(value) => put(writer, value)?,
                        None => drop(writer.make_cell_writer().set_null()),
                    }
                }
            }
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        false
    }
}

fn put(writer: &mut RowWriter<'_>, value: &[u8]) -> Result<(), SerializationError> {
    writer.make_cell_writer().set_value(value).map(drop).map_err(SerializationError::new)
}

/// Values that are CQL's bytes already.
pub(super) struct RawRow<'a>(pub &'a [Option<Vec<u8>>]);

impl SerializeRow for RawRow<'_> {
    fn serialize(&self, _: &RowSerializationContext<'_>, writer: &mut RowWriter<'_>) -> Result<(), SerializationError> {
        for value in self.0 {
            match value {
                Some(value) => put(writer, value)?,
                None => drop(writer.make_cell_writer().set_null()),
            }
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests;
