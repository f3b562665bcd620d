use super::*;

#[test]
fn a_rounded_decimal_has_room_for_a_carry() {
    assert_eq!(rounded(10, 2, 0), DataType::Decimal128(9, 0));
    assert_eq!(rounded(10, 2, 1), DataType::Decimal128(10, 1));
    assert_eq!(rounded(10, 2, 5), DataType::Decimal128(11, 2));
    assert_eq!(rounded(10, 2, -1), DataType::Decimal128(9, 0));
    assert_eq!(rounded(38, 18, 1), DataType::Decimal128(22, 1));
}
