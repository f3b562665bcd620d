#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use super::*;

#[test]
fn decimals_are_read_to_the_last_digit_or_not_at_all() {
    let read = |text: &str, precision, scale| decimal(&Value::Bytes(text.into()), precision, scale);
    assert_eq!(read("-99999999999999999999999999999999.999999", 38, 6), Some(1 - 10_i128.pow(38)));
    assert_eq!(read("1.500000", 10, 2), Some(150));
    assert_eq!(read("-0.05", 10, 2), Some(-5));
    assert_eq!(read("0", 1, 0), Some(0));
    assert_eq!(read("1.505", 10, 2), None, "a fraction that would be cut");
    assert_eq!(read("100", 2, 0), None, "more digits than the type has");
    assert_eq!(decimal(&Value::UInt(u64::MAX), 20, 0), Some(u64::MAX.into()));
}

#[test]
fn dates_that_are_none_are_told_apart_from_those_that_are() {
    assert!(matches!(moment(&Value::Date(0, 0, 0, 0, 0, 0, 0)), Err(Misfit::ZeroDate(_))));
    assert!(matches!(moment(&Value::Date(2013, 2, 0, 0, 0, 0, 0)), Err(Misfit::ZeroDate(_))));
    assert!(matches!(moment(&Value::Date(0, 1, 1, 0, 0, 0, 0)), Err(Misfit::ZeroDate(_))));
    let (_, time) = moment(&Value::Date(1969, 12, 31, 23, 59, 59, 999_999)).ok().unwrap();
    assert_eq!(time.and_utc().timestamp_micros(), -1);
}

#[test]
fn times_longer_than_a_day_are_text() {
    assert_eq!(text(&Value::Time(true, 34, 22, 59, 59, 0)).unwrap(), "-838:59:59");
    assert_eq!(text(&Value::Time(false, 0, 1, 2, 3, 4_500)).unwrap(), "01:02:03.004500");
}

#[test]
fn bits_are_numbers() {
    assert_eq!(integer(&Value::Bytes(vec![1, 0])), Some(256));
    assert_eq!(integer(&Value::Bytes(vec![0xFF; 8])), Some(u64::MAX.into()));
}
