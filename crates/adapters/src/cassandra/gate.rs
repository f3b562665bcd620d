//! [`Gate`]: the bound on requests in flight, which gives way when the service refuses requests for their rate.
//!
//! As TCP does with its window: a refusal halves the bound, and as many answers as it allows widen it by one, up to what the settings say.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use millstream_core::Timestamp;
use tokio::sync::Notify;

/// How many requests may be in flight: pure.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Limit {
    now: usize,
    most: usize,
    /// Answers since the limit changed.
    answers: usize,
    /// Until then refusals belong to what was sent before the limit was halved.
    settled: Timestamp,
}

impl Limit {
    fn new(most: usize) -> Self {
        Self { now: most, most, answers: 0, settled: Timestamp(i64::MIN) }
    }

    /// Whether the limit was halved; `pause` is how long the request that was refused waits.
    fn refused(&mut self, now: Timestamp, pause: Duration) -> bool {
        if now < self.settled {
            return false;
        }
        self.settled = Timestamp(now.micros().saturating_add(i64::try_from(pause.as_micros()).unwrap_or(i64::MAX)));
        self.answers = 0;
        let halved = self.now > 1;
        self.now = (self.now / 2).max(1);
        halved
    }

    /// Whether one more may be in flight.
    fn answered(&mut self) -> bool {
        if self.now >= self.most {
            return false;
        }
        self.answers += 1;
        let is_wider = self.answers >= self.now;
        if is_wider {
            self.now += 1;
            self.answers = 0;
        }
        is_wider
    }
}

/// A bound on requests in flight.
#[derive(Debug)]
pub(super) struct Gate {
    state: Mutex<State>,
    room: Notify,
}

#[derive(Debug)]
struct State {
    limit: Limit,
    in_flight: usize,
}

/// A request that is in flight, until this is dropped.
pub(super) struct Pass<'a>(&'a Gate);

impl Gate {
    /// At most `most` requests at a time, at least one.
    pub fn new(most: usize) -> Self {
        Self { state: Mutex::new(State { limit: Limit::new(most.max(1)), in_flight: 0 }), room: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while too many requests are in flight.
    pub async fn enter(&self) -> Pass<'_> {
        loop {
            let room = self.room.notified();
            {
                let mut state = self.state();
                if state.in_flight < state.limit.now {
                    state.in_flight += 1;
                    return Pass(self);
                }
            }
            room.await;
        }
    }

    /// A request was refused for its rate, and waits for `pause`. Returns the new bound where this narrowed it.
    pub fn refused(&self, now: Timestamp, pause: Duration) -> Option<usize> {
        let mut state = self.state();
        state.limit.refused(now, pause).then_some(state.limit.now)
    }

    /// A request was answered.
    pub fn answered(&self) {
        if self.state().limit.answered() {
            self.room.notify_one();
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.0.state().in_flight -= 1;
        self.0.room.notify_one();
    }
}

#[cfg(test)]
mod tests;
