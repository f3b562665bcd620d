#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use millstream_core::Version;
use millstream_testkit::{ManualClock, row, rows, tables};

use super::*;

fn front() -> (Front, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::default());
    let front = Front::new(1 << 20, Duration::from_secs(10), clock.clone());
    front.connected(true);
    (front, clock)
}

fn a_row() -> CriticalRow {
    let batch = rows::batch(&tables::critical("t", None).schema, &[row!["EWR", 1, 130]]).unwrap();
    CriticalRow { row: batch, version: Version(1), expires: None }
}

fn keep(front: &Front, key: &[u8]) {
    front.keep(key.to_vec(), front.count(key), a_row());
}

fn said(kind: PushKind, data: Vec<Value>) -> PushInfo {
    PushInfo { kind, data }
}

#[test]
fn a_row_is_found_until_it_is_changed() {
    let (front, _) = front();
    keep(&front, b"a");
    assert!(front.get(b"a").is_some());
    front.changed(b"a");
    assert!(front.get(b"a").is_none(), "after a write of this process");
    keep(&front, b"a");
    front.hear(&said(PushKind::Invalidate, vec![Value::Array(vec![Value::BulkString(b"a".to_vec())])]));
    assert!(front.get(b"a").is_none(), "after the server said so");
    for all in [said(PushKind::Invalidate, vec![Value::Nil]), said(PushKind::Disconnection, Vec::new())] {
        keep(&front, b"a");
        front.hear(&all);
        assert!(front.get(b"a").is_none(), "after {all:?}");
    }
}

#[test]
fn an_answer_that_a_change_overtook_is_not_kept() {
    let (front, _) = front();
    let before = front.count(b"a");
    front.changed(b"a");
    front.keep(b"a".to_vec(), before, a_row());
    assert!(front.get(b"a").is_none());
}

#[test]
fn a_rows_age_is_bounded() {
    let (front, clock) = front();
    keep(&front, b"a");
    clock.set(clock.now().plus(Duration::from_secs(10)));
    assert!(front.get(b"a").is_none());
}

#[test]
fn a_server_that_does_not_tell_of_changes_is_always_asked() {
    let (front, _) = front();
    keep(&front, b"a");
    front.connected(false);
    keep(&front, b"a");
    assert!(front.get(b"a").is_none());
}
