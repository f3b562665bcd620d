//! The HTTP listener's settings, as they stand under `[http]`.

use std::time::Duration;

use millstream_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// Bounds and ages of the HTTP API. Absent keys have the default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpSettings {
    /// Rows of a page when the request names no `limit`.
    pub page_rows_default: usize,
    /// The greatest `limit`.
    pub page_rows_max: usize,
    /// How long a request may take, in seconds; then it is answered with 504.
    pub request_timeout_s: u64,
    /// How long a client may take to send the head of a request, in seconds; also how long an idle connection is kept.
    pub header_timeout_s: u64,
    /// The largest request head, in bytes (at least 8,192); a longer one is answered with 431.
    pub header_bytes_max: usize,
    /// The longest request target, in bytes; a longer one is answered with 414.
    pub uri_bytes_max: usize,
    /// Connections at one time; further ones wait to be accepted.
    pub connections_max: usize,
    /// Requests at one time; further ones are answered with 503.
    pub requests_max: usize,
    /// Memory for cached answers, in bytes; 0 keeps none.
    pub cache_bytes_max: u64,
    /// How long a cached answer is fresh, in seconds, where no write makes it invalid before.
    pub cache_age_s_max: u64,
    /// The same for an answer without rows.
    pub cache_negative_age_s_max: u64,
    /// How long a cached answer that is no longer fresh may still be given while its store doesn't answer, in seconds.
    pub cache_stale_s_max: u64,
    /// How long a read waits for the store of critical events, in milliseconds; then it goes on from the event store.
    pub critical_timeout_ms: u64,
    /// After so many such reads in a row that failed, or when half of the last 64 did, that store is left alone, and reads go on without it
    /// at once.
    pub critical_failures_max: u32,
    /// For how long, in milliseconds; then one read at a time tries it again.
    pub critical_retry_ms: u64,
    /// How long requests may go on after a shutdown began, in seconds.
    pub drain_s_max: u64,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            page_rows_default: 100,
            page_rows_max: 10_000,
            request_timeout_s: 10,
            header_timeout_s: 30,
            header_bytes_max: 32 * 1024,
            uri_bytes_max: 8 * 1024,
            connections_max: 1024,
            requests_max: 2048,
            cache_bytes_max: 64 * 1024 * 1024,
            cache_age_s_max: 60,
            cache_negative_age_s_max: 5,
            cache_stale_s_max: 600,
            critical_timeout_ms: 1_000,
            critical_failures_max: 5,
            critical_retry_ms: 5_000,
            drain_s_max: 10,
        }
    }
}

impl HttpSettings {
    /// Checks what would make the API useless. [`InvalidInput`](millstream_core::ErrorKind::InvalidInput) names the setting.
    pub fn validate(&self) -> Result<()> {
        let positive = [
            ("page_rows_default", self.page_rows_default as u64),
            ("request_timeout_s", self.request_timeout_s),
            ("header_timeout_s", self.header_timeout_s),
            ("uri_bytes_max", self.uri_bytes_max as u64),
            ("connections_max", self.connections_max as u64),
            ("requests_max", self.requests_max as u64),
            ("critical_timeout_ms", self.critical_timeout_ms),
            ("critical_failures_max", self.critical_failures_max.into()),
            ("critical_retry_ms", self.critical_retry_ms),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(Error::invalid(format!("http.{name} is 0; give it a positive value or leave it out")));
        }
        if self.page_rows_max < self.page_rows_default {
            return Err(Error::invalid(format!(
                "http.page_rows_max ({}) is less than http.page_rows_default ({})",
                self.page_rows_max, self.page_rows_default
            )));
        }
        if self.header_bytes_max < 8192 {
            return Err(Error::invalid(format!("http.header_bytes_max is {}; it must be at least 8192", self.header_bytes_max)));
        }
        if Duration::from_millis(self.critical_timeout_ms) > self.request_timeout() {
            return Err(Error::invalid(format!(
                "http.critical_timeout_ms ({}) is longer than http.request_timeout_s ({}), so no read would go on without the store",
                self.critical_timeout_ms, self.request_timeout_s
            )));
        }
        Ok(())
    }

    /// [`Self::request_timeout_s`] as a duration.
    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        Duration::from_secs(self.request_timeout_s)
    }
}

#[cfg(test)]
mod tests;
