//! The scalar function that stands for Spark's `session_window(time, gap)`: the span of one row, from its time to the end of its gap.
//! That rows whose spans meet are one session is the business of who groups by it.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type, TimestampMicrosecondType};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use millstream_core::table::timestamp_type;

use super::window::{fields, of_starts_and_ends};
use crate::graph::SESSION_FUNCTION;
use crate::syntax::duration;

/// `session_window(time TIMESTAMP, gap) -> STRUCT<start, end>`. The gap is a BIGINT of microseconds, or a text such as `10 minutes`;
/// without a time, or with a gap that can't be read or is not longer than nothing, the span is null.
#[must_use]
pub fn function() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(RowSpan { in_batch: false, signature: Signature::user_defined(Volatility::Immutable) }))
}

/// The same for a batch query, which asks for the rows that have no span: a stream puts these aside, so that none of its sessions is null.
#[must_use]
pub fn in_batch() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(RowSpan { in_batch: true, signature: Signature::user_defined(Volatility::Immutable) }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct RowSpan {
    in_batch: bool,
    signature: Signature,
}

impl ScalarUDFImpl for RowSpan {
    fn name(&self) -> &str {
        if self.in_batch { "spark_session_window" } else { SESSION_FUNCTION }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [DataType::Timestamp(_, Some(_)) | DataType::Null, DataType::Int64] => Ok(vec![timestamp_type(), DataType::Int64]),
            [
                DataType::Timestamp(_, Some(_)) | DataType::Null,
                DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 | DataType::Null,
            ] => Ok(vec![timestamp_type(), DataType::Utf8]),
            _ => plan_err!("session_window() needs a TIMESTAMP column and a gap"),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Struct(fields()))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        // A row without a gap is in no session, so that no session is null for that.
        let nullable = self.in_batch || args.arg_fields.first().is_none_or(|f| f.is_nullable());
        Ok(Arc::new(Field::new(self.name(), DataType::Struct(fields()), nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [times, gaps] = args.args.as_slice() else { return exec_err!("session_window() needs a time and a gap") };
        let times = times.to_array(args.number_rows)?;
        let spans = match gaps {
            ColumnarValue::Scalar(ScalarValue::Int64(Some(gap))) if *gap > 0 => spans_of_gap(&times, *gap),
            gaps => spans(&times, &gaps.to_array(args.number_rows)?)?,
        };
        Ok(ColumnarValue::Array(spans))
    }
}

/// Where all rows have one gap.
fn spans_of_gap(times: &ArrayRef, gap: i64) -> ArrayRef {
    let times = times.as_primitive::<TimestampMicrosecondType>();
    let ends = times.values().iter().map(|time| time.saturating_add(gap)).collect();
    of_starts_and_ends(times.values().to_vec(), ends, times.nulls().cloned())
}

fn spans(times: &ArrayRef, gaps: &ArrayRef) -> Result<ArrayRef> {
    let times = times.as_primitive::<TimestampMicrosecondType>();
    let gaps = match gaps.data_type() {
        DataType::Int64 => gaps.as_primitive::<Int64Type>().clone(),
        DataType::Utf8 => lengths(gaps),
        other => return exec_err!("the gap of a session can't be {other}"),
    };
    let valid: Vec<bool> = (0..times.len()).map(|row| times.is_valid(row) && gaps.is_valid(row) && gaps.value(row) > 0).collect();
    let ends = times.values().iter().zip(gaps.values()).map(|(time, gap)| time.saturating_add(*gap)).collect();
    Ok(of_starts_and_ends(times.values().to_vec(), ends, Some(NullBuffer::from(valid))))
}

/// Texts as microseconds. Neighbours are mostly equal, and read once.
fn lengths(texts: &ArrayRef) -> Int64Array {
    let mut last: Option<(&str, Option<i64>)> = None;
    let read = |text: Option<&'_ str>| text.and_then(|text| duration::signed_us(text).ok());
    texts
        .as_string::<i32>()
        .iter()
        .map(|text| match (text, last) {
            (Some(text), Some((known, us))) if text == known => us,
            (text, _) => {
                let us = read(text);
                last = text.map(|text| (text, us));
                us
            }
        })
        .collect()
}
