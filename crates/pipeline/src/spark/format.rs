//! `date_format`: a time as text by a pattern of letters.
//!
//! What a pattern can hold says `millstream_core::pattern`.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringArray};
use arrow::datatypes::{DataType, Field, FieldRef, TimestampMicrosecondType};
use datafusion::common::{Result, ScalarValue, exec_err, plan_datafusion_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use millstream_core::pattern::TimePattern;
use millstream_core::table::timestamp_type;

use super::datetime;

/// `date_format(time, pattern) -> STRING`.
#[must_use]
pub fn function() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(DateFormat { signature: Signature::user_defined(Volatility::Immutable) }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct DateFormat {
    signature: Signature,
}

impl ScalarUDFImpl for DateFormat {
    fn name(&self) -> &str {
        "date_format"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [DataType::Timestamp(_, _) | DataType::Null, DataType::Utf8] => Ok(vec![timestamp_type(), DataType::Utf8]),
            [DataType::Date32, DataType::Utf8] => Ok(vec![DataType::Date32, DataType::Utf8]),
            [DataType::Utf8, DataType::Utf8] => Ok(vec![DataType::Utf8, DataType::Utf8]),
            _ => plan_err!("date_format() takes a TIMESTAMP and a pattern"),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        // A pattern that can't be used is an error of the query, not of its rows.
        if let Some(Some(ScalarValue::Utf8(Some(pattern)))) = args.scalar_arguments.get(1) {
            self::pattern(pattern)?;
        }
        let nullable = args.arg_fields.first().is_none_or(|f| f.is_nullable());
        Ok(Arc::new(Field::new(self.name(), DataType::Utf8, nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [times, ColumnarValue::Scalar(ScalarValue::Utf8(Some(pattern)))] = args.args.as_slice() else {
            return exec_err!("date_format() needs a constant pattern");
        };
        let pattern = self::pattern(pattern)?;
        match times {
            ColumnarValue::Array(times) => Ok(ColumnarValue::Array(format_all(times, &pattern)?)),
            ColumnarValue::Scalar(time) => {
                let texts = format_all(&time.to_array()?, &pattern)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&texts, 0)?))
            }
        }
    }
}

fn format_all(times: &ArrayRef, pattern: &TimePattern) -> Result<ArrayRef> {
    let times = datetime::to_timestamp(times)?;
    let mut text = Vec::new();
    let texts: StringArray = times
        .as_primitive::<TimestampMicrosecondType>()
        .iter()
        .map(|micros| {
            text.clear();
            micros.map(|micros| {
                pattern.write(&mut text, micros, true, true);
                String::from_utf8_lossy(&text).into_owned()
            })
        })
        .collect();
    Ok(Arc::new(texts))
}

/// The pattern that a text is.
pub(super) fn pattern(text: &str) -> Result<TimePattern> {
    TimePattern::try_new(text).map_err(|why| plan_datafusion_err!("the pattern '{text}' can't be used: {why}"))
}
