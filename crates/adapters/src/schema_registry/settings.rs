//! [`SchemaRegistrySettings`]: the section `[schema_registry]`, checked without any I/O.

use millstream_core::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::connection::{Secret, TlsSettings};

/// How Millstream reaches the registry of Avro schemas.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemaRegistrySettings {
    /// Where the registry is: `https://registry:8081`, without a login.
    pub url: String,
    /// The user (of Confluent Cloud, the API key). Not set: no login.
    #[serde(default)]
    pub user: Option<String>,
    /// The password's place (of Confluent Cloud, the API secret); it is read for each request.
    #[serde(default)]
    pub password: Option<Secret>,
    /// How long an answer may take, in milliseconds. 10,000.
    #[serde(default = "request_timeout_ms")]
    pub request_timeout_ms: u64,
    /// Whom TLS trusts, and who the client says it is.
    #[serde(default)]
    pub tls: TlsSettings,
}

const fn request_timeout_ms() -> u64 {
    10_000
}

impl SchemaRegistrySettings {
    /// The defaults, for the registry at `url`.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), user: None, password: None, request_timeout_ms: request_timeout_ms(), tls: TlsSettings::default() }
    }

    /// Checks everything that needs no connection. [`InvalidInput`](millstream_core::ErrorKind::InvalidInput) names the setting.
    pub fn validate(&self) -> Result<()> {
        let place = self.url.strip_prefix("https://").or_else(|| self.url.strip_prefix("http://"));
        let Some(place) = place.filter(|p| !p.is_empty() && !p.contains(char::is_whitespace)) else {
            return Err(Error::invalid("schema_registry.url is not like https://registry:8081"));
        };
        if place.split('/').next().is_some_and(|host| host.contains('@')) {
            return Err(Error::invalid(
                "schema_registry.url holds a login: take it out, and set schema_registry.user and schema_registry.password",
            ));
        }
        if self.password.is_some() && self.user.is_none() {
            return Err(Error::invalid("schema_registry has a password and no user: set schema_registry.user"));
        }
        if !(1..=600_000).contains(&self.request_timeout_ms) {
            return Err(Error::invalid("schema_registry.request_timeout_ms is not between 1 and 600,000"));
        }
        self.tls.validate("schema_registry")
    }
}
