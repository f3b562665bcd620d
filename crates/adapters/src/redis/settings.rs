//! What a connection to Redis can be told, checked without any I/O.

use std::time::Duration;

use millstream_core::{Error, Result};
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};
use serde::{Deserialize, Serialize};

use crate::connection::{Secret, TlsSettings};

/// What a row is in Redis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RowFormat {
    /// A hash with a field a column: `HGET key delay`.
    #[default]
    Hash,
    /// A string that holds a JSON object: `GET key`.
    Json,
}

impl RowFormat {
    /// The word for it in settings, scripts and messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hash => "hash",
            Self::Json => "json",
        }
    }
}

/// The section `[redis]`. Unknown keys are refused; absent ones have the defaults below.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedisSettings {
    /// `redis://host:port/database` or, with TLS, `rediss://host:port`; of a cluster some nodes, separated by commas. No password stands here.
    pub url: String,
    /// Whether the servers are a Redis Cluster. Not.
    #[serde(default)]
    pub cluster: bool,
    /// The ACL user. Redis's `default` user.
    #[serde(default)]
    pub username: Option<String>,
    /// The password, read whenever a connection is made. None.
    #[serde(default)]
    pub password: Option<Secret>,
    /// How the server's certificate is checked, for `rediss://`.
    #[serde(default)]
    pub tls: TlsSettings,
    /// What all of Millstream's keys begin with. `millstream:`.
    #[serde(default = "defaults::key_prefix")]
    pub key_prefix: String,
    /// What a row is: `hash` or `json`. `hash`.
    #[serde(default)]
    pub format: RowFormat,
    /// How long connecting may take, in milliseconds. 3,000.
    #[serde(default = "defaults::connect_timeout_ms")]
    pub connect_timeout_ms: u64,
    /// How long an answer may take, in milliseconds. 3,000.
    #[serde(default = "defaults::request_timeout_ms")]
    pub request_timeout_ms: u64,
    /// How many rows are written by one call of a script (on a cluster: of one slot). The server does nothing else during it. 256.
    #[serde(default = "defaults::rows_a_call")]
    pub rows_a_call: usize,
    /// How many calls are under way at one time. 8.
    #[serde(default = "defaults::calls_in_flight")]
    pub calls_in_flight: usize,
    /// How long a deleted row of a table without `ttl` is remembered, so that an older fill or replay doesn't bring it back, in seconds. 7 days.
    #[serde(default = "defaults::tombstone_s")]
    pub tombstone_s: u64,
    /// The keys that a scan of a table holds in memory, at most. 2,000,000.
    #[serde(default = "defaults::scan_keys_max")]
    pub scan_keys_max: usize,
    /// Memory for rows that were read, in bytes; 0 keeps none. On a single server it is told of every change; on a cluster it is not used. 32 MiB.
    #[serde(default = "defaults::front_bytes")]
    pub front_bytes: u64,
    /// How long a row that was read is taken from memory, in milliseconds. 10,000.
    #[serde(default = "defaults::front_age_ms_max")]
    pub front_age_ms_max: u64,
}

mod defaults {
    pub(super) fn key_prefix() -> String {
        "millstream:".to_owned()
    }
    pub(super) const fn connect_timeout_ms() -> u64 {
        3_000
    }
    pub(super) const fn request_timeout_ms() -> u64 {
        3_000
    }
    pub(super) const fn rows_a_call() -> usize {
        256
    }
    pub(super) const fn calls_in_flight() -> usize {
        8
    }
    pub(super) const fn tombstone_s() -> u64 {
        7 * 24 * 3_600
    }
    pub(super) const fn scan_keys_max() -> usize {
        2_000_000
    }
    pub(super) const fn front_bytes() -> u64 {
        32 << 20
    }
    pub(super) const fn front_age_ms_max() -> u64 {
        10_000
    }
}

impl RedisSettings {
    /// The defaults, for the server at `url`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            cluster: false,
            username: None,
            password: None,
            tls: TlsSettings::default(),
            key_prefix: defaults::key_prefix(),
            format: RowFormat::default(),
            connect_timeout_ms: defaults::connect_timeout_ms(),
            request_timeout_ms: defaults::request_timeout_ms(),
            rows_a_call: defaults::rows_a_call(),
            calls_in_flight: defaults::calls_in_flight(),
            tombstone_s: defaults::tombstone_s(),
            scan_keys_max: defaults::scan_keys_max(),
            front_bytes: defaults::front_bytes(),
            front_age_ms_max: defaults::front_age_ms_max(),
        }
    }

    /// Checks what would fail later. [`InvalidInput`](millstream_core::ErrorKind::InvalidInput) names the setting.
    pub fn validate(&self) -> Result<()> {
        self.nodes()?;
        self.tls.validate("redis")?;
        if self.tls != TlsSettings::default() && !self.uses_tls() {
            return Err(Error::invalid("redis.tls is set and redis.url does not begin with rediss://: one of them is wrong"));
        }
        if self.username.is_some() && self.password.is_none() {
            return Err(Error::invalid("redis.username is set and redis.password is not"));
        }
        if self.key_prefix.contains(['{', '}']) {
            return Err(Error::invalid("redis.key_prefix holds a brace; on a cluster all keys would lie in one slot"));
        }
        for (setting, value) in [("connect_timeout_ms", self.connect_timeout_ms), ("request_timeout_ms", self.request_timeout_ms)] {
            if !(1..=10_000).contains(&value) {
                return Err(Error::invalid(format!("redis.{setting} is {value}; it must be between 1 and 10000")));
            }
        }
        if !(1..=10_000).contains(&self.rows_a_call) {
            return Err(Error::invalid(format!("redis.rows_a_call is {}; it must be between 1 and 10000", self.rows_a_call)));
        }
        if !(1..=1_000).contains(&self.calls_in_flight) {
            return Err(Error::invalid(format!("redis.calls_in_flight is {}; it must be between 1 and 1000", self.calls_in_flight)));
        }
        Ok(())
    }

    /// The nodes that `url` names.
    pub(super) fn nodes(&self) -> Result<Vec<ConnectionInfo>> {
        let nodes = self.url.split(',').map(|url| node(url.trim())).collect::<Result<Vec<_>>>()?;
        if nodes.len() > 1 && !self.cluster {
            return Err(Error::invalid("redis.url names several servers: set redis.cluster = true, or name one"));
        }
        if self.cluster && nodes.iter().any(|n| n.redis_settings().db() != 0) {
            return Err(Error::invalid("redis.url names a database; a Redis Cluster has database 0 alone"));
        }
        let tls: Vec<bool> = nodes.iter().map(|n| matches!(n.addr(), ConnectionAddr::TcpTls { .. })).collect();
        if tls.contains(&true) && tls.contains(&false) {
            return Err(Error::invalid("redis.url mixes redis:// and rediss://"));
        }
        Ok(nodes)
    }

    /// Whether connections are encrypted.
    pub(super) fn uses_tls(&self) -> bool {
        self.url.trim_start().starts_with("rediss://")
    }

    /// The servers' addresses, for messages.
    pub(super) fn servers(&self) -> String {
        let nodes = self.nodes().unwrap_or_default();
        nodes.iter().map(|n| n.addr().to_string()).collect::<Vec<_>>().join(", ")
    }

    /// [`Self::connect_timeout_ms`] as a duration.
    pub(super) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    /// [`Self::request_timeout_ms`] as a duration.
    pub(super) fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }
}

/// The node at `url`. The text is shown in no error: what is refused may hold a password.
fn node(url: &str) -> Result<ConnectionInfo> {
    let wrong = || Error::invalid("redis.url is not redis://host:port or rediss://host:port (with /database, if not 0)");
    if !url.starts_with("redis://") && !url.starts_with("rediss://") {
        return Err(wrong());
    }
    if url.contains(['#', '?']) {
        return Err(Error::invalid("redis.url takes no options after ? or #; they are settings of their own in [redis]"));
    }
    let node = url.into_connection_info().map_err(|_| wrong())?;
    if node.redis_settings().password().is_some() || node.redis_settings().username().is_some() {
        return Err(Error::invalid(
            "redis.url holds a user or a password: use redis.username and redis.password = { env = \"VARIABLE\" } or { file = \"/path\" }",
        ));
    }
    Ok(node)
}

#[cfg(test)]
mod tests;
