//! [`TlsSettings`]: whom a connection trusts, and who it says it is. Verification can't be switched off.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use millstream_core::{Error, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde::{Deserialize, Serialize};

/// How TLS is checked: the `tls` table of a system's section. The files are read whenever a connection is made, so that a renewed
/// certificate is picked up without a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsSettings {
    /// Certificates of the authorities that are trusted (PEM); not set: those of the operating system.
    pub ca_file: Option<PathBuf>,
    /// The client's certificate chain for mutual TLS (PEM); goes with `key_file`.
    pub certificate_file: Option<PathBuf>,
    /// The client's private key (PEM, not encrypted).
    pub key_file: Option<PathBuf>,
}

impl TlsSettings {
    /// Refuses half of a client certificate. `section` is `postgresql`, for instance.
    pub fn validate(&self, section: &str) -> Result<()> {
        match (&self.certificate_file, &self.key_file) {
            (Some(_), None) => {
                Err(Error::invalid(format!("{section}.tls has a certificate_file and no key_file: set both for mutual TLS")))
            }
            (None, Some(_)) => {
                Err(Error::invalid(format!("{section}.tls has a key_file and no certificate_file: set both for mutual TLS")))
            }
            _ => Ok(()),
        }
    }

    /// What rustls needs, from the files as they are now. [`InvalidInput`](millstream_core::ErrorKind::InvalidInput) names setting and file.
    pub fn rustls(&self, section: &str) -> Result<ClientConfig> {
        self.validate(section)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| Error::internal("TLS 1.2 and 1.3 are not available").caused_by(e))?
            .with_root_certificates(self.roots(section)?);
        let (Some(certificate_file), Some(key_file)) = (&self.certificate_file, &self.key_file) else {
            return Ok(builder.with_no_client_auth());
        };
        let chain = certificates(certificate_file, &format!("{section}.tls.certificate_file"))?;
        let setting = format!("{section}.tls.key_file");
        let key = PrivateKeyDer::from_pem_file(key_file)
            .map_err(|e| Error::invalid(format!("{setting}: {} holds no private key that can be read", key_file.display())).caused_by(e))?;
        builder
            .with_client_auth_cert(chain, key)
            .map_err(|e| Error::invalid(format!("{setting}: the key and the certificate can't be used together")).caused_by(e))
    }

    fn roots(&self, section: &str) -> Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        if let Some(file) = &self.ca_file {
            let setting = format!("{section}.tls.ca_file");
            for certificate in certificates(file, &setting)? {
                roots.add(certificate).map_err(|e| {
                    Error::invalid(format!("{setting}: {} holds a certificate that can't be used", file.display())).caused_by(e)
                })?;
            }
            return Ok(roots);
        }
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            return Err(Error::invalid(format!(
                "{section}: the operating system has no certificates to trust: install ca-certificates, or set {section}.tls.ca_file"
            )));
        }
        Ok(roots)
    }
}

/// The certificates in a PEM file: at least one.
fn certificates(file: &Path, setting: &str) -> Result<Vec<CertificateDer<'static>>> {
    let unreadable = |e| Error::invalid(format!("{setting}: {} holds no certificates that can be read", file.display())).caused_by(e);
    let found = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(unreadable)?;
    if found.is_empty() {
        return Err(Error::invalid(format!("{setting}: {} holds no certificate", file.display())));
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
