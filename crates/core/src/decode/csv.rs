//! Lines of CSV as rows, by the rules of Spark 4.1's `from_csv`: the values of a line are those of the columns, in order.
//!
//! A record is one line without a header, with or without its end. Nothing between two separators is null; nothing in quotes is the empty
//! value, which is null too unless `nullValue` or `emptyValue` says otherwise. DATE is exactly `yyyy-MM-dd` where no pattern says otherwise.
//!
//! Stricter than Spark, on purpose: a second line, and a quoted value with a quote inside that isn't escaped, are malformed.

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
        if value.contains(['\n', '\r']) {
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
                let after = self.behind_quotes(&text[at + 1..])?;
                return Ok((Field { text: value, quoted: true, unescaped }, after));
            } else {
                at += 1;
            }
        }
        Err("the line ends within quotes")
    }

    fn behind_quotes<'a>(&self, text: &'a str) -> Result<Option<&'a str>, &'static str> {
        let text = if self.style.ignores_trailing_space { text.trim_start_matches([' ', '\t']) } else { text };
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
                .and_then(|v| if v.is_finite() { text.parse::<f32>().ok().map(f64::from) } else { Some(v) })
                .map(Slot::Double),
            ColumnType::Decimal(precision, scale) => parse_decimal_text(text, *precision, *scale).map(Slot::Decimal),
            ColumnType::Binary => {
                let start = spill.bytes.len();
                parse_base64(text, &mut spill.bytes)?;
                Some(Slot::SpiltBytes(start, spill.bytes.len()))
            }
            ColumnType::Date(None) if !is_plain_date(text) => None,
            ColumnType::Date(pattern) => date(text, pattern.as_deref()).map(|days| Slot::Int(days.into())),
            ColumnType::Timestamp { zoned, pattern } => timestamp(text, *zoned, pattern.as_deref()).map(Slot::Int),
            ColumnType::Array(_) | ColumnType::Struct(_) | ColumnType::Map(..) => None,
        }
    }

    fn float(&self, text: &str) -> Option<f64> {
        match text {
            _ if text == self.style.nan => Some(f64::NAN),
            _ if text == self.style.positive_infinity => Some(f64::INFINITY),
            _ if text == self.style.negative_infinity => Some(f64::NEG_INFINITY),
            // Java's own words, which Spark writes.
            "NaN" => Some(f64::NAN),
            "Infinity" | "+Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ if text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E')) => text.parse().ok(),
            _ => None,
        }
    }
}

/// `yyyy-MM-dd`, as far as its shape goes.
fn is_plain_date(text: &str) -> bool {
    text.len() == 10 && text.bytes().enumerate().all(|(at, b)| if at == 4 || at == 7 { b == b'-' } else { b.is_ascii_digit() })
}

#[cfg(test)]
mod tests;
