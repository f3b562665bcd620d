//! Lines of CSV as rows, by the rules of Spark 4.1's `from_csv`: the values of a line are those of the columns, in order.
//!
//! A record is one line without a header, with or without its end. Nothing between two separators is null; nothing in quotes is the empty
//! value, which is null too unless `nullValue` or `emptyValue` says otherwise. DATE is what a cast takes where no pattern says otherwise.
//!
//! In topics stricter than Spark, on purpose: a second line, and a quoted value with a quote inside that isn't escaped, are malformed. `from_csv`
//! itself does as Spark: a line's end is a letter like others, and a value that breaks its quotes is taken as it is written, up to the next separator.

use super::column::{ColumnType, date, timestamp};
use super::scalar::{parse_base64, parse_decimal_text};
use super::shown;
use super::slot::{Slot, Spill};
use crate::style::CsvStyle;

/// Splits lines, and reads their values.
#[derive(Debug)]
pub(super) struct CsvReader {
    style: CsvStyle,
    /// The columns that a line has, in order: all but that of corrupt records.
    columns: Vec<usize>,
}

/// One value of a line.
struct Field<'a> {
    text: &'a str,
    quoted: bool,
    /// Where escapes stood in it: its content is in the reader's scratch.
    unescaped: Option<String>,
}

impl CsvReader {
    pub(super) fn new(style: CsvStyle, columns: Vec<usize>) -> Self {
        Self { style, columns }
    }

    /// Reads the line that `value` is into the slots of `columns`; the reason where it isn't one.
    pub(super) fn line<'a>(
        &self,
        columns: &[ColumnType],
        value: &'a [u8],
        slots: &mut [Slot<'a>],
        spill: &mut Spill<'a>,
    ) -> Result<(), String> {
        let text = std::str::from_utf8(value).map_err(|e| format!("the value is not UTF-8 at byte {}", e.valid_up_to()))?;
        let line = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
        if line.is_empty() {
            return Err("the value is not a line of CSV: it is empty".to_owned());
        }
        let mut rest = Some(line);
        let mut found = 0;
        while let Some(at) = rest {
            let (field, after) = self.field(at).map_err(|what| format!("the value is not a line of CSV: {what}: {}", shown(text)))?;
            rest = after;
            let column = self.columns.get(found).copied();
            found += 1;
            if let Some(column) = column
                && let (Some(kind), Some(slot)) = (columns.get(column), slots.get_mut(column))
            {
                *slot = self.slot(kind, &field, spill);
            }
        }
        if found == self.columns.len() {
            Ok(())
        } else if spill.lenient {
            spill.partial = true;
            Ok(())
        } else {
            Err(format!("the line has {found} values, and the table {} columns: {}", self.columns.len(), shown(text)))
        }
    }

    /// The value at the beginning of `text`, and what follows its separator.
    fn field<'a>(&self, text: &'a str) -> Result<(Field<'a>, Option<&'a str>), &'static str> {
        let separator = self.style.separator.as_str();
        let start = if self.style.ignores_leading_space { text.trim_start_matches([' ', '\t']) } else { text };
        if let Some(quote) = self.style.quote
            && start.as_bytes().first() == Some(&quote)
        {
            return self.quoted(&start[1..], quote);
        }
        let (value, after) = start.split_once(separator).map_or((start, None), |(value, after)| (value, Some(after)));
        if !self.style.of_function && value.contains(['\n', '\r']) {
            return Err("it has more than one line");
        }
        let value = if self.style.ignores_trailing_space { value.trim_end_matches([' ', '\t']) } else { value };
        Ok((Field { text: value, quoted: false, unescaped: None }, after))
    }

    /// A value behind its opening quote.
    fn quoted<'a>(&self, text: &'a str, quote: u8) -> Result<(Field<'a>, Option<&'a str>), &'static str> {
        let bytes = text.as_bytes();
        let mut unescaped: Option<String> = None;
        let (mut at, mut plain) = (0, 0);
        while let Some(byte) = bytes.get(at) {
            let next = bytes.get(at + 1);
            let escapes = self.style.escape == Some(*byte) && next.is_some_and(|n| *n == quote || self.style.escape == Some(*n));
            if escapes && (*byte != quote || next == Some(&quote)) {
                // Quotes and escapes are ASCII, so that these places are between characters.
                unescaped.get_or_insert_with(String::new).push_str(&text[plain..at]);
                plain = at + 1;
                at += 2;
            } else if *byte == quote {
                let value = &text[plain..at];
                if let Some(content) = &mut unescaped {
                    content.push_str(value);
                }
                let rest = &text[at..];
                if self.style.of_function {
                    let content = unescaped.as_deref().unwrap_or(value);
                    let broken = self.broken(content, rest, char::from(quote));
                    return Ok(broken.unwrap_or_else(|after| (Field { text: value, quoted: true, unescaped }, after)));
                }
                let after = self.behind_quotes(&rest[1..])?;
                return Ok((Field { text: value, quoted: true, unescaped }, after));
            } else {
                at += 1;
            }
        }
        if !self.style.of_function {
            return Err("the line ends within quotes");
        }
        let value = &text[plain..];
        if text.is_empty() {
            return Ok((Field { text, quoted: false, unescaped: Some(char::from(quote).to_string()) }, None));
        }
        // An escape with nothing behind it is none.
        let value = self.style.escape.and_then(|escape| value.strip_suffix(char::from(escape))).unwrap_or(value);
        if let Some(content) = &mut unescaped {
            content.push_str(value);
        }
        Ok((Field { text: value, quoted: true, unescaped }, None))
    }

    /// What `from_csv` makes of a value whose quotes are not one at its end: `rest` begins with the quote behind its `content`. Several quotes at the
    /// end are part of it, but for the last; what goes on is as it is written, up to the next separator. `Err` is what follows a value in order.
    fn broken<'a>(&self, content: &str, rest: &'a str, quote: char) -> Result<(Field<'a>, Option<&'a str>), Option<&'a str>> {
        let behind = rest.trim_start_matches(quote);
        let quotes = &rest[1..rest.len() - behind.len()];
        let taken = |text: String, after| (Field { text: rest, quoted: false, unescaped: Some(text) }, after);
        match self.behind_quotes(behind) {
            Ok(after) if quotes.is_empty() => Err(after),
            Ok(after) => Ok(taken(format!("{content}{quotes}"), after)),
            Err(_) => {
                let (value, after) =
                    rest.split_once(self.style.separator.as_str()).map_or((rest, None), |(value, after)| (value, Some(after)));
                let value = if self.style.ignores_trailing_space { value.trim_end_matches([' ', '\t']) } else { value };
                Ok(taken(format!("{quote}{content}{value}"), after))
            }
        }
    }

    fn behind_quotes<'a>(&self, text: &'a str) -> Result<Option<&'a str>, &'static str> {
        let trims = self.style.ignores_trailing_space || self.style.of_function;
        let text = if trims { text.trim_start_matches([' ', '\t']) } else { text };
        if text.is_empty() {
            return Ok(None);
        }
        text.strip_prefix(self.style.separator.as_str()).map(Some).ok_or("something follows the closing quote of a value")
    }

    fn slot<'a>(&self, kind: &ColumnType, field: &Field<'a>, spill: &mut Spill<'a>) -> Slot<'a> {
        let Some(unescaped) = &field.unescaped else {
            let bad = Slot::Bad(field.text);
            return match (field.text, field.quoted) {
                ("", false) => Slot::Null,
                ("", true) => self.empty(kind, spill),
                (text, quoted) if text == self.style.null_value && !(quoted && self.style.exact) => Slot::Null,
                (text, false) if self.style.exact && self.style.empty_value.as_deref() == Some(text) => self.empty(kind, spill),
                (text, _) => self.value(kind, text, spill).unwrap_or(bad),
            };
        };
        if *unescaped == self.style.null_value && !self.style.exact {
            return Slot::Null;
        }
        match self.value(kind, unescaped, spill) {
            Some(Slot::Text(text)) => spill.keep_text(text),
            Some(Slot::Int(v)) => Slot::Int(v),
            Some(Slot::Double(v)) => Slot::Double(v),
            Some(Slot::Decimal(v)) => Slot::Decimal(v),
            Some(Slot::SpiltBytes(start, end)) => Slot::SpiltBytes(start, end),
            _ => Slot::Bad(field.text),
        }
    }

    /// What nothing in quotes stands for.
    fn empty<'a>(&self, kind: &ColumnType, spill: &mut Spill<'a>) -> Slot<'a> {
        let text = if self.style.exact { "" } else { self.style.empty_value.as_deref().unwrap_or_default() };
        if !self.style.exact && text == self.style.null_value {
            return Slot::Null;
        }
        match (kind, text) {
            (ColumnType::String | ColumnType::Binary, "") => kind.filler(spill),
            (ColumnType::String, text) => spill.keep_text(text),
            _ => Slot::Bad("\"\""),
        }
    }

    fn value<'t>(&self, kind: &ColumnType, text: &'t str, spill: &mut Spill<'_>) -> Option<Slot<'t>> {
        match kind {
            ColumnType::String => Some(Slot::Text(text)),
            ColumnType::Boolean if text.eq_ignore_ascii_case("true") => Some(Slot::Int(1)),
            ColumnType::Boolean => text.eq_ignore_ascii_case("false").then_some(Slot::Int(0)),
            ColumnType::Integer(min, max) => text.parse().ok().filter(|v| (*min..=*max).contains(v)).map(Slot::Int),
            ColumnType::Double => self.float(text).map(Slot::Double),
            // From the text at once, for rounding twice may differ.
            ColumnType::Float => self
                .float(text)
                .and_then(|v| if v.is_finite() { self.digits(text).parse::<f32>().ok().map(f64::from) } else { Some(v) })
                .map(Slot::Double),
            ColumnType::Decimal(precision, scale) => parse_decimal_text(text, *precision, *scale).map(Slot::Decimal),
            ColumnType::Binary if self.style.of_function => {
                let start = spill.bytes.len();
                spill.bytes.extend_from_slice(text.as_bytes());
                Some(Slot::SpiltBytes(start, spill.bytes.len()))
            }
            ColumnType::Binary => {
                let start = spill.bytes.len();
                parse_base64(text, &mut spill.bytes)?;
                Some(Slot::SpiltBytes(start, spill.bytes.len()))
            }
            ColumnType::Date(None) => date(text.trim(), None).map(|days| Slot::Int(days.into())),
            ColumnType::Date(pattern) => date(text, pattern.as_deref()).map(|days| Slot::Int(days.into())),
            ColumnType::Timestamp { zoned, pattern: None } => timestamp(text.trim(), *zoned, None).map(Slot::Int),
            ColumnType::Timestamp { zoned, pattern } => timestamp(text, *zoned, pattern.as_deref()).map(Slot::Int),
            ColumnType::Array(_) | ColumnType::Struct(_) | ColumnType::Map(..) => None,
        }
    }

    fn float(&self, text: &str) -> Option<f64> {
        match text {
            _ if text == self.style.nan => Some(f64::NAN),
            _ if text == self.style.positive_infinity => Some(f64::INFINITY),
            _ if text == self.style.negative_infinity => Some(f64::NEG_INFINITY),
            _ => match self.digits(text) {
                // Java's own words, which Spark writes.
                "NaN" => Some(f64::NAN),
                "Infinity" | "+Infinity" => Some(f64::INFINITY),
                "-Infinity" => Some(f64::NEG_INFINITY),
                digits if digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E')) => {
                    digits.parse().ok()
                }
                _ => None,
            },
        }
    }

    /// A number's text as far as it counts: to Java, white space around it and a letter for its type don't.
    fn digits<'t>(&self, text: &'t str) -> &'t str {
        if !self.style.of_function {
            return text;
        }
        let text = text.trim();
        text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text)
    }
}

#[cfg(test)]
mod tests;
