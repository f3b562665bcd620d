//! The form of a table's files: Parquet with zstd, and Arrow's schema beside it so that every type comes back as it was.

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use futures::StreamExt;
use millstream_core::batches::BatchStream;
use millstream_core::{Error, Result};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::arrow::arrow_writer::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

/// Rows of a row group: what a reader takes at once.
const ROW_GROUP_ROWS: usize = 256 << 10;

/// Rows of a batch that is read.
const BATCH_ROWS: usize = 8_192;

/// A file that is being written, in memory.
pub(super) struct Encoder(ArrowWriter<Vec<u8>>);

impl Encoder {
    pub fn new(schema: SchemaRef) -> Result<Self> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_created_by("millstream".to_owned())
            .build();
        Ok(Self(ArrowWriter::try_new(Vec::new(), schema, Some(properties)).map_err(unwritable)?))
    }

    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.0.write(batch).map_err(unwritable)
    }

    pub fn finish(self) -> Result<Bytes> {
        Ok(self.0.into_inner().map_err(unwritable)?.into())
    }
}

fn unwritable(error: ParquetError) -> Error {
    Error::internal("rows can't be written as Parquet").caused_by(error)
}

fn ended(error: tokio::task::JoinError) -> Error {
    Error::internal("a reader or writer of Parquet ended early").caused_by(error)
}

/// `batches` as a file, made where it may take its time.
pub(super) async fn encode(schema: SchemaRef, batches: Vec<RecordBatch>) -> Result<Bytes> {
    let work = move || {
        let mut encoder = Encoder::new(schema)?;
        batches.iter().try_for_each(|batch| encoder.write(batch))?;
        encoder.finish()
    };
    tokio::task::spawn_blocking(work).await.map_err(ended)?
}

/// Adds the rows of the file `bytes` to `encoder`. Returns it, and how many there were.
pub(super) async fn append(mut encoder: Encoder, name: String, bytes: Bytes, schema: SchemaRef) -> Result<(Encoder, u64)> {
    let work = move || {
        let mut rows = 0;
        for batch in reader(&name, bytes, &schema, None)? {
            let batch = fit(&name, &batch.map_err(|e| corrupt(&name, e))?, None, schema.clone())?;
            rows += batch.num_rows() as u64;
            encoder.write(&batch)?;
        }
        Ok((encoder, rows))
    };
    tokio::task::spawn_blocking(work).await.map_err(ended)?
}

/// The rows of the file `bytes`, whose columns are those of `table`: the columns at `columns` or all, as `schema` has them.
pub(super) fn read(name: String, bytes: Bytes, table: &SchemaRef, columns: Option<&[usize]>, schema: SchemaRef) -> Result<BatchStream> {
    let reader = reader(&name, bytes, table, columns)?;
    let wanted = columns.map(positions);
    let next = move |mut reader: ParquetRecordBatchReader| {
        let (name, wanted, schema) = (name.clone(), wanted.clone(), schema.clone());
        async move {
            let work = move || {
                let batch = reader.next()?;
                let fitted = batch.map_err(|e| corrupt(&name, e)).and_then(|b| fit(&name, &b, wanted.as_deref(), schema));
                Some((fitted, reader))
            };
            match tokio::task::spawn_blocking(work).await {
                Ok(step) => step.map(|(batch, reader)| (batch, Some(reader))),
                Err(e) => Some((Err(ended(e)), None)),
            }
        }
    };
    let steps = futures::stream::unfold(Some(reader), move |reader| {
        let step = reader.map(&next);
        async move { step?.await }
    });
    Ok(steps.boxed())
}

fn reader(name: &str, bytes: Bytes, table: &SchemaRef, columns: Option<&[usize]>) -> Result<ParquetRecordBatchReader> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|e| corrupt(name, e))?;
    if builder.schema().fields().len() != table.fields().len() {
        return Err(Error::corrupt(format!("{name} has other columns than its table")));
    }
    let mask = columns.map_or_else(ProjectionMask::all, |c| ProjectionMask::roots(builder.parquet_schema(), c.iter().copied()));
    builder.with_projection(mask).with_batch_size(BATCH_ROWS).build().map_err(|e| corrupt(name, e))
}

/// Where each of `columns` is among the columns that are read: those in the file's order, each once.
fn positions(columns: &[usize]) -> Vec<usize> {
    let mut read = columns.to_vec();
    read.sort_unstable();
    read.dedup();
    columns.iter().filter_map(|c| read.binary_search(c).ok()).collect()
}

fn fit(name: &str, batch: &RecordBatch, wanted: Option<&[usize]>, schema: SchemaRef) -> Result<RecordBatch> {
    let columns = match wanted {
        None => batch.columns().to_vec(),
        Some(wanted) => wanted.iter().map(|i| batch.column(*i).clone()).collect(),
    };
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema, columns, &rows).map_err(|e| corrupt(name, e))
}

fn corrupt(name: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::corrupt(format!("{name} is not the Parquet file that was written: restore it, nothing was changed")).caused_by(error)
}
