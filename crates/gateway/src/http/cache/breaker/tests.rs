#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
use millstream_core::ports::Clock;
use millstream_testkit::ManualClock;

use super::*;

const RETRY: Duration = Duration::from_secs(5);

/// A breaker that opens after 3 failures in a row, by a clock that stands still.
struct Fixture {
    clock: ManualClock,
    breaker: Breaker,
}

impl Fixture {
    fn new() -> Self {
        let policy = BreakerPolicy { failures_max: 3, retry_after: RETRY };
        Self { clock: ManualClock::default(), breaker: Breaker::new(policy) }
    }

    fn opened() -> Self {
        let mut it = Self::new();
        assert_eq!([it.call(false), it.call(false), it.call(false)], [None, None, Some(Change::Opened)]);
        it
    }

    fn half_open() -> (Self, Permit) {
        let mut it = Self::opened();
        it.clock.advance(RETRY);
        let Admission::Probe(permit) = it.admit() else { panic!("no probe") };
        (it, permit)
    }

    fn admit(&mut self) -> Admission {
        self.breaker.admit(self.clock.now())
    }

    fn pass(&mut self) -> Permit {
        let Admission::Pass(permit) = self.admit() else { panic!("refused in {:?}", self.breaker) };
        permit
    }

    fn settle(&mut self, permit: Permit, answered: bool) -> Option<Change> {
        self.breaker.settle(permit, answered, self.clock.now())
    }

    fn call(&mut self, answered: bool) -> Option<Change> {
        let permit = self.pass();
        self.settle(permit, answered)
    }
}

#[test]
fn closed_it_lets_any_number_of_calls_through_at_one_time() {
    let mut it = Fixture::new();
    let permits: Vec<Permit> = (0..100).map(|_| it.pass()).collect();
    assert!(permits.into_iter().all(|permit| it.settle(permit, true).is_none()));
    assert_eq!(it.breaker.state(), BreakerState::Closed);
}

#[test]
fn it_opens_after_failures_in_a_row_and_refuses_at_once() {
    let mut it = Fixture::opened();
    assert_eq!(it.breaker.state(), BreakerState::Open(ManualClock::START));
    assert_eq!(it.admit(), Admission::Refused(RETRY));
    it.clock.advance(Duration::from_secs(2));
    assert_eq!(it.admit(), Admission::Refused(Duration::from_secs(3)));
}

#[test]
fn an_answer_in_between_begins_the_row_anew() {
    let mut it = Fixture::new();
    for answered in [false, false, true, false, false] {
        assert_eq!(it.call(answered), None);
    }
    assert_eq!(it.call(false), Some(Change::Opened));
}

#[test]
fn it_opens_when_half_of_the_last_calls_failed() {
    let mut it = Fixture::new();
    for i in 1..RECENT {
        assert_eq!(it.call(i % 2 == 1), None, "{i} calls are too few to tell");
    }
    assert_eq!(it.call(false), Some(Change::Opened), "32 of 64");
    let mut it = Fixture::new();
    for i in 0..10 * RECENT {
        assert_eq!(it.call(i % 3 > 0), None, "a third is not half");
    }
}

#[test]
fn old_failures_do_not_count_for_ever() {
    let mut it = Fixture::new();
    for i in 0..RECENT - 2 {
        it.call(i % 2 == 0);
    }
    for _ in 0..RECENT {
        assert_eq!(it.call(true), None);
    }
    assert_eq!([it.call(false), it.call(true), it.call(false)], [None; 3]);
}

#[test]
fn one_probe_at_a_time_goes_through_when_the_wait_is_over() {
    let mut it = Fixture::opened();
    it.clock.advance(RETRY - Duration::from_micros(1));
    assert_eq!(it.admit(), Admission::Refused(Duration::from_micros(1)));
    it.clock.advance(Duration::from_micros(1));
    assert!(matches!(it.admit(), Admission::Probe(_)));
    assert_eq!(it.breaker.state(), BreakerState::HalfOpen(ManualClock::START));
    it.clock.advance(10 * RETRY);
    assert_eq!(it.admit(), Admission::Refused(Duration::ZERO), "the first is still under way");
}

#[test]
fn a_probe_that_is_answered_closes_it_and_nothing_of_before_counts() {
    let (mut it, probe) = Fixture::half_open();
    it.clock.advance(Duration::from_secs(1));
    assert_eq!(it.settle(probe, true), Some(Change::Closed(Duration::from_secs(6))));
    assert_eq!(it.breaker.state(), BreakerState::Closed);
    assert_eq!([it.call(false), it.call(false)], [None; 2]);
    assert_eq!(it.call(false), Some(Change::Opened));
}

#[test]
fn a_probe_that_fails_opens_it_for_another_while_without_a_word() {
    let (mut it, probe) = Fixture::half_open();
    it.clock.advance(Duration::from_secs(1));
    assert_eq!(it.settle(probe, false), None);
    assert_eq!(it.breaker.state(), BreakerState::Open(ManualClock::START), "since the first failures");
    assert_eq!(it.admit(), Admission::Refused(RETRY));
    it.clock.advance(RETRY);
    let Admission::Probe(second) = it.admit() else { panic!("no second probe") };
    assert_eq!(it.settle(second, true), Some(Change::Closed(Duration::from_secs(11))));
}

#[test]
fn a_call_from_before_a_change_says_nothing() {
    let mut it = Fixture::new();
    let (early, late) = (it.pass(), it.pass());
    for _ in 0..3 {
        it.call(false);
    }
    assert_eq!(it.settle(early, true), None);
    assert_eq!(it.breaker.state(), BreakerState::Open(ManualClock::START), "an answer from before does not close it");
    it.clock.advance(RETRY);
    let Admission::Probe(probe) = it.admit() else { panic!("no probe") };
    assert_eq!(it.settle(late, false), None);
    assert_eq!(it.breaker.state(), BreakerState::HalfOpen(ManualClock::START), "it is not taken for the probe");
    assert!(it.settle(probe, true).is_some());
}

#[test]
fn a_clock_that_is_set_back_does_not_keep_it_open() {
    let mut it = Fixture::opened();
    it.clock.set(Timestamp(ManualClock::START.0 - 3_600_000_000));
    let Admission::Probe(probe) = it.admit() else { panic!("no probe") };
    assert_eq!(it.settle(probe, true), Some(Change::Closed(Duration::ZERO)));
}
