#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use super::*;

/// 2013-07-04T15:06:07.089012Z, a Thursday.
const TIME: i64 = 1_372_950_367_089_012;

fn read(pattern: &str, text: &str) -> Option<(i32, i64, Option<i64>)> {
    TimePattern::try_new(pattern).unwrap().read(text).map(|t| (t.days, t.micros_of_day, t.offset_seconds))
}

fn written(pattern: &str, micros: i64) -> String {
    let mut out = Vec::new();
    TimePattern::try_new(pattern).unwrap().write(&mut out, micros, true, true);
    String::from_utf8(out).unwrap()
}

#[test]
fn what_a_pattern_writes_it_reads() {
    let patterns = [
        ("yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX", "2013-07-04T15:06:07.089012Z"),
        ("dd/MM/yyyy h:mm:ss.SSSSSS a", "04/07/2013 3:06:07.089012 PM"),
        ("yyyyMMddHHmmssSSSSSS", "20130704150607089012"),
        ("d MMM uuuu, HH'h'mm''ss [SSSSSS]", "4 Jul 2013, 15h06'07 089012"),
        ("MMMM d yyyy K:m:s.SSSSSS a xxx", "July 4 2013 3:6:7.089012 PM +00:00"),
        ("yy-M-d kk:mm:ss.SSSSSS Z", "13-7-4 15:06:07.089012 +0000"),
    ];
    for (pattern, text) in patterns {
        assert_eq!(written(pattern, TIME), text, "{pattern}");
        let (days, micros, offset) = read(pattern, text).unwrap_or_else(|| panic!("{pattern}"));
        assert_eq!(i64::from(days) * 86_400_000_000 + micros, TIME, "{pattern}");
        assert!(offset.is_none_or(|o| o == 0), "{pattern}");
    }
}

#[test]
fn widths_are_javas() {
    assert!(read("yyyy-MM-dd", "2013-7-04").is_none());
    assert!(read("yyyy-M-d", "2013-7-4").is_some() && read("yyyy-M-d", "2013-07-04").is_some());
    assert!(read("yyyy-MM-dd", "12013-07-04").is_none());
    assert!(read("yyyy-MM-dd", "+12013-07-04").is_some());
    assert!(read("yyyy-MM-dd", "+2013-07-04").is_none());
    assert!(read("yyyy-MM-dd", "2013-07-04 ").is_none());
    assert_eq!(read("HH:mm:ss.SSS", "00:00:01.5").unwrap().1, 1_500_000);
    assert!(read("HH:mm:ss.SSS", "00:00:01.1234").is_none());
    assert!(read("HH:mm:ss.SSS", "00:00:01.").is_none());
}

#[test]
fn times_that_do_not_exist_are_not_read() {
    for (pattern, text) in [
        ("yyyy-MM-dd", "2013-02-29"),
        ("yyyy-MM-dd", "2013-13-01"),
        ("HH:mm", "24:00"),
        ("HH:mm", "12:60"),
        ("h a", "13 PM"),
        ("yyyy-MM-dd HH:mm XXX", "2013-07-04 10:00 +19:00"),
        ("MMM", "Foo"),
    ] {
        assert!(read(pattern, text).is_none(), "{text} as {pattern}");
    }
}

#[test]
fn what_the_text_leaves_out_is_that_of_1970() {
    assert_eq!(read("HH:mm", "01:30"), Some((0, 5_400_000_000, None)));
    assert_eq!(read("yyyy", "1971"), Some((365, 0, None)));
    assert_eq!(read("yyyy-MM-dd[ HH:mm]", "1970-01-02"), Some((1, 0, None)));
    assert_eq!(read("HH:mmX", "01:30+0130"), Some((0, 5_400_000_000, Some(5_400))));
    assert_eq!(read("HH:mmX", "01:30-01"), Some((0, 5_400_000_000, Some(-3_600))));
}

#[test]
fn optional_parts_are_written_where_the_time_has_them() {
    let pattern = TimePattern::try_new("yyyy-MM-dd['T'HH:mm][XXX]").unwrap();
    let text = |timed, zoned| {
        let mut out = Vec::new();
        pattern.write(&mut out, TIME, timed, zoned);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(text(true, true), "2013-07-04T15:06Z");
    assert_eq!(text(true, false), "2013-07-04T15:06");
    assert_eq!(text(false, false), "2013-07-04");
    assert!(!pattern.needs_zone() && !pattern.needs_time());
    assert_eq!(written("EEE EEEE", TIME), "Thu Thursday");
    assert!(!TimePattern::try_new("yyyy [E]").unwrap().can_read());
}

#[test]
fn a_wrong_pattern_says_why() {
    let why = |pattern: &str| TimePattern::try_new(pattern).unwrap_err();
    assert!(why("").contains("empty"));
    assert!(why("yyyy-MM-dd'T").contains("not closed"));
    assert!(why("yyyy[").contains("not closed"));
    assert!(why("yyyy]").contains("not opened"));
    assert!(why("YYYY").contains("'Y'"));
    assert!(why("MMMMM").contains("5 times"));
    assert!(why("{").contains("reserved"));
}
