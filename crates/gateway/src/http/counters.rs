//! What is counted at every request. A counter is looked up by its labels once and then kept: the look-up costs more than a read from memory.

use std::sync::OnceLock;

use metrics::{Counter, counter};

/// How a read was answered, as the label `cache` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Hit,
    Stale,
    Bypass,
    Miss,
    Refreshed,
    Collapsed,
}

impl Outcome {
    const COUNT: usize = Self::Collapsed as usize + 1;

    fn name(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Stale => "stale",
            Self::Bypass => "bypass",
            Self::Miss => "miss",
            Self::Refreshed => "refreshed",
            Self::Collapsed => "collapsed",
        }
    }
}

/// What an answer was read from, as the label `origin` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Memory,
    CriticalStore,
    EventStore,
    /// The event store, in place of the critical store, which is away.
    EventStoreInstead,
    ReportStore,
}

impl Origin {
    const COUNT: usize = Self::ReportStore as usize + 1;

    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::CriticalStore => "critical-store",
            Self::EventStore | Self::EventStoreInstead => "event-store",
            Self::ReportStore => "report-store",
        }
    }
}

/// Reads of one table: `millstream_http_reads_total`.
#[derive(Default)]
pub(super) struct ReadCounters([[OnceLock<Counter>; Origin::COUNT]; Outcome::COUNT]);

impl ReadCounters {
    /// Counts a read of `table`, which is this table at every call.
    pub fn count(&self, table: &str, outcome: Outcome, origin: Origin) {
        let counter = self.0[outcome as usize][origin as usize].get_or_init(
            || counter!("millstream_http_reads_total", "table" => table.to_owned(), "cache" => outcome.name(), "origin" => origin.name()),
        );
        counter.increment(1);
    }
}

/// Responses by status: `millstream_http_responses_total`.
pub(super) struct ResponseCounters([OnceLock<Counter>; Self::STATUSES]);

impl ResponseCounters {
    /// Three digits (RFC 9110, 15).
    const STATUSES: usize = 1_000;

    pub fn count(&self, status: u16) {
        let new = || counter!("millstream_http_responses_total", "status" => status.to_string());
        match self.0.get(usize::from(status)) {
            Some(counter) => counter.get_or_init(new).increment(1),
            None => new().increment(1),
        }
    }
}

impl Default for ResponseCounters {
    fn default() -> Self {
        Self([const { OnceLock::new() }; Self::STATUSES])
    }
}
