//! Texts that Spark's casts take for dates and times. Pure.
//!
//! Source: Spark 4.1, "Data Types" and "Datetime Patterns": `[+-]y..y[-m[-d]]`, then behind a blank or `T` a time of day
//! `h[:m[:s[.f]]]` and a zone: `Z`, `UTC`, `GMT`, an offset, or one of the names with an offset behind it. Named regions are not
//! taken.

use chrono::NaiveDate;

const MICROS_PER_DAY: i64 = 86_400_000_000;
const SECONDS_EAST_MAX: i64 = 18 * 3_600;

/// Days since 1970 of a date; what stands behind a blank or `T` doesn't count.
pub(super) fn parse_date(text: &str) -> Option<i32> {
    let (date, _) = split_date(text.trim());
    i32::try_from(calendar_days(date)?).ok()
}

/// Microseconds since 1970 of a time; without a zone it is UTC.
pub(super) fn parse_timestamp(text: &str) -> Option<i64> {
    let (date, time) = split_date(text.trim());
    let midnight = calendar_days(date)?.checked_mul(MICROS_PER_DAY)?;
    let Some(time) = time.filter(|time| !time.is_empty()) else { return Some(midnight) };
    let (of_day, zone) = clock(time)?;
    midnight.checked_add(of_day)?.checked_sub(seconds_east(zone.trim())? * 1_000_000)
}

/// The date, and what stands behind the blank or `T`.
fn split_date(text: &str) -> (&str, Option<&str>) {
    text.split_once([' ', 'T']).map_or((text, None), |(date, time)| (date, Some(time)))
}

fn calendar_days(text: &str) -> Option<i64> {
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    let mut parts = unsigned.splitn(3, '-');
    let year = number(parts.next()?, 4, 7)?;
    let mut or_first = || parts.next().map_or(Some(1), |part| number(part, 1, 2));
    let (month, day) = (or_first()?, or_first()?);
    let year = i32::try_from(year).ok()?;
    let date = NaiveDate::from_ymd_opt(if negative { -year } else { year }, month, day)?;
    Some(date.signed_duration_since(NaiveDate::default()).num_days())
}

/// A number of `least` to `most` digits.
fn number(text: &str, least: usize, most: usize) -> Option<u32> {
    let digits = (least..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// Microseconds since midnight, and the zone behind them.
fn clock(text: &str) -> Option<(i64, &str)> {
    let mut rest = text;
    let hour = digits(&mut rest)?;
    let mut part = || if eat(&mut rest, ':') { digits(&mut rest) } else { Some(0) };
    let minute = part()?;
    let second = part()?;
    let fraction = if eat(&mut rest, '.') { fraction(&mut rest) } else { 0 };
    (hour < 24 && minute < 60 && second < 60).then_some(((hour * 3_600 + minute * 60 + second) * 1_000_000 + fraction, rest))
}

fn eat(rest: &mut &str, letter: char) -> bool {
    let found = rest.strip_prefix(letter);
    *rest = found.unwrap_or(rest);
    found.is_some()
}

/// One or two digits.
fn digits(rest: &mut &str) -> Option<i64> {
    let count = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (taken, left) = rest.split_at(count);
    *rest = left;
    number(taken, 1, 2).map(i64::from)
}

/// Digits behind the point, none of them too, as microseconds; those after the sixth are cut off.
fn fraction(rest: &mut &str) -> i64 {
    let count = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (taken, left) = rest.split_at(count);
    *rest = left;
    taken.bytes().chain(std::iter::repeat(b'0')).take(6).fold(0, |micros, digit| micros * 10 + i64::from(digit - b'0'))
}

/// Seconds east of Greenwich: nothing, `Z`, `UTC`, `GMT`, `UT`, `+2`, `+02`, `+0230`, `+2:30`, `+02:30:15`, `UTC+3`.
fn seconds_east(zone: &str) -> Option<i64> {
    let offset = ["UTC", "GMT", "UT", "Z", "z"].iter().find_map(|name| zone.strip_prefix(name)).unwrap_or(zone);
    if offset.is_empty() {
        return Some(0);
    }
    let (sign, offset) = offset.strip_prefix('+').map(|rest| (1, rest)).or_else(|| Some((-1, offset.strip_prefix('-')?)))?;
    let mut parts = offset.splitn(3, ':');
    let first = parts.next()?;
    let (hours, minutes) = match first.len() {
        4 => (number(first.get(..2)?, 2, 2)?, number(first.get(2..)?, 2, 2)?),
        _ => (number(first, 1, 2)?, parts.next().map_or(Some(0), |minutes| number(minutes, 2, 2))?),
    };
    let seconds = parts.next().map_or(Some(0), |seconds| number(seconds, 2, 2))?;
    let east = i64::from(hours * 3_600 + minutes * 60 + seconds);
    (minutes < 60 && seconds < 60 && east <= SECONDS_EAST_MAX).then_some(sign * east)
}

#[cfg(test)]
mod tests;
