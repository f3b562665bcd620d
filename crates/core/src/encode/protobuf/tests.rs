#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::sync::Arc;

use arrow::datatypes::{Field as Column, Fields as Columns};
use bytes::Bytes;

use super::*;
use crate::decode::{ReadFormat, Reading, RecordDecoder};
use crate::ident::Offset;
use crate::ports::Record;
use crate::table::timestamp_type;
use crate::time::Timestamp;

// Descriptors and messages as Google's Python library writes them (protobuf 7.36.2, `SerializeToString(deterministic=True)`).
//
// syntax = "proto3"; package air;
// enum Kind { ARRIVAL = 0; DEPARTURE = 1; LOST = -1; }
// message Kinds {
//   message Leg { string from = 1; optional int32 minutes = 2; }
//   int32 i32 = 1; int64 i64 = 2; uint32 u32 = 3; uint64 u64 = 4; sint32 s32 = 5; sint64 s64 = 6; fixed32 f32 = 7; fixed64 f64 = 8;
//   sfixed32 sf32 = 9; sfixed64 sf64 = 10; double real = 11; float single = 12; bool flag = 13; string word = 14; bytes raw = 15;
//   Kind kind = 16; google.protobuf.Timestamp at = 17; repeated sint32 codes = 18; repeated string words = 19;
//   repeated int32 loose = 20 [packed = false]; repeated Leg legs = 21; Leg leg = 22; map<string, double> fares = 23;
//   optional int32 maybe = 1000; oneof either { string one = 25; int64 other = 26; }
// }
//
// syntax = "proto2"; package old;
// message Old { required int64 id = 1; optional int32 delay = 2; repeated int32 codes = 3; }
const DESCRIPTOR: &str = "\
    0a770a1f676f6f676c652f70726f746f6275662f74696d657374616d702e70726f746f120f676f6f676c652e70726f746f627566223b0a0954696d65\
    7374616d7012180a077365636f6e647318012001280352077365636f6e647312140a056e616e6f7318022001280552056e616e6f73620670726f746f\
    330ac8050a0b6b696e64732e70726f746f12036169721a1f676f6f676c652f70726f746f6275662f74696d657374616d702e70726f746f22d3040a05\
    4b696e6473120b0a03693332180120012805120b0a03693634180220012803120b0a0375333218032001280d120b0a03753634180420012804120b0a\
    03733332180520012811120b0a03733634180620012812120b0a03663332180720012807120b0a03663634180820012806120c0a0473663332180920\
    01280f120c0a0473663634180a20012810120c0a047265616c180b20012801120e0a0673696e676c65180c20012802120c0a04666c6167180d200128\
    08120c0a04776f7264180e20012809120b0a03726177180f2001280c12170a046b696e6418102001280e32092e6169722e4b696e6412260a02617418\
    112001280b321a2e676f6f676c652e70726f746f6275662e54696d657374616d70120d0a05636f646573181220032811120d0a05776f726473181320\
    03280912110a056c6f6f736518142003280542021000121c0a046c65677318152003280b320e2e6169722e4b696e64732e4c6567121b0a036c656718\
    162001280b320e2e6169722e4b696e64732e4c656712240a05666172657318172003280b32152e6169722e4b696e64732e4661726573456e74727912\
    130a056d6179626518e807200128054801880101120d0a036f6e651819200128094800120f0a056f74686572181a2001280348001a350a034c656712\
    0c0a0466726f6d18012001280912140a076d696e757465731802200128054800880101420a0a085f6d696e757465731a2c0a0a4661726573456e7472\
    79120b0a036b6579180120012809120d0a0576616c75651802200128013a02380142080a0665697468657242080a065f6d617962652a350a044b696e\
    64120b0a074152524956414c1000120d0a09444550415254555245100112110a044c4f535410ffffffffffffffffff01620670726f746f330a490a09\
    6f6c642e70726f746f12036f6c64222f0a034f6c64120a0a026964180120022803120d0a0564656c6179180220012805120d0a05636f646573180320\
    032805620670726f746f32";

/// Something in every field.
const FULL: &str = "\
    08ffffffffffffffffff01108080808080808080800118ffffffff0720ffffffffffffffffff0128ffffffff0f30feffffffffffffffff013d070000\
    004100000000000000804dfeffffff51fdffffffffffffff590000000000000080650000c03f6801720ac39c6ec3af20f09f8e897a0200ff8001ffff\
    ffffffffffffff018a011108ffffffffffffffffff0110988cebdc039201040001d8049a01009a010178a00101a00100aa01070a034557521000aa01\
    00b20100ba010e0a036f6e6511000000000000f83fca0100c03e00";

/// Nothing but zeros.
const ZEROS: &str = "\
    8a0100ba010f0a047a65726f110000000000000000d00105";

const OLD: &str = "\
    08001801180018ffffffffffffffffff01";

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect()
}

fn message_type(name: &str) -> ProtobufMessage {
    ProtobufMessage::try_new(&bytes(DESCRIPTOR), name).unwrap()
}

fn list(item: DataType) -> DataType {
    DataType::List(Arc::new(Column::new("item", item, true)))
}

fn leg() -> DataType {
    DataType::Struct(Columns::from(vec![Column::new("from", DataType::Utf8, false), Column::new("minutes", DataType::Int32, true)]))
}

fn columns() -> Schema {
    let pair = Columns::from(vec![Column::new("key", DataType::Utf8, false), Column::new("value", DataType::Float64, true)]);
    let map = DataType::Map(Arc::new(Column::new("entries", DataType::Struct(pair), false)), false);
    let column = |(name, data_type, nullable): (&str, DataType, bool)| Column::new(name, data_type, nullable);
    let columns = [
        // In another order than the fields.
        ("fares", map, true),
        ("i32", DataType::Int32, false),
        ("i64", DataType::Int64, false),
        ("u32", DataType::Int64, false),
        ("u64", DataType::Decimal128(20, 0), false),
        ("s32", DataType::Int32, false),
        ("S64", DataType::Int64, false),
        ("f32", DataType::Int32, false),
        ("f64", DataType::Decimal128(20, 0), false),
        ("sf32", DataType::Int16, false),
        ("sf64", DataType::Int64, false),
        ("real", DataType::Float64, false),
        ("single", DataType::Float32, false),
        ("flag", DataType::Boolean, false),
        ("word", DataType::Utf8, false),
        ("raw", DataType::Binary, false),
        ("kind", DataType::Utf8, false),
        ("at", timestamp_type(), true),
        ("codes", list(DataType::Int32), true),
        ("words", list(DataType::Utf8), true),
        ("loose", list(DataType::Int32), true),
        ("legs", list(leg()), true),
        ("leg", leg(), true),
        ("maybe", DataType::Int32, true),
        ("one", DataType::Utf8, true),
        ("other", DataType::Int64, true),
    ];
    Schema::new(columns.into_iter().map(column).collect::<Vec<_>>())
}

/// Values as rows of these columns, read by `reading`.
fn rows(columns: &Schema, reading: &Reading, values: impl IntoIterator<Item = impl AsRef<[u8]>>) -> RecordBatch {
    let record = |value: &[u8]| Record {
        offset: Offset(0),
        timestamp: Timestamp(0),
        key: None,
        value: Some(Bytes::copy_from_slice(value)),
        headers: Vec::new(),
    };
    let records: Vec<_> = values.into_iter().map(|value| record(value.as_ref())).collect();
    let decoded = RecordDecoder::new(Arc::new(columns.clone()), reading).unwrap().decode(&records).unwrap();
    assert_eq!(decoded.rejected, []);
    decoded.rows
}

fn json(columns: &Schema, values: &[&str]) -> RecordBatch {
    rows(columns, &Reading::default(), values)
}

fn written(writer: &ProtobufWriter, rows: &RecordBatch, row: usize) -> Outcome<Vec<u8>> {
    let mut out = Vec::new();
    writer.write_row(&mut out, rows, row).map(|()| out)
}

const FULL_ROW: &str = r#"{"i32":-1,"i64":-9223372036854775808,"u32":2147483647,"u64":"18446744073709551615","s32":-2147483648,"S64":9223372036854775807,
  "f32":7,"f64":"9223372036854775808","sf32":-2,"sf64":-3,"real":-0.0,"single":1.5,"flag":true,"word":"Ünï 🎉","raw":"AP8=","kind":"LOST",
  "at":"1969-12-31T23:59:59.999999Z","codes":[0,-1,300],"words":["","x"],"loose":[1,0],"legs":[{"from":"EWR","minutes":0},{"from":""}],
  "leg":{"from":""},"fares":{"one":1.5},"maybe":0,"one":""}"#;

const ZEROS_ROW: &str = r#"{"i32":0,"i64":0,"u32":0,"u64":0,"s32":0,"S64":0,"f32":0,"f64":0,"sf32":0,"sf64":0,"real":0.0,"single":0.0,"flag":false,
  "word":"","raw":"","kind":"ARRIVAL","at":"1970-01-01T00:00:00Z","codes":[],"words":[],"loose":[],"legs":[],"fares":{"zero":0.0},"other":5}"#;

#[test]
fn messages_are_those_of_googles_library_and_are_read_again() {
    let (columns, types) = (columns(), message_type("air.Kinds"));
    let writer = ProtobufWriter::try_new(&types, &columns).unwrap();
    let rows_of_json = json(&columns, &[FULL_ROW, ZEROS_ROW]);
    assert_eq!(written(&writer, &rows_of_json, 0).unwrap(), bytes(FULL));
    assert_eq!(written(&writer, &rows_of_json, 1).unwrap(), bytes(ZEROS));
    let format = ReadFormat::Protobuf { message: Box::new(types), defaults: false };
    let again = rows(&columns, &Reading { format, ..Reading::default() }, [bytes(FULL), bytes(ZEROS)]);
    assert_eq!(again, rows_of_json);
}

#[test]
fn proto2_writes_zeros_and_a_tag_for_each_number() {
    let columns = [("id", DataType::Int64, false), ("delay", DataType::Int32, true), ("codes", list(DataType::Int32), true)];
    let columns = Schema::new(columns.map(|(name, data_type, nullable)| Column::new(name, data_type, nullable)).to_vec());
    let writer = ProtobufWriter::try_new(&message_type("Old"), &columns).unwrap();
    let rows = json(&columns, &[r#"{"id":0,"codes":[1,0,-1]}"#, r#"{"id":0,"delay":0,"codes":null}"#]);
    assert_eq!(written(&writer, &rows, 0).unwrap(), bytes(OLD));
    assert_eq!(written(&writer, &rows, 1).unwrap(), [8, 0, 16, 0]);
}

#[test]
fn columns_that_are_no_message_are_refused_by_what_to_write() {
    let why = |of: &str, columns: &[(&str, DataType, bool)]| {
        let columns = columns.iter().map(|(name, data_type, nullable)| Column::new(*name, data_type.clone(), *nullable));
        ProtobufWriter::try_new(&message_type(of), &Schema::new(columns.collect::<Vec<_>>())).err().unwrap_or_default()
    };
    let of_kinds = |name: &str, data_type: DataType, nullable: bool| why("Kinds", &[(name, data_type, nullable)]);
    assert_eq!(of_kinds("maybe", DataType::Int32, true), "");
    assert!(of_kinds("i32", DataType::Int32, true).contains("write `optional` before the field in the .proto file, or coalesce(i32, ...)"));
    assert!(of_kinds("i33", DataType::Int32, true).starts_with("the message Kinds has no field i33; it has i32, i64, "));
    assert_eq!(of_kinds("i32", DataType::Int64, false), "field i32: a BIGINT does not fit int32: write CAST(... AS INT)");
    assert_eq!(of_kinds("single", DataType::Float64, false), "field single: a DOUBLE does not fit float: write CAST(... AS FLOAT)");
    assert_eq!(of_kinds("word", DataType::Binary, false), "field word: a BINARY does not fit string: write CAST(... AS STRING)");
    assert_eq!(of_kinds("i32", DataType::Date32, false), "field i32: int32 can't become DATE");
    assert_eq!(of_kinds("word", list(DataType::Utf8), false), "field word: string can't become ARRAY");
    assert_eq!(of_kinds("words", DataType::Utf8, false), "field words: a repeated field can't become STRING");
    assert_eq!(of_kinds("real", DataType::Decimal128(10, 2), false), "field real: double can't become DECIMAL(10, 2)");
    let inner = DataType::Struct(Columns::from(vec![Column::new("from", DataType::Utf8, true)]));
    let within = of_kinds("legs", list(inner), true);
    assert!(
        within.starts_with("field legs: the field from of Leg may be null, as every field of a struct that the query makes"),
        "{within}"
    );
    assert!(within.contains("write `optional` before") && !within.contains("coalesce"), "{within}");
    assert!(why("Kinds", &[("i32", DataType::Int32, false), ("I32", DataType::Int32, false)]).contains("two columns are the field i32"));
    assert_eq!(why("Old", &[("delay", DataType::Int32, true)]), "the message Old requires the field id, and there is no such column");
    assert!(why("Old", &[("id", DataType::Int64, true)]).contains("field id is required"));
}

/// A null that is left out would be read as the default.
#[test]
fn a_column_that_may_be_null_is_refused_for_a_field_with_a_default() {
    let mut types = message_type("Old");
    let mut messages = types.messages.to_vec();
    let delay = messages.iter_mut().flat_map(|m| &mut m.fields).find(|field| field.name == "delay").unwrap();
    delay.default = Some("5".to_owned());
    types.messages = messages.into();
    let columns = |nullable| Schema::new(vec![Column::new("id", DataType::Int64, false), Column::new("delay", DataType::Int32, nullable)]);
    assert!(ProtobufWriter::try_new(&types, &columns(false)).is_ok());
    let why = ProtobufWriter::try_new(&types, &columns(true)).unwrap_err();
    assert!(why.contains("takes its default for it") && why.contains("coalesce(delay, ...)"), "{why}");
}

#[test]
fn values_that_no_message_has_are_named() {
    let columns = columns();
    let writer = ProtobufWriter::try_new(&message_type("Kinds"), &columns).unwrap();
    let why = |from: &str, to: &str| {
        assert!(FULL_ROW.contains(from), "{from}");
        written(&writer, &json(&columns, &[&FULL_ROW.replace(from, to)]), 0).err().unwrap_or_default()
    };
    assert!(writer.may_refuse());
    assert_eq!(why("\"u32\":2147483647", "\"u32\":4294967295"), "");
    assert_eq!(why("\"u32\":2147483647", "\"u32\":-1"), "-1 does not fit an unsigned number of 32 bits");
    assert_eq!(why("18446744073709551615", "18446744073709551616"), "18446744073709551616 does not fit an unsigned number of 64 bits");
    assert_eq!(why("LOST", "lost"), "'lost' is none of the enum's names ARRIVAL, DEPARTURE, LOST");
    assert_eq!(why("[0,-1,300]", "[0,null]"), "an item or value of field 18 is null, which Protobuf has no word for");
    assert_eq!(why("{\"one\":1.5}", "{\"one\":null}"), "an item or value of field 23 is null, which Protobuf has no word for");
    assert_eq!(why("\"one\":\"\"", "\"one\":\"\",\"other\":1"), "fields 25 and 26 are of one oneof, and both have a value");
    let plain = Schema::new(vec![Column::new("i32", DataType::Int32, false)]);
    assert!(!ProtobufWriter::try_new(&message_type("Kinds"), &plain).unwrap().may_refuse());
}
