//! JSON records straight into columns, where the columns are plain: values are appended as they are read, without slots in between.
//!
//! It deals with the usual alone. A record with anything else (a value of another type, a member that comes twice, nothing for a NOT NULL
//! column, something malformed) is given up: what was appended of it is taken back, and the reader of slots takes it from the start, which
//! knows what to make of it and what to say. So both have the same rules, and this one need not state them all.

use super::build::Builder;
use super::column::{ColumnType, date, timestamp};
use super::members::Members;
use super::scan::{Literal, Scanner};

/// A column of the topic.
#[derive(Debug)]
struct Target {
    kind: ColumnType,
    /// Which of the builders makes it; `None`: its values are only checked.
    builder: Option<usize>,
    required: bool,
    /// The number of the last record that had it.
    seen_in: u64,
}

/// Reads records into builders.
#[derive(Debug)]
pub(super) struct DirectReader {
    members: Members,
    targets: Vec<Target>,
    records: u64,
}

impl DirectReader {
    /// Of columns by name, type and whether they are NOT NULL, in their order; of them those at the places `kept` have builders. `None` where
    /// a column is of a type that takes more than one value, or more than one look, or is kept twice.
    pub(super) fn try_new<'n>(columns: impl Iterator<Item = (&'n str, &'n ColumnType, bool)>, kept: &[usize]) -> Option<Self> {
        if (1..kept.len()).any(|at| kept[..at].contains(&kept[at])) {
            return None;
        }
        let (mut names, mut targets) = (Vec::new(), Vec::new());
        for (place, (name, kind, required)) in columns.enumerate() {
            let is_plain = match kind {
                ColumnType::Boolean | ColumnType::Integer(..) | ColumnType::Float | ColumnType::Double | ColumnType::String => true,
                ColumnType::Date(pattern) | ColumnType::Timestamp { pattern, .. } => pattern.is_none(),
                _ => false,
            };
            if !is_plain {
                return None;
            }
            names.push((place, name));
            let builder = kept.iter().position(|column| *column == place);
            targets.push(Target { kind: kind.clone(), builder, required, seen_in: 0 });
        }
        Some(Self { members: Members::new(names.into_iter()), targets, records: 0 })
    }

    /// Appends the record `value` to `builders`, which all have `rows` rows. `false`: it is not a usual one, and nothing was appended.
    #[inline]
    pub(super) fn append(&mut self, value: &[u8], builders: &mut [Builder], rows: usize) -> bool {
        let appended = self.try_append(value, builders).is_some();
        if !appended {
            builders.iter_mut().for_each(|builder| builder.truncate(rows));
        }
        appended
    }

    #[inline]
    fn try_append(&mut self, value: &[u8], builders: &mut [Builder]) -> Option<()> {
        let mut scanner = Scanner::new(std::str::from_utf8(value).ok()?);
        self.records += 1;
        let mut seen = 0;
        scanner.skip_whitespace();
        if !scanner.eat(b'{') {
            return None;
        }
        scanner.skip_whitespace();
        let mut more = !scanner.eat(b'}');
        let mut previous = Members::START;
        while more {
            match self.members.next(&mut scanner, &mut previous).ok()? {
                None => scanner.skip_value(1).ok()?,
                Some(column) => {
                    let target = self.targets.get_mut(column)?;
                    if target.seen_in == self.records {
                        return None;
                    }
                    target.seen_in = self.records;
                    seen += 1;
                    if !target.read(&mut scanner, builders)? && target.required {
                        return None;
                    }
                }
            }
            more = scanner.another(b'}').ok()?;
        }
        scanner.finish().ok()?;
        if seen < self.targets.len() {
            for target in self.targets.iter().filter(|target| target.seen_in != self.records) {
                if target.required {
                    return None;
                }
                if let Some(builder) = target.builder {
                    builders.get_mut(builder)?.append_null();
                }
            }
        }
        Some(())
    }
}

impl Target {
    /// Reads the value at the cursor, and appends it where it has a builder: whether it is more than null.
    #[inline]
    fn read(&self, scanner: &mut Scanner<'_>, builders: &mut [Builder]) -> Option<bool> {
        if scanner.peek() == Some(b'n') {
            if scanner.literal().ok()? != Literal::Null {
                return None;
            }
            if let Some(builder) = self.builder {
                builders.get_mut(builder)?.append_null();
            }
            return Some(false);
        }
        match self.builder {
            Some(builder) => builders.get_mut(builder)?.read(scanner)?,
            None => self.check(scanner)?,
        }
        Some(true)
    }

    /// Reads a value that nobody wants, as [`Builder::read`] does.
    #[inline]
    fn check(&self, scanner: &mut Scanner<'_>) -> Option<()> {
        match &self.kind {
            ColumnType::Integer(least, most) => (*least..=*most).contains(&scanner.integer()?).then_some(()),
            ColumnType::String => text(scanner, |_| ()),
            ColumnType::Timestamp { zoned, .. } => micros(scanner, *zoned).map(drop),
            ColumnType::Date(_) => plain_text(scanner).and_then(|text| date(text, None)).map(drop),
            ColumnType::Double => number(scanner)?.parse::<f64>().ok().map(drop),
            ColumnType::Float => number(scanner)?.parse::<f32>().ok().map(drop),
            ColumnType::Boolean => boolean(scanner).map(drop),
            _ => None,
        }
    }
}

impl Builder {
    /// Reads the value at the cursor, which is not null, and appends it; `None` where it is not a usual one.
    #[inline]
    fn read(&mut self, scanner: &mut Scanner<'_>) -> Option<()> {
        match self {
            Self::Int32(values) => values.push(scanner.integer()?.try_into().ok()?),
            Self::String(texts) => return text(scanner, |text| texts.push(text)),
            Self::Int64(values) => values.push(scanner.integer()?),
            Self::Timestamp(values, data_type) => {
                values.push(micros(scanner, matches!(data_type, arrow::datatypes::DataType::Timestamp(_, Some(_))))?);
            }
            Self::Double(values) => values.push(number(scanner)?.parse().ok()?),
            Self::Float(values) => values.push(number(scanner)?.parse().ok()?),
            Self::Boolean(values) => values.push(boolean(scanner)?),
            Self::Date(values) => values.push(date(plain_text(scanner)?, None)?),
            Self::Int16(values) => values.push(scanner.integer()?.try_into().ok()?),
            Self::Int8(values) => values.push(scanner.integer()?.try_into().ok()?),
            Self::Decimal(_) | Self::Binary(_) | Self::Array(..) | Self::Struct(_) | Self::Map(..) => return None,
        }
        Some(())
    }
}

/// A string without escapes.
#[inline]
fn plain_text<'a>(scanner: &mut Scanner<'a>) -> Option<&'a str> {
    let token = scanner.string().ok().filter(|token| !token.escaped)?;
    Some(scanner.slice(token.start, token.end))
}

/// What a STRING column takes: a string, or the text of a number.
#[inline]
fn text(scanner: &mut Scanner<'_>, mut take: impl FnMut(&str)) -> Option<()> {
    if scanner.peek() != Some(b'"') {
        take(number(scanner)?);
        return Some(());
    }
    let token = scanner.string().ok()?;
    if token.escaped {
        take(&scanner.unescape(token).ok()?);
    } else {
        take(scanner.slice(token.start, token.end));
    }
    Some(())
}

/// The text of a number.
#[inline]
fn number<'a>(scanner: &mut Scanner<'a>) -> Option<&'a str> {
    let token = scanner.number().ok()?;
    Some(scanner.slice(token.start, token.end))
}

/// A time as text, or, with a zone, as seconds since 1970.
#[inline]
fn micros(scanner: &mut Scanner<'_>, zoned: bool) -> Option<i64> {
    match scanner.peek() {
        Some(b'"') => timestamp(plain_text(scanner)?, zoned, None),
        _ if zoned => scanner.integer()?.checked_mul(1_000_000),
        _ => None,
    }
}

#[inline]
fn boolean(scanner: &mut Scanner<'_>) -> Option<bool> {
    match scanner.literal().ok()? {
        Literal::True => Some(true),
        Literal::False => Some(false),
        Literal::Null => None,
    }
}

#[cfg(test)]
mod tests;
