#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use millstream_core::ErrorKind;

use super::*;

fn write(attempt: u64, epoch: u64) -> EpochWrite {
    EpochWrite { flow: FlowId::new("f"), attempt: Attempt(attempt), epoch: Epoch(epoch), table: "t".into(), changes: Vec::new() }
}

#[test]
fn the_next_epoch_of_the_last_attempt_is_written() {
    let progress = Progress { attempt: Attempt(2), epoch: Epoch(5), ..Progress::default() };
    assert_eq!(progress.admit(&write(2, 6)).unwrap(), Admission::Write);
    assert_eq!(progress.admit(&write(2, 5)).unwrap(), Admission::Done);
    assert_eq!(progress.admit(&write(2, 1)).unwrap(), Admission::Done);
    assert_eq!(progress.admit(&write(2, 7)).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(progress.admit(&write(1, 6)).unwrap_err().kind(), ErrorKind::Fenced);
    assert_eq!(progress.admit(&write(1, 5)).unwrap_err().kind(), ErrorKind::Fenced);
    assert_eq!(progress.admit(&write(3, 6)).unwrap_err().kind(), ErrorKind::InvalidInput, "an attempt that never began");
}
