#![allow(clippy::unwrap_used, reason = "tests")]

use std::thread::{ThreadId, current};

use tokio::task::JoinSet;

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_waits_stops_one_thread() {
    let brief = Arc::new(Brief::new(Arc::new(Hand::default())));
    let (began, has_begun) = std::sync::mpsc::channel();
    let (go_on, may_end) = std::sync::mpsc::channel();
    let mut tasks = JoinSet::new();
    tasks.spawn({
        let brief = brief.clone();
        async move {
            let work = move || {
                began.send(current().id()).unwrap();
                may_end.recv().unwrap();
            };
            let asked = current().id();
            brief.work(1, work).await.unwrap();
            asked
        }
    });
    let inside = tokio::task::spawn_blocking(move || has_begun.recv().unwrap()).await.unwrap();
    assert_ne!(thread_of(&brief, 1).await, current().id(), "somebody is at the disk already");
    go_on.send(()).unwrap();
    assert_eq!(tasks.join_next().await.unwrap().unwrap(), inside, "the work is done by who asks for it");
    assert_eq!(thread_of(&brief, 1).await, current().id());
}

#[tokio::test]
async fn a_panic_here_does_not_keep_others_from_working_here() {
    let brief = Arc::new(Brief::new(Arc::new(Hand::default())));
    let mut tasks = JoinSet::new();
    tasks.spawn({
        let brief = brief.clone();
        async move { brief.work(1, || panic!("on purpose")).await }
    });
    assert!(tasks.join_next().await.unwrap().unwrap_err().is_panic());
    assert_eq!(thread_of(&brief, 1).await, current().id());
}

#[tokio::test]
async fn a_panic_elsewhere_is_an_error() {
    let brief = Brief::new(Arc::new(Hand::default()));
    let error = brief.work(usize::MAX, || panic!("on purpose")).await.unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Internal);
}
