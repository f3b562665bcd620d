use arrow::array::{Int64Array, TimestampMicrosecondArray};
use arrow::compute::cast;

use super::*;

/// The row that wins, by the values' own order and by that of any type.
fn winners(extreme: Extreme, keys: &ArrayRef) -> (Option<usize>, Option<usize>) {
    let best = Best { extreme, value: DataType::Int64, key: keys.data_type().clone(), row: None };
    let among = make_comparator(keys, keys, SortOptions::default()).unwrap();
    let typed = match keys.data_type() {
        DataType::Int32 => best.best_of::<Int32Type>(keys),
        DataType::Int64 => best.best_of::<Int64Type>(keys),
        _ => best.best_of::<TimestampMicrosecondType>(keys),
    };
    (typed, best.best_by(keys, among))
}

#[test]
fn numbers_and_times_are_compared_as_any_other_key_is() {
    let values = [None, Some(3), Some(-7), Some(9), None, Some(9), Some(-7), Some(0)];
    let numbers: ArrayRef = Arc::new(Int64Array::from(values.to_vec()));
    let narrow = cast(&numbers, &DataType::Int32).unwrap();
    let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(values.to_vec()));
    for keys in [&numbers, &narrow, &times] {
        assert_eq!(winners(Extreme::Greatest, keys), (Some(5), Some(5)), "of equal keys the last");
        assert_eq!(winners(Extreme::Least, keys), (Some(6), Some(6)));
        assert_eq!(winners(Extreme::Least, &keys.slice(0, 1)), (None, None), "all are null");
        assert_eq!(winners(Extreme::Greatest, &keys.slice(0, 0)), (None, None));
    }
}
