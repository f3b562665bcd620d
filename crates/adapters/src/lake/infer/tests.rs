#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use super::*;

fn inferred(values: &[&str]) -> DataType {
    values.iter().fold(Guess::Nothing, |guess, v| guess.and(v)).data_type()
}

#[test]
fn a_column_gets_the_narrowest_type_that_holds_all_of_its_values() {
    assert_eq!(inferred(&[]), DataType::Utf8);
    assert_eq!(inferred(&["1", "-2"]), DataType::Int32);
    assert_eq!(inferred(&["1", "3000000000"]), DataType::Int64);
    assert_eq!(inferred(&["1", "9223372036854775808"]), DataType::Decimal128(20, 0));
    assert_eq!(inferred(&["1", "2.5", "1e3"]), DataType::Float64);
    assert_eq!(inferred(&["NaN", "1"]), DataType::Float64);
    assert_eq!(inferred(&["2013-01-01", "2013-12-31"]), DataType::Date32);
    assert_eq!(inferred(&["2013-01-01", "2013-12-31 10:00:00"]), timestamp_type());
    assert_eq!(inferred(&["2013-01-01T10:00:00Z"]), timestamp_type());
    assert_eq!(inferred(&["true", "FALSE"]), DataType::Boolean);
}

#[test]
fn values_that_do_not_go_together_are_strings() {
    assert_eq!(inferred(&["1", "x"]), DataType::Utf8);
    assert_eq!(inferred(&["1", "true"]), DataType::Utf8);
    assert_eq!(inferred(&["2013-01-01", "5"]), DataType::Utf8);
    assert_eq!(inferred(&["infinity"]), DataType::Utf8);
    assert_eq!(inferred(&["2013-02-30"]), DataType::Utf8);
}
