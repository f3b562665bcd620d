#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use millstream_core::ErrorKind;

use super::*;

fn settings() -> CassandraSettings {
    CassandraSettings::new(["10.0.0.4:9042"], "flights")
}

#[test]
fn a_section_of_two_lines_is_enough() {
    let read: CassandraSettings = serde_json::from_str(r#"{"contact_points": ["10.0.0.4:9042"], "keyspace": "flights"}"#).unwrap();
    assert_eq!(read, settings());
    read.validate().unwrap();
}

#[test]
fn unknown_keys_and_plain_passwords_are_refused() {
    for extra in [r#""contact_point": "x""#, r#""username": "u", "password": "secret""#, r#""consistency": "TWO""#] {
        let text = format!(r#"{{"contact_points": ["a"], "keyspace": "k", {extra}}}"#);
        assert!(serde_json::from_str::<CassandraSettings>(&text).is_err(), "{extra}");
    }
}

#[test]
fn each_refusal_names_its_setting() {
    type Break = fn(&mut CassandraSettings);
    let cases: [(&str, Break); 12] = [
        ("contact_points", |s| s.contact_points.clear()),
        ("contact_points", |s| s.contact_points = vec!["host:port".into()]),
        ("contact_points", |s| s.contact_points = vec![":9042".into()]),
        ("keyspace", |s| s.keyspace = "no-hyphens".into()),
        ("keyspace", |s| s.keyspace = "k".repeat(49)),
        ("replication", |s| s.replication = [("dc1".to_owned(), 0)].into()),
        ("username", |s| s.username = Some("u".into())),
        ("provisioned_throughput", |s| s.provisioned_throughput = Some(400)),
        ("preset", |s| s.preset = Some(Preset::CosmosDb)),
        ("writes_in_flight", |s| s.writes_in_flight = 0),
        ("request_timeout_ms", |s| s.request_timeout_ms = Some(1)),
        ("feed_ttl_s", |s| s.feed_ttl_s = TTL_MAX_S + 1),
    ];
    for (setting, change) in cases {
        let mut settings = settings();
        change(&mut settings);
        let error = settings.validate().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(&format!("cassandra.{setting}")), "{error}");
    }
}

fn cosmos() -> CassandraSettings {
    let mut settings = CassandraSettings::new(["account.cassandra.cosmos.azure.com"], "flights");
    settings.preset = Some(Preset::CosmosDb);
    settings.username = Some("account".into());
    settings.password = Some(Secret::File("/run/secrets/cosmos".into()));
    settings
}

#[test]
fn the_preset_stands_in_for_what_is_absent() {
    let settings = cosmos();
    settings.validate().unwrap();
    assert_eq!(settings.addresses(), ["account.cassandra.cosmos.azure.com:10350"]);
    assert_eq!(settings.tls(), Some(TlsSettings::default()));
    assert_eq!(settings.certificate_name().as_deref(), Some("account.cassandra.cosmos.azure.com"));
    assert_eq!(settings.request_timeout(), Duration::from_secs(90));
    let mut own = settings;
    own.request_timeout_ms = Some(20_000);
    own.certificate_name = Some("proxy".into());
    assert_eq!((own.request_timeout(), own.certificate_name().as_deref()), (Duration::from_secs(20), Some("proxy")));
}

#[test]
fn what_the_preset_cannot_have_is_refused() {
    type Break = fn(&mut CassandraSettings);
    let cases: [(&str, Break); 5] = [
        ("username", |s| (s.username, s.password) = (None, None)),
        ("encrypted", |s| s.encrypted = Some(false)),
        ("replication", |s| s.replication = [("dc1".to_owned(), 3)].into()),
        ("provisioned_throughput", |s| s.provisioned_throughput = Some(399)),
        ("autoscale_max_throughput", |s| s.autoscale_max_throughput = Some(999)),
    ];
    for (setting, change) in cases {
        let mut settings = cosmos();
        change(&mut settings);
        let error = settings.validate().unwrap_err();
        assert!(error.to_string().contains(&format!("cassandra.{setting}")), "{error}");
    }
    let mut local = cosmos();
    (local.contact_points, local.encrypted) = (vec!["127.0.0.1:19042".into()], Some(false));
    local.validate().unwrap();
    assert_eq!(local.tls(), None);
}

#[test]
fn a_port_that_is_absent_is_the_protocols() {
    let mut settings = CassandraSettings::new(["a", "b:19042"], "k");
    assert_eq!(settings.addresses(), ["a:9042", "b:19042"]);
    settings.preset = Some(Preset::CosmosDb);
    assert_eq!(settings.addresses(), ["a:10350", "b:19042"]);
}
