//! A value as plain text: what Spark's `CAST(... AS STRING)` gives, but for times, which are written as `to_json` writes them (or by their
//! patterns), and BINARY, which is Base64, because text must be UTF-8. Microseconds are written where a timestamp has some, so that nothing is cut off.

use std::io::Write as _;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType,
};

use crate::calendar::{DAY_MICROS, civil_from_days};
use crate::error::{Error, Result};
use crate::style::TimeFormats;

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Writes the value at `row` of `array`, which is not null and not nested.
pub(super) fn write(out: &mut Vec<u8>, array: &dyn Array, row: usize, times: &TimeFormats) -> Result<()> {
    match array.data_type() {
        DataType::Boolean => out.extend_from_slice(if array.as_boolean().value(row) { b"true" } else { b"false" }),
        DataType::Int8 => integer(out, array.as_primitive::<Int8Type>().value(row).into()),
        DataType::Int16 => integer(out, array.as_primitive::<Int16Type>().value(row).into()),
        DataType::Int32 => integer(out, array.as_primitive::<Int32Type>().value(row).into()),
        DataType::Int64 => integer(out, array.as_primitive::<Int64Type>().value(row)),
        DataType::Float32 => float(out, array.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => float(out, array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(_, scale) => decimal(out, array.as_primitive::<Decimal128Type>().value(row), *scale),
        DataType::Utf8 => out.extend_from_slice(array.as_string::<i32>().value(row).as_bytes()),
        DataType::Binary => base64(out, array.as_binary::<i32>().value(row)),
        DataType::Date32 => {
            let days: i64 = array.as_primitive::<Date32Type>().value(row).into();
            match &times.date {
                None => date(out, days),
                Some(pattern) => pattern.write(out, days.saturating_mul(DAY_MICROS), false, false),
            }
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
            let zoned = zone.is_some();
            match if zoned { &times.timestamp } else { &times.timestamp_ntz } {
                None => {
                    timestamp(out, micros);
                    out.extend_from_slice(if zoned { b"Z" } else { b"" });
                }
                Some(pattern) => pattern.write(out, micros, true, zoned),
            }
        }
        other => return Err(Error::internal(format!("a {other} was to be written as text"))),
    }
    Ok(())
}

fn formatted(out: &mut Vec<u8>, value: std::fmt::Arguments<'_>) {
    // Writing to memory can't fail.
    let _ = out.write_fmt(value);
}

/// A whole number: by hand, for it is most of what topics hold, and the formatting machinery takes several times as long.
pub(super) fn integer(out: &mut Vec<u8>, value: i64) {
    let mut text = [0; 20];
    let mut first = text.len();
    let mut rest = value.unsigned_abs();
    while first == text.len() || rest > 0 {
        first -= 1;
        text[first] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&text[first..]);
}

/// The last `N` digits of a number that is not negative, with zeros before it.
fn digits<const N: usize>(out: &mut Vec<u8>, value: i64) {
    let mut text = [b'0'; N];
    let mut rest = value;
    for digit in text.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&text);
}

/// The shortest digits that give the same value again, with the exponent where Rust's debug form has it; the words are Java's.
fn float<F: Into<f64> + Copy + std::fmt::Debug>(out: &mut Vec<u8>, value: F) {
    let double: f64 = value.into();
    if double.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if double.is_infinite() {
        out.extend_from_slice(if double > 0.0 { b"Infinity" } else { b"-Infinity" });
    } else {
        formatted(out, format_args!("{value:?}"));
    }
}

fn decimal(out: &mut Vec<u8>, unscaled: i128, scale: i8) {
    let Ok(places @ 1..) = usize::try_from(scale) else {
        formatted(out, format_args!("{unscaled}"));
        return;
    };
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    formatted(out, format_args!("{}{whole}.{fraction}", if unscaled < 0 { "-" } else { "" }));
}

/// `2013-07-22`; a year before 0 or after 9999 has its sign, as in Java.
fn date(out: &mut Vec<u8>, days: i64) {
    let (year, month, day) = civil_from_days(days);
    match year {
        0..=9_999 => {
            digits::<4>(out, year);
            out.push(b'-');
            digits::<2>(out, month);
            out.push(b'-');
            digits::<2>(out, day);
        }
        _ => formatted(out, format_args!("{year:+05}-{month:02}-{day:02}")),
    }
}

/// `2013-07-22T19:00:00.000`, with six digits where the microseconds need them.
fn timestamp(out: &mut Vec<u8>, micros: i64) {
    date(out, micros.div_euclid(DAY_MICROS));
    let of_day = micros.rem_euclid(DAY_MICROS);
    let (seconds, fraction) = (of_day / 1_000_000, of_day % 1_000_000);
    for (mark, part) in [(b'T', seconds / 3_600), (b':', seconds / 60 % 60), (b':', seconds % 60)] {
        out.push(mark);
        digits::<2>(out, part);
    }
    out.push(b'.');
    match fraction % 1_000 {
        0 => digits::<3>(out, fraction / 1_000),
        _ => digits::<6>(out, fraction),
    }
}

/// `[20 FF]`, as Spark shows bytes.
pub(super) fn spaced_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'[');
    for (at, byte) in bytes.iter().enumerate() {
        formatted(out, format_args!("{}{byte:02X}", if at == 0 { "" } else { " " }));
    }
    out.push(b']');
}

/// RFC 4648 with padding, as Spark's JSON has binary.
fn base64(out: &mut Vec<u8>, bytes: &[u8]) {
    for group in bytes.chunks(3) {
        let word = group.iter().fold(0_u32, |word, byte| (word << 8) | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let digit = usize::try_from(word >> (18 - 6 * place) & 63).unwrap_or(0);
            out.push(if place <= group.len() { BASE64[digit] } else { b'=' });
        }
    }
}
