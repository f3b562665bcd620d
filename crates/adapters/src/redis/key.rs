//! Names of keys in Redis. Pure.
//!
//! Format 1, which ordinary Redis users see: `<prefix><table>:{<key values>}` for a row, its values separated by commas in the order of the
//! table's key; `<prefix><table>:epochs` and `<prefix><table>:spec` beside it. In a table's name and in a value the bytes `%`, `,`, `:`
//! (names only), `{`, `}` and control characters are `%XX`, as in a URL. The braces are a cluster's hash tag: a row's slot depends on its
//! key values alone.

use std::cmp::Ordering;
use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, TimeUnit};
use millstream_core::{Error, Result, SortOrder, TableSpec, Value};

use super::text::{misread, read_bool, read_date, read_int, read_timestamp, write_date, write_timestamp};

/// How one table's keys are written.
#[derive(Clone, Debug)]
pub(super) struct KeyNames {
    table: String,
    /// `<prefix><table>:`.
    head: Vec<u8>,
    columns: Vec<KeyColumn>,
}

#[derive(Clone, Debug)]
struct KeyColumn {
    name: String,
    index: usize,
    data_type: DataType,
    order: SortOrder,
}

impl KeyNames {
    /// The names of the keys of a (validated) table, all of which begin with `prefix`.
    pub fn new(prefix: &str, spec: &TableSpec) -> Result<Self> {
        let orders = spec.key.partition.iter().map(|_| SortOrder::Asc).chain(spec.key.clustering.iter().map(|c| c.order));
        let columns = spec.key.indices(&spec.schema)?.into_iter().zip(orders).map(|(index, order)| {
            let field = spec.schema.field(index);
            KeyColumn { name: field.name().clone(), index, data_type: field.data_type().clone(), order }
        });
        let columns = columns.collect();
        Ok(Self { columns, ..Self::of_table(prefix, &spec.name) })
    }

    /// The names of what isn't a row, for a table of which nothing but its name is known.
    pub fn of_table(prefix: &str, table: &str) -> Self {
        let mut head = prefix.as_bytes().to_vec();
        escape(table.as_bytes(), true, &mut head);
        head.push(b':');
        Self { table: table.to_owned(), head, columns: Vec::new() }
    }

    /// The hash of the flows' attempts and epochs.
    pub fn epochs(&self) -> Vec<u8> {
        [self.head.as_slice(), b"epochs"].concat()
    }

    /// The string that says what the table is.
    pub fn spec(&self) -> Vec<u8> {
        [self.head.as_slice(), b"spec"].concat()
    }

    /// The pattern (Redis's glob) that all rows' keys match, and no other key.
    pub fn pattern(&self) -> Vec<u8> {
        let mut pattern = Vec::with_capacity(self.head.len() + 2);
        for byte in &self.head {
            if b"*?[]\\^-".contains(byte) {
                pattern.push(b'\\');
            }
            pattern.push(*byte);
        }
        pattern.extend_from_slice(b"{*");
        pattern
    }

    /// The key of `row` of `rows` (checked columns). A null in it is [`InvalidInput`](millstream_core::ErrorKind::InvalidInput).
    pub fn of_row(&self, rows: &RecordBatch, row: usize) -> Result<Vec<u8>> {
        let mut key = self.begin();
        for (i, column) in self.columns.iter().enumerate() {
            let value = Value::at(rows.column(column.index).as_ref(), row)?
                .ok_or_else(|| Error::invalid(format!("table {}: key column {} holds a null", self.table, column.name)))?;
            column.put(i, &value, &mut key)?;
        }
        key.push(b'}');
        Ok(key)
    }

    /// The key with these values, one for each key column. Too few, too many, or one of another type is
    /// [`InvalidInput`](millstream_core::ErrorKind::InvalidInput).
    pub fn of_values(&self, values: &[Value]) -> Result<Vec<u8>> {
        if values.len() != self.columns.len() {
            let names: Vec<&str> = self.columns.iter().map(|c| c.name.as_str()).collect();
            return Err(Error::invalid(format!(
                "table {}: {} values for the {} columns of its key ({})",
                self.table,
                values.len(),
                names.len(),
                names.join(", ")
            )));
        }
        let mut key = self.begin();
        for (i, (column, value)) in self.columns.iter().zip(values).enumerate() {
            if !fits(value, &column.data_type) {
                return Err(Error::invalid(format!(
                    "table {}: {value} is no value of key column {} ({})",
                    self.table, column.name, column.data_type
                )));
            }
            column.put(i, value, &mut key)?;
        }
        key.push(b'}');
        Ok(key)
    }

    /// The values that `key` names. [`Corrupt`](millstream_core::ErrorKind::Corrupt) for a key that is none of this table's.
    pub fn values(&self, key: &[u8]) -> Result<Vec<Value>> {
        let foreign = || misread(&String::from_utf8_lossy(key), &format!("a key of table {}", self.table));
        let inside = key.strip_prefix(self.head.as_slice()).and_then(|k| k.strip_prefix(b"{")?.strip_suffix(b"}")).ok_or_else(foreign)?;
        let parts: Vec<&[u8]> = inside.split(|b| *b == b',').collect();
        if parts.len() != self.columns.len() {
            return Err(foreign());
        }
        self.columns.iter().zip(parts).map(|(column, part)| column.read(part).map_err(|_| foreign())).collect()
    }

    /// The order of two keys' values in their table.
    pub fn compare(&self, a: &[Value], b: &[Value]) -> Ordering {
        let each = self.columns.iter().zip(a.iter().zip(b)).map(|(column, (a, b))| match column.order {
            SortOrder::Asc => a.cmp(b),
            SortOrder::Desc => b.cmp(a),
        });
        each.fold(Ordering::Equal, Ordering::then)
    }

    fn begin(&self) -> Vec<u8> {
        let mut key = Vec::with_capacity(self.head.len() + 24 * self.columns.len());
        key.extend_from_slice(&self.head);
        key.push(b'{');
        key
    }
}

impl KeyColumn {
    fn put(&self, place: usize, value: &Value, key: &mut Vec<u8>) -> Result<()> {
        if place > 0 {
            key.push(b',');
        }
        match value {
            Value::Bool(v) => write!(key, "{v}")?,
            Value::Int(v) => write!(key, "{v}")?,
            Value::Str(v) => escape(v.as_bytes(), false, key),
            Value::Bytes(v) => v.iter().try_for_each(|b| write!(key, "{b:02x}"))?,
            Value::Date(v) => write_date(key, *v)?,
            Value::Timestamp(v) => write_timestamp(key, *v, self.is_zoned())?,
        }
        Ok(())
    }

    fn read(&self, part: &[u8]) -> Result<Value> {
        let text = String::from_utf8(unescape(part)).map_err(|_| misread("", "UTF-8"))?;
        Ok(match self.data_type {
            DataType::Boolean => Value::Bool(read_bool(&text)?),
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => Value::Int(read_int(&text)?),
            DataType::Date32 => Value::Date(read_date(&text)?),
            DataType::Timestamp(..) => Value::Timestamp(read_timestamp(&text)?),
            DataType::Utf8 => Value::Str(text),
            _ => Value::parse(&text, &self.data_type)?,
        })
    }

    fn is_zoned(&self) -> bool {
        matches!(&self.data_type, DataType::Timestamp(_, zone) if zone.is_some())
    }
}

fn fits(value: &Value, data_type: &DataType) -> bool {
    match (value, data_type) {
        (Value::Int(v), DataType::Int8) => i8::try_from(*v).is_ok(),
        (Value::Int(v), DataType::Int16) => i16::try_from(*v).is_ok(),
        (Value::Int(v), DataType::Int32) => i32::try_from(*v).is_ok(),
        (Value::Bool(_), DataType::Boolean)
        | (Value::Int(_), DataType::Int64)
        | (Value::Str(_), DataType::Utf8)
        | (Value::Bytes(_), DataType::Binary)
        | (Value::Date(_), DataType::Date32)
        | (Value::Timestamp(_), DataType::Timestamp(TimeUnit::Microsecond, _)) => true,
        _ => false,
    }
}

fn escape(bytes: &[u8], colon: bool, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in bytes {
        if byte.is_ascii_control() || b"%,{}".contains(byte) || (colon && *byte == b':') {
            out.extend_from_slice(&[b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        } else {
            out.push(*byte);
        }
    }
}

fn unescape(bytes: &[u8]) -> Vec<u8> {
    let digit = |b: Option<&u8>| b.and_then(|b| char::from(*b).to_digit(16)).and_then(|d| u8::try_from(d).ok());
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, tail)) = rest.split_first() {
        match (first, digit(tail.first()), digit(tail.get(1))) {
            (b'%', Some(high), Some(low)) => {
                out.push(high << 4 | low);
                rest = &tail[2..];
            }
            _ => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests;
