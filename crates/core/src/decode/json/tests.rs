#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::sync::Arc;

use arrow::array::Array;
use arrow::datatypes::{DataType, Field, Fields};
use arrow::util::display::array_value_to_string;

use crate::decode::tests::{events, record, schema};
use crate::decode::{ParseMode, ReadFormat, Reading, RecordDecoder};
use crate::pattern::TimePattern;
use crate::style::TimeFormats;
use crate::table::timestamp_type;

fn list(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", item, true)))
}

fn structure(members: &[(&str, DataType, bool)]) -> DataType {
    DataType::Struct(members.iter().map(|(name, kind, nullable)| Field::new(*name, kind.clone(), *nullable)).collect())
}

fn map(value: DataType) -> DataType {
    let pair = Fields::from(vec![Field::new("key", DataType::Utf8, false), Field::new("value", value, true)]);
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(pair), false)), false)
}

fn leg() -> DataType {
    structure(&[("from", DataType::Utf8, true), ("minutes", DataType::Int32, true)])
}

/// What a value becomes in a column `c` of this type: its text, `null`, or the reason.
fn one(kind: &DataType, mode: ParseMode, value: &str) -> Result<String, String> {
    let reading = Reading { mode, ..Reading::default() };
    let mut decoder = RecordDecoder::new(schema(&[("c", kind.clone(), true)]), &reading).unwrap();
    let decoded = decoder.decode(&events(&[&format!("{{\"c\":{value}}}")])).unwrap();
    match decoded.rejected.first() {
        Some(rejected) => Err(rejected.reason.clone()),
        None if decoded.rows.column(0).is_null(0) => Ok("null".to_owned()),
        None => Ok(array_value_to_string(decoded.rows.column(0), 0).unwrap()),
    }
}

#[test]
fn nested_values_keep_their_shape() {
    let cases = [
        (list(DataType::Int32), "[1, null,3]", "[1, , 3]"),
        (list(DataType::Int32), "[]", "[]"),
        (list(DataType::Int32), "null", "null"),
        (list(list(DataType::Utf8)), r#"[["a\n"],[],["b","c"]]"#, "[[a\n], [], [b, c]]"),
        (leg(), r#"{"minutes":7,"x":{"from":1},"from":"EWR","minutes":8}"#, "{from: EWR, minutes: 8}"),
        (leg(), "{}", "{from: , minutes: }"),
        (map(DataType::Float64), r#"{"a":1,"\u0062":null}"#, "{a: 1.0, b: }"),
        (map(leg()), r#"{"out":{"from":"JFK"}}"#, "{out: {from: JFK, minutes: }}"),
        (list(leg()), r#"[{"from":"EWR"},null,{"minutes":1}]"#, "[{from: EWR, minutes: }, , {from: , minutes: 1}]"),
    ];
    for (kind, value, expected) in cases {
        assert_eq!(one(&kind, ParseMode::DeadLetter, value).as_deref(), Ok(expected), "{value}");
    }
}

#[test]
fn what_does_not_fit_within_is_named_by_its_place() {
    let cases = [
        (list(DataType::Int32), r#"[1,"x"]"#, r#"column c: c[1] "x" does not fit INT"#),
        (list(leg()), r#"[{"from":"EWR"},{"minutes":1.5}]"#, "column c: c[1].minutes 1.5 does not fit INT"),
        (map(list(DataType::Boolean)), r#"{"a":[true,1]}"#, "column c: c['a'][1] 1 does not fit BOOLEAN"),
        (structure(&[("x", DataType::Int32, false)]), "{}", "column c: c.x is NOT NULL, and the record has no value for it"),
        (list(DataType::Int32), "{}", "column c: {} does not fit ARRAY"),
        (leg(), "[1]", "column c: [1] does not fit STRUCT"),
        (map(DataType::Int32), "7", "column c: 7 does not fit MAP"),
    ];
    for (kind, value, expected) in cases {
        assert_eq!(one(&kind, ParseMode::DeadLetter, value).unwrap_err(), expected, "{value}");
    }
}

#[test]
fn permissive_mode_keeps_what_spark_keeps_of_a_nested_value() {
    let cases = [
        (leg(), r#"{"from":"EWR","minutes":"x"}"#, "{from: EWR, minutes: }"),
        (list(leg()), r#"[{"from":"EWR","minutes":"x"},{"minutes":1}]"#, "[{from: EWR, minutes: }, {from: , minutes: 1}]"),
        (list(DataType::Int32), r#"[1,"x"]"#, "null"),
        (map(DataType::Int32), r#"{"a":1,"b":"x"}"#, "null"),
        (structure(&[("l", list(DataType::Int32), true), ("n", DataType::Int32, true)]), r#"{"l":[true],"n":1}"#, "{l: , n: 1}"),
    ];
    for (kind, value, expected) in cases {
        assert_eq!(one(&kind, ParseMode::Permissive, value).as_deref(), Ok(expected), "{value}");
    }
}

#[test]
fn a_rejected_nested_value_leaves_nothing_behind() {
    let columns = schema(&[("id", DataType::Int32, false), ("legs", list(leg()), true), ("tags", map(DataType::Utf8), true)]);
    let mut decoder = RecordDecoder::new(columns, &Reading::default()).unwrap();
    let decoded = decoder
        .decode(&events(&[
            r#"{"id":1,"legs":[{"from":"a"},{"from":"b"}],"tags":{"k":"v"}}"#,
            r#"{"id":2,"legs":[{"from":"c"},{"minutes":"x"}],"tags":{"k":"w"}}"#,
            r#"{"id":3,"tags":{},"legs":[]"#,
            r#"{"id":4,"tags":{"a":"b","c":"d"}}"#,
        ]))
        .unwrap();
    assert_eq!(decoded.accepted, [0, 3]);
    let cell = |column: usize, row: usize| array_value_to_string(decoded.rows.column(column), row).unwrap();
    assert_eq!((cell(1, 0), cell(2, 0)), ("[{from: a, minutes: }, {from: b, minutes: }]".to_owned(), "{k: v}".to_owned()));
    assert!(decoded.rows.column(1).is_null(1));
    assert_eq!(cell(2, 1), "{a: b, c: d}");
}

#[test]
fn a_corrupt_record_is_kept_in_its_column() {
    let columns = schema(&[("a", DataType::Int32, true), ("_corrupt_record", DataType::Utf8, true), ("b", DataType::Utf8, true)]);
    let reading = Reading { mode: ParseMode::Permissive, corrupt_record: Some("_corrupt_record".to_owned()), ..Reading::default() };
    let mut decoder = RecordDecoder::new(columns, &reading).unwrap();
    let mut records = events(&[r#"{"a":1,"b":"x","_corrupt_record":"mine"}"#, r#"{"a":"x","b":"y"}"#, "{", r#"{"a":null}"#]);
    records.push(record(Some(b"\xff{"), None));
    let decoded = decoder.decode(&records).unwrap();
    assert_eq!(decoded.rejected, []);
    let column = |at: usize| -> Vec<String> {
        let array = decoded.rows.column(at);
        (0..array.len())
            .map(|row| if array.is_null(row) { "null".to_owned() } else { array_value_to_string(array, row).unwrap() })
            .collect()
    };
    assert_eq!(column(0), ["1", "null", "null", "null", "null"]);
    assert_eq!(column(1), ["null", r#"{"a":"x","b":"y"}"#, "{", "null", "\u{fffd}{"]);
    assert_eq!(column(2), ["x", "y", "null", "null", "null"]);
    let wrong = Reading { corrupt_record: Some("a".to_owned()), ..Reading::default() };
    assert!(RecordDecoder::new(schema(&[("a", DataType::Int32, true)]), &wrong).is_err());
}

#[test]
fn times_follow_their_patterns() {
    let pattern = |text: &str| Some(TimePattern::try_new(text).unwrap());
    let times = TimeFormats { date: pattern("dd.MM.yyyy"), timestamp: pattern("dd/MM/yyyy HH:mm[:ss][XXX]"), timestamp_ntz: None };
    let columns = schema(&[("d", DataType::Date32, true), ("t", timestamp_type(), true)]);
    let mut decoder = RecordDecoder::new(columns, &Reading { format: ReadFormat::Json(times), ..Reading::default() }).unwrap();
    let decoded = decoder
        .decode(&events(&[
            r#"{"d":"04.07.2013","t":"04/07/2013 12:30"}"#,
            r#"{"t":"04/07/2013 12:30:01+02:00"}"#,
            r#"{"t":1}"#,
            r#"{"d":"2013-07-04"}"#,
            r#"{"t":"2013-07-04T12:30:00Z"}"#,
        ]))
        .unwrap();
    let cell = |column: usize, row: usize| array_value_to_string(decoded.rows.column(column), row).unwrap();
    assert_eq!(decoded.accepted, [0, 1, 2]);
    assert_eq!((cell(0, 0), cell(1, 0)), ("2013-07-04".to_owned(), "2013-07-04T12:30:00Z".to_owned()));
    assert_eq!((cell(1, 1), cell(1, 2)), ("2013-07-04T10:30:01Z".to_owned(), "1970-01-01T00:00:01Z".to_owned()));
    assert_eq!(decoded.rejected[0].reason, "column d: \"2013-07-04\" does not fit DATE by 'dd.MM.yyyy'");
}
