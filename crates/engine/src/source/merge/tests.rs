use super::*;

#[test]
fn the_two_least_beginnings_are_found_wherever_they_are() {
    let mark = |version: i64, partition| (Version(version), partition);
    let heads = [mark(5, 0), mark(3, 1), mark(3, 2), mark(9, 3)];
    // In every order, and with a partition that has nothing at hand.
    for turn in 0..heads.len() {
        let mut turned: Vec<Option<Mark>> = heads.iter().copied().map(Some).collect();
        turned.rotate_left(turn);
        turned.insert(turn, None);
        assert_eq!(first_two(&turned), (Some(mark(3, 1)), Some(mark(3, 2))), "{turned:?}");
    }
    assert_eq!(first_two(&[None, Some(mark(7, 1))]), (Some(mark(7, 1)), None));
    assert_eq!(first_two(&[None, None]), (None, None));
}
