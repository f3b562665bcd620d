//! Work that may block, and hardly ever does: short reads and writes of a local disk, which the page cache answers.
//!
//! Another thread takes longer to wake up than such work takes to do; an epoch of a few records needs a dozen of them. So what is [`BYTES_MAX`] or less
//! is done where it is asked for, until it takes [too long](SLOW): then the disk is busy, and for a [while](AVOID) everything goes to threads that may wait,
//! as all that is larger always does. Nobody knows that a disk is about to wait: so only one thread at a time may find out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::ports::Clock;
use crate::time::{Timestamp, micros_of};

/// The most bytes that are read or written where it is asked for.
pub const BYTES_MAX: usize = 64 << 10;

/// Work that takes so long waits for something.
pub const SLOW: Duration = Duration::from_millis(2);

/// So long after it, none is done where it is asked for.
pub const AVOID: Duration = Duration::from_secs(1);

/// Where work on one disk is done.
pub struct Brief {
    clock: Arc<dyn Clock>,
    /// Until when, in microseconds, work is left to other threads.
    avoid_until: AtomicI64,
    /// Somebody does work where it was asked for.
    taken: AtomicBool,
}

/// The right to do work where it is asked for. It goes back also where the work panics.
struct Turn<'a>(&'a AtomicBool);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Brief {
    /// For one disk, with `clock` to see how long it takes.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, avoid_until: AtomicI64::new(i64::MIN), taken: AtomicBool::new(false) }
    }

    /// Whether work on so many bytes, at `now`, is done by who asks for it. [`None`]: by a thread that may wait.
    fn turn(&self, bytes: usize, now: Timestamp) -> Option<Turn<'_>> {
        if bytes > BYTES_MAX || now.micros() < self.avoid_until.load(Ordering::Relaxed) || self.taken.swap(true, Ordering::Acquire) {
            return None;
        }
        Some(Turn(&self.taken))
    }

    /// Does `work`, which reads or writes about `bytes`; [`usize::MAX`] where it is known to wait. It is done to its end, whoever waits for it.
    /// [`Internal`](crate::ErrorKind::Internal) where it panicked on another thread.
    pub async fn work<T: Send + 'static>(&self, bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let begun = self.clock.now();
        let Some(turn) = self.turn(bytes, begun) else {
            return tokio::task::spawn_blocking(work)
                .await
                .map_err(|ended| Error::internal("a task at the disk ended early").caused_by(ended));
        };
        let done = work();
        drop(turn);
        let ended = self.clock.now();
        if is_slow(begun, ended) {
            self.avoid_until.store(ended.micros().saturating_add(micros_of(AVOID)), Ordering::Relaxed);
        }
        Ok(done)
    }
}

/// Whether work that took so long has waited for something.
fn is_slow(begun: Timestamp, ended: Timestamp) -> bool {
    ended.micros().saturating_sub(begun.micros()) >= micros_of(SLOW)
}

#[cfg(test)]
mod tests;
