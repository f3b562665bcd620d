//! How long a cached answer is good for: pure.

use std::time::Duration;

use millstream_core::Timestamp;
use millstream_core::time::micros_of;

/// The ages that the settings allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CachePolicy {
    /// An answer with rows is fresh for at most this long.
    pub age_max: Duration,
    /// An answer without rows is fresh for at most this long.
    pub negative_age_max: Duration,
    /// After that it may be given for this long while the store doesn't answer.
    pub stale_max: Duration,
}

/// When an answer was stored, and until when it is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// When it was read from the store.
    pub stored: Timestamp,
    /// Until when it is given without asking the store.
    pub fresh_until: Timestamp,
    /// Until when it is given if the store doesn't answer.
    pub usable_until: Timestamp,
}

/// How good an answer is at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// It may be given.
    Fresh,
    /// It may be given only if the store doesn't answer.
    Stale,
    /// It may not be given.
    Expired,
}

impl CachePolicy {
    /// The lifetime of an answer that was read at `now`. `earliest_expiry` is when the first of its rows expires: it is neither
    /// fresh nor usable from then on. Up to a tenth is taken off the age, by `seed`, so that answers that were stored together
    /// don't have to be read again together.
    #[must_use]
    pub fn lifetime(&self, now: Timestamp, negative: bool, earliest_expiry: Option<Timestamp>, seed: u64) -> Lifetime {
        let age = if negative { self.negative_age_max } else { self.age_max };
        let tenth = micros_of(age) / 10;
        let off = if tenth > 0 { i64::try_from(seed % tenth.unsigned_abs()).unwrap_or_default() } else { 0 };
        let expiry = earliest_expiry.unwrap_or(Timestamp::MAX);
        let fresh_until = Timestamp(now.plus(age).micros().saturating_sub(off)).min(expiry);
        Lifetime { stored: now, fresh_until, usable_until: fresh_until.plus(self.stale_max).min(expiry) }
    }
}

impl Lifetime {
    /// How good the answer is at `now`.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> Freshness {
        if now < self.fresh_until {
            Freshness::Fresh
        } else if now < self.usable_until {
            Freshness::Stale
        } else {
            Freshness::Expired
        }
    }

    /// Whole seconds for which it stays fresh; negative once it is stale (RFC 9211, `ttl`).
    #[must_use]
    pub fn ttl_s(&self, now: Timestamp) -> i64 {
        self.fresh_until.micros().saturating_sub(now.micros()).div_euclid(1_000_000)
    }

    /// Whole seconds since it was read (RFC 9111, `Age`).
    #[must_use]
    pub fn age_s(&self, now: Timestamp) -> i64 {
        (now.micros().saturating_sub(self.stored.micros()) / 1_000_000).max(0)
    }
}

#[cfg(test)]
mod tests;
