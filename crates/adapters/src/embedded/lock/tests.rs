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

#[test]
fn a_file_in_its_place_is_for_the_user_to_mend() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    std::fs::write(&path, "").unwrap();
    let refused = DataDir::lock(&path).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    assert!(refused.message().contains("choose another with --data-dir"), "{refused}");
}
