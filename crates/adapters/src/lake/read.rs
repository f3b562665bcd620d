//! Files into record batches, and the heads of files into columns.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::json::reader::infer_json_schema;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::columns::{find, fit, known_schema, missing};
use super::error::LakeError;
use super::files::LakeFormat;
use super::infer::Guess;

/// How many rows the columns of a CSV or JSON file are inferred from.
const HEAD_ROWS: usize = 100_000;

/// Rows a batch.
const BATCH_ROWS: usize = 8_192;

/// The table's columns by the file's own account: of Parquet its schema, of CSV and JSON what the first rows say.
pub(super) fn infer(format: LakeFormat, file: &Path) -> Result<SchemaRef, LakeError> {
    match format {
        LakeFormat::Parquet => known_schema(file, parquet(file)?.schema()),
        LakeFormat::Csv => infer_csv(file),
        LakeFormat::Json => {
            let inferred = infer_json_schema(open(file)?, Some(HEAD_ROWS)).map_err(|e| text(file, "JSON lines", e))?.0;
            // Spark sorts the columns that it finds in JSON by name.
            let mut fields: Vec<_> = inferred.fields().iter().cloned().collect();
            fields.sort_by(|a, b| a.name().cmp(b.name()));
            known_schema(file, &Schema::new(fields))
        }
    }
}

/// All rows of `file`, with the columns of `table`.
pub(super) fn rows(format: LakeFormat, file: &Path, table: &SchemaRef) -> Result<Vec<RecordBatch>, LakeError> {
    let batches = match format {
        LakeFormat::Parquet => {
            let reader = parquet(file)?.with_batch_size(BATCH_ROWS).build().map_err(|e| LakeError::Parquet(file.to_owned(), e))?;
            reader.collect::<Result<Vec<_>, _>>().map_err(|e| text(file, "Parquet", e))?
        }
        LakeFormat::Csv => {
            let header = header(file)?;
            for field in table.fields() {
                find(file, &header, field.name())?.ok_or_else(|| missing(file, &header, field.name()))?;
            }
            csv(file, header)?.collect::<Result<Vec<_>, _>>().map_err(|e| text(file, "CSV", e))?
        }
        LakeFormat::Json => arrow::json::ReaderBuilder::new(table_as_nullable(table))
            .with_batch_size(BATCH_ROWS)
            .build(open(file)?)
            .map_err(|e| text(file, "JSON lines", e))?
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| text(file, "JSON lines", e))?,
    };
    batches.iter().map(|batch| fit(file, batch, table)).collect()
}

fn text(file: &Path, format: &'static str, source: arrow::error::ArrowError) -> LakeError {
    LakeError::Text { path: file.to_owned(), format, source }
}

fn open(file: &Path) -> Result<BufReader<File>, LakeError> {
    File::open(file).map(BufReader::new).map_err(|e| LakeError::Io(PathBuf::from(file), e))
}

fn parquet(file: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>, LakeError> {
    let opened = File::open(file).map_err(|e| LakeError::Io(file.to_owned(), e))?;
    ParquetRecordBatchReaderBuilder::try_new(opened).map_err(|e| LakeError::Parquet(file.to_owned(), e))
}

/// Nulls are checked column by column afterwards, with a message that names the column; the JSON reader's names only the type.
fn table_as_nullable(table: &SchemaRef) -> SchemaRef {
    Arc::new(Schema::new(table.fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect::<Vec<_>>()))
}

/// A CSV file's columns, all STRING, with the names of its header line.
fn header(file: &Path) -> Result<SchemaRef, LakeError> {
    let format = arrow::csv::reader::Format::default().with_header(true);
    let (schema, _) = format.infer_schema(open(file)?, Some(0)).map_err(|e| text(file, "CSV", e))?;
    if schema.fields().is_empty() {
        return Err(LakeError::NoHeader(file.to_owned()));
    }
    // Spreadsheets write a byte order mark before the first name.
    let name = |f: &Field| f.name().trim_start_matches('\u{feff}').to_owned();
    Ok(Arc::new(Schema::new(schema.fields().iter().map(|f| Field::new(name(f), DataType::Utf8, true)).collect::<Vec<_>>())))
}

fn csv(file: &Path, header: SchemaRef) -> Result<arrow::csv::reader::BufReader<BufReader<File>>, LakeError> {
    arrow::csv::ReaderBuilder::new(header)
        .with_header(true)
        .with_batch_size(BATCH_ROWS)
        .build_buffered(open(file)?)
        .map_err(|e| text(file, "CSV", e))
}

fn infer_csv(file: &Path) -> Result<SchemaRef, LakeError> {
    let header = header(file)?;
    let mut guesses = vec![Guess::Nothing; header.fields().len()];
    let mut rows = 0;
    for batch in csv(file, header.clone())? {
        let batch = batch.map_err(|e| text(file, "CSV", e))?;
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
