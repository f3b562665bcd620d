//! When a schedule is due: pure.

use chrono::DateTime;
use croner::parser::{CronParser, Seconds, Year};
use millstream_core::Timestamp;

/// The first time after `after` at which `cron` (five fields: minute, hour, day of month, month, day of week; UTC) is due.
/// `None` when it never is, or isn't a schedule: `check` refuses both.
#[must_use]
pub fn next_run(cron: &str, after: Timestamp) -> Option<Timestamp> {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    let schedule = parser.parse(cron).ok()?;
    let after = DateTime::from_timestamp_micros(after.micros())?;
    let next = schedule.find_next_occurrence(&after, false).ok()?;
    Some(Timestamp(next.timestamp_micros()))
}

#[cfg(test)]
mod tests;
