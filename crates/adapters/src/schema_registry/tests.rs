#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use millstream_core::ErrorKind;

use super::*;

/// A registry with the schemas 1 (Avro), 2 (Protobuf) and 3 (no JSON); 4 asks for a login. Counts its requests.
async fn registry() -> (String, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let answer = |State(asked): State<Arc<AtomicUsize>>, Path(id): Path<u32>, headers: HeaderMap| async move {
        asked.fetch_add(1, Ordering::SeqCst);
        match id {
            1 => (StatusCode::OK, r#"{"schema":"\"string\""}"#.to_owned()),
            2 => (StatusCode::OK, r#"{"schema":"message","schemaType":"PROTOBUF"}"#.to_owned()),
            3 => (StatusCode::OK, "<html>".to_owned()),
            4 if headers.get("authorization").is_some_and(|a| a == "Basic bWU6") => (StatusCode::OK, r#"{"schema":"4"}"#.to_owned()),
            4 => (StatusCode::UNAUTHORIZED, String::new()),
            _ => (StatusCode::NOT_FOUND, r#"{"error_code":40403}"#.to_owned()),
        }
    };
    let app = Router::new().route("/schemas/ids/{id}", get(answer)).with_state(asked.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    #[allow(clippy::disallowed_methods, reason = "the server lives as long as the test")]
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, asked)
}

#[tokio::test]
async fn schemas_are_read_once_and_errors_say_who_has_to_act() {
    let (url, asked) = registry().await;
    let registry = HttpSchemaRegistry::new(SchemaRegistrySettings::new(&url)).unwrap();
    for _ in 0..3 {
        assert_eq!(registry.schema(1).await.unwrap(), "\"string\"");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    let kind = |id| {
        let registry = &registry;
        async move { registry.schema(id).await.unwrap_err().kind() }
    };
    assert_eq!(kind(2).await, ErrorKind::InvalidInput);
    assert_eq!(kind(3).await, ErrorKind::Unavailable);
    assert_eq!(kind(4).await, ErrorKind::InvalidInput);
    assert_eq!(kind(5).await, ErrorKind::Unavailable);
    let known =
        HttpSchemaRegistry::new(SchemaRegistrySettings { user: Some("me".to_owned()), ..SchemaRegistrySettings::new(&url) }).unwrap();
    assert_eq!(known.schema(4).await.unwrap(), "4");
}

#[tokio::test]
async fn a_registry_that_is_away_is_waited_for() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let registry = HttpSchemaRegistry::new(SchemaRegistrySettings::new(url.as_str())).unwrap();
    let error = registry.schema(1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains(&url) && error.message().contains("schema 1"), "{error}");
}

#[test]
fn settings_say_what_is_wrong() {
    let why = |settings: SchemaRegistrySettings| settings.validate().unwrap_err().message().to_owned();
    assert!(why(SchemaRegistrySettings::new("registry:8081")).contains("schema_registry.url"));
    assert!(why(SchemaRegistrySettings::new("https://me:secret@registry")).contains("holds a login"));
    let slow = SchemaRegistrySettings { request_timeout_ms: 0, ..SchemaRegistrySettings::new("http://registry") };
    assert!(why(slow).contains("request_timeout_ms"));
    assert!(SchemaRegistrySettings::new("https://registry:8081/path").validate().is_ok());
}
