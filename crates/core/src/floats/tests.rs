#![allow(clippy::unwrap_used, reason = "tests")]

use arrow::array::Int64Array;
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{Field, Fields};

use super::*;

fn bits(values: &ArrayRef) -> Vec<Option<u64>> {
    values.as_primitive::<Float64Type>().iter().map(|n| n.map(f64::to_bits)).collect()
}

#[test]
fn there_is_one_zero_and_one_nan() {
    let other_nan = f64::from_bits(0xfff8_0000_0000_0001);
    let numbers = vec![Some(-0.0), Some(0.0), Some(f64::NAN), Some(other_nan), Some(-1.5), Some(f64::NEG_INFINITY), None];
    let expected: Vec<_> = [Some(0.0), Some(0.0), Some(f64::NAN), Some(f64::NAN), Some(-1.5), Some(f64::NEG_INFINITY), None]
        .map(|n| n.map(f64::to_bits))
        .into();
    let flat: ArrayRef = Arc::new(Float64Array::from(numbers));
    assert_eq!(bits(&normalized(&flat)), expected);
    let single: ArrayRef = Arc::new(Float32Array::from(vec![-0.0, -f32::NAN]));
    let single = normalized(&single);
    let single: Vec<u32> = single.as_primitive::<Float32Type>().values().iter().map(|n| n.to_bits()).collect();
    assert_eq!(single, [0.0_f32.to_bits(), f32::NAN.to_bits()]);

    let fields = Fields::from(vec![Field::new("x", DataType::Float64, true)]);
    let pairs: ArrayRef = Arc::new(StructArray::new(fields, vec![flat], None));
    let item = Arc::new(Field::new_list_field(pairs.data_type().clone(), true));
    let lists: ArrayRef = Arc::new(ListArray::new(item, OffsetBuffer::from_lengths([3, 4]), pairs, None));
    let found = normalized(&lists);
    assert_eq!(found.data_type(), lists.data_type());
    assert_eq!(bits(found.as_list::<i32>().values().as_struct().column(0)), expected);
}

#[test]
fn what_has_no_floats_stays_as_it_is() {
    let whole: ArrayRef = Arc::new(Int64Array::from(vec![Some(0), None]));
    assert!(Arc::ptr_eq(&normalized(&whole), &whole));
}
