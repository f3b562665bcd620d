//! Flights as events: rows of a Parquet file as JSON objects, in the order of the file, a batch at a time.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use arrow::json::WriterBuilder;
use arrow::json::writer::LineDelimited;
use bytes::Bytes;
use millstream_core::{Error, Result};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

/// Rows that are decoded at once.
const BATCH_ROWS: usize = 4_096;

/// A flight as it is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flight {
    /// Its number, from 1, in the order of the schedule.
    pub event_id: u64,
    /// Its scheduled departure, in microseconds.
    pub ts: i64,
    /// Its carrier: the record's key.
    pub carrier: Bytes,
    /// All columns as a JSON object that begins with `{"event_id":N,`; what is missing is null, timestamps are RFC 3339 in UTC.
    pub json: Bytes,
}

/// The flights of a Parquet file, in its order, which must be that of their schedule.
pub struct Flights {
    reader: ParquetRecordBatchReader,
    rows: u64,
    batch: std::vec::IntoIter<Flight>,
    last: i64,
}

impl Flights {
    /// The flights of `parquet`. [`Corrupt`](millstream_core::ErrorKind::Corrupt) for bytes that aren't Parquet.
    pub fn open(parquet: Bytes) -> Result<Self> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(parquet).map_err(unreadable)?;
        let rows = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
        let reader = builder.with_batch_size(BATCH_ROWS).build().map_err(unreadable)?;
        Ok(Self { reader, rows, batch: Vec::new().into_iter(), last: i64::MIN })
    }

    /// How many flights the file holds.
    pub fn total(&self) -> u64 {
        self.rows
    }

    fn decode(&mut self, batch: &RecordBatch) -> Result<Vec<Flight>> {
        let column = |name: &str| batch.column_by_name(name).ok_or_else(|| misshapen(&format!("no column {name}")));
        let first = batch.schema().fields().first().map(|f| f.name().clone());
        if first.as_deref() != Some("event_id") {
            return Err(misshapen("event_id is not the first column"));
        }
        let ids = column("event_id")?.as_primitive_opt::<Int64Type>().ok_or_else(|| misshapen("event_id is no BIGINT"))?;
        let times = column("ts")?.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(|| misshapen("ts is no TIMESTAMP"))?;
        let carriers = column("carrier")?.as_string_opt::<i32>().ok_or_else(|| misshapen("carrier is no STRING"))?;
        let mut flights = Vec::with_capacity(batch.num_rows());
        for (row, json) in json_lines(batch)?.into_iter().enumerate() {
            let ts = times.value(row);
            if ts < self.last {
                return Err(misshapen("flights are not in the order of ts"));
            }
            self.last = ts;
            flights.push(Flight {
                event_id: u64::try_from(ids.value(row)).map_err(|_| misshapen("an event_id is negative"))?,
                ts,
                carrier: Bytes::copy_from_slice(carriers.value(row).as_bytes()),
                json,
            });
        }
        Ok(flights)
    }
}

impl Iterator for Flights {
    type Item = Result<Flight>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(flight) = self.batch.next() {
                return Some(Ok(flight));
            }
            let decoded = self.reader.next()?.map_err(Error::from).and_then(|batch| self.decode(&batch));
            match decoded {
                Ok(flights) => self.batch = flights.into_iter(),
                Err(e) => return Some(Err(e)),
            }
        }
    }
}

/// Each row as a JSON object: slices of one buffer.
fn json_lines(batch: &RecordBatch) -> Result<Vec<Bytes>> {
    let mut text = Vec::with_capacity(batch.num_rows() * 400);
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(&mut text);
    writer.write(batch)?;
    writer.finish()?;
    drop(writer);
    let text = Bytes::from(text);
    let mut lines = Vec::with_capacity(batch.num_rows());
    let mut start = 0;
    for (end, _) in text.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
        lines.push(text.slice(start..end));
        start = end + 1;
    }
    Ok(lines)
}

fn unreadable(error: parquet::errors::ParquetError) -> Error {
    Error::corrupt("the flights can't be read as Parquet").caused_by(error)
}

fn misshapen(what: &str) -> Error {
    Error::invalid(format!("the flights file has another shape than make_data.py gives it: {what}"))
}
