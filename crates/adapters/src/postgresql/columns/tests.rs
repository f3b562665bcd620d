#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use super::*;

#[test]
fn names_are_quoted() {
    assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
    assert_eq!(list("t.", ["a", "B"]), "t.\"a\", t.\"B\"");
}

#[test]
fn numeric_modifiers_are_read() {
    let modifier = |p: i32, s: i32| ((p << 16) | (s & 0x7FF)) + 4;
    assert_eq!(numeric(modifier(10, 2)), Some(DataType::Decimal128(10, 2)));
    assert_eq!(numeric(modifier(38, 0)), Some(DataType::Decimal128(38, 0)));
    assert_eq!(numeric(-1), Some(DataType::Decimal128(38, 18)));
    assert_eq!(numeric(modifier(39, 0)), None, "more digits than a DECIMAL has");
    assert_eq!(numeric(modifier(5, -2)), None, "a negative scale");
    assert_eq!(numeric(modifier(2, 4)), None, "a scale beyond the precision");
}
