//! Spark's `window_time(window)`: the time of a window's result, the last microsecond in it.

use std::sync::Arc;

use arrow::array::{Array, AsArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, FieldRef, TimestampMicrosecondType};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use millstream_core::table::timestamp_type;

use super::window::fields;
use crate::graph::WINDOW_TIME_FUNCTION;

/// `window_time(STRUCT<start, end>) -> TIMESTAMP`; null for a null window.
#[must_use]
pub fn function() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(WindowTime { signature: Signature::user_defined(Volatility::Immutable) }))
}

/// Whether a type is that of a window.
#[must_use]
pub fn is_window(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Struct(parts) if parts.len() == 2 && parts.iter().zip(&fields()).all(|(a, b)| a.name() == b.name() && a.data_type() == b.data_type()))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct WindowTime {
    signature: Signature,
}

impl ScalarUDFImpl for WindowTime {
    fn name(&self) -> &str {
        WINDOW_TIME_FUNCTION
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [window] if is_window(window) => Ok(types.to_vec()),
            _ => plan_err!("window_time() needs a window"),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(timestamp_type())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let nullable = args.arg_fields.first().is_none_or(|f| f.is_nullable());
        Ok(Arc::new(Field::new(self.name(), timestamp_type(), nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [windows] = ColumnarValue::values_to_arrays(&args.args)?.try_into().or_else(|_| exec_err!("window_time() needs a window"))?;
        let Some(structs) = windows.as_struct_opt() else { return exec_err!("window_time() needs a window") };
        let Some(ends) = structs.column_by_name("end").and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>()) else {
            return exec_err!("a window has no end");
        };
        let times: TimestampMicrosecondArray =
            (0..ends.len()).map(|row| (structs.is_valid(row) && ends.is_valid(row)).then(|| ends.value(row).saturating_sub(1))).collect();
        Ok(ColumnarValue::Array(Arc::new(times.with_timezone("UTC"))))
    }
}
