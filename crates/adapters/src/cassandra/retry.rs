//! Whether a request is sent again after an error, and how long to wait before: pure. What the driver does by itself (another node for a
//! statement that may be sent twice) comes before this.
//!
//! Cassandra's own errors are the answer: a flow tries its epoch again. Cosmos DB answers what exceeds the throughput that was paid for with
//! `Overloaded`, and says in the message when to come again (`RetryAfterMs=<n>`); such a request was not carried out, so that every
//! statement may be sent again, conditional ones too.

use std::time::Duration;

use millstream_core::Timestamp;
use scylla::errors::{DbError, ExecutionError, PrepareError, RequestAttemptError};

use super::settings::Preset;

/// The wait after the first refusal that names none; one more of it after each further one.
const STEP: Duration = Duration::from_secs(1);

/// The tries of one request.
#[derive(Debug)]
pub(super) struct Retries {
    preset: Option<Preset>,
    deadline: Timestamp,
    refused: u32,
}

impl Retries {
    /// A request that begins `now` and may take `timeout` with its retries.
    pub fn new(preset: Option<Preset>, now: Timestamp, timeout: Duration) -> Self {
        Self { preset, deadline: after(now, timeout), refused: 0 }
    }

    /// How often it was refused for its rate.
    pub fn refused(&self) -> u32 {
        self.refused
    }

    /// What is left of its time at `now`.
    pub fn left(&self, now: Timestamp) -> Duration {
        Duration::from_micros(u64::try_from(self.deadline.micros() - now.micros()).unwrap_or(0))
    }

    /// How long to wait before the next try, a little longer as `chance` has it, so that those who were refused together don't come again
    /// together. `None`: the error is the answer, or there is no time left.
    pub fn pause_after(&mut self, error: &ExecutionError, now: Timestamp, chance: u64) -> Option<Duration> {
        let message = refusal(error)?;
        match self.preset {
            None => return None,
            Some(Preset::CosmosDb) => self.refused += 1,
        }
        let pause = match retry_after(message) {
            Some(named) => named + part(named / 4, chance),
            None => STEP * self.refused + part(STEP, chance),
        };
        (pause < self.left(now)).then_some(pause)
    }
}

/// The message with which a request, or the preparation of its statement, was refused for its rate.
fn refusal(error: &ExecutionError) -> Option<&str> {
    match error {
        ExecutionError::LastAttemptError(RequestAttemptError::DbError(DbError::Overloaded, message))
        | ExecutionError::PrepareError(PrepareError::AllAttemptsFailed {
            first_attempt: RequestAttemptError::DbError(DbError::Overloaded, message),
            ..
        }) => Some(message),
        _ => None,
    }
}

fn after(now: Timestamp, duration: Duration) -> Timestamp {
    Timestamp(now.micros().saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
}

/// The wait that the service names.
fn retry_after(message: &str) -> Option<Duration> {
    let (_, rest) = message.split_once("RetryAfterMs=")?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok().map(Duration::from_millis)
}

/// A part of `most`: evenly spread over `chance`s, whatever those are (SplitMix64).
fn part(most: Duration, chance: u64) -> Duration {
    let mut z = chance.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    let fraction = u32::try_from((z ^ (z >> 31)) >> 32).unwrap_or(0);
    most.mul_f64(f64::from(fraction) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests;
