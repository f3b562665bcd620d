#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use super::*;

#[test]
fn what_is_wrong_with_the_url_is_said_and_a_password_is_not_shown() {
    let refusal = |url: &str| MysqlSettings::new(url).validate().unwrap_err().to_string();
    let message = refusal("mysql://u:hunter2@db/x");
    assert!(message.contains("mysql.password") && !message.contains("hunter2"), "{message}");
    assert!(refusal("mysql://u@db").contains("no database"));
    assert!(refusal("mysql://db/x").contains("mysql.user"));
    assert!(refusal("mysql://u@db/x?require_ssl=true").contains("ssl-mode"));
    assert!(refusal("nonsense").contains("mysql.url"));
}

#[test]
fn tls_is_on_unless_the_server_is_here_or_the_url_says_otherwise() {
    let tls = |url: &str| MysqlSettings::new(url).options().unwrap().1;
    assert!(tls("mysql://u@db/x") && tls("mysql://u@127.0.0.1/x?ssl-mode=required"));
    assert!(!tls("mysql://u@127.0.0.1/x") && !tls("mysql://u@db/x?ssl-mode=disabled"));
}

#[test]
fn the_section_is_read_and_unknown_keys_are_refused() {
    let read = |text: &str| serde_json::from_str::<MysqlSettings>(text);
    let settings = read(r#"{"url": "mysql://u@db:3307/x", "zero_dates": "null"}"#).unwrap();
    assert_eq!((settings.zero_dates, settings.place()), (ZeroDates::Null, "x at db:3307".to_owned()));
    assert!(read(r#"{"url": "mysql://u@db/x", "pass": "x"}"#).is_err());
}
