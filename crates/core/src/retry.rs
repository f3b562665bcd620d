//! How long to wait before the next try: pure, so that every wrapper and loop waits by the same rule.

use std::time::Duration;

/// Exponential back-off: `first`, doubled each time, at most `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The wait after the first failure.
    pub first: Duration,
    /// No wait is longer.
    pub max: Duration,
}

impl Backoff {
    /// From 100 ms to 10 s: for systems on the network, and for a full disk.
    pub const DEFAULT: Self = Self { first: Duration::from_millis(100), max: Duration::from_secs(10) };

    /// The wait after `failures` failures in a row (at least 1).
    #[must_use]
    pub fn delay(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(30);
        self.first.saturating_mul(1_u32 << doublings).min(self.max)
    }
}

#[cfg(test)]
mod tests;
