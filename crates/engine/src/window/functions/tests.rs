use super::*;

#[test]
fn known_groups_are_numbered_first_and_every_number_is_used_once() {
    assert_eq!(known_first(&[1, 3], 5), [2, 0, 3, 1, 4]);
    assert_eq!(known_first(&[], 3), [0, 1, 2]);
    assert_eq!(known_first(&[0, 1, 2], 3), [0, 1, 2]);
}
