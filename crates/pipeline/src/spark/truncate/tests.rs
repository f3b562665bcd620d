use super::*;

#[test]
fn times_before_1970_and_beyond_nanoseconds_are_truncated() {
    let unit = |text| Unit::parse(text).unwrap();
    assert_eq!(truncate_time(-1, unit("hour")), Some(-3_600_000_000));
    assert_eq!(truncate_time(-1, unit("YEAR")), Some(-365 * MICROS_PER_DAY));
    assert_eq!(truncate_time(253_402_300_799_999_999, unit("MM")), Some((2_932_896 - 30) * MICROS_PER_DAY));
    assert_eq!(truncate_date(-719_162, unit("week")), Some(-719_162));
    assert_eq!(truncate_date(0, unit("quarter")), Some(0));
    assert_eq!(truncate_date(0, unit("DAY")), None);
    assert_eq!(Unit::parse("nonsense"), None);
}
