#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use millstream_core::ErrorKind;

use super::*;

fn feed(id: &str) -> FeedTable {
    FeedTable { id: id.into(), log: "l".into(), deletes: "d".into(), shards: 4, bucket_micros: 1, ttl_s: 60 }
}

#[test]
fn a_position_is_as_written_down() {
    let place = Place { commit: 1_704_067_200_000_000, writer: "a.b/c".into(), attempt: 3, sequence: 42 };
    let position = place.position(&feed("00ff"), 2);
    assert_eq!(position.0, "1.00ff.2.1704067200000000.3.42.a.b/c");
    assert_eq!(Place::parse(&position, &feed("00ff"), 2, "t").unwrap(), Some(place));
    assert_eq!(Place::parse(&FeedPosition::default(), &feed("00ff"), 2, "t").unwrap(), None);
}

#[test]
fn a_position_of_elsewhere_is_out_of_range() {
    let good = "1.00ff.2.5.3.42.w";
    for (text, id, shard) in
        [(good, "00fe", 2), (good, "00ff", 1), ("2.00ff.2.5.3.42.w", "00ff", 2), ("1.00ff.2.5.3.42", "00ff", 2), ("x", "00ff", 2)]
    {
        let error = Place::parse(&FeedPosition(text.into()), &feed(id), shard, "t").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutOfRange, "{text}");
    }
}
