//! Flights as events: rows of a Parquet file as JSON objects, in the order of the file, a batch at a time.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, PrimitiveArray, RecordBatch};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Int64Type, TimeUnit, TimestampMicrosecondType};
use arrow::json::WriterBuilder;
use arrow::json::writer::LineDelimited;
use bytes::Bytes;
use millstream_core::{Error, Result};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

/// Rows that are decoded at once.
const BATCH_ROWS: usize = 4_096;

/// A repeated year begins 365 days after the one before, in microseconds.
const YEAR_MICROS: i64 = 365 * 86_400 * 1_000_000;

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

/// The flights of a Parquet file, in its order, which must be that of their schedule; perhaps several times, year after year.
pub struct Flights {
    parquet: Bytes,
    reader: ParquetRecordBatchReader,
    rows: u64,
    years: u32,
    /// The year that is read, from 0.
    year: u32,
    batch: std::vec::IntoIter<Flight>,
    last: i64,
}

impl Flights {
    /// The flights of `parquet`. [`Corrupt`](millstream_core::ErrorKind::Corrupt) for bytes that aren't Parquet.
    pub fn open(parquet: Bytes) -> Result<Self> {
        Self::open_years(parquet, 1)
    }

    /// The flights of `parquet`, `years` times: `event_id` counts on, and each year's timestamps are 365 days after those of the year before
    /// (`year`, `month` and the other parts of the calendar stay).
    pub fn open_years(parquet: Bytes, years: u32) -> Result<Self> {
        let (reader, rows) = open(parquet.clone())?;
        Ok(Self { parquet, reader, rows, years, year: 0, batch: Vec::new().into_iter(), last: i64::MIN })
    }

    /// How many flights there are.
    pub fn total(&self) -> u64 {
        self.rows * u64::from(self.years)
    }

    /// The next rows of this year, or of the next one.
    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.reader.next().transpose()? {
                return Ok(Some(batch));
            }
            if self.year + 1 >= self.years {
                return Ok(None);
            }
            self.year += 1;
            self.reader = open(self.parquet.clone())?.0;
        }
    }

    /// `batch` as it is in the year that is read.
    fn shifted(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let year = i64::from(self.year);
        let ids = year * i64::try_from(self.rows).unwrap_or(0);
        let columns = batch.schema_ref().fields().iter().zip(batch.columns()).map(|(field, column)| match field.data_type() {
            DataType::Timestamp(TimeUnit::Microsecond, _) => plus::<TimestampMicrosecondType>(column, year * YEAR_MICROS),
            DataType::Int64 if field.name() == "event_id" => plus::<Int64Type>(column, ids),
            _ => column.clone(),
        });
        Ok(RecordBatch::try_new(batch.schema(), columns.collect())?)
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
            let decoded = self.next_batch().transpose()?.and_then(|batch| self.decode(&self.shifted(&batch)?));
            match decoded {
                Ok(flights) => self.batch = flights.into_iter(),
                Err(e) => return Some(Err(e)),
            }
        }
    }
}

/// A reader of `parquet`, and how many rows it has.
fn open(parquet: Bytes) -> Result<(ParquetRecordBatchReader, u64)> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(parquet).map_err(unreadable)?;
    let rows = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
    Ok((builder.with_batch_size(BATCH_ROWS).build().map_err(unreadable)?, rows))
}

/// Each value and `by`; nulls stay.
fn plus<T: ArrowPrimitiveType<Native = i64>>(column: &ArrayRef, by: i64) -> ArrayRef {
    if by == 0 {
        return column.clone();
    }
    let shifted: PrimitiveArray<T> = column.as_primitive::<T>().unary(|value| value.saturating_add(by));
    Arc::new(shifted.with_data_type(column.data_type().clone()))
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
