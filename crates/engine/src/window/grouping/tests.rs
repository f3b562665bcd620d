use arrow::array::{Float64Array, Int64Array, StringArray, TimestampMicrosecondArray};
use millstream_core::table::timestamp_type;
use millstream_pipeline::window_column;

use super::*;

fn grouped(columns: &[ArrayRef], more: Option<&UInt32Array>) -> Grouped {
    let fields: Vec<Field> = columns.iter().map(|c| Field::new("c", c.data_type().clone(), true)).collect();
    Grouper::new(&fields).unwrap().group(columns, more).unwrap()
}

fn by_bytes(columns: &[ArrayRef]) -> Grouped {
    let fields: Vec<Field> = columns.iter().map(|c| Field::new("c", c.data_type().clone(), true)).collect();
    let encoded = Grouper::new(&fields).unwrap().encode(columns).unwrap();
    number(encoded.iter().map(|row| row.data()))
}

#[test]
fn plain_columns_give_the_groups_of_their_bytes_in_the_order_in_which_they_occur() {
    let names: ArrayRef =
        Arc::new((0..500).map(|i| if i % 7 == 0 { None } else { Some(format!("n{}", i * i % 11)) }).collect::<StringArray>());
    let starts: Vec<i64> = (0..500).map(|i| i / 50 % 3 * 3_600).collect();
    let ends: Vec<i64> = starts.iter().map(|start| start + 3_600).collect();
    let windows = window_column(starts.clone(), ends, None);
    let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(starts).with_data_type(timestamp_type()));
    let numbers: ArrayRef = Arc::new((0..500).map(|i| if i % 5 == 0 { None } else { Some(i % 3) }).collect::<Int64Array>());
    for columns in [vec![names.clone(), windows.clone()], vec![windows], vec![numbers.clone()], vec![times, names, numbers]] {
        assert!(plain(&columns).is_some());
        let (ours, expected) = (grouped(&columns, None), by_bytes(&columns));
        assert_eq!((ours.of_row, ours.first_rows), (expected.of_row, expected.first_rows));
    }
}

#[test]
fn rows_of_one_group_with_other_numbers_are_apart() {
    let names: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "a", "a"]));
    let panes = grouped(&[names], Some(&UInt32Array::from(vec![1, 1, 2, 1])));
    assert_eq!((panes.of_row, panes.first_rows), (vec![0, 1, 2, 0], UInt32Array::from(vec![0, 1, 2])));
}

#[test]
fn floats_are_told_apart_by_their_bytes() {
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![0.0, 1.0, 0.0]));
    assert!(plain(std::slice::from_ref(&floats)).is_none());
    assert_eq!(grouped(&[floats], None).of_row, [0, 1, 0]);
}
