//! The circuit breaker before a store: whether a call may go through, decided by what became of the calls before it. Pure.
//!
//! *Closed*, every call goes through. It *opens* when the store failed too often, and calls are refused without being made. After a while
//! it is *half-open*: one call, the probe, goes through, and its outcome closes the breaker or opens it again. Each change begins a new
//! period, and what becomes of a call that began in an earlier one is ignored: it says nothing of the store as it is now.

use std::time::Duration;

use millstream_core::Timestamp;

/// The share of failures is taken over so many calls.
const RECENT: u32 = u64::BITS;

/// When it opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BreakerPolicy {
    /// It opens after so many failures in a row; and when half of the last 64 calls failed.
    pub failures_max: u32,
    /// So long after the failure that opened it, a probe may go through.
    pub retry_after: Duration,
}

/// What a breaker does with calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BreakerState {
    /// All go through.
    Closed,
    /// None does, since then.
    Open(Timestamp),
    /// None but the probe does, since then.
    HalfOpen(Timestamp),
}

/// Whether a call may be made.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It may.
    Pass(Permit),
    /// It may, as the one that finds out whether the store is back.
    Probe(Permit),
    /// It may not; another is worth a try after so long.
    Refused(Duration),
}

/// The right to make one call, to be given back to [`Breaker::settle`] with what became of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Permit {
    period: u64,
}

/// A change that is worth a word in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// From closed to open.
    Opened,
    /// Closed again, after so long.
    Closed(Duration),
}

/// The machine.
#[derive(Debug)]
pub(crate) struct Breaker {
    policy: BreakerPolicy,
    state: State,
    period: u64,
}

#[derive(Debug)]
enum State {
    Closed(Tally),
    Open { since: Timestamp, probe_at: Timestamp },
    HalfOpen { since: Timestamp },
}

/// What became of the latest calls.
#[derive(Debug, Default)]
struct Tally {
    failures_in_row: u32,
    calls: u32,
    /// A bit for each of the last [`RECENT`] calls, set for a failure.
    recent: u64,
}

impl Tally {
    fn count(&mut self, answered: bool) {
        self.failures_in_row = if answered { 0 } else { self.failures_in_row.saturating_add(1) };
        self.calls = (self.calls + 1).min(RECENT);
        self.recent = self.recent << 1 | u64::from(!answered);
    }

    fn is_too_much(&self, failures_max: u32) -> bool {
        let half = self.calls == RECENT && self.recent.count_ones() >= RECENT / 2;
        self.failures_in_row >= failures_max || half
    }
}

impl Breaker {
    /// A closed one.
    pub fn new(policy: BreakerPolicy) -> Self {
        Self { policy, state: State::Closed(Tally::default()), period: 0 }
    }

    /// What it does with calls. An open one stays so until a call comes that may be its probe.
    pub fn state(&self) -> BreakerState {
        match self.state {
            State::Closed(_) => BreakerState::Closed,
            State::Open { since, .. } => BreakerState::Open(since),
            State::HalfOpen { since } => BreakerState::HalfOpen(since),
        }
    }

    /// Decides on a call.
    pub fn admit(&mut self, now: Timestamp) -> Admission {
        match self.state {
            State::Closed(_) => Admission::Pass(Permit { period: self.period }),
            State::Open { since, .. } => {
                let wait = self.wait(now);
                if !wait.is_zero() {
                    return Admission::Refused(wait);
                }
                self.enter(State::HalfOpen { since });
                Admission::Probe(Permit { period: self.period })
            }
            State::HalfOpen { .. } => Admission::Refused(Duration::ZERO),
        }
    }

    /// Takes a permit back, and learns whether the store answered.
    pub fn settle(&mut self, permit: Permit, answered: bool, now: Timestamp) -> Option<Change> {
        if permit.period != self.period {
            return None;
        }
        let probe_at = now.plus(self.policy.retry_after);
        match &mut self.state {
            State::Closed(tally) => {
                tally.count(answered);
                if answered || !tally.is_too_much(self.policy.failures_max) {
                    return None;
                }
                self.enter(State::Open { since: now, probe_at });
                Some(Change::Opened)
            }
            State::HalfOpen { since } => {
                let since = *since;
                if !answered {
                    self.enter(State::Open { since, probe_at });
                    return None;
                }
                self.enter(State::Closed(Tally::default()));
                Some(Change::Closed(Duration::from_micros(now.micros().saturating_sub(since.micros()).max(0).unsigned_abs())))
            }
            // No call of this period was let through.
            State::Open { .. } => None,
        }
    }

    /// After how long a call is worth a try: at once, unless it is open.
    pub fn wait(&self, now: Timestamp) -> Duration {
        let State::Open { probe_at, .. } = self.state else { return Duration::ZERO };
        let wait = Duration::from_micros(probe_at.micros().saturating_sub(now.micros()).max(0).unsigned_abs());
        // The wall clock can be set back: nobody waits longer than he would have then.
        if wait > self.policy.retry_after { Duration::ZERO } else { wait }
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.period += 1;
    }
}

#[cfg(test)]
mod tests;
