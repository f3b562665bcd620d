#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use arrow::array::{Array, Decimal128Array, ListArray};
use arrow::datatypes::Int32Type;
use bytes::BytesMut;

use super::super::encode::Cells;
use super::*;

fn column(data_type: DataType, wire: Wire) -> Column {
    Column::new(&Arc::new(Field::new("c", data_type, true)), wire).unwrap()
}

/// `array` through the encoder and back.
fn there_and_back(array: &ArrayRef, wire: Wire) -> ArrayRef {
    let cells = Cells::new("c", array).unwrap();
    let mut column = column(array.data_type().clone(), wire);
    for row in 0..array.len() {
        let mut out = BytesMut::new();
        cells.put(row, &mut out).unwrap();
        column.push((out[0] != 0xFF).then(|| &out[4..])).unwrap();
    }
    column.finish().unwrap()
}

#[test]
fn decimals_come_back_to_the_last_digit() {
    let most = 10_i128.pow(38) - 1;
    for scale in [0, 1, 2, 3, 4, 5, 6, 18, 37, 38] {
        let values = vec![Some(0), Some(1), Some(-1), Some(most), Some(-most), None, Some(1_500_000), Some(10_000), Some(99_999_999_999)];
        let array: ArrayRef = Arc::new(Decimal128Array::from(values).with_precision_and_scale(38, scale).unwrap());
        assert_eq!(&there_and_back(&array, Wire::Numeric), &array, "scale {scale}");
    }
}

#[test]
fn a_numeric_that_does_not_fit_is_refused_not_rounded() {
    let one_and_a_half = [0, 2, 0, 0, 0, 0, 0, 1, 0, 1, 0x13, 0x88];
    assert_eq!(numeric(&one_and_a_half, 5, 1), Ok(15));
    assert!(numeric(&one_and_a_half, 5, 0).is_err());
    assert!(numeric(&one_and_a_half, 1, 1).is_err());
    assert_eq!(numeric(&[0, 0, 0, 0, 0xC0, 0, 0, 0], 5, 1), Err("NaN".to_owned()));
}

#[test]
fn infinite_dates_and_numbers_too_large_are_refused() {
    let refusal = |data_type, wire, raw: &[u8]| column(data_type, wire).push(Some(raw)).unwrap_err().to_string();
    assert!(refusal(DataType::Date32, Wire::Date, &i32::MAX.to_be_bytes()).contains("infinity"));
    assert!(refusal(DataType::Date32, Wire::Date, &i32::MIN.to_be_bytes()).contains("-infinity"));
    let timestamp = DataType::Timestamp(TimeUnit::Microsecond, None);
    assert!(refusal(timestamp, Wire::Timestamp, &i64::MIN.to_be_bytes()).contains("-infinity"));
    assert!(refusal(DataType::Int8, Wire::Int2, &300_i16.to_be_bytes()).contains("300"));
}

#[test]
fn nested_values_come_back_from_json() {
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None, Some(vec![])]);
    let array: ArrayRef = Arc::new(lists);
    assert_eq!(&there_and_back(&array, Wire::Jsonb), &array);
}
