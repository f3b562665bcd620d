#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::time::Duration;

use super::{parse, signed_us};

#[test]
fn lengths_of_time_are_read_as_spark_writes_them() {
    let seconds = |text: &str| parse(text).map(|d| d.as_secs());
    assert_eq!(seconds("1 hour"), Ok(3600));
    assert_eq!(seconds("400 days"), Ok(400 * 86_400));
    assert_eq!(seconds("  2 Weeks "), Ok(14 * 86_400));
    assert_eq!(seconds("1 day 12 hours"), Ok(36 * 3600));
    assert_eq!(seconds("INTERVAL 90 minutes"), Ok(5400));
    assert_eq!(parse("250 milliseconds"), Ok(Duration::from_millis(250)));
}

#[test]
fn what_is_no_length_of_time_is_refused_with_its_reason() {
    let why = |text: &str| parse(text).unwrap_err();
    assert_eq!(why(""), "it is empty");
    assert_eq!(why("5"), "`5` has no unit");
    assert_eq!(why("hour"), "`hour` is not a whole number");
    assert_eq!(why("-1 hour"), "it must be longer than nothing");
    assert_eq!(why("1.5 hours"), "`1.5` is not a whole number");
    assert_eq!(why("0 days"), "it must be longer than nothing");
    assert_eq!(why("1 month"), "a month has no fixed length, write days");
    assert_eq!(why("1 moon"), "`moon` is not a unit of time (second, minute, hour, day, week)");
    assert_eq!(why("99999999999 weeks"), "it is longer than 292,000 years");
}

#[test]
fn a_signed_length_may_be_zero_or_negative() {
    assert_eq!(signed_us("-5 minutes"), Ok(-300_000_000));
    assert_eq!(signed_us("1 hour -30 minutes"), Ok(1_800_000_000));
    assert_eq!(signed_us("0 seconds"), Ok(0));
}
