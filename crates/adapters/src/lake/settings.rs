//! [`LakeSettings`]: the section `[lake]`, checked without any I/O.

use std::path::PathBuf;
use std::time::Duration;

use millstream_core::{Error, Result};
use serde::{Deserialize, Serialize};

use super::location::LakeLocation;
use crate::connection::Secret;

/// Where the lake is, who we are there, and how its files are written. Secrets are read again before each use, so that a rotated one
/// is picked up without a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LakeSettings {
    /// The folder in which streaming tables `USING parquet` lie, each in a folder of its name: `abfss://container@account.dfs.core.windows.net/path`,
    /// `s3://bucket/path`, `gs://bucket/path`, `file:///path` or an absolute path. Not set: `lake` in the data directory.
    pub location: Option<String>,
    /// How long a connection may take.
    pub connect_timeout_ms: u64,
    /// How long one request may take, with its body; larger files are read and written in parts, a request each.
    pub request_timeout_ms: u64,
    /// How often a request is tried again before the caller is told that the store is unavailable.
    pub retries_max: usize,
    /// How many files, and parts of a file, are read or written side by side.
    pub parallel_requests: usize,
    /// Rows of a streaming table are rolled into a file when so many bytes of them wait.
    pub roll_bytes: u64,
    /// Rows of a streaming table are rolled into a file when the oldest has waited for so long.
    pub roll_interval_s: u64,
    /// How long files that no manifest names any more are kept, for reads that began before.
    pub cleanup_grace_s: u64,
    /// Azure Data Lake Storage Gen2 and Blob Storage (`abfss://`).
    pub azure: AzureSettings,
    /// Amazon S3, and what speaks its protocol (`s3://`).
    pub s3: S3Settings,
    /// Google Cloud Storage (`gs://`).
    pub gcs: GcsSettings,
}

/// Who we are on Azure. At most one of `access_key` and `sas_token`; without them, `identity`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AzureSettings {
    /// The account's key.
    pub access_key: Option<Secret>,
    /// A shared access signature: `sv=...&sig=...`.
    pub sas_token: Option<Secret>,
    /// Who we are without a key.
    pub identity: AzureIdentity,
    /// The identity's client id; not set: the system-assigned identity, or the variable `AZURE_CLIENT_ID`.
    pub client_id: Option<String>,
    /// The tenant of a workload identity; not set: the variable `AZURE_TENANT_ID`.
    pub tenant_id: Option<String>,
    /// The token file of a workload identity; not set: the variable `AZURE_FEDERATED_TOKEN_FILE`.
    pub federated_token_file: Option<PathBuf>,
    /// Another address of the account, such as Azurite's `http://127.0.0.1:10000/devstoreaccount1`. Not set: `https://ACCOUNT.blob` and the
    /// domain of the location.
    pub endpoint: Option<String>,
}

/// Who we are on Azure without a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AzureIdentity {
    /// The managed identity of the machine (its instance metadata service).
    #[default]
    Managed,
    /// Workload identity: a service account of Kubernetes, federated with Entra ID.
    Workload,
    /// Nobody: for public containers.
    Anonymous,
}

/// Who we are on S3. Without keys: a web identity (`AWS_WEB_IDENTITY_TOKEN_FILE`, as on EKS), the container's role, or the machine's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct S3Settings {
    /// The bucket's region; not set: `us-east-1`.
    pub region: Option<String>,
    /// The access key's id; goes with `secret_access_key`.
    pub access_key_id: Option<Secret>,
    /// The secret access key.
    pub secret_access_key: Option<Secret>,
    /// The token of temporary keys.
    pub session_token: Option<Secret>,
    /// Use no credentials (public buckets).
    pub anonymous: bool,
    /// The address of another store that speaks S3, such as MinIO's. Not set: Amazon's of the region.
    pub endpoint: Option<String>,
    /// Whether the bucket stands in the path of an address and not in its host. Not set: with an `endpoint` it does.
    pub path_style: Option<bool>,
}

/// Who we are on Google Cloud Storage. Without a key: the machine's service account (workload identity on GKE).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GcsSettings {
    /// A service account's key, in the JSON form in which Google hands it out.
    pub service_account_key: Option<Secret>,
    /// Use no credentials (public buckets).
    pub anonymous: bool,
    /// Another address of the service. Not set: Google's.
    pub endpoint: Option<String>,
}

impl Default for LakeSettings {
    fn default() -> Self {
        Self {
            location: None,
            connect_timeout_ms: 3_000,
            request_timeout_ms: 10_000,
            retries_max: 2,
            parallel_requests: 8,
            roll_bytes: 64 << 20,
            roll_interval_s: 300,
            cleanup_grace_s: 3_600,
            azure: AzureSettings::default(),
            s3: S3Settings::default(),
            gcs: GcsSettings::default(),
        }
    }
}

impl LakeSettings {
    /// Refuses what can't work or would be unsafe. [`InvalidInput`](millstream_core::ErrorKind::InvalidInput) names the setting.
    pub fn validate(&self) -> Result<()> {
        if let Some(location) = &self.location {
            LakeLocation::parse(location).map_err(|e| e.context("lake.location"))?;
        }
        let bounds = [
            ("connect_timeout_ms", self.connect_timeout_ms, 1, 60_000),
            ("request_timeout_ms", self.request_timeout_ms, 1, 300_000),
            ("retries_max", self.retries_max as u64, 0, 10),
            ("parallel_requests", self.parallel_requests as u64, 1, 256),
            ("roll_bytes", self.roll_bytes, 1, 1 << 30),
            ("roll_interval_s", self.roll_interval_s, 1, 86_400),
            ("cleanup_grace_s", self.cleanup_grace_s, 60, 30 * 86_400),
        ];
        if let Some((name, value, least, most)) = bounds.into_iter().find(|(_, value, least, most)| !(least..=most).contains(&value)) {
            return Err(Error::invalid(format!("lake.{name} is {value}: set it to at least {least} and at most {most}")));
        }
        self.azure.validate()?;
        self.s3.validate()?;
        self.gcs.validate()
    }

    pub(super) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    pub(super) fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }
}

impl AzureSettings {
    fn validate(&self) -> Result<()> {
        if self.access_key.is_some() && self.sas_token.is_some() {
            return Err(Error::invalid("lake.azure has an access_key and a sas_token: set one of them"));
        }
        if (self.access_key.is_some() || self.sas_token.is_some()) && self.identity != AzureIdentity::default() {
            return Err(Error::invalid("lake.azure has a key or token and an identity: set one of them"));
        }
        check_endpoint("lake.azure.endpoint", self.endpoint.as_deref())
    }
}

impl S3Settings {
    fn validate(&self) -> Result<()> {
        match (&self.access_key_id, &self.secret_access_key) {
            (Some(_), None) => return Err(Error::invalid("lake.s3 has an access_key_id and no secret_access_key: set both")),
            (None, Some(_)) => return Err(Error::invalid("lake.s3 has a secret_access_key and no access_key_id: set both")),
            (None, None) if self.session_token.is_some() => {
                return Err(Error::invalid("lake.s3 has a session_token and no access_key_id: a token belongs to temporary keys"));
            }
            (Some(_), Some(_)) if self.anonymous => return Err(Error::invalid("lake.s3 has keys and is anonymous: take one of them out")),
            _ => {}
        }
        check_endpoint("lake.s3.endpoint", self.endpoint.as_deref())
    }
}

impl GcsSettings {
    fn validate(&self) -> Result<()> {
        if self.service_account_key.is_some() && self.anonymous {
            return Err(Error::invalid("lake.gcs has a service_account_key and is anonymous: take one of them out"));
        }
        check_endpoint("lake.gcs.endpoint", self.endpoint.as_deref())
    }
}

/// Whether `endpoint` is plain HTTP.
pub(super) fn is_http(endpoint: Option<&str>) -> bool {
    endpoint.is_some_and(|e| e.starts_with("http://"))
}

/// An address is HTTPS; plain HTTP only on this machine.
fn check_endpoint(setting: &str, endpoint: Option<&str>) -> Result<()> {
    let Some(endpoint) = endpoint else { return Ok(()) };
    let rest = endpoint.strip_prefix("https://").or_else(|| endpoint.strip_prefix("http://"));
    let authority = rest.map(|r| r.split(['/', '?', '#']).next().unwrap_or_default()).unwrap_or_default();
    if authority.is_empty() || authority.contains('@') {
        return Err(Error::invalid(format!("{setting} is {endpoint:?}: write it as https://host or https://host:port")));
    }
    if is_http(Some(endpoint)) && !is_loopback(authority) {
        return Err(Error::invalid(format!("{setting} is {endpoint:?}: plain http is for this machine (127.0.0.1, localhost), use https")));
    }
    Ok(())
}

fn is_loopback(authority: &str) -> bool {
    if let Some(v6) = authority.strip_prefix('[') {
        return v6.split(']').next() == Some("::1");
    }
    let host = authority.split(':').next().unwrap_or_default();
    host == "localhost" || host.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests;
