//! One suite of bad input for every format: whatever a record is, it is a row or a dead letter with a reason, and the records around it are rows.

use std::sync::Arc;

use arrow::array::Array;
use arrow::datatypes::{DataType, SchemaRef};

use super::{record, schema};
use crate::decode::avro::{AvroSchema, AvroSchemas};
use crate::decode::protobuf::{self, ProtobufMessage};
use crate::decode::{ParseMode, ReadFormat, Reading, RecordDecoder};
use crate::style::{CsvStyle, TimeFormats};

/// A format with what it is fed: a good record, and bad ones with a part of the reason.
struct Fed {
    format: ReadFormat,
    columns: SchemaRef,
    good: Vec<u8>,
    bad: Vec<(&'static str, Vec<u8>, &'static str)>,
    /// The good record with a text of so many bytes.
    huge: fn(usize) -> Vec<u8>,
}

/// `id` may not be null; the good record also has what no column has.
fn columns() -> SchemaRef {
    schema(&[("id", DataType::Int64, false), ("name", DataType::Utf8, true), ("n", DataType::Int32, true)])
}

fn json() -> Fed {
    Fed {
        format: ReadFormat::default(),
        columns: columns(),
        good: br#"{"id":1,"name":"a","n":2,"more":[{"x":1}]}"#.to_vec(),
        bad: vec![
            ("truncated", br#"{"id":1,"name":"a"#.to_vec(), "ends within a string"),
            ("wrong type", br#"{"id":1,"n":"x"}"#.to_vec(), "column n: \"x\" does not fit INT"),
            ("null in NOT NULL", br#"{"id":null}"#.to_vec(), "column id is NOT NULL"),
            ("empty", Vec::new(), "it is empty"),
            ("wrong charset", b"{\"id\":1,\"name\":\"\xe9\"}".to_vec(), "not UTF-8"),
            ("another format", b"1,a,2".to_vec(), "expected an opening brace"),
        ],
        huge: |size| format!("{{\"id\":1,\"name\":\"{}\",\"n\":2}}", "x".repeat(size)).into_bytes(),
    }
}

fn csv() -> Fed {
    Fed {
        format: ReadFormat::Csv(CsvStyle::default(), TimeFormats::default()),
        columns: columns(),
        good: b"1,a,2".to_vec(),
        bad: vec![
            ("truncated", b"1,\"a".to_vec(), "ends within quotes"),
            ("wrong type", b"1,a,x".to_vec(), "column n: x does not fit INT"),
            ("null in NOT NULL", b",a,2".to_vec(), "column id is NOT NULL"),
            ("unknown fields", b"1,a,2,3".to_vec(), "the line has 4 values"),
            ("empty", Vec::new(), "it is empty"),
            ("wrong charset", b"1,\xe9,2".to_vec(), "not UTF-8"),
            ("another format", br#"{"id":1}"#.to_vec(), "the line has 1 values"),
        ],
        huge: |size| format!("1,{},2", "x".repeat(size)).into_bytes(),
    }
}

/// A length as Avro writes it.
fn zigzag(value: usize) -> Vec<u8> {
    let mut rest = value << 1;
    let mut out = Vec::new();
    while rest >= 0x80 {
        out.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
        rest >>= 7;
    }
    out.push(u8::try_from(rest).unwrap());
    out
}

fn avro() -> Fed {
    let text = r#"{"type":"record","name":"R","fields":[{"name":"id","type":["null","long"]},{"name":"more","type":{"type":"map","values":"double"}},
        {"name":"name","type":"string"},{"name":"n","type":["int","string"]}]}"#;
    Fed {
        format: ReadFormat::Avro(AvroSchemas::One(Box::new(AvroSchema::try_new(text).unwrap()))),
        columns: columns(),
        good: vec![2, 2, 0, 2, b'a', 0, 4],
        bad: vec![
            ("truncated", vec![2, 2, 0, 4, b'a'], "at byte 3"),
            ("wrong type", vec![2, 2, 0, 2, b'a', 2, 2, b'x'], "column n: string can't become INT"),
            ("null in NOT NULL", vec![0, 0, 2, b'a', 0, 4], "column id is NOT NULL"),
            ("empty", Vec::new(), "the bytes end"),
            ("wrong charset", vec![2, 2, 0, 2, 0xe9, 0, 4], "not UTF-8"),
            ("another format", br#"{"id":1}"#.to_vec(), "at byte"),
        ],
        huge: |size| [&[2, 2, 0][..], &zigzag(size), &vec![b'x'; size], &[0, 4]].concat(),
    }
}

fn protobuf() -> Fed {
    let message = ProtobufMessage::try_new(&protobuf::tests::descriptor(), "Flight").unwrap();
    let text = |size: usize| protobuf::tests::counted(2, vec![b'x'; size]);
    Fed {
        format: ReadFormat::Protobuf { message: Box::new(message), defaults: false },
        // `seats` says whether it is there; of the others, what is left out is zero.
        columns: schema(&[("seats", DataType::Int64, false), ("carrier", DataType::Utf8, true), ("id", DataType::Int32, true)]),
        good: [&[8, 2, 80, 1][..], &text(1), &[0x98, 6, 1]].concat(),
        bad: vec![
            ("truncated", vec![80, 1, 18, 5, b'a'], "beyond the end at byte 4"),
            ("wrong type", vec![80, 1, 8, 0xff, 0xff, 0xff, 0xff, 0x7f], "column id: 34359738367 does not fit INT"),
            ("null in NOT NULL", vec![8, 2], "column seats is NOT NULL"),
            ("empty", Vec::new(), "column seats is NOT NULL"),
            ("wrong charset", vec![80, 1, 18, 1, 0xe9], "not UTF-8"),
            ("another format", br#"{"id":1}"#.to_vec(), "at byte"),
        ],
        huge: |size| [&[8, 2, 80, 1][..], &protobuf::tests::counted(2, vec![b'x'; size])].concat(),
    }
}

fn all() -> Vec<Fed> {
    vec![json(), csv(), avro(), protobuf()]
}

#[test]
fn each_bad_record_is_a_dead_letter_with_its_reason_among_rows() {
    for fed in all() {
        let name = fed.format.name();
        let reading = Reading { format: fed.format.clone(), ..Reading::default() };
        let mut decoder = RecordDecoder::new(Arc::clone(&fed.columns), &reading).unwrap();
        for (case, bytes, expected) in &fed.bad {
            let decoded = decoder.decode(&[&fed.good, bytes, &fed.good].map(|b| record(Some(b), None))).unwrap();
            assert_eq!(decoded.accepted, [0, 2], "{name}, {case}: {:?}", decoded.rejected);
            let reason = &decoded.rejected[0].reason;
            assert!(reason.contains(expected) && reason.len() < 300, "{name}, {case}: {reason}");
            assert!(
                (0..3).all(|c| decoded.rows.column(c).slice(0, 1).to_data() == decoded.rows.column(c).slice(1, 1).to_data()),
                "{name}, {case}"
            );
        }
    }
}

#[test]
fn permissive_mode_makes_rows_of_all_but_a_null_in_not_null() {
    for fed in all() {
        let name = fed.format.name();
        let fields: Vec<_> = fed.columns.fields().iter().map(|f| (f.name().as_str(), f.data_type().clone(), true)).collect();
        let reading = Reading { format: fed.format.clone(), mode: ParseMode::Permissive, ..Reading::default() };
        let mut nullable = RecordDecoder::new(schema(&fields), &reading).unwrap();
        let mut required = RecordDecoder::new(Arc::clone(&fed.columns), &reading).unwrap();
        for (case, bytes, _) in &fed.bad {
            let records = [&fed.good, bytes, &fed.good].map(|b| record(Some(b), None));
            assert_eq!(nullable.decode(&records).unwrap().accepted, [0, 1, 2], "{name}, {case}");
            let decoded = required.decode(&records).unwrap();
            assert!(decoded.accepted.first() == Some(&0) && decoded.accepted.last() == Some(&2), "{name}, {case}");
        }
    }
}

#[test]
fn huge_records_are_rows_and_huge_bad_ones_have_short_reasons() {
    for fed in all() {
        let name = fed.format.name();
        let reading = Reading { format: fed.format.clone(), ..Reading::default() };
        let mut decoder = RecordDecoder::new(Arc::clone(&fed.columns), &reading).unwrap();
        let whole = (fed.huge)(3_000_000);
        let cut = &whole[..2_000_000];
        let decoded = decoder.decode(&[&whole[..], cut, &fed.good].map(|b| record(Some(b), None))).unwrap();
        assert_eq!(decoded.accepted, [0, 2], "{name}");
        assert!(decoded.rejected[0].reason.len() < 300, "{name}: {}", decoded.rejected[0].reason);
        assert_eq!(decoded.rows.column(1).len(), 2);
    }
}
