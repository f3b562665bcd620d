#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray, UInt8Array,
};
use arrow::array::{Int32Array, ListArray};
use arrow::datatypes::{DataType, Field, Int32Type, Schema};

use super::*;
use crate::ports::EpochWrite;
use crate::style::CsvStyle;
use crate::{Attempt, Epoch, FlowId, KeySpec, TableKind, Version};

fn spec(columns: &[(&str, &ArrayRef, bool)]) -> TableSpec {
    let fields: Vec<_> = columns.iter().map(|(name, array, null)| Field::new(*name, array.data_type().clone(), *null)).collect();
    TableSpec { name: "t".to_owned(), kind: TableKind::Topic, schema: Arc::new(Schema::new(fields)), key: KeySpec::default(), ttl: None }
}

fn output(format: ValueFormat, key: &[&str]) -> TopicOutput {
    let key_columns = key.iter().map(|k| (*k).to_owned()).collect();
    TopicOutput { topic: "t".to_owned(), partitions: 1, retention: None, format, style: TextStyle::default(), key_columns }
}

fn encoded(columns: &[(&str, ArrayRef, bool)], format: ValueFormat, key: &[&str]) -> Vec<EncodedRecord> {
    let spec = spec(&columns.iter().map(|(name, array, null)| (*name, array, *null)).collect::<Vec<_>>());
    let rows = RecordBatch::try_new(spec.schema.clone(), columns.iter().map(|(_, array, _)| array.clone()).collect()).unwrap();
    let changes = ChangeBatch::inserts(rows, Version(1_704_067_200_123_456)).unwrap();
    RowEncoder::try_new(&spec, &output(format, key)).unwrap().encode(&changes).unwrap()
}

fn texts(records: &[EncodedRecord]) -> Vec<&str> {
    records.iter().map(|r| std::str::from_utf8(r.value.as_deref().unwrap()).unwrap()).collect()
}

fn columns() -> Vec<(&'static str, ArrayRef, bool)> {
    let zone = |a: TimestampMicrosecondArray| a.with_timezone("UTC");
    vec![
        ("b", Arc::new(BooleanArray::from(vec![Some(true), None])) as ArrayRef, true),
        ("tiny", Arc::new(Int8Array::from(vec![-128, 127])), false),
        ("n", Arc::new(Int64Array::from(vec![Some(i64::MIN), None])), true),
        ("f", Arc::new(Float32Array::from(vec![0.1, f32::NAN])), true),
        ("d", Arc::new(Float64Array::from(vec![-0.5, f64::NEG_INFINITY])), true),
        ("m", Arc::new(Decimal128Array::from(vec![-5, 123_456]).with_precision_and_scale(10, 2).unwrap()), true),
        ("s", Arc::new(StringArray::from(vec![Some("a \"b\", c\\\n\u{1}é"), Some("")])), true),
        ("bin", Arc::new(BinaryArray::from(vec![b"ab".as_slice(), b""])), true),
        ("day", Arc::new(Date32Array::from(vec![15_908, -719_529])), true),
        ("ts", Arc::new(zone(TimestampMicrosecondArray::from(vec![1_374_519_600_000_000, -1]))), true),
        ("wall", Arc::new(TimestampMicrosecondArray::from(vec![0, 1_000])), true),
    ]
}

#[test]
fn json_is_as_spark_writes_it() {
    assert_eq!(
        texts(&encoded(&columns(), ValueFormat::Json, &[])),
        [
            "{\"b\":true,\"tiny\":-128,\"n\":-9223372036854775808,\"f\":0.1,\"d\":-0.5,\"m\":-0.05,\"s\":\"a \\\"b\\\", c\\\\\\n\\u0001é\",\
             \"bin\":\"YWI=\",\"day\":\"2013-07-22\",\"ts\":\"2013-07-22T19:00:00.000Z\",\"wall\":\"1970-01-01T00:00:00.000\"}",
            "{\"tiny\":127,\"f\":\"NaN\",\"d\":\"-Infinity\",\"m\":1234.56,\"s\":\"\",\"bin\":\"\",\"day\":\"-0001-12-31\",\
             \"ts\":\"1969-12-31T23:59:59.999999Z\",\"wall\":\"1970-01-01T00:00:00.001\"}",
        ]
    );
}

#[test]
fn csv_is_as_spark_writes_it() {
    assert_eq!(
        texts(&encoded(&columns(), ValueFormat::Csv, &[])),
        [
            "true,-128,-9223372036854775808,0.1,-0.5,-0.05,\"a \\\"b\\\", c\\\\\n\u{1}é\",YWI=,2013-07-22,2013-07-22T19:00:00.000Z,\
             1970-01-01T00:00:00.000",
            ",127,,NaN,-Infinity,1234.56,\"\",\"\",-0001-12-31,1969-12-31T23:59:59.999999Z,1970-01-01T00:00:00.001",
        ]
    );
}

#[test]
fn to_csv_quotes_what_begins_as_a_comment_and_has_no_empty_line() {
    let strings = |values: Vec<Option<&str>>| Arc::new(StringArray::from(values)) as ArrayRef;
    let lines = |columns: Vec<ArrayRef>| {
        let fields: Vec<_> = (0..columns.len()).map(|i| Field::new(format!("c{i}"), columns[i].data_type().clone(), true)).collect();
        let style = TextStyle { csv: CsvStyle { of_function: true, ..CsvStyle::default() }, ..TextStyle::default() };
        let texts = to_csv(&StructArray::new(fields.into(), columns, None), &style).unwrap();
        texts.iter().map(|text| text.map(str::to_owned)).collect::<Vec<_>>()
    };
    let some = |texts: &[&str]| texts.iter().map(|text| Some((*text).to_owned())).collect::<Vec<_>>();
    assert_eq!(lines(vec![strings(vec![None])]), [None]);
    assert_eq!(lines(vec![strings(vec![Some("")])]), some(&["\"\""]));
    let (first, second) = (strings(vec![Some("#c"), Some("a#"), None]), strings(vec![Some("y"), Some("#c"), None]));
    assert_eq!(lines(vec![first, second]), some(&["\"#c\",y", "a#,#c", ","]));
    assert_eq!(lines(vec![Arc::new(BinaryArray::from(vec![b" \xff".as_slice(), b""]))]), some(&["[20 FF]", "[]"]));
}

#[test]
fn avro_has_unions_with_the_type_first_and_decimals_of_the_least_size() {
    let some: Vec<_> = columns().into_iter().filter(|(name, ..)| ["b", "tiny", "m", "s"].contains(name)).collect();
    let values: Vec<_> = encoded(&some, ValueFormat::Avro, &[]).into_iter().map(|r| r.value.unwrap()).collect();
    assert_eq!(values[1].as_ref(), [2, 0xfe, 1, 0, 0, 0, 1, 0xe2, 0x40, 0, 0]);
    assert_eq!(values[0].as_ref()[..9], [0, 1, 0xff, 1, 0, 0xff, 0xff, 0xff, 0xff]);
    let schema = avro_schema(&spec(&some.iter().map(|(n, a, null)| (*n, a, *null)).collect::<Vec<_>>()).schema);
    assert_eq!(schema["fields"][0]["type"], serde_json::json!(["boolean", "null"]));
    assert_eq!(schema["fields"][1]["type"], "int");
    assert_eq!((&schema["name"], &schema["fields"][2]["type"][0]["size"]), (&"topLevelRecord".into(), &5.into()));
}

#[test]
fn nested_values_are_json_and_no_csv() {
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1), None]), Some(vec![])]);
    let column = [("l", Arc::new(lists) as ArrayRef, true)];
    assert_eq!(texts(&encoded(&column, ValueFormat::Json, &[])), ["{\"l\":[1,null]}", "{\"l\":[]}"]);
    let spec = spec(&[("l", &column[0].1, true)]);
    let error = RowEncoder::try_new(&spec, &output(ValueFormat::Csv, &[])).unwrap_err();
    assert!(error.kind() == crate::ErrorKind::Unsupported && error.to_string().contains("column l"), "{error}");
}

#[test]
fn a_key_of_one_column_is_text_and_of_several_an_object() {
    let keys = |key: &[&str]| -> Vec<Option<Bytes>> { encoded(&columns(), ValueFormat::Json, key).into_iter().map(|r| r.key).collect() };
    assert_eq!(keys(&[]), [None, None]);
    assert_eq!(keys(&["day"]), [Some("2013-07-22".into()), Some("-0001-12-31".into())]);
    assert_eq!(keys(&["b"]), [Some("true".into()), None], "a null key of one column is none");
    assert_eq!(keys(&["tiny", "b"]), [Some("{\"tiny\":-128,\"b\":true}".into()), Some("{\"tiny\":127}".into())]);
}

#[test]
fn a_delete_is_a_tombstone_and_needs_a_key() {
    let n: ArrayRef = Arc::new(Int32Array::from(vec![7]));
    let spec = spec(&[("n", &n, false)]);
    let rows = RecordBatch::try_new(spec.schema.clone(), vec![n]).unwrap();
    let (versions, place) = (arrow::array::Int64Array::from(vec![5_999]), Int32Array::from(vec![0]));
    let kinds = UInt8Array::from(vec![ChangeKind::Delete.code()]);
    let changes = ChangeBatch::try_new(rows, kinds, versions, place, arrow::array::Int64Array::from(vec![0])).unwrap();
    let records = RowEncoder::try_new(&spec, &output(ValueFormat::Json, &["n"])).unwrap().encode(&changes).unwrap();
    assert_eq!(records, [EncodedRecord { key: Some("7".into()), value: None, timestamp: Timestamp(5_000) }]);
    let without = RowEncoder::try_new(&spec, &output(ValueFormat::Json, &[])).unwrap().encode(&changes).unwrap_err();
    assert_eq!(without.kind(), crate::ErrorKind::InvalidInput);
    let absent = RowEncoder::try_new(&spec, &output(ValueFormat::Json, &["nope"])).unwrap_err();
    assert!(absent.to_string().contains("nope"), "{absent}");
}

#[test]
fn a_type_without_a_word_in_json_is_refused() {
    let odd: ArrayRef = Arc::new(UInt8Array::from(vec![1]));
    assert_eq!(odd.data_type(), &DataType::UInt8);
    let error = RowEncoder::try_new(&spec(&[("odd", &odd, false)]), &output(ValueFormat::Json, &[])).unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Unsupported);
}

/// The values of the Java client's own test (`UtilsTest.testMurmur2`).
#[test]
fn keys_are_hashed_as_the_java_client_hashes_them() {
    let hashes = [
        ("21", -973_932_308),
        ("foobar", -790_332_482),
        ("a-little-bit-long-string", -985_981_536),
        ("a-little-bit-longer-string", -1_486_304_829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ("abc", 479_470_107),
    ];
    for (key, hash) in hashes {
        assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
        assert_eq!(partition_of_key(key.as_bytes(), 7), (hash & 0x7fff_ffff) % 7);
    }
}

#[test]
fn an_epoch_is_the_same_records_whenever_it_is_encoded_and_each_names_its_position() {
    let names: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), Some("b"), None]));
    let spec = spec(&[("s", &names, true)]);
    let rows = RecordBatch::try_new(spec.schema.clone(), vec![names]).unwrap();
    let changes = ChangeBatch::inserts(rows, Version(5_999)).unwrap();
    let write = |attempt| EpochWrite {
        flow: FlowId::new("a/b"),
        attempt: Attempt(attempt),
        epoch: Epoch(7),
        table: "t".to_owned(),
        changes: vec![changes.slice(0, 2), changes.slice(2, 1)],
    };
    let encoder = RowEncoder::try_new(&spec, &output(ValueFormat::Json, &["s"])).unwrap();
    let (first, again) = (encoder.encode_epoch(&write(1), 5).unwrap(), encoder.encode_epoch(&write(2), 5).unwrap());
    let bare = |records: &[PlacedRecord]| -> Vec<_> {
        records.iter().map(|r| (r.partition, r.sequence, r.record.key.clone(), r.record.value.clone(), r.record.timestamp)).collect()
    };
    assert_eq!(bare(&first), bare(&again));
    for rows_max in 1..4 {
        let epoch = write(1);
        let in_parts = parts(&epoch, rows_max).iter().flat_map(|part| encoder.encode_part(&epoch, part, 5).unwrap()).collect::<Vec<_>>();
        assert_eq!(in_parts, first, "in parts of {rows_max}");
    }
    let partitions: Vec<i32> = first.iter().map(|r| r.partition).collect();
    assert_eq!(partitions, [partition_of_key(b"a", 5), partition_of_key(b"b", 5), (7 + 2) % 5], "a record without a key goes in turn");
    let positions: Vec<_> = again.iter().map(|r| EpochPosition::of(&r.record.headers).unwrap()).collect();
    assert_eq!(positions.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a/b/2/7/0", "a/b/2/7/1", "a/b/2/7/2"]);
    assert_eq!(positions[0].flow, FlowId::new("a/b"), "a flow's name may hold a slash");
    for foreign in ["", "f", "1/2/3", "f/1/2/x", "f/1/2/-3"] {
        assert_eq!(EpochPosition::parse(foreign), None, "{foreign:?}");
    }
}
