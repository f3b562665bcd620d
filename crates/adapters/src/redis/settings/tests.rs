#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use super::*;

#[test]
fn the_shortest_section_has_the_defaults() {
    let settings: RedisSettings = serde_json::from_str(r#"{"url": "redis://127.0.0.1:6379"}"#).unwrap();
    assert_eq!(settings, RedisSettings::new("redis://127.0.0.1:6379"));
    settings.validate().unwrap();
}

#[test]
fn unknown_settings_are_refused() {
    let error = serde_json::from_str::<RedisSettings>(r#"{"url": "redis://127.0.0.1:6379", "pasword": "x"}"#).unwrap_err();
    assert!(error.to_string().contains("pasword"), "{error}");
}

#[test]
fn a_password_in_the_url_is_refused_and_not_repeated() {
    for url in ["redis://:sesame@127.0.0.1:6379", "redis://me:sesame@127.0.0.1:6379", "redis://me@127.0.0.1", "sesame@host"] {
        let error = RedisSettings::new(url).validate().unwrap_err().to_string();
        assert!(error.contains("redis.url") && !error.contains("sesame"), "{url}: {error}");
    }
}

#[test]
fn what_can_not_work_names_its_setting() {
    let good = || RedisSettings::new("redis://127.0.0.1:6379");
    let tls = || TlsSettings { ca_file: Some("/ca.pem".into()), ..TlsSettings::default() };
    let cases = [
        (RedisSettings::new("http://127.0.0.1"), "redis.url"),
        (RedisSettings::new("rediss://127.0.0.1:6379/#insecure"), "redis.url"),
        (RedisSettings::new("redis://a:1,redis://b:2"), "redis.cluster"),
        (RedisSettings { cluster: true, ..RedisSettings::new("redis://a:1,rediss://b:2") }, "mixes"),
        (RedisSettings { cluster: true, ..RedisSettings::new("redis://a:1/3") }, "database"),
        (RedisSettings { tls: tls(), ..good() }, "redis.tls"),
        (RedisSettings { username: Some("me".into()), ..good() }, "redis.password"),
        (RedisSettings { key_prefix: "a{b}".into(), ..good() }, "redis.key_prefix"),
        (RedisSettings { request_timeout_ms: 60_000, ..good() }, "redis.request_timeout_ms"),
        (RedisSettings { rows_a_call: 0, ..good() }, "redis.rows_a_call"),
        (RedisSettings { calls_in_flight: 0, ..good() }, "redis.calls_in_flight"),
    ];
    for (settings, named) in cases {
        let error = settings.validate().unwrap_err().to_string();
        assert!(error.contains(named), "{settings:?}: {error}");
    }
    RedisSettings { cluster: true, ..RedisSettings::new("redis://a:1, redis://b:2") }.validate().unwrap();
    RedisSettings { tls: tls(), ..RedisSettings::new("rediss://a:1/2") }.validate().unwrap();
}
