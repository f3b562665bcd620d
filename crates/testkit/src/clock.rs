//! [`ManualClock`]: time that only a test moves.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use millstream_core::Timestamp;
use millstream_core::ports::Clock;
use millstream_core::time::micros_of;
use tokio::sync::watch;

/// A clock that stands still until a test advances it; a `sleep` resolves once the clock has reached its end.
#[derive(Debug)]
pub struct ManualClock {
    now: watch::Sender<i64>,
    sleepers: watch::Sender<usize>,
    reads: AtomicUsize,
    skipping: bool,
}

impl ManualClock {
    /// 2024-01-01T00:00:00Z: where a clock stands unless a test says otherwise.
    pub const START: Timestamp = Timestamp(1_704_067_200_000_000);

    /// The longest `sleep` that [`skipping`](Self::skipping) jumps over.
    pub const SKIPPED_MAX: Duration = Duration::from_secs(3_600);

    /// A clock that stands at `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self { now: watch::Sender::new(now.0), sleepers: watch::Sender::new(0), reads: AtomicUsize::new(0), skipping: false }
    }

    /// A clock that stands at `now` and jumps to the end of every `sleep` of at most [`SKIPPED_MAX`](Self::SKIPPED_MAX): for loops that back
    /// off, where no test cares how long. A longer one waits, as a timer for what is not to happen in the test.
    #[must_use]
    pub fn skipping(now: Timestamp) -> Self {
        Self { skipping: true, ..Self::at(now) }
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.now.send_modify(|now| *now = now.saturating_add(micros_of(by)));
    }

    /// Puts the clock to `now`, forward or back.
    pub fn set(&self, now: Timestamp) {
        self.now.send_modify(|t| *t = now.0);
    }

    /// How many `sleep`s wait at the moment.
    #[must_use]
    pub fn sleepers(&self) -> usize {
        *self.sleepers.borrow()
    }

    /// Resolves when at least `count` `sleep`s wait: then advancing wakes them.
    pub async fn until_sleepers(&self, count: usize) {
        let mut sleepers = self.sleepers.subscribe();
        // The sender lives as long as `self`, so waiting can't fail.
        let _ = sleepers.wait_for(|n| *n >= count).await;
    }

    /// How often somebody asked for the time.
    #[must_use]
    pub fn reads(&self) -> usize {
        self.reads.load(Ordering::Relaxed)
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::at(Self::START)
    }
}

/// Counts a sleeper for as long as it lives, so that a dropped `sleep` is counted no more.
struct Sleeper<'a>(&'a watch::Sender<usize>);

impl<'a> Sleeper<'a> {
    fn new(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|n| *n += 1);
        Self(count)
    }
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|n| *n -= 1);
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.reads.fetch_add(1, Ordering::Relaxed);
        Timestamp(*self.now.borrow())
    }

    async fn sleep(&self, duration: Duration) {
        let mut now = self.now.subscribe();
        let end = now.borrow().saturating_add(micros_of(duration));
        if self.skipping && duration <= Self::SKIPPED_MAX {
            self.now.send_modify(|t| *t = (*t).max(end));
            tokio::task::yield_now().await;
            return;
        }
        let _sleeper = Sleeper::new(&self.sleepers);
        let _ = now.wait_for(|t| *t >= end).await;
    }
}

#[cfg(test)]
mod tests;
