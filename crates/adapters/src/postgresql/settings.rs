//! [`PostgresSettings`]: the section `[postgresql]`, checked without any I/O.

use std::time::Duration;

use millstream_core::{Error, Result};
use serde::{Deserialize, Serialize};
use tokio_postgres::config::{Host, SslMode};

use crate::connection::{Secret, TlsSettings};

/// How Millstream reaches PostgreSQL, directly or through PgBouncer in transaction mode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresSettings {
    /// Where the database is: `postgres://user@host:5432/database`, without a password. Its `sslmode` is `disable`, or `require`
    /// (the server's certificate and host name are always verified); not set: `disable` for this machine, `require` for any other.
    pub url: String,
    /// The user; not set: the URL's.
    #[serde(default)]
    pub user: Option<String>,
    /// The password's place; it is read for each new connection. Not set: none (a client certificate, `peer`, `trust`).
    #[serde(default)]
    pub password: Option<Secret>,
    /// The schema of reports and of Millstream's own tables. `public`.
    #[serde(default = "defaults::schema")]
    pub schema: String,
    /// Maximum number of connections. 8.
    #[serde(default = "defaults::connections_max")]
    pub connections_max: usize,
    /// How long a connection is used before a new one takes its place, in seconds. 1,800.
    #[serde(default = "defaults::connection_age_max_s")]
    pub connection_age_max_s: u64,
    /// How long connecting may take, and waiting for a free connection, in milliseconds. 5,000.
    #[serde(default = "defaults::connect_timeout_ms")]
    pub connect_timeout_ms: u64,
    /// How long an answer may take, in milliseconds. 10,000. A statement that moves many rows may take longer as long as the server
    /// answers on another connection, up to `statement_timeout_s`.
    #[serde(default = "defaults::request_timeout_ms")]
    pub request_timeout_ms: u64,
    /// How long a statement that moves many rows may take, in seconds. 3,600.
    #[serde(default = "defaults::statement_timeout_s")]
    pub statement_timeout_s: u64,
    /// How long a delete of a flow is remembered, so that older writes that come later lose, in seconds. 10 days.
    #[serde(default = "defaults::delete_memory_s")]
    pub delete_memory_s: u64,
    /// Whom TLS trusts, and who the client says it is.
    #[serde(default)]
    pub tls: TlsSettings,
}

mod defaults {
    pub(super) fn schema() -> String {
        "public".to_owned()
    }
    pub(super) const fn connections_max() -> usize {
        8
    }
    pub(super) const fn connection_age_max_s() -> u64 {
        1_800
    }
    pub(super) const fn connect_timeout_ms() -> u64 {
        5_000
    }
    pub(super) const fn request_timeout_ms() -> u64 {
        10_000
    }
    pub(super) const fn statement_timeout_s() -> u64 {
        3_600
    }
    pub(super) const fn delete_memory_s() -> u64 {
        10 * 24 * 3_600
    }
}

impl PostgresSettings {
    /// The defaults, for the database at `url`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            user: None,
            password: None,
            schema: defaults::schema(),
            connections_max: defaults::connections_max(),
            connection_age_max_s: defaults::connection_age_max_s(),
            connect_timeout_ms: defaults::connect_timeout_ms(),
            request_timeout_ms: defaults::request_timeout_ms(),
            statement_timeout_s: defaults::statement_timeout_s(),
            delete_memory_s: defaults::delete_memory_s(),
            tls: TlsSettings::default(),
        }
    }

    /// Checks everything that needs no connection. [`InvalidInput`](millstream_core::ErrorKind::InvalidInput) names the setting.
    pub fn validate(&self) -> Result<()> {
        self.client_config()?;
        if self.schema.is_empty() || self.schema.contains('\0') || self.schema.len() > 63 {
            return Err(Error::invalid("postgresql.schema is not a name of 1 to 63 bytes"));
        }
        if !(2..=1_000).contains(&self.connections_max) {
            return Err(Error::invalid("postgresql.connections_max is not between 2 and 1,000"));
        }
        for (setting, value) in [
            ("connect_timeout_ms", self.connect_timeout_ms),
            ("request_timeout_ms", self.request_timeout_ms),
            ("connection_age_max_s", self.connection_age_max_s),
            ("statement_timeout_s", self.statement_timeout_s),
            ("delete_memory_s", self.delete_memory_s),
        ] {
            if !(1..=i32::MAX as u64 / 1_000).contains(&value) {
                return Err(Error::invalid(format!("postgresql.{setting} is not between 1 and {}", i32::MAX / 1_000)));
            }
        }
        self.tls.validate("postgresql")
    }

    /// The URL as the client wants it, without a password.
    pub(super) fn client_config(&self) -> Result<tokio_postgres::Config> {
        // The client knows `require` alone; whoever turns TLS on gets the certificate and the name verified.
        let url = self.url.replace("sslmode=verify-full", "sslmode=require");
        let wrong = |why: &str| Error::invalid(format!("postgresql.url is not like postgres://user@host:5432/database: {why}"));
        if url.contains("sslmode=verify-ca") || url.contains("sslmode=allow") || url.contains("sslmode=prefer") {
            return Err(wrong("sslmode is disable or require (which verifies the server's certificate and host name)"));
        }
        // The client's own message could show the URL, and a password in it.
        let mut config: tokio_postgres::Config = url.parse().map_err(|_| wrong("it can't be read"))?;
        if config.get_password().is_some() {
            return Err(Error::invalid(
                "postgresql.url holds a password: take it out, and set postgresql.password to { env = \"VARIABLE\" } or { file = \"/path\" }",
            ));
        }
        if config.get_options().is_some() {
            return Err(wrong("it has options, which PgBouncer does not take: set them for the role (ALTER ROLE ... SET ...)"));
        }
        if config.get_hosts().is_empty() {
            return Err(wrong("it has no host"));
        }
        if config.get_dbname().is_none() {
            return Err(wrong("it has no database"));
        }
        if let Some(user) = &self.user {
            config.user(user);
        }
        if config.get_user().is_none() {
            return Err(Error::invalid("postgresql has no user: set postgresql.user, or put it in postgresql.url"));
        }
        if !self.url.contains("sslmode=") {
            let is_here = config.get_hosts().iter().all(|host| match host {
                Host::Tcp(name) => matches!(name.as_str(), "localhost" | "127.0.0.1" | "::1" | "[::1]"),
                Host::Unix(_) => true,
            });
            config.ssl_mode(if is_here { SslMode::Disable } else { SslMode::Require });
        }
        config
            .application_name("millstream")
            .connect_timeout(Duration::from_millis(self.connect_timeout_ms))
            .keepalives(true)
            .keepalives_idle(Duration::from_secs(30))
            .keepalives_interval(Duration::from_secs(5))
            .keepalives_retries(3);
        Ok(config)
    }

    /// What messages call the database: `reports at db:6432`.
    pub(super) fn place(&self) -> String {
        let Ok(config) = self.client_config() else { return "PostgreSQL".to_owned() };
        let ports = config.get_ports();
        let hosts = config.get_hosts().iter().enumerate().map(|(i, host)| {
            let port = ports.get(i).or(ports.first()).copied().unwrap_or(5432);
            match host {
                Host::Tcp(name) => format!("{name}:{port}"),
                Host::Unix(path) => format!("{}:{port}", path.display()),
            }
        });
        format!("{} at {}", config.get_dbname().unwrap_or_default(), hosts.collect::<Vec<_>>().join(","))
    }

    pub(super) fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    pub(super) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }
}

#[cfg(test)]
mod tests;
