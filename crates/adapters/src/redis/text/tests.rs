#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use millstream_core::value::not_finite;

use super::*;

fn text(write: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> String {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn dates_and_timestamps_are_those_of_rfc_3339_and_come_back() {
    for (days, expected) in [(0, "1970-01-01"), (-719_162, "0001-01-01"), (2_932_896, "9999-12-31"), (2_932_897, "2932897")] {
        assert_eq!(text(|out| write_date(out, days)), expected);
        assert_eq!(read_date(expected).unwrap(), days);
    }
    for (micros, expected) in [
        (0, "1970-01-01T00:00:00Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (1_374_519_600_500_000, "2013-07-22T19:00:00.500Z"),
        (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
        (-62_135_596_800_000_000, "0001-01-01T00:00:00Z"),
        (i64::MIN, "-9223372036854775808"),
        (i64::MAX, "9223372036854775807"),
    ] {
        assert_eq!(text(|out| write_timestamp(out, micros, true)), expected);
        assert_eq!(read_timestamp(expected).unwrap(), micros);
        assert_eq!(read_timestamp(&text(|out| write_timestamp(out, micros, false))).unwrap(), micros);
    }
}

#[test]
fn decimals_keep_all_their_digits() {
    let most = 10_i128.pow(38) - 1;
    for (unscaled, scale, expected) in [
        (0, 2, "0.00"),
        (-1, 6, "-0.000001"),
        (1_500_000, 6, "1.500000"),
        (-12_345, 2, "-123.45"),
        (7, 0, "7"),
        (most, 0, "99999999999999999999999999999999999999"),
        (-most, 38, "-0.99999999999999999999999999999999999999"),
    ] {
        assert_eq!(text(|out| write_decimal(out, unscaled, scale)), expected);
        assert_eq!(read_decimal(expected, scale).unwrap(), unscaled);
    }
}

#[test]
fn what_is_something_else_is_corrupt() {
    assert!(read_decimal("1.5", 2).is_err());
    assert!(read_decimal("1.-5", 2).is_err());
    assert!(read_date("22.7.2013").is_err());
    assert!(read_timestamp("2013-07-22").is_err());
    assert!(read_int::<i8>("128").is_err());
    assert!(read_bool("yes").is_err());
    assert!(read_float::<f64>("").is_err());
}

#[test]
fn floats_without_digits_come_back() {
    for value in [f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(read_float::<f64>(not_finite(value)).unwrap(), value);
    }
    assert!(read_float::<f32>(not_finite(f64::NAN)).unwrap().is_nan());
}
