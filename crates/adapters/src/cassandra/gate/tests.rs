#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use futures::FutureExt;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_refusal_halves_the_limit_once_for_all_that_were_in_flight() {
    let mut limit = Limit::new(48);
    assert!(limit.refused(Timestamp(0), SECOND));
    assert!(!limit.refused(Timestamp(999_999), SECOND));
    assert_eq!(limit.now, 24);
    for second in 1..10 {
        limit.refused(Timestamp(second * 1_000_000), SECOND);
    }
    assert_eq!(limit.now, 1, "one request is always let through");
}

#[test]
fn answers_widen_it_again_up_to_what_was_set() {
    let mut limit = Limit::new(4);
    limit.refused(Timestamp(0), SECOND);
    let widened: Vec<bool> = (0..6).map(|_| limit.answered()).collect();
    assert_eq!(widened, [false, true, false, false, true, false]);
    assert_eq!(limit.now, 4);
}

#[test]
fn no_more_than_the_limit_are_let_through() {
    let gate = Gate::new(2);
    let (first, second) = (gate.enter().now_or_never(), gate.enter().now_or_never());
    assert!(first.is_some() && second.is_some());
    assert!(gate.enter().now_or_never().is_none());
    drop(first);
    let third = gate.enter().now_or_never();
    assert!(third.is_some());
    assert_eq!(gate.refused(Timestamp(0), SECOND), Some(1));
    drop(second);
    assert!(gate.enter().now_or_never().is_none(), "one is in flight, and no more may be");
    drop(third);
    assert!(gate.enter().now_or_never().is_some());
}
