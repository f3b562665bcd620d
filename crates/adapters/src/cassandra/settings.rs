//! [`CassandraSettings`]: the section `[cassandra]` of `millstream.toml`, checked without any I/O.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_core::{Error, Result};
use serde::{Deserialize, Serialize};

use super::names;
use crate::connection::{Secret, TlsSettings};

/// How many replicas answer before a read or write counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ConsistencyLevel {
    /// One of any datacenter. A read may miss a row that was just written.
    One,
    /// One of the local datacenter. A read may miss a row that was just written.
    LocalOne,
    /// Most of all datacenters.
    Quorum,
    /// Most of the local datacenter: the default. With it a read sees every committed epoch.
    #[default]
    LocalQuorum,
    /// Most of each datacenter; writes only, reads are then `LOCAL_QUORUM`.
    EachQuorum,
    /// All. One node that is away stops everything.
    All,
}

/// The CQL type of TIMESTAMP and TIMESTAMP_NTZ columns in tables that Millstream creates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimestampColumns {
    /// `bigint` of microseconds: loses nothing.
    #[default]
    Bigint,
    /// CQL's `timestamp`, which has milliseconds: what other services expect. A value with a finer part is refused, not rounded.
    Timestamp,
}

/// A service that speaks CQL and differs from Apache Cassandra.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// Azure Cosmos DB for Apache Cassandra: port 10350, TLS, a user (the account) and a password (its key), requests that may wait 90 s,
    /// no routing by token, requests that are rate-limited sent again when the service says so, and the service's own change feed.
    CosmosDb,
}

/// Settings of the event store on Apache Cassandra and on services that speak its protocol. Unknown keys are refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CassandraSettings {
    /// Nodes to find the cluster by: `host` or `host:port` (9042 where it is absent; 10350 with the preset `cosmos-db`).
    pub contact_points: Vec<String>,
    /// The keyspace that holds the tables: letters, digits and underscores.
    pub keyspace: String,
    /// Copies of each row by datacenter (`{ datacenter1 = 3 }`), for a keyspace that is absent. Not set: the keyspace must exist.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub replication: BTreeMap<String, u32>,
    /// The datacenter to talk to. Not set: any.
    #[serde(default)]
    pub local_datacenter: Option<String>,
    /// How many replicas answer. `LOCAL_QUORUM`.
    #[serde(default)]
    pub consistency: ConsistencyLevel,
    /// The user; goes with `password`.
    #[serde(default)]
    pub username: Option<String>,
    /// The user's password, read again at each connection.
    #[serde(default)]
    pub password: Option<Secret>,
    /// TLS, with what is trusted. Not set: plain text; under `cosmos-db` TLS that trusts the system's authorities.
    #[serde(default)]
    pub tls: Option<TlsSettings>,
    /// Whether connections are TLS. On where `tls` is set, and under `cosmos-db`, where it is off for a stand-in on this machine alone.
    #[serde(default)]
    pub encrypted: Option<bool>,
    /// The DNS name that the nodes' certificates carry, where they don't carry the nodes' IP addresses. Under `cosmos-db` the first contact
    /// point's.
    #[serde(default)]
    pub certificate_name: Option<String>,
    /// A service that differs from Apache Cassandra.
    #[serde(default)]
    pub preset: Option<Preset>,
    /// Request units per second that a table is created with (Cosmos DB: `cosmosdb_provisioned_throughput`).
    #[serde(default)]
    pub provisioned_throughput: Option<u32>,
    /// The most request units per second that a table is created with (Cosmos DB: `cosmosdb_autoscale_max_throughput`).
    #[serde(default)]
    pub autoscale_max_throughput: Option<u32>,
    /// The type of timestamp columns in tables that are created. `bigint`.
    #[serde(default)]
    pub timestamps: TimestampColumns,
    /// At most so many write requests wait for their answer. 48.
    #[serde(default = "defaults::writes_in_flight")]
    pub writes_in_flight: usize,
    /// At most so many reads of a scan, or of rows before they change, wait for their answer. 16.
    #[serde(default = "defaults::reads_in_flight")]
    pub reads_in_flight: usize,
    /// How long a connection may take to open, in ms. 5,000.
    #[serde(default = "defaults::connect_timeout_ms")]
    pub connect_timeout_ms: u64,
    /// How long a request may take, with its retries, in ms; a change of the schema six times as long. 10,000; under `cosmos-db` 90,000, for
    /// it retries what is rate-limited by itself.
    #[serde(default)]
    pub request_timeout_ms: Option<u64>,
    /// How many ranges the change log of a new table has. 4.
    #[serde(default = "defaults::feed_shards")]
    pub feed_shards: u32,
    /// How much time of a change log's range is in one partition of it, in s; for new tables. 3,600.
    #[serde(default = "defaults::feed_bucket_s")]
    pub feed_bucket_s: u64,
    /// How long changes stay in the change log, in s. 604,800 (7 days).
    #[serde(default = "defaults::feed_ttl_s")]
    pub feed_ttl_s: u64,
}

mod defaults {
    pub(super) const fn writes_in_flight() -> usize {
        48
    }
    pub(super) const fn reads_in_flight() -> usize {
        16
    }
    pub(super) const fn connect_timeout_ms() -> u64 {
        5_000
    }
    pub(super) const fn feed_shards() -> u32 {
        4
    }
    pub(super) const fn feed_bucket_s() -> u64 {
        3_600
    }
    pub(super) const fn feed_ttl_s() -> u64 {
        7 * 24 * 3_600
    }
}

/// The least request units per second that Cosmos DB gives a table, fixed and as the most that it scales to.
const COSMOS_THROUGHPUT_MIN: u32 = 400;
const COSMOS_AUTOSCALE_MIN: u32 = 1_000;

/// The longest TTL that Cassandra takes, in seconds: 20 years.
pub(super) const TTL_MAX_S: u64 = 20 * 365 * 24 * 3_600;

/// A contact point without its port.
fn host_of(point: &str) -> &str {
    point.rsplit_once(':').map_or(point, |(host, _)| host)
}

impl CassandraSettings {
    /// The defaults, for the keyspace `keyspace` of the cluster at `contact_points`.
    pub fn new(contact_points: impl IntoIterator<Item = impl Into<String>>, keyspace: impl Into<String>) -> Self {
        Self {
            contact_points: contact_points.into_iter().map(Into::into).collect(),
            keyspace: keyspace.into(),
            replication: BTreeMap::new(),
            local_datacenter: None,
            consistency: ConsistencyLevel::default(),
            username: None,
            password: None,
            tls: None,
            encrypted: None,
            certificate_name: None,
            preset: None,
            provisioned_throughput: None,
            autoscale_max_throughput: None,
            timestamps: TimestampColumns::default(),
            writes_in_flight: defaults::writes_in_flight(),
            reads_in_flight: defaults::reads_in_flight(),
            connect_timeout_ms: defaults::connect_timeout_ms(),
            request_timeout_ms: None,
            feed_shards: defaults::feed_shards(),
            feed_bucket_s: defaults::feed_bucket_s(),
            feed_ttl_s: defaults::feed_ttl_s(),
        }
    }

    /// Refuses what can't work. [`InvalidInput`](millstream_core::ErrorKind::InvalidInput) names the setting.
    pub fn validate(&self) -> Result<()> {
        if self.contact_points.is_empty() {
            return Err(Error::invalid("cassandra.contact_points is empty: name at least one node (\"host:9042\")"));
        }
        for point in &self.contact_points {
            let host = point.rsplit_once(':').map_or(Some(point.as_str()), |(host, port)| port.parse::<u16>().ok().map(|_| host));
            if host.is_none_or(str::is_empty) {
                return Err(Error::invalid(format!("cassandra.contact_points: {point:?} is not host or host:port")));
            }
        }
        names::check("cassandra.keyspace", &self.keyspace)?;
        if let Some((name, _)) = self.replication.iter().find(|(name, copies)| name.is_empty() || **copies == 0) {
            return Err(Error::invalid(format!(
                "cassandra.replication: the datacenter {name:?} needs a name and at least 1 copy ({{ datacenter1 = 3 }})"
            )));
        }
        if self.username.is_some() != self.password.is_some() {
            return Err(Error::invalid("cassandra.username and cassandra.password go together: set both or neither"));
        }
        if self.tls.is_some() && self.encrypted == Some(false) {
            return Err(Error::invalid("cassandra.encrypted is false and cassandra.tls is set: take one of them out"));
        }
        match (self.tls(), &self.certificate_name) {
            (Some(tls), _) => tls.validate("cassandra")?,
            (None, Some(_)) => {
                return Err(Error::invalid("cassandra.certificate_name needs cassandra.tls (tls = {} trusts the system's authorities)"));
            }
            (None, None) => {}
        }
        self.validate_preset()?;
        let at_least = |setting: &str, value: u64, least: u64, most: u64| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            Err(Error::invalid(format!("cassandra.{setting} is {value}: it must be from {least} to {most}")))
        };
        at_least("writes_in_flight", self.writes_in_flight as u64, 1, 10_000)?;
        at_least("reads_in_flight", self.reads_in_flight as u64, 1, 10_000)?;
        at_least("connect_timeout_ms", self.connect_timeout_ms, 100, 60_000)?;
        at_least("request_timeout_ms", self.request_timeout_ms(), 100, 120_000)?;
        at_least("feed_shards", self.feed_shards.into(), 1, 1_024)?;
        at_least("feed_bucket_s", self.feed_bucket_s, 1, 30 * 24 * 3_600)?;
        at_least("feed_ttl_s", self.feed_ttl_s, 60, TTL_MAX_S)
    }

    fn validate_preset(&self) -> Result<()> {
        if self.provisioned_throughput.is_some() && self.autoscale_max_throughput.is_some() {
            return Err(Error::invalid(
                "cassandra.provisioned_throughput and cassandra.autoscale_max_throughput exclude each other: set one of them",
            ));
        }
        let throughput = self.provisioned_throughput.is_some() || self.autoscale_max_throughput.is_some();
        match self.preset {
            None if throughput => Err(Error::invalid(
                "cassandra.provisioned_throughput and cassandra.autoscale_max_throughput need preset = \"cosmos-db\": Cassandra has no such option",
            )),
            Some(Preset::CosmosDb) if self.username.is_none() => Err(Error::invalid(
                "cassandra.preset \"cosmos-db\" needs cassandra.username (the account's name) and cassandra.password (its key)",
            )),
            Some(Preset::CosmosDb) => self.validate_cosmos_db(),
            None => Ok(()),
        }
    }

    /// What Cosmos DB would refuse, or not do.
    fn validate_cosmos_db(&self) -> Result<()> {
        let is_local = |point: &String| matches!(host_of(point), "localhost" | "::1" | "[::1]") || host_of(point).starts_with("127.");
        if self.tls().is_none() && !self.contact_points.iter().all(is_local) {
            return Err(Error::invalid(
                "cassandra.encrypted is false under preset \"cosmos-db\", which takes nothing but TLS: take it out (it is for a stand-in on \
                 this machine alone)",
            ));
        }
        if !self.replication.is_empty() {
            return Err(Error::invalid(
                "cassandra.replication under preset \"cosmos-db\" has no effect: the account says where data is copied to; take it out",
            ));
        }
        let least = [
            ("provisioned_throughput", self.provisioned_throughput, COSMOS_THROUGHPUT_MIN),
            ("autoscale_max_throughput", self.autoscale_max_throughput, COSMOS_AUTOSCALE_MIN),
        ];
        match least.into_iter().find(|(_, units, least)| units.is_some_and(|u| u < *least)) {
            Some((setting, _, least)) => {
                Err(Error::invalid(format!("cassandra.{setting} must be at least {least}: Cosmos DB has no smaller throughput")))
            }
            None => Ok(()),
        }
    }

    pub(super) fn is_cosmos_db(&self) -> bool {
        self.preset == Some(Preset::CosmosDb)
    }

    /// How TLS is spoken; `None`: not at all.
    pub(super) fn tls(&self) -> Option<TlsSettings> {
        match (&self.tls, self.encrypted) {
            (_, Some(false)) => None,
            (Some(tls), _) => Some(tls.clone()),
            (None, Some(true)) => Some(TlsSettings::default()),
            (None, None) => self.is_cosmos_db().then(TlsSettings::default),
        }
    }

    /// The name that certificates are checked against, beside the nodes' addresses.
    pub(super) fn certificate_name(&self) -> Option<String> {
        let of_account = || self.is_cosmos_db().then(|| self.contact_points.first().map(|point| host_of(point).to_owned())).flatten();
        self.certificate_name.clone().or_else(of_account)
    }

    /// The contact points, each with its port.
    pub(super) fn addresses(&self) -> Vec<String> {
        let port = if self.is_cosmos_db() { 10_350 } else { 9_042 };
        let with_port = |point: &String| if point.contains(':') { point.clone() } else { format!("{point}:{port}") };
        self.contact_points.iter().map(with_port).collect()
    }

    pub(super) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    /// How long the opening of a session may take: a connection with each contact point in turn, and several questions over the first that
    /// answers.
    pub(super) fn opening_timeout(&self) -> Duration {
        self.connect_timeout() * u32::try_from(self.contact_points.len()).unwrap_or(u32::MAX) + self.request_timeout() * 6
    }

    /// How long a change of the schema may take.
    pub(super) fn schema_timeout(&self) -> Duration {
        self.request_timeout() * 6
    }

    fn request_timeout_ms(&self) -> u64 {
        self.request_timeout_ms.unwrap_or(if self.is_cosmos_db() { 90_000 } else { 10_000 })
    }

    pub(super) fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms())
    }
}

#[cfg(test)]
mod tests;
