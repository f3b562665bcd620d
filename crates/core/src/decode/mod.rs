//! Records as rows: the values of a topic's records straight into Arrow columns, each record whole or not at all. It knows the topic's
//! columns and nothing of flows, offsets or where a rejected record goes.
//!
//! A format's reader turns a record into the slots of its columns; when the whole record is known to be good, they are appended to the
//! columns. What each format takes for each type, and where it is stricter than Spark, says its own module.

pub mod avro;
mod build;
pub(crate) mod column;
mod csv;
mod csv_values;
mod direct;
mod json;
mod members;
mod nested;
mod path;
mod plain;
pub mod protobuf;
mod reading;
mod scalar;
mod scan;
mod slot;
mod values;
mod varint;

pub use csv_values::CsvValues;
pub use path::JsonPath;
pub use reading::{ParseMode, ReadFormat, Reading};
pub use values::JsonValues;

use arrow::array::{RecordBatch, RecordBatchOptions, UInt8Array};
use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::change::ChangeKind;
use crate::error::{Error, Result};
use crate::ports::Record;

use avro::AvroReader;
use build::Builder;
use column::ColumnType;
use csv::CsvReader;
use direct::DirectReader;
use json::JsonReader;
use protobuf::ProtobufReader;
use scan::Scanner;
use slot::{Slot, Spill};

/// How much of a value a reason shows, in characters.
const SHOWN_MAX: usize = 60;

/// A record that isn't a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Its place among the records.
    pub index: u32,
    /// Why: names the column and shows the beginning of the value, or says where the value is malformed.
    pub reason: String,
}

/// What a run of records became: each is in `accepted` or in `rejected`, exactly once.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// The rows, of the columns that are kept.
    pub rows: RecordBatch,
    /// For each row the place of its record, rising.
    pub accepted: Vec<u32>,
    /// For each row [`ChangeKind::Insert`], or [`ChangeKind::Delete`] for a tombstone: then only the key columns mean anything; the
    /// others are null, or hold zero or nothing where they are NOT NULL.
    pub kinds: UInt8Array,
    /// The records that aren't rows, rising.
    pub rejected: Vec<Rejected>,
}

/// Decodes records of one topic. Keeps what it learned of the order of members from call to call.
#[derive(Debug)]
pub struct RecordDecoder {
    topic_columns: SchemaRef,
    mode: ParseMode,
    columns: Vec<ColumnType>,
    /// The columns that rows have.
    kept: Vec<usize>,
    schema: SchemaRef,
    required: Vec<usize>,
    /// The columns that a tombstone's key names.
    key: Vec<usize>,
    /// The column of corrupt records.
    corrupt: Option<usize>,
    /// Reads values, where they are JSON, and keys.
    json: JsonReader,
    reader: Reader,
    /// Reads the usual values, where they are JSON and the columns plain.
    direct: Option<DirectReader>,
}

/// Reads values.
#[derive(Debug)]
enum Reader {
    Json,
    Csv(CsvReader),
    Avro(AvroReader),
    Protobuf(ProtobufReader),
}

impl RecordDecoder {
    /// A decoder for records of a topic with the columns `schema`.
    ///
    /// [`Unsupported`](crate::ErrorKind::Unsupported) for a column that no topic holds, or not in this format;
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for an unknown key column, or a corrupt record's column that is no STRING or NOT NULL.
    pub fn new(schema: SchemaRef, reading: &Reading) -> Result<Self> {
        let times = reading.format.times();
        let columns = schema.fields().iter().map(|f| ColumnType::of(f.name(), f.data_type(), &times)).collect::<Result<Vec<_>>>()?;
        let required = schema.fields().iter().enumerate().filter(|(_, f)| !f.is_nullable()).map(|(i, _)| i).collect();
        let key = reading
            .key_columns
            .iter()
            .map(|c| schema.index_of(c).map_err(|_| Error::invalid(format!("key column {c} is not a column of the topic"))))
            .collect::<Result<Vec<_>>>()?;
        let corrupt = reading.corrupt_record.as_deref().map(|name| corrupt_column(&schema, name)).transpose()?;
        let own = || schema.fields().iter().enumerate().filter(|(at, _)| Some(*at) != corrupt);
        let column = |(at, field): (usize, &FieldRef)| {
            columns.get(at).map(|kind: &ColumnType| (at, field.name().clone(), kind.clone(), !field.is_nullable()))
        };
        let reader = match &reading.format {
            ReadFormat::Json(_) => {
                if let Some((_, field)) = own().find(|(at, _)| columns.get(*at).is_some_and(ColumnType::has_other_keys)) {
                    return Err(Error::unsupported(format!("column {} has keys that are no strings, as JSON's are", field.name())));
                }
                Reader::Json
            }
            ReadFormat::Csv(style, _) => {
                if let Some((_, field)) = own().find(|(at, _)| columns.get(*at).is_some_and(ColumnType::is_nested)) {
                    return Err(Error::unsupported(format!(
                        "column {} is nested, and a line of CSV holds plain values only",
                        field.name()
                    )));
                }
                Reader::Csv(CsvReader::new(style.clone(), own().map(|(at, _)| at).collect()))
            }
            ReadFormat::Avro(schemas) => Reader::Avro(AvroReader::try_new(schemas, own().filter_map(column).collect())?),
            ReadFormat::Protobuf { message, defaults } => {
                let columns: Vec<_> = own().filter_map(column).collect();
                Reader::Protobuf(ProtobufReader::try_new(message, &columns, *defaults)?)
            }
        };
        let json = JsonReader::new(own().map(|(at, f)| (at, f.name().as_str())));
        let (kept, topic_columns) = ((0..columns.len()).collect(), schema.clone());
        let (mode, direct) = (reading.mode, None);
        Ok(Self { topic_columns, mode, columns, kept, schema, required, key, corrupt, json, reader, direct }.with_direct())
    }

    fn with_direct(mut self) -> Self {
        if matches!(self.reader, Reader::Json) && self.corrupt.is_none() {
            let fields = self.topic_columns.fields().iter().zip(&self.columns);
            self.direct = DirectReader::try_new(fields.map(|(f, kind)| (f.name().as_str(), kind, !f.is_nullable())), &self.kept);
        }
        self
    }

    /// The same with only the columns at `places` in its rows, in their order. Values of the others are read and checked as before: which records
    /// are rows stays as it is.
    #[must_use]
    pub fn keeping(self, places: &[usize]) -> Self {
        let known = places.iter().filter_map(|place| Some((*place, self.topic_columns.fields().get(*place)?.clone())));
        let (kept, fields): (Vec<usize>, Vec<FieldRef>) = known.unzip();
        Self { kept, schema: Arc::new(Schema::new(fields)), ..self }.with_direct()
    }

    /// The columns of the rows.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The ids of schemas by which `records` are written, and which [`learn_schema`](Self::learn_schema) has to be told before they are decoded.
    #[must_use]
    pub fn missing_schemas(&self, records: &[Record]) -> BTreeSet<u32> {
        match &self.reader {
            Reader::Avro(reader) => reader.missing(records),
            _ => BTreeSet::new(),
        }
    }

    /// The text of the schema `id`, as the registry has it. One that can't be rows of this table rejects its records.
    pub fn learn_schema(&mut self, id: u32, text: &str) {
        if let Reader::Avro(reader) = &mut self.reader {
            reader.learn(id, text);
        }
    }

    /// Decodes `records`. A record that isn't a row is in [`Decoded::rejected`], never an error; an error is a defect.
    pub fn decode(&mut self, records: &[Record]) -> Result<Decoded> {
        let mut builders: Vec<Builder> = self.schema.fields().iter().map(|f| Builder::new(f.data_type(), records.len())).collect();
        let mut slots: Vec<Slot<'_>> = vec![Slot::Missing; self.columns.len()];
        let mut spill = Spill::new(self.mode == ParseMode::Permissive);
        let mut accepted = Vec::with_capacity(records.len());
        let mut kinds = Vec::with_capacity(records.len());
        let mut rejected = Vec::new();
        for (index, record) in (0_u32..).zip(records) {
            if let (Some(direct), Some(value)) = (&mut self.direct, &record.value)
                && direct.append(value, &mut builders, accepted.len())
            {
                accepted.push(index);
                kinds.push(ChangeKind::Insert.code());
                continue;
            }
            slots.fill(Slot::Missing);
            spill.clear();
            let outcome = match &record.value {
                Some(value) => self.event(value, &mut slots, &mut spill).map(|()| ChangeKind::Insert),
                None => self.tombstone(record.key.as_deref(), &mut slots, &mut spill).map(|()| ChangeKind::Delete),
            };
            match outcome {
                Ok(kind) => {
                    for (builder, column) in builders.iter_mut().zip(&self.kept) {
                        builder.append(slots.get(*column).unwrap_or(&Slot::Missing), &spill);
                    }
                    accepted.push(index);
                    kinds.push(kind.code());
                }
                Err(reason) => rejected.push(Rejected { index, reason }),
            }
        }
        let columns = builders.iter_mut().map(Builder::finish).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(accepted.len()));
        let rows = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?;
        Ok(Decoded { rows, accepted, kinds: UInt8Array::from(kinds), rejected })
    }

    /// Fills `slots` from an event's value, or says why it isn't a row.
    #[inline]
    fn event<'a>(&mut self, value: &'a [u8], slots: &mut [Slot<'a>], spill: &mut Spill<'a>) -> Result<(), String> {
        let read = match &self.reader {
            Reader::Json => self.json.object(&self.columns, value, slots, spill),
            Reader::Csv(reader) => reader.line(&self.columns, value, slots, spill),
            Reader::Avro(reader) => reader.record(value, slots, spill),
            Reader::Protobuf(reader) => reader.message(value, slots, spill),
        };
        match read {
            Ok(()) => self.settle(slots, spill)?,
            Err(_) if self.mode == ParseMode::Permissive && self.required.is_empty() => {
                slots.fill(Slot::Null);
                spill.partial = true;
            }
            Err(reason) => return Err(reason),
        }
        if let Some(slot) = self.corrupt.and_then(|at| slots.get_mut(at)) {
            *slot = match std::str::from_utf8(value) {
                _ if !spill.partial => Slot::Null,
                Ok(text) => Slot::Text(text),
                Err(_) => spill.keep_text(&String::from_utf8_lossy(value)),
            };
        }
        Ok(())
    }

    /// Deals with what the columns couldn't hold, and with what is missing.
    #[inline]
    fn settle(&self, slots: &mut [Slot<'_>], spill: &mut Spill<'_>) -> Result<(), String> {
        for (column, slot) in slots.iter_mut().enumerate() {
            if nested::is_wrong(*slot) {
                if self.mode == ParseMode::DeadLetter {
                    return Err(self.misfit(column, *slot, spill));
                }
                if self.required.contains(&column) {
                    return Err(format!("{}, and the column is NOT NULL", self.misfit(column, *slot, spill)));
                }
                *slot = Slot::Null;
                spill.partial = true;
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

    /// Fills `slots` from a tombstone's key, or says why it deletes nothing.
    fn tombstone<'a>(&mut self, key: Option<&'a [u8]>, slots: &mut [Slot<'a>], spill: &mut Spill<'a>) -> Result<(), String> {
        if self.key.is_empty() {
            return Err("the record is a tombstone, and the topic has no key.columns that say which row it deletes".to_owned());
        }
        let key = key.filter(|k| !k.is_empty()).ok_or("the record is a tombstone without a key")?;
        let text = std::str::from_utf8(key).map_err(|_| "the record is a tombstone whose key is not UTF-8")?;
        match self.key.as_slice() {
            [column] if !text.trim_start().starts_with('{') => self.plain_key(*column, text, slots, spill),
            _ => {
                let read = self.json.object(&self.columns, key, slots, spill);
                read.map_err(|reason| format!("the key of a tombstone: {reason}"))?;
            }
        }
        for (column, slot) in slots.iter_mut().enumerate() {
            if self.key.contains(&column) {
                match *slot {
                    Slot::Missing | Slot::Null => {
                        return Err(format!("the key of a tombstone has no {}: {}", self.name(column), shown(text)));
                    }
                    wrong if nested::is_wrong(wrong) => {
                        return Err(format!("the key of a tombstone: {}", self.misfit(column, wrong, spill)));
                    }
                    _ => {}
                }
            } else {
                *slot = match self.columns.get(column) {
                    Some(kind) if self.required.contains(&column) => kind.filler(spill),
                    _ => Slot::Null,
                };
            }
        }
        Ok(())
    }

    /// A key that is one plain value: a JSON scalar, or its text without quotes.
    fn plain_key<'a>(&self, column: usize, text: &'a str, slots: &mut [Slot<'a>], spill: &mut Spill<'a>) {
        let (Some(kind), Some(slot)) = (self.columns.get(column), slots.get_mut(column)) else { return };
        let mut scanner = Scanner::new(text);
        if scanner.peek() == Some(b'"')
            && let Ok(read) = kind.read(&mut scanner, spill)
            && scanner.finish().is_ok()
        {
            *slot = read;
            return;
        }
        *slot = kind.plain(text, spill).unwrap_or(Slot::Bad(text));
    }

    fn name(&self, column: usize) -> &str {
        self.topic_columns.fields().get(column).map_or("?", |f| f.name())
    }

    fn misfit(&self, column: usize, slot: Slot<'_>, spill: &Spill<'_>) -> String {
        let name = self.name(column);
        match slot {
            Slot::Bad(value) => {
                let kind = self.columns.get(column).map(ColumnType::sql_name).unwrap_or_default();
                format!("column {name}: {} does not fit {kind}", shown(value))
            }
            Slot::Misfit(at) => match spill.misfits.get(at) {
                Some(misfit) if misfit.path.is_empty() => format!("column {name}: {}", misfit.problem),
                Some(misfit) => format!("column {name}: {name}{} {}", misfit.path, misfit.problem),
                None => format!("column {name} does not fit"),
            },
            _ => format!("column {name} does not fit"),
        }
    }
}

fn corrupt_column(schema: &SchemaRef, name: &str) -> Result<usize> {
    let (at, field) = schema
        .column_with_name(name)
        .ok_or_else(|| Error::invalid(format!("column {name} for corrupt records is not a column of the topic")))?;
    if field.data_type() != &DataType::Utf8 || !field.is_nullable() {
        return Err(Error::invalid(format!("column {name} for corrupt records must be a STRING that may be null")));
    }
    Ok(at)
}

/// The beginning of a value, for a reason.
fn shown(value: &str) -> String {
    match value.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}... ({} bytes)", &value[..end], value.len()),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests;
