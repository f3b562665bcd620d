//! Lengths of time as Spark writes them: `1 hour`, `400 days`, `1 day 12 hours`.

use std::time::Duration;

/// The length in microseconds of a unit, singular or plural; `None` for what is not a unit of fixed length.
pub(crate) fn unit_us(unit: &str) -> Option<u64> {
    let unit = unit.to_ascii_lowercase();
    Some(match unit.strip_suffix('s').unwrap_or(&unit) {
        "microsecond" => 1,
        "millisecond" => 1_000,
        "second" => 1_000_000,
        "minute" => 60_000_000,
        "hour" => 3_600_000_000,
        "day" => 86_400_000_000,
        "week" => 604_800_000_000,
        _ => return None,
    })
}

/// A positive length of time; the error says what is wrong with the text, in words that follow a colon.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let total_us = signed_us(text)?;
    match u64::try_from(total_us) {
        Ok(0) | Err(_) => Err("it must be longer than nothing".to_owned()),
        Ok(us) => Ok(Duration::from_micros(us)),
    }
}

/// A length of time in microseconds, which may be zero or lie in the past: `-5 minutes`.
pub(crate) fn signed_us(text: &str) -> Result<i64, String> {
    let mut words = text.split_whitespace().peekable();
    if words.peek().is_some_and(|w| w.eq_ignore_ascii_case("interval")) {
        words.next();
    }
    let mut total_us: i128 = 0;
    let mut parts = 0;
    while let Some(number) = words.next() {
        let count: i64 = number.parse().map_err(|_| format!("`{number}` is not a whole number"))?;
        let unit = words.next().ok_or_else(|| format!("`{number}` has no unit"))?;
        let unit_us = unit_us(unit).ok_or_else(|| not_a_unit(unit))?;
        total_us = total_us.saturating_add(i128::from(count) * i128::from(unit_us));
        parts += 1;
    }
    if parts == 0 {
        return Err("it is empty".to_owned());
    }
    i64::try_from(total_us).map_err(|_| "it is longer than 292,000 years".to_owned())
}

/// Why a word is not a unit.
pub(crate) fn not_a_unit(unit: &str) -> String {
    let singular = unit.to_ascii_lowercase();
    match singular.strip_suffix('s').unwrap_or(&singular) {
        long @ ("month" | "year" | "quarter") => format!("a {long} has no fixed length, write days"),
        _ => format!("`{unit}` is not a unit of time (second, minute, hour, day, week)"),
    }
}

#[cfg(test)]
mod tests;
