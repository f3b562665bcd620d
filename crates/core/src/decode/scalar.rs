//! Texts to scalars: timestamps, dates, decimals and base64, as Spark reads them from JSON. Pure; it knows no JSON.

use crate::calendar::{DAY_MICROS, days_from_civil};

/// `2013-07-22` to days since 1970-01-01. As in Spark's casts, month and day may have one digit or be left out (they are then 1), and behind a
/// whole date a `T` or a blank begins what is no part of it.
#[inline]
pub(super) fn parse_date(text: &str) -> Option<i32> {
    let mut cursor = Digits { bytes: text.as_bytes(), pos: 0 };
    let (days, whole) = cursor.date()?;
    (cursor.at_end() || (whole && (cursor.eat(b'T') || cursor.eat(b' ')))).then_some(days)
}

/// A timestamp to microseconds since 1970-01-01T00:00:00Z: `2013-07-22T19:00:00Z`; also with a blank for the `T`, without seconds,
/// with a fraction of up to nine digits (those after the sixth are cut off, as Spark does), a date alone, an offset (`+02:00`, `+0200`,
/// `+02`, also behind `UTC` or `GMT`), or `UTC` for the `Z`. Without a zone it is UTC. `zoned`: whether a zone is allowed at all (not in TIMESTAMP_NTZ).
#[inline]
pub(super) fn parse_timestamp(text: &str, zoned: bool) -> Option<i64> {
    if zoned && let Some(micros) = parse_common(text.as_bytes()) {
        return Some(micros);
    }
    parse_any(text, zoned)
}

/// The form that nearly all producers send: `YYYY-MM-DDTHH:MM:SSZ`, and the same with a fraction.
#[inline]
fn parse_common(text: &[u8]) -> Option<i64> {
    let b = text.first_chunk::<19>()?;
    if b[4] != b'-' || b[7] != b'-' || b[10] != b'T' || b[13] != b':' || b[16] != b':' {
        return None;
    }
    let mut behind = Digits { bytes: text, pos: b.len() };
    let fraction = if behind.eat(b'.') { behind.fraction()? } else { 0 };
    if !behind.eat(b'Z') || !behind.at_end() {
        return None;
    }
    let mut wrong = 0_u8;
    let mut two = |at: usize| {
        let (tens, units) = (b[at].wrapping_sub(b'0'), b[at + 1].wrapping_sub(b'0'));
        wrong |= u8::from(tens > 9) | u8::from(units > 9);
        u32::from(tens) * 10 + u32::from(units)
    };
    let (century, year, month, day) = (two(0), two(2), two(5), two(8));
    let (hour, minute, second) = (two(11), two(14), two(17));
    if wrong != 0 || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days_from_civil((century * 100 + year) as i32, month, day)?;
    Some(i64::from(days) * DAY_MICROS + i64::from(hour * 3_600 + minute * 60 + second) * 1_000_000 + fraction)
}

fn parse_any(text: &str, zoned: bool) -> Option<i64> {
    let mut c = Digits { bytes: text.as_bytes(), pos: 0 };
    let (days, whole) = c.date()?;
    let mut micros = i64::from(days).checked_mul(DAY_MICROS)?;
    if c.at_end() {
        return Some(micros);
    }
    if !whole || !(c.eat(b'T') || c.eat(b' ')) {
        return None;
    }
    let hour = c.number(1, 2)?;
    if !c.eat(b':') {
        return None;
    }
    let minute = c.number(1, 2)?;
    let second = if c.eat(b':') { c.number(1, 2)? } else { 0 };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    micros = micros.checked_add(i64::from(hour * 3_600 + minute * 60 + second) * 1_000_000)?;
    if c.eat(b'.') {
        micros = micros.checked_add(c.fraction()?)?;
    }
    let offset_seconds = c.zone(zoned)?;
    micros.checked_sub(offset_seconds * 1_000_000)
}

/// A cursor over digits.
struct Digits<'a> {
    bytes: &'a [u8],
    pos: usize,
}

impl Digits<'_> {
    fn at_end(&self) -> bool {
        self.pos == self.bytes.len()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.bytes.get(self.pos) == Some(&byte);
        self.pos += usize::from(found);
        found
    }

    fn eat_all(&mut self, bytes: &[u8]) -> bool {
        let found = self.bytes.get(self.pos..).is_some_and(|rest| rest.starts_with(bytes));
        self.pos += if found { bytes.len() } else { 0 };
        found
    }

    /// A number of `least` to `most` digits (at most 9), all that are there.
    fn number(&mut self, least: usize, most: usize) -> Option<u32> {
        let start = self.pos;
        let mut value = 0_u32;
        while let Some(digit @ b'0'..=b'9') = self.bytes.get(self.pos) {
            if self.pos - start == most {
                return None;
            }
            value = value * 10 + u32::from(digit - b'0');
            self.pos += 1;
        }
        (self.pos - start >= least).then_some(value)
    }

    /// A date, and whether it has all three parts.
    fn date(&mut self) -> Option<(i32, bool)> {
        let negative = self.eat(b'-');
        if !negative {
            self.eat(b'+');
        }
        let year = i32::try_from(self.number(4, 6)?).ok()?;
        let year = if negative { -year } else { year };
        let month = if self.eat(b'-') { Some(self.number(1, 2)?) } else { None };
        let day = if month.is_some() && self.eat(b'-') { Some(self.number(1, 2)?) } else { None };
        Some((days_from_civil(year, month.unwrap_or(1), day.unwrap_or(1))?, day.is_some()))
    }

    /// One to nine digits as microseconds.
    fn fraction(&mut self) -> Option<i64> {
        let start = self.pos;
        let mut micros = 0_i64;
        while let Some(digit @ b'0'..=b'9') = self.bytes.get(self.pos) {
            if self.pos - start < 6 {
                micros = micros * 10 + i64::from(digit - b'0');
            }
            self.pos += 1;
        }
        let digits = self.pos - start;
        let missing = 6_usize.saturating_sub(digits);
        (1..=9).contains(&digits).then(|| micros * 10_i64.pow(u32::try_from(missing).unwrap_or_default()))
    }

    /// The zone at the end, as seconds east of Greenwich.
    fn zone(&mut self, allowed: bool) -> Option<i64> {
        if self.at_end() {
            return Some(0);
        }
        if !allowed {
            return None;
        }
        self.eat(b' ');
        if ["UTC", "GMT", "UT", "Z"].iter().any(|zone| self.eat_all(zone.as_bytes())) && self.at_end() {
            return Some(0);
        }
        let rest = self.bytes.get(self.pos..).unwrap_or_default();
        let east = self.eat(b'+');
        if !east && !self.eat(b'-') {
            return None;
        }
        let colon = rest.contains(&b':');
        let number = self.number(1, 4)?;
        let (hours, minutes) = match (colon, rest.len() - 1) {
            (false, 1 | 2) => (number, 0),
            (false, 4) => (number / 100, number % 100),
            (true, _) if number < 100 && self.eat(b':') => (number, self.number(2, 2)?),
            _ => return None,
        };
        // Spark's and Java's bound of a zone offset.
        if !self.at_end() || minutes > 59 || hours * 60 + minutes > 18 * 60 {
            return None;
        }
        let seconds = i64::from(hours * 3_600 + minutes * 60);
        Some(if east { seconds } else { -seconds })
    }
}

/// A decimal number in a string: as Spark has it for the United States, commas between the digits mean nothing.
pub(super) fn parse_decimal_text(text: &str, precision: u8, scale: i8) -> Option<i128> {
    if text.contains(',') { parse_decimal(&text.replace(',', ""), precision, scale) } else { parse_decimal(text, precision, scale) }
}

/// A decimal number as text (JSON's grammar, also `+1`, `.5` and `1.` as `BigDecimal` takes them) to the unscaled value of
/// DECIMAL(`precision`, `scale`). Digits after the scale are rounded half up, away from zero, as Spark does; `None` when it isn't a
/// number, or has more digits than the precision holds. No floating point in between.
pub(super) fn parse_decimal(text: &str, precision: u8, scale: i8) -> Option<i128> {
    let (negative, digits_text) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (mantissa, exponent) = match digits_text.find(['e', 'E']) {
        Some(at) => (&digits_text[..at], digits_text[at + 1..].parse::<i32>().ok()?),
        None => (digits_text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return None;
    }
    // The number is `digits * 10^-(fraction.len() - exponent)`; the wanted unscaled value is `digits * 10^shift`.
    let shift = i64::from(scale) - i64::try_from(fraction.len()).ok()? + i64::from(exponent);
    let digits = || whole.bytes().chain(fraction.bytes()).skip_while(|b| *b == b'0').map(|b| i128::from(b - b'0'));
    let count = i64::try_from(digits().count()).ok()?;
    if count == 0 {
        return Some(0);
    }
    let kept = count + shift;
    if kept > i64::from(precision) || kept < 0 {
        return (kept < 0).then_some(0);
    }
    let taken = usize::try_from(kept.min(count)).ok()?;
    let mut value = digits().take(taken).fold(0_i128, |value, digit| value * 10 + digit);
    if shift > 0 {
        value = value.checked_mul(10_i128.checked_pow(u32::try_from(shift).ok()?)?)?;
    } else if digits().nth(taken).is_some_and(|next| next >= 5) {
        value += 1;
    }
    (value < 10_i128.checked_pow(u32::from(precision))?).then_some(if negative { -value } else { value })
}

/// Base64 with padding (RFC 4648, the standard alphabet); the bytes are appended to `to`.
pub(super) fn parse_base64(text: &str, to: &mut Vec<u8>) -> Option<()> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.decode_vec(text, to).ok()
}

/// Spark's words for the floats that JSON numbers can't say.
pub(super) fn parse_special_float(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "+INF" | "+Infinity" | "Infinity" => Some(f64::INFINITY),
        "-INF" | "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}
