#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use millstream_testkit::changes::{Change, change_batch, delete, insert, update};
use millstream_testkit::{row, tables};

use super::*;

const NOW: i64 = 1_704_067_200_000_000;

fn table(ttl: Option<Duration>) -> Table {
    Table::new(&RedisSettings::new("redis://127.0.0.1"), &tables::critical("t", ttl)).unwrap()
}

/// Key and version of each change that counts.
fn winners(table: &Table, batches: &[&[Change]]) -> Vec<(String, i64, ChangeKind)> {
    let batches: Vec<ChangeBatch> = batches.iter().map(|b| change_batch(&table.spec.schema, b).unwrap()).collect();
    let folded = Changes::fold(table, &batches, Timestamp(NOW)).unwrap();
    let name = |w: &Winner| String::from_utf8(w.key.clone()).unwrap().replace("millstream:t:", "");
    folded.winners.iter().map(|w| (name(w), w.version.0, w.kind)).collect()
}

#[test]
fn of_each_key_the_greatest_version_counts_and_of_equal_ones_the_later() {
    let table = table(None);
    let first = [insert(3, row!["a", 1, 1]), update(2, row!["a", 1, 2]), insert(5, row!["b", 1, 1])];
    let second = [delete(5, row!["b", 1, None::<i32>]), insert(1, row!["c", 1, 1])];
    let expected = [
        ("{a,1}".to_owned(), 3, ChangeKind::Insert),
        ("{b,1}".to_owned(), 5, ChangeKind::Delete),
        ("{c,1}".to_owned(), 1, ChangeKind::Insert),
    ];
    assert_eq!(winners(&table, &[&first, &second]), expected);
}

#[test]
fn what_has_expired_is_not_sent() {
    let hour = Duration::from_secs(3_600);
    let old = NOW - 3_600_000_000;
    let changes = [insert(old, row!["a", 1, 1]), insert(old + 1, row!["b", 1, 1]), delete(old, row!["c", 1, None::<i32>])];
    assert_eq!(winners(&table(Some(hour)), &[&changes]), [("{b,1}".to_owned(), old + 1, ChangeKind::Insert)]);
}

#[test]
fn expiry_counts_from_the_version_and_a_tombstone_outlives_older_rows() {
    let gone = |ttl: Option<u64>, kind, version| table(ttl.map(Duration::from_secs)).gone_at(kind, Version(version), Timestamp(NOW));
    assert_eq!(gone(Some(60), ChangeKind::Insert, NOW), Some(NOW / 1_000 + 60_001));
    assert_eq!(gone(Some(60), ChangeKind::Delete, NOW), Some(NOW / 1_000 + 60_001));
    assert_eq!(gone(None, ChangeKind::Insert, NOW), None);
    assert_eq!(gone(None, ChangeKind::Delete, 7), Some(NOW / 1_000 + 7 * 86_400_000 + 1));
}

#[test]
fn calls_hold_each_change_once_and_on_a_cluster_one_slot() {
    let table = table(None);
    let changes: Vec<Change> = (0..1_000).map(|id| insert(1, row!["EWR", id, 1])).collect();
    let batches = [change_batch(&table.spec.schema, &changes).unwrap()];
    let folded = Changes::fold(&table, &batches, Timestamp(NOW)).unwrap();
    for calls in [folded.calls(7), folded.calls_by_slot(7)] {
        assert!(calls.iter().all(|call| (1..=7).contains(&call.len())));
        let mut all: Vec<usize> = calls.concat();
        all.sort_unstable();
        assert_eq!(all, (0..1_000).collect::<Vec<_>>());
    }
    for call in folded.calls_by_slot(7) {
        let slots: std::collections::HashSet<Slot> = folded.keys_of(&call).map(Slot::for_key).collect();
        assert_eq!(slots.len(), 1);
    }
}
