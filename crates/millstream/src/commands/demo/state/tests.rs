#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

#[test]
fn another_sequence_is_refused_on_the_same_directory() {
    let dir = tempfile::tempdir().unwrap();
    let plain = SequenceOptions::default();
    claim(dir.path(), &plain, None).unwrap();
    claim(dir.path(), &plain, None).unwrap();
    let faulty = SequenceOptions { faults: true, without_carrier: None };
    let message = claim(dir.path(), &faulty, None).unwrap_err().to_string();
    assert!(message.contains("without --faults") && message.contains("another --data-dir"), "{message}");
}
