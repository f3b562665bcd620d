#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use ChangeKind::{Delete, Insert, Update};

use super::*;

fn there(version: i64, value: &str) -> Prior {
    Prior::Present(version, vec![Some(b"key".to_vec()), Some(value.as_bytes().to_vec()), None])
}

fn written<'a>(value: &'a str) -> impl Fn(usize) -> Option<&'a [u8]> {
    move |i| [Some(b"key".as_slice()), Some(value.as_bytes()), None][i]
}

#[test]
fn a_row_that_was_not_there_is_inserted() {
    assert_eq!(put(&Prior::Absent, 5, &[0], written("a")), Outcome::Change(Insert));
    assert_eq!(put(&Prior::Deleted(4), 5, &[0], written("a")), Outcome::Change(Insert));
}

#[test]
fn a_greater_version_updates_and_a_lower_one_does_nothing() {
    assert_eq!(put(&there(4, "a"), 5, &[0], written("a")), Outcome::Change(Update));
    assert_eq!(put(&there(6, "a"), 5, &[0], written("b")), Outcome::Nothing);
    assert_eq!(put(&Prior::Deleted(6), 5, &[0], written("b")), Outcome::Nothing);
}

#[test]
fn of_equal_versions_the_greater_bytes_stand() {
    assert_eq!(put(&there(5, "a"), 5, &[0], written("a")), Outcome::Nothing, "a replay");
    assert_eq!(put(&there(5, "b"), 5, &[0], written("a")), Outcome::Nothing, "what stands is greater");
    let merged = vec![Some(b"key".to_vec()), Some(b"b".to_vec()), None];
    assert_eq!(put(&there(5, "a"), 5, &[0], written("b")), Outcome::Merge(merged));
    let null = vec![Some(b"key".to_vec()), None, None];
    assert_eq!(put(&there(5, "a"), 5, &[0], |i| (i == 0).then_some(b"key".as_slice())), Outcome::Merge(null), "a null wins over a value");
    assert_eq!(put(&Prior::Deleted(5), 5, &[0], written("a")), Outcome::Nothing, "a delete wins over values");
}

#[test]
fn a_delete_wins_over_lower_and_equal_versions() {
    assert_eq!(delete(&there(4, "a"), 5), Outcome::Change(Delete));
    assert_eq!(delete(&there(5, "a"), 5), Outcome::Change(Delete));
    assert_eq!(delete(&there(6, "a"), 5), Outcome::Nothing);
}

#[test]
fn a_delete_of_nothing_is_remembered_once() {
    assert_eq!(delete(&Prior::Absent, 5), Outcome::Remember);
    assert_eq!(delete(&Prior::Deleted(4), 5), Outcome::Remember);
    assert_eq!(delete(&Prior::Deleted(5), 5), Outcome::Nothing);
}
