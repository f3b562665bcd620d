use super::*;

#[test]
fn a_row_whose_matches_all_fail_the_filter_comes_out_once_with_nulls() {
    let left = UInt32Array::from(vec![0, 0, 1, 2]);
    let right = UInt32Array::from(vec![Some(5), Some(6), None, Some(7)]);
    let keep = BooleanArray::from(vec![false, false, false, true]);
    let (l, r) = outer_after_filter(3, &left, &right, &keep);
    assert_eq!(l, UInt32Array::from(vec![0, 1, 2]));
    assert_eq!(r, UInt32Array::from(vec![None, None, Some(7)]));
}
