//! The one place where a session with the cluster is built: addresses, who connects, whom it trusts, time-outs.

use std::sync::Arc;

use async_trait::async_trait;
use millstream_core::{Error, Result};
use openssl::ssl::{SslConnector, SslConnectorBuilder, SslFiletype, SslMethod, SslVerifyMode};
use openssl::x509::X509VerifyResult;
use scylla::authentication::{AuthError, AuthenticatorProvider, AuthenticatorSession};
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::policies::load_balancing::DefaultPolicy;
use scylla::policies::retry::FallthroughRetryPolicy;
use scylla::statement::{Consistency, SerialConsistency};

use super::error::CassandraError;
use super::settings::{CassandraSettings, ConsistencyLevel, Preset};
use crate::connection::{Secret, TlsSettings};

/// X509_V_ERR_IP_ADDRESS_MISMATCH of OpenSSL: the driver knows nodes by address, where the certificates of services carry names.
const IP_ADDRESS_MISMATCH: i32 = 64;

/// Opens a session: secrets and certificates are those of now.
pub(super) async fn open(settings: &CassandraSettings) -> Result<Session> {
    let profile =
        ExecutionProfile::builder().consistency(consistency(settings.consistency)).request_timeout(Some(settings.request_timeout()));
    let profile = match settings.preset {
        None => profile.serial_consistency(Some(serial(settings.consistency))),
        // A request that was refused for its rate is sent again by `client`, when the service says so: the driver would do it at once. And
        // where a row is, only the service knows: its tokens are made otherwise.
        Some(Preset::CosmosDb) => profile
            .serial_consistency(None)
            .retry_policy(Arc::new(FallthroughRetryPolicy::new()))
            .load_balancing_policy(DefaultPolicy::builder().token_aware(false).build()),
    };
    let mut builder = SessionBuilder::new()
        .known_nodes(settings.addresses())
        .default_execution_profile_handle(profile.build().into_handle())
        .connection_timeout(settings.connect_timeout())
        // A node that hangs is noticed by its silence, not only by the requests that wait for it.
        .keepalive_interval(std::time::Duration::from_secs(5))
        .keepalive_timeout(settings.request_timeout())
        // Where the rows of a token are: only the keyspace that is written to matters.
        .keyspaces_to_fetch([settings.keyspace.as_str()])
        .fetch_schema_metadata(!settings.is_cosmos_db())
        .schema_agreement_timeout(settings.schema_timeout());
    if let Some(datacenter) = &settings.local_datacenter {
        builder = builder.prefer_datacenter(datacenter.clone());
    }
    if let (Some(username), Some(password)) = (&settings.username, &settings.password) {
        password.read("cassandra.password")?;
        builder = builder.authenticator_provider(Arc::new(Login { username: username.clone(), password: password.clone() }));
    }
    if let Some(tls) = settings.tls() {
        builder = builder.tls_context(Some(tls_context(&tls, settings.certificate_name())?));
    }
    let contact_points = settings.addresses().join(", ");
    // The driver bounds the making of a connection, and not what it asks over it at first.
    let limit = settings.opening_timeout();
    match tokio::time::timeout(limit, builder.build()).await {
        Ok(built) => built.map_err(|source| CassandraError::Session { contact_points, source }.into()),
        Err(_) => Err(CassandraError::Silent { operation: format!("opening a session at {contact_points}"), limit }.into()),
    }
}

pub(super) fn consistency(level: ConsistencyLevel) -> Consistency {
    match level {
        ConsistencyLevel::One => Consistency::One,
        ConsistencyLevel::LocalOne => Consistency::LocalOne,
        ConsistencyLevel::Quorum => Consistency::Quorum,
        ConsistencyLevel::LocalQuorum => Consistency::LocalQuorum,
        ConsistencyLevel::EachQuorum => Consistency::EachQuorum,
        ConsistencyLevel::All => Consistency::All,
    }
}

/// The consistency of reads: `EACH_QUORUM` is for writes alone.
pub(super) fn read_consistency(level: ConsistencyLevel) -> Consistency {
    match level {
        ConsistencyLevel::EachQuorum => Consistency::LocalQuorum,
        other => consistency(other),
    }
}

/// The consistency of what epochs, fences and change logs rest on: a majority that each other such read and write meets, whatever rows are
/// written with.
pub(super) fn metadata_consistency(level: ConsistencyLevel) -> Consistency {
    match level {
        ConsistencyLevel::One | ConsistencyLevel::LocalOne => Consistency::LocalQuorum,
        ConsistencyLevel::EachQuorum => Consistency::Quorum,
        other => consistency(other),
    }
}

/// A read that sees what conditional writes have decided.
pub(super) fn serial_read(level: ConsistencyLevel) -> Consistency {
    match serial(level) {
        SerialConsistency::Serial => Consistency::Serial,
        SerialConsistency::LocalSerial => Consistency::LocalSerial,
    }
}

/// Where writers of one flow can be in several datacenters the fence spans them all.
pub(super) fn serial(level: ConsistencyLevel) -> SerialConsistency {
    match level {
        ConsistencyLevel::Quorum | ConsistencyLevel::EachQuorum | ConsistencyLevel::All => SerialConsistency::Serial,
        _ => SerialConsistency::LocalSerial,
    }
}

/// Logs in with the password as it is when a connection is made (SASL PLAIN, RFC 4616: what `PasswordAuthenticator` takes).
struct Login {
    username: String,
    password: Secret,
}

struct LoggedIn;

#[async_trait]
impl AuthenticatorSession for LoggedIn {
    async fn evaluate_challenge(&mut self, _token: Option<&[u8]>) -> Result<Option<Vec<u8>>, AuthError> {
        Err("the server asks for more than a user and a password, which Millstream can't answer".to_owned())
    }

    async fn success(&mut self, _token: Option<&[u8]>) -> Result<(), AuthError> {
        Ok(())
    }
}

#[async_trait]
impl AuthenticatorProvider for Login {
    async fn start_authentication_session(&self, _: &str) -> Result<(Option<Vec<u8>>, Box<dyn AuthenticatorSession>), AuthError> {
        let password = self.password.read("cassandra.password").map_err(|e| e.to_string())?;
        let answer = [b"\0", self.username.as_bytes(), b"\0", password.expose().as_bytes()].concat();
        Ok((Some(answer), Box::new(LoggedIn)))
    }
}

/// A context that verifies each node's certificate against its IP address, or against `name` where that is set.
fn tls_context(tls: &TlsSettings, name: Option<String>) -> Result<SslConnectorBuilder> {
    let failed = |source| Error::from(CassandraError::Tls { source });
    tls.validate("cassandra")?;
    let mut builder = SslConnector::builder(SslMethod::tls_client()).map_err(failed)?;
    builder.set_min_proto_version(Some(openssl::ssl::SslVersion::TLS1_2)).map_err(failed)?;
    let unreadable = |setting: &str, path: &std::path::Path| {
        let text = format!("cassandra.tls.{setting}: {} can't be read as PEM", path.display());
        move |e: openssl::error::ErrorStack| Error::invalid(text).caused_by(e.to_string())
    };
    if let Some(file) = &tls.ca_file {
        // Only this authority: the operating system's, which the builder begins with, are not trusted beside it.
        let mut store = openssl::x509::store::X509StoreBuilder::new().map_err(failed)?;
        let pem = std::fs::read(file)
            .map_err(|e| Error::invalid(format!("cassandra.tls.ca_file: the file {} can't be read", file.display())).caused_by(e))?;
        for certificate in openssl::x509::X509::stack_from_pem(&pem).map_err(unreadable("ca_file", file))? {
            store.add_cert(certificate).map_err(failed)?;
        }
        builder.set_cert_store(store.build());
    }
    if let (Some(chain), Some(key)) = (&tls.certificate_file, &tls.key_file) {
        builder.set_certificate_chain_file(chain).map_err(unreadable("certificate_file", chain))?;
        builder.set_private_key_file(key, SslFiletype::PEM).map_err(unreadable("key_file", key))?;
        builder.check_private_key().map_err(unreadable("key_file", key))?;
    }
    if let Some(name) = name {
        builder.set_verify_callback(SslVerifyMode::PEER, move |is_valid, chain| {
            if is_valid || chain.error().as_raw() != IP_ADDRESS_MISMATCH {
                return is_valid;
            }
            let is_named = chain.current_cert().is_some_and(|c| carries(c, &name));
            if is_named {
                chain.set_error(X509VerifyResult::OK);
            }
            is_named
        });
    }
    Ok(builder)
}

/// Whether the certificate's alternative names hold `name`, or a wildcard for its first label (RFC 6125, section 6.4).
fn carries(certificate: &openssl::x509::X509Ref, name: &str) -> bool {
    let fits = |pattern: &str| match pattern.strip_prefix("*.") {
        Some(domain) => name.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(domain)),
        None => pattern.eq_ignore_ascii_case(name),
    };
    certificate.subject_alt_names().is_some_and(|names| names.iter().any(|n| n.dnsname().is_some_and(fits)))
}
