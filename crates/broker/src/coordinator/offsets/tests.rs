#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use super::*;

fn key(topic: &str, topic_id: u64, partition: i32) -> OffsetKey {
    OffsetKey { topic: topic.to_owned(), topic_id, partition }
}

fn commit(group: &str, key: OffsetKey, offset: i64) -> OffsetChange {
    let committed = Committed { offset, leader_epoch: -1, metadata: "note".to_owned(), at: Timestamp(1) };
    OffsetChange::Commit { group: group.to_owned(), offsets: vec![(key, committed)] }
}

#[test]
fn the_last_commit_counts_and_a_snapshot_gives_the_same_table() {
    let mut offsets = Offsets::default();
    for (partition, offset) in [(0, 5), (1, 7), (0, 6)] {
        offsets.apply(commit("g", key("t", 1, partition), offset));
    }
    offsets.apply(commit("h", key("t", 1, 0), 1));
    offsets.apply(OffsetChange::Forget { group: "h".to_owned() });
    assert_eq!(offsets.get("g", &key("t", 1, 0)).unwrap().offset, 6);
    assert_eq!((offsets.of_group("g").count(), offsets.groups().collect::<Vec<_>>()), (2, vec!["g"]));
    let mut again = Offsets::default();
    offsets.snapshot().into_iter().for_each(|c| again.apply(c));
    assert_eq!(again, offsets);
}

#[test]
fn offsets_of_an_earlier_topic_of_the_same_name_are_not_found() {
    let mut offsets = Offsets::default();
    offsets.apply(commit("g", key("t", 1, 0), 5));
    assert!(offsets.get("g", &key("t", 2, 0)).is_none());
    offsets.retain_topics(|k| k.topic_id == 2);
    assert!(!offsets.has_group("g"));
}
