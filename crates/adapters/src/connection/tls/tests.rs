#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

#[test]
fn half_a_client_certificate_is_refused() {
    let half = TlsSettings { certificate_file: Some("c.pem".into()), ..TlsSettings::default() };
    assert!(half.validate("redis").unwrap_err().to_string().contains("redis.tls has a certificate_file and no key_file"));
    let half = TlsSettings { key_file: Some("k.pem".into()), ..TlsSettings::default() };
    assert!(half.rustls("redis").unwrap_err().to_string().contains("no certificate_file"));
}

#[test]
fn a_file_without_certificates_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ca.pem");
    std::fs::write(&path, "nothing\n").unwrap();
    let tls = TlsSettings { ca_file: Some(path), ..TlsSettings::default() };
    let error = tls.rustls("postgresql").unwrap_err().to_string();
    assert!(error.contains("postgresql.tls.ca_file") && error.contains("ca.pem"), "{error}");
}

#[test]
fn an_unknown_setting_is_refused() {
    assert!(serde_json::from_str::<TlsSettings>(r#"{"verify": false}"#).is_err());
}
