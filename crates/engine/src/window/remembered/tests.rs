#![allow(clippy::unwrap_used, reason = "tests")]

use millstream_core::EventTime;
use millstream_testkit::generate::Changes;

use super::*;

#[test]
fn what_sessions_take_is_the_sum_of_what_each_takes() {
    let mut chance = Changes::seeded(5, 1);
    let (mut remembered, mut most) = (Remembered::default(), 0);
    for step in 0..20_000 {
        // First more come than go, then more go than come; some come again.
        if chance.below(3) < if step < 10_000 { 2 } else { 1 } {
            let end = EventTime(i64::try_from(chance.below(500)).unwrap());
            remembered.insert(GroupKey::new(end, &vec![0; chance.below(20)]));
        } else {
            remembered.forget_first();
        }
        assert_eq!(remembered.bytes(), remembered.behind(None).map(bytes_of).sum::<usize>(), "after step {step}");
        most = most.max(remembered.sessions.len());
    }
    assert!(most > 500, "at most {most} sessions were there");
    while remembered.first().is_some() {
        remembered.forget_first();
    }
    assert_eq!(remembered.bytes(), 0);
}
