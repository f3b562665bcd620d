#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::sync::Arc;

use arrow::array::Array;
use arrow::datatypes::{Field, Fields};
use arrow::util::display::array_value_to_string;

use super::*;

fn structure() -> DataType {
    let fields = [Field::new("a", DataType::Int32, true), Field::new("_corrupt_record", DataType::Utf8, true)];
    DataType::Struct(Fields::from(fields.to_vec()))
}

fn read(data_type: &DataType, mode: ParseMode, text: &str) -> Result<String> {
    let array = JsonValues::try_new(data_type, &TimeFormats::default(), mode, "_corrupt_record")?.read([Some(text)].into_iter())?;
    Ok(if array.is_null(0) { "null".to_owned() } else { array_value_to_string(&array, 0).unwrap() })
}

#[test]
fn permissive_values_are_sparks() {
    let list = DataType::List(Arc::new(Field::new("item", structure(), true)));
    let cases = [
        (structure(), r#"{"a":1} and more"#, "{a: 1, _corrupt_record: }"),
        (structure(), r#"{"a":"x"}"#, r#"{a: , _corrupt_record: {"a":"x"}}"#),
        (structure(), "nonsense", "{a: , _corrupt_record: nonsense}"),
        (structure(), r#"[{"a":1}]"#, r#"{a: , _corrupt_record: [{"a":1}]}"#),
        (structure(), "  ", "null"),
        (structure(), "null", "null"),
        (list.clone(), r#"{"a":1}"#, "[{a: 1, _corrupt_record: }]"),
        (list.clone(), "nonsense", "null"),
        (list, "[]", "[]"),
    ];
    for (data_type, text, expected) in cases {
        assert_eq!(read(&data_type, ParseMode::Permissive, text).unwrap(), expected, "{text}");
    }
}

#[test]
fn fail_fast_says_what_is_wrong() {
    let why = |text: &str| read(&structure(), ParseMode::DeadLetter, text).unwrap_err().message().to_owned();
    assert_eq!(why(r#"{"a":"x"}"#), r#"from_json() can't read {"a":"x"}: a "x" does not fit INT"#);
    assert!(why("{").contains("at byte 1"));
    assert!(why("[]").contains("as STRUCT"));
    assert!(JsonValues::try_new(&DataType::Int32, &TimeFormats::default(), ParseMode::Permissive, "").is_err());
}
