#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use super::*;

fn read(json: &str) -> Result<KafkaSettings, serde_json::Error> {
    serde_json::from_str(json)
}

fn hubs(rest: &str) -> KafkaSettings {
    read(&format!(
        r#"{{"bootstrap_servers": "ns.servicebus.windows.net:9093", "preset": "event-hubs", "password": {{"env": "HUB"}}{rest}}}"#
    ))
    .unwrap()
}

#[test]
fn absent_settings_have_defaults_and_unknown_ones_are_refused() {
    let settings = read(r#"{"bootstrap_servers": "a:1,b:2"}"#).unwrap();
    assert_eq!(settings, KafkaSettings::new("a:1,b:2"));
    settings.validate().unwrap();
    assert_eq!(settings.security_protocol(), SecurityProtocol::Plaintext);
    assert!(settings.transactions() && settings.manage_topics());
    assert!(read(r#"{"bootstrap_servers": "a:1", "bootstrap": "b"}"#).is_err());
}

#[test]
fn event_hubs_values_are_those_that_it_documents() {
    let settings = hubs("");
    settings.validate().unwrap();
    assert_eq!(settings.security_protocol(), SecurityProtocol::SaslSsl);
    assert_eq!(settings.sasl_mechanism(), Some(SaslMechanism::Plain));
    assert_eq!(settings.username(), Some("$ConnectionString"));
    assert_eq!(settings.compression(), Compression::None);
    assert!(!settings.transactions() && !settings.manage_topics());
    assert_eq!((settings.metadata_max_age_ms(), settings.connections_max_idle_ms()), (180_000, 180_000));
    assert_eq!((settings.request_timeout_ms(), settings.max_request_bytes()), (60_000, 1_000_000));
}

#[test]
fn what_a_preset_sets_can_be_overridden() {
    let settings =
        hubs(r#", "username": "other", "compression": "gzip", "manage_topics": true, "transactions": true, "metadata_max_age_ms": 60000"#);
    settings.validate().unwrap();
    assert_eq!((settings.username(), settings.compression()), (Some("other"), Compression::Gzip));
    assert!(settings.transactions() && settings.manage_topics());
    assert_eq!(settings.metadata_max_age_ms(), 60_000);
}

#[test]
fn a_token_makes_it_oauthbearer() {
    let settings = read(r#"{"bootstrap_servers": "a:1", "preset": "event-hubs", "token": {"file": "/run/token"}}"#).unwrap();
    settings.validate().unwrap();
    assert_eq!(settings.sasl_mechanism(), Some(SaslMechanism::OauthBearer));
}

#[test]
fn a_password_never_goes_out_in_the_clear_unless_that_is_asked_for() {
    let settings = read(r#"{"bootstrap_servers": "a:1", "username": "u", "password": {"env": "P"}}"#).unwrap();
    assert_eq!(settings.security_protocol(), SecurityProtocol::SaslSsl);
    settings.validate().unwrap();
    let plain = KafkaSettings { security_protocol: Some(SecurityProtocol::SaslPlaintext), ..settings };
    plain.validate().unwrap();
}

#[test]
fn a_wrong_or_contradicting_setting_is_named() {
    let wrong = [
        ("bootstrap_servers", r#"{"bootstrap_servers": "a"}"#),
        ("replication_factor", r#"{"bootstrap_servers": "a:1", "replication_factor": 0}"#),
        ("prefetch_mib", r#"{"bootstrap_servers": "a:1", "prefetch_mib": 0}"#),
        ("call_timeout_ms", r#"{"bootstrap_servers": "a:1", "call_timeout_ms": 1}"#),
        ("client_id", r#"{"bootstrap_servers": "a:1", "client_id": ""}"#),
        ("username", r#"{"bootstrap_servers": "a:1", "username": "u"}"#),
        ("username", r#"{"bootstrap_servers": "a:1", "password": {"env": "P"}}"#),
        ("password", r#"{"bootstrap_servers": "a:1", "sasl_mechanism": "PLAIN", "username": "u"}"#),
        ("token", r#"{"bootstrap_servers": "a:1", "sasl_mechanism": "OAUTHBEARER"}"#),
        ("token", r#"{"bootstrap_servers": "a:1", "password": {"env": "P"}, "token": {"env": "T"}, "username": "u"}"#),
        ("tls", r#"{"bootstrap_servers": "a:1", "security_protocol": "PLAINTEXT", "tls": {"ca_file": "/ca"}}"#),
        ("key_file", r#"{"bootstrap_servers": "a:1", "tls": {"certificate_file": "/c"}}"#),
        ("neither a password nor a token", r#"{"bootstrap_servers": "a:1", "preset": "event-hubs"}"#),
        ("compression", r#"{"bootstrap_servers": "a:1", "preset": "event-hubs", "password": {"env": "P"}, "compression": "lz4"}"#),
        (
            "security_protocol",
            r#"{"bootstrap_servers": "a:1", "preset": "event-hubs", "password": {"env": "P"}, "security_protocol": "SASL_PLAINTEXT"}"#,
        ),
        (
            "sasl_mechanism",
            r#"{"bootstrap_servers": "a:1", "preset": "event-hubs", "password": {"env": "P"}, "sasl_mechanism": "SCRAM-SHA-256"}"#,
        ),
        (
            "request_timeout_ms",
            r#"{"bootstrap_servers": "a:1", "preset": "event-hubs", "password": {"env": "P"}, "request_timeout_ms": 20000}"#,
        ),
        (
            "max_request_bytes",
            r#"{"bootstrap_servers": "a:1", "preset": "event-hubs", "password": {"env": "P"}, "max_request_bytes": 2000000}"#,
        ),
        (
            "connections_max_idle_ms",
            r#"{"bootstrap_servers": "a:1", "preset": "event-hubs", "password": {"env": "P"}, "connections_max_idle_ms": 240000}"#,
        ),
    ];
    for (name, json) in wrong {
        let error = read(json).unwrap().validate().unwrap_err();
        assert!(error.to_string().contains(name), "{error} names {name}");
    }
}
