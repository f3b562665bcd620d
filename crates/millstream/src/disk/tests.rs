#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use millstream_core::Timestamp;

use super::*;

fn settings() -> DiskSettings {
    DiskSettings { free_bytes_min: 100 << 20, check_interval_ms: 1 }
}

#[test]
fn pauses_below_the_bound_and_resumes_a_tenth_above_it() {
    let mib = |n: u64| n << 20;
    assert_eq!(decide(mib(100), &settings(), false), Decision::Keep);
    let Decision::Pause(why) = decide(mib(99), &settings(), false) else { panic!("not paused") };
    assert!(why.contains("99 MiB free") && why.contains("disk.free_bytes_min (100 MiB)"), "{why}");
    assert_eq!(decide(mib(99), &settings(), true), Decision::Keep);
    assert_eq!(decide(mib(109), &settings(), true), Decision::Keep);
    assert_eq!(decide(mib(110), &settings(), true), Decision::Resume);
}

#[test]
fn the_free_space_of_a_folder_is_read() {
    let dir = tempfile::tempdir().unwrap();
    assert!(free_bytes(dir.path()).unwrap() > 0);
    assert!(free_bytes(&dir.path().join("absent")).is_err());
}

/// A clock whose sleeps end at once, and which cancels after so many.
struct Impatient {
    left: AtomicUsize,
    shutdown: CancellationToken,
}

#[async_trait]
impl Clock for Impatient {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }

    async fn sleep(&self, _: Duration) {
        if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.shutdown.cancel();
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn intake_follows_the_disk_and_survives_a_failed_look() {
    let shutdown = CancellationToken::new();
    let clock = Impatient { left: AtomicUsize::new(5), shutdown: shutdown.clone() };
    let looks = Mutex::new(vec![Some(500_u64), Some(0), None, Some(50), Some(500)].into_iter());
    let free = || match looks.lock().unwrap().next().flatten() {
        Some(mib) => Ok(mib << 20),
        None => Err(std::io::Error::other("no answer")),
    };
    let intake = Intake::default();
    let applied = Mutex::new(Vec::new());
    let apply = |why: Option<&str>| applied.lock().unwrap().push(why.is_some());
    watch_with(&free, &settings(), &clock, &intake, &apply, shutdown).await;
    assert_eq!(*applied.lock().unwrap(), [true, false]);
    assert_eq!(intake.paused(), None);
}
