#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use super::*;
use crate::error::ErrorKind;

fn write(attempt: u64, epoch: u64) -> EpochWrite {
    EpochWrite { flow: FlowId::new("f"), attempt: Attempt(attempt), epoch: Epoch(epoch), table: "t".into(), changes: Vec::new() }
}

const REACHED: FlowProgress = FlowProgress { attempt: Attempt(2), epoch: Epoch(5) };

#[test]
fn the_next_epoch_is_written_and_those_before_it_are_done() {
    assert_eq!(FlowProgress::default().admit(&write(1, 1)).unwrap(), Admission::Write);
    for (epoch, admission) in [(1, Admission::Done), (5, Admission::Done), (6, Admission::Write)] {
        assert_eq!(REACHED.admit(&write(2, epoch)).unwrap(), admission, "epoch {epoch}");
        assert_eq!(REACHED.admit(&write(3, epoch)).unwrap(), admission, "epoch {epoch} of a later attempt");
    }
    assert_eq!(FlowProgress::after(&write(2, 6)).admit(&write(2, 6)).unwrap(), Admission::Done);
}

#[test]
fn an_epoch_that_leaves_a_gap_is_refused() {
    let refused = REACHED.admit(&write(2, 7)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    assert_eq!(refused.to_string(), "flow f writes epoch 7 to table t, whose last committed epoch is 5: there is a gap");
    assert_eq!([1, 5, 6, 7].map(|epoch| REACHED.leaves_gap(Epoch(epoch))), [false, false, false, true]);
}

#[test]
fn a_lower_attempt_is_fenced_whatever_it_writes() {
    for epoch in [1, 5, 6, 7] {
        assert_eq!(REACHED.admit(&write(1, epoch)).unwrap_err().kind(), ErrorKind::Fenced, "epoch {epoch}");
    }
    let refused = REACHED.begin(&FlowId::new("f"), Attempt(1), "t").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Fenced);
    assert_eq!(refused.to_string(), "attempt 1 of flow f writes to table t, where attempt 2 has begun");
}

#[test]
fn an_attempt_that_begins_keeps_the_epoch() {
    let flow = FlowId::new("f");
    assert_eq!(REACHED.begin(&flow, Attempt(2), "t").unwrap(), REACHED);
    assert_eq!(REACHED.begin(&flow, Attempt(4), "t").unwrap(), FlowProgress { attempt: Attempt(4), epoch: Epoch(5) });
}
