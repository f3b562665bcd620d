//! Files into record batches, and the heads of files into columns.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::json::reader::infer_json_schema;
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::arrow::parquet_to_arrow_schema;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use super::columns::{find, fit, known_schema, missing};
use super::error::LakeError;
use super::files::LakeFormat;
use super::infer::Guess;

/// How many rows the columns of a CSV or JSON file are inferred from.
const HEAD_ROWS: usize = 100_000;

/// Rows a batch.
const BATCH_ROWS: usize = 8_192;

/// A file: one of this machine by its path, or what was fetched of another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Input<'a> {
    /// What messages call it; of a local file its path.
    pub name: &'a Path,
    /// Its contents; `None`: they are read from the path.
    pub fetched: Option<&'a Bytes>,
}

impl Input<'_> {
    fn open(&self) -> Result<Box<dyn BufRead + Send>, LakeError> {
        match self.fetched {
            Some(bytes) => Ok(Box::new(Cursor::new(bytes.clone()))),
            None => Ok(Box::new(BufReader::new(self.file()?))),
        }
    }

    fn file(&self) -> Result<File, LakeError> {
        File::open(self.name).map_err(|e| LakeError::Io(self.name.to_owned(), e))
    }

    fn text(&self, format: &'static str, source: arrow::error::ArrowError) -> LakeError {
        LakeError::Text { path: self.name.to_owned(), format, source }
    }

    fn parquet(&self, source: ParquetError) -> LakeError {
        LakeError::Parquet(self.name.to_owned(), source)
    }
}

/// The table's columns by the file's own account: of Parquet its schema, of CSV and JSON what the first rows say.
pub(super) fn infer(format: LakeFormat, file: Input<'_>) -> Result<SchemaRef, LakeError> {
    match format {
        LakeFormat::Parquet => {
            let mut reader = ParquetMetaDataReader::new();
            match file.fetched {
                Some(bytes) => reader.try_parse(bytes),
                None => reader.try_parse(&file.file()?),
            }
            .and_then(|()| reader.finish())
            .map_err(|e| file.parquet(e))
            .and_then(|metadata| parquet_columns(file.name, &metadata))
        }
        LakeFormat::Csv => infer_csv(file),
        LakeFormat::Json => {
            let inferred = infer_json_schema(file.open()?, Some(HEAD_ROWS)).map_err(|e| file.text("JSON lines", e))?.0;
            // Spark sorts the columns that it finds in JSON by name.
            let mut fields: Vec<_> = inferred.fields().iter().cloned().collect();
            fields.sort_by(|a, b| a.name().cmp(b.name()));
            known_schema(file.name, &Schema::new(fields))
        }
    }
}

/// The columns of the Parquet file that ends with `tail` and has `size` bytes; or how many bytes of its end have to be seen for that.
pub(super) fn infer_parquet_tail(name: &Path, tail: &Bytes, size: u64) -> Result<Result<SchemaRef, u64>, LakeError> {
    let mut reader = ParquetMetaDataReader::new();
    match reader.try_parse_sized(tail, size).and_then(|()| reader.finish()) {
        Ok(metadata) => Ok(Ok(parquet_columns(name, &metadata)?)),
        Err(ParquetError::NeedMoreData(needed)) if (tail.len() as u64) < size => Ok(Err(needed as u64)),
        Err(e) => Err(LakeError::Parquet(name.to_owned(), e)),
    }
}

fn parquet_columns(name: &Path, metadata: &ParquetMetaData) -> Result<SchemaRef, LakeError> {
    let file = metadata.file_metadata();
    let schema = parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata());
    known_schema(name, &schema.map_err(|e| LakeError::Parquet(name.to_owned(), e))?)
}

/// All rows of `file`, with the columns of `table`.
pub(super) fn rows(format: LakeFormat, file: Input<'_>, table: &SchemaRef) -> Result<Vec<RecordBatch>, LakeError> {
    let batches = match format {
        LakeFormat::Parquet => parquet(file)?.collect::<Result<Vec<_>, _>>().map_err(|e| file.text("Parquet", e))?,
        LakeFormat::Csv => {
            let header = header(file)?;
            for field in table.fields() {
                find(file.name, &header, field.name())?.ok_or_else(|| missing(file.name, &header, field.name()))?;
            }
            csv(file, header)?.collect::<Result<Vec<_>, _>>().map_err(|e| file.text("CSV", e))?
        }
        LakeFormat::Json => arrow::json::ReaderBuilder::new(table_as_nullable(table))
            .with_batch_size(BATCH_ROWS)
            .build(file.open()?)
            .map_err(|e| file.text("JSON lines", e))?
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| file.text("JSON lines", e))?,
    };
    batches.iter().map(|batch| fit(file.name, batch, table)).collect()
}

fn parquet(file: Input<'_>) -> Result<ParquetRecordBatchReader, LakeError> {
    match file.fetched {
        Some(bytes) => ParquetRecordBatchReaderBuilder::try_new(bytes.clone()).and_then(|b| b.with_batch_size(BATCH_ROWS).build()),
        None => ParquetRecordBatchReaderBuilder::try_new(file.file()?).and_then(|b| b.with_batch_size(BATCH_ROWS).build()),
    }
    .map_err(|e| file.parquet(e))
}

/// Nulls are checked column by column afterwards, with a message that names the column; the JSON reader's names only the type.
fn table_as_nullable(table: &SchemaRef) -> SchemaRef {
    Arc::new(Schema::new(table.fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect::<Vec<_>>()))
}

/// A CSV file's columns, all STRING, with the names of its header line.
fn header(file: Input<'_>) -> Result<SchemaRef, LakeError> {
    let format = arrow::csv::reader::Format::default().with_header(true);
    let (schema, _) = format.infer_schema(file.open()?, Some(0)).map_err(|e| file.text("CSV", e))?;
    if schema.fields().is_empty() {
        return Err(LakeError::NoHeader(file.name.to_owned()));
    }
    // Spreadsheets write a byte order mark before the first name.
    let name = |f: &Field| f.name().trim_start_matches('\u{feff}').to_owned();
    Ok(Arc::new(Schema::new(schema.fields().iter().map(|f| Field::new(name(f), DataType::Utf8, true)).collect::<Vec<_>>())))
}

fn csv(file: Input<'_>, header: SchemaRef) -> Result<arrow::csv::reader::BufReader<Box<dyn BufRead + Send>>, LakeError> {
    arrow::csv::ReaderBuilder::new(header)
        .with_header(true)
        .with_batch_size(BATCH_ROWS)
        .build_buffered(file.open()?)
        .map_err(|e| file.text("CSV", e))
}

fn infer_csv(file: Input<'_>) -> Result<SchemaRef, LakeError> {
    let header = header(file)?;
    let mut guesses = vec![Guess::Nothing; header.fields().len()];
    let mut rows = 0;
    for batch in csv(file, header.clone())? {
        let batch = batch.map_err(|e| file.text("CSV", e))?;
        for (guess, column) in guesses.iter_mut().zip(batch.columns()) {
            *guess = column.as_string::<i32>().iter().flatten().fold(*guess, Guess::and);
        }
        rows += batch.num_rows();
        if rows >= HEAD_ROWS {
            break;
        }
    }
    let fields = header.fields().iter().zip(guesses).map(|(f, guess)| Field::new(f.name(), guess.data_type(), true));
    Ok(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
}
