//! What batch queries need of windows beside the functions of the language: all windows that hold a time, and a window of its two ends.
//! `plan::windows` writes the calls.

use std::sync::Arc;

use arrow::array::{Array, AsArray, ListArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, TimestampMicrosecondType};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::window::{fields, of_starts_and_ends, start_of};

/// `spark_windows(time, size_us, slide_us, start_us) -> ARRAY<STRUCT<start, end>>`: the windows that hold a time; null for a null time.
#[must_use]
pub fn windows() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Spans { kind: Kind::AllWindows, signature: Signature::any(4, Volatility::Immutable) }))
}

/// `spark_window(start, end) -> STRUCT<start, end>`.
#[must_use]
pub fn window() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Spans { kind: Kind::OfEnds, signature: Signature::any(2, Volatility::Immutable) }))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    AllWindows,
    OfEnds,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Spans {
    kind: Kind,
    signature: Signature,
}

impl ScalarUDFImpl for Spans {
    fn name(&self) -> &str {
        match self.kind {
            Kind::AllWindows => "spark_windows",
            Kind::OfEnds => "spark_window",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(match self.kind {
            Kind::AllWindows => DataType::List(item()),
            Kind::OfEnds => DataType::Struct(fields()),
        })
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let nullable = args.arg_fields.first().is_none_or(|f| f.is_nullable());
        Ok(Arc::new(Field::new(self.name(), self.return_type(&[])?, nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let time = |at: usize| match arrays.get(at).and_then(|a| a.as_primitive_opt::<TimestampMicrosecondType>()) {
            Some(times) => Ok(times),
            None => exec_err!("a window is of times"),
        };
        if self.kind == Kind::OfEnds {
            let (starts, ends) = (time(0)?, time(1)?);
            return Ok(ColumnarValue::Array(of_starts_and_ends(starts.values().to_vec(), ends.values().to_vec(), starts.nulls().cloned())));
        }
        let length = |at: usize| match args.args.get(at) {
            Some(ColumnarValue::Scalar(ScalarValue::Int64(Some(length)))) => Ok(*length),
            _ => exec_err!("windows have constant lengths in microseconds"),
        };
        let times = time(0)?;
        let (size, slide, start) = (length(1)?, length(2)?, length(3)?);
        let (mut starts, mut lengths) = (Vec::new(), Vec::with_capacity(times.len()));
        for time in times {
            let before = starts.len();
            // The last window begins at or before the time, those before it a slide earlier each, as long as they reach it.
            let last = time.map(|time| (time, start_of(time, slide, start)));
            starts.extend(last.into_iter().flat_map(|(time, last)| {
                std::iter::successors(Some(last), move |window| window.checked_sub(slide))
                    .take_while(move |window| window.saturating_add(size) > time)
            }));
            lengths.push(starts.len() - before);
        }
        let ends = starts.iter().map(|start| start.saturating_add(size)).collect();
        let offsets = OffsetBuffer::from_lengths(lengths);
        Ok(ColumnarValue::Array(Arc::new(ListArray::new(item(), offsets, of_starts_and_ends(starts, ends, None), times.nulls().cloned()))))
    }
}

fn item() -> FieldRef {
    Arc::new(Field::new_list_field(DataType::Struct(fields()), true))
}
