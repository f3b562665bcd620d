#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::sync::Arc;

use tokio::task::JoinSet;

use super::*;

#[tokio::test]
async fn a_sleep_ends_when_the_clock_has_been_advanced_to_its_end_and_not_before() {
    let clock = Arc::new(ManualClock::default());
    let mut tasks = JoinSet::new();
    let sleeper = clock.clone();
    tasks.spawn(async move {
        sleeper.sleep(Duration::from_secs(10)).await;
        sleeper.now()
    });
    clock.until_sleepers(1).await;
    clock.advance(Duration::from_secs(9));
    tokio::task::yield_now().await;
    assert_eq!(clock.sleepers(), 1);
    clock.advance(Duration::from_secs(1));
    assert_eq!(tasks.join_next().await.unwrap().unwrap(), ManualClock::START.plus(Duration::from_secs(10)));
    assert_eq!(clock.sleepers(), 0);
}

#[tokio::test]
async fn a_skipping_clock_jumps_to_the_end_of_a_sleep() {
    let clock = ManualClock::skipping(Timestamp(0));
    clock.sleep(Duration::from_secs(3)).await;
    assert_eq!(clock.now(), Timestamp(3_000_000));
}

#[tokio::test]
async fn a_skipping_clock_waits_out_what_is_longer_than_a_back_off() {
    let clock = Arc::new(ManualClock::skipping(Timestamp(0)));
    let mut tasks = JoinSet::new();
    let sleeper = clock.clone();
    tasks.spawn(async move { sleeper.sleep(ManualClock::SKIPPED_MAX + Duration::from_secs(1)).await });
    clock.until_sleepers(1).await;
    assert_eq!(clock.now(), Timestamp(0));
    clock.advance(ManualClock::SKIPPED_MAX + Duration::from_secs(1));
    tasks.join_next().await.unwrap().unwrap();
}
