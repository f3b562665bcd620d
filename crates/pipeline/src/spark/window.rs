//! The scalar function that stands for Spark's `window(time, size)`: the tumbling window into which a time falls.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StructArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, TimestampMicrosecondType};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use millstream_core::table::timestamp_type;

use crate::graph::WINDOW_FUNCTION;

/// `window(time TIMESTAMP, size_us BIGINT) -> STRUCT<start, end>`, aligned to 1970-01-01T00:00:00Z; null for a null time.
#[must_use]
pub fn function() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(TumblingWindow { signature: Signature::user_defined(Volatility::Immutable) }))
}

/// The fields of the result.
#[must_use]
pub fn fields() -> Fields {
    Fields::from(vec![Field::new("start", timestamp_type(), false), Field::new("end", timestamp_type(), false)])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct TumblingWindow {
    signature: Signature,
}

impl ScalarUDFImpl for TumblingWindow {
    fn name(&self) -> &str {
        WINDOW_FUNCTION
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [DataType::Timestamp(_, Some(_)) | DataType::Null, size] if size.is_integer() => Ok(vec![timestamp_type(), DataType::Int64]),
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
        let [time, ColumnarValue::Scalar(ScalarValue::Int64(Some(size)))] = args.args.as_slice() else {
            return exec_err!("window() needs a time and a constant size in microseconds");
        };
        if *size <= 0 {
            return exec_err!("the size of a window must be positive, not {size} microseconds");
        }
        match time {
            ColumnarValue::Array(times) => Ok(ColumnarValue::Array(windows(times, *size)?)),
            ColumnarValue::Scalar(time) => {
                let windows = windows(&time.to_array()?, *size)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&windows, 0)?))
            }
        }
    }
}

fn windows(times: &ArrayRef, size: i64) -> Result<ArrayRef> {
    let times = times.as_primitive::<TimestampMicrosecondType>();
    // Null times have windows of arbitrary values below the struct's null mask, for the fields are not nullable.
    let start: Vec<i64> = times.values().iter().map(|t| start_of(*t, size)).collect();
    let end: Vec<i64> = start.iter().map(|s| s.saturating_add(size)).collect();
    let array = |values: Vec<i64>| Arc::new(TimestampMicrosecondArray::from(values).with_timezone("UTC")) as ArrayRef;
    Ok(Arc::new(StructArray::new(fields(), vec![array(start), array(end)], times.nulls().cloned())))
}

fn start_of(time: i64, size: i64) -> i64 {
    time.saturating_sub(time.rem_euclid(size))
}
