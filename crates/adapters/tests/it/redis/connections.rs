//! Users, passwords, certificates.

use std::path::PathBuf;
use std::sync::Arc;

use millstream_adapters::connection::{Secret, TlsSettings};
use millstream_adapters::redis::{RedisCriticalStore, RedisSettings, probe};
use millstream_core::ErrorKind;
use millstream_core::ports::CriticalStore;
use millstream_testkit::changes::{Writer, insert};
use millstream_testkit::rows::collect;
use millstream_testkit::{ManualClock, row, tables};
use serde::Deserialize;

use super::Keys;
use super::server::Server;
use crate::services;

#[derive(Deserialize)]
struct Listener {
    tls_url: String,
    username: String,
    password: Secret,
}

#[derive(Deserialize)]
struct Certificates {
    ca_file: PathBuf,
    other_ca_file: PathBuf,
    certificate_file: PathBuf,
    key_file: PathBuf,
}

/// The TLS listener with an ACL user, under keys of the test's own.
fn encrypted() -> Option<(Keys, RedisSettings, Certificates)> {
    let keys = Keys::single()?;
    let listener: Listener = services::settings("redis", &["services", "redis"])?;
    let certificates: Certificates = services::settings("redis", &["services", "tls"])?;
    let tls = TlsSettings {
        ca_file: Some(certificates.ca_file.clone()),
        certificate_file: Some(certificates.certificate_file.clone()),
        key_file: Some(certificates.key_file.clone()),
    };
    let settings = RedisSettings {
        url: listener.tls_url,
        username: Some(listener.username),
        password: Some(listener.password),
        tls,
        ..keys.settings.clone()
    };
    Some((keys, settings, certificates))
}

async fn works(settings: &RedisSettings) -> millstream_core::Result<()> {
    let store = RedisCriticalStore::new(settings.clone(), Arc::new(ManualClock::default()))?;
    store.ensure_table(&tables::critical("t", None)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_and_an_acl_user_with_a_password() {
    let Some((_keys, settings, certificates)) = encrypted() else { return };
    works(&settings).await.unwrap();
    let line = probe(&settings).await.unwrap();
    assert!(line.starts_with("Redis 7") && line.contains("may write"), "{line}");
    let stranger = TlsSettings { ca_file: Some(certificates.other_ca_file), ..settings.tls.clone() };
    let error = works(&RedisSettings { tls: stranger, ..settings }).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("certificate"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_read_again_when_a_connection_is_made() {
    let Some((_keys, settings, _)) = encrypted() else { return };
    let right = settings.password.as_ref().unwrap().read("redis.password").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    std::fs::write(&file, "not yet rotated").unwrap();
    let rotating = RedisSettings { password: Some(Secret::File(file.clone())), ..settings };
    let store = RedisCriticalStore::new(rotating, Arc::new(ManualClock::default())).unwrap();
    let error = store.ensure_table(&tables::critical("t", None)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "it may be there a moment later");
    let text = error.to_string();
    assert!(text.contains("redis.password") && !text.contains("rotated"), "{text}");
    std::fs::write(&file, right.expose()).unwrap();
    store.ensure_table(&tables::critical("t", None)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_probe_says_what_is_wrong() {
    let Some(keys) = Keys::single() else { return };
    let line = probe(&keys.settings).await.unwrap();
    assert!(line.contains("standalone") && line.contains(&keys.settings.key_prefix), "{line}");
    let nobody = RedisSettings { url: "redis://127.0.0.1:1".to_owned(), ..keys.settings.clone() };
    let error = probe(&nobody).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
    let error = probe(&RedisSettings { cluster: true, ..keys.settings.clone() }).await.unwrap_err();
    assert!(error.to_string().contains("cluster"), "{error}");
    assert_eq!(keys_left(&keys), 0, "a probe leaves nothing behind");
}

fn keys_left(keys: &Keys) -> usize {
    use redis::Commands;
    let mut client = keys.client();
    let found = client.scan_match::<_, Vec<u8>>(format!("{}*", keys.settings.key_prefix)).unwrap();
    found.count()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rights_that_the_docs_list_are_enough_and_fewer_are_named() {
    let Some(server) = Server::start(&[]) else { return };
    let mut admin = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    let rights = ["~millstream:*", "resetchannels", "+@read", "+@write", "+@scripting", "+@connection", "+info", "+cluster|slots"];
    let mut grant = redis::cmd("ACL");
    grant.arg("SETUSER").arg("millstream").arg("on").arg(">sesame").arg(&rights);
    grant.exec(&mut admin).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    std::fs::write(&file, "sesame\n").unwrap();
    let settings =
        RedisSettings { username: Some("millstream".to_owned()), password: Some(Secret::File(file)), ..RedisSettings::new(server.url()) };
    probe(&settings).await.unwrap();
    let store = RedisCriticalStore::new(settings.clone(), Arc::new(ManualClock::default())).unwrap();
    let spec = tables::critical("t", None);
    store.ensure_table(&spec).await.unwrap();
    let mut w = Writer::begin(&*store, &spec, "f", 1).await.unwrap();
    w.commit(&*store, &[insert(1, row!["EWR", 1, 1])]).await.unwrap();
    assert_eq!(collect(store.scan("t", None).await.unwrap()).await.unwrap().len(), 1);
    store.evict_all("t").await.unwrap();
    store.drop_table("t").await.unwrap();
    redis::cmd("ACL").arg("SETUSER").arg("millstream").arg("-@scripting").exec(&mut admin).unwrap();
    let error = probe(&settings).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("rights"), "{error}");
}
