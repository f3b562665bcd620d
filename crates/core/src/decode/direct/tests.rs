use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use bytes::Bytes;

use super::super::{Decoded, Reading, RecordDecoder};
use crate::ports::Record;
use crate::table::timestamp_type;
use crate::{Offset, Timestamp};

fn schema() -> Arc<Schema> {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("name", DataType::Utf8, true),
        Field::new("at", timestamp_type(), true),
        Field::new("small", DataType::Int8, true),
        Field::new("ratio", DataType::Float64, true),
        Field::new("ok", DataType::Boolean, true),
        Field::new("day", DataType::Date32, true),
    ]))
}

/// Records of every kind, usual and not.
const VALUES: [&str; 24] = [
    r#"{"id":1,"name":"a","at":"2013-07-22T19:00:00Z","small":-128,"ratio":0.5,"ok":true,"day":"2013-07-22"}"#,
    r#"{"id":2}"#,
    r#" { "name" : null , "id" : 9223372036854775807 } "#,
    r#"{"id":-9223372036854775808,"name":"é \"quoted\" \u00e9"}"#,
    r#"{"id":3,"name":12.50,"at":1374519600}"#,
    r#"{"id":4,"small":128}"#,
    r#"{"id":5,"id":6}"#,
    r#"{"id":7,"name":"x","name":5}"#,
    r#"{"name":"nobody"}"#,
    r#"{"id":null}"#,
    r#"{"id":8,"small":1.0}"#,
    r#"{"id":"9"}"#,
    r#"{"id":01}"#,
    r#"{"id":10,"name":["a"]}"#,
    r#"{"id":11,"other":{"deep":[1,2,{"id":5}]},"name":"after"}"#,
    r#"{"id":12,"ratio":"NaN"}"#,
    r#"{"id":13,"ratio":1e400}"#,
    r#"{"id":14,"at":"yesterday"}"#,
    r#"{"id":15,"ok":"true"}"#,
    r#"{"id":16,"day":"2013-02-30"}"#,
    r#"{"id":17,"ok":nul}"#,
    r#"{"id":18} {"id":19}"#,
    "",
    r#"{"id":123456789012,"name":"1234567","small":7,"day":"2013-07-22","ok":false}"#,
];

fn records() -> Vec<Record> {
    let record = |(offset, value): (i64, &&'static str)| Record {
        offset: Offset(offset),
        timestamp: Timestamp(0),
        key: None,
        value: Some(Bytes::from(value.as_bytes())),
        headers: Vec::new(),
    };
    (0..).zip(&VALUES).map(record).collect()
}

fn decoded(decoder: RecordDecoder) -> Decoded {
    let mut decoder = decoder;
    // The second time it has learned the order of members.
    decoder.decode(&records()).unwrap();
    decoder.decode(&records()).unwrap()
}

fn by_slots() -> Decoded {
    let decoder = RecordDecoder::new(schema(), &Reading::default()).unwrap();
    decoded(RecordDecoder { direct: None, ..decoder })
}

#[test]
fn the_short_way_and_the_long_one_give_the_same_rows_and_reasons() {
    let decoder = RecordDecoder::new(schema(), &Reading::default()).unwrap();
    assert!(decoder.direct.is_some());
    let (short, long) = (decoded(decoder), by_slots());
    assert_eq!(short.rows, long.rows);
    assert_eq!((short.accepted, short.rejected), (long.accepted, long.rejected));
}

#[test]
fn columns_that_are_not_kept_are_checked_all_the_same() {
    let decoder = RecordDecoder::new(schema(), &Reading::default()).unwrap().keeping(&[1, 4]);
    let (some, all) = (decoded(decoder), by_slots());
    assert_eq!(some.rows, all.rows.project(&[1, 4]).unwrap());
    assert_eq!((some.accepted, some.rejected), (all.accepted, all.rejected));
}

#[test]
fn a_column_can_be_kept_twice() {
    let decoder = RecordDecoder::new(schema(), &Reading::default()).unwrap().keeping(&[1, 0, 1]);
    assert_eq!(decoded(decoder).rows, by_slots().rows.project(&[1, 0, 1]).unwrap());
}

#[test]
fn no_column_at_all_still_counts_rows() {
    let decoder = RecordDecoder::new(schema(), &Reading::default()).unwrap().keeping(&[]);
    assert_eq!(decoded(decoder).rows.num_rows(), by_slots().rows.num_rows());
}
