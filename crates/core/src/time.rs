//! Time, as three different types that can't be mixed up: when something happened ([`EventTime`]), what the wall clock says
//! ([`Timestamp`]), and which of two writes of a key wins ([`Version`]). All are microseconds since 1970-01-01T00:00:00Z.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

macro_rules! micros {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl $name {
            /// The earliest value.
            pub const MIN: Self = Self(i64::MIN);
            /// The latest value.
            pub const MAX: Self = Self(i64::MAX);

            /// Microseconds since the epoch.
            #[must_use]
            pub fn micros(self) -> i64 {
                self.0
            }

            /// This much later; stops at [`Self::MAX`].
            #[must_use]
            pub fn plus(self, by: Duration) -> Self {
                Self(self.0.saturating_add(micros_of(by)))
            }

            /// This much earlier; stops at [`Self::MIN`].
            #[must_use]
            pub fn minus(self, by: Duration) -> Self {
                Self(self.0.saturating_sub(micros_of(by)))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match chrono::DateTime::from_timestamp_micros(self.0) {
                    Some(t) => write!(f, "{}", t.format("%Y-%m-%dT%H:%M:%S%.fZ")),
                    None => write!(f, "{}us", self.0),
                }
            }
        }
    };
}

micros! {
    /// When an event happened, by its own account: the column that a `WATERMARK` names.
    EventTime
}
micros! {
    /// What the wall clock says, or said when a record was appended: processing time.
    Timestamp
}
micros! {
    /// Which write of a key wins: the greater one. Cassandra's `USING TIMESTAMP`; expiry counts from it.
    Version
}

/// A duration in microseconds, stopping at `i64::MAX`.
#[must_use]
pub fn micros_of(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// The version of a stateless row: `max(previous version of its source partition + 1, record timestamp)`.
///
/// It depends on nothing but the partition's records up to this one, so a replay gives the same versions again.
#[must_use]
pub fn next_version(previous: Version, record: Timestamp) -> Version {
    Version(record.0.max(previous.0.saturating_add(1)))
}
