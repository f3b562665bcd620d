#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

fn refused(json: &str) -> String {
    serde_json::from_str::<LakeSettings>(json).unwrap().validate().unwrap_err().to_string()
}

#[test]
fn the_defaults_are_valid() {
    LakeSettings::default().validate().unwrap();
    assert_eq!(serde_json::from_str::<LakeSettings>("{}").unwrap(), LakeSettings::default());
}

#[test]
fn an_unknown_setting_and_a_plain_secret_are_refused() {
    assert!(serde_json::from_str::<LakeSettings>(r#"{"s3": {"regoin": "x"}}"#).is_err());
    let plain = serde_json::from_str::<LakeSettings>(r#"{"azure": {"access_key": "c2VjcmV0"}}"#).unwrap_err().to_string();
    assert!(plain.contains("never plain text") && !plain.contains("c2VjcmV0"), "{plain}");
}

#[test]
fn half_credentials_and_two_kinds_are_refused() {
    let env = r#"{"env": "X"}"#;
    assert!(refused(&format!(r#"{{"s3": {{"access_key_id": {env}}}}}"#)).contains("no secret_access_key"));
    assert!(refused(&format!(r#"{{"s3": {{"secret_access_key": {env}}}}}"#)).contains("no access_key_id"));
    assert!(refused(&format!(r#"{{"s3": {{"session_token": {env}}}}}"#)).contains("no access_key_id"));
    assert!(refused(&format!(r#"{{"azure": {{"access_key": {env}, "sas_token": {env}}}}}"#)).contains("set one of them"));
    assert!(refused(&format!(r#"{{"azure": {{"access_key": {env}, "identity": "workload"}}}}"#)).contains("set one of them"));
    assert!(refused(&format!(r#"{{"gcs": {{"service_account_key": {env}, "anonymous": true}}}}"#)).contains("lake.gcs"));
}

#[test]
fn plain_http_is_for_this_machine() {
    for endpoint in ["http://127.0.0.1:9000", "http://localhost/x", "http://[::1]:9000", "https://minio.example.com"] {
        let settings = S3Settings { endpoint: Some(endpoint.to_owned()), ..S3Settings::default() };
        settings.validate().unwrap();
    }
    for endpoint in
        ["http://minio:9000", "http://127.0.0.1.example.com", "http://user@127.0.0.1", "http://10.0.0.1", "minio:9000", "https://"]
    {
        let settings = S3Settings { endpoint: Some(endpoint.to_owned()), ..S3Settings::default() };
        assert!(settings.validate().unwrap_err().to_string().contains("lake.s3.endpoint"), "{endpoint}");
    }
}

#[test]
fn a_number_out_of_bounds_is_named_with_its_bounds() {
    assert_eq!(refused(r#"{"roll_bytes": 0}"#), "lake.roll_bytes is 0: set it to at least 1 and at most 1073741824");
    assert!(refused(r#"{"location": "ftp://x"}"#).starts_with("lake.location: "));
}
