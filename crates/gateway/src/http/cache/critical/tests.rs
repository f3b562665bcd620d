#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
use std::sync::atomic::Ordering;

use futures::FutureExt;
use millstream_core::TableKind;
use millstream_testkit::ManualClock;

use super::super::super::toys::{GATE, ToyRows, critical, spec};
use super::*;

const TIMEOUT: Duration = Duration::from_secs(1);
const RETRY: Duration = Duration::from_secs(5);

struct Fixture {
    clock: Arc<ManualClock>,
    toy: Arc<ToyRows>,
    reads: CriticalReads,
}

impl Fixture {
    fn new() -> Self {
        let (clock, toy) = (Arc::new(ManualClock::default()), Arc::new(ToyRows::default()));
        let policy = BreakerPolicy { failures_max: 3, retry_after: RETRY };
        Self { reads: CriticalReads::new(toy.clone(), TIMEOUT, policy, clock.clone()), clock, toy }
    }

    async fn opened() -> Self {
        let it = Self::new();
        it.toy.switches.set_down(true);
        for _ in 0..3 {
            assert!(matches!(it.get().await, Ok(Looked::Away(_))));
        }
        assert_eq!(it.reads.state(), BreakerState::Open(ManualClock::START));
        it
    }

    async fn get(&self) -> Result<Looked> {
        self.reads.get(&Arc::new(spec(TableKind::Critical, "critical", None)), &[Value::Str("a".into())]).await
    }
}

#[tokio::test]
async fn a_row_and_its_absence_are_what_the_store_says() {
    let it = Fixture::new();
    assert!(matches!(it.get().await, Ok(Looked::Nothing)));
    it.toy.put(critical("a", 1.0, None));
    assert!(matches!(it.get().await, Ok(Looked::Found(_))));
    assert_eq!((it.reads.state(), it.reads.away()), (BreakerState::Closed, None));
}

#[tokio::test]
async fn a_store_that_is_away_is_left_alone_after_some_failures() {
    let it = Fixture::opened().await;
    assert!(matches!(it.get().await, Ok(Looked::Away(RETRY))));
    assert_eq!(it.toy.switches.reads(), 3);
    assert_eq!(it.reads.away(), Some((ManualClock::START, "the toy is switched off".to_owned())));
}

#[tokio::test]
async fn a_read_waits_no_longer_than_its_limit() {
    let it = Fixture::new();
    let _closed = it.toy.switches.gate.acquire_many(GATE).await.unwrap();
    let passes = async {
        it.clock.until_sleepers(1).await;
        it.clock.advance(TIMEOUT);
    };
    let (looked, ()) = futures::join!(it.get(), passes);
    assert!(matches!(looked, Ok(Looked::Away(Duration::ZERO))));
}

#[tokio::test]
async fn clients_that_lose_patience_before_the_limit_open_it_too() {
    let it = Fixture::new();
    let _closed = it.toy.switches.gate.acquire_many(GATE).await.unwrap();
    for _ in 0..3 {
        assert!(it.get().now_or_never().is_none());
    }
    assert_eq!(it.reads.away().unwrap().1, "a client went away before the store answered");
}

#[tokio::test]
async fn an_error_that_the_store_answered_is_passed_on_and_is_no_failure() {
    let it = Fixture::new();
    it.toy.switches.fail_with(Some(ErrorKind::Corrupt));
    for _ in 0..10 {
        assert_eq!(it.get().await.unwrap_err().kind(), ErrorKind::Corrupt);
    }
    assert_eq!(it.reads.state(), BreakerState::Closed);
}

#[tokio::test]
async fn a_probe_runs_beside_the_read_that_set_it_off() {
    let it = Fixture::opened().await;
    it.toy.switches.set_down(false);
    it.clock.advance(RETRY);
    assert!(matches!(it.get().await, Ok(Looked::Away(Duration::ZERO))));
    assert_eq!(it.reads.state(), BreakerState::HalfOpen(ManualClock::START));
    it.toy.switches.until_ended(4).await;
    assert_eq!(it.reads.state(), BreakerState::Closed);
    assert!(matches!(it.get().await, Ok(Looked::Nothing)));
}

#[tokio::test]
async fn a_probe_that_takes_longer_than_a_read_may_is_let_end_and_has_failed() {
    let it = Fixture::opened().await;
    it.toy.switches.set_down(false);
    it.clock.advance(RETRY);
    let closed = it.toy.switches.gate.acquire_many(GATE).await.unwrap();
    it.get().await.unwrap();
    it.clock.until_sleepers(1).await;
    it.clock.advance(TIMEOUT * 2);
    drop(closed);
    it.toy.switches.until_ended(4).await;
    assert_eq!(it.reads.away().unwrap().1, "no answer within 1000 ms (http.critical_timeout_ms)");
    assert!(matches!(it.get().await, Ok(Looked::Away(RETRY))));
}

#[tokio::test]
async fn a_probe_without_an_answer_is_given_up_at_last() {
    let it = Fixture::opened().await;
    it.clock.advance(RETRY);
    let _closed = it.toy.switches.gate.acquire_many(GATE).await.unwrap();
    it.get().await.unwrap();
    it.clock.until_sleepers(1).await;
    it.clock.advance(PROBE_MAX);
    while it.reads.state() != BreakerState::Open(ManualClock::START) {
        tokio::task::yield_now().await;
    }
    it.clock.advance(RETRY);
    it.get().await.unwrap();
    assert_eq!(it.reads.state(), BreakerState::HalfOpen(ManualClock::START), "the next one");
}

#[tokio::test]
async fn a_row_is_filled_in_only_where_the_store_is_asked() {
    let it = Fixture::new();
    assert!(it.reads.fill("critical", &critical("a", 1.0, None)).await);
    assert!(matches!(it.get().await, Ok(Looked::Found(_))));
    it.toy.switches.set_down(true);
    for _ in 0..10 {
        assert!(!it.reads.fill("critical", &critical("a", 2.0, None)).await);
    }
    assert_eq!(it.reads.state(), BreakerState::Closed, "fills say nothing of reads");
    let it = Fixture::opened().await;
    assert!(!it.reads.fill("critical", &critical("a", 1.0, None)).await);
    assert_eq!(it.toy.fills.load(Ordering::SeqCst), 0);
}
