//! Patience: what is done about a system that does not answer, by one rule for flows, jobs, reference data and verification.
//!
//! An error that may pass is waited out with back-off, for as long as it takes. Whoever waits says so when it begins, then at most every
//! ten seconds, and once when it goes on: an outage is a handful of lines in the log, however often it is tried meanwhile.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use millstream_core::ports::Clock;
use millstream_core::retry::Backoff;
use millstream_core::{Error, Result, Timestamp};

/// At least so long between two warnings of one waiter.
const WARN_EVERY: Duration = Duration::from_secs(10);

/// The patience of one flow, job or table.
pub(crate) struct Patience {
    /// Who waits, for the log: `flow departures`.
    who: String,
    clock: Arc<dyn Clock>,
    outage: Mutex<Outage>,
}

/// What goes on at the moment.
#[derive(Clone, Copy, Debug, Default)]
struct Outage {
    failures: u32,
    since: Option<Timestamp>,
    /// Whether this outage was told of.
    told: bool,
    /// When somebody was last told of any.
    told_at: Option<Timestamp>,
}

impl Patience {
    pub(crate) fn new(who: impl Into<String>, clock: Arc<dyn Clock>) -> Self {
        Self { who: who.into(), clock, outage: Mutex::default() }
    }

    fn outage(&self) -> MutexGuard<'_, Outage> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a failure: how long to wait before the next try, or `None` where waiting can't help.
    pub(crate) fn failed(&self, error: &Error) -> Option<Duration> {
        if !error.kind().is_transient() {
            return None;
        }
        let now = self.clock.now();
        let mut outage = self.outage();
        outage.failures = outage.failures.saturating_add(1);
        outage.since.get_or_insert(now);
        if outage.told_at.is_none_or(|at| at.plus(WARN_EVERY) <= now) {
            outage.told = true;
            outage.told_at = Some(now);
            tracing::warn!(who = self.who, %error, failures = outage.failures, "waiting for a system that does not answer");
        }
        Some(Backoff::DEFAULT.delay(outage.failures))
    }

    /// Takes note of an answer. Whether it ends an outage.
    pub(crate) fn answered(&self) -> bool {
        let mut outage = self.outage();
        if outage.failures == 0 {
            return false;
        }
        if outage.told {
            let waited = self.clock.now().0 - outage.since.map_or(0, |t| t.0);
            tracing::info!(who = self.who, waited_ms = waited / 1_000, "the system answers again");
        }
        *outage = Outage { told_at: outage.told_at, ..Outage::default() };
        true
    }

    /// Calls until there is an answer, or an error that waiting can't mend. To be dropped by whoever gives up.
    pub(crate) async fn until_answered<T, F: Future<Output = Result<T>>>(&self, mut call: impl FnMut() -> F) -> Result<T> {
        loop {
            match call().await {
                Ok(answer) => {
                    self.answered();
                    return Ok(answer);
                }
                Err(error) => match self.failed(&error) {
                    Some(delay) => self.clock.sleep(delay).await,
                    None => return Err(error),
                },
            }
        }
    }
}

#[cfg(test)]
mod tests;
