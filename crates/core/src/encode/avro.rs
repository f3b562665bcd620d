//! Avro's binary encoding (Avro 1.12 specification, "Binary Encoding") of rows, with the schema that Spark's `to_avro` derives from the
//! columns: a column that may be null is a union of its type and null, in this order; a DECIMAL is a fixed of as many bytes as its
//! precision needs; TIMESTAMP is `timestamp-micros`, TIMESTAMP_NTZ `local-timestamp-micros`.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Field, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Schema, TimeUnit,
    TimestampMicrosecondType,
};
use serde_json::{Value as Json, json};

use super::{json, varint};
use crate::error::{Error, Result};

/// Spark's name of the outermost record.
const RECORD: &str = "topLevelRecord";

/// Whether values of `data_type` can be written: Avro's maps have strings for keys.
pub(super) fn fits(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(item) => fits(item.data_type()),
        DataType::Struct(fields) => fields.iter().all(|f| fits(f.data_type())),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => fields[0].data_type() == &DataType::Utf8 && fits(fields[1].data_type()),
            _ => false,
        },
        other => json::fits(other),
    }
}

/// The Avro schema of a table's columns, as JSON.
#[must_use]
pub fn avro_schema(columns: &Schema) -> Json {
    record(RECORD, columns.fields().iter().map(AsRef::as_ref))
}

fn record<'a>(name: &str, fields: impl Iterator<Item = &'a Field>) -> Json {
    let fields: Vec<Json> = fields.map(|f| json!({ "name": f.name(), "type": of_field(f, &format!("{name}.{}", f.name())) })).collect();
    let (namespace, name) = name.rsplit_once('.').map_or((None, name), |(namespace, name)| (Some(namespace), name));
    match namespace {
        None => json!({ "type": "record", "name": name, "fields": fields }),
        Some(namespace) => json!({ "type": "record", "name": name, "namespace": namespace, "fields": fields }),
    }
}

fn of_field(field: &Field, path: &str) -> Json {
    let own = of_type(field.data_type(), path);
    if field.is_nullable() { json!([own, "null"]) } else { own }
}

fn of_type(data_type: &DataType, path: &str) -> Json {
    match data_type {
        DataType::Boolean => json!("boolean"),
        DataType::Int8 | DataType::Int16 | DataType::Int32 => json!("int"),
        DataType::Int64 => json!("long"),
        DataType::Float32 => json!("float"),
        DataType::Float64 => json!("double"),
        DataType::Binary => json!("bytes"),
        DataType::Date32 => json!({ "type": "int", "logicalType": "date" }),
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => json!({ "type": "long", "logicalType": "timestamp-micros" }),
        DataType::Timestamp(TimeUnit::Microsecond, None) => json!({ "type": "long", "logicalType": "local-timestamp-micros" }),
        DataType::Decimal128(precision, scale) => json!({
            "type": "fixed", "name": "fixed", "namespace": path, "size": decimal_bytes(*precision),
            "logicalType": "decimal", "precision": precision, "scale": scale,
        }),
        DataType::List(item) => json!({ "type": "array", "items": of_field(item, path) }),
        DataType::Struct(fields) => record(path, fields.iter().map(AsRef::as_ref)),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => json!({ "type": "map", "values": of_field(&fields[1], path) }),
            _ => json!("string"),
        },
        _ => json!("string"),
    }
}

/// The least number of bytes that hold every number of `precision` digits with its sign.
fn decimal_bytes(precision: u8) -> usize {
    let greatest = 10_i128.checked_pow(precision.into()).map_or(i128::MAX, |n| n - 1);
    let bits = 128 - greatest.leading_zeros() + 1;
    usize::try_from(bits.div_ceil(8)).unwrap_or(16)
}

/// Writes the row as a record.
pub(super) fn write_row(out: &mut Vec<u8>, rows: &RecordBatch, row: usize) -> Result<()> {
    for (field, column) in rows.schema_ref().fields().iter().zip(rows.columns()) {
        value(out, column.as_ref(), field.is_nullable(), row)?;
    }
    Ok(())
}

fn value(out: &mut Vec<u8>, array: &dyn Array, nullable: bool, row: usize) -> Result<()> {
    match (nullable, array.is_null(row)) {
        (true, true) => {
            long(out, 1);
            return Ok(());
        }
        (true, false) => long(out, 0),
        (false, true) => return Err(Error::invalid("a column that is NOT NULL holds a null")),
        (false, false) => {}
    }
    match array.data_type() {
        DataType::Boolean => out.push(array.as_boolean().value(row).into()),
        DataType::Int8 => long(out, array.as_primitive::<Int8Type>().value(row).into()),
        DataType::Int16 => long(out, array.as_primitive::<Int16Type>().value(row).into()),
        DataType::Int32 => long(out, array.as_primitive::<Int32Type>().value(row).into()),
        DataType::Int64 => long(out, array.as_primitive::<Int64Type>().value(row)),
        DataType::Date32 => long(out, array.as_primitive::<Date32Type>().value(row).into()),
        DataType::Timestamp(TimeUnit::Microsecond, _) => long(out, array.as_primitive::<TimestampMicrosecondType>().value(row)),
        DataType::Float32 => out.extend_from_slice(&array.as_primitive::<Float32Type>().value(row).to_le_bytes()),
        DataType::Float64 => out.extend_from_slice(&array.as_primitive::<Float64Type>().value(row).to_le_bytes()),
        DataType::Utf8 => bytes(out, array.as_string::<i32>().value(row).as_bytes()),
        DataType::Binary => bytes(out, array.as_binary::<i32>().value(row)),
        DataType::Decimal128(precision, _) => {
            let unscaled = array.as_primitive::<Decimal128Type>().value(row).to_be_bytes();
            out.extend_from_slice(&unscaled[unscaled.len() - decimal_bytes(*precision)..]);
        }
        DataType::List(item) => {
            let items = array.as_list::<i32>().value(row);
            blocks(out, items.len(), |out, i| value(out, items.as_ref(), item.is_nullable(), i))?;
        }
        DataType::Struct(fields) => {
            for (field, column) in fields.iter().zip(array.as_struct().columns()) {
                value(out, column.as_ref(), field.is_nullable(), row)?;
            }
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let nullable = entries.fields()[1].is_nullable();
            blocks(out, entries.len(), |out, i| {
                bytes(out, entries.column(0).as_string::<i32>().value(i).as_bytes());
                value(out, entries.column(1).as_ref(), nullable, i)
            })?;
        }
        other => return Err(Error::internal(format!("a {other} was to be written as Avro"))),
    }
    Ok(())
}

/// One block of items, and the empty one that ends them.
fn blocks(out: &mut Vec<u8>, count: usize, mut item: impl FnMut(&mut Vec<u8>, usize) -> Result<()>) -> Result<()> {
    if count > 0 {
        long(out, i64::try_from(count).unwrap_or(i64::MAX));
        for i in 0..count {
            item(out, i)?;
        }
    }
    long(out, 0);
    Ok(())
}

fn bytes(out: &mut Vec<u8>, value: &[u8]) {
    long(out, i64::try_from(value.len()).unwrap_or(i64::MAX));
    out.extend_from_slice(value);
}

fn long(out: &mut Vec<u8>, value: i64) {
    varint::write(out, varint::zigzag(value));
}
