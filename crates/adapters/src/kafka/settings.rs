//! [`KafkaSettings`]: the section `[kafka]` of the configuration, checked without any I/O, and what its presets mean.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_core::{Error, Result};
use serde::{Deserialize, Serialize};

use super::producer_settings::{Compression, check_servers};
use crate::connection::{Secret, TlsSettings};

/// A service whose documented values are taken for whatever the section does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// Azure Event Hubs' Kafka endpoint: `SASL_SSL`, user `$ConnectionString` (or OAUTHBEARER where a `token` is set), at most gzip, topics
    /// that exist already, no transactions, connections and metadata renewed before the service drops them.
    EventHubs,
}

/// How a connection is protected: Kafka's `security.protocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SecurityProtocol {
    /// Not at all.
    Plaintext,
    /// TLS; with `tls.certificate_file` the client is known by its certificate.
    Ssl,
    /// The client is known by SASL, and everything else can be read on the way.
    #[serde(rename = "SASL_PLAINTEXT")]
    SaslPlaintext,
    /// TLS, and the client is known by SASL.
    #[serde(rename = "SASL_SSL")]
    SaslSsl,
}

impl SecurityProtocol {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::Ssl => "ssl",
            Self::SaslPlaintext => "sasl_plaintext",
            Self::SaslSsl => "sasl_ssl",
        }
    }

    fn has_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }

    fn has_tls(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }
}

/// How the client says who it is: Kafka's `sasl.mechanism`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SaslMechanism {
    /// User and password, as they are.
    #[serde(rename = "PLAIN")]
    Plain,
    /// User and password, salted and hashed (RFC 7677).
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// The same with SHA-512.
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
    /// A bearer token (RFC 7628), which some other service writes into the file that `token` names.
    #[serde(rename = "OAUTHBEARER")]
    OauthBearer,
}

impl SaslMechanism {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::OauthBearer => "OAUTHBEARER",
        }
    }
}

/// A Kafka cluster and how it is spoken to. Unknown keys are refused; whatever is absent has the preset's value, or else the default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaSettings {
    /// Where the cluster is: `host:port`, several separated by commas.
    pub bootstrap_servers: String,
    /// Whose documented values stand in for what is absent: `event-hubs`.
    #[serde(default)]
    pub preset: Option<Preset>,
    /// `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`. Default: what the other settings need, at the least `PLAINTEXT`.
    #[serde(default)]
    pub security_protocol: Option<SecurityProtocol>,
    /// `PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512` or `OAUTHBEARER`. Default: `OAUTHBEARER` with a `token`, `PLAIN` with a `password`.
    #[serde(default)]
    pub sasl_mechanism: Option<SaslMechanism>,
    /// The user, for PLAIN and SCRAM.
    #[serde(default)]
    pub username: Option<String>,
    /// The password, for PLAIN and SCRAM: `{ env = ... }` or `{ file = ... }`, read again whenever a client is made.
    #[serde(default)]
    pub password: Option<Secret>,
    /// The bearer token, for OAUTHBEARER, read again before it expires (a JWT says when; any other is read every 5 minutes).
    #[serde(default)]
    pub token: Option<Secret>,
    /// Whom the connection trusts, and the certificate of mutual TLS.
    #[serde(default)]
    pub tls: TlsSettings,
    /// What the cluster calls this client in its metrics and quotas. `millstream`.
    #[serde(default = "defaults::client_id")]
    pub client_id: String,
    /// Positions are shown to the cluster's tools as the consumer groups `<prefix>.<flow>`. `millstream`.
    #[serde(default = "defaults::group_id_prefix")]
    pub group_id_prefix: String,
    /// How batches that flows write are compressed: `none`, `gzip`, `lz4`, `snappy`. `lz4`; under `event-hubs` `none`.
    #[serde(default)]
    pub compression: Option<Compression>,
    /// How long a record that a flow writes waits for others to share its batch, in milliseconds. 5.
    #[serde(default = "defaults::linger_ms")]
    pub linger_ms: u64,
    /// Whether flows write with transactions. On; under `event-hubs` off: records then name their source position in a header.
    #[serde(default)]
    pub transactions: Option<bool>,
    /// How long the cluster lets a transaction be open before it aborts it, in milliseconds. 60,000.
    #[serde(default = "defaults::transaction_timeout_ms")]
    pub transaction_timeout_ms: u64,
    /// Whether absent topics are created. On; under `event-hubs` off: topics are made in the portal.
    #[serde(default)]
    pub manage_topics: Option<bool>,
    /// How many replicas a topic gets that is created; absent: as many as the cluster's default.
    #[serde(default)]
    pub replication_factor: Option<i32>,
    /// Further settings of topics that are created, in Kafka's words (`min.insync.replicas`).
    #[serde(default)]
    pub topic_config: BTreeMap<String, String>,
    /// How many MiB of records a reader of a topic may read ahead, over all partitions; each has at least 1. 64.
    #[serde(default = "defaults::prefetch_mib")]
    pub prefetch_mib: u32,
    /// How long one call may take before it fails as unavailable, in milliseconds. 10,000.
    #[serde(default = "defaults::call_timeout_ms")]
    pub call_timeout_ms: u64,
    /// How long the cluster may take for a produce request, in milliseconds. 30,000; under `event-hubs` 60,000 (it throttles by waiting).
    #[serde(default)]
    pub request_timeout_ms: Option<u64>,
    /// After how many milliseconds the list of brokers and partitions is asked for again. 300,000; under `event-hubs` 180,000.
    #[serde(default)]
    pub metadata_max_age_ms: Option<u64>,
    /// After how many milliseconds without traffic a connection is closed. 0 (never); under `event-hubs` 180,000: it drops connections that
    /// are idle for 240 s without a word.
    #[serde(default)]
    pub connections_max_idle_ms: Option<u64>,
    /// The largest batch of records that is sent, in bytes. 1,000,000, which a broker's defaults and Event Hubs take.
    #[serde(default)]
    pub max_request_bytes: Option<u32>,
}

mod defaults {
    pub(super) fn client_id() -> String {
        "millstream".to_owned()
    }
    pub(super) fn group_id_prefix() -> String {
        "millstream".to_owned()
    }
    pub(super) const fn linger_ms() -> u64 {
        5
    }
    pub(super) const fn transaction_timeout_ms() -> u64 {
        60_000
    }
    pub(super) const fn prefetch_mib() -> u32 {
        64
    }
    pub(super) const fn call_timeout_ms() -> u64 {
        10_000
    }
}

/// The user under which Event Hubs takes a connection string.
const CONNECTION_STRING_USER: &str = "$ConnectionString";
/// Beyond this many bytes of a request Event Hubs closes the connection.
const EVENT_HUBS_REQUEST_BYTES_MAX: u32 = 1_046_528;

impl KafkaSettings {
    /// The defaults, for the cluster at `bootstrap_servers`.
    pub fn new(bootstrap_servers: impl Into<String>) -> Self {
        Self {
            bootstrap_servers: bootstrap_servers.into(),
            preset: None,
            security_protocol: None,
            sasl_mechanism: None,
            username: None,
            password: None,
            token: None,
            tls: TlsSettings::default(),
            client_id: defaults::client_id(),
            group_id_prefix: defaults::group_id_prefix(),
            compression: None,
            linger_ms: defaults::linger_ms(),
            transactions: None,
            transaction_timeout_ms: defaults::transaction_timeout_ms(),
            manage_topics: None,
            replication_factor: None,
            topic_config: BTreeMap::new(),
            prefetch_mib: defaults::prefetch_mib(),
            call_timeout_ms: defaults::call_timeout_ms(),
            request_timeout_ms: None,
            metadata_max_age_ms: None,
            connections_max_idle_ms: None,
            max_request_bytes: None,
        }
    }

    /// Checks what the cluster would refuse later, or the client silently misunderstand.
    /// [`InvalidInput`](millstream_core::ErrorKind::InvalidInput) names the setting, and with a contradiction both.
    pub fn validate(&self) -> Result<()> {
        check_servers("kafka.bootstrap_servers", &self.bootstrap_servers)?;
        self.tls.validate("kafka")?;
        self.check_security()?;
        self.check_event_hubs()?;
        let ranges = [
            ("linger_ms", self.linger_ms, 0, 900_000),
            ("transaction_timeout_ms", self.transaction_timeout_ms, 1_000, 2_147_483_647),
            ("prefetch_mib", u64::from(self.prefetch_mib), 1, 16_384),
            ("call_timeout_ms", self.call_timeout_ms, 1_000, 300_000),
            ("request_timeout_ms", self.request_timeout_ms(), 1_000, 900_000),
            ("metadata_max_age_ms", self.metadata_max_age_ms(), 1_000, 86_400_000),
            ("connections_max_idle_ms", self.connections_max_idle_ms(), 0, 2_147_483_647),
            ("max_request_bytes", u64::from(self.max_request_bytes()), 1_000, 1_000_000_000),
        ];
        if let Some((name, value, least, most)) = ranges.into_iter().find(|(_, value, least, most)| !(least..=most).contains(&value)) {
            return Err(Error::invalid(format!("kafka.{name} is {value}, but must lie between {least} and {most}")));
        }
        if self.replication_factor.is_some_and(|n| !(1..=i32::from(i16::MAX)).contains(&n)) {
            return Err(Error::invalid("kafka.replication_factor must be at least 1; leave it out for the cluster's default"));
        }
        for (name, text) in [("client_id", &self.client_id), ("group_id_prefix", &self.group_id_prefix)] {
            if text.is_empty() || text.len() > 100 {
                return Err(Error::invalid(format!("kafka.{name} must have 1 to 100 characters")));
            }
        }
        Ok(())
    }

    fn check_security(&self) -> Result<()> {
        let protocol = self.security_protocol();
        let refuse = |what: &str| Err(Error::invalid(format!("kafka: {what}")));
        if self.password.is_some() && self.token.is_some() {
            return refuse("password and token are both set: a password is for PLAIN and SCRAM, a token for OAUTHBEARER");
        }
        if !protocol.has_tls() && self.tls != TlsSettings::default() {
            return refuse(&format!("tls is set, and security_protocol is {protocol:?}: set SSL or SASL_SSL"));
        }
        if !protocol.has_sasl() {
            let given = [
                ("sasl_mechanism", self.sasl_mechanism.is_some()),
                ("username", self.username.is_some()),
                ("password", self.password.is_some()),
                ("token", self.token.is_some()),
            ];
            return match given.iter().find(|(_, set)| *set) {
                Some((name, _)) => {
                    refuse(&format!("{name} is set, and security_protocol is {protocol:?}: set SASL_SSL, or take {name} out"))
                }
                None => Ok(()),
            };
        }
        match self.sasl_mechanism() {
            None => refuse("security_protocol asks for SASL, and there is neither a password nor a token: set one of them"),
            Some(SaslMechanism::OauthBearer) if self.token.is_none() => refuse(
                "sasl_mechanism is OAUTHBEARER, and there is no token: set token = { file = \"...\" } to the file that your identity service writes",
            ),
            Some(SaslMechanism::OauthBearer) if self.username.is_some() => {
                refuse("username is set, and sasl_mechanism is OAUTHBEARER: the token says who the client is")
            }
            Some(SaslMechanism::OauthBearer) => Ok(()),
            Some(mechanism) => match (self.username(), &self.password) {
                (None, _) => refuse(&format!("sasl_mechanism is {}, and there is no username", mechanism.as_str())),
                (_, None) => refuse(&format!("sasl_mechanism is {}, and there is no password", mechanism.as_str())),
                _ => Ok(()),
            },
        }
    }

    fn check_event_hubs(&self) -> Result<()> {
        if self.preset != Some(Preset::EventHubs) {
            return Ok(());
        }
        let refuse = |what: &str| Err(Error::invalid(format!("kafka: {what}")));
        if !matches!(self.compression(), Compression::None | Compression::Gzip) {
            return refuse("compression under preset event-hubs is none or gzip: Event Hubs takes no other");
        }
        if self.security_protocol() != SecurityProtocol::SaslSsl {
            return refuse("security_protocol under preset event-hubs is SASL_SSL: Event Hubs takes no other");
        }
        if !matches!(self.sasl_mechanism(), Some(SaslMechanism::Plain | SaslMechanism::OauthBearer)) {
            return refuse(
                "sasl_mechanism under preset event-hubs is PLAIN (a connection string as password) or OAUTHBEARER (an Entra token)",
            );
        }
        if self.request_timeout_ms() <= 20_000 {
            return refuse(
                "request_timeout_ms under preset event-hubs must be more than 20,000: Event Hubs answers throttled requests late",
            );
        }
        if self.max_request_bytes() > EVENT_HUBS_REQUEST_BYTES_MAX {
            return refuse("max_request_bytes under preset event-hubs is at most 1,046,528: Event Hubs closes the connection beyond that");
        }
        if !(1..240_000).contains(&self.connections_max_idle_ms()) {
            return refuse(
                "connections_max_idle_ms under preset event-hubs must be less than 240,000: Event Hubs drops idle connections silently",
            );
        }
        Ok(())
    }

    fn with_event_hubs<T>(&self, given: Option<T>, under_event_hubs: T, default: T) -> T {
        given.unwrap_or(match self.preset {
            Some(Preset::EventHubs) => under_event_hubs,
            None => default,
        })
    }

    pub(super) fn security_protocol(&self) -> SecurityProtocol {
        let sasl = self.password.is_some() || self.token.is_some() || self.sasl_mechanism.is_some();
        let tls = self.tls != TlsSettings::default();
        let needed = match (sasl, tls) {
            (false, false) => SecurityProtocol::Plaintext,
            (false, true) => SecurityProtocol::Ssl,
            // A password never goes out in the clear unless that is asked for.
            (true, _) => SecurityProtocol::SaslSsl,
        };
        self.with_event_hubs(self.security_protocol, SecurityProtocol::SaslSsl, needed)
    }

    pub(super) fn sasl_mechanism(&self) -> Option<SaslMechanism> {
        if !self.security_protocol().has_sasl() {
            return None;
        }
        let found = match (&self.token, &self.password) {
            (Some(_), _) => Some(SaslMechanism::OauthBearer),
            (None, Some(_)) => Some(SaslMechanism::Plain),
            (None, None) => None,
        };
        self.sasl_mechanism.or(found)
    }

    pub(super) fn username(&self) -> Option<&str> {
        let hub = self.preset == Some(Preset::EventHubs);
        self.username.as_deref().or_else(|| hub.then_some(CONNECTION_STRING_USER))
    }

    pub(super) fn compression(&self) -> Compression {
        self.with_event_hubs(self.compression, Compression::None, Compression::Lz4)
    }

    /// Whether flows write with transactions.
    #[must_use]
    pub fn transactions(&self) -> bool {
        self.with_event_hubs(self.transactions, false, true)
    }

    /// Whether absent topics are created, after the preset.
    #[must_use]
    pub fn manage_topics(&self) -> bool {
        self.with_event_hubs(self.manage_topics, false, true)
    }

    pub(super) fn request_timeout_ms(&self) -> u64 {
        self.with_event_hubs(self.request_timeout_ms, 60_000, 30_000)
    }

    pub(super) fn metadata_max_age_ms(&self) -> u64 {
        self.with_event_hubs(self.metadata_max_age_ms, 180_000, 300_000)
    }

    pub(super) fn connections_max_idle_ms(&self) -> u64 {
        self.with_event_hubs(self.connections_max_idle_ms, 180_000, 0)
    }

    pub(super) fn max_request_bytes(&self) -> u32 {
        self.max_request_bytes.unwrap_or(1_000_000)
    }

    pub(super) fn call_timeout(&self) -> Duration {
        Duration::from_millis(self.call_timeout_ms)
    }

    /// The consumer group under which the cluster's tools see the positions of `flow`.
    #[must_use]
    pub fn group_of(&self, flow: &millstream_core::FlowId) -> String {
        format!("{}.{flow}", self.group_id_prefix)
    }
}

#[cfg(test)]
mod tests;
