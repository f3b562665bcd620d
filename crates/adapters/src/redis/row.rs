//! Rows as Redis keeps them: what a script is given of a row, and what a read gives back. Pure.
//!
//! Format 1. As a hash: a field a column, absent where the cell is null, and the row's version in `_version`. As JSON: an object whose first
//! member is `_version`, then all columns. A delete leaves `_version` and `_deleted` (`1`, or `true`): the tombstone.

use arrow::array::{Array, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};
use millstream_core::table::project_schema;
use millstream_core::{ChangeKind, Error, ErrorKind, Result, TableSpec, Version};
use redis::Cmd;

use super::cells::{write_json, write_raw, write_string};
use super::column::Column;
use super::json::JsonReader;
use super::settings::RowFormat;
use super::text::{misread, read_int};

/// The number of the format that this module writes and reads; it stands in the table's spec key.
pub(super) const FORMAT: u32 = 1;

/// The field of a row's version.
pub(super) const VERSION: &str = "_version";

/// The field that only a tombstone has.
pub(super) const DELETED: &str = "_deleted";

/// How one table's rows are written.
#[derive(Clone, Debug)]
pub(super) struct RowShape {
    table: String,
    format: RowFormat,
    schema: SchemaRef,
}

impl RowShape {
    /// The shape of a table's rows. [`Unsupported`](millstream_core::ErrorKind::Unsupported) names a column that Redis can't keep.
    pub fn new(format: RowFormat, spec: &TableSpec) -> Result<Self> {
        for field in spec.schema.fields() {
            let failed = |e: Error| e.context(format!("column {} of table {}", field.name(), spec.name));
            Column::new(field.data_type()).map_err(failed)?;
            if [VERSION, DELETED].contains(&field.name().as_str()) {
                return Err(failed(Error::unsupported("in Redis this name is taken by Millstream: choose another")));
            }
        }
        Ok(Self { table: spec.name.clone(), format, schema: spec.schema.clone() })
    }

    /// Refuses rows of other columns than the table's, and a null in a NOT NULL column of a row that isn't deleted.
    pub fn check(&self, rows: &RecordBatch, kinds: &[u8]) -> Result<()> {
        let shape = |s: &Schema| s.fields().iter().map(|f| (f.name().clone(), f.data_type().clone())).collect::<Vec<_>>();
        if shape(rows.schema_ref()) != shape(&self.schema) {
            let list = |s: &Schema| s.fields().iter().map(|f| format!("{} {}", f.name(), f.data_type())).collect::<Vec<_>>().join(", ");
            return Err(Error::invalid(format!(
                "table {} has the columns ({}), the rows written to it ({})",
                self.table,
                list(&self.schema),
                list(rows.schema_ref())
            )));
        }
        for (field, column) in self.schema.fields().iter().zip(rows.columns()) {
            let null_in_row = |row: usize| column.is_null(row) && kinds.get(row) != Some(&ChangeKind::Delete.code());
            if !field.is_nullable() && column.null_count() > 0 && (0..rows.num_rows()).any(null_in_row) {
                return Err(Error::invalid(format!("table {}: a null in column {}, which is NOT NULL", self.table, field.name())));
            }
        }
        Ok(())
    }

    /// Appends what a script needs of a row: how many arguments follow, and those.
    pub fn put(&self, rows: &RecordBatch, row: usize, version: Version, call: &mut Cmd, scratch: &mut Vec<u8>) -> Result<()> {
        scratch.clear();
        match self.format {
            RowFormat::Hash => {
                let present = rows.columns().iter().filter(|c| !c.is_null(row)).count();
                call.arg(2 * present);
                for (field, column) in self.schema.fields().iter().zip(rows.columns()).filter(|(_, c)| !c.is_null(row)) {
                    scratch.clear();
                    write_raw(scratch, column.as_ref(), row)?;
                    call.arg(field.name()).arg(scratch.as_slice());
                }
            }
            RowFormat::Json => {
                scratch.extend_from_slice(format!("{{\"{VERSION}\":{version}", version = version.0).as_bytes());
                for (field, column) in self.schema.fields().iter().zip(rows.columns()) {
                    scratch.push(b',');
                    write_string(scratch, field.name())?;
                    scratch.push(b':');
                    write_json(scratch, column.as_ref(), row)?;
                }
                scratch.push(b'}');
                call.arg(1).arg(scratch.as_slice());
            }
        }
        Ok(())
    }

    /// The command that reads the columns at `columns` of a row, or all.
    pub fn read(&self, key: &[u8], columns: Option<&[usize]>) -> Cmd {
        match self.format {
            RowFormat::Hash => {
                let mut call = redis::cmd("HMGET");
                call.arg(key).arg(VERSION).arg(DELETED);
                let all: Vec<usize>;
                let columns = match columns {
                    Some(columns) => columns,
                    None => {
                        all = (0..self.schema.fields().len()).collect();
                        &all
                    }
                };
                columns.iter().for_each(|c| {
                    call.arg(self.schema.field(*c).name());
                });
                call
            }
            RowFormat::Json => {
                let mut call = redis::cmd("GET");
                call.arg(key);
                call
            }
        }
    }

    /// Reads rows of the columns at `columns`, or all. An index that isn't there is [`InvalidInput`](millstream_core::ErrorKind::InvalidInput).
    pub fn reader(&self, columns: Option<&[usize]>) -> Result<RowReader> {
        if let Some(bad) = columns.and_then(|c| c.iter().find(|c| **c >= self.schema.fields().len())) {
            return Err(Error::invalid(format!("table {} has no column with index {bad}", self.table)));
        }
        let schema = project_schema(&self.schema, columns)?;
        let columns = schema.fields().iter().map(|f| Column::new(f.data_type())).collect::<Result<_>>()?;
        Ok(RowReader { table: self.table.clone(), format: self.format, schema, columns, rows: 0 })
    }
}

/// Collects rows into a batch.
pub(super) struct RowReader {
    table: String,
    format: RowFormat,
    schema: SchemaRef,
    columns: Vec<Column>,
    rows: usize,
}

impl RowReader {
    /// How many rows were read.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Adds the row that `reply` to [`RowShape::read`] holds, if its version is one that `wanted` takes; returns the version then. Nothing is
    /// added for a key that isn't there and for a tombstone.
    pub fn push(&mut self, reply: &redis::Value, wanted: impl FnOnce(Version) -> bool) -> Result<Option<Version>> {
        let pushed = match self.format {
            RowFormat::Hash => self.push_hash(reply, wanted),
            RowFormat::Json => self.push_json(reply, wanted),
        };
        pushed.map_err(|e| e.context(format!("a row of table {}", self.table)))
    }

    fn push_hash(&mut self, reply: &redis::Value, wanted: impl FnOnce(Version) -> bool) -> Result<Option<Version>> {
        let redis::Value::Array(fields) = reply else { return Err(misread("another type", "the fields of a hash")) };
        let fields = fields.iter().map(bytes_of).collect::<Result<Vec<_>>>()?;
        let Some((version, (deleted, cells))) = fields.split_first().and_then(|(v, rest)| Some((v, rest.split_first()?))) else {
            return Err(misread("no fields", "the fields of a hash"));
        };
        let (Some(version), None) = (version, deleted) else { return Ok(None) };
        let version = Version(read_int(&String::from_utf8_lossy(version))?);
        if !wanted(version) {
            return Ok(None);
        }
        if cells.len() != self.columns.len() {
            return Err(misread("another number of fields", "the fields that were asked for"));
        }
        for (cell, column) in cells.iter().zip(&mut self.columns) {
            match cell {
                Some(raw) => column.push_raw(raw)?,
                None => column.push_null(),
            }
        }
        self.rows += 1;
        Ok(Some(version))
    }

    fn push_json(&mut self, reply: &redis::Value, wanted: impl FnOnce(Version) -> bool) -> Result<Option<Version>> {
        let Some(text) = bytes_of(reply)? else { return Ok(None) };
        let mut reader = JsonReader::new(text);
        let (mut version, mut wanted) = (None, Some(wanted));
        let mut skipped = false;
        let mut filled = vec![false; self.columns.len()];
        let (schema, columns) = (&self.schema, &mut self.columns);
        reader.object(|r, name| {
            if version.is_none() {
                if name != VERSION {
                    return Err(misread(&name, "the member _version, which comes first"));
                }
                let read = Version(read_int(&r.scalar()?)?);
                version = Some(read);
                skipped = !wanted.take().is_some_and(|wanted| wanted(read));
                return Ok(());
            }
            skipped |= name == DELETED;
            // A projection may name a column twice.
            let mut places = schema.fields().iter().enumerate().filter(|(_, f)| f.name() == &name).map(|(i, _)| i);
            let (Some(first), false) = (places.next(), skipped) else { return r.skip() };
            let again = r.clone();
            columns[first].push_json(r)?;
            filled[first] = true;
            for place in places {
                columns[place].push_json(&mut again.clone())?;
                filled[place] = true;
            }
            Ok(())
        })?;
        reader.end()?;
        if skipped {
            return Ok(None);
        }
        for (column, _) in columns.iter_mut().zip(filled).filter(|(_, filled)| !filled) {
            column.push_null();
        }
        self.rows += 1;
        Ok(version)
    }

    /// The rows read so far, as a batch.
    pub fn finish(self) -> Result<RecordBatch> {
        let table = self.table;
        let damaged = |e: Error| {
            if e.kind() == ErrorKind::Exhausted {
                e
            } else {
                Error::corrupt(format!("rows of table {table} in Redis can't be read")).caused_by(e)
            }
        };
        let columns = self.columns.into_iter().map(Column::finish).collect::<Result<Vec<_>>>().map_err(&damaged)?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        RecordBatch::try_new_with_options(self.schema, columns, &options).map_err(|e| damaged(e.into()))
    }
}

/// The bytes of a bulk string; `None` for nil.
fn bytes_of(value: &redis::Value) -> Result<Option<&[u8]>> {
    match value {
        redis::Value::Nil => Ok(None),
        redis::Value::BulkString(bytes) => Ok(Some(bytes)),
        redis::Value::SimpleString(text) => Ok(Some(text.as_bytes())),
        redis::Value::VerbatimString { text, .. } => Ok(Some(text.as_bytes())),
        other => Err(misread(&format!("{other:?}"), "a string")),
    }
}

#[cfg(test)]
mod tests;
