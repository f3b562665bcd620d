#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

#[test]
fn a_demo_goes_on_where_it_was_and_another_is_refused_on_the_same_directory() {
    let dir = tempfile::tempdir().unwrap();
    let plain = State::new(SequenceOptions::default(), None, Vec::new());
    assert!(!plain.is_begun(dir.path()).unwrap());
    plain.begin(dir.path()).unwrap();
    assert!(plain.is_begun(dir.path()).unwrap());
    let faulty = State::new(SequenceOptions { faults: true, without_carrier: None }, None, Vec::new());
    let message = faulty.is_begun(dir.path()).unwrap_err().to_string();
    assert!(message.contains("without --faults") && message.contains("another --data-dir"), "{message}");
    let elsewhere = State::new(SequenceOptions::default(), None, vec!["kafka".to_owned()]);
    let message = elsewhere.is_begun(dir.path()).unwrap_err().to_string();
    assert!(message.contains("everything built in"), "{message}");
}
