#![allow(clippy::unwrap_used, reason = "tests")]

use std::thread::{ThreadId, current};

use super::*;

/// A clock that is moved by hand.
#[derive(Default)]
struct Hand(AtomicI64);

#[async_trait::async_trait]
impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }

    async fn sleep(&self, _: Duration) {
        std::future::pending().await
    }
}

async fn thread_of(brief: &Brief, bytes: usize) -> ThreadId {
    brief.work(bytes, || current().id()).await.unwrap()
}

#[tokio::test]
async fn little_is_done_here_and_much_elsewhere() {
    let brief = Brief::new(Arc::new(Hand::default()));
    assert_eq!(thread_of(&brief, BYTES_MAX).await, current().id());
    assert_ne!(thread_of(&brief, BYTES_MAX + 1).await, current().id());
}

#[tokio::test]
async fn a_slow_disk_is_left_to_other_threads_for_a_while() {
    let clock = Arc::new(Hand::default());
    let brief = Brief::new(clock.clone());
    let slow = clock.clone();
    brief.work(1, move || slow.0.fetch_add(micros_of(SLOW), Ordering::Relaxed)).await.unwrap();
    assert_ne!(thread_of(&brief, 1).await, current().id());
    clock.0.fetch_add(micros_of(AVOID) - 1, Ordering::Relaxed);
    assert_ne!(thread_of(&brief, 1).await, current().id());
    clock.0.fetch_add(1, Ordering::Relaxed);
    assert_eq!(thread_of(&brief, 1).await, current().id());
}

#[tokio::test]
async fn a_panic_elsewhere_is_an_error() {
    let brief = Brief::new(Arc::new(Hand::default()));
    let error = brief.work(usize::MAX, || panic!("on purpose")).await.unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Internal);
}
