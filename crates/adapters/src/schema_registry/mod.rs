//! Confluent's schema registry, and what speaks its protocol (Karapace, Apicurio's compatible interface): schemas by their id
//! (`GET /schemas/ids/{id}`). It knows no topics and no tables.
//!
//! A schema never changes under its id: what was read once is kept for as long as the process lives.

mod settings;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use millstream_core::ports::SchemaRegistry;
use millstream_core::{Error, Result};
use serde::Deserialize;

pub use settings::SchemaRegistrySettings;

/// The greatest answer that is read.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// A registry over HTTP.
pub struct HttpSchemaRegistry {
    settings: SchemaRegistrySettings,
    client: reqwest::Client,
    known: Mutex<HashMap<u32, String>>,
}

/// The registry's answer.
#[derive(Debug, Deserialize)]
struct Answer {
    schema: String,
    /// Not said of an Avro schema.
    #[serde(rename = "schemaType")]
    schema_type: Option<String>,
}

/// Why a schema isn't there.
#[derive(Debug, thiserror::Error)]
enum RegistryError {
    #[error("it knows no such schema (yet)")]
    Unknown,
    #[error("it refuses the login (HTTP {0}): check schema_registry.user and schema_registry.password")]
    Refused(u16),
    #[error("it answers with HTTP {0}")]
    Status(u16),
    #[error("it holds a schema of type {0} there, and Avro is what is read")]
    OtherType(String),
    #[error("its answer is no schema: {0}")]
    Answer(String),
    #[error("it does not answer: {0}")]
    Away(String),
}

impl RegistryError {
    fn into_error(self, id: u32, url: &str) -> Error {
        let message = format!("schema {id} of the registry at {url}: {self}");
        match self {
            Self::Refused(_) | Self::OtherType(_) => Error::invalid(message),
            Self::Unknown | Self::Status(_) | Self::Answer(_) | Self::Away(_) => Error::unavailable(message),
        }
    }
}

/// Whether the registry answers, and lets us in: one line about what is there.
pub async fn probe(settings: &SchemaRegistrySettings) -> Result<String> {
    let registry = HttpSchemaRegistry::new(settings.clone())?;
    let failed = |error: RegistryError| {
        let message = format!("the registry at {}: {error}", settings.url);
        if matches!(error, RegistryError::Refused(_)) { Error::invalid(message) } else { Error::unavailable(message) }
    };
    let subjects: Vec<String> = match registry.get("subjects").await {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| failed(RegistryError::Answer(e.to_string())))?,
        Err(error) => return Err(failed(error)),
    };
    Ok(format!("{}: {} subjects", settings.url, subjects.len()))
}

impl HttpSchemaRegistry {
    /// A registry by its settings. Connects to nothing.
    pub fn new(settings: SchemaRegistrySettings) -> Result<Self> {
        settings.validate()?;
        let timeout = Duration::from_millis(settings.request_timeout_ms);
        let mut builder = reqwest::Client::builder().timeout(timeout).connect_timeout(timeout);
        if settings.url.starts_with("https://") {
            builder = builder.use_preconfigured_tls(settings.tls.rustls("schema_registry")?);
        }
        let client = builder.build().map_err(|e| Error::internal("schema_registry: no HTTP client could be made").caused_by(e))?;
        Ok(Self { settings, client, known: Mutex::default() })
    }

    async fn get(&self, path: &str) -> std::result::Result<Vec<u8>, RegistryError> {
        let away = |e: reqwest::Error| RegistryError::Away(causes(&e));
        let mut request = self.client.get(format!("{}/{path}", self.settings.url.trim_end_matches('/')));
        if let Some(user) = &self.settings.user {
            let password = self.settings.password.as_ref().map(|p| p.read("schema_registry.password")).transpose();
            let password = password.map_err(|e| RegistryError::Away(e.to_string()))?;
            request = request.basic_auth(user, password.as_ref().map(|p| p.expose()));
        }
        let mut response = request.send().await.map_err(away)?;
        match response.status().as_u16() {
            200 => {}
            404 => return Err(RegistryError::Unknown),
            status @ (401 | 403) => return Err(RegistryError::Refused(status)),
            status => return Err(RegistryError::Status(status)),
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(away)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > ANSWER_BYTES_MAX {
                return Err(RegistryError::Answer(format!("it has more than {ANSWER_BYTES_MAX} bytes")));
            }
        }
        Ok(bytes)
    }

    async fn fetch(&self, id: u32) -> std::result::Result<String, RegistryError> {
        let bytes = self.get(&format!("schemas/ids/{id}")).await?;
        let answer: Answer = serde_json::from_slice(&bytes).map_err(|e| RegistryError::Answer(e.to_string()))?;
        match answer.schema_type {
            Some(other) if other != "AVRO" => Err(RegistryError::OtherType(other)),
            _ => Ok(answer.schema),
        }
    }
}

#[async_trait]
impl SchemaRegistry for HttpSchemaRegistry {
    async fn schema(&self, id: u32) -> Result<String> {
        if let Some(known) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&id) {
            return Ok(known.clone());
        }
        let schema = self.fetch(id).await.map_err(|error| error.into_error(id, &self.settings.url))?;
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(id, schema.clone());
        Ok(schema)
    }
}

/// The error with all that caused it, on one line: the client's own message says nothing of the connection.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests;
