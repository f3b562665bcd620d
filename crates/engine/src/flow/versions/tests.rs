use super::*;

#[test]
fn lost_epochs_cover_their_versions_and_a_clock_that_was_set_back() {
    assert_eq!(drawn_between(Epoch(3), Epoch(5), 5_000_000), 10_000_000, "two epochs of many versions");
    assert_eq!(drawn_between(Epoch(3), Epoch(5), USUAL), 2_000_000, "two epochs of few, and two seconds");
    assert_eq!(drawn_between(Epoch(5), Epoch(5), USUAL), 0);
    assert_eq!(drawn_between(Epoch(0), Epoch(u64::MAX), USUAL), i64::MAX);
}
