#![allow(clippy::unwrap_used, reason = "tests")]

use millstream_core::ErrorKind;

use super::*;

fn write(flow: &str, attempt: u64, epoch: u64) -> EpochWrite {
    EpochWrite { flow: FlowId::new(flow), attempt: Attempt(attempt), epoch: Epoch(epoch), table: "t".to_owned(), changes: Vec::new() }
}

fn staged(flow: &str, attempt: u64, epoch: u64, bytes: u64, since: i64) -> Staged {
    Staged { flow: FlowId::new(flow), attempt: Attempt(attempt), epoch: Epoch(epoch), rows: 10, bytes, crc32c: 7, since }
}

fn with_epochs(epochs: u64) -> Manifest {
    let (_, begun) = Manifest::default().begin("t", &FlowId::new("f"), Attempt(3)).unwrap();
    (1..=epochs).fold(begun.unwrap(), |m, e| m.commit(&write("f", 3, e), Some(staged("f", 3, e, 100, i64::try_from(e).unwrap()))))
}

#[test]
fn the_first_format_is_still_read() {
    let golden = include_bytes!("golden/manifest-1.json");
    let read = Manifest::from_bytes(golden, "golden").unwrap();
    let mut expected = with_epochs(3).start_roll(150).unwrap().finish_roll(1).unwrap().start_roll(1).unwrap();
    expected = expected.commit(&write("f", 3, 4), Some(staged("f", 3, 4, 100, 4)));
    assert_eq!(read, expected);
    assert_eq!(String::from_utf8(expected.to_bytes().unwrap()).unwrap(), std::str::from_utf8(golden).unwrap().trim_end());
}

#[test]
fn another_format_and_broken_bytes_are_told_apart() {
    let kind = |bytes: &[u8]| Manifest::from_bytes(bytes, "m").unwrap_err().kind();
    assert_eq!(kind(br#"{"format":2,"whatever":1}"#), ErrorKind::Unsupported);
    assert_eq!(kind(br#"{"format":1"#), ErrorKind::Corrupt);
    assert_eq!(kind(br#"{"format":1,"flows":{},"rolled":{"files":0,"rows":0},"rolling":[],"staged":[],"more":1}"#), ErrorKind::Corrupt);
}

#[test]
fn epochs_are_admitted_in_order_and_lower_attempts_never() {
    let m = with_epochs(2);
    assert_eq!(m.admit(&write("f", 3, 2)).unwrap(), Admission::Done);
    assert_eq!(m.admit(&write("f", 4, 3)).unwrap(), Admission::Write);
    assert_eq!(m.admit(&write("f", 3, 4)).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!(m.leaves_gap(&write("f", 3, 4)) && !m.leaves_gap(&write("f", 3, 3)));
    assert_eq!(m.admit(&write("f", 2, 3)).unwrap_err().kind(), ErrorKind::Fenced);
    assert_eq!(m.admit(&write("f", 2, 1)).unwrap_err().kind(), ErrorKind::Fenced);
    assert_eq!(m.begin("t", &FlowId::new("f"), Attempt(2)).unwrap_err().kind(), ErrorKind::Fenced);
    assert_eq!(m.begin("t", &FlowId::new("f"), Attempt(3)).unwrap(), (Epoch(2), None));
    let (epoch, begun) = m.begin("t", &FlowId::new("f"), Attempt(5)).unwrap();
    assert_eq!(epoch, Epoch(2));
    assert_eq!(begun.unwrap().admit(&write("f", 4, 3)).unwrap_err().kind(), ErrorKind::Fenced);
}

#[test]
fn rolling_is_due_by_size_by_time_and_by_number() {
    let settings = LakeSettings { roll_bytes: 300, roll_interval_s: 1, ..LakeSettings::default() };
    assert!(!Manifest::default().is_due(&settings, i64::MAX));
    assert!(!with_epochs(2).is_due(&settings, 1_000_000));
    assert!(with_epochs(2).is_due(&settings, 1_000_001));
    assert!(with_epochs(3).is_due(&settings, 0));
    assert!(with_epochs(1_000).is_due(&LakeSettings::default(), 0));
}

#[test]
fn a_roll_takes_the_oldest_epochs_and_is_finished_once() {
    let m = with_epochs(5);
    let rolling = m.start_roll(250).unwrap();
    let epochs = |staged: &[Staged]| staged.iter().map(|s| s.epoch.0).collect::<Vec<_>>();
    assert_eq!((epochs(&rolling.rolling), epochs(&rolling.staged)), (vec![1, 2, 3], vec![4, 5]));
    assert!(rolling.start_roll(1).is_none(), "one roll at a time");
    let rolled = rolling.commit(&write("f", 3, 6), Some(staged("f", 3, 6, 1, 1))).finish_roll(1).unwrap();
    assert_eq!(rolled.rolled, Rolled { files: 1, rows: 30 });
    assert_eq!(epochs(&rolled.staged), [4, 5, 6]);
    assert!(rolled.finish_roll(1).is_none(), "somebody else has finished it");
    assert!(rolled.start_roll(1).unwrap().finish_roll(1).is_none(), "a late finisher of the first does not finish the second");
}

#[test]
fn a_staged_file_is_dead_only_when_nobody_can_commit_it_any_more() {
    let m = with_epochs(2);
    let f = FlowId::new("f");
    assert!(!m.is_dead(&f, Attempt(3), Epoch(2), 7), "it counts");
    assert!(!m.is_dead(&f, Attempt(3), Epoch(3), 7), "it may be committed next");
    assert!(!m.is_dead(&f, Attempt(9), Epoch(3), 7), "a later attempt may not have begun here yet");
    assert!(m.is_dead(&f, Attempt(3), Epoch(2), 8), "another try of a committed epoch");
    assert!(m.is_dead(&f, Attempt(2), Epoch(3), 7), "its attempt is fenced");
    assert!(!m.is_dead(&FlowId::new("g"), Attempt(1), Epoch(1), 7), "a flow that is not known yet");
    let rolling = m.start_roll(1).unwrap();
    assert!(!rolling.is_dead(&f, Attempt(3), Epoch(1), 7), "it is being rolled");
    assert!(rolling.finish_roll(1).unwrap().is_dead(&f, Attempt(3), Epoch(1), 7), "its rows are in a data file");
}
