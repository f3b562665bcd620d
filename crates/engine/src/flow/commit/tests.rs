use super::*;

#[test]
fn commits_are_overlapped_where_at_least_as_much_waits_as_was_taken() {
    assert!(overlaps(1_000, 5_000));
    assert!(overlaps(1_000, 1_000));
    assert!(!overlaps(1_000, 999), "a fuller chunk at the next commit is the better one");
    assert!(!overlaps(0, 0), "nothing waits");
    assert!(overlaps(0, 1), "a chunk of control records alone");
}
