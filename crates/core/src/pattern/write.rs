//! Times to texts, by the items of a pattern.

use std::io::Write as _;

use super::{DAYS, Field, Item, MONTHS, Minutes, QUARTERS};
use crate::calendar::{DAY_MICROS, civil_from_days, days_from_civil};

/// A time, and which of its parts it has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Time {
    days: i64,
    micros_of_day: i64,
    timed: bool,
    zoned: bool,
}

impl Time {
    pub(super) fn of(micros: i64, timed: bool, zoned: bool) -> Self {
        Self { days: micros.div_euclid(DAY_MICROS), micros_of_day: micros.rem_euclid(DAY_MICROS), timed, zoned }
    }

    fn has(&self, item: &Item) -> bool {
        match item {
            Item::Offset { .. } | Item::Zone => self.zoned,
            Item::Optional(_) => true,
            item if item.is_time() => self.timed,
            _ => true,
        }
    }
}

pub(super) fn write(items: &[Item], out: &mut Vec<u8>, time: Time) {
    for item in items {
        match item {
            Item::Optional(inner) if inner.iter().all(|i| time.has(i)) => write(inner, out, time),
            Item::Optional(_) => {}
            item => one(item, out, time),
        }
    }
}

fn one(item: &Item, out: &mut Vec<u8>, time: Time) {
    let (year, month, day) = civil_from_days(time.days);
    let seconds = time.micros_of_day / 1_000_000;
    let hour = seconds / 3_600;
    let index = |number: i64| usize::try_from(number).unwrap_or_default();
    match item {
        Item::Text(text) => out.extend_from_slice(text.as_bytes()),
        Item::Number(Field::Year, 2) => put(out, format_args!("{:02}", year.rem_euclid(100))),
        Item::Number(Field::Year, width) => match (year > 9_999, *width >= 4) {
            (true, true) => put(out, format_args!("{year:+}")),
            _ if year < 0 => put(out, format_args!("-{:0width$}", -year, width = *width)),
            _ => put(out, format_args!("{year:0width$}", width = *width)),
        },
        Item::Number(field, width) => {
            let value = match field {
                Field::Month => month,
                Field::Day => day,
                Field::Hour => hour,
                Field::ClockHour => (hour + 23) % 24 + 1,
                Field::HourOfHalf => hour % 12,
                Field::ClockHourOfHalf => (hour + 11) % 12 + 1,
                Field::Minute => seconds / 60 % 60,
                Field::Second | Field::Year => seconds % 60,
            };
            put(out, format_args!("{value:0width$}", width = *width));
        }
        Item::MonthName { full } => name(out, MONTHS.get(index(month - 1)), *full),
        Item::DayName { full } => name(out, DAYS.get(index((time.days + 3).rem_euclid(7))), *full),
        Item::DayOfYear(width) => {
            let first = i32::try_from(year).ok().and_then(|year| days_from_civil(year, 1, 1)).map_or(time.days, i64::from);
            put(out, format_args!("{:0width$}", time.days - first + 1, width = *width));
        }
        Item::Quarter(width) => {
            let quarter = (month + 2) / 3;
            match width {
                3 => put(out, format_args!("Q{quarter}")),
                4 => out.extend_from_slice(QUARTERS.get(index(quarter - 1)).copied().unwrap_or_default().as_bytes()),
                width => put(out, format_args!("{quarter:0width$}", width = *width)),
            }
        }
        Item::Fraction(width) => {
            let digits = format!("{:06}000", time.micros_of_day % 1_000_000);
            out.extend_from_slice(digits.as_bytes().get(..*width).unwrap_or_default());
        }
        Item::HalfDay => out.extend_from_slice(if hour < 12 { b"AM" } else { b"PM" }),
        Item::Offset { zulu: true, .. } => out.push(b'Z'),
        Item::Offset { minutes: Minutes::WhenNeeded, .. } => out.extend_from_slice(b"+00"),
        Item::Offset { minutes: Minutes::Glued, .. } => out.extend_from_slice(b"+0000"),
        Item::Offset { minutes: Minutes::AfterColon, .. } => out.extend_from_slice(b"+00:00"),
        Item::Zone => out.extend_from_slice(b"UTC"),
        Item::Optional(inner) => write(inner, out, time),
    }
}

fn name(out: &mut Vec<u8>, name: Option<&&str>, full: bool) {
    let name = name.copied().unwrap_or_default();
    out.extend_from_slice(if full { name } else { name.get(..3).unwrap_or(name) }.as_bytes());
}

fn put(out: &mut Vec<u8>, value: std::fmt::Arguments<'_>) {
    // Writing to memory can't fail.
    let _ = out.write_fmt(value);
}
