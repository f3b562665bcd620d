#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
use std::collections::HashMap;

use super::*;

fn variables() -> Variables {
    Variables::new("0.1.0", Some(Duration::from_secs(300)))
}

#[test]
fn the_version_is_one_that_clients_can_read() {
    assert_eq!(variables().get("server_version").unwrap(), "16.6 (Millstream 0.1.0)");
    assert_eq!(variables().get("SERVER_VERSION_NUM").unwrap(), "160006");
}

#[test]
fn what_the_client_says_at_startup_is_taken_over() {
    let variables = variables();
    let said =
        [("user", "ana"), ("database", "d"), ("DateStyle", "ISO, DMY"), ("options", "-c statement_timeout=5s -c application_name=x")];
    variables.start(&said.map(|(k, v)| (k.to_owned(), v.to_owned())).into_iter().collect::<HashMap<_, _>>());
    assert_eq!(variables.get("session_authorization").unwrap(), "ana");
    assert_eq!(variables.get("datestyle").unwrap(), "ISO, DMY");
    assert_eq!(variables.get("application_name").unwrap(), "x");
    assert_eq!(variables.statement_timeout(), Some(Duration::from_secs(5)));
    assert_eq!(variables.get("database"), None);
}

#[test]
fn facts_about_the_server_stay() {
    let variables = variables();
    variables.put("server_version", "9");
    assert!(variables.get("server_version").unwrap().starts_with("16"));
}

#[test]
fn a_reset_brings_the_default_back() {
    let variables = variables();
    variables.put("statement_timeout", "0");
    variables.put("my.own", "1");
    assert_eq!(variables.statement_timeout(), None);
    variables.reset(Some("statement_timeout"));
    variables.reset(Some("my.own"));
    assert_eq!((variables.statement_timeout(), variables.get("my.own")), (Some(Duration::from_secs(300)), None));
}

#[test]
fn durations_have_postgresqls_units() {
    let ms = |text: &str| duration(text).map(|d| d.as_millis());
    assert_eq!(["5", "5ms", "5s", "5 s", "2min", "1h", "1d"].map(ms), [5, 5, 5_000, 5_000, 120_000, 3_600_000, 86_400_000].map(Some));
    assert_eq!(["", "s", "5 parsecs", "-1"].map(ms), [None; 4]);
}
