#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, Field as Column, Fields as Columns, SchemaRef};
use arrow::util::display::array_value_to_string;

use super::*;
use crate::decode::tests::{record, schema};
use crate::decode::{Decoded, ParseMode, ReadFormat, Reading, RecordDecoder};
use crate::table::timestamp_type;

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap());
    out
}

fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

pub(in crate::decode) fn counted(field: u64, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [varint(field << 3 | 2), varint(bytes.len() as u64), bytes.to_vec()].concat()
}

/// A field of a descriptor: name, number, label (1 optional, 3 repeated), type, name of the type.
fn field(name: &str, at: u64, label: u64, kind: u64, type_name: &str) -> Vec<u8> {
    let named = if type_name.is_empty() { Vec::new() } else { counted(6, type_name) };
    counted(2, [counted(1, name), number(3, at), number(4, label), number(5, kind), named].concat())
}

/// The descriptor of package `air`: what protoc writes of
/// ```proto
/// enum Kind { ARRIVAL = 0; DEPARTURE = 1; }
/// message Flight {
///   message Leg { string from = 1; sint32 minutes = 2; }
///   int64 id = 1; string carrier = 2; Kind kind = 3; repeated Leg legs = 4; repeated int32 codes = 5; map<string, double> fares = 6;
///   google.protobuf.Timestamp ts = 7; uint64 big = 8; bytes raw = 9; optional int32 seats = 10; bool late = 11; double price = 12;
/// }
/// ```
pub(in crate::decode) fn descriptor() -> Vec<u8> {
    let value = |name: &str, of: u64| counted(2, [counted(1, name), number(2, of)].concat());
    let kind = counted(5, [counted(1, "Kind"), value("ARRIVAL", 0), value("DEPARTURE", 1)].concat());
    let leg = counted(3, [counted(1, "Leg"), field("from", 1, 1, 9, ""), field("minutes", 2, 1, 17, "")].concat());
    let entry = [counted(1, "FaresEntry"), field("key", 1, 1, 9, ""), field("value", 2, 1, 1, ""), counted(7, number(7, 1))].concat();
    let seats = counted(2, [counted(1, "seats"), number(3, 10), number(4, 1), number(5, 5), number(9, 0), number(17, 1)].concat());
    let flight = [
        counted(1, "Flight"),
        field("id", 1, 1, 3, ""),
        field("carrier", 2, 1, 9, ""),
        field("kind", 3, 1, 14, ".air.Kind"),
        field("legs", 4, 3, 11, ".air.Flight.Leg"),
        field("codes", 5, 3, 5, ""),
        field("fares", 6, 3, 11, ".air.Flight.FaresEntry"),
        field("ts", 7, 1, 11, ".google.protobuf.Timestamp"),
        field("big", 8, 1, 4, ""),
        field("raw", 9, 1, 12, ""),
        seats,
        field("late", 11, 1, 8, ""),
        field("price", 12, 1, 1, ""),
        leg,
        counted(3, entry),
    ];
    let timestamp = [counted(1, "Timestamp"), field("seconds", 1, 1, 3, ""), field("nanos", 2, 1, 5, "")].concat();
    let google = [counted(2, "google.protobuf"), counted(4, timestamp), counted(12, "proto3")].concat();
    let air = [counted(1, "air.proto"), counted(2, "air"), counted(4, flight.concat()), kind, counted(12, "proto3")].concat();
    [counted(1, google), counted(1, air)].concat()
}

fn columns() -> SchemaRef {
    let leg =
        DataType::Struct(Columns::from(vec![Column::new("from", DataType::Utf8, true), Column::new("minutes", DataType::Int32, true)]));
    let pair = Columns::from(vec![Column::new("key", DataType::Utf8, false), Column::new("value", DataType::Float64, true)]);
    let map = DataType::Map(Arc::new(Column::new("entries", DataType::Struct(pair), false)), false);
    let list = |item| DataType::List(Arc::new(Column::new("item", item, true)));
    schema(&[
        ("id", DataType::Int64, false),
        ("carrier", DataType::Utf8, true),
        ("kind", DataType::Utf8, true),
        ("legs", list(leg), true),
        ("codes", list(DataType::Int16), true),
        ("fares", map, true),
        ("ts", timestamp_type(), true),
        ("big", DataType::Decimal128(20, 0), true),
        ("raw", DataType::Binary, true),
        ("seats", DataType::Int32, true),
        ("late", DataType::Boolean, true),
        ("price", DataType::Float64, true),
        ("absent", DataType::Int32, true),
    ])
}

fn decoder(mode: ParseMode, defaults: bool) -> RecordDecoder {
    let message = ProtobufMessage::try_new(&descriptor(), "Flight").unwrap();
    let format = ReadFormat::Protobuf { message: Box::new(message), defaults };
    RecordDecoder::new(columns(), &Reading { format, mode, ..Reading::default() }).unwrap()
}

fn cells(decoded: &Decoded, row: usize) -> Vec<String> {
    let text = |c: &ArrayRef| if c.is_null(row) { "null".to_owned() } else { array_value_to_string(c, row).unwrap() };
    decoded.rows.columns().iter().map(text).collect()
}

fn flight() -> Vec<u8> {
    [
        number(1, 7),
        counted(4, [counted(1, "EWR"), number(2, 13)].concat()),
        counted(2, "UA"),
        number(3, 1),
        counted(5, [varint(1), varint(300)].concat()),
        number(99, 5),
        counted(4, number(2, 2)),
        counted(6, [counted(1, "one"), [varint(2 << 3 | 1), 1.5_f64.to_le_bytes().to_vec()].concat()].concat()),
        counted(6, counted(1, "zero")),
        number(5, 3),
        counted(7, [number(1, 1), number(2, 5_000)].concat()),
        number(8, u64::MAX),
        counted(9, [1, 2]),
        number(10, 0),
        number(11, 1),
        [varint(12 << 3 | 1), 2.5_f64.to_le_bytes().to_vec()].concat(),
    ]
    .concat()
}

#[test]
fn a_message_becomes_the_tables_columns() {
    let decoded = decoder(ParseMode::DeadLetter, false).decode(&[record(Some(&flight()), None)]).unwrap();
    assert_eq!(decoded.rejected, []);
    let legs = "[{from: EWR, minutes: -7}, {from: , minutes: 1}]";
    let row = ["7", "UA", "DEPARTURE", legs, "[1, 300, 3]", "{one: 1.5, zero: 0.0}", "1970-01-01T00:00:01.000005Z"];
    assert_eq!(cells(&decoded, 0)[..7], row);
    assert_eq!(cells(&decoded, 0)[7..], ["18446744073709551615", "0102", "0", "true", "2.5", "null"]);
}

#[test]
fn what_is_left_out_is_null_or_zero() {
    let decoded = decoder(ParseMode::DeadLetter, false).decode(&[record(Some(b""), None)]).unwrap();
    // `id` is NOT NULL, and a field without presence that is left out is zero.
    let nulls = ["0", "null", "null", "[]", "[]", "{}", "null", "null", "null", "null", "null", "null", "null"];
    assert_eq!(cells(&decoded, 0), nulls);
    let decoded = decoder(ParseMode::DeadLetter, true).decode(&[record(Some(b""), None)]).unwrap();
    assert_eq!(cells(&decoded, 0), ["0", "", "ARRIVAL", "[]", "[]", "{}", "null", "0", "", "null", "false", "0.0", "null"]);
}

#[test]
fn damaged_bytes_never_do_more_than_reject_a_message() {
    let mut decoder = decoder(ParseMode::DeadLetter, false);
    let whole = flight();
    let mut rejected = 0;
    for at in 0..whole.len() {
        for byte in [0, 1, 3, 0x7f, 0x80, 0xff, whole[at] ^ 1, whole[at] ^ 8] {
            let mut bytes = whole.clone();
            bytes[at] = byte;
            let decoded = decoder.decode(&[record(Some(&bytes), None), record(Some(&whole), None)]).unwrap();
            assert_eq!(decoded.rows.num_rows() + decoded.rejected.len(), 2);
            assert_eq!(decoded.accepted.last(), Some(&1));
            rejected += decoded.rejected.len();
        }
    }
    assert!(rejected > 100, "{rejected}");
}

#[test]
fn reasons_name_the_column_or_the_place() {
    let mut decoder = decoder(ParseMode::DeadLetter, false);
    let mut reason = |bytes: &[u8]| decoder.decode(&[record(Some(bytes), None)]).unwrap().rejected.remove(0).reason;
    assert_eq!(reason(&number(5, 70_000)), "column codes: codes[0] 70000 does not fit SMALLINT");
    assert!(reason(&counted(1, "x")).contains("another type on the wire"));
    assert!(reason(&counted(2, [0xff])).contains("not UTF-8"));
    assert!(reason(&[0x0a, 5, 1]).contains("beyond the end at byte 2"));
    assert!(reason(b"{\"id\":1}").contains("at byte"));
    assert!(reason(&[counted(7, number(1, 1)), counted(7, number(1, 2))].concat()).contains("twice"));
    let too_late = counted(7, number(1, i64::MAX.unsigned_abs()));
    assert!(reason(&too_late).contains("column ts: 9223372036854775807 seconds do not fit TIMESTAMP"));
}

#[test]
fn descriptors_say_what_they_lack() {
    let why = |name: &str| ProtobufMessage::try_new(&descriptor(), name).unwrap_err();
    assert!(why("Flights").contains("it has air.Flight, air.Flight.FaresEntry"), "{}", why("Flights"));
    assert!(ProtobufMessage::try_new(&descriptor(), "air.Flight.Leg").is_ok());
    assert!(ProtobufMessage::try_new(b"\xff", "Flight").unwrap_err().contains("no descriptor file"));
    let message = Box::new(ProtobufMessage::try_new(&descriptor(), "Flight").unwrap());
    let refused = |name: &str, data_type: DataType, nullable: bool| {
        let format = ReadFormat::Protobuf { message: message.clone(), defaults: false };
        let reading = Reading { format, ..Reading::default() };
        RecordDecoder::new(schema(&[(name, data_type, nullable)]), &reading).unwrap_err().message().to_owned()
    };
    assert_eq!(refused("carrier", DataType::Int32, true), "no value is a row: field carrier: string can't become INT");
    assert_eq!(refused("legs", DataType::Utf8, true), "no value is a row: field legs: a repeated field can't become STRING");
    assert!(refused("nothing", DataType::Int32, false).contains("nothing is NOT NULL"));
}

/// `features` (`descriptor.proto`) change how a message is written: read by the edition's defaults it would be another one.
#[test]
fn messages_that_set_features_of_an_edition_are_refused() {
    let sub = |options: Vec<u8>| [counted(1, "Sub"), field("x", 1, 1, 5, ""), options].concat();
    let top = |options: Vec<u8>| {
        let of_sub = counted(2, [counted(1, "s"), number(3, 1), number(4, 1), number(5, 11), counted(6, ".Sub"), options].concat());
        [counted(1, "Top"), of_sub].concat()
    };
    let file = |sub: Vec<u8>, top: Vec<u8>, options: Vec<u8>| {
        let alone = counted(4, [counted(1, "Alone"), field("x", 1, 1, 5, "")].concat());
        counted(1, [counted(4, sub), counted(4, top), alone, options, counted(12, "editions")].concat())
    };
    let features = |at: u64| counted(8, counted(at, number(1, 2)));
    let none = Vec::new;
    let why = |descriptor: Vec<u8>, name: &str| ProtobufMessage::try_new(&descriptor, name).err();
    assert_eq!(why(file(sub(none()), top(none()), none()), "Top"), None);
    let of_field = file(sub(none()), top(features(21)), none());
    assert!(why(of_field.clone(), "Top").unwrap().contains("the message Top is of an edition of Protobuf and sets `features`"));
    assert_eq!(why(of_field, "Alone"), None, "it is another message's");
    let of_message = file(sub(counted(7, counted(12, number(1, 2)))), top(none()), none());
    assert!(why(of_message, "Top").unwrap().contains("the message Sub "), "what is within counts");
    assert!(why(file(sub(none()), top(none()), features(50)), "Alone").is_some(), "a file's are of all its messages");
}

#[test]
fn the_outline_has_the_fields_that_are_read_with_all_that_is_within_them() {
    let message = ProtobufMessage::try_new(&descriptor(), "Flight").unwrap();
    assert_eq!(
        message.outline(&["Carrier", "legs", "seats", "absent"]),
        "0: 2 carrier String repeated false presence false default \n\
         0: 4 legs message 1 repeated true presence false default \n\
         0: 10 seats Int32 repeated false presence true default \n\
         1: 1 from String repeated false presence false default \n\
         1: 2 minutes SInt32 repeated false presence false default "
    );
    assert_ne!(message.outline(&["kind"]), message.outline(&["carrier"]));
}
