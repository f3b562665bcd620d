#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod bad_input;

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Field, Float32Type, Float64Type, Int8Type, Int32Type, Int64Type, Schema, TimeUnit,
};
use arrow::util::display::array_value_to_string;
use bytes::Bytes;
use serde_json::{Value as Json, json};

use super::*;
use crate::table::timestamp_type;
use crate::{Offset, Timestamp};

pub(super) fn record(value: Option<&[u8]>, key: Option<&[u8]>) -> Record {
    Record {
        offset: Offset(0),
        timestamp: Timestamp(0),
        key: key.map(Bytes::copy_from_slice),
        value: value.map(Bytes::copy_from_slice),
        headers: Vec::new(),
    }
}

pub(super) fn events(values: &[&str]) -> Vec<Record> {
    values.iter().map(|v| record(Some(v.as_bytes()), None)).collect()
}

pub(super) fn schema(columns: &[(&str, DataType, bool)]) -> SchemaRef {
    Arc::new(Schema::new(columns.iter().map(|(n, t, null)| Field::new(*n, t.clone(), *null)).collect::<Vec<_>>()))
}

fn decoder(columns: &[(&str, DataType, bool)]) -> RecordDecoder {
    RecordDecoder::new(schema(columns), &Reading::default()).unwrap()
}

fn permissive(columns: &[(&str, DataType, bool)]) -> RecordDecoder {
    RecordDecoder::new(schema(columns), &Reading { mode: ParseMode::Permissive, ..Reading::default() }).unwrap()
}

/// What one value becomes in a nullable column `c` of this type: its text, `null`, or the reason.
fn one(data_type: &DataType, value: &str) -> Result<String, String> {
    let mut decoder = decoder(&[("c", data_type.clone(), true)]);
    let decoded = decoder.decode(&events(&[&format!("{{\"c\":{value}}}")])).unwrap();
    match decoded.rejected.first() {
        Some(rejected) => Err(rejected.reason.clone()),
        None if decoded.rows.column(0).is_null(0) => Ok("null".to_owned()),
        None => Ok(array_value_to_string(decoded.rows.column(0), 0).unwrap()),
    }
}

#[track_caller]
fn takes(data_type: &DataType, cases: &[(&str, &str)]) {
    for (value, expected) in cases {
        assert_eq!(one(data_type, value).as_deref(), Ok(*expected), "{value} as {data_type}");
    }
}

#[track_caller]
fn refuses(data_type: &DataType, values: &[&str]) {
    for value in values {
        let reason = one(data_type, value).expect_err(value);
        assert!(reason.contains("column c") && reason.contains("does not fit"), "{value} as {data_type}: {reason}");
    }
}

#[test]
fn rows_of_all_scalar_types() {
    let ntz = DataType::Timestamp(TimeUnit::Microsecond, None);
    let mut decoder = decoder(&[
        ("b", DataType::Boolean, true),
        ("t", DataType::Int8, true),
        ("i", DataType::Int32, false),
        ("l", DataType::Int64, true),
        ("f", DataType::Float32, true),
        ("d", DataType::Float64, true),
        ("m", DataType::Decimal128(10, 2), true),
        ("s", DataType::Utf8, true),
        ("x", DataType::Binary, true),
        ("day", DataType::Date32, true),
        ("ts", timestamp_type(), true),
        ("ntz", ntz, true),
    ]);
    let decoded = decoder
        .decode(&events(&[
            r#"{"b":true,"t":-128,"i":2147483647,"l":-9223372036854775808,"f":0.1,"d":1e-3,"m":12.345,"s":"é","x":"AP8=","day":"2013-07-22","ts":"2013-07-22T19:00:00Z","ntz":"2013-07-22T19:00:00"}"#,
            r#" { "i" : 0 } "#,
        ]))
        .unwrap();
    assert_eq!(decoded.rejected, []);
    assert_eq!(decoded.accepted, [0, 1]);
    assert_eq!(decoded.kinds.values(), &[0, 0]);
    let rows = &decoded.rows;
    assert!(rows.column(0).as_boolean().value(0));
    assert_eq!(rows.column(1).as_primitive::<Int8Type>().value(0), -128);
    assert_eq!(rows.column(2).as_primitive::<Int32Type>().values(), &[i32::MAX, 0]);
    assert_eq!(rows.column(3).as_primitive::<Int64Type>().value(0), i64::MIN);
    assert_eq!(rows.column(4).as_primitive::<Float32Type>().value(0), 0.1_f32);
    assert_eq!(rows.column(5).as_primitive::<Float64Type>().value(0), 1e-3);
    assert_eq!(rows.column(6).as_primitive::<Decimal128Type>().value(0), 1235);
    assert_eq!(rows.column(7).as_string::<i32>().value(0), "é");
    assert_eq!(rows.column(8).as_binary::<i32>().value(0), &[0, 255]);
    assert_eq!(rows.column(9).as_primitive::<Date32Type>().value(0), 15_908);
    assert_eq!(rows.column(10).as_primitive::<TimestampMicrosecondType>().value(0), 1_374_519_600_000_000);
    assert_eq!(rows.column(11).as_primitive::<TimestampMicrosecondType>().value(0), 1_374_519_600_000_000);
    for column in [0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11] {
        assert!(rows.column(column).is_null(1), "column {column}");
    }
}

#[test]
fn integers_are_exact_and_in_range() {
    takes(&DataType::Int8, &[("127", "127"), ("-128", "-128"), ("0", "0"), ("-0", "0"), ("null", "null")]);
    refuses(&DataType::Int8, &["128", "-129", "1.0", "1e2", "\"1\"", "true", "[1]", "{}"]);
    takes(&DataType::Int32, &[("2147483647", "2147483647"), ("-2147483648", "-2147483648")]);
    refuses(&DataType::Int32, &["2147483648", "-2147483649", "99999999999999999999999"]);
    takes(&DataType::Int64, &[("9223372036854775807", "9223372036854775807"), ("-9223372036854775808", "-9223372036854775808")]);
    refuses(&DataType::Int64, &["9223372036854775808", "-9223372036854775809", "18446744073709551616", "18446744073709551617"]);
}

#[test]
fn booleans_are_only_true_and_false() {
    takes(&DataType::Boolean, &[("true", "true"), ("false", "false")]);
    refuses(&DataType::Boolean, &["\"true\"", "1", "0"]);
}

#[test]
fn doubles_take_numbers_and_sparks_words() {
    takes(
        &DataType::Float64,
        &[
            ("1", "1.0"),
            ("-0.5", "-0.5"),
            ("1e400", "inf"),
            ("0.1", "0.1"),
            ("\"NaN\"", "NaN"),
            ("\"-Infinity\"", "-inf"),
            ("\"+INF\"", "inf"),
            ("123456789012345678901234567890", "1.2345678901234568e29"),
        ],
    );
    refuses(&DataType::Float64, &["\"1.5\"", "\"\"", "\"INF\"", "true"]);
}

#[test]
fn decimals_are_exact_and_rounded_half_up() {
    let money = DataType::Decimal128(6, 2);
    takes(
        &money,
        &[
            ("1", "1.00"),
            ("1.005", "1.01"),
            ("-1.005", "-1.01"),
            ("1.0049999999999999999999999", "1.00"),
            ("9999.99", "9999.99"),
            ("\"12.5\"", "12.50"),
            ("\"1,234.5\"", "1234.50"),
            ("1e3", "1000.00"),
            ("1E-2", "0.01"),
            ("0.004", "0.00"),
            ("0.005", "0.01"),
            ("0e99999", "0.00"),
            ("1e-99999", "0.00"),
        ],
    );
    refuses(&money, &["10000", "9999.995", "1e4", "1e99999", "\"x\"", "\"\"", "\"-\"", "\".\"", "true"]);
    takes(&DataType::Decimal128(38, 0), &[("99999999999999999999999999999999999999", "99999999999999999999999999999999999999")]);
    refuses(&DataType::Decimal128(38, 0), &["100000000000000000000000000000000000000", "99999999999999999999999999999999999999.5"]);
}

#[test]
fn strings_keep_the_text_of_other_values() {
    takes(
        &DataType::Utf8,
        &[
            (r#""a""#, "a"),
            (r#""""#, ""),
            (r#""a\n\"\u00e9\ud83d\ude00""#, "a\n\"é😀"),
            ("1.50", "1.50"),
            ("true", "true"),
            (r#"{ "a" : [1, 2] }"#, r#"{ "a" : [1, 2] }"#),
            ("null", "null"),
        ],
    );
}

#[test]
fn binary_is_base64() {
    takes(&DataType::Binary, &[("\"\"", ""), ("\"AP8=\"", "00ff"), (r#""\u0041P8=""#, "00ff")]);
    refuses(&DataType::Binary, &["\"AP8\"", "\"A?\"", "1"]);
}

#[test]
fn dates_and_timestamps() {
    takes(
        &DataType::Date32,
        &[
            ("\"1970-01-01\"", "1970-01-01"),
            ("\"2012-02-29\"", "2012-02-29"),
            ("\"2013-7-2\"", "2013-07-02"),
            ("\"2013\"", "2013-01-01"),
            ("\"2013-07\"", "2013-07-01"),
            ("\"2013-07-22T19:00\"", "2013-07-22"),
            ("\"0001-01-01\"", "0001-01-01"),
        ],
    );
    refuses(&DataType::Date32, &["\"2013-02-29\"", "\"2013-00-01\"", "\"2013-13-01\"", "\"20130722\"", "\"\"", "15908", "\"2013-07-22x\""]);
    takes(
        &timestamp_type(),
        &[
            ("\"2013-07-22T19:00:00Z\"", "2013-07-22T19:00:00Z"),
            ("\"1969-12-31T23:59:59Z\"", "1969-12-31T23:59:59Z"),
            ("\"2013-07-22T19:00:00\"", "2013-07-22T19:00:00Z"),
            ("\"2013-07-22 19:00\"", "2013-07-22T19:00:00Z"),
            ("\"2013-07-22\"", "2013-07-22T00:00:00Z"),
            ("\"2013-07-22T19:00:00.1234567+02:00\"", "2013-07-22T17:00:00.123456Z"),
            ("\"2013-07-22T19:00:00.1Z\"", "2013-07-22T19:00:00.100Z"),
            ("\"2013-07-22T19:00:00.123Z\"", "2013-07-22T19:00:00.123Z"),
            ("\"1969-12-31T23:59:59.000001Z\"", "1969-12-31T23:59:59.000001Z"),
            ("\"2013-07-22T19:00:00.123456789Z\"", "2013-07-22T19:00:00.123456Z"),
            ("\"2013-07-22T19:00:00-0530\"", "2013-07-23T00:30:00Z"),
            ("\"2013-07-22T19:00:00+02\"", "2013-07-22T17:00:00Z"),
            ("\"2013-07-22T19:00:00 UTC\"", "2013-07-22T19:00:00Z"),
            ("\"2013-07-22T19:00:00GMT+01:00\"", "2013-07-22T18:00:00Z"),
            ("\"2013-07\"", "2013-07-01T00:00:00Z"),
            ("1374519600", "2013-07-22T19:00:00Z"),
            ("-1", "1969-12-31T23:59:59Z"),
        ],
    );
    refuses(
        &timestamp_type(),
        &[
            "\"2013-07-22T24:00:00Z\"",
            "\"2013-07-22T19:60:00Z\"",
            "\"2013-07-22T19:00:60Z\"",
            "\"2013-02-30T19:00:00Z\"",
            "\"2013-07-2aT19:00:00Z\"",
            "\"2013-07-22T19:00:00X\"",
            "\"2013-07-22T19:00:00.Z\"",
            "\"2013-07-22T19:00:00.1234567890Z\"",
            "\"2013-07-22T19:00:00.12aZ\"",
            "\"2013-07-22T19:00:00.123ZZ\"",
            "\"2013-07-22T19:00:00+19:00\"",
            "\"2013-07-22T19:00:00+1:2\"",
            "\"2013-07-22T\"",
            "\"now\"",
            "\"\"",
            "1.5",
            "99999999999999",
            "true",
        ],
    );
    let ntz = DataType::Timestamp(TimeUnit::Microsecond, None);
    takes(&ntz, &[("\"2013-07-22T19:00:00\"", "2013-07-22T19:00:00")]);
    refuses(&ntz, &["\"2013-07-22T19:00:00Z\"", "1"]);
}

#[test]
fn every_day_of_four_hundred_years_is_the_calendars() {
    let mut date = chrono::NaiveDate::from_ymd_opt(1799, 12, 31).unwrap();
    for _ in 0..146_500 {
        let expected = i32::try_from(date.signed_duration_since(chrono::NaiveDate::default()).num_days()).unwrap();
        assert_eq!(scalar::parse_date(&date.to_string()), Some(expected), "{date}");
        date = date.succ_opt().unwrap();
    }
}

#[test]
fn what_is_not_one_object_is_rejected_with_the_place() {
    let mut decoder = decoder(&[("a", DataType::Int32, true)]);
    let bad: Vec<(&[u8], &str)> = vec![
        (b"", "it is empty"),
        (b"  ", "expected an opening brace at byte 2"),
        (b"null", "expected an opening brace"),
        (b"[{\"a\":1}]", "expected an opening brace"),
        (b"{\"a\":1}x", "something follows the object at byte 7"),
        (b"{\"a\":1}{\"a\":2}", "something follows the object"),
        (b"{\"a\":1,}", "expected a quote"),
        (b"{\"a\":01}", "begins with a zero"),
        (b"{\"a\":1.}", "expected a digit"),
        (b"{\"a\":.5}", "expected a value"),
        (b"{\"a\":+1}", "expected a value"),
        (b"{\"a\":NaN}", "expected a value"),
        (b"{\"a\":tru}", "expected a value"),
        (b"{\"a\" 1}", "expected a colon"),
        (b"{'a':1}", "expected a quote"),
        (b"{\"a\":1 \"b\":2}", "expected a comma"),
        (b"{\"x\":[1,]}", "expected a value"),
        (b"{\"x\":{\"y\"}}", "expected a colon"),
        (b"{\"x\":\"\\x\"}", "wrong escape"),
        (b"{\"x\":\"\\ud800\"}", "wrong escape"),
        (b"{\"x\":\"a\nb\"}", "control character"),
        (b"{\"x\":\"abc\\", "ends within a string"),
        (b"{\"a\":\"\xff\"}", "not UTF-8 at byte 6"),
        (b"\xef\xbb\xbf{}", "expected an opening brace"),
        (b"{\"a\":1}\0", "something follows"),
    ];
    for (value, expected) in bad {
        let decoded = decoder.decode(&[record(Some(value), None)]).unwrap();
        assert_eq!(decoded.rows.num_rows(), 0);
        let reason = &decoded.rejected[0].reason;
        assert!(reason.contains(expected), "{}: {reason}", String::from_utf8_lossy(value));
    }
}

#[test]
fn a_bad_record_leaves_no_trace_among_good_ones() {
    let mut decoder = decoder(&[("a", DataType::Int32, false), ("s", DataType::Utf8, true)]);
    let decoded = decoder
        .decode(&events(&[
            r#"{"a":1,"s":"one"}"#,
            r#"{"s":"two","a":"x"}"#,
            r#"{"a":3}"#,
            r#"{"s":"four"}"#,
            r#"{"a":null}"#,
            r#"{"a":6,"s":"six"}"#,
        ]))
        .unwrap();
    assert_eq!(decoded.accepted, [0, 2, 5]);
    assert_eq!(decoded.rows.column(0).as_primitive::<Int32Type>().values(), &[1, 3, 6]);
    let strings: Vec<_> = decoded.rows.column(1).as_string::<i32>().iter().collect();
    assert_eq!(strings, [Some("one"), None, Some("six")]);
    let reasons: Vec<_> = decoded.rejected.iter().map(|r| (r.index, r.reason.as_str())).collect();
    assert_eq!(
        reasons,
        [
            (1, "column a: \"x\" does not fit INT"),
            (3, "column a is NOT NULL, and the record doesn't have it"),
            (4, "column a is NOT NULL, and the record's value is null"),
        ]
    );
}

#[test]
fn a_reason_shows_only_the_beginning_of_a_long_value() {
    let mut decoder = decoder(&[("a", DataType::Int32, false)]);
    let long = "é".repeat(10_000);
    let decoded = decoder.decode(&events(&[&format!("{{\"a\":\"{long}\"}}"), &long])).unwrap();
    for rejected in &decoded.rejected {
        assert!(rejected.reason.len() < 300, "{}", rejected.reason);
    }
    assert!(decoded.rejected[0].reason.ends_with("(20002 bytes) does not fit INT"), "{}", decoded.rejected[0].reason);
}

#[test]
fn unknown_members_are_skipped_and_the_last_of_two_counts() {
    let mut decoder = decoder(&[("a", DataType::Int32, true), ("b", DataType::Utf8, true)]);
    let decoded = decoder
        .decode(&events(&[
            r#"{"x":{"a":9,"y":[1,{"z":"\"}"}]},"a":1,"A":7,"b":"q","a":2}"#,
            r#"{"a":"bad","a":3}"#,
            r#"{"a":3,"a":null}"#,
            r#"{"\u0061":4}"#,
            r#"{"b":"first","a":5}"#,
        ]))
        .unwrap();
    assert_eq!(decoded.rejected, []);
    let numbers: Vec<_> = decoded.rows.column(0).as_primitive::<Int32Type>().iter().collect();
    assert_eq!(numbers, [Some(2), Some(3), None, Some(4), Some(5)]);
}

#[test]
fn nesting_has_a_bound_and_no_stack_overflows() {
    let mut decoder = decoder(&[("a", DataType::Int32, true), ("s", DataType::Utf8, true)]);
    let nested = |depth: usize| format!("{{\"x\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    let decoded = decoder.decode(&events(&[&nested(900), &nested(1_000), &"[".repeat(1_000_000), &"{\"s\":".repeat(300_000)])).unwrap();
    assert_eq!(decoded.accepted, [0]);
    assert!(decoded.rejected[0].reason.contains("nested too deep"), "{}", decoded.rejected[0].reason);
    assert!(decoded.rejected[2].reason.contains("nested too deep"), "{}", decoded.rejected[2].reason);
}

#[test]
fn permissive_mode_gives_sparks_nulls() {
    let mut decoder = permissive(&[("a", DataType::Int32, true), ("b", DataType::Utf8, true)]);
    let decoded = decoder.decode(&events(&[r#"{"a":"x","b":"y"}"#, "not json", r#"{"a":1,"b":"z""#])).unwrap();
    assert_eq!(decoded.rejected, []);
    let numbers: Vec<_> = decoded.rows.column(0).as_primitive::<Int32Type>().iter().collect();
    let strings: Vec<_> = decoded.rows.column(1).as_string::<i32>().iter().collect();
    assert_eq!(numbers, [None, None, None]);
    assert_eq!(strings, [Some("y"), None, None]);
}

#[test]
fn permissive_mode_still_keeps_not_null() {
    let mut decoder = permissive(&[("a", DataType::Int32, false), ("b", DataType::Int32, true)]);
    let decoded = decoder.decode(&events(&[r#"{"a":"x"}"#, "not json", r#"{"a":1,"b":"y"}"#])).unwrap();
    assert_eq!(decoded.accepted, [2]);
    assert!(decoded.rejected[0].reason.contains("NOT NULL"), "{}", decoded.rejected[0].reason);
}

fn deletes(columns: &[(&str, DataType, bool)], key: &[&str], record_key: Option<&[u8]>) -> Result<Vec<String>, String> {
    let names: Vec<String> = key.iter().map(|k| (*k).to_owned()).collect();
    let mut decoder = RecordDecoder::new(schema(columns), &Reading { key_columns: names, ..Reading::default() }).unwrap();
    let decoded = decoder.decode(&[record(None, record_key)]).unwrap();
    if let Some(rejected) = decoded.rejected.first() {
        return Err(rejected.reason.clone());
    }
    assert_eq!(decoded.kinds.values(), &[ChangeKind::Delete.code()]);
    let rows = &decoded.rows;
    Ok((0..rows.num_columns())
        .map(|c| if rows.column(c).is_null(0) { "null".to_owned() } else { array_value_to_string(rows.column(c), 0).unwrap() })
        .collect())
}

#[test]
fn a_tombstone_deletes_the_row_that_its_key_says() {
    let columns =
        [("id", DataType::Int64, false), ("day", DataType::Date32, false), ("name", DataType::Utf8, false), ("n", DataType::Int32, true)];
    let row = |cells: [&str; 4]| Ok(cells.map(str::to_owned).to_vec());
    assert_eq!(deletes(&columns, &["id"], Some(b"17")), row(["17", "1970-01-01", "", "null"]));
    assert_eq!(deletes(&columns, &["id"], Some(b"{\"id\":17}")), row(["17", "1970-01-01", "", "null"]));
    assert_eq!(deletes(&columns, &["name"], Some(b"UA")), row(["0", "1970-01-01", "UA", "null"]));
    assert_eq!(deletes(&columns, &["name"], Some(b"\"UA\"")), row(["0", "1970-01-01", "UA", "null"]));
    assert_eq!(deletes(&columns, &["day"], Some(b"2013-07-22")), row(["0", "2013-07-22", "", "null"]));
    assert_eq!(
        deletes(&columns, &["id", "day"], Some(br#"{"id":1,"day":"2013-07-22","name":"ignored","n":3}"#)),
        row(["1", "2013-07-22", "", "null"])
    );
}

#[test]
fn a_tombstone_that_says_no_row_is_rejected() {
    let columns = [("id", DataType::Int64, false), ("day", DataType::Date32, true)];
    let reason = |key: &[&str], bytes: Option<&[u8]>| deletes(&columns, key, bytes).unwrap_err();
    assert!(reason(&[], Some(b"1")).contains("no key.columns"));
    assert!(reason(&["id"], None).contains("without a key"));
    assert!(reason(&["id"], Some(b"")).contains("without a key"));
    assert!(reason(&["id"], Some(b"x")).contains("column id: x does not fit BIGINT"));
    assert!(reason(&["id"], Some(b"null")).contains("does not fit"));
    assert!(reason(&["id"], Some(b"\xff")).contains("not UTF-8"));
    assert!(reason(&["id"], Some(b"{\"id\":null}")).contains("has no id"));
    assert!(reason(&["id", "day"], Some(b"{\"id\":1}")).contains("has no day"));
    assert!(reason(&["id", "day"], Some(b"1")).contains("not a JSON object"));
    assert!(RecordDecoder::new(schema(&columns), &Reading { key_columns: vec!["nope".to_owned()], ..Reading::default() }).is_err());
}

/// A small seeded generator (SplitMix64), so that a failing case comes again.
struct Seeded(u64);

impl Seeded {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn text(&mut self) -> String {
        const ALPHABET: [char; 14] = ['a', 'B', '7', ' ', '"', '\\', '/', '\n', '\u{1}', 'é', '日', '😀', '{', '\u{7f}'];
        (0..self.below(20)).map(|_| ALPHABET[usize::try_from(self.below(14)).unwrap()]).collect()
    }

    fn scalar(&mut self) -> Json {
        match self.below(8) {
            0 => Json::Null,
            1 => json!(self.below(2) == 0),
            2 => json!(i64::try_from(self.next() >> 1).unwrap() >> self.below(63)),
            3 => json!(-i64::try_from(self.next() >> 1).unwrap() >> self.below(63)),
            4 => json!(f64::from_bits(self.next())),
            5 => json!(self.below(2_000_000) as f64 / 1_000.0 - 1_000.0),
            _ => json!(self.text()),
        }
    }

    fn value(&mut self, depth: u64) -> Json {
        match self.below(10) {
            0 if depth < 4 => (0..self.below(4)).map(|_| self.value(depth + 1)).collect(),
            1 if depth < 4 => Json::Object((0..self.below(4)).map(|_| (self.text(), self.value(depth + 1))).collect()),
            _ => self.scalar(),
        }
    }
}

/// What the rules say about a parsed value: an independent, slow reading of the table in the module's documentation.
fn expected(value: Option<&Json>, data_type: &DataType) -> Result<Option<Json>, ()> {
    let value = match value {
        None | Some(Json::Null) => return Ok(None),
        Some(value) => value,
    };
    let held = match data_type {
        DataType::Int32 => value.as_i64().filter(|v| i32::try_from(*v).is_ok()).map(Json::from),
        DataType::Int64 => value.as_i64().map(Json::from),
        DataType::Float64 => value.as_f64().map(Json::from),
        DataType::Boolean => value.as_bool().map(Json::from),
        _ => Some(match value {
            Json::String(s) => json!(s),
            other => json!(other.to_string()),
        }),
    };
    held.map(Some).ok_or(())
}

fn actual(column: &dyn Array, row: usize) -> Option<Json> {
    if column.is_null(row) {
        return None;
    }
    Some(match column.data_type() {
        DataType::Int32 => json!(column.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => json!(column.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => json!(column.as_primitive::<Float64Type>().value(row)),
        DataType::Boolean => json!(column.as_boolean().value(row)),
        _ => json!(column.as_string::<i32>().value(row)),
    })
}

#[test]
fn agrees_with_serde_json_on_random_objects() {
    let types = [DataType::Int32, DataType::Int64, DataType::Float64, DataType::Boolean, DataType::Utf8];
    let names = ["i", "l", "d", "b", "quo\"te"];
    let columns: Vec<_> = names.iter().zip(&types).map(|(n, t)| (*n, t.clone(), true)).collect();
    let mut decoder = decoder(&columns);
    let mut random = Seeded(2013);
    let (mut rows, mut refused) = (0, 0);
    for case in 0..20_000 {
        let mut object = serde_json::Map::new();
        for _ in 0..random.below(8) {
            let name = if random.below(3) == 0 { random.text() } else { names[usize::try_from(random.below(5)).unwrap()].to_owned() };
            object.insert(name, random.value(0));
        }
        let text = if case % 2 == 0 { serde_json::to_string(&object) } else { serde_json::to_string_pretty(&object) }.unwrap();
        let want: Result<Vec<_>, ()> = columns.iter().map(|(n, t, _)| expected(object.get(*n), t)).collect();
        let decoded = decoder.decode(&events(&[&text])).unwrap();
        match want {
            Err(()) => {
                refused += 1;
                assert_eq!(decoded.rejected.len(), 1, "{text}");
            }
            Ok(want) => {
                rows += 1;
                assert_eq!(decoded.rejected, [], "{text}");
                let got: Vec<_> = decoded.rows.columns().iter().map(|c| actual(c, 0)).collect();
                // A nested value keeps the text of the record, which is not serde_json's own.
                let compact = |cells: Vec<Option<Json>>| -> Vec<_> { cells.iter().map(|c| c.as_ref().map(normal)).collect() };
                assert_eq!(compact(got), compact(want), "{text}");
            }
        }
    }
    assert!(rows > 2_000 && refused > 2_000, "{rows} rows, {refused} refused");
}

fn normal(cell: &Json) -> Json {
    match cell.as_str().map(serde_json::from_str::<Json>) {
        Some(Ok(parsed)) => parsed,
        _ => cell.clone(),
    }
}

#[test]
fn accepts_exactly_what_serde_json_accepts_of_damaged_texts() {
    let mut decoder = decoder(&[("s", DataType::Utf8, true)]);
    let mut random = Seeded(7);
    let original = br#"{"a":[1,-2.5e+3,true,null,{"b":"x\u00e9\n"}],"s":"text","n":0.10, "e":{} ,"l":[]}"#;
    let mut good = 0;
    for _ in 0..50_000 {
        let mut bytes = original.to_vec();
        for _ in 0..=random.below(2) {
            let at = usize::try_from(random.below(bytes.len() as u64)).unwrap();
            match random.below(3) {
                0 => bytes[at] = u8::try_from(random.below(256)).unwrap(),
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, original[usize::try_from(random.below(original.len() as u64)).unwrap()]),
            }
        }
        // A number beyond f64 is JSON, though serde_json has no value for it.
        let theirs = match serde_json::from_slice::<serde_json::Map<String, Json>>(&bytes) {
            Ok(_) => true,
            Err(error) => error.to_string().contains("number out of range"),
        };
        let ours = decoder.decode(&[record(Some(&bytes), None)]).unwrap().rejected.is_empty();
        good += u32::from(ours);
        assert_eq!(ours, theirs, "{}", String::from_utf8_lossy(&bytes));
    }
    assert!((5_000..45_000).contains(&good), "{good} of the damaged texts are still JSON");
}

#[test]
fn a_record_cut_off_anywhere_is_rejected() {
    let whole = r#"{"id":17,"ts":"2013-07-22T19:00:00Z","name":"a\u00e9\"é😀","price":1.25,"tags":[1,{"a":null}],"ok":true}"#;
    let columns = [
        ("id", DataType::Int64, true),
        ("ts", timestamp_type(), true),
        ("name", DataType::Utf8, true),
        ("price", DataType::Decimal128(8, 2), true),
        ("ok", DataType::Boolean, true),
    ];
    let mut decoder = decoder(&columns);
    for length in 0..whole.len() {
        let decoded = decoder.decode(&[record(Some(&whole.as_bytes()[..length]), None)]).unwrap();
        assert_eq!(decoded.rejected.len(), 1, "{length} bytes");
    }
    assert!(decoder.decode(&events(&[whole])).unwrap().rejected.is_empty());
}

#[test]
fn order_of_members_never_matters() {
    let mut decoder = decoder(&[("a", DataType::Int32, true), ("b", DataType::Int32, true), ("c", DataType::Int32, true)]);
    let orders = [["a", "b", "c"], ["c", "b", "a"], ["b", "c", "a"], ["a", "x", "c"], ["x", "a", "b"], ["a", "a", "a"]];
    let mut random = Seeded(3);
    for _ in 0..2_000 {
        let order = orders[usize::try_from(random.below(6)).unwrap()];
        let taken: Vec<_> = order.iter().filter(|_| random.below(4) != 0).collect();
        let members: Vec<_> = taken.iter().enumerate().map(|(i, name)| format!("\"{name}\":{i}")).collect();
        let decoded = decoder.decode(&events(&[&format!("{{{}}}", members.join(","))])).unwrap();
        for (column, name) in ["a", "b", "c"].iter().enumerate() {
            let want = taken.iter().rposition(|n| *n == name).map(|i| i32::try_from(i).unwrap());
            let array = decoded.rows.column(column).as_primitive::<Int32Type>();
            assert_eq!((!array.is_null(0)).then(|| array.value(0)), want, "{taken:?} {name}");
        }
    }
}
