#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

fn parsed(json: &str) -> Result<Secret, String> {
    serde_json::from_str(json).map_err(|e| e.to_string())
}

#[test]
fn a_place_is_taken_and_plain_text_is_refused_without_being_shown() {
    assert_eq!(parsed(r#"{"env": "PGPASSWORD"}"#), Ok(Secret::Env("PGPASSWORD".to_owned())));
    assert_eq!(parsed(r#"{"file": "/run/secrets/x"}"#), Ok(Secret::File("/run/secrets/x".into())));
    for wrong in [r#""hunter2""#, r#"{"env": "A", "file": "b"}"#, "{}", r#"{"text": "hunter2"}"#] {
        let error = parsed(wrong).unwrap_err();
        assert!(error.contains("never plain text") && !error.contains("hunter2"), "{wrong}: {error}");
    }
}

#[test]
fn a_file_is_read_again_each_time_without_its_line_break() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    let secret = Secret::File(path.clone());
    std::fs::write(&path, "first \r\n").unwrap();
    assert_eq!(secret.read("redis.password").unwrap().expose(), "first ");
    std::fs::write(&path, "second").unwrap();
    assert_eq!(secret.read("redis.password").unwrap().expose(), "second");
}

#[test]
fn what_is_missing_is_named_with_its_setting() {
    let missing = Secret::Env("MILLSTREAM_TEST_NOT_SET".to_owned()).read("postgresql.password").unwrap_err().to_string();
    assert!(missing.contains("postgresql.password") && missing.contains("MILLSTREAM_TEST_NOT_SET"), "{missing}");
    let missing = Secret::File("/nowhere/secret".into()).read("postgresql.password").unwrap_err().to_string();
    assert!(missing.contains("/nowhere/secret"), "{missing}");
}

#[test]
fn a_secret_that_was_read_shows_in_no_message() {
    assert_eq!(format!("{:?}", SecretText::from("hunter2".to_owned())), "***");
}
