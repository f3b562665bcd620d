#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use arrow::array::Array;
use arrow::datatypes::SchemaRef;
use arrow::util::display::array_value_to_string;

use super::*;
use crate::decode::tests::{record, schema};
use crate::decode::{Decoded, ParseMode, ReadFormat, Reading, RecordDecoder};
use crate::table::timestamp_type;

const FLIGHT: &str = r#"{"type":"record","name":"Flight","namespace":"a.b","fields":[
    {"name":"id","type":"long"},
    {"name":"unknown","type":{"type":"array","items":{"type":"map","values":["null","Flight"]}}},
    {"name":"carrier","type":["null","string"],"default":null},
    {"name":"kind","type":{"type":"enum","name":"Kind","symbols":["ARRIVAL","DEPARTURE"]}},
    {"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":10,"scale":1}},
    {"name":"Ts","type":{"type":"long","logicalType":"timestamp-millis"}},
    {"name":"legs","type":{"type":"array","items":{"type":"record","name":"Leg","fields":[{"name":"minutes","type":"int"},{"name":"from","type":"string"}]}}}
]}"#;

fn columns() -> SchemaRef {
    let legs = DataType::List(std::sync::Arc::new(arrow::datatypes::Field::new(
        "item",
        DataType::Struct(arrow::datatypes::Fields::from(vec![
            arrow::datatypes::Field::new("from", DataType::Utf8, true),
            arrow::datatypes::Field::new("minutes", DataType::Int16, true),
        ])),
        true,
    )));
    schema(&[
        ("id", DataType::Int64, false),
        ("carrier", DataType::Utf8, true),
        ("kind", DataType::Utf8, true),
        ("price", DataType::Decimal128(12, 2), true),
        ("ts", timestamp_type(), true),
        ("legs", legs, true),
        ("absent", DataType::Int32, true),
    ])
}

/// A record of [`FLIGHT`]: id 1, carrier UA, DEPARTURE, 12.5, one millisecond, a leg of 7 minutes from X.
fn flight() -> Vec<u8> {
    let mut bytes = vec![2];
    // One map of one entry, "k": null.
    bytes.extend([2, 2, 2, b'k', 0, 0, 0]);
    bytes.extend([2, 4, b'U', b'A']);
    bytes.push(2);
    bytes.extend([2, 125]);
    bytes.push(2);
    bytes.extend([2, 14, 2, b'X', 0]);
    bytes
}

fn framed_as(id: u32, record: &[u8]) -> Vec<u8> {
    [&[0][..], &id.to_be_bytes(), record].concat()
}

fn registry(mode: ParseMode) -> RecordDecoder {
    let reading = Reading { format: ReadFormat::Avro(AvroSchemas::Registry), mode, ..Reading::default() };
    RecordDecoder::new(columns(), &reading).unwrap()
}

fn cells(decoded: &Decoded, row: usize) -> Vec<String> {
    let text = |c: &ArrayRef| if c.is_null(row) { "null".to_owned() } else { array_value_to_string(c, row).unwrap() };
    decoded.rows.columns().iter().map(text).collect()
}

#[test]
fn a_record_of_a_registrys_schema_becomes_the_tables_columns() {
    let mut decoder = registry(ParseMode::DeadLetter);
    let records = [record(Some(&framed_as(7, &flight())), None)];
    assert_eq!(decoder.missing_schemas(&records).into_iter().collect::<Vec<_>>(), [7]);
    decoder.learn_schema(7, FLIGHT);
    assert!(decoder.missing_schemas(&records).is_empty());
    let decoded = decoder.decode(&records).unwrap();
    assert_eq!(decoded.rejected, []);
    let row = ["1", "UA", "DEPARTURE", "12.50", "1970-01-01T00:00:00.001Z", "[{from: X, minutes: 7}]", "null"];
    assert_eq!(cells(&decoded, 0), row);
}

#[test]
fn a_record_cut_off_anywhere_or_followed_by_something_is_rejected() {
    let mut decoder = registry(ParseMode::DeadLetter);
    decoder.learn_schema(7, FLIGHT);
    let whole = framed_as(7, &flight());
    for length in 0..whole.len() {
        let decoded = decoder.decode(&[record(Some(&whole[..length]), None)]).unwrap();
        assert_eq!(decoded.rejected.len(), 1, "{length} bytes");
    }
    let longer = [&whole[..], &[0]].concat();
    let decoded = decoder.decode(&[record(Some(&longer), None), record(Some(&whole), None)]).unwrap();
    assert_eq!(decoded.accepted, [1]);
    assert!(decoded.rejected[0].reason.contains("something follows it"), "{}", decoded.rejected[0].reason);
}

#[test]
fn damaged_bytes_never_do_more_than_reject_a_record() {
    let mut decoder = registry(ParseMode::DeadLetter);
    decoder.learn_schema(7, FLIGHT);
    let whole = framed_as(7, &flight());
    for at in 5..whole.len() {
        for byte in 0..=u8::MAX {
            let mut bytes = whole.clone();
            bytes[at] = byte;
            let decoded = decoder.decode(&[record(Some(&bytes), None), record(Some(&whole), None)]).unwrap();
            assert_eq!(decoded.rows.num_rows() + decoded.rejected.len(), 2);
            assert_eq!(decoded.accepted.last(), Some(&1));
        }
    }
}

#[test]
fn schemas_that_can_not_be_rows_reject_their_records_with_the_reason() {
    let mut decoder = registry(ParseMode::DeadLetter);
    let with = |fields: &str| format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#);
    decoder.learn_schema(1, &with(r#"{"name":"carrier","type":"string"}"#));
    decoder.learn_schema(2, &with(r#"{"name":"id","type":"string"}"#));
    decoder.learn_schema(3, "nonsense at all");
    decoder.learn_schema(4, r#""string""#);
    let reason = |decoder: &mut RecordDecoder, id: u32| {
        decoder.decode(&[record(Some(&framed_as(id, &[0])), None)]).unwrap().rejected.remove(0).reason
    };
    assert!(reason(&mut decoder, 1).contains("column id is NOT NULL"));
    assert!(reason(&mut decoder, 2).contains("field id of its Avro schema: string can't become BIGINT"));
    assert!(reason(&mut decoder, 3).contains("can't be read: it is not JSON"));
    assert!(reason(&mut decoder, 4).contains("not a record"));
    let plain = decoder.decode(&[record(Some(b"{}"), None), record(Some(b""), None)]).unwrap();
    assert!(plain.rejected.iter().all(|r| r.reason.contains("does not begin with a zero byte")), "{:?}", plain.rejected);
}

#[test]
fn values_beyond_their_column_are_named() {
    let schema_text = r#"{"type":"record","name":"R","fields":[{"name":"id","type":"long"},{"name":"n","type":["null","long","string"]}]}"#;
    let columns = schema(&[("id", DataType::Int16, false), ("n", DataType::Int32, true)]);
    let one = AvroSchemas::One(Box::new(AvroSchema::try_new(schema_text).unwrap()));
    let reading = |mode| Reading { format: ReadFormat::Avro(one.clone()), mode, ..Reading::default() };
    let records: Vec<_> =
        [&[2, 0][..], &[0x80, 0x80, 0x08, 0], &[4, 4, 2, b'x'], &[6, 2, 10]].iter().map(|b| record(Some(b), None)).collect();
    let decoded = RecordDecoder::new(columns.clone(), &reading(ParseMode::DeadLetter)).unwrap().decode(&records).unwrap();
    assert_eq!(decoded.accepted, [0, 3]);
    let reasons: Vec<_> = decoded.rejected.iter().map(|r| r.reason.as_str()).collect();
    assert_eq!(reasons, ["column id: 65536 does not fit SMALLINT", "column n: string can't become INT"]);
    let decoded = RecordDecoder::new(columns, &reading(ParseMode::Permissive)).unwrap().decode(&records).unwrap();
    assert_eq!(decoded.accepted, [0, 2, 3]);
    assert_eq!((cells(&decoded, 1), cells(&decoded, 2)), (vec!["2".to_owned(), "null".to_owned()], vec!["3".to_owned(), "5".to_owned()]));
}

#[test]
fn what_millstream_writes_it_reads_again() {
    let schema_json = crate::encode::avro_schema(&columns());
    let schema = AvroSchema::try_new(&schema_json.to_string()).unwrap();
    let (data_type, nullable) = schema.data_type().unwrap();
    assert!(!nullable);
    assert_eq!(DataType::Struct(columns().fields().clone()).to_string().replace("Int16", "Int32"), data_type.to_string());
    RecordDecoder::new(columns(), &Reading { format: ReadFormat::Avro(AvroSchemas::One(Box::new(schema))), ..Reading::default() }).unwrap();
}

#[test]
fn values_of_a_schema_are_from_avros() {
    let schema = AvroSchema::try_new(r#"["null",{"type":"int","logicalType":"date"}]"#).unwrap();
    let values = AvroValues::try_new(&schema, false).unwrap();
    let array = values.read([Some(&[2, 2][..]), Some(&[0]), None].into_iter()).unwrap();
    assert_eq!(array_value_to_string(&array, 0).unwrap(), "1970-01-02");
    assert!(array.is_null(1) && array.is_null(2));
    assert!(values.read([Some(&[9][..])].into_iter()).is_err());
    assert!(AvroValues::try_new(&schema, true).unwrap().read([Some(&[9][..])].into_iter()).unwrap().is_null(0));
}

#[test]
fn decimals_are_exact() {
    let field = r#"{"name":"m","type":{"type":"bytes","logicalType":"decimal","precision":38,"scale":2}}"#;
    let schema_text = format!(r#"{{"type":"record","name":"R","fields":[{field}]}}"#);
    let one = AvroSchemas::One(Box::new(AvroSchema::try_new(&schema_text).unwrap()));
    let columns = schema(&[("m", DataType::Decimal128(4, 1), true)]);
    let mut decoder = RecordDecoder::new(columns, &Reading { format: ReadFormat::Avro(one), ..Reading::default() }).unwrap();
    let records: Vec<_> =
        [&[4, 0x00, 0xfa][..], &[2, 0xf6], &[2, 0x01], &[6, 0x0f, 0x42, 0x40], &[0]].iter().map(|b| record(Some(b), None)).collect();
    let decoded = decoder.decode(&records).unwrap();
    assert_eq!(decoded.accepted, [0, 1, 4]);
    let values: Vec<_> = (0..3).map(|row| cells(&decoded, row).remove(0)).collect();
    assert_eq!(values, ["2.5", "-0.1", "0.0"]);
}
