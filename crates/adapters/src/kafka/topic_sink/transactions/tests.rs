#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use super::*;

#[test]
fn a_committed_epoch_is_read_back_from_its_metadata() {
    let committed = Committed { attempt: Attempt(3), epoch: Epoch(17) };
    assert_eq!(committed.metadata(), "millstream/1/3/17", "a format that stays");
    assert_eq!(Committed::parse(&committed.metadata()), Some(committed));
    for foreign in ["", "3/17", "millstream/2/3/17", "millstream/1/3", "millstream/1/3/17/1", "millstream/1/-3/17"] {
        assert_eq!(Committed::parse(foreign), None, "{foreign:?}");
    }
}
