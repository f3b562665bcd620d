//! Floating-point values as Spark compares them: there is one zero and one NaN. Whoever compares values by their bytes normalises them first.
//!
//! Source: Spark 4.1, "NaN Semantics", and its rule `NormalizeFloatingNumbers` for keys of joins and of groups.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array, Float64Array, ListArray, StructArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type};

/// `values` with 0.0 for -0.0, and the same NaN for every NaN, within lists and structs too. Values without any are returned as they are.
#[must_use]
pub fn normalized(values: &ArrayRef) -> ArrayRef {
    match values.data_type() {
        DataType::Float64 => {
            let numbers: Float64Array = values.as_primitive::<Float64Type>().unary(|n| if n.is_nan() { f64::NAN } else { n + 0.0 });
            Arc::new(numbers)
        }
        DataType::Float32 => {
            let numbers: Float32Array = values.as_primitive::<Float32Type>().unary(|n| if n.is_nan() { f32::NAN } else { n + 0.0 });
            Arc::new(numbers)
        }
        DataType::List(field) if has_floats(field.data_type()) => {
            let list = values.as_list::<i32>();
            Arc::new(ListArray::new(Arc::clone(field), list.offsets().clone(), normalized(list.values()), list.nulls().cloned()))
        }
        DataType::Struct(fields) if has_floats(values.data_type()) => {
            let columns = values.as_struct().columns().iter().map(normalized).collect();
            Arc::new(StructArray::new(fields.clone(), columns, values.nulls().cloned()))
        }
        _ => Arc::clone(values),
    }
}

fn has_floats(data_type: &DataType) -> bool {
    match data_type {
        DataType::Float64 | DataType::Float32 => true,
        DataType::List(field) => has_floats(field.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_floats(field.data_type())),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
