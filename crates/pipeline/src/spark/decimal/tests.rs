#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use arrow::array::{AsArray, Decimal128Array};
use arrow::datatypes::{DataType, Decimal128Type};

use super::{compute, result_type};
use crate::spark::arithmetic::Operation;

#[test]
fn result_types_are_sparks() {
    let of = |operation, l, r| match result_type(operation, l, r) {
        DataType::Decimal128(p, s) => (p, s),
        other => panic!("{other}"),
    };
    assert_eq!(of(Operation::Add, (10, 2), (5, 3)), (12, 3));
    assert_eq!(of(Operation::Multiply, (10, 2), (5, 3)), (16, 5));
    assert_eq!(of(Operation::Divide, (10, 2), (5, 3)), (19, 8));
    assert_eq!(of(Operation::Remainder, (10, 2), (5, 3)), (5, 3));
    // More than 38 digits lose digits after the point, but keep six.
    assert_eq!(of(Operation::Multiply, (38, 10), (38, 10)), (38, 6));
    assert_eq!(of(Operation::Divide, (38, 18), (38, 18)), (38, 6));
}

#[test]
fn results_are_exact_and_rounded_half_up() {
    let decimals = |value: i128, p, s| Decimal128Array::from(vec![Some(value), None]).with_precision_and_scale(p, s).unwrap();
    let first = |operation, l: &Decimal128Array, r: &Decimal128Array| {
        let result = compute(operation, l, r).unwrap();
        let result = result.as_primitive::<Decimal128Type>().clone();
        assert!(arrow::array::Array::is_null(&result, 1));
        result.value_as_string(0)
    };
    let (two, three) = (decimals(200, 10, 2), decimals(3, 1, 0));
    assert_eq!(first(Operation::Divide, &two, &three), "0.666667");
    assert_eq!(first(Operation::Divide, &decimals(-200, 10, 2), &three), "-0.666667");
    assert_eq!(first(Operation::Add, &two, &three), "5.00");
    assert_eq!(first(Operation::Remainder, &decimals(-700, 10, 2), &three), "-1.00");
}

#[test]
fn texts_are_rounded_half_up_and_have_exponents() {
    assert_eq!(super::parse("1.005", 10, 2), Some(101));
    assert_eq!(super::parse("-1.005", 10, 2), Some(-101));
    assert_eq!(super::parse(" 1e3 ", 10, 2), Some(100_000));
    assert_eq!(super::parse("1E-3", 10, 2), Some(0));
    assert_eq!(super::parse("5e-3", 10, 2), Some(1));
    assert_eq!(super::parse(".5", 10, 2), Some(50));
    assert_eq!(super::parse("5.", 10, 2), Some(500));
    assert_eq!(super::parse("0.004", 10, 2), Some(0));
    assert_eq!(super::parse("99999999.995", 10, 2), None);
    assert_eq!(super::parse("1e8", 10, 2), None);
    assert_eq!(super::parse("x", 10, 2), None);
    assert_eq!(super::parse("", 10, 2), None);
    assert_eq!(super::parse("1e-400", 10, 2), Some(0));
}
