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
        ("request_timeout_ms", |s| s.request_timeout_ms = 1),
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

#[test]
fn a_port_that_is_absent_is_the_protocols() {
    let mut settings = CassandraSettings::new(["a", "b:19042"], "k");
    assert_eq!(settings.addresses(), ["a:9042", "b:19042"]);
    settings.preset = Some(Preset::CosmosDb);
    assert_eq!(settings.addresses(), ["a:10350", "b:19042"]);
}
