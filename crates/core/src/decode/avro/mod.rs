//! Avro records as rows: of one schema that is known beforehand, or of the schemas that a registry has, named by an id before each record
//! (Confluent's wire format: a zero byte, the id as four bytes, the highest first). Schema evolution is resolved to the table's columns
//! ([`plan`]): a field that no column has is passed over, a column that the writer's schema lacks is null.

mod binary;
mod plan;
mod schema;

use std::collections::{BTreeSet, HashMap};

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;

use super::build::Builder;
use super::column::ColumnType;
use super::nested::is_wrong;
use super::slot::{Slot, Spill};
use crate::error::{Error, Result};
use crate::ports::Record;
use crate::style::TimeFormats;

pub use schema::AvroSchema;

/// What stands before a record whose schema a registry has.
const MAGIC: u8 = 0;

/// Where the schemas of a topic's records are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AvroSchemas {
    /// All records are of this one, and nothing stands before them.
    One(Box<AvroSchema>),
    /// A registry has them by the id before each record.
    Registry,
}

/// Reads records.
#[derive(Debug)]
pub(super) struct AvroReader {
    /// The columns that a record has: place, name, type, NOT NULL.
    columns: Vec<(usize, String, ColumnType, bool)>,
    one: Option<Writer>,
    /// By id; why records of a schema can't be rows.
    known: HashMap<u32, Result<Writer, String>>,
}

/// A schema that records are written by.
#[derive(Debug)]
struct Writer {
    schema: AvroSchema,
    fields: plan::Fields,
}

impl AvroReader {
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) where the one schema can't become `columns`.
    pub(super) fn try_new(schemas: &AvroSchemas, columns: Vec<(usize, String, ColumnType, bool)>) -> Result<Self> {
        let mut reader = Self { columns, one: None, known: HashMap::new() };
        if let AvroSchemas::One(schema) = schemas {
            let writer = reader.writer(schema.as_ref().clone());
            reader.one = Some(writer.map_err(|why| Error::invalid(format!("no value is a row: {why}")))?);
        }
        Ok(reader)
    }

    fn writer(&self, schema: AvroSchema) -> Result<Writer, String> {
        let columns: Vec<_> = self.columns.iter().map(|(at, name, kind, required)| (*at, name.as_str(), kind, *required)).collect();
        let fields = plan::record(&schema, &columns)?;
        Ok(Writer { schema, fields })
    }

    /// The ids before `records` whose schemas are not known yet.
    pub(super) fn missing(&self, records: &[Record]) -> BTreeSet<u32> {
        if self.one.is_some() {
            return BTreeSet::new();
        }
        let ids = records.iter().filter_map(|r| framed(r.value.as_deref()?).map(|(id, _)| id));
        ids.filter(|id| !self.known.contains_key(id)).collect()
    }

    /// What a registry says of the schema `id`.
    pub(super) fn learn(&mut self, id: u32, text: &str) {
        let read = AvroSchema::try_new(text).map_err(|why| format!("its Avro schema can't be read: {why}"));
        let writer = read.and_then(|schema| self.writer(schema));
        self.known.insert(id, writer);
    }

    /// Reads the record that `value` is into the slots of its columns; the reason where it isn't one.
    pub(super) fn record<'a>(&self, value: &'a [u8], slots: &mut [Slot<'a>], spill: &mut Spill<'a>) -> Result<(), String> {
        let (writer, bytes, start) = match &self.one {
            Some(writer) => (writer, value, 0),
            None => {
                let (id, bytes) = framed(value).ok_or("the value does not begin with a zero byte and the id of a schema")?;
                let known = self.known.get(&id).ok_or_else(|| format!("nobody asked the registry for schema {id}"))?;
                (known.as_ref().map_err(|why| format!("the value is of schema {id}: {why}"))?, bytes, 5)
            }
        };
        let mut cursor = binary::Cursor::new(bytes);
        let mut put = |_: &mut Spill<'a>, to: usize, slot: Slot<'a>| {
            if let Some(place) = slots.get_mut(to) {
                *place = slot;
            }
        };
        binary::fields(&writer.schema, &writer.fields, &mut cursor, spill, &mut put)
            .and_then(|()| cursor.finish())
            .map_err(|e| format!("the value is not a record of its Avro schema: {} at byte {}", e.what, start + e.at))
    }
}

/// The id before a record, and the record.
fn framed(value: &[u8]) -> Option<(u32, &[u8])> {
    match value.split_first_chunk::<5>() {
        Some(([MAGIC, id @ ..], record)) => Some((u32::from_be_bytes(*id), record)),
        _ => None,
    }
}

/// Values of one Avro schema: Spark's `from_avro`.
#[derive(Debug)]
pub struct AvroValues {
    schema: AvroSchema,
    data_type: DataType,
    plan: plan::Plan,
    lenient: bool,
}

impl AvroValues {
    /// A reader of values of `schema`. Where it is not `lenient`, bytes that aren't one are an error, else null.
    pub fn try_new(schema: &AvroSchema, lenient: bool) -> Result<Self> {
        let (data_type, _) = schema.data_type().map_err(|why| Error::invalid(format!("the Avro schema can't be a column: {why}")))?;
        let kind = ColumnType::of("value", &data_type, &TimeFormats::default())?;
        Ok(Self { schema: schema.clone(), plan: plan::of(schema, schema.root, &kind), data_type, lenient })
    }

    /// The type of the values.
    #[must_use]
    pub fn data_type(&self) -> &DataType {
        &self.data_type
    }

    /// The values of `records`. [`InvalidInput`](crate::ErrorKind::InvalidInput) for bytes that aren't one, where that is an error.
    pub fn read<'a>(&self, records: impl ExactSizeIterator<Item = Option<&'a [u8]>>) -> Result<ArrayRef> {
        let mut builder = Builder::new(&self.data_type, records.len());
        let mut spill = Spill::default();
        for bytes in records {
            spill.clear();
            let slot = match bytes.map(|bytes| self.value(bytes, &mut spill)) {
                None => Slot::Null,
                Some(Ok(slot)) => slot,
                Some(Err(_)) if self.lenient => Slot::Null,
                Some(Err(why)) => return Err(Error::invalid(format!("from_avro() can't read a value: {why}"))),
            };
            builder.append(&slot, &spill);
        }
        builder.finish()
    }

    fn value<'a>(&self, bytes: &'a [u8], spill: &mut Spill<'a>) -> Result<Slot<'a>, String> {
        let mut cursor = binary::Cursor::new(bytes);
        let read = binary::value(&self.schema, &self.plan, &mut cursor, spill);
        let slot = read.and_then(|slot| cursor.finish().map(|()| slot)).map_err(|e| format!("{} at byte {}", e.what, e.at))?;
        match slot {
            Slot::Misfit(at) => Err(spill.misfits.get(at).map_or_else(String::new, |m| format!("{} {}", m.path, m.problem))),
            slot if is_wrong(slot) => Err("it does not fit its type".to_owned()),
            slot => Ok(slot),
        }
    }
}

#[cfg(test)]
mod tests;
