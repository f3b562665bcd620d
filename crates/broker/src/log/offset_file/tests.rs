#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use millstream_core::Timestamp;

use super::*;
use crate::coordinator::Committed;

fn commit(group: &str, partition: i32, offset: i64) -> OffsetChange {
    let key = OffsetKey { topic: "t".to_owned(), topic_id: 1, partition };
    let committed = Committed { offset, leader_epoch: 0, metadata: String::new(), at: Timestamp(5) };
    OffsetChange::Commit { group: group.to_owned(), offsets: vec![(key, committed)] }
}

fn offset(file: &OffsetFile, group: &str, partition: i32) -> Option<i64> {
    let key = OffsetKey { topic: "t".to_owned(), topic_id: 1, partition };
    file.look(|o| o.get(group, &key).map(|c| c.offset))
}

#[test]
fn committed_offsets_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("group-offsets");
    let file = OffsetFile::open(&path, Durability::Fsync, |_| true).unwrap();
    file.store(commit("a", 0, 10)).unwrap();
    file.store(commit("a", 1, 20)).unwrap();
    file.store(commit("a", 0, 11)).unwrap();
    file.store(commit("b", 0, 5)).unwrap();
    file.store(OffsetChange::Forget { group: "b".to_owned() }).unwrap();
    drop(file);
    let file = OffsetFile::open(&path, Durability::Process, |_| true).unwrap();
    assert_eq!((offset(&file, "a", 0), offset(&file, "a", 1), offset(&file, "b", 0)), (Some(11), Some(20), None));
}

#[test]
fn a_tail_torn_at_any_byte_loses_only_the_last_commit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("group-offsets");
    let file = OffsetFile::open(&path, Durability::Process, |_| true).unwrap();
    file.store(commit("a", 0, 10)).unwrap();
    let before = fs::read(&path).unwrap().len();
    file.store(commit("a", 0, 11)).unwrap();
    drop(file);
    let whole = fs::read(&path).unwrap();
    for len in before..whole.len() {
        fs::write(&path, &whole[..len]).unwrap();
        assert_eq!(offset(&OffsetFile::open(&path, Durability::Process, |_| true).unwrap(), "a", 0), Some(10), "cut at {len}");
    }
}

#[test]
fn offsets_of_topics_that_are_gone_are_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("group-offsets");
    OffsetFile::open(&path, Durability::Process, |_| true).unwrap().store(commit("a", 0, 10)).unwrap();
    let file = OffsetFile::open(&path, Durability::Process, |key| key.topic_id != 1).unwrap();
    assert!(!file.look(|o| o.has_group("a")));
}

#[test]
fn the_file_is_rewritten_when_most_of_it_is_overtaken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("group-offsets");
    let file = OffsetFile::open(&path, Durability::Process, |_| true).unwrap();
    file.state().rewrite_at = 2000;
    for i in 0..100 {
        file.store(commit("a", 0, i)).unwrap();
    }
    file.state().rewrite_at = 0;
    file.store(commit("a", 0, 100)).unwrap();
    assert!(fs::metadata(&path).unwrap().len() < 300);
    file.store(commit("a", 0, 101)).unwrap();
    drop(file);
    assert_eq!(offset(&OffsetFile::open(&path, Durability::Process, |_| true).unwrap(), "a", 0), Some(101));
}

#[test]
fn the_golden_file_of_version_1_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("group-offsets");
    let json = r#"{"commit":{"group":"g","offsets":[[{"topic":"t","topic_id":1,"partition":3},{"offset":42,"leader_epoch":0,"metadata":"m","at":5}]]}}"#;
    let mut golden = b"MSGO\x01\0\0\0".to_vec();
    golden.extend_from_slice(&(json.len() as u32).to_be_bytes());
    golden.extend_from_slice(&crc32c::crc32c(json.as_bytes()).to_be_bytes());
    golden.extend_from_slice(json.as_bytes());
    fs::write(&path, &golden).unwrap();
    let file = OffsetFile::open(&path, Durability::Process, |_| true).unwrap();
    assert_eq!(offset(&file, "g", 3), Some(42));
    assert_eq!(fs::read(&path).unwrap(), golden, "and it is written the same way");
    fs::write(&path, b"MSGO\x09\0\0\0").unwrap();
    assert!(matches!(OffsetFile::open(&path, Durability::Process, |_| true).unwrap_err(), LogError::Version { found: 9, .. }));
}

#[test]
fn what_is_only_noted_shows_at_once_and_is_written_once_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("group-offsets");
    let file = OffsetFile::open(&path, Durability::Fsync, |_| true).unwrap();
    let second = |n: i64| Timestamp(n * 1_000_000);
    file.note(commit("a", 0, 10), second(1)).unwrap();
    let written = fs::read(&path).unwrap();
    for next in 11..20 {
        file.note(commit("a", 0, next), second(1).plus(Duration::from_millis(900))).unwrap();
        assert_eq!(offset(&file, "a", 0), Some(next));
    }
    assert_eq!(fs::read(&path).unwrap(), written, "nothing was written within the second");
    file.note(commit("a", 0, 20), second(2)).unwrap();
    assert_ne!(fs::read(&path).unwrap(), written);
    file.note(commit("a", 0, 21), second(2)).unwrap();
    file.store(OffsetChange::Forget { group: "a".to_owned() }).unwrap();
    file.note(commit("a", 1, 5), second(2)).unwrap();
    drop(file);
    let file = OffsetFile::open(&path, Durability::Process, |_| true).unwrap();
    assert_eq!((offset(&file, "a", 0), offset(&file, "a", 1)), (None, Some(5)), "what came after the group was deleted is there");
}
