#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array, Int64Array, ListArray,
    MapBuilder, StringArray, StringBuilder, StructArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Field, Int32Type};

use super::*;

fn texts(array: ArrayRef) -> Vec<String> {
    (0..array.len())
        .map(|row| {
            let mut out = Vec::new();
            write_value(&mut out, &array, row).unwrap();
            String::from_utf8(out).unwrap()
        })
        .collect()
}

#[test]
fn numbers_keep_all_their_digits() {
    assert_eq!(texts(Arc::new(Int64Array::from(vec![Some(i64::MIN), None]))), ["-9223372036854775808", "null"]);
    assert_eq!(texts(Arc::new(Int8Array::from(vec![-128]))), ["-128"]);
    let decimals = Decimal128Array::from(vec![12_345, -5, 0]).with_precision_and_scale(38, 2).unwrap();
    assert_eq!(texts(Arc::new(decimals)), ["123.45", "-0.05", "0.00"]);
    assert_eq!(texts(Arc::new(Float32Array::from(vec![0.1]))), ["0.1"]);
    assert_eq!(texts(Arc::new(Float64Array::from(vec![132.785_714_285_714_28, 1.0]))), ["132.78571428571428", "1.0"]);
}

#[test]
fn floats_that_are_no_numbers_are_strings_as_spark_writes_them() {
    let odd = Float64Array::from(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY]);
    assert_eq!(texts(Arc::new(odd)), [r#""NaN""#, r#""Infinity""#, r#""-Infinity""#]);
}

#[test]
fn times_are_rfc_3339_with_a_fraction_only_where_there_is_one() {
    let micros = vec![1_374_519_600_000_000, 1_374_519_600_000_001, -1];
    let zoned = TimestampMicrosecondArray::from(micros.clone()).with_timezone("UTC");
    assert_eq!(
        texts(Arc::new(zoned)),
        [r#""2013-07-22T19:00:00Z""#, r#""2013-07-22T19:00:00.000001Z""#, r#""1969-12-31T23:59:59.999999Z""#]
    );
    let local = TimestampMicrosecondArray::from(micros[..1].to_vec());
    assert_eq!(texts(Arc::new(local)), [r#""2013-07-22T19:00:00""#]);
    assert_eq!(texts(Arc::new(Date32Array::from(vec![15_908, -1]))), [r#""2013-07-22""#, r#""1969-12-31""#]);
}

#[test]
fn texts_are_escaped_and_bytes_are_base64() {
    assert_eq!(texts(Arc::new(StringArray::from(vec!["a\"b\n\u{1}é"]))), ["\"a\\\"b\\n\\u0001é\""]);
    let bytes: Vec<&[u8]> = vec![b"", b"f", b"fo", b"foo", b"foob", &[255, 254]];
    assert_eq!(texts(Arc::new(BinaryArray::from(bytes))), [r#""""#, r#""Zg==""#, r#""Zm8=""#, r#""Zm9v""#, r#""Zm9vYg==""#, r#""//4=""#]);
}

#[test]
fn nested_values_are_arrays_and_objects() {
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1), None]), None, Some(vec![])]);
    assert_eq!(texts(Arc::new(list)), ["[1,null]", "null", "[]"]);
    let inner: ArrayRef = Arc::new(BooleanArray::from(vec![true]));
    let object = StructArray::from(vec![(Arc::new(Field::new("ok", DataType::Boolean, false)), inner)]);
    assert_eq!(texts(Arc::new(object)), [r#"{"ok":true}"#]);
    let mut map = MapBuilder::new(None, StringBuilder::new(), arrow::array::Int32Builder::new());
    map.keys().append_value("k");
    map.values().append_value(7);
    map.append(true).unwrap();
    assert_eq!(texts(Arc::new(map.finish())), [r#"{"k":7}"#]);
}

#[test]
fn a_row_is_an_object_of_its_first_columns() {
    let batch = RecordBatch::try_from_iter([
        ("carrier", Arc::new(StringArray::from(vec!["UA"])) as ArrayRef),
        ("_version", Arc::new(Int64Array::from(vec![1])) as ArrayRef),
    ])
    .unwrap();
    let mut out = Vec::new();
    write_row(&mut out, &batch, 1, 0).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), r#"{"carrier":"UA"}"#);
}
