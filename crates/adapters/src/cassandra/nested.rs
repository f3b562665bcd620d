//! ARRAY, MAP and STRUCT as JSON text. CQL's own collections can't hold nulls within them, and order maps and sets anew: JSON loses nothing.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema};
use arrow::json::writer::LineDelimited;
use arrow::json::{ReaderBuilder, WriterBuilder};
use millstream_core::{Error, Result};

use super::column::Column;

/// The name of the one field that a value is wrapped in on its way through Arrow's JSON.
const FIELD: &str = "v";

/// Each value as JSON text; null stays null.
pub(super) fn to_json(array: &ArrayRef, column: &str) -> Result<StringArray> {
    let failed = |e: arrow::error::ArrowError| Error::invalid(format!("column {column} can't be written as JSON")).caused_by(e);
    let schema = Arc::new(Schema::new(vec![Field::new(FIELD, array.data_type().clone(), true)]));
    let mut lines = Vec::new();
    // Without explicit nulls an entry of a map whose value is null would not be written.
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(&mut lines);
    writer.write(&RecordBatch::try_new(schema, vec![array.clone()])?).map_err(failed)?;
    writer.finish().map_err(failed)?;
    drop(writer);
    let text = std::str::from_utf8(&lines).map_err(|e| Error::internal("JSON isn't UTF-8").caused_by(e))?;
    // A line is {"v":...}, and no value but null is written as null.
    let value = |line: &str| {
        let text = line.strip_prefix("{\"v\":").and_then(|rest| rest.strip_suffix('}'));
        text.filter(|t| *t != "null").map(str::to_owned)
    };
    let values: StringArray = text.lines().map(value).collect();
    if values.len() != array.len() {
        return Err(Error::internal(format!("column {column}: {} values became {} lines of JSON", array.len(), values.len())));
    }
    Ok(values)
}

/// Values of the column's type from their JSON text.
pub(super) fn from_json(texts: &StringArray, column: &Column) -> Result<ArrayRef> {
    let failed = |e: arrow::error::ArrowError| {
        Error::invalid(format!("column {} holds text that is no JSON of a {}", column.name, column.data_type)).caused_by(e)
    };
    let schema = Arc::new(Schema::new(vec![Field::new(FIELD, column.data_type.clone(), true)]));
    let mut decoder = ReaderBuilder::new(schema.clone()).with_batch_size(texts.len().max(1)).build_decoder().map_err(failed)?;
    for text in texts {
        let line = text.map_or_else(|| "{}\n".to_owned(), |t| format!("{{\"{FIELD}\":{t}}}\n"));
        decoder.decode(line.as_bytes()).map_err(failed)?;
    }
    match decoder.flush().map_err(failed)? {
        Some(batch) => Ok(batch.column(0).clone()),
        None => Ok(arrow::array::new_empty_array(&column.data_type)),
    }
}
