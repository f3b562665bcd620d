#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use arrow::array::{ArrayRef, Float64Builder, ListBuilder};

use super::*;

fn refusal(array: ArrayRef) -> String {
    Cells::new("c", &array).err().expect("it is refused").to_string()
}

#[test]
fn numerics_are_written_as_postgresql_sends_them() {
    let bytes = |value: i128, scale: usize| {
        let mut out = BytesMut::new();
        put_numeric(value, scale, &mut out);
        out[4..].chunks(2).map(|b| u16::from_be_bytes([b[0], b[1]])).collect::<Vec<_>>()
    };
    // As `SELECT numeric_send(...)` of PostgreSQL 15 prints them: count, weight, sign, scale, digits.
    assert_eq!(bytes(0, 2), [0, 0, 0, 2]);
    assert_eq!(bytes(1, 0), [1, 0, 0, 0, 1]);
    assert_eq!(bytes(-12_345_678, 2), [3, 1, 0x4000, 2, 12, 3456, 7800]);
    assert_eq!(bytes(1_500_000, 6), [2, 0, 0, 6, 1, 5000]);
    assert_eq!(bytes(1, 6), [1, 0xFFFE, 0, 6, 100]);
    assert_eq!(bytes(10_000, 0), [1, 1, 0, 0, 1]);
}

#[test]
fn what_postgresql_cannot_hold_is_refused_with_column_and_value() {
    let nul = refusal(Arc::new(StringArray::from(vec!["fine", "a\0b"])));
    assert!(nul.contains("column c") && nul.contains("a\\0b") && nul.contains("NUL"), "{nul}");
    for days in [i32::MAX, i32::MIN, -2_451_545 + EPOCH_DAYS - 1] {
        assert!(refusal(Arc::new(Date32Array::from(vec![days]))).contains("column c"), "{days}");
    }
    for micros in [i64::MIN, FIRST_MICROS + EPOCH_MICROS - 1] {
        assert!(refusal(Arc::new(TimestampMicrosecondArray::from(vec![micros]))).contains("column c"), "{micros}");
    }
    let mut list = ListBuilder::new(Float64Builder::new());
    list.values().append_value(f64::NAN);
    list.append(true);
    assert!(refusal(Arc::new(list.finish())).contains("JSON"));
}

#[test]
fn a_slice_of_a_column_is_checked_and_written_alone() {
    let all = StringArray::from(vec![Some("a\0"), Some("b"), None]);
    let rest = all.slice(1, 2);
    let cells = Cells::new("c", &rest).unwrap();
    let mut out = BytesMut::new();
    put_row(std::slice::from_ref(&cells), 0, &mut out).unwrap();
    put_row(std::slice::from_ref(&cells), 1, &mut out).unwrap();
    assert_eq!(&out[..], b"\0\x01\0\0\0\x01b\0\x01\xFF\xFF\xFF\xFF");
}
