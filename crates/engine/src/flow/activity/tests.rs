use super::*;

const IDLE_AFTER: Duration = Duration::from_micros(100);

#[test]
fn a_partition_is_idle_when_it_is_read_to_its_end_and_silent_for_long_enough() {
    let mut activity = Activity::new(2, Timestamp(0));
    activity.look(&[true, false], &[true, true], Timestamp(10), Timestamp(10));
    assert!(activity.is_at_end());
    assert_eq!((activity.idle(IDLE_AFTER), activity.next_idle(IDLE_AFTER)), (vec![false, false], Some(Timestamp(100))));
    activity.look(&[false, false], &[true, true], Timestamp(100), Timestamp(101));
    assert_eq!((activity.idle(IDLE_AFTER), activity.next_idle(IDLE_AFTER)), (vec![false, true], Some(Timestamp(110))));
    activity.look(&[false, false], &[true, true], Timestamp(110), Timestamp(110));
    assert_eq!((activity.idle(IDLE_AFTER), activity.next_idle(IDLE_AFTER)), (vec![true, true], None));
    activity.look(&[false, true], &[true, false], Timestamp(200), Timestamp(200));
    assert!(!activity.is_at_end());
    assert_eq!((activity.idle(IDLE_AFTER), activity.next_idle(IDLE_AFTER)), (vec![true, false], Some(Timestamp(300))));
}

/// The moment passed between the look at the source and the wait for more.
#[test]
fn a_moment_that_has_passed_since_the_last_look_is_still_waited_for() {
    let mut activity = Activity::new(1, Timestamp(0));
    activity.look(&[false], &[true], Timestamp(99), Timestamp(150));
    assert_eq!((activity.idle(IDLE_AFTER), activity.next_idle(IDLE_AFTER)), (vec![false], Some(Timestamp(100))));
}
