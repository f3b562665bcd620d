//! ARRAY, MAP and STRUCT as JSON text. CQL's own collections can't hold nulls within them, and order maps and sets anew: JSON loses nothing,
//! for what it has no word for (NaN, an instant, bytes) is a string in it, as Spark's `to_json` writes it.

use arrow::array::{Array, ArrayRef, StringArray};
use millstream_core::decode::{JsonValues, ParseMode};
use millstream_core::style::TimeFormats;
use millstream_core::{Result, encode};

use super::column::Column;

/// Each value as JSON text; null stays null.
pub(super) fn to_json(array: &dyn Array, column: &str) -> Result<StringArray> {
    encode::to_json(array, &TimeFormats::default()).map_err(|e| e.context(format!("column {column}")))
}

/// Values of the column's type from their JSON text. [`InvalidInput`](millstream_core::ErrorKind::InvalidInput) shows a text that isn't one.
pub(super) fn from_json(texts: &StringArray, column: &Column) -> Result<ArrayRef> {
    let values = JsonValues::try_new(&column.data_type, &TimeFormats::default(), ParseMode::DeadLetter, "");
    values.and_then(|values| values.read(texts.iter())).map_err(|e| e.context(format!("column {}", column.name)))
}
