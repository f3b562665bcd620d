//! Rows as the records of a topic: keys and values as Spark's `to_json`, `to_csv`, `to_avro` and `to_protobuf` write them, and the partition to which the
//! Java client sends a key. Pure: what every [`TopicSink`](crate::ports::TopicSink) has in common, whoever keeps the topic.

mod avro;
mod csv;
mod epoch;
mod json;
mod partition;
mod protobuf;
mod text;
mod varint;

pub use avro::avro_schema;
pub use epoch::{EpochPart, EpochPosition, POSITION_HEADER, PlacedRecord, parts};
pub use partition::{murmur2, partition_of_key};

use arrow::array::{Array, RecordBatch, StringArray, StringBuilder, StructArray};
use arrow::datatypes::Schema;
use bytes::Bytes;
use protobuf::ProtobufWriter;

use crate::change::{ChangeBatch, ChangeKind};
use crate::decode::protobuf::ProtobufMessage;
use crate::error::{Error, Result};
use crate::ports::{TopicOutput, ValueFormat};
use crate::style::{TextStyle, TimeFormats};
use crate::table::TableSpec;
use crate::time::Timestamp;

/// The values of `array` as Spark's `to_json` writes them.
pub fn to_json(array: &dyn Array, times: &TimeFormats) -> Result<StringArray> {
    let mut texts = StringBuilder::with_capacity(array.len(), array.len() * 32);
    let mut bytes = Vec::new();
    for row in 0..array.len() {
        if array.is_null(row) {
            texts.append_null();
            continue;
        }
        bytes.clear();
        json::value(&mut bytes, array, row, times)?;
        texts.append_value(std::str::from_utf8(&bytes).map_err(|_| Error::internal("JSON was written that is not UTF-8"))?);
    }
    Ok(texts.finish())
}

/// Structs as lines of CSV, as Spark's `to_csv` writes them. A line with nothing on it is null.
pub fn to_csv(structs: &StructArray, style: &TextStyle) -> Result<StringArray> {
    let mut texts = StringBuilder::with_capacity(structs.len(), structs.len() * 32);
    let mut bytes = Vec::new();
    for row in 0..structs.len() {
        if structs.is_null(row) {
            texts.append_null();
            continue;
        }
        bytes.clear();
        csv::write_row(&mut bytes, structs.columns(), row, style)?;
        if bytes.is_empty() {
            texts.append_null();
            continue;
        }
        texts.append_value(std::str::from_utf8(&bytes).map_err(|_| Error::internal("CSV was written that is not UTF-8"))?);
    }
    Ok(texts.finish())
}

/// Whether [`to_csv`] can write structs of `data_type`.
#[must_use]
pub fn has_csv(data_type: &arrow::datatypes::DataType) -> bool {
    matches!(data_type, arrow::datatypes::DataType::Struct(fields) if fields.iter().all(|f| csv::fits(f.data_type())))
}

/// A text as a string of JSON, with its quotes.
#[must_use]
pub fn json_string(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    json::string(&mut out, text);
    String::from_utf8_lossy(&out).into_owned()
}

/// Whether [`to_json`] can write values of `data_type`.
#[must_use]
pub fn has_json(data_type: &arrow::datatypes::DataType) -> bool {
    json::fits(data_type)
}

/// Why rows with these columns can't be messages of this type; `None`: they can, but for values that [`RowEncoder::misfits`] finds.
#[must_use]
pub fn protobuf_problem(message: &ProtobufMessage, columns: &Schema) -> Option<String> {
    ProtobufWriter::try_new(message, columns).err()
}

/// A change as it stands in a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedRecord {
    /// The key: of one column its plain text, of several a JSON object.
    pub key: Option<Bytes>,
    /// The value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// The version, cut to the millisecond.
    pub timestamp: Timestamp,
}

/// Turns changes into records.
#[derive(Clone, Debug)]
pub struct RowEncoder {
    table: String,
    values: Values,
    style: TextStyle,
    key: Vec<usize>,
}

/// How values are written.
#[derive(Clone, Debug)]
enum Values {
    Json,
    Csv,
    Avro,
    Protobuf(ProtobufWriter),
}

/// Where a record's bytes stand in a batch's.
struct Span {
    start: usize,
    key_end: usize,
    value_end: usize,
    has_key: bool,
    has_value: bool,
    timestamp: Timestamp,
}

impl RowEncoder {
    /// An encoder of the rows of `spec`. [`InvalidInput`](crate::ErrorKind::InvalidInput) names a key column that is absent,
    /// [`Unsupported`](crate::ErrorKind::Unsupported) a column that the format can't hold.
    pub fn try_new(spec: &TableSpec, output: &TopicOutput) -> Result<Self> {
        let index = |column: &String| {
            let found = spec.schema.index_of(column);
            found.map_err(|_| Error::invalid(format!("table {}: its key column {column} is not one of its columns", spec.name)))
        };
        let key = output.key_columns.iter().map(index).collect::<Result<Vec<_>>>()?;
        let fits = |data_type| match output.format {
            ValueFormat::Json => json::fits(data_type),
            ValueFormat::Csv => csv::fits(data_type),
            ValueFormat::Avro => avro::fits(data_type),
            ValueFormat::Protobuf(_) => true,
        };
        if let Some(field) = spec.schema.fields().iter().find(|f| !fits(f.data_type())) {
            return Err(Error::unsupported(format!(
                "table {}: column {} is a {}, which value.format {} can't hold",
                spec.name,
                field.name(),
                field.data_type(),
                output.format.name()
            )));
        }
        let values = match &output.format {
            ValueFormat::Json => Values::Json,
            ValueFormat::Csv => Values::Csv,
            ValueFormat::Avro => Values::Avro,
            ValueFormat::Protobuf(message) => {
                let writer = ProtobufWriter::try_new(message, &spec.schema);
                Values::Protobuf(writer.map_err(|why| Error::unsupported(format!("table {}: no row is a message: {why}", spec.name)))?)
            }
        };
        if let Some(column) = key.iter().map(|i| spec.schema.field(*i)).find(|f| !json::fits(f.data_type())) {
            return Err(Error::unsupported(format!("table {}: key column {} is a {}", spec.name, column.name(), column.data_type())));
        }
        Ok(Self { table: spec.name.clone(), values, style: output.style.clone(), key })
    }

    /// Whether there can be rows that it can't write: those that [`misfits`](Self::misfits) finds.
    #[must_use]
    pub fn may_refuse(&self) -> bool {
        matches!(&self.values, Values::Protobuf(writer) if writer.may_refuse())
    }

    /// For each of `rows` why it can't be a value, if it can't.
    #[must_use]
    pub fn misfits(&self, rows: &RecordBatch) -> Vec<Option<String>> {
        let Values::Protobuf(writer) = &self.values else { return vec![None; rows.num_rows()] };
        let mut bytes = Vec::new();
        let misfit = |row| {
            bytes.clear();
            writer.write_row(&mut bytes, rows, row).err()
        };
        (0..rows.num_rows()).map(misfit).collect()
    }

    /// The records of `changes`, in order. A delete is a tombstone of its key; [`InvalidInput`](crate::ErrorKind::InvalidInput) where it has none.
    pub fn encode(&self, changes: &ChangeBatch) -> Result<Vec<EncodedRecord>> {
        let mut bytes = Vec::with_capacity(changes.len() * 64);
        let rows = changes.rows();
        let mut spans = Vec::with_capacity(changes.len());
        for row in 0..changes.len() {
            let start = bytes.len();
            let has_key = self.write_key(&mut bytes, changes, row)?;
            let key_end = bytes.len();
            let has_value = changes.kind(row) != ChangeKind::Delete;
            if has_value {
                match &self.values {
                    Values::Json => json::write_row(&mut bytes, rows, row, &self.style.times)?,
                    Values::Csv => csv::write_row(&mut bytes, rows.columns(), row, &self.style)?,
                    Values::Avro => avro::write_row(&mut bytes, rows, row)?,
                    Values::Protobuf(writer) => writer
                        .write_row(&mut bytes, rows, row)
                        .map_err(|why| Error::invalid(format!("table {}: a row is no message: {why}", self.table)))?,
                }
            } else if !has_key {
                return Err(Error::invalid(format!(
                    "table {}: a row is deleted, and its topic has no key (TBLPROPERTIES 'key'): a tombstone needs one",
                    self.table
                )));
            }
            let timestamp = Timestamp(changes.version(row).micros().div_euclid(1_000).saturating_mul(1_000));
            spans.push(Span { start, key_end, value_end: bytes.len(), has_key, has_value, timestamp });
        }
        let bytes = Bytes::from(bytes);
        let record = |span: Span| EncodedRecord {
            key: span.has_key.then(|| bytes.slice(span.start..span.key_end)),
            value: span.has_value.then(|| bytes.slice(span.key_end..span.value_end)),
            timestamp: span.timestamp,
        };
        Ok(spans.into_iter().map(record).collect())
    }

    /// Writes the key; `false`: there is none.
    fn write_key(&self, out: &mut Vec<u8>, changes: &ChangeBatch, row: usize) -> Result<bool> {
        let rows = changes.rows();
        match self.key.as_slice() {
            [] => Ok(false),
            [one] if rows.column(*one).is_null(row) => Ok(false),
            [one] => {
                text::write(out, rows.column(*one).as_ref(), row, &TimeFormats::default())?;
                Ok(true)
            }
            several => {
                let columns = rows.schema_ref().fields();
                let members = several.iter().map(|i| (columns[*i].name().as_str(), rows.column(*i).as_ref()));
                json::write_object(out, members, row, &TimeFormats::default())?;
                Ok(true)
            }
        }
    }
}

#[cfg(test)]
mod tests;
