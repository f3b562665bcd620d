//! `date_format`: a time as text by a pattern of letters.
//!
//! What a pattern can hold says `millstream_core::pattern`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::{DataType, Field, FieldRef, TimestampMicrosecondType};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err, plan_datafusion_err, plan_err};
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
            [DataType::Timestamp(_, _) | DataType::Null, DataType::Utf8 | DataType::Null] => Ok(vec![timestamp_type(), DataType::Utf8]),
            [DataType::Date32, DataType::Utf8 | DataType::Null] => Ok(vec![DataType::Date32, DataType::Utf8]),
            [DataType::Utf8, DataType::Utf8 | DataType::Null] => Ok(vec![DataType::Utf8, DataType::Utf8]),
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
        let nullable = args.arg_fields.iter().any(|f| f.is_nullable());
        Ok(Arc::new(Field::new(self.name(), DataType::Utf8, nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [times, patterns] = args.args.as_slice() else { return exec_err!("date_format() takes a time and a pattern") };
        let mut patterns = Patterns::of(patterns, self::pattern)?;
        match times {
            ColumnarValue::Scalar(time) if patterns.is_constant() => {
                let texts = format_all(&time.to_array()?, &mut patterns)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&texts, 0)?))
            }
            times => Ok(ColumnarValue::Array(format_all(&times.to_array(args.number_rows)?, &mut patterns)?)),
        }
    }
}

fn format_all(times: &ArrayRef, patterns: &mut Patterns) -> Result<ArrayRef> {
    let times = datetime::to_timestamp(times)?;
    let mut text = Vec::new();
    let written = |(row, micros): (usize, Option<i64>)| {
        let (Some(micros), Some(pattern)) = (micros, patterns.at(row)?) else { return Ok(None) };
        text.clear();
        pattern.write(&mut text, micros, true, true);
        Ok(Some(String::from_utf8_lossy(&text).into_owned()))
    };
    let texts: Result<StringArray> = times.as_primitive::<TimestampMicrosecondType>().iter().enumerate().map(written).collect();
    Ok(Arc::new(texts?))
}

/// The patterns of a call: one for all rows, or a column of them. Of a column, neighbours are mostly equal, and understood once.
pub(super) struct Patterns {
    column: Option<StringArray>,
    last: Option<TimePattern>,
    understand: fn(&str) -> Result<TimePattern>,
}

impl Patterns {
    /// What a call's argument says.
    pub(super) fn of(argument: &ColumnarValue, understand: fn(&str) -> Result<TimePattern>) -> Result<Self> {
        let (column, last) = match argument {
            ColumnarValue::Array(column) => (Some(column.as_string::<i32>().clone()), None),
            ColumnarValue::Scalar(ScalarValue::Utf8(text)) => (None, text.as_deref().map(understand).transpose()?),
            ColumnarValue::Scalar(other) => return exec_err!("a pattern can't be {other}"),
        };
        Ok(Self { column, last, understand })
    }

    pub(super) fn is_constant(&self) -> bool {
        self.column.is_none()
    }

    /// The pattern of a row; one that can't be used is an error of that row.
    pub(super) fn at(&mut self, row: usize) -> Result<Option<&TimePattern>> {
        let Some(column) = &self.column else { return Ok(self.last.as_ref()) };
        if column.is_null(row) {
            return Ok(None);
        }
        let text = column.value(row);
        if self.last.as_ref().is_none_or(|last| last.text() != text) {
            self.last = Some((self.understand)(text).map_err(|why| exec_datafusion_err!("{}", why.message()))?);
        }
        Ok(self.last.as_ref())
    }
}

/// The pattern that a text is.
pub(super) fn pattern(text: &str) -> Result<TimePattern> {
    TimePattern::try_new(text).map_err(|why| plan_datafusion_err!("the pattern '{text}' can't be used: {why}"))
}
