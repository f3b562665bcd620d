#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
use super::*;

#[test]
fn the_defaults_are_valid_and_absent_keys_have_them() {
    HttpSettings::default().validate().unwrap();
    let some: HttpSettings = serde_json::from_str(r#"{"page_rows_default": 5}"#).unwrap();
    assert_eq!(some, HttpSettings { page_rows_default: 5, ..HttpSettings::default() });
}

#[test]
fn an_unknown_key_is_an_error() {
    assert!(serde_json::from_str::<HttpSettings>(r#"{"page_row": 5}"#).is_err());
}

#[test]
fn useless_bounds_are_refused_by_name() {
    let refused = |settings: HttpSettings| settings.validate().unwrap_err().to_string();
    assert!(refused(HttpSettings { requests_max: 0, ..HttpSettings::default() }).contains("http.requests_max"));
    assert!(refused(HttpSettings { page_rows_max: 1, ..HttpSettings::default() }).contains("http.page_rows_max"));
    assert!(refused(HttpSettings { critical_failures_max: 0, ..HttpSettings::default() }).contains("http.critical_failures_max"));
    assert!(refused(HttpSettings { critical_timeout_ms: 10_001, ..HttpSettings::default() }).contains("http.critical_timeout_ms"));
    assert!(refused(HttpSettings { header_bytes_max: 10, ..HttpSettings::default() }).contains("http.header_bytes_max"));
}
