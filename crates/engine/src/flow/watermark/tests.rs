use millstream_testkit::generate::Changes;

use super::*;

fn at(tracker: &WatermarkTracker) -> Option<i64> {
    tracker.current().map(|w| w.0)
}

#[test]
fn is_the_minimum_over_partitions_less_the_delay() {
    let mut t = WatermarkTracker::new(2, 10);
    t.observe(0, EventTime(100));
    assert_eq!(at(&t), None, "the other partition has brought nothing");
    t.observe(1, EventTime(50));
    assert_eq!(at(&t), Some(40));
    t.observe(1, EventTime(200));
    assert_eq!(at(&t), Some(90));
}

#[test]
fn never_goes_back() {
    let mut t = WatermarkTracker::new(2, 0);
    t.observe(0, EventTime(100));
    t.set_idle(&[false, true]);
    assert_eq!(at(&t), Some(100), "the empty partition is idle");
    t.set_idle(&[false, false]);
    t.observe(1, EventTime(10));
    assert_eq!(at(&t), Some(100));
}

#[test]
fn all_idle_keeps_the_minimum_of_those_that_brought_events() {
    let mut t = WatermarkTracker::new(3, 0);
    t.observe(0, EventTime(100));
    t.observe(1, EventTime(70));
    t.set_idle(&[true, true, true]);
    assert_eq!(at(&t), Some(70));
    t.set_idle(&[false, true, true]);
    assert_eq!(at(&t), Some(100));
}

#[test]
fn survives_its_checkpoint() {
    let mut t = WatermarkTracker::new(2, 5);
    t.observe(0, EventTime(100));
    t.observe(1, EventTime(101));
    let restored: WatermarkTracker = serde_json::from_str(&serde_json::to_string(&t).unwrap()).unwrap();
    assert_eq!(restored.current(), t.current());
    let mut restored = restored;
    restored.set_idle(&[true, false]);
    assert_eq!(at(&restored), Some(96));
}

#[test]
fn added_partitions_hold_it_where_it_is() {
    let mut t = WatermarkTracker::new(3, 0);
    [(0, 100), (1, 110), (2, 120)].into_iter().for_each(|(p, time)| t.observe(p, EventTime(time)));
    // A partition behind the first two: the third one moves.
    t.renumber(4, |p| if p < 2 { p } else { 3 });
    [(0, 200), (1, 200)].into_iter().for_each(|(p, time)| t.observe(p, EventTime(time)));
    assert_eq!(at(&t), Some(100), "the new one has brought nothing");
    t.observe(2, EventTime(50));
    assert_eq!(at(&t), Some(100), "it never goes back");
    t.observe(2, EventTime(300));
    assert_eq!(at(&t), Some(120), "the one that has moved is the least now");
}

#[test]
fn is_at_each_moment_what_all_that_was_seen_makes_it() {
    let mut chance = Changes::seeded(7, 1);
    for _ in 0..200 {
        let partitions = 1 + chance.below(3);
        let mut t = WatermarkTracker::new(partitions, 10);
        let (mut greatest, mut idle, mut expected) = (vec![None::<i64>; partitions], vec![false; partitions], None);
        for _ in 0..60 {
            let partition = chance.below(partitions);
            if chance.below(8) == 0 {
                idle = (0..partitions).map(|_| chance.below(2) == 0).collect();
                t.set_idle(&idle);
            } else {
                let time = chance.below(200) as i64;
                t.observe(partition, EventTime(time));
                idle[partition] = false;
                if greatest[partition] >= Some(time) {
                    // An event behind others of its partition moves nothing.
                    assert_eq!(at(&t), expected);
                    continue;
                }
                greatest[partition] = Some(time);
            }
            let busy: Vec<Option<i64>> = (0..partitions).filter(|p| !idle[*p]).map(|p| greatest[p]).collect();
            let least = busy.iter().min().copied().unwrap_or_else(|| greatest.iter().flatten().min().copied());
            expected = expected.max(least.map(|time| time - 10));
            assert_eq!(at(&t), expected);
        }
    }
}
