//! What a producer can be told, checked without any I/O.

use std::time::Duration;

use millstream_core::{Error, Result};
use rdkafka::ClientConfig;
use serde::{Deserialize, Serialize};

/// How batches of records are compressed on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip: what Event Hubs takes.
    Gzip,
    /// LZ4.
    Lz4,
    /// Snappy.
    Snappy,
}

/// Checks that `servers` is `host:port`, or several of them separated by commas.
pub(super) fn check_servers(setting: &str, servers: &str) -> Result<()> {
    let wrong = |s: &&str| s.rsplit_once(':').is_none_or(|(host, port)| host.is_empty() || port.parse::<u16>().is_err());
    match servers.split(',').map(str::trim).find(wrong) {
        Some(bad) => Err(Error::invalid(format!("{setting}: {bad:?} is not host:port"))),
        None => Ok(()),
    }
}

impl Compression {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Lz4 => "lz4",
            Self::Snappy => "snappy",
        }
    }
}

/// Settings of a [`KafkaProducer`](super::KafkaProducer). Unknown keys are refused; absent ones have the defaults below.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProducerSettings {
    /// Where the cluster is: `host:port`, several separated by commas.
    pub bootstrap_servers: String,
    /// How long a record waits for others to share its batch. 5 ms.
    #[serde(default = "defaults::linger")]
    pub linger: Duration,
    /// How batches are compressed. Not at all.
    #[serde(default)]
    pub compression: Compression,
    /// Whether a retry can never double or reorder records (KIP-98). On.
    #[serde(default = "defaults::idempotence")]
    pub idempotence: bool,
    /// At most so many records wait for their acknowledgement; `send` waits for room. 100,000.
    #[serde(default = "defaults::in_flight_records_max")]
    pub in_flight_records_max: usize,
    /// At most so many bytes of records wait for their acknowledgement (in KiB, at least 1,024). 64 MiB.
    #[serde(default = "defaults::in_flight_kib_max")]
    pub in_flight_kib_max: usize,
    /// How long a record is tried again before its delivery has failed. 120 s.
    #[serde(default = "defaults::delivery_timeout")]
    pub delivery_timeout: Duration,
}

mod defaults {
    use std::time::Duration;

    pub(super) const fn linger() -> Duration {
        Duration::from_millis(5)
    }
    pub(super) const fn idempotence() -> bool {
        true
    }
    pub(super) const fn in_flight_records_max() -> usize {
        100_000
    }
    pub(super) const fn in_flight_kib_max() -> usize {
        64 * 1024
    }
    pub(super) const fn delivery_timeout() -> Duration {
        Duration::from_secs(120)
    }
}

impl ProducerSettings {
    /// The defaults, for the cluster at `bootstrap_servers`.
    pub fn new(bootstrap_servers: impl Into<String>) -> Self {
        Self {
            bootstrap_servers: bootstrap_servers.into(),
            linger: defaults::linger(),
            compression: Compression::default(),
            idempotence: defaults::idempotence(),
            in_flight_records_max: defaults::in_flight_records_max(),
            in_flight_kib_max: defaults::in_flight_kib_max(),
            delivery_timeout: defaults::delivery_timeout(),
        }
    }

    /// Checks what librdkafka would refuse later, or silently misunderstand. [`InvalidInput`](millstream_core::ErrorKind::InvalidInput)
    /// names the setting.
    pub fn validate(&self) -> Result<()> {
        check_servers("bootstrap_servers of kafka", &self.bootstrap_servers)?;
        if !(1..=10_000_000).contains(&self.in_flight_records_max) {
            return Err(Error::invalid("in_flight_records_max of kafka is not between 1 and 10,000,000"));
        }
        if !(1_024..=2_097_151).contains(&self.in_flight_kib_max) {
            return Err(Error::invalid("in_flight_kib_max of kafka is not between 1,024 and 2,097,151"));
        }
        if self.linger > Duration::from_secs(900) {
            return Err(Error::invalid("linger of kafka is longer than 900 s"));
        }
        if self.delivery_timeout <= self.linger {
            return Err(Error::invalid("delivery_timeout of kafka is not longer than its linger"));
        }
        Ok(())
    }

    /// The same in librdkafka's words.
    pub(super) fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.bootstrap_servers)
            .set("client.id", "millstream")
            .set("linger.ms", self.linger.as_millis().to_string())
            .set("compression.type", self.compression.as_str())
            .set("enable.idempotence", self.idempotence.to_string())
            .set("acks", "all")
            // Fewer, larger requests: a batch is up to this many bytes, or records.
            .set("batch.size", "1000000")
            .set("batch.num.messages", "10000")
            // Counted by the producer; librdkafka's bound only has to be no tighter.
            .set("queue.buffering.max.messages", (self.in_flight_records_max + 1).to_string())
            .set("queue.buffering.max.kbytes", self.in_flight_kib_max.to_string())
            .set("message.timeout.ms", self.delivery_timeout.as_millis().to_string())
            // The Java client's partitioner, so that a key lands where any other producer puts it.
            .set("partitioner", "murmur2_random")
            .set("topic.metadata.refresh.fast.interval.ms", "50")
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000")
            .set("socket.keepalive.enable", "true");
        config
    }
}

#[cfg(test)]
mod tests;
