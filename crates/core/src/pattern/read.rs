//! Texts to times, by the items of a pattern.

use super::{Field, Item, MONTHS, Minutes, WrittenTime};
use crate::calendar::days_from_civil;

/// What has been read so far.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    year: Option<i32>,
    month: Option<u32>,
    day: Option<u32>,
    hour: Option<u32>,
    hour_of_half: Option<u32>,
    afternoon: Option<bool>,
    minute: Option<u32>,
    second: Option<u32>,
    micros: i64,
    offset_seconds: Option<i64>,
}

pub(super) fn read(items: &[Item], text: &str) -> Option<WrittenTime> {
    let mut found = Found::default();
    let rest = items_of(items, text, &mut found)?;
    if rest.is_empty() { found.time() } else { None }
}

/// Reads `items` from the beginning of `text`; what comes behind them.
fn items_of<'a>(items: &[Item], text: &'a str, found: &mut Found) -> Option<&'a str> {
    let mut rest = text;
    for (at, item) in items.iter().enumerate() {
        rest = match item {
            Item::Optional(inner) => {
                let mut tried = *found;
                match items_of(inner, rest, &mut tried) {
                    Some(after) => {
                        *found = tried;
                        after
                    }
                    None => rest,
                }
            }
            Item::Text(expected) => without_prefix(rest, expected)?,
            Item::Number(field, width) => {
                let next_is_digits = matches!(items.get(at + 1), Some(Item::Number(..) | Item::Fraction(_)));
                number(*field, *width, next_is_digits, rest, found)?
            }
            Item::MonthName { full } => {
                let named = MONTHS.iter().position(|name| without_prefix(rest, part(name, *full)).is_some())?;
                found.month = u32::try_from(named + 1).ok();
                without_prefix(rest, part(MONTHS[named], *full))?
            }
            Item::DayName { .. } | Item::DayOfYear(_) | Item::Quarter(_) => return None,
            Item::Fraction(width) => {
                let digits = leading_digits(rest, *width);
                let value: i64 = rest.get(..digits.min(6)).filter(|d| !d.is_empty())?.parse().ok()?;
                let missing = u32::try_from(6_usize.saturating_sub(digits)).ok()?;
                found.micros = value * 10_i64.pow(missing);
                rest.get(digits..)?
            }
            Item::HalfDay => {
                let (afternoon, after) = match without_prefix(rest, "AM") {
                    Some(after) => (false, after),
                    None => (true, without_prefix(rest, "PM")?),
                };
                found.afternoon = Some(afternoon);
                after
            }
            Item::Offset { zulu, minutes } => offset(*zulu, *minutes, rest, found)?,
            Item::Zone => {
                let after = ["UTC", "GMT", "Z"].iter().find_map(|zone| without_prefix(rest, zone))?;
                found.offset_seconds = Some(0);
                after
            }
        };
    }
    Some(rest)
}

fn part(name: &str, full: bool) -> &str {
    if full { name } else { name.get(..3).unwrap_or(name) }
}

fn without_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

fn leading_digits(text: &str, most: usize) -> usize {
    text.bytes().take(most).take_while(u8::is_ascii_digit).count()
}

fn number<'a>(field: Field, width: usize, next_is_digits: bool, text: &'a str, found: &mut Found) -> Option<&'a str> {
    let (negative, signed, text) = match text.as_bytes().first()? {
        b'-' if field == Field::Year => (true, true, &text[1..]),
        b'+' if field == Field::Year => (false, true, &text[1..]),
        _ => (false, false, text),
    };
    let is_year = field == Field::Year;
    // As java.time has it: a year of four letters has more digits only behind a sign, one letter takes what is there.
    let most = match (is_year, width) {
        (true, 2) => 2,
        (true, 1 | 3) => 6,
        (true, _) if signed => 6,
        (false, 1) if !next_is_digits => 9,
        (false, 1) => 2,
        (_, width) => width,
    };
    let digits = leading_digits(text, most);
    if digits < width || (is_year && width >= 4 && signed && !negative && digits == width) {
        return None;
    }
    let value: u32 = text.get(..digits)?.parse().ok()?;
    match field {
        Field::Year => {
            let year = i32::try_from(value).ok()?;
            found.year = Some(match width {
                2 => 2_000 + year,
                _ if negative => -year,
                _ => year,
            });
        }
        Field::Month => found.month = Some(value),
        Field::Day => found.day = Some(value),
        Field::Hour => found.hour = Some(value).filter(|h| *h <= 23).or(Some(u32::MAX)),
        Field::ClockHour => found.hour = Some(if (1..=24).contains(&value) { value % 24 } else { u32::MAX }),
        Field::HourOfHalf => found.hour_of_half = Some(if value <= 11 { value } else { u32::MAX }),
        Field::ClockHourOfHalf => found.hour_of_half = Some(if (1..=12).contains(&value) { value % 12 } else { u32::MAX }),
        Field::Minute => found.minute = Some(value),
        Field::Second => found.second = Some(value),
    }
    text.get(digits..)
}

fn offset<'a>(zulu: bool, minutes: Minutes, text: &'a str, found: &mut Found) -> Option<&'a str> {
    if zulu && let Some(rest) = without_prefix(text, "Z") {
        found.offset_seconds = Some(0);
        return Some(rest);
    }
    let east = match text.as_bytes().first()? {
        b'+' => true,
        b'-' => false,
        _ => return None,
    };
    let two = |text: &'a str| Some((text.get(..2).filter(|d| d.bytes().all(|b| b.is_ascii_digit()))?.parse::<i64>().ok()?, text.get(2..)?));
    let (hours, mut rest) = two(&text[1..])?;
    let mut of_hour = 0;
    match minutes {
        Minutes::WhenNeeded => {
            if let Some((value, after)) = two(rest) {
                (of_hour, rest) = (value, after);
            }
        }
        Minutes::Glued => (of_hour, rest) = two(rest)?,
        Minutes::AfterColon => (of_hour, rest) = two(rest.strip_prefix(':')?)?,
    }
    if of_hour > 59 || hours * 60 + of_hour > 18 * 60 {
        return None;
    }
    let seconds = hours * 3_600 + of_hour * 60;
    found.offset_seconds = Some(if east { seconds } else { -seconds });
    Some(rest)
}

impl Found {
    fn time(self) -> Option<WrittenTime> {
        let days = days_from_civil(self.year.unwrap_or(1970), self.month.unwrap_or(1), self.day.unwrap_or(1))?;
        let of_half = self.hour_of_half.map(|hour| hour.saturating_add(if self.afternoon == Some(true) { 12 } else { 0 }));
        let hour = self.hour.or(of_half).unwrap_or(0);
        let (minute, second) = (self.minute.unwrap_or(0), self.second.unwrap_or(0));
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let micros_of_day = i64::from(hour * 3_600 + minute * 60 + second) * 1_000_000 + self.micros;
        Some(WrittenTime { days, micros_of_day, offset_seconds: self.offset_seconds })
    }
}
