//! JSON records straight into Arrow: the values of a topic's records become rows of its columns, each whole or not at all. It knows the
//! topic's columns and nothing of flows, offsets or where a rejected record goes.
//!
//! A record is exactly one JSON object (RFC 8259) in UTF-8. Its members are read by the rules of Spark 4.1's `from_json`:
//!
//! | column | takes |
//! |---|---|
//! | BOOLEAN | `true`, `false` |
//! | TINYINT to BIGINT | a number without fraction and exponent, within range; no string |
//! | FLOAT, DOUBLE | a number (too great: infinity), or `"NaN"`, `"Infinity"`, `"+Infinity"`, `"+INF"`, `"-Infinity"`, `"-INF"` |
//! | DECIMAL | a number, or a string that says one; exact; digits beyond the scale are rounded half up, too many before it refused |
//! | STRING | a string; of any other value its JSON text as it stands in the record |
//! | BINARY | a string in base64 with padding |
//! | DATE | `"2013-07-22"` |
//! | TIMESTAMP | a date and time in ISO 8601 with or without zone (then UTC), a date, or a number: seconds since 1970 |
//! | TIMESTAMP_NTZ | the same without a zone, no number |
//!
//! Unknown members are checked and skipped. Of a member that comes twice the last one counts. Names are compared exactly. A member that
//! is absent or `null` is null; in a NOT NULL column that rejects the record.
//!
//! Stricter than Spark, on purpose, because Spark would lose something silently: bytes after the object, an array at the top, a null in a
//! NOT NULL column, bare `NaN`, and lone surrogates are malformed. Not read: zone names other than `Z`, `UTC` and `GMT`, thousands
//! separators in decimal strings, dates that are less or more than year, month and day.

mod column;
pub mod metadata;
mod scalar;
mod scan;

use std::collections::HashMap;

use arrow::array::{RecordBatch, RecordBatchOptions, UInt8Array};
use arrow::datatypes::SchemaRef;
use millstream_core::ports::Record;
use millstream_core::{ChangeKind, Error, Result};
use millstream_pipeline::graph::ParseMode;

use column::{Builder, ColumnType, Slot, Spill};
use scan::{Malformed, Scanner};

/// How much of a value a reason shows, in characters.
const SHOWN_MAX: usize = 60;

/// How many names of unknown members are remembered.
const UNKNOWN_MAX: usize = 256;

/// A record that isn't a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Its place among the records.
    pub index: u32,
    /// Why: names the column and shows the beginning of the value, or says where the JSON is malformed.
    pub reason: String,
}

/// What a run of records became: each is in `accepted` or in `rejected`, exactly once.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// The rows, of the topic's own columns.
    pub rows: RecordBatch,
    /// For each row the place of its record, rising.
    pub accepted: Vec<u32>,
    /// For each row [`ChangeKind::Insert`], or [`ChangeKind::Delete`] for a tombstone: then only the key columns mean anything; the
    /// others are null, or hold zero or nothing where they are NOT NULL.
    pub kinds: UInt8Array,
    /// The records that aren't rows, rising.
    pub rejected: Vec<Rejected>,
}

/// Decodes records of one topic. Keeps what it learned of the order of members, and its memory, from call to call.
#[derive(Debug)]
pub struct JsonDecoder {
    schema: SchemaRef,
    mode: ParseMode,
    columns: Vec<ColumnType>,
    required: Vec<usize>,
    /// The columns that a tombstone's key names.
    key: Vec<usize>,
    members: Members,
    spill: Spill,
}

impl JsonDecoder {
    /// A decoder for values of `schema` (the topic's own columns) and tombstones whose record key says `key_columns` (may be empty).
    ///
    /// [`Unsupported`](millstream_core::ErrorKind::Unsupported) for a nested column,
    /// [`InvalidInput`](millstream_core::ErrorKind::InvalidInput) for an unknown key column.
    pub fn new(schema: SchemaRef, mode: ParseMode, key_columns: &[String]) -> Result<Self> {
        let columns = schema.fields().iter().map(|f| ColumnType::of(f.name(), f.data_type())).collect::<Result<Vec<_>>>()?;
        let required = schema.fields().iter().enumerate().filter(|(_, f)| !f.is_nullable()).map(|(i, _)| i).collect();
        let key = key_columns
            .iter()
            .map(|c| schema.index_of(c).map_err(|_| Error::invalid(format!("key column {c} is not a column of the topic"))))
            .collect::<Result<Vec<_>>>()?;
        let members = Members::new(schema.fields().iter().map(|f| f.name().as_str()));
        Ok(Self { schema, mode, columns, required, key, members, spill: Spill::default() })
    }

    /// The columns of the rows.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Decodes `records`. A record that isn't a row is in [`Decoded::rejected`], never an error; an error is a defect.
    pub fn decode(&mut self, records: &[Record]) -> Result<Decoded> {
        let mut builders: Vec<Builder> = self.schema.fields().iter().map(|f| Builder::new(f.data_type(), records.len())).collect();
        let mut slots: Vec<Slot<'_>> = vec![Slot::Missing; self.columns.len()];
        let mut accepted = Vec::with_capacity(records.len());
        let mut kinds = Vec::with_capacity(records.len());
        let mut rejected = Vec::new();
        for (index, record) in (0_u32..).zip(records) {
            slots.fill(Slot::Missing);
            self.spill.clear();
            let outcome = match &record.value {
                Some(value) => self.event(value, &mut slots).map(|()| ChangeKind::Insert),
                None => self.tombstone(record.key.as_deref(), &mut slots).map(|()| ChangeKind::Delete),
            };
            match outcome {
                Ok(kind) => {
                    for (builder, slot) in builders.iter_mut().zip(&slots) {
                        builder.append(slot, &self.spill);
                    }
                    accepted.push(index);
                    kinds.push(kind.code());
                }
                Err(reason) => rejected.push(Rejected { index, reason }),
            }
        }
        let columns = builders.iter_mut().map(Builder::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(accepted.len()));
        let rows = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?;
        Ok(Decoded { rows, accepted, kinds: UInt8Array::from(kinds), rejected })
    }

    /// Fills `slots` from an event's value, or says why it isn't a row.
    #[inline]
    fn event<'a>(&mut self, value: &'a [u8], slots: &mut [Slot<'a>]) -> Result<(), String> {
        match self.object(value, slots) {
            Ok(()) => {}
            Err(reason) if self.mode == ParseMode::Permissive && self.required.is_empty() => {
                tracing::trace!(reason, "a malformed record becomes a row of nulls");
                slots.fill(Slot::Null);
            }
            Err(reason) => return Err(reason),
        }
        self.settle(slots)
    }

    /// Deals with what the columns couldn't hold, and with what is missing.
    #[inline]
    fn settle(&self, slots: &mut [Slot<'_>]) -> Result<(), String> {
        for (column, slot) in slots.iter_mut().enumerate() {
            if let Slot::Bad(value) = *slot {
                if self.mode == ParseMode::DeadLetter {
                    return Err(self.misfit(column, value));
                }
                if self.required.contains(&column) {
                    return Err(format!("{}, and the column is NOT NULL", self.misfit(column, value)));
                }
                *slot = Slot::Null;
            }
        }
        for column in &self.required {
            match slots.get(*column) {
                Some(Slot::Missing) => return Err(format!("column {} is NOT NULL, and the record doesn't have it", self.name(*column))),
                Some(Slot::Null) => return Err(format!("column {} is NOT NULL, and the record's value is null", self.name(*column))),
                _ => {}
            }
        }
        Ok(())
    }

    /// Reads the members of one object.
    #[inline]
    fn object<'a>(&mut self, value: &'a [u8], slots: &mut [Slot<'a>]) -> Result<(), String> {
        let text = std::str::from_utf8(value).map_err(|e| format!("the value is not UTF-8 at byte {}", e.valid_up_to()))?;
        let mut scanner = Scanner::new(text);
        self.members_of(&mut scanner, slots).map_err(|Malformed { at, what }| {
            let shown = if text.is_empty() { "it is empty".to_owned() } else { shown(text) };
            format!("the value is not a JSON object: {what} at byte {at}: {shown}")
        })
    }

    #[inline]
    fn members_of<'a>(&mut self, scanner: &mut Scanner<'a>, slots: &mut [Slot<'a>]) -> Result<(), Malformed> {
        scanner.skip_whitespace();
        if !scanner.eat(b'{') {
            return scanner.malformed("expected an opening brace");
        }
        scanner.skip_whitespace();
        let mut more = !scanner.eat(b'}');
        let mut previous = Members::START;
        while more {
            let member = self.members.next(scanner, &mut previous)?;
            scanner.colon()?;
            match member.and_then(|column| Some((self.columns.get(column)?, slots.get_mut(column)?))) {
                Some((column, slot)) => column.read(scanner, &mut self.spill, slot)?,
                None => scanner.skip_value(1)?,
            }
            more = scanner.another(b'}')?;
        }
        scanner.finish()
    }

    /// Fills `slots` from a tombstone's key, or says why it deletes nothing.
    fn tombstone<'a>(&mut self, key: Option<&'a [u8]>, slots: &mut [Slot<'a>]) -> Result<(), String> {
        if self.key.is_empty() {
            return Err("the record is a tombstone, and the topic has no key.columns that say which row it deletes".to_owned());
        }
        let key = key.filter(|k| !k.is_empty()).ok_or("the record is a tombstone without a key")?;
        let text = std::str::from_utf8(key).map_err(|_| "the record is a tombstone whose key is not UTF-8")?;
        match self.key.as_slice() {
            [column] if !text.trim_start().starts_with('{') => self.plain_key(*column, text, slots)?,
            _ => self.object(key, slots).map_err(|reason| format!("the key of a tombstone: {reason}"))?,
        }
        for (column, slot) in slots.iter_mut().enumerate() {
            if self.key.contains(&column) {
                match *slot {
                    Slot::Missing | Slot::Null => {
                        return Err(format!("the key of a tombstone has no {}: {}", self.name(column), shown(text)));
                    }
                    Slot::Bad(value) => return Err(format!("the key of a tombstone: {}", self.misfit(column, value))),
                    _ => {}
                }
            } else {
                *slot = match self.columns.get(column) {
                    Some(kind) if self.required.contains(&column) => kind.filler(),
                    _ => Slot::Null,
                };
            }
        }
        Ok(())
    }

    /// A key that is one plain value: a JSON scalar, or its text without quotes.
    fn plain_key<'a>(&mut self, column: usize, text: &'a str, slots: &mut [Slot<'a>]) -> Result<(), String> {
        let (Some(kind), Some(slot)) = (self.columns.get(column), slots.get_mut(column)) else { return Ok(()) };
        let mut scanner = Scanner::new(text);
        if scanner.peek() == Some(b'"') && kind.read(&mut scanner, &mut self.spill, slot).is_ok() && scanner.finish().is_ok() {
            return Ok(());
        }
        *slot = kind.plain(text, &mut self.spill).unwrap_or(Slot::Bad(text));
        Ok(())
    }

    fn name(&self, column: usize) -> &str {
        self.schema.fields().get(column).map_or("?", |f| f.name())
    }

    fn misfit(&self, column: usize, value: &str) -> String {
        let kind = self.columns.get(column).map(ColumnType::sql_name).unwrap_or_default();
        format!("column {}: {} does not fit {kind}", self.name(column), shown(value))
    }
}

/// The beginning of a value, for a reason.
fn shown(value: &str) -> String {
    match value.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}... ({} bytes)", &value[..end], value.len()),
        None => value.to_owned(),
    }
}

/// The names of members, and which followed which in the records before: producers write the same members in the same order, so that
/// nearly every key is found by one comparison of bytes, before it is parsed.
#[derive(Debug)]
struct Members {
    known: Vec<Member>,
    by_name: HashMap<String, usize>,
}

#[derive(Debug)]
struct Member {
    /// The name as it stands in a record, with its quotes; empty where it would need escapes.
    quoted: Box<[u8]>,
    /// The first 16 bytes of `quoted`, and which bits of them count: most names are compared as one word.
    head: u128,
    mask: u128,
    /// Its column; `None` for a member that no column has.
    column: Option<usize>,
    /// The member that followed it last time.
    next: usize,
}

impl Member {
    fn new(quoted: Box<[u8]>, column: Option<usize>, next: usize) -> Self {
        let bytes = quoted.iter().take(16).enumerate();
        let head = bytes.fold(0, |head, (at, byte)| head | u128::from(*byte) << (8 * at));
        let mask = if quoted.len() >= 16 { u128::MAX } else { (1 << (8 * quoted.len())) - 1 };
        Self { quoted, head, mask, column, next }
    }

    /// Goes past this member's name, if it is next.
    #[inline]
    fn eat(&self, scanner: &mut Scanner<'_>) -> bool {
        match scanner.word() {
            Some(word) if (word ^ self.head) & self.mask != 0 => false,
            Some(_) if (1..=16).contains(&self.quoted.len()) => {
                scanner.advance(self.quoted.len());
                true
            }
            _ => !self.quoted.is_empty() && scanner.eat_all(&self.quoted),
        }
    }
}

impl Members {
    /// What stands before the first member.
    const START: usize = 0;

    fn new<'n>(names: impl Iterator<Item = &'n str>) -> Self {
        let mut members = Self { known: Vec::new(), by_name: HashMap::new() };
        members.known.push(Member::new(Box::default(), None, 1));
        for (column, name) in names.enumerate() {
            members.learn(name, Some(column));
        }
        members
    }

    fn learn(&mut self, name: &str, column: Option<usize>) -> usize {
        let id = self.known.len();
        let plain = name.bytes().all(|b| b >= 0x20 && !matches!(b, b'"' | b'\\'));
        let quoted = if plain { format!("\"{name}\"").into_bytes().into_boxed_slice() } else { Box::default() };
        self.known.push(Member::new(quoted, column, id + 1));
        self.by_name.insert(name.to_owned(), id);
        id
    }

    /// The column of the next key, which is eaten; `None` for an unknown one. `previous` is the member before it.
    #[inline]
    fn next(&mut self, scanner: &mut Scanner<'_>, previous: &mut usize) -> Result<Option<usize>, Malformed> {
        let mut guess = *previous;
        // The second guess is for a member that this record leaves out.
        for _ in 0..2 {
            guess = self.known.get(guess).map_or(Self::START, |member| member.next);
            if let Some(member) = self.known.get(guess)
                && member.eat(scanner)
            {
                *previous = guess;
                return Ok(member.column);
            }
        }
        self.look_up(scanner, previous)
    }

    fn look_up(&mut self, scanner: &mut Scanner<'_>, previous: &mut usize) -> Result<Option<usize>, Malformed> {
        let token = scanner.string()?;
        let unescaped;
        let name = if token.escaped {
            unescaped = scanner.unescape(token)?;
            unescaped.as_str()
        } else {
            scanner.slice(token.start, token.end)
        };
        let id = match self.by_name.get(name) {
            Some(id) => *id,
            None if self.known.len() < self.columns() + UNKNOWN_MAX && name.len() <= 256 => self.learn(name, None),
            None => return Ok(None),
        };
        if let Some(member) = self.known.get_mut(*previous) {
            member.next = id;
        }
        *previous = id;
        Ok(self.known.get(id).and_then(|member| member.column))
    }

    fn columns(&self) -> usize {
        self.known.iter().filter(|m| m.column.is_some()).count()
    }
}

#[cfg(test)]
mod tests;
