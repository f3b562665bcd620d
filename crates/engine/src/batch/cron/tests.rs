#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use super::*;

fn at(text: &str) -> Timestamp {
    Timestamp(DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros())
}

#[track_caller]
fn due(cron: &str, after: &str, expected: &str) {
    assert_eq!(next_run(cron, at(after)).map(|t| t.to_string()), Some(at(expected).to_string()), "{cron} after {after}");
}

#[test]
fn the_next_time_is_the_first_one_after() {
    due("*/5 * * * *", "2024-01-01T00:00:00Z", "2024-01-01T00:05:00Z");
    due("*/5 * * * *", "2024-01-01T00:04:59.999999Z", "2024-01-01T00:05:00Z");
    due("*/5 * * * *", "2024-01-01T00:05:00.000001Z", "2024-01-01T00:10:00Z");
    due("0 3 * * *", "2024-02-28T03:00:00Z", "2024-02-29T03:00:00Z");
    due("0 0 29 2 *", "2024-03-01T00:00:00Z", "2028-02-29T00:00:00Z");
    due("30 6 * * MON-FRI", "2024-01-05T12:00:00Z", "2024-01-08T06:30:00Z");
    due("15 0 1 1 *", "2023-12-31T23:59:00Z", "2024-01-01T00:15:00Z");
}

#[test]
fn what_is_no_schedule_of_five_fields_is_never_due() {
    for cron in ["", "* * * *", "* * * * * *", "61 * * * *", "x * * * *", "0 0 30 2 *"] {
        assert_eq!(next_run(cron, at("2024-01-01T00:00:00Z")), None, "{cron}");
    }
}
