//! Spark's datetime patterns (`timestampFormat`, `dateFormat`): texts to times and times to texts. Pure.
//!
//! Source: Spark 4.1, "Datetime Patterns for Formatting and Parsing". Letters: `y`/`u` year, `M`/`L` month (three or four letters: its
//! English name), `d` day, `a` AM or PM, `H`, `k`, `K`, `h` hour, `m` minute, `s` second, `S` fraction, `X`, `x`, `Z` offset, `VV` and `z` zone
//! (UTC alone), `E` day of the week, `D` day of the year and `Q` quarter (written, never read), `'..'` text, `[..]` optional. As in Spark, two letters of a number are exactly two
//! digits, one letter is as many as there are; a fraction has one digit up to as many as there are letters. What the text leaves out is that of
//! 1970-01-01T00:00:00.

mod read;
mod write;

use std::fmt;

/// A pattern that has been understood.
#[derive(Clone, PartialEq, Eq)]
pub struct TimePattern {
    text: String,
    items: Vec<Item>,
}

impl fmt::Debug for TimePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'", self.text)
    }
}

/// A time as a text says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrittenTime {
    /// Days since 1970-01-01.
    pub days: i32,
    /// Microseconds since midnight.
    pub micros_of_day: i64,
    /// Seconds east of Greenwich, where the text says a zone.
    pub offset_seconds: Option<i64>,
}

/// A part of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    Text(String),
    Number(Field, usize),
    /// A name of the month or of the day of the week, in full or its first three letters.
    MonthName {
        full: bool,
    },
    DayName {
        full: bool,
    },
    DayOfYear(usize),
    /// A number of so many digits; from three on `Q1` and `1st quarter`.
    Quarter(usize),
    /// So many digits of the second's fraction; at least one is read.
    Fraction(usize),
    HalfDay,
    /// An offset: what stands for zero, and whether the minutes follow a colon, are glued to the hours, or are only there when not zero.
    Offset {
        zulu: bool,
        minutes: Minutes,
    },
    /// A zone's name: UTC, as it is written.
    Zone,
    Optional(Vec<Item>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Year,
    Month,
    Day,
    /// 0 to 23.
    Hour,
    /// 1 to 24.
    ClockHour,
    /// 0 to 11.
    HourOfHalf,
    /// 1 to 12.
    ClockHourOfHalf,
    Minute,
    Second,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Minutes {
    WhenNeeded,
    Glued,
    AfterColon,
}

const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
const QUARTERS: [&str; 4] = ["1st quarter", "2nd quarter", "3rd quarter", "4th quarter"];
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

impl TimePattern {
    /// Understands a pattern; the error says what it can't hold.
    pub fn try_new(text: &str) -> Result<Self, String> {
        let mut chars = text.chars().peekable();
        let items = items(&mut chars, false)?;
        if items.is_empty() {
            return Err("it is empty".to_owned());
        }
        Ok(Self { text: text.to_owned(), items })
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it can read: days of the week and of the year, and quarters, are only ever written.
    #[must_use]
    pub fn can_read(&self) -> bool {
        !any(&self.items, &|item| matches!(item, Item::DayName { .. } | Item::DayOfYear(_) | Item::Quarter(_)))
    }

    /// Whether it says an offset or zone outside of brackets: then it can't write a time that has none.
    #[must_use]
    pub fn needs_zone(&self) -> bool {
        self.items.iter().any(|item| matches!(item, Item::Offset { .. } | Item::Zone))
    }

    /// Whether it says a time of day outside of brackets: then it can't write a date.
    #[must_use]
    pub fn needs_time(&self) -> bool {
        self.items.iter().any(Item::is_time) || self.needs_zone()
    }

    /// The time that `text` says; `None` where it doesn't follow the pattern, or names a time that doesn't exist.
    #[must_use]
    pub fn read(&self, text: &str) -> Option<WrittenTime> {
        read::read(&self.items, text)
    }

    /// Writes a time (UTC). `zoned`: whether it has a zone; `timed`: whether it has a time of day. Optional parts that it has no value for are
    /// left out.
    pub fn write(&self, out: &mut Vec<u8>, micros: i64, timed: bool, zoned: bool) {
        write::write(&self.items, out, write::Time::of(micros, timed, zoned));
    }
}

impl Item {
    fn is_time(&self) -> bool {
        match self {
            Self::Number(field, _) => !matches!(field, Field::Year | Field::Month | Field::Day),
            Self::Fraction(_) | Self::HalfDay => true,
            _ => false,
        }
    }
}

fn any(items: &[Item], is: &dyn Fn(&Item) -> bool) -> bool {
    items.iter().any(|item| is(item) || matches!(item, Item::Optional(inner) if any(inner, is)))
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// The items up to the end, or to the closing bracket.
fn items(chars: &mut Chars<'_>, within_brackets: bool) -> Result<Vec<Item>, String> {
    let mut items = Vec::new();
    while let Some(c) = chars.next() {
        match c {
            '[' => items.push(Item::Optional(self::items(chars, true)?)),
            ']' if within_brackets => return Ok(items),
            ']' => return Err("a bracket is closed that was not opened".to_owned()),
            '\'' => push_text(&mut items, &quoted(chars)?),
            '{' | '}' | '#' => return Err(format!("'{c}' is reserved: write it in quotes")),
            c if c.is_ascii_alphabetic() => {
                let mut count = 1;
                while chars.next_if_eq(&c).is_some() {
                    count += 1;
                }
                items.push(field(c, count)?);
            }
            c => push_text(&mut items, c.encode_utf8(&mut [0; 4])),
        }
    }
    if within_brackets { Err("a bracket is not closed".to_owned()) } else { Ok(items) }
}

fn push_text(items: &mut Vec<Item>, text: &str) {
    match items.last_mut() {
        Some(Item::Text(before)) => before.push_str(text),
        _ => items.push(Item::Text(text.to_owned())),
    }
}

/// The text up to the closing quote; two quotes are one.
fn quoted(chars: &mut Chars<'_>) -> Result<String, String> {
    let mut text = String::new();
    while let Some(c) = chars.next() {
        if c != '\'' {
            text.push(c);
        } else if chars.next_if_eq(&'\'').is_some() {
            text.push('\'');
        } else {
            return Ok(if text.is_empty() { "'".to_owned() } else { text });
        }
    }
    Err("a quote is not closed".to_owned())
}

fn field(letter: char, count: usize) -> Result<Item, String> {
    let longest = match letter {
        'y' | 'u' => 6,
        'M' | 'L' => 4,
        'd' | 'H' | 'k' | 'K' | 'h' | 'm' | 's' | 'V' => 2,
        'a' => 1,
        'S' => 9,
        'E' | 'Q' | 'z' => 4,
        'D' | 'X' | 'x' | 'Z' => 3,
        _ => return Err(format!("the letter '{letter}' means nothing here")),
    };
    if count > longest {
        return Err(format!("'{letter}' stands there {count} times, and may {longest} times at most"));
    }
    Ok(match (letter, count) {
        ('y' | 'u', _) => Item::Number(Field::Year, count),
        ('M' | 'L', 3 | 4) => Item::MonthName { full: count == 4 },
        ('M' | 'L', _) => Item::Number(Field::Month, count),
        ('d', _) => Item::Number(Field::Day, count),
        ('H', _) => Item::Number(Field::Hour, count),
        ('k', _) => Item::Number(Field::ClockHour, count),
        ('K', _) => Item::Number(Field::HourOfHalf, count),
        ('h', _) => Item::Number(Field::ClockHourOfHalf, count),
        ('m', _) => Item::Number(Field::Minute, count),
        ('s', _) => Item::Number(Field::Second, count),
        ('S', _) => Item::Fraction(count),
        ('a', _) => Item::HalfDay,
        ('E', _) => Item::DayName { full: count == 4 },
        ('D', _) => Item::DayOfYear(count),
        ('Q', _) => Item::Quarter(count),
        ('X' | 'x', 1) => Item::Offset { zulu: letter == 'X', minutes: Minutes::WhenNeeded },
        ('X' | 'x', 2) => Item::Offset { zulu: letter == 'X', minutes: Minutes::Glued },
        ('X' | 'x', _) => Item::Offset { zulu: letter == 'X', minutes: Minutes::AfterColon },
        ('Z', _) => Item::Offset { zulu: false, minutes: Minutes::Glued },
        ('V', 1) => return Err("'V' stands there once: write VV".to_owned()),
        _ => Item::Zone,
    })
}

#[cfg(test)]
mod tests;
