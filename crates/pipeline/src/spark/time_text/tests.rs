use super::*;

const MORNING: i64 = 1_709_210_096_000_000;

#[test]
fn every_form_of_a_time_is_read() {
    for text in [
        "2024-02-29 12:34:56",
        " 2024-2-29T12:34:56 ",
        "2024-02-29 12:34:56.",
        "2024-02-29 12:34:56Z",
        "2024-02-29 12:34:56 UTC",
        "2024-02-29 14:34:56+2",
        "2024-02-29 15:04:56+0230",
        "2024-02-29 15:04:56+02:30",
        "2024-02-29 15:34:56 UTC+3",
        "2024-02-28 18:34:56-18:00",
        "+2024-02-29 12:34:56GMT",
    ] {
        assert_eq!(parse_timestamp(text), Some(MORNING), "{text}");
    }
    assert_eq!(parse_timestamp("2024-02-29 12"), Some(MORNING - 2_096_000_000));
    assert_eq!(parse_timestamp("2024-02-29"), Some(MORNING - 45_296_000_000));
    assert_eq!(parse_timestamp("2024-02-29 12:34:56.1234567"), Some(MORNING + 123_456));
    assert_eq!(parse_timestamp("1969-12-31T23:59:59.999999Z"), Some(-1));
}

#[test]
fn what_is_no_time_is_not_read() {
    for text in [
        "",
        "noon",
        "2024-02-30",
        "2024-02-29 24:00:00",
        "2024-02-29 23:59:60",
        "2024-02-29 12:34:56+19:00",
        "2024-02-29 12:34:56 x",
        "24-1-1",
    ] {
        assert_eq!(parse_timestamp(text), None, "{text}");
    }
}

#[test]
fn dates_have_signs_and_may_lack_parts() {
    assert_eq!(parse_date("1970"), Some(0));
    assert_eq!(parse_date("1970-01-02 junk"), Some(1));
    assert_eq!(parse_date("+10000-01-01"), Some(2_932_897));
    assert_eq!(parse_date("-0044-03-15").map(|days| days < -719_162), Some(true));
    assert_eq!(parse_date("2013-02-30"), None);
}
