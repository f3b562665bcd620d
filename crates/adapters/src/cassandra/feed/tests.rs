#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use super::super::table::tests::table;
use super::*;

fn feed() -> FeedTable {
    FeedTable { id: "1".into(), log: "l".into(), deletes: "d".into(), shards: 4, bucket_micros: 60_000_000, ttl_s: 60 }
}

#[test]
fn a_log_says_how_it_was_made() {
    assert_eq!(parse_comment("millstream changes 1: shards 4, bucket 3600 s"), Some((4, 3_600)));
    for other in ["", "millstream changes 1: ", "millstream changes 2: shards 4, bucket 1 s", "millstream changes 1: shards 0, bucket 1 s"]
    {
        assert_eq!(parse_comment(other), None, "{other:?}");
    }
}

#[test]
fn buckets_are_by_time_also_before_1970() {
    assert_eq!(feed().bucket(59_999_999), 0);
    assert_eq!(feed().bucket(60_000_000), 1);
    assert_eq!(feed().bucket(-1), -1);
}

#[test]
fn shards_never_change() {
    // Where a partition key's changes are is a persisted format.
    let shards: Vec<_> = [b"a".as_slice(), b"b", b"c", b"EWR", b"JFK", b""].map(|k| feed().shard(k)).to_vec();
    assert_eq!(shards, [0, 1, 2, 1, 2, 1]);
}

#[test]
fn the_deletes_have_the_tables_key() {
    assert_eq!(
        create_deletes(&table(None), "d"),
        "CREATE TABLE IF NOT EXISTS d (\"origin\" text, \"id\" bigint, \"_deleted\" bigint, PRIMARY KEY ((\"origin\"), \"id\")) \
         WITH comment = 'millstream deletes 1: the versions of deletes'"
    );
}
