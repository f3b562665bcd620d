//! Rows as plain values: written down in a test, made into Arrow columns for a port, and read back for comparison.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array, Int16Array,
    Int32Array, Int64Array, ListArray, MapArray, RecordBatch, RecordBatchOptions, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Fields, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, SchemaRef, TimeUnit,
    TimestampMicrosecondType,
};
use futures::TryStreamExt;
use millstream_core::batches::BatchStream;
use millstream_core::{Error, Result, Value};

/// One value of a row. Integers of all widths are `Int`, both floating-point types are `Float`.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// No value.
    Null,
    /// BOOLEAN.
    Bool(bool),
    /// TINYINT to BIGINT.
    Int(i64),
    /// FLOAT and DOUBLE.
    Float(f64),
    /// DECIMAL: the unscaled value.
    Decimal(i128),
    /// STRING.
    Str(String),
    /// BINARY.
    Bytes(Vec<u8>),
    /// DATE: days since 1970-01-01.
    Date(i32),
    /// TIMESTAMP and TIMESTAMP_NTZ: microseconds since 1970-01-01T00:00:00.
    Time(i64),
    /// ARRAY.
    List(Vec<Self>),
    /// MAP: keys and values, in order.
    Map(Vec<(Self, Self)>),
    /// STRUCT: a cell for each field.
    Struct(Vec<Self>),
}

/// A row: one cell for each column, in order.
pub type Row = Vec<Cell>;

/// A row from values of any type that a [`Cell`] can be made of: `row!["EWR", rows::date(15_000), 7, None::<i64>]`.
#[macro_export]
macro_rules! row {
    ($($cell:expr),* $(,)?) => { vec![$($crate::Cell::from($cell)),*] };
}

macro_rules! cell_from {
    ($($from:ty => |$v:ident| $cell:expr),* $(,)?) => {
        $(impl From<$from> for Cell {
            fn from($v: $from) -> Self {
                $cell
            }
        })*
    };
}

cell_from! {
    bool => |v| Self::Bool(v),
    i32 => |v| Self::Int(v.into()),
    i64 => |v| Self::Int(v),
    f64 => |v| Self::Float(v),
    &str => |v| Self::Str(v.to_owned()),
    String => |v| Self::Str(v),
    Vec<u8> => |v| Self::Bytes(v),
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl From<Value> for Cell {
    fn from(value: Value) -> Self {
        match value {
            Value::Bool(v) => Self::Bool(v),
            Value::Int(v) => Self::Int(v),
            Value::Str(v) => Self::Str(v),
            Value::Bytes(v) => Self::Bytes(v),
            Value::Date(v) => Self::Date(v),
            Value::Timestamp(v) => Self::Time(v),
        }
    }
}

impl Cell {
    /// The key value that equals this cell; `None` for null, floating-point numbers, decimals and nested values, which can't be keys.
    #[must_use]
    pub fn to_value(&self) -> Option<Value> {
        Some(match self {
            Self::Bool(v) => Value::Bool(*v),
            Self::Int(v) => Value::Int(*v),
            Self::Str(v) => Value::Str(v.clone()),
            Self::Bytes(v) => Value::Bytes(v.clone()),
            Self::Date(v) => Value::Date(*v),
            Self::Time(v) => Value::Timestamp(*v),
            Self::Null | Self::Float(_) | Self::Decimal(_) | Self::List(_) | Self::Map(_) | Self::Struct(_) => return None,
        })
    }
}

/// A DATE, in days since 1970-01-01.
#[must_use]
pub fn date(days: i32) -> Cell {
    Cell::Date(days)
}

/// A TIMESTAMP, in microseconds since 1970-01-01T00:00:00Z.
#[must_use]
pub fn time(micros: i64) -> Cell {
    Cell::Time(micros)
}

/// `rows` as one batch of `schema`. A cell that doesn't fit its column is [`InvalidInput`](millstream_core::ErrorKind::InvalidInput).
pub fn batch(schema: &SchemaRef, rows: &[Row]) -> Result<RecordBatch> {
    if let Some(bad) = rows.iter().find(|row| row.len() != schema.fields().len()) {
        return Err(Error::invalid(format!("a row of {} cells for {} columns: {bad:?}", bad.len(), schema.fields().len())));
    }
    let columns = schema
        .fields()
        .iter()
        .enumerate()
        .map(|(i, field)| {
            let cells: Vec<&Cell> = rows.iter().map(|row| &row[i]).collect();
            column(&cells, field.data_type()).map_err(|e| e.context(format!("column {}", field.name())))
        })
        .collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    Ok(RecordBatch::try_new_with_options(schema.clone(), columns, &options)?)
}

/// One value each for the non-null cells, `None` for nulls; `pick` says which cells fit.
fn values<T>(cells: &[&Cell], data_type: &DataType, pick: impl Fn(&Cell) -> Option<T>) -> Result<Vec<Option<T>>> {
    cells
        .iter()
        .map(|cell| match cell {
            Cell::Null => Ok(None),
            other => pick(other).map(Some).ok_or_else(|| Error::invalid(format!("{other:?} does not fit {data_type}"))),
        })
        .collect()
}

fn int<T: TryFrom<i64>>(cell: &Cell) -> Option<T> {
    match cell {
        Cell::Int(v) => T::try_from(*v).ok(),
        _ => None,
    }
}

fn column(cells: &[&Cell], t: &DataType) -> Result<ArrayRef> {
    #[expect(clippy::cast_possible_truncation, reason = "a test's FLOAT is written as an f64 literal")]
    let float32 = |c: &Cell| if let Cell::Float(v) = c { Some(*v as f32) } else { None };
    let float64 = |c: &Cell| if let Cell::Float(v) = c { Some(*v) } else { None };
    Ok(match t {
        DataType::Boolean => Arc::new(BooleanArray::from(values(cells, t, |c| if let Cell::Bool(v) = c { Some(*v) } else { None })?)),
        DataType::Int8 => Arc::new(Int8Array::from(values(cells, t, int)?)),
        DataType::Int16 => Arc::new(Int16Array::from(values(cells, t, int)?)),
        DataType::Int32 => Arc::new(Int32Array::from(values(cells, t, int)?)),
        DataType::Int64 => Arc::new(Int64Array::from(values(cells, t, int)?)),
        DataType::Float32 => Arc::new(Float32Array::from(values(cells, t, float32)?)),
        DataType::Float64 => Arc::new(Float64Array::from(values(cells, t, float64)?)),
        DataType::Decimal128(precision, scale) => Arc::new(
            Decimal128Array::from(values(cells, t, |c| if let Cell::Decimal(v) = c { Some(*v) } else { None })?)
                .with_precision_and_scale(*precision, *scale)?,
        ),
        DataType::Utf8 => Arc::new(StringArray::from(values(cells, t, |c| if let Cell::Str(v) = c { Some(v.clone()) } else { None })?)),
        DataType::Binary => Arc::new(BinaryArray::from_iter(values(cells, t, |c| match c {
            Cell::Bytes(v) => Some(v.clone()),
            _ => None,
        })?)),
        DataType::Date32 => Arc::new(Date32Array::from(values(cells, t, |c| if let Cell::Date(v) = c { Some(*v) } else { None })?)),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => Arc::new(
            TimestampMicrosecondArray::from(values(cells, t, |c| if let Cell::Time(v) = c { Some(*v) } else { None })?)
                .with_timezone_opt(zone.clone()),
        ),
        DataType::List(_) | DataType::Map(_, _) | DataType::Struct(_) => nested(cells, t)?,
        other => return Err(Error::invalid(format!("tests have no cells of type {other}"))),
    })
}

/// A column of nested cells: their parts, as columns of their own, put together.
fn nested(cells: &[&Cell], t: &DataType) -> Result<ArrayRef> {
    let misfit = || Error::invalid(format!("{cells:?} do not fit {t}"));
    let nulls = NullBuffer::from(cells.iter().map(|c| **c != Cell::Null).collect::<Vec<_>>());
    let struct_of = |fields: &Fields, rows: &[Option<&[Cell]>], nulls: Option<NullBuffer>| -> Result<StructArray> {
        let columns = fields.iter().enumerate().map(|(i, field)| {
            let parts: Option<Vec<&Cell>> = rows.iter().map(|row| row.map_or(Some(&Cell::Null), |row| row.get(i))).collect();
            column(&parts.ok_or_else(misfit)?, field.data_type())
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        Ok(StructArray::try_new_with_length(fields.clone(), columns, nulls, rows.len())?)
    };
    Ok(match t {
        DataType::Struct(fields) => {
            let mut rows = Vec::with_capacity(cells.len());
            for cell in cells {
                rows.push(match cell {
                    Cell::Null => None,
                    Cell::Struct(row) => Some(row.as_slice()),
                    _ => return Err(misfit()),
                });
            }
            Arc::new(struct_of(fields, &rows, Some(nulls))?)
        }
        DataType::List(item) => {
            let items = values(cells, t, |c| if let Cell::List(items) = c { Some(items.clone()) } else { None })?;
            let offsets = OffsetBuffer::from_lengths(items.iter().map(|i| i.as_ref().map_or(0, Vec::len)));
            let items: Vec<Cell> = items.into_iter().flatten().flatten().collect();
            let items = column(&items.iter().collect::<Vec<_>>(), item.data_type())?;
            Arc::new(ListArray::try_new(item.clone(), offsets, items, Some(nulls))?)
        }
        DataType::Map(entries, sorted) => {
            let DataType::Struct(fields) = entries.data_type() else { return Err(misfit()) };
            let maps = values(cells, t, |c| if let Cell::Map(entries) = c { Some(entries.clone()) } else { None })?;
            let offsets = OffsetBuffer::from_lengths(maps.iter().map(|m| m.as_ref().map_or(0, Vec::len)));
            let pairs: Vec<[Cell; 2]> = maps.into_iter().flatten().flatten().map(|(k, v)| [k, v]).collect();
            let rows: Vec<Option<&[Cell]>> = pairs.iter().map(|pair| Some(pair.as_slice())).collect();
            Arc::new(MapArray::try_new(entries.clone(), offsets, struct_of(fields, &rows, None)?, Some(nulls), *sorted)?)
        }
        _ => return Err(misfit()),
    })
}

/// The rows of `batch`.
pub fn rows_of(batch: &RecordBatch) -> Result<Vec<Row>> {
    (0..batch.num_rows()).map(|r| batch.columns().iter().map(|c| cell_at(c, r)).collect()).collect()
}

/// All rows of `stream`.
pub async fn collect(stream: BatchStream) -> Result<Vec<Row>> {
    let batches: Vec<RecordBatch> = stream.try_collect().await?;
    batches.iter().map(rows_of).collect::<Result<Vec<_>>>().map(|all| all.concat())
}

/// `rows` as a stream of batches of at most `size` rows.
pub fn stream_of(schema: &SchemaRef, rows: &[Row], size: usize) -> Result<BatchStream> {
    let batches = rows.chunks(size.max(1)).map(|chunk| batch(schema, chunk)).collect::<Result<Vec<_>>>()?;
    Ok(Box::pin(futures::stream::iter(batches.into_iter().map(Ok))))
}

fn cell_at(array: &ArrayRef, row: usize) -> Result<Cell> {
    if array.is_null(row) {
        return Ok(Cell::Null);
    }
    Ok(match array.data_type() {
        DataType::Boolean => Cell::Bool(array.as_boolean().value(row)),
        DataType::Int8 => Cell::Int(array.as_primitive::<Int8Type>().value(row).into()),
        DataType::Int16 => Cell::Int(array.as_primitive::<Int16Type>().value(row).into()),
        DataType::Int32 => Cell::Int(array.as_primitive::<Int32Type>().value(row).into()),
        DataType::Int64 => Cell::Int(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float32 => Cell::Float(array.as_primitive::<Float32Type>().value(row).into()),
        DataType::Float64 => Cell::Float(array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(_, _) => Cell::Decimal(array.as_primitive::<Decimal128Type>().value(row)),
        DataType::Utf8 => Cell::Str(array.as_string::<i32>().value(row).to_owned()),
        DataType::Binary => Cell::Bytes(array.as_binary::<i32>().value(row).to_vec()),
        DataType::Date32 => Cell::Date(array.as_primitive::<Date32Type>().value(row)),
        DataType::Timestamp(TimeUnit::Microsecond, _) => Cell::Time(array.as_primitive::<TimestampMicrosecondType>().value(row)),
        DataType::List(_) => Cell::List(cells_of(&array.as_list::<i32>().value(row))?),
        DataType::Map(_, _) => {
            let entries = array.as_map().value(row);
            let (keys, values) = (cells_of(entries.column(0))?, cells_of(entries.column(1))?);
            Cell::Map(keys.into_iter().zip(values).collect())
        }
        DataType::Struct(_) => Cell::Struct(array.as_struct().columns().iter().map(|c| cell_at(c, row)).collect::<Result<_>>()?),
        other => return Err(Error::invalid(format!("tests have no cells of type {other}"))),
    })
}

/// All cells of `array`.
fn cells_of(array: &ArrayRef) -> Result<Vec<Cell>> {
    (0..array.len()).map(|row| cell_at(array, row)).collect()
}

#[cfg(test)]
mod tests;
