//! Secrets that change, certificates that are wrong, servers that don't answer.

use std::path::Path;

use millstream_adapters::connection::{Secret, TlsSettings};
use millstream_adapters::postgresql::{PostgresPool, PostgresReportStore, PostgresSettings, probe};
use millstream_core::ErrorKind;
use millstream_core::ports::ReportStore;
use millstream_testkit::tables;
use serde::Deserialize;

use super::{Admin, Schemas, store};
use crate::services;

#[derive(Deserialize)]
struct Authorities {
    ca_file: std::path::PathBuf,
    other_ca_file: std::path::PathBuf,
}

fn with_sslmode(settings: &PostgresSettings, mode: &str) -> String {
    format!("{}?sslmode={mode}", settings.url)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_password_is_picked_up_by_new_connections_and_old_ones_go_on() {
    let (Some(schemas), Some(admin)) = (Schemas::direct(), Admin::client().await) else { return };
    let settings = schemas.next();
    let role = settings.schema.clone();
    let database: String = settings.url.rsplit('/').next().unwrap().to_owned();
    let make = format!("CREATE ROLE {role} LOGIN PASSWORD 'first'; GRANT CREATE, TEMPORARY ON DATABASE {database} TO {role}");
    admin.batch_execute(&make).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    std::fs::write(&file, "first\n").unwrap();
    let settings = PostgresSettings { user: Some(role.clone()), password: Some(Secret::File(file.clone())), ..settings };
    let store = store(&settings);
    let spec = tables::report("daily");
    store.ensure_report(&spec).await.unwrap();
    // One connection is held by a scan, so that a second one has to be made.
    let held = store.snapshot().await.unwrap().scan("daily", None).await.unwrap();
    admin.batch_execute(&format!("ALTER ROLE {role} PASSWORD 'second'")).await.unwrap();
    let error = store.published_run("daily").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "until the file says it too one waits: {error}");
    assert!(error.to_string().contains("postgresql.password") && !error.to_string().contains("first"), "{error}");
    std::fs::remove_file(&file).unwrap();
    let error = store.published_run("daily").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "also while the file is exchanged: {error}");
    std::fs::write(&file, "second\n").unwrap();
    assert_eq!(store.published_run("daily").await.unwrap(), None);
    assert!(millstream_testkit::rows::collect(held).await.unwrap().is_empty(), "the old connection goes on");
    drop(store);
    super::client(&settings).await.batch_execute(&format!("DROP SCHEMA {role} CASCADE")).await.unwrap();
    schemas.drop_all().await;
    admin.batch_execute(&format!("REVOKE ALL ON DATABASE {database} FROM {role}; DROP ROLE {role}")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_to_be_trusted_is_refused() {
    let Some(authorities) = services::settings::<Authorities>("postgresql", &["services", "tls"]) else { return };
    let Some(schemas) = Schemas::direct() else { return };
    let settings = schemas.next();
    let with = |file: &Path, mode: &str| PostgresSettings {
        url: with_sslmode(&settings, mode),
        tls: TlsSettings { ca_file: Some(file.to_owned()), ..TlsSettings::default() },
        ..settings.clone()
    };
    assert!(probe(&with(&authorities.ca_file, "require")).await.unwrap().contains("may create tables"));
    assert!(probe(&with(&authorities.ca_file, "verify-full")).await.is_ok());
    let error = probe(&with(&authorities.other_ca_file, "require")).await.unwrap_err();
    assert!(error.to_string().contains("certificate") && error.to_string().contains("postgresql.tls.ca_file"), "{error}");
    assert!(probe(&settings).await.is_ok(), "without TLS it answers too");
    schemas.drop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_says_what_is_there_and_what_is_wrong() {
    let Some(schemas) = Schemas::direct() else { return };
    let settings = schemas.next();
    let line = probe(&settings).await.unwrap();
    assert!(line.starts_with("PostgreSQL ") && line.ends_with("may create tables"), "{line}");
    let elsewhere = PostgresSettings { url: format!("{}/nowhere", settings.url.rsplit_once('/').unwrap().0), ..settings.clone() };
    let error = probe(&elsewhere).await.unwrap_err();
    assert!(error.to_string().contains("nowhere") && error.kind() == ErrorKind::InvalidInput, "{error}");
    let nobody = tempfile::NamedTempFile::new().unwrap();
    let wrong = PostgresSettings { password: Some(Secret::File(nobody.path().to_owned())), ..settings.clone() };
    let error = probe(&wrong).await.unwrap_err();
    assert!(error.to_string().contains("check postgresql.user and postgresql.password"), "{error}");
    schemas.drop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_accepts_and_never_answers_is_unavailable() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://u@{}/x", silent.local_addr().unwrap());
    let settings = PostgresSettings { connect_timeout_ms: 300, request_timeout_ms: 300, ..PostgresSettings::new(url) };
    let error = probe(&settings).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let store = PostgresReportStore::new(PostgresPool::new(settings).unwrap());
    assert_eq!(store.ensure_report(&tables::report("r")).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_the_server_ended_are_made_again() {
    let (Some(schemas), Some(admin)) = (Schemas::direct(), Admin::client().await) else { return };
    let settings = schemas.next();
    let (store, spec) = (store(&settings), tables::report("daily"));
    store.ensure_report(&spec).await.unwrap();
    // Only those of this test: others share the server.
    // Waits for their end, at most 10 s each.
    let end = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE query LIKE '%' || $1 || '%' AND pid <> pg_backend_pid()";
    store.published_run("daily").await.unwrap();
    let ended = admin.query(end, &[&settings.schema]).await.unwrap();
    assert!(!ended.is_empty(), "there was a connection to end");
    // Each of them may be met once by a call, if its end has not been seen yet; none stays broken.
    for _ in ended {
        if let Err(error) = store.published_run("daily").await {
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        }
    }
    assert_eq!(store.published_run("daily").await.unwrap(), None);
    schemas.drop_all().await;
}
