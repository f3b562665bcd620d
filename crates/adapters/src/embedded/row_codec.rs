//! The row codec: rows of Arrow columns as bytes, and back, many at a time. Pure; knows no storage.
//!
//! Format 1 of a stored row:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | format: 1 |
//! | 1 | kind: 0 a row, 1 a tombstone |
//! | 8 | version, little endian |
//!
//! and then, of a tombstone, the wall-clock time when it was written (8 bytes, microseconds); of a row, one bit a column (set: not
//! null), the fixed-width columns' cells in schema order (zeros where null), the end of each other column's cell (u32, counted from
//! the first one's start), and those cells. Equal rows have equal bytes after the version, which is how a write that changes
//! nothing is known.

use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use millstream_core::ports::VERSION_COLUMN;
use millstream_core::{ChangeKind, Error, ErrorKind, Result, Version};

use super::cells::{CellSource, CellTarget, fixed_width};

/// The number of the format that this module writes and reads.
pub(super) const ROW_FORMAT: u8 = 1;
/// Format, kind and version.
pub(super) const HEADER_BYTES: usize = 10;
const KIND_ROW: u8 = 0;
const KIND_TOMBSTONE: u8 = 1;

/// A stored row's head, and the rest of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored<'a> {
    /// A row; `cells` are equal for equal rows.
    Row { version: Version, cells: &'a [u8] },
    /// A deleted key.
    Tombstone { version: Version, written: i64 },
}

impl<'a> Stored<'a> {
    /// Reads the head of `value`.
    pub fn parse(value: &'a [u8]) -> Result<Self> {
        let cut = || Error::corrupt(format!("a stored row of {} bytes is cut off", value.len()));
        let (head, rest) = value.split_at_checked(HEADER_BYTES).ok_or_else(cut)?;
        if head[0] != ROW_FORMAT {
            return Err(Error::corrupt(format!("a stored row has format {}; this build reads format {ROW_FORMAT}", head[0])));
        }
        let version = Version(i64::from_le_bytes(head[2..].try_into().map_err(|_| cut())?));
        match head[1] {
            KIND_ROW => Ok(Self::Row { version, cells: rest }),
            KIND_TOMBSTONE => Ok(Self::Tombstone { version, written: i64::from_le_bytes(rest.try_into().map_err(|_| cut())?) }),
            other => Err(Error::corrupt(format!("a stored row has kind {other} (0 row, 1 tombstone)"))),
        }
    }

    /// The version of the row or the delete.
    pub fn version(&self) -> Version {
        match self {
            Self::Row { version, .. } | Self::Tombstone { version, .. } => *version,
        }
    }
}

/// A tombstone of `version`, written at `written` (microseconds by the wall clock).
pub(super) fn tombstone(version: Version, written: i64) -> [u8; HEADER_BYTES + 8] {
    let mut value = [0; HEADER_BYTES + 8];
    value[0] = ROW_FORMAT;
    value[1] = KIND_TOMBSTONE;
    value[2..HEADER_BYTES].copy_from_slice(&version.0.to_le_bytes());
    value[HEADER_BYTES..].copy_from_slice(&written.to_le_bytes());
    value
}

/// Where a column's cell lies in a row.
#[derive(Clone, Copy, Debug)]
enum Place {
    Fixed { at: usize, width: usize },
    Variable { slot: usize },
}

/// How one table's rows are written.
#[derive(Clone, Debug)]
pub(super) struct RowCodec {
    schema: SchemaRef,
    places: Vec<Place>,
    is_key: Vec<bool>,
    /// Where the ends of the variable cells begin, and where those cells do.
    ends_at: usize,
    cells_at: usize,
}

impl RowCodec {
    /// The codec for rows of `schema` whose key columns are at `key`.
    pub fn new(schema: SchemaRef, key: &[usize]) -> Result<Self> {
        let mut at = HEADER_BYTES + schema.fields().len().div_ceil(8);
        let mut slots = 0;
        let mut places = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            CellTarget::new(field.data_type(), 0).map_err(|e| e.context(format!("column {}", field.name())))?;
            if let Some(width) = fixed_width(field.data_type()) {
                places.push(Place::Fixed { at, width });
                at += width;
            } else {
                places.push(Place::Variable { slot: slots });
                slots += 1;
            }
        }
        let is_key = (0..schema.fields().len()).map(|i| key.contains(&i)).collect();
        Ok(Self { schema, places, is_key, ends_at: at, cells_at: at + 4 * slots })
    }

    /// The columns with all that aren't in the key nullable: of a deleted row only the key is known.
    pub fn nullable_schema(&self) -> SchemaRef {
        let fields = self
            .schema
            .fields()
            .iter()
            .zip(&self.is_key)
            .map(|(f, key)| if *key { f.clone() } else { Arc::new(Field::clone(f).with_nullable(true)) });
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// Refuses rows whose columns aren't this table's, and a null in a NOT NULL column of a row that isn't deleted.
    pub fn check(&self, table: &str, rows: &RecordBatch, kinds: &[u8]) -> Result<()> {
        let theirs = rows.schema_ref().fields();
        let fits = theirs.len() == self.schema.fields().len()
            && theirs.iter().zip(self.schema.fields()).all(|(a, b)| a.name() == b.name() && a.data_type() == b.data_type());
        if !fits {
            let list = |s: &Schema| s.fields().iter().map(|f| format!("{} {}", f.name(), f.data_type())).collect::<Vec<_>>().join(", ");
            return Err(Error::invalid(format!(
                "table {table} has the columns ({}), the rows written to it ({})",
                list(&self.schema),
                list(rows.schema_ref())
            )));
        }
        for (field, column) in self.schema.fields().iter().zip(rows.columns()) {
            let null_in_row = |row: usize| column.is_null(row) && kinds.get(row) != Some(&ChangeKind::Delete.code());
            if !field.is_nullable() && column.null_count() > 0 && (0..rows.num_rows()).any(null_in_row) {
                return Err(Error::invalid(format!("table {table}: a null in column {}, which is NOT NULL", field.name())));
            }
        }
        Ok(())
    }

    /// Encodes all of `rows` (checked) with their `versions`, column by column into one piece of memory. Of a row whose kind is
    /// delete only the key columns are kept; the others become null. `kinds` may be empty: then no row is a delete.
    pub fn encode(&self, rows: &RecordBatch, versions: &[i64], kinds: &[u8]) -> Result<EncodedRows> {
        let count = rows.num_rows();
        let is_delete = |row: usize| kinds.get(row) == Some(&ChangeKind::Delete.code());
        let has_deletes = kinds.contains(&ChangeKind::Delete.code());
        let sources = rows.columns().iter().map(|c| CellSource::of(c.as_ref())).collect::<Result<Vec<_>>>()?;
        let nested = self.encode_nested(&sources, count);
        let absent = |column: usize, row: usize| sources[column].is_null(row) || (has_deletes && !self.is_key[column] && is_delete(row));
        let variable = |column: usize, row: usize| -> &[u8] {
            match &nested[column] {
                Some(cells) => cells.row(row),
                None => sources[column].slice(row).unwrap_or_default(),
            }
        };

        let mut starts = Vec::with_capacity(count + 1);
        let mut total = 0_usize;
        for row in 0..count {
            starts.push(total);
            total += self.cells_at;
            for (column, place) in self.places.iter().enumerate() {
                if matches!(place, Place::Variable { .. }) && !absent(column, row) {
                    total += variable(column, row).len();
                }
            }
        }
        starts.push(total);
        let mut bytes = vec![0_u8; total];
        for row in 0..count {
            let start = starts[row];
            bytes[start] = ROW_FORMAT;
            bytes[start + 1] = KIND_ROW;
            bytes[start + 2..start + HEADER_BYTES].copy_from_slice(&versions[row].to_le_bytes());
        }
        let mut ends = vec![0_usize; count];
        for (column, place) in self.places.iter().enumerate() {
            let (byte, bit) = (HEADER_BYTES + column / 8, 1_u8 << (column % 8));
            let plain = sources[column].has_no_nulls() && (!has_deletes || self.is_key[column]);
            match *place {
                Place::Fixed { at, width } => {
                    let fixed = sources[column].fixed_values();
                    for row in 0..count {
                        if plain || !absent(column, row) {
                            let start = starts[row];
                            bytes[start + byte] |= bit;
                            match (fixed, width) {
                                (Some((values, _)), 8) => {
                                    bytes[start + at..start + at + 8].copy_from_slice(&values[row * 8..row * 8 + 8]);
                                }
                                (Some((values, _)), 4) => {
                                    bytes[start + at..start + at + 4].copy_from_slice(&values[row * 4..row * 4 + 4]);
                                }
                                (Some((values, _)), _) => {
                                    bytes[start + at..start + at + width].copy_from_slice(&values[row * width..(row + 1) * width]);
                                }
                                (None, _) => bytes[start + at] = u8::from(sources[column].boolean(row)),
                            }
                        }
                    }
                }
                Place::Variable { slot } => {
                    for row in 0..count {
                        let start = starts[row];
                        if plain || !absent(column, row) {
                            let cell = variable(column, row);
                            bytes[start + byte] |= bit;
                            let cells = start + self.cells_at + ends[row];
                            bytes[cells..cells + cell.len()].copy_from_slice(cell);
                            ends[row] += cell.len();
                        }
                        let end = u32::try_from(ends[row]).map_err(|_| Error::invalid("a row of more than 4 GiB"))?;
                        let at = start + self.ends_at + 4 * slot;
                        bytes[at..at + 4].copy_from_slice(&end.to_le_bytes());
                    }
                }
            }
        }
        Ok(EncodedRows { bytes, starts })
    }

    fn encode_nested(&self, sources: &[CellSource<'_>], count: usize) -> Vec<Option<EncodedRows>> {
        let encode = |source: &CellSource<'_>| {
            let mut cells = EncodedRows { bytes: Vec::new(), starts: vec![0] };
            for row in 0..count {
                if !source.is_null(row) {
                    source.put_nested(row, &mut cells.bytes);
                }
                cells.starts.push(cells.bytes.len());
            }
            cells
        };
        let is_nested = |t: &DataType| t.is_nested();
        self.schema.fields().iter().zip(sources).map(|(f, s)| is_nested(f.data_type()).then(|| encode(s))).collect()
    }
}

/// Encoded rows, one after the other.
pub(super) struct EncodedRows {
    bytes: Vec<u8>,
    starts: Vec<usize>,
}

impl EncodedRows {
    /// The bytes of `row`.
    pub fn row(&self, row: usize) -> &[u8] {
        &self.bytes[self.starts[row]..self.starts[row + 1]]
    }
}

/// Reads stored rows back into Arrow columns, only those that are asked for.
pub(super) struct RowDecoder<'a> {
    codec: &'a RowCodec,
    schema: SchemaRef,
    targets: Vec<(usize, CellTarget)>,
    versions: Option<Vec<i64>>,
    rows: usize,
}

impl<'a> RowDecoder<'a> {
    /// Reads the columns at `columns` (or all), and the version where `with_version` says so, of about `capacity` rows.
    pub fn new(codec: &'a RowCodec, columns: Option<&[usize]>, with_version: bool, capacity: usize) -> Result<Self> {
        Self::with_schema(codec, &codec.schema, columns, with_version, capacity)
    }

    /// The same for rows of which some were deleted: see [`RowCodec::nullable_schema`].
    pub fn nullable(codec: &'a RowCodec, capacity: usize) -> Result<Self> {
        Self::with_schema(codec, &codec.nullable_schema(), None, false, capacity)
    }

    fn with_schema(
        codec: &'a RowCodec,
        schema: &SchemaRef,
        columns: Option<&[usize]>,
        with_version: bool,
        capacity: usize,
    ) -> Result<Self> {
        let all: Vec<usize> = (0..codec.places.len()).collect();
        let columns = columns.unwrap_or(&all);
        if let Some(bad) = columns.iter().find(|c| **c >= codec.places.len()) {
            return Err(Error::invalid(format!("column {bad} of a table with {} columns", codec.places.len())));
        }
        let mut fields: Vec<_> = columns.iter().map(|c| schema.fields()[*c].clone()).collect();
        let targets = columns.iter().map(|c| Ok((*c, CellTarget::new(schema.field(*c).data_type(), capacity)?))).collect::<Result<_>>()?;
        if with_version {
            fields.push(Arc::new(version_field()));
        }
        let versions = with_version.then(|| Vec::with_capacity(capacity));
        Ok(Self { codec, schema: Arc::new(Schema::new(fields)), targets, versions, rows: 0 })
    }

    /// How many rows were read since the last batch.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// About how many bytes they take.
    pub fn bytes(&self) -> usize {
        self.targets.iter().map(|(_, t)| t.bytes()).sum()
    }

    /// Reads one stored row (not a tombstone).
    pub fn push(&mut self, value: &[u8]) -> Result<()> {
        let Stored::Row { version, .. } = Stored::parse(value)? else {
            return Err(Error::internal("a tombstone was read as a row"));
        };
        let cut = || Error::corrupt(format!("a stored row of {} bytes is cut off", value.len()));
        if value.len() < self.codec.cells_at {
            return Err(cut());
        }
        let end = |slot: usize| -> usize {
            let at = self.codec.ends_at + 4 * slot;
            let bytes = [value[at], value[at + 1], value[at + 2], value[at + 3]];
            self.codec.cells_at + usize::try_from(u32::from_le_bytes(bytes)).unwrap_or(usize::MAX)
        };
        for (column, target) in &mut self.targets {
            if value[HEADER_BYTES + *column / 8] & (1 << (*column % 8)) == 0 {
                target.push_null();
                continue;
            }
            let cell = match self.codec.places[*column] {
                Place::Fixed { at, width } => &value[at..at + width],
                Place::Variable { slot } => {
                    let start = if slot == 0 { self.codec.cells_at } else { end(slot - 1) };
                    value.get(start..end(slot)).ok_or_else(cut)?
                }
            };
            target.push(cell)?;
        }
        if let Some(versions) = &mut self.versions {
            versions.push(version.0);
        }
        self.rows += 1;
        Ok(())
    }

    /// The rows read so far as a batch.
    pub fn finish(self) -> Result<RecordBatch> {
        let damaged =
            |e: Error| if e.kind() == ErrorKind::Exhausted { e } else { Error::corrupt("stored cells can't be read").caused_by(e) };
        let mut columns = self.targets.into_iter().map(|(_, t)| t.finish().map_err(damaged)).collect::<Result<Vec<_>>>()?;
        if let Some(versions) = self.versions {
            columns.push(Arc::new(Int64Array::from(versions)));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        RecordBatch::try_new_with_options(self.schema, columns, &options)
            .map_err(|e| Error::corrupt("stored rows don't fit their table's columns").caused_by(e))
    }
}

/// The column that a read adds on request.
pub(super) fn version_field() -> Field {
    Field::new(VERSION_COLUMN, DataType::Int64, false)
}

#[cfg(test)]
mod tests;
