use super::*;

#[test]
fn doubles_are_rounded_by_their_decimal_digits() {
    let cases = [
        (1.005, 2, 1.01),
        (-1.005, 2, -1.01),
        (2.5, 0, 3.0),
        (-2.5, 0, -3.0),
        (0.499_999_999_999_999_94, 0, 0.0),
        (1e300, 2, 1e300),
        (f64::MAX, 1, f64::MAX),
        (-2.25, -1, 0.0),
        (15.0, -1, 20.0),
        (5e-324, 3, 0.0),
    ];
    for (value, digits, expected) in cases {
        assert_eq!(round_double(value, digits).to_bits(), f64::to_bits(expected), "round({value}, {digits})");
    }
    assert_eq!(round_double(-0.0, 0).to_bits(), 0.0_f64.to_bits());
    assert!(round_double(f64::NAN, 1).is_nan());
    assert_eq!(round_double(f64::INFINITY, 1), f64::INFINITY);
}

#[test]
fn decimals_carry_into_a_further_digit() {
    assert_eq!(round_decimal(9_999_999_999, 2, 0, 0), Some(100_000_000));
    assert_eq!(round_decimal(-5, 2, 1, 1), Some(-1));
    assert_eq!(round_decimal(1_234, 2, -1, 0), Some(10));
    assert_eq!(round_decimal(250, 2, 0, 0), Some(3));
    assert_eq!(round_decimal(249, 2, 0, 0), Some(2));
}

#[test]
fn a_rounded_decimal_has_room_for_a_carry() {
    assert_eq!(rounded_type(10, 2, 0), DataType::Decimal128(9, 0));
    assert_eq!(rounded_type(10, 2, 1), DataType::Decimal128(10, 1));
    assert_eq!(rounded_type(10, 2, 5), DataType::Decimal128(11, 2));
    assert_eq!(rounded_type(10, 2, -1), DataType::Decimal128(9, 0));
    assert_eq!(rounded_type(38, 18, 1), DataType::Decimal128(22, 1));
}
