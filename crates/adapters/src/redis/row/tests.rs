#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Builder, Int64Builder, ListBuilder, MapBuilder, StringBuilder, StructArray};
use arrow::datatypes::{DataType, Field, Fields};
use millstream_core::TableKind;
use millstream_testkit::{Row, rows, tables};
use redis::{Arg, Value};

use super::*;

fn spec(table: TableSpec) -> TableSpec {
    TableSpec { kind: TableKind::Critical, ..table }
}

/// The arguments that a script is given of `row`, after their number.
fn arguments(shape: &RowShape, batch: &RecordBatch, row: usize, version: i64) -> Vec<Vec<u8>> {
    let mut call = redis::cmd("X");
    shape.put(batch, row, Version(version), &mut call, &mut Vec::new()).unwrap();
    let all: Vec<Vec<u8>> = call
        .args_iter()
        .skip(1)
        .map(|arg| match arg {
            Arg::Simple(bytes) => bytes.to_vec(),
            _ => panic!("a cursor"),
        })
        .collect();
    let (count, rest) = all.split_first().unwrap();
    assert_eq!(std::str::from_utf8(count).unwrap().parse::<usize>().unwrap(), rest.len());
    rest.to_vec()
}

/// What Redis answers to `read` once the script has put these arguments.
fn reply(format: RowFormat, read: &Cmd, arguments: &[Vec<u8>], version: i64) -> Value {
    if format == RowFormat::Json {
        return Value::BulkString(arguments[0].clone());
    }
    let mut fields: HashMap<&[u8], &[u8]> = arguments.chunks(2).map(|pair| (pair[0].as_slice(), pair[1].as_slice())).collect();
    let version = version.to_string();
    fields.insert(VERSION.as_bytes(), version.as_bytes());
    let asked = read.args_iter().skip(2).map(|arg| match arg {
        Arg::Simple(name) => fields.get(name).map_or(Value::Nil, |v| Value::BulkString(v.to_vec())),
        _ => panic!("a cursor"),
    });
    Value::Array(asked.collect())
}

fn there_and_back(format: RowFormat, spec: &TableSpec, batch: &RecordBatch) -> RecordBatch {
    let shape = RowShape::new(format, spec).unwrap();
    let mut reader = shape.reader(None).unwrap();
    for row in 0..batch.num_rows() {
        let put = arguments(&shape, batch, row, -7);
        let answer = reply(format, &shape.read(b"k", None), &put, -7);
        assert_eq!(reader.push(&answer, |_| true).unwrap(), Some(Version(-7)));
    }
    reader.finish().unwrap()
}

#[test]
fn every_type_comes_back_exactly() {
    let spec = spec(tables::all_types("t"));
    let mut all: Vec<Row> = tables::all_types_rows();
    let mut odd = all[3].clone();
    (odd[6], odd[7]) = (rows::Cell::Float(f64::NEG_INFINITY), rows::Cell::Float(-0.0));
    all.push(odd);
    let batch = rows::batch(&spec.schema, &all).unwrap();
    for format in [RowFormat::Hash, RowFormat::Json] {
        assert_eq!(there_and_back(format, &spec, &batch), batch, "{format:?}");
    }
}

#[test]
fn not_a_number_comes_back() {
    let spec = spec(tables::all_types("t"));
    let mut row = tables::all_types_rows()[3].clone();
    (row[6], row[7]) = (rows::Cell::Float(f64::NAN), rows::Cell::Float(f64::NAN));
    let batch = rows::batch(&spec.schema, &[row]).unwrap();
    for format in [RowFormat::Hash, RowFormat::Json] {
        let back = rows::rows_of(&there_and_back(format, &spec, &batch)).unwrap();
        let is_nan = |cell: &rows::Cell| matches!(cell, rows::Cell::Float(v) if v.is_nan());
        assert!(is_nan(&back[0][6]) && is_nan(&back[0][7]), "{format:?}: {back:?}");
    }
}

#[test]
fn nested_columns_come_back_exactly() {
    let mut list = ListBuilder::new(StringBuilder::new());
    list.append_value([Some("a\"b"), None]);
    list.append_null();
    list.append_value(Vec::<Option<&str>>::new());
    let mut by_name = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    let mut by_number = MapBuilder::new(None, Int64Builder::new(), StringBuilder::new());
    by_name.keys().append_value("x");
    by_name.values().append_value(1);
    by_name.keys().append_value("");
    by_name.values().append_null();
    by_name.append(true).unwrap();
    by_name.append(false).unwrap();
    by_name.append(true).unwrap();
    by_number.keys().append_value(i64::MAX);
    by_number.values().append_value("most");
    by_number.append(true).unwrap();
    by_number.append(true).unwrap();
    by_number.append(false).unwrap();
    let ids: ArrayRef = Arc::new(arrow::array::Int64Array::from(vec![1, 2, 3]));
    let list: ArrayRef = Arc::new(list.finish());
    let parts = Fields::from(vec![Field::new("n", DataType::Int64, true), Field::new("tags", list.data_type().clone(), true)]);
    let inner: ArrayRef =
        Arc::new(StructArray::try_new(parts, vec![ids.clone(), list.clone()], Some(vec![true, true, false].into())).unwrap());
    let columns =
        vec![("id", ids), ("l", list), ("s", inner), ("m", Arc::new(by_name.finish()) as ArrayRef), ("n", Arc::new(by_number.finish()))];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, n != "id"))).unwrap();
    let spec = TableSpec { schema: batch.schema(), ..spec(tables::all_types("t")) };
    for format in [RowFormat::Hash, RowFormat::Json] {
        assert_eq!(there_and_back(format, &spec, &batch), batch, "{format:?}");
    }
}

#[test]
fn the_rows_of_format_1_stay() {
    let spec = spec(tables::all_types("t"));
    let batch = rows::batch(&spec.schema, &[tables::all_types_rows()[3].clone(), tables::all_types_rows()[2].clone()]).unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let hash = RowShape::new(RowFormat::Hash, &spec).unwrap();
    let fields: Vec<String> = arguments(&hash, &batch, 0, 5).into_iter().map(text).collect();
    assert_eq!(
        fields.join("|"),
        "id|4|a_boolean|false|a_tinyint|-5|a_smallint|300|an_int|70000|a_bigint|-5000000000|a_float|0.5|a_double|-1234.5678|\
         a_decimal|1.500000|a_string||a_binary||a_date|1970-01-01|a_timestamp|1969-12-31T23:59:59.999999Z|\
         a_timestamp_ntz|1970-01-01T00:00:00.000001"
    );
    assert_eq!(arguments(&hash, &batch, 1, 5), [b"id", b"3".as_slice()], "a null is no field");
    let json = RowShape::new(RowFormat::Json, &spec).unwrap();
    assert_eq!(
        text(arguments(&json, &batch, 0, 5).remove(0)),
        "{\"_version\":5,\"id\":4,\"a_boolean\":false,\"a_tinyint\":-5,\"a_smallint\":300,\"an_int\":70000,\"a_bigint\":-5000000000,\
         \"a_float\":0.5,\"a_double\":-1234.5678,\"a_decimal\":1.500000,\"a_string\":\"\",\"a_binary\":\"\",\"a_date\":\"1970-01-01\",\
         \"a_timestamp\":\"1969-12-31T23:59:59.999999Z\",\"a_timestamp_ntz\":\"1970-01-01T00:00:00.000001\"}"
    );
}

#[test]
fn a_projection_may_reorder_repeat_and_leave_out_columns() {
    let spec = spec(tables::all_types("t"));
    let batch = rows::batch(&spec.schema, &tables::all_types_rows()[..1]).unwrap();
    let columns = [9, 0, 9];
    for format in [RowFormat::Hash, RowFormat::Json] {
        let shape = RowShape::new(format, &spec).unwrap();
        let put = arguments(&shape, &batch, 0, 5);
        let mut reader = shape.reader(Some(&columns)).unwrap();
        reader.push(&reply(format, &shape.read(b"k", Some(&columns)), &put, 5), |_| true).unwrap();
        assert_eq!(reader.finish().unwrap(), batch.project(&columns).unwrap(), "{format:?}");
        assert!(shape.reader(Some(&[99])).is_err());
    }
}

#[test]
fn tombstones_absent_keys_and_unwanted_versions_are_no_rows() {
    let spec = spec(tables::single("t"));
    let nil = Value::Array(vec![Value::Nil; 4]);
    let bulk = |text: &str| Value::BulkString(text.as_bytes().to_vec());
    let tombstone = Value::Array(vec![bulk("5"), bulk("1"), Value::Nil, Value::Nil]);
    let row = Value::Array(vec![bulk("5"), Value::Nil, bulk("a"), Value::Nil]);
    let shape = RowShape::new(RowFormat::Hash, &spec).unwrap();
    let mut reader = shape.reader(None).unwrap();
    assert_eq!(reader.push(&nil, |_| true).unwrap(), None);
    assert_eq!(reader.push(&tombstone, |_| true).unwrap(), None);
    assert_eq!(reader.push(&row, |v| v > Version(5)).unwrap(), None);
    let json = RowShape::new(RowFormat::Json, &spec).unwrap();
    let mut json = json.reader(None).unwrap();
    assert_eq!(json.push(&Value::Nil, |_| true).unwrap(), None);
    assert_eq!(json.push(&bulk("{\"_version\":5,\"_deleted\":true}"), |_| true).unwrap(), None);
    assert_eq!(json.push(&bulk("{\"_version\":5,\"k\":\"a\",\"v\":null}"), |v| v > Version(5)).unwrap(), None);
    assert_eq!((reader.finish().unwrap().num_rows(), json.finish().unwrap().num_rows()), (0, 0));
}

#[test]
fn what_another_program_wrote_is_corrupt() {
    let spec = spec(tables::single("t"));
    let json = RowShape::new(RowFormat::Json, &spec).unwrap();
    for text in ["hello", "{}x", "{\"k\":\"a\"}", "{\"_version\":\"x\"}", "{\"_version\":5,\"k\":\"a\",\"v\":\"many\"}"] {
        let mut reader = json.reader(None).unwrap();
        let error = reader.push(&Value::BulkString(text.as_bytes().to_vec()), |_| true).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{text}");
        assert!(error.to_string().contains("table t"), "{error}");
    }
}

#[test]
fn names_that_millstream_needs_are_refused() {
    let mut spec = spec(tables::single("t"));
    spec.schema = tables::schema(&[("k", DataType::Utf8, false), (VERSION, DataType::Int64, true)]);
    let error = RowShape::new(RowFormat::Hash, &spec).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("_version"), "{error}");
}
