//! The endpoint's settings: data, checked without touching anything.

use std::time::Duration;

use millstream_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// What an acknowledgement means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Acknowledged records survive the death of the process (`kill -9`): they are in the operating system's page cache.
    #[default]
    Process,
    /// Acknowledged records survive a power loss too: they were flushed to the disk (fsync) first.
    Fsync,
}

/// Settings of the built-in Kafka endpoint. Every field has a default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BrokerSettings {
    /// What an acknowledgement means: `process` (default) or `fsync`.
    pub durability: Durability,
    /// How long records are kept, in seconds, in topics that don't say it themselves (`retention.ms`). Absent: for ever.
    /// Whole segments are removed once their newest record is older.
    pub retention_secs: Option<u64>,
    /// How often retention is looked after, in seconds.
    pub retention_check_secs: u64,
    /// A segment file that has reached this size is closed and a new one begun, in bytes.
    pub segment_bytes: u64,
    /// The largest record batch that a producer may send, in bytes (Kafka's `message.max.bytes`).
    pub message_bytes_max: usize,
    /// Whether asking for an unknown topic's metadata creates it.
    pub auto_create_topics: bool,
    /// Partitions of a topic that is created without saying how many.
    pub default_partitions: i32,
    /// Partitions that all topics together may have.
    pub partitions_max: usize,
    /// The host name that clients are told to connect to. Absent: the address that they reached the endpoint by.
    pub advertised_host: Option<String>,
    /// Connections that may be open at once; further ones are closed at once.
    pub connections_max: usize,
    /// The largest request, in bytes.
    pub request_bytes_max: usize,
    /// Bytes of requests that may be in memory at once, over all connections: reading waits beyond that.
    pub in_flight_bytes_max: usize,
    /// The most records that one fetch response holds, in bytes; a single larger batch is sent all the same.
    pub fetch_bytes_max: usize,
    /// Consumer groups that may exist at once.
    pub groups_max: usize,
    /// How long a shutdown waits for requests that are being answered, in seconds.
    pub drain_secs: u64,
}

impl Default for BrokerSettings {
    fn default() -> Self {
        Self {
            durability: Durability::Process,
            retention_secs: None,
            retention_check_secs: 60,
            segment_bytes: 128 << 20,
            message_bytes_max: (1 << 20) + 12,
            auto_create_topics: false,
            default_partitions: 1,
            partitions_max: 4096,
            advertised_host: None,
            connections_max: 1024,
            request_bytes_max: 32 << 20,
            in_flight_bytes_max: 256 << 20,
            fetch_bytes_max: 8 << 20,
            groups_max: 10_000,
            drain_secs: 5,
        }
    }
}

impl BrokerSettings {
    /// Checks that the settings make sense together: [`InvalidInput`](millstream_core::ErrorKind::InvalidInput) names the first
    /// one that doesn't.
    pub fn validate(&self) -> Result<()> {
        let smallest: [(&str, u64, u64); 8] = [
            ("segment_bytes", self.segment_bytes, 1 << 10),
            ("retention_check_secs", self.retention_check_secs, 1),
            ("message_bytes_max", self.message_bytes_max as u64, 1 << 10),
            ("partitions_max", self.partitions_max as u64, 1),
            ("connections_max", self.connections_max as u64, 1),
            ("request_bytes_max", self.request_bytes_max as u64, 1 << 12),
            ("fetch_bytes_max", self.fetch_bytes_max as u64, 1),
            ("groups_max", self.groups_max as u64, 1),
        ];
        for (name, value, min) in smallest {
            if value < min {
                return Err(Error::invalid(format!("broker.{name} is {value}: it must be at least {min}")));
            }
        }
        if self.message_bytes_max >= self.request_bytes_max {
            return Err(Error::invalid(format!(
                "broker.message_bytes_max ({}) must be less than broker.request_bytes_max ({}): a batch travels in a request",
                self.message_bytes_max, self.request_bytes_max
            )));
        }
        if self.in_flight_bytes_max < self.request_bytes_max || self.in_flight_bytes_max > u32::MAX as usize {
            return Err(Error::invalid(format!(
                "broker.in_flight_bytes_max is {}: it must be from broker.request_bytes_max ({}) to {}",
                self.in_flight_bytes_max,
                self.request_bytes_max,
                u32::MAX
            )));
        }
        if self.default_partitions < 1 || self.default_partitions as usize > self.partitions_max {
            return Err(Error::invalid(format!(
                "broker.default_partitions is {}: it must be from 1 to broker.partitions_max ({})",
                self.default_partitions, self.partitions_max
            )));
        }
        Ok(())
    }

    /// How long records are kept by default.
    #[must_use]
    pub fn retention(&self) -> Option<Duration> {
        self.retention_secs.map(Duration::from_secs)
    }
}

#[cfg(test)]
mod tests;
