#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use super::*;

fn refusal(url: &str) -> String {
    let settings = PostgresSettings { user: Some("u".into()), ..PostgresSettings::new(url) };
    settings.validate().unwrap_err().to_string()
}

#[test]
fn a_password_in_the_url_is_refused_and_not_shown() {
    for url in ["postgres://u:hunter2@db/reports", "host=db dbname=reports password=hunter2"] {
        let message = refusal(url);
        assert!(message.contains("postgresql.password") && !message.contains("hunter2"), "{message}");
    }
}

#[test]
fn what_the_url_lacks_is_named() {
    assert!(refusal("postgres://db").contains("no database"));
    assert!(refusal("nonsense").contains("postgresql.url"));
    assert!(refusal("postgres://db/x?sslmode=prefer").contains("sslmode"));
    assert!(refusal("postgres://db/x?options=-c%20a%3Db").contains("options"));
    assert!(PostgresSettings::new("postgres://db/x").validate().unwrap_err().to_string().contains("postgresql.user"));
}

#[test]
fn tls_is_on_unless_the_server_is_here_or_the_url_says_otherwise() {
    let mode = |url: &str| PostgresSettings::new(url).client_config().unwrap().get_ssl_mode();
    assert_eq!(mode("postgres://u@db/x"), SslMode::Require);
    assert_eq!(mode("postgres://u@db/x?sslmode=verify-full"), SslMode::Require);
    assert_eq!(mode("postgres://u@db/x?sslmode=disable"), SslMode::Disable);
    assert_eq!(mode("postgres://u@127.0.0.1:6432/x"), SslMode::Disable);
    assert_eq!(mode("postgres://u@127.0.0.1:6432/x?sslmode=require"), SslMode::Require);
}

#[test]
fn unknown_keys_and_plain_secrets_are_refused() {
    let read = |text: &str| serde_json::from_str::<PostgresSettings>(text);
    let settings = read(r#"{"url": "postgres://u@db:6432/x", "password": {"env": "PGPASSWORD"}}"#).unwrap();
    assert_eq!((settings.schema.as_str(), settings.place().as_str()), ("public", "x at db:6432"));
    assert!(read(r#"{"url": "postgres://u@db/x", "passwort": {"env": "PGPASSWORD"}}"#).is_err());
    assert!(read(r#"{"url": "postgres://u@db/x", "password": "hunter2"}"#).unwrap_err().to_string().contains("never plain text"));
}
