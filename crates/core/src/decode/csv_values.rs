//! Lines of CSV as structs of one type: Spark's `from_csv`, by the rules of topics' records.

use std::sync::Arc;

use arrow::array::{ArrayRef, StructArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{Fields, Schema};
use bytes::Bytes;

use super::{ParseMode, ReadFormat, Reading, RecordDecoder};
use crate::error::{Error, Result};
use crate::ident::Offset;
use crate::ports::Record;
use crate::style::{CsvStyle, TimeFormats};
use crate::time::Timestamp;

/// Reads structs.
#[derive(Debug)]
pub struct CsvValues {
    schema: Arc<Schema>,
    reading: Reading,
}

impl CsvValues {
    /// A reader of structs with these fields, all of which may be null. In [`ParseMode::DeadLetter`] a line that isn't one is an error.
    /// [`Unsupported`](crate::ErrorKind::Unsupported) for a field that is nested.
    pub fn try_new(fields: &Fields, style: CsvStyle, times: TimeFormats, mode: ParseMode, corrupt_record: &str) -> Result<Self> {
        let corrupt_record = fields.iter().map(|f| f.name()).find(|name| *name == corrupt_record).cloned();
        let schema = Arc::new(Schema::new(fields.clone()));
        let reading = Reading { format: ReadFormat::Csv(style, times), mode, corrupt_record, key_columns: Vec::new() };
        RecordDecoder::new(schema.clone(), &reading)?;
        Ok(Self { schema, reading })
    }

    /// The structs of `lines`. [`InvalidInput`](crate::ErrorKind::InvalidInput) shows the line that isn't one, where that is an error.
    pub fn read<'a>(&self, lines: impl Iterator<Item = Option<&'a str>>) -> Result<ArrayRef> {
        let (mut records, mut places) = (Vec::new(), Vec::new());
        for line in lines {
            places.push(line.map(|_| u32::try_from(records.len()).unwrap_or(u32::MAX)));
            records.extend(line.map(|line| Record {
                offset: Offset(0),
                timestamp: Timestamp(0),
                key: None,
                value: Some(Bytes::copy_from_slice(line.as_bytes())),
                headers: Vec::new(),
            }));
        }
        let decoded = RecordDecoder::new(self.schema.clone(), &self.reading)?.decode(&records)?;
        if let Some(rejected) = decoded.rejected.first() {
            return Err(Error::invalid(format!("from_csv() can't read a line: {}", rejected.reason)));
        }
        Ok(take(&StructArray::from(decoded.rows), &UInt32Array::from(places), None)?)
    }
}
