//! The key codec: key columns as bytes whose order (memcmp) is the table's clustering order. Pure; knows no storage.
//!
//! Format 1. A row's key is the table's number (big endian, 4 bytes), the partition columns, the clustering columns. A cell is
//!
//! - boolean: one byte, 0 or 1;
//! - integer, date (days), timestamp (microseconds): big endian in the type's own width, sign bit flipped;
//! - string, binary: the bytes with each 0x00 written as 0x00 0xFF, then 0x00 0x00;
//!
//! and of a DESC clustering column every byte is inverted. No cell's encoding begins with another's of the same column, so that "all
//! rows that begin with these values" is a range of bytes. The format's number stands in the table's registry entry.

use arrow::array::{Array, AsArray, BinaryArray, BooleanArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Date32Type, Int8Type, Int16Type, Int32Type, Int64Type, SchemaRef, TimeUnit, TimestampMicrosecondType};
use millstream_core::{Error, Result, SortOrder, TableSpec, Value};

/// The number of the format that this module writes and reads.
pub(super) const KEY_FORMAT: u8 = 1;

/// The longest key in bytes (fjall's bound is 65,535; a page token and a feed entry still have to fit around it).
pub(super) const KEY_BYTES_MAX: usize = 60_000;

/// The length of a table's number at the head of each key.
pub(super) const TABLE_BYTES: usize = 4;

/// A column of the key.
#[derive(Clone, Debug)]
pub(super) struct KeyColumn {
    pub name: String,
    /// Its index in the table's schema.
    pub index: usize,
    pub data_type: DataType,
    pub descending: bool,
}

/// How one table's keys are written.
#[derive(Clone, Debug)]
pub(super) struct KeyCodec {
    table: String,
    prefix: [u8; TABLE_BYTES],
    columns: Vec<KeyColumn>,
    partition: usize,
}

impl KeyCodec {
    /// The codec of table number `id`; `spec` is validated.
    pub fn new(id: u32, spec: &TableSpec) -> Result<Self> {
        let column = |name: &str, order: SortOrder, schema: &SchemaRef| -> Result<KeyColumn> {
            let index =
                schema.index_of(name).map_err(|_| Error::invalid(format!("key column {name} is not a column of table {}", spec.name)))?;
            let data_type = schema.field(index).data_type().clone();
            Ok(KeyColumn { name: name.to_owned(), index, data_type, descending: order == SortOrder::Desc })
        };
        let partition = spec.key.partition.iter().map(|name| column(name, SortOrder::Asc, &spec.schema));
        let clustering = spec.key.clustering.iter().map(|c| column(&c.name, c.order, &spec.schema));
        Ok(Self {
            table: spec.name.clone(),
            prefix: id.to_be_bytes(),
            columns: partition.chain(clustering).collect::<Result<_>>()?,
            partition: spec.key.partition.len(),
        })
    }

    /// The partition columns.
    pub fn partition(&self) -> &[KeyColumn] {
        &self.columns[..self.partition]
    }

    /// The clustering columns.
    pub fn clustering(&self) -> &[KeyColumn] {
        &self.columns[self.partition..]
    }

    /// All key columns.
    pub fn columns(&self) -> &[KeyColumn] {
        &self.columns
    }

    /// The key columns of `rows`, ready to be encoded. A null is [`InvalidInput`](millstream_core::ErrorKind::InvalidInput).
    pub fn cells<'a>(&'a self, rows: &'a RecordBatch) -> Result<KeyCells<'a>> {
        let cells = self
            .columns
            .iter()
            .map(|column| {
                let array = rows.column(column.index).as_ref();
                if array.null_count() > 0 {
                    return Err(Error::invalid(format!("table {}: key column {} holds a null", self.table, column.name)));
                }
                Ok((Cells::of(array)?, column.descending))
            })
            .collect::<Result<_>>()?;
        Ok(KeyCells { codec: self, cells })
    }

    /// Appends the table's number: with it begins every key of the table.
    pub fn put_table(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.prefix);
    }

    /// Appends the table's number and the partition columns' `values`.
    pub fn put_partition(&self, values: &[Value], out: &mut Vec<u8>) -> Result<()> {
        if values.len() != self.partition {
            return Err(Error::invalid(format!(
                "table {}: {} values for the {} columns of its partition key ({})",
                self.table,
                values.len(),
                self.partition,
                names(self.partition())
            )));
        }
        self.put_table(out);
        self.put_values(self.partition(), values, out)
    }

    /// Appends the table's number and all key columns' `values`.
    pub fn put_key(&self, values: &[Value], out: &mut Vec<u8>) -> Result<()> {
        if values.len() != self.columns.len() {
            return Err(Error::invalid(format!(
                "table {}: {} values for the {} columns of its key ({})",
                self.table,
                values.len(),
                self.columns.len(),
                names(&self.columns)
            )));
        }
        self.put_table(out);
        self.put_values(&self.columns, values, out)
    }

    /// Appends `values` of the first of `columns`. Too many values, or one of another type, is
    /// [`InvalidInput`](millstream_core::ErrorKind::InvalidInput).
    pub fn put_values(&self, columns: &[KeyColumn], values: &[Value], out: &mut Vec<u8>) -> Result<()> {
        if values.len() > columns.len() {
            return Err(Error::invalid(format!(
                "table {}: {} values where the key has {} columns ({}) left",
                self.table,
                values.len(),
                columns.len(),
                names(columns)
            )));
        }
        for (column, value) in columns.iter().zip(values) {
            let start = out.len();
            put_value(column, value, out).map_err(|()| {
                Error::invalid(format!("table {}: {value} is no value of key column {} ({})", self.table, column.name, column.data_type))
            })?;
            if column.descending {
                invert(&mut out[start..]);
            }
        }
        self.check_length(out.len())
    }

    fn check_length(&self, length: usize) -> Result<()> {
        if length > KEY_BYTES_MAX {
            return Err(Error::invalid(format!("table {}: a key of {length} bytes; the store takes up to {KEY_BYTES_MAX}", self.table)));
        }
        Ok(())
    }
}

fn names(columns: &[KeyColumn]) -> String {
    columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// The key columns of a batch.
pub(super) struct KeyCells<'a> {
    codec: &'a KeyCodec,
    cells: Vec<(Cells<'a>, bool)>,
}

impl KeyCells<'_> {
    /// Appends the key of `row` to `out`; returns the length of its head, the table and the partition columns.
    pub fn put(&self, row: usize, out: &mut Vec<u8>) -> Result<usize> {
        let start = out.len();
        self.codec.put_table(out);
        let mut head = TABLE_BYTES;
        for (i, (cells, descending)) in self.cells.iter().enumerate() {
            let cell = out.len();
            cells.put(row, out);
            if *descending {
                invert(&mut out[cell..]);
            }
            if i + 1 == self.codec.partition {
                head = out.len() - start;
            }
        }
        self.codec.check_length(out.len() - start)?;
        Ok(head)
    }
}

/// A key column's values, typed once for a whole batch.
enum Cells<'a> {
    Bool(&'a BooleanArray),
    I8(&'a [i8]),
    I16(&'a [i16]),
    I32(&'a [i32]),
    I64(&'a [i64]),
    Str(&'a StringArray),
    Bin(&'a BinaryArray),
}

impl<'a> Cells<'a> {
    fn of(array: &'a dyn Array) -> Result<Self> {
        Ok(match array.data_type() {
            DataType::Boolean => Self::Bool(array.as_boolean()),
            DataType::Int8 => Self::I8(array.as_primitive::<Int8Type>().values()),
            DataType::Int16 => Self::I16(array.as_primitive::<Int16Type>().values()),
            DataType::Int32 => Self::I32(array.as_primitive::<Int32Type>().values()),
            DataType::Int64 => Self::I64(array.as_primitive::<Int64Type>().values()),
            DataType::Date32 => Self::I32(array.as_primitive::<Date32Type>().values()),
            DataType::Timestamp(TimeUnit::Microsecond, _) => Self::I64(array.as_primitive::<TimestampMicrosecondType>().values()),
            DataType::Utf8 => Self::Str(array.as_string()),
            DataType::Binary => Self::Bin(array.as_binary()),
            other => return Err(Error::invalid(format!("a {other} can't be part of a key"))),
        })
    }

    fn put(&self, row: usize, out: &mut Vec<u8>) {
        match self {
            Self::Bool(a) => out.push(u8::from(a.value(row))),
            Self::I8(v) => put_i8(v[row], out),
            Self::I16(v) => put_i16(v[row], out),
            Self::I32(v) => put_i32(v[row], out),
            Self::I64(v) => put_i64(v[row], out),
            Self::Str(a) => put_bytes(a.value(row).as_bytes(), out),
            Self::Bin(a) => put_bytes(a.value(row), out),
        }
    }
}

fn put_value(column: &KeyColumn, value: &Value, out: &mut Vec<u8>) -> std::result::Result<(), ()> {
    match (value, &column.data_type) {
        (Value::Bool(v), DataType::Boolean) => out.push(u8::from(*v)),
        (Value::Int(v), DataType::Int8) => put_i8(i8::try_from(*v).map_err(drop)?, out),
        (Value::Int(v), DataType::Int16) => put_i16(i16::try_from(*v).map_err(drop)?, out),
        (Value::Int(v), DataType::Int32) => put_i32(i32::try_from(*v).map_err(drop)?, out),
        (Value::Int(v), DataType::Int64) => put_i64(*v, out),
        (Value::Str(v), DataType::Utf8) => put_bytes(v.as_bytes(), out),
        (Value::Bytes(v), DataType::Binary) => put_bytes(v, out),
        (Value::Date(v), DataType::Date32) => put_i32(*v, out),
        (Value::Timestamp(v), DataType::Timestamp(TimeUnit::Microsecond, _)) => put_i64(*v, out),
        _ => return Err(()),
    }
    Ok(())
}

fn put_i8(v: i8, out: &mut Vec<u8>) {
    out.push(v.cast_unsigned() ^ 0x80);
}

fn put_i16(v: i16, out: &mut Vec<u8>) {
    out.extend_from_slice(&(v.cast_unsigned() ^ (1 << 15)).to_be_bytes());
}

fn put_i32(v: i32, out: &mut Vec<u8>) {
    out.extend_from_slice(&(v.cast_unsigned() ^ (1 << 31)).to_be_bytes());
}

fn put_i64(v: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&(v.cast_unsigned() ^ (1 << 63)).to_be_bytes());
}

/// Appends `bytes` escaped and terminated: also how names stand in the keys of the other keyspaces.
pub(super) fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    let mut rest = bytes;
    while let Some(zero) = rest.iter().position(|b| *b == 0) {
        out.extend_from_slice(&rest[..=zero]);
        out.push(0xFF);
        rest = &rest[zero + 1..];
    }
    out.extend_from_slice(rest);
    out.extend_from_slice(&[0, 0]);
}

/// Reads what [`put_bytes`] wrote at the head of `encoded`; `None` where it is cut off or something else.
pub(super) fn take_bytes(encoded: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut bytes = Vec::new();
    let mut rest = encoded;
    loop {
        let zero = rest.iter().position(|b| *b == 0)?;
        bytes.extend_from_slice(&rest[..zero]);
        match rest.get(zero + 1)? {
            0 => return Some((bytes, &rest[zero + 2..])),
            0xFF => bytes.push(0),
            _ => return None,
        }
        rest = &rest[zero + 2..];
    }
}

fn invert(bytes: &mut [u8]) {
    bytes.iter_mut().for_each(|b| *b = !*b);
}

/// The smallest key greater than all keys that begin with `prefix`; `None` when there is none.
pub(super) fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let keep = prefix.iter().rposition(|b| *b != 0xFF)?;
    let mut next = prefix[..=keep].to_vec();
    next[keep] += 1;
    Some(next)
}

#[cfg(test)]
mod tests;
