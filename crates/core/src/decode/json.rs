//! JSON objects as rows, by the rules of Spark 4.1's `from_json`: a record is exactly one object (RFC 8259) in UTF-8, its members become the slots
//! of columns, and values of any depth the slots of their types.
//!
//! | column | takes |
//! |---|---|
//! | BOOLEAN | `true`, `false` |
//! | TINYINT to BIGINT | a number without fraction and exponent, within range; no string |
//! | FLOAT, DOUBLE | a number (too great: infinity), or `"NaN"`, `"Infinity"`, `"+Infinity"`, `"+INF"`, `"-Infinity"`, `"-INF"` |
//! | DECIMAL | a number, or a string that says one; exact; digits beyond the scale are rounded half up, too many before it refused |
//! | STRING | a string; of any other value its JSON text as it stands in the record |
//! | BINARY | a string in base64 with padding |
//! | DATE | `"2013-07-22"`, or by `dateFormat` |
//! | TIMESTAMP | a date and time in ISO 8601 with or without zone (then UTC), a date, or by `timestampFormat`; or a number: seconds since 1970 |
//! | TIMESTAMP_NTZ | the same without a zone, by `timestampNTZFormat`, no number |
//! | ARRAY, MAP, STRUCT | an array; an object, whose keys are strings; an object |
//!
//! Unknown members are checked and skipped. Of a member that comes twice the last one counts (in a map both stay). Names are compared exactly.
//! A member that is absent or `null` is null; in a NOT NULL column that rejects the record.
//!
//! Stricter than Spark, on purpose, because Spark would lose something silently: bytes after the object, an array at the top, a null in a
//! NOT NULL column, bare `NaN`, and lone surrogates are malformed. Not read: zone names other than `Z`, `UTC`, `UT` and `GMT`, times without a date,
//! and days since 1970 as a DATE.
//!
//! A value that doesn't fit within an array or a map spoils the array or map; within a struct it spoils the struct, or (in permissive mode)
//! becomes null there.

use super::column::{ColumnType, Member};
use super::members::Members;
use super::nested::{ended, is_wrong, settled, within};
use super::scalar::parse_decimal;
use super::scan::{Literal, Malformed, NumberToken, Scanner};
use super::shown;
use super::slot::{Slot, Spill};

/// Reads the members of objects, in whatever order they are.
#[derive(Debug)]
pub(super) struct JsonReader {
    members: Members,
}

impl JsonReader {
    /// Of columns by their places and names.
    pub(super) fn new<'n>(names: impl Iterator<Item = (usize, &'n str)>) -> Self {
        Self { members: Members::new(names) }
    }

    /// Reads the one object that `value` is into the slots of `columns`; the reason where it isn't one.
    #[inline]
    pub(super) fn object<'a>(
        &mut self,
        columns: &[ColumnType],
        value: &'a [u8],
        slots: &mut [Slot<'a>],
        spill: &mut Spill<'a>,
    ) -> Result<(), String> {
        let text = std::str::from_utf8(value).map_err(|e| format!("the value is not UTF-8 at byte {}", e.valid_up_to()))?;
        let mut scanner = Scanner::new(text);
        self.members_of(columns, &mut scanner, slots, spill).map_err(|Malformed { at, what }| {
            let shown = if text.is_empty() { "it is empty".to_owned() } else { shown(text) };
            format!("the value is not a JSON object: {what} at byte {at}: {shown}")
        })
    }

    #[inline]
    fn members_of<'a>(
        &mut self,
        columns: &[ColumnType],
        scanner: &mut Scanner<'a>,
        slots: &mut [Slot<'a>],
        spill: &mut Spill<'a>,
    ) -> Result<(), Malformed> {
        scanner.skip_whitespace();
        if !scanner.eat(b'{') {
            return scanner.malformed("expected an opening brace");
        }
        scanner.skip_whitespace();
        let mut more = !scanner.eat(b'}');
        let mut previous = Members::START;
        while more {
            let member = self.members.next(scanner, &mut previous)?;
            match member.and_then(|column| Some((columns.get(column)?, slots.get_mut(column)?))) {
                Some((column, slot)) => *slot = column.read(scanner, spill)?,
                None => scanner.skip_value(1)?,
            }
            more = scanner.another(b'}')?;
        }
        scanner.finish()
    }
}

impl ColumnType {
    /// Reads the value at the cursor as one of this type.
    #[inline]
    pub(super) fn read<'a>(&self, scanner: &mut Scanner<'a>, spill: &mut Spill<'a>) -> Result<Slot<'a>, Malformed> {
        let start = scanner.position();
        let value = match scanner.peek() {
            Some(b'"') => {
                let token = scanner.string()?;
                if token.escaped {
                    let text = scanner.unescape(token)?;
                    self.unescaped(&text, spill)
                } else {
                    self.text(scanner.slice(token.start, token.end), spill)
                }
            }
            Some(b'-' | b'0'..=b'9') => {
                let token = scanner.number()?;
                self.number(token, scanner.slice(token.start, token.end))
            }
            Some(b'{' | b'[') => self.compound(scanner, spill)?,
            _ => match scanner.literal()? {
                Literal::Null => Some(Slot::Null),
                word => match self {
                    Self::Boolean => Some(Slot::Int((word == Literal::True).into())),
                    _ => self.raw(scanner.slice(start, scanner.position())),
                },
            },
        };
        Ok(value.unwrap_or_else(|| Slot::Bad(scanner.slice(start, scanner.position()))))
    }

    /// An array or object: nested where this type is, its text in a STRING column, nothing elsewhere.
    fn compound<'a>(&self, scanner: &mut Scanner<'a>, spill: &mut Spill<'a>) -> Result<Option<Slot<'a>>, Malformed> {
        let start = scanner.position();
        Ok(match (self, scanner.peek()) {
            (Self::Array(item), Some(b'[')) => Some(array(item, scanner, spill)?),
            (Self::Struct(members), Some(b'{')) => Some(structure(members, scanner, spill)?),
            (Self::Map(key, value), Some(b'{')) if matches!(**key, Self::String) => Some(map(value, scanner, spill)?),
            _ => {
                scanner.skip_value(1)?;
                self.raw(scanner.slice(start, scanner.position()))
            }
        })
    }

    /// A value of another JSON type: its text in a STRING column, nothing elsewhere.
    fn raw<'a>(&self, raw: &'a str) -> Option<Slot<'a>> {
        matches!(self, Self::String).then_some(Slot::Text(raw))
    }

    #[inline]
    fn number<'a>(&self, token: NumberToken, raw: &'a str) -> Option<Slot<'a>> {
        match self {
            Self::Integer(min, max) => {
                let value = token.integer()?;
                (*min..=*max).contains(&value).then_some(Slot::Int(value))
            }
            Self::Double => raw.parse().ok().map(Slot::Double),
            Self::Float => raw.parse::<f32>().ok().map(|v| Slot::Double(v.into())),
            Self::Decimal(precision, scale) => parse_decimal(raw, *precision, *scale).map(Slot::Decimal),
            Self::String => Some(Slot::Text(raw)),
            // Spark: whole seconds since 1970, whatever the pattern.
            Self::Timestamp { zoned: true, .. } if token.integral => {
                let seconds = i64::try_from(token.magnitude?).ok()?;
                let micros = seconds.checked_mul(1_000_000)?;
                Some(Slot::Int(if token.negative { -micros } else { micros }))
            }
            _ => None,
        }
    }

    /// The value that a text says which doesn't outlive the call.
    fn unescaped<'a>(&self, text: &str, spill: &mut Spill<'a>) -> Option<Slot<'a>> {
        Some(match self.text(text, spill)? {
            Slot::Text(text) => spill.keep_text(text),
            Slot::Int(v) => Slot::Int(v),
            Slot::Double(v) => Slot::Double(v),
            Slot::Decimal(v) => Slot::Decimal(v),
            Slot::SpiltBytes(start, end) => Slot::SpiltBytes(start, end),
            _ => return None,
        })
    }

    /// What a plain text (a record key) says: a value of a column that JSON would write without quotes, or a string's content.
    pub(super) fn plain<'a>(&self, text: &'a str, spill: &mut Spill<'a>) -> Option<Slot<'a>> {
        if let Some(slot) = self.text(text, spill) {
            return Some(slot);
        }
        let mut scanner = Scanner::new(text);
        let slot = self.read(&mut scanner, spill).ok()?;
        scanner.finish().ok()?;
        (!matches!(slot, Slot::Bad(_) | Slot::Misfit(_) | Slot::Null)).then_some(slot)
    }
}

/// An array; the cursor is at its bracket.
fn array<'a>(item: &ColumnType, scanner: &mut Scanner<'a>, spill: &mut Spill<'a>) -> Result<Slot<'a>, Malformed> {
    scanner.eat(b'[');
    scanner.skip_whitespace();
    let base = spill.open();
    let mut wrong = None;
    let mut count = 0_usize;
    let mut more = !scanner.eat(b']');
    while more {
        let slot = item.read(scanner, spill)?;
        if wrong.is_none() && is_wrong(slot) {
            wrong = Some(within(&format!("[{count}]"), item, slot, spill));
        }
        spill.push(slot);
        count += 1;
        more = scanner.another(b']')?;
    }
    Ok(ended(base, wrong, spill))
}

/// A map with strings for keys; the cursor is at its brace.
fn map<'a>(value: &ColumnType, scanner: &mut Scanner<'a>, spill: &mut Spill<'a>) -> Result<Slot<'a>, Malformed> {
    scanner.eat(b'{');
    scanner.skip_whitespace();
    let base = spill.open();
    let mut wrong = None;
    let mut more = !scanner.eat(b'}');
    while more {
        let token = scanner.string()?;
        let key = if token.escaped {
            let text = scanner.unescape(token)?;
            spill.keep_text(&text)
        } else {
            Slot::Text(scanner.slice(token.start, token.end))
        };
        scanner.colon()?;
        let slot = value.read(scanner, spill)?;
        if wrong.is_none() && is_wrong(slot) {
            let path = format!("['{}']", shown(scanner.slice(token.start, token.end)));
            wrong = Some(within(&path, value, slot, spill));
        }
        spill.push(key);
        spill.push(slot);
        more = scanner.another(b'}')?;
    }
    Ok(ended(base, wrong, spill))
}

/// A struct; the cursor is at its brace. Members that it doesn't have are skipped, of one that comes twice the last counts.
fn structure<'a>(members: &[Member], scanner: &mut Scanner<'a>, spill: &mut Spill<'a>) -> Result<Slot<'a>, Malformed> {
    scanner.eat(b'{');
    scanner.skip_whitespace();
    let base = spill.open();
    members.iter().for_each(|_| spill.push(Slot::Missing));
    let mut expected = 0;
    let mut more = !scanner.eat(b'}');
    while more {
        let token = scanner.string()?;
        let unescaped;
        let name = if token.escaped {
            unescaped = scanner.unescape(token)?;
            unescaped.as_str()
        } else {
            scanner.slice(token.start, token.end)
        };
        scanner.colon()?;
        let is_next = members.get(expected).is_some_and(|m| m.name == name);
        match if is_next { Some(expected) } else { members.iter().position(|m| m.name == name) } {
            Some(at) => {
                if let Some(member) = members.get(at) {
                    let slot = member.kind.read(scanner, spill)?;
                    if let Some(part) = spill.part(base, at) {
                        *part = slot;
                    }
                }
                expected = at + 1;
            }
            None => scanner.skip_value(1)?,
        }
        more = scanner.another(b'}')?;
    }
    Ok(settled(base, members, spill))
}

#[cfg(test)]
mod tests;
