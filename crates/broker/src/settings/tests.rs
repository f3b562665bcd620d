#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use millstream_core::ErrorKind;

use super::*;

#[test]
fn the_defaults_are_valid_and_survive_a_round_trip() {
    let settings = BrokerSettings::default();
    settings.validate().unwrap();
    let json = serde_json::to_string(&settings).unwrap();
    assert_eq!(serde_json::from_str::<BrokerSettings>(&json).unwrap(), settings);
    assert_eq!(settings.durability, Durability::Process);
}

#[test]
fn an_unknown_setting_is_refused() {
    let error = serde_json::from_str::<BrokerSettings>(r#"{"durabillity": "fsync"}"#).unwrap_err();
    assert!(error.to_string().contains("durabillity"), "{error}");
}

#[test]
fn impossible_settings_are_refused_by_name() {
    type Spoil = fn(&mut BrokerSettings);
    let wrong: [(&str, Spoil); 6] = [
        ("broker.segment_bytes", |s| s.segment_bytes = 10),
        ("broker.message_bytes_max", |s| s.message_bytes_max = s.request_bytes_max),
        ("broker.in_flight_bytes_max", |s| s.in_flight_bytes_max = 1),
        ("broker.default_partitions", |s| s.default_partitions = 0),
        ("broker.connections_max", |s| s.connections_max = 0),
        ("broker.retention_check_secs", |s| s.retention_check_secs = 0),
    ];
    for (name, spoil) in wrong {
        let mut settings = BrokerSettings::default();
        spoil(&mut settings);
        let error = settings.validate().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.message().contains(name), "{error}");
    }
}
