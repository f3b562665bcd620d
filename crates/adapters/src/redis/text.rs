//! Single values as text that people and other programs read in Redis, and back without loss. Pure.
//!
//! Integers, decimals and booleans are written out; a float has the fewest digits that give it back, or is `NaN`, `Infinity`, `-Infinity`;
//! a date is `2013-07-22`; a timestamp `2013-07-22T19:00:00.5Z`, without the `Z` for TIMESTAMP_NTZ. Dates and timestamps before the year
//! 1 or after 9999, which RFC 3339 can't name, are the integer of their days or microseconds since 1970.

use std::io::Write;

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta};
use millstream_core::{Error, Result};

/// 0001-01-01 and 9999-12-31, in days since 1970-01-01.
const DAYS: std::ops::RangeInclusive<i32> = -719_162..=2_932_896;
const MICROS_A_DAY: i64 = 86_400_000_000;

/// Appends a date.
pub(super) fn write_date(out: &mut Vec<u8>, days: i32) -> Result<()> {
    match NaiveDate::default().checked_add_signed(TimeDelta::days(days.into())).filter(|_| DAYS.contains(&days)) {
        Some(date) => write!(out, "{date}")?,
        None => write!(out, "{days}")?,
    }
    Ok(())
}

/// Reads what [`write_date`] wrote.
pub(super) fn read_date(text: &str) -> Result<i32> {
    if let Ok(days) = text.parse() {
        return Ok(days);
    }
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_| misread(text, "a date"))?;
    i32::try_from(date.signed_duration_since(NaiveDate::default()).num_days()).map_err(|_| misread(text, "a date"))
}

/// Appends a timestamp in microseconds since 1970; `zoned` says whether it is UTC's or nobody's.
pub(super) fn write_timestamp(out: &mut Vec<u8>, micros: i64, zoned: bool) -> Result<()> {
    let in_range = i32::try_from(micros.div_euclid(MICROS_A_DAY)).is_ok_and(|days| DAYS.contains(&days));
    match DateTime::from_timestamp_micros(micros).filter(|_| in_range) {
        Some(t) => write!(out, "{}{}", t.format("%Y-%m-%dT%H:%M:%S%.f"), if zoned { "Z" } else { "" })?,
        None => write!(out, "{micros}")?,
    }
    Ok(())
}

/// Reads what [`write_timestamp`] wrote.
pub(super) fn read_timestamp(text: &str) -> Result<i64> {
    if let Ok(micros) = text.parse() {
        return Ok(micros);
    }
    let naive = NaiveDateTime::parse_from_str(text.strip_suffix('Z').unwrap_or(text), "%Y-%m-%dT%H:%M:%S%.f");
    naive.map(|t| t.and_utc().timestamp_micros()).map_err(|_| misread(text, "a timestamp"))
}

/// Appends the unscaled value of a DECIMAL with `scale` digits after the point.
pub(super) fn write_decimal(out: &mut Vec<u8>, unscaled: i128, scale: i8) -> Result<()> {
    let digits = usize::try_from(scale).unwrap_or_default();
    if digits == 0 {
        write!(out, "{unscaled}")?;
        return Ok(());
    }
    let text = format!("{:0>width$}", unscaled.unsigned_abs(), width = digits + 1);
    let (whole, fraction) = text.split_at(text.len() - digits);
    write!(out, "{}{whole}.{fraction}", if unscaled < 0 { "-" } else { "" })?;
    Ok(())
}

/// Reads what [`write_decimal`] wrote.
pub(super) fn read_decimal(text: &str, scale: i8) -> Result<i128> {
    let digits = usize::try_from(scale).unwrap_or_default();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() != digits || fraction.contains(['-', '+']) {
        return Err(misread(text, &format!("a decimal with {digits} digits after the point")));
    }
    format!("{whole}{fraction}").parse().map_err(|_| misread(text, "a decimal"))
}

/// Reads a float of either width, and the words of [`not_finite`](millstream_core::value::not_finite).
pub(super) fn read_float<T: std::str::FromStr>(text: &str) -> Result<T> {
    // Rust's own parser takes `NaN`, `Infinity` and `-Infinity` too.
    text.parse().map_err(|_| misread(text, "a number"))
}

/// Reads an integer of any width.
pub(super) fn read_int<T: std::str::FromStr>(text: &str) -> Result<T> {
    text.parse().map_err(|_| misread(text, "an integer of the column's width"))
}

/// Reads a boolean.
pub(super) fn read_bool(text: &str) -> Result<bool> {
    text.parse().map_err(|_| misread(text, "true or false"))
}

/// The error for a value that Millstream did not write.
pub(super) fn misread(text: &str, expected: &str) -> Error {
    let shown: String = text.chars().take(60).collect();
    Error::corrupt(format!("{shown:?} in Redis is not {expected}; did another program write it?"))
}

#[cfg(test)]
mod tests;
