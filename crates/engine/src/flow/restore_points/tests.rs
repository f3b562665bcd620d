use super::*;

#[test]
fn as_many_whole_restore_points_are_kept_as_were_asked_for() {
    let mut points = RestorePoints::new(2);
    assert_eq!(points.keep_from(), None);
    points.add(Epoch(1));
    assert_eq!(points.keep_from(), None, "of the one before nothing is known");
    points.add(Epoch(65));
    assert_eq!(points.keep_from(), Some(Epoch(1)));
    points.add(Epoch(129));
    assert_eq!(points.keep_from(), Some(Epoch(65)));
}
