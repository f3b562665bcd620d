//! The scalar function that stands for Spark's `window(time, size, slide, start)`: the last window into which a time falls, which is the
//! only one where windows don't overlap.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StructArray, TimestampMicrosecondArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, TimestampMicrosecondType};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use millstream_core::table::timestamp_type;

use super::window_time::is_window;
use crate::graph::WINDOW_FUNCTION;

/// `window(time TIMESTAMP, size_us BIGINT[, slide_us BIGINT, start_us BIGINT]) -> STRUCT<start, end>`, null for a null time. Windows
/// begin `start_us` after 1970-01-01T00:00:00Z and a slide apart; without these they follow one another from there.
#[must_use]
pub fn function() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(LastWindow { signature: Signature::user_defined(Volatility::Immutable) }))
}

/// The fields of the result.
#[must_use]
pub fn fields() -> Fields {
    Fields::from(vec![Field::new("start", timestamp_type(), false), Field::new("end", timestamp_type(), false)])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct LastWindow {
    signature: Signature,
}

impl ScalarUDFImpl for LastWindow {
    fn name(&self) -> &str {
        WINDOW_FUNCTION
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [DataType::Timestamp(_, Some(_)) | DataType::Null, lengths @ ..]
                if matches!(lengths.len(), 1 | 3) && lengths.iter().all(DataType::is_integer) =>
            {
                Ok(std::iter::once(timestamp_type()).chain(lengths.iter().map(|_| DataType::Int64)).collect())
            }
            // Of a window its `window_time` is meant; the planner writes that.
            [window, lengths @ ..] if is_window(window) && matches!(lengths.len(), 1 | 3) => {
                Ok(std::iter::once(window.clone()).chain(lengths.iter().map(|_| DataType::Int64)).collect())
            }
            _ => plan_err!("window() needs a TIMESTAMP column and a size"),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Struct(fields()))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let nullable = args.arg_fields.first().is_none_or(|f| f.is_nullable());
        Ok(Arc::new(Field::new(self.name(), DataType::Struct(fields()), nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = |at: usize| match args.args.get(at) {
            Some(ColumnarValue::Scalar(ScalarValue::Int64(Some(length)))) => Ok(*length),
            _ => exec_err!("window() needs a time and constant lengths in microseconds"),
        };
        let Some(time) = args.args.first() else { return exec_err!("window() needs a time") };
        let size = constant(1)?;
        let (slide, start) = if args.args.len() > 2 { (constant(2)?, constant(3)?) } else { (size, 0) };
        if slide <= 0 || slide > size {
            return exec_err!("windows of {size} microseconds can't begin every {slide} microseconds");
        }
        match time {
            ColumnarValue::Array(times) => Ok(ColumnarValue::Array(windows(times, size, slide, start))),
            ColumnarValue::Scalar(time) => {
                let windows = windows(&time.to_array()?, size, slide, start);
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&windows, 0)?))
            }
        }
    }
}

fn windows(times: &ArrayRef, size: i64, slide: i64, start: i64) -> ArrayRef {
    let times = times.as_primitive::<TimestampMicrosecondType>();
    // Null times have windows of arbitrary values below the struct's null mask, for the fields are not nullable.
    let mut last = None;
    let starts: Vec<i64> = times.values().iter().map(|t| start_behind(&mut last, *t, slide, start)).collect();
    let ends: Vec<i64> = starts.iter().map(|s| s.saturating_add(size)).collect();
    of_starts_and_ends(starts, ends, times.nulls().cloned())
}

/// Windows as a column of structs.
#[must_use]
pub fn of_starts_and_ends(starts: Vec<i64>, ends: Vec<i64>, nulls: Option<NullBuffer>) -> ArrayRef {
    let array = |values: Vec<i64>| Arc::new(TimestampMicrosecondArray::from(values).with_timezone("UTC")) as ArrayRef;
    Arc::new(StructArray::new(fields(), vec![array(starts), array(ends)], nulls))
}

/// Beyond so many microseconds, sums may not be what they are.
const FAR: u64 = 1 << 60;

/// The same as [`start_of`], where `last` is what this gave before: neighbours are mostly in one window, and a division costs more than to see that.
fn start_behind(last: &mut Option<i64>, time: i64, slide: i64, start: i64) -> i64 {
    if let Some(last) = *last
        && time.checked_sub(last).is_some_and(|behind| (0..slide).contains(&behind))
    {
        return last;
    }
    let found = start_of(time, slide, start);
    // At the ends of time windows are cut off.
    let is_far = |micros: i64| micros.unsigned_abs() > FAR;
    *last = Some(found).filter(|_| !is_far(time) && !is_far(slide) && !is_far(start));
    found
}

/// The start of the last window that holds `time`.
pub(super) fn start_of(time: i64, slide: i64, start: i64) -> i64 {
    time.saturating_sub(time.saturating_sub(start).rem_euclid(slide))
}

#[cfg(test)]
mod tests;
