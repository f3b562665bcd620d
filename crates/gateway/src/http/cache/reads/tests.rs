#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
use std::sync::atomic::{AtomicUsize, Ordering};

use millstream_core::{ErrorKind, Value};
use millstream_testkit::ManualClock;
use tokio::sync::Semaphore;

use super::*;

const POLICY: CachePolicy =
    CachePolicy { age_max: Duration::from_secs(60), negative_age_max: Duration::from_secs(5), stale_max: Duration::from_secs(600) };

struct Fixture {
    cache: ReadCache,
    clock: Arc<ManualClock>,
    invalidations: Arc<Invalidations>,
    reads: AtomicUsize,
}

impl Fixture {
    fn new() -> Self {
        let (clock, invalidations) = (Arc::new(ManualClock::default()), Invalidations::new([]));
        let cache = ReadCache::new(1 << 20, POLICY, invalidations.clone(), clock.clone());
        Self { cache, clock, invalidations, reads: AtomicUsize::new(0) }
    }

    fn slot() -> Slot {
        Slot::of("t", &[Value::Int(1)])
    }

    async fn get(&self, result: Result<Loaded>) -> Result<(String, How), Arc<Error>> {
        let load = async {
            self.reads.fetch_add(1, Ordering::SeqCst);
            result
        };
        let (entry, how) = self.cache.get(Self::slot(), "t 1", load).await?;
        Ok((String::from_utf8(entry.loaded.body.clone().unwrap_or_default().to_vec()).unwrap(), how))
    }

    fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }
}

fn body(text: &str) -> Result<Loaded> {
    Ok(Loaded { body: Some(text.to_owned().into()), next: None, negative: false, expires: None, keep: true, stored: true })
}

fn nothing() -> Result<Loaded> {
    Ok(Loaded { body: None, next: None, negative: true, expires: None, keep: true, stored: true })
}

fn down() -> Result<Loaded> {
    Err(Error::unavailable("down"))
}

#[tokio::test]
async fn a_second_read_is_served_from_memory_until_it_is_too_old() {
    let it = Fixture::new();
    assert_eq!(it.get(body("one")).await.unwrap(), ("one".into(), How::Miss));
    assert_eq!(it.get(body("two")).await.unwrap(), ("one".into(), How::Hit));
    it.clock.advance(Duration::from_secs(60));
    assert_eq!(it.get(body("two")).await.unwrap(), ("two".into(), How::Refreshed));
    assert_eq!(it.reads(), 2);
}

#[tokio::test]
async fn a_write_makes_an_answer_invalid_and_a_negative_one_too() {
    let it = Fixture::new();
    assert_eq!(it.get(nothing()).await.unwrap(), (String::new(), How::Miss));
    assert_eq!(it.get(body("one")).await.unwrap(), (String::new(), How::Hit));
    it.invalidations.generations().bump(Fixture::slot());
    assert_eq!(it.get(body("one")).await.unwrap(), ("one".into(), How::Miss));
    it.invalidations.generations().bump(Fixture::slot());
    assert_eq!(it.get(body("two")).await.unwrap(), ("two".into(), How::Miss));
}

#[tokio::test]
async fn a_negative_answer_ages_sooner() {
    let it = Fixture::new();
    it.get(nothing()).await.unwrap();
    it.clock.advance(Duration::from_secs(5));
    assert_eq!(it.get(body("one")).await.unwrap(), ("one".into(), How::Refreshed));
}

#[tokio::test]
async fn a_fill_that_began_before_a_write_is_never_found_after_it() {
    let it = Fixture::new();
    let (entry, _) = it
        .cache
        .get(Fixture::slot(), "t 1", async {
            // The store was read; then a write commits and counts up; then the old answer is filed.
            it.invalidations.generations().bump(Fixture::slot());
            body("old")
        })
        .await
        .unwrap();
    assert_eq!(entry.loaded.body.as_deref(), Some(b"old".as_slice()), "its own reader asked before the write");
    assert_eq!(it.get(body("new")).await.unwrap(), ("new".into(), How::Miss));
}

#[tokio::test]
async fn who_asks_after_a_write_does_not_join_a_read_from_before_it() {
    let it = Fixture::new();
    let gate = Semaphore::new(0);
    let entered = Semaphore::new(0);
    let before = it.cache.get(Fixture::slot(), "t 1", async {
        entered.add_permits(1);
        let _ = gate.acquire().await;
        body("old")
    });
    let after = async {
        let _ = entered.acquire().await;
        it.invalidations.generations().bump(Fixture::slot());
        let got = it.get(body("new")).await.unwrap();
        gate.add_permits(1);
        got
    };
    let (_, got) = futures::join!(before, after);
    assert_eq!(got, ("new".into(), How::Miss));
}

#[tokio::test]
async fn while_the_store_is_down_an_old_answer_is_given_if_no_write_came_between() {
    let it = Fixture::new();
    it.get(body("one")).await.unwrap();
    it.clock.advance(Duration::from_secs(61));
    assert_eq!(it.get(down()).await.unwrap(), ("one".into(), How::StaleOnError));
    assert_eq!(it.get(body("two")).await.unwrap(), ("one".into(), How::StaleOnError), "the store is left alone for a second");
    it.clock.advance(Duration::from_secs(1));
    assert_eq!(it.get(body("two")).await.unwrap(), ("two".into(), How::Refreshed));
    it.clock.advance(Duration::from_secs(61));
    it.invalidations.generations().bump(Fixture::slot());
    assert_eq!(it.get(down()).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_stale_answer_is_not_given_beyond_its_bound_or_for_an_error_that_stays() {
    let it = Fixture::new();
    it.get(body("one")).await.unwrap();
    it.clock.advance(Duration::from_secs(61));
    assert_eq!(it.get(Err(Error::corrupt("bits"))).await.unwrap_err().kind(), ErrorKind::Corrupt);
    let it = Fixture::new();
    it.get(body("one")).await.unwrap();
    it.clock.advance(Duration::from_secs(661));
    assert_eq!(it.get(down()).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn an_error_is_not_kept() {
    let it = Fixture::new();
    it.get(down()).await.unwrap_err();
    assert_eq!(it.get(body("one")).await.unwrap(), ("one".into(), How::Miss));
}

#[tokio::test]
async fn an_answer_that_may_not_be_kept_is_read_again() {
    let it = Fixture::new();
    let unkept = || body("one").map(|l| Loaded { keep: false, ..l });
    it.get(unkept()).await.unwrap();
    it.get(unkept()).await.unwrap();
    assert_eq!(it.reads(), 2);
}

#[tokio::test]
async fn all_who_wait_for_one_read_get_its_error() {
    let it = Fixture::new();
    let all = futures::future::join_all((0..10).map(|_| {
        it.cache.get(Fixture::slot(), "t 1", async {
            it.reads.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            down()
        })
    }))
    .await;
    assert!(all.iter().all(|r| r.as_ref().is_err_and(|e| e.kind() == ErrorKind::Unavailable)));
    assert_eq!(it.reads(), 1);
}
