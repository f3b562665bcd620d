#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use millstream_testkit::ManualClock;

use super::*;

fn file(text: &str) -> (tempfile::NamedTempFile, Secret) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let secret = Secret::File(file.path().to_owned());
    (file, secret)
}

fn jwt(claims: &str) -> String {
    format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), URL_SAFE_NO_PAD.encode(claims))
}

#[test]
fn a_jwt_says_who_it_is_and_when_it_expires() {
    let (_kept, secret) = file(&(jwt(r#"{"sub":"flights","exp":1704067260.5}"#) + "\n"));
    let token = read(Some(&secret), &ManualClock::default()).unwrap();
    assert_eq!((token.principal_name.as_str(), token.lifetime_ms), ("flights", 1_704_067_260_500));
}

#[test]
fn a_token_of_another_kind_is_read_again_after_five_minutes() {
    let (_kept, secret) = file("opaque");
    let token = read(Some(&secret), &ManualClock::default()).unwrap();
    assert_eq!((token.token.as_str(), token.lifetime_ms), ("opaque", 1_704_067_500_000));
}

#[test]
fn the_file_is_read_each_time() {
    let (kept, secret) = file("old");
    assert_eq!(read(Some(&secret), &ManualClock::default()).unwrap().token, "old");
    std::fs::write(kept.path(), "new").unwrap();
    assert_eq!(read(Some(&secret), &ManualClock::default()).unwrap().token, "new");
}

#[test]
fn an_expired_token_is_refused_without_showing_it() {
    let text = jwt(r#"{"exp":1}"#);
    let (_kept, secret) = file(&text);
    let error = read(Some(&secret), &ManualClock::default()).err().unwrap();
    assert!(error.to_string().contains("expired") && !error.to_string().contains(&text), "{error}");
}
