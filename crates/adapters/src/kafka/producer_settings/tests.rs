#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use super::*;

#[test]
fn the_defaults_are_valid_and_idempotent() {
    let settings = ProducerSettings::new("localhost:9092");
    settings.validate().unwrap();
    let config = settings.client_config();
    assert_eq!(config.get("enable.idempotence"), Some("true"));
    assert_eq!(config.get("acks"), Some("all"));
    assert_eq!(config.get("partitioner"), Some("murmur2_random"));
}

#[test]
fn absent_settings_have_defaults_and_unknown_ones_are_refused() {
    let read: ProducerSettings = serde_json::from_str(r#"{"bootstrap_servers": "a:1,b:2"}"#).unwrap();
    assert_eq!(read, ProducerSettings::new("a:1,b:2"));
    assert!(serde_json::from_str::<ProducerSettings>(r#"{"bootstrap_servers": "a:1", "lingerr": 5}"#).is_err());
}

#[test]
fn a_wrong_setting_is_named() {
    let good = ProducerSettings::new("a:1");
    let wrong = [
        ("bootstrap_servers", ProducerSettings::new("a")),
        ("bootstrap_servers", ProducerSettings::new("a:1,")),
        ("bootstrap_servers", ProducerSettings::new("a:99999")),
        ("in_flight_records_max", ProducerSettings { in_flight_records_max: 0, ..good.clone() }),
        ("in_flight_kib_max", ProducerSettings { in_flight_kib_max: 1, ..good.clone() }),
        ("delivery_timeout", ProducerSettings { delivery_timeout: Duration::ZERO, ..good }),
    ];
    for (name, settings) in wrong {
        let error = settings.validate().unwrap_err();
        assert!(error.to_string().contains(name), "{error} names {name}");
    }
}
