#![allow(clippy::unwrap_used, reason = "tests")]
use super::*;
use millstream_core::ErrorKind;

#[test]
fn a_second_holder_is_refused_and_told_who_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let held = DataDir::lock(dir.path().join("data")).unwrap();
    let refused = DataDir::lock(held.path()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(refused.message().contains(&format!("process {};", std::process::id())), "{refused}");
    assert!(DataDir::try_lock(held.path()).unwrap().is_none());
    let path = held.path().to_owned();
    drop(held);
    assert!(DataDir::try_lock(path).unwrap().is_some());
}
