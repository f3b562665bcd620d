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
