//! A full disk, a data directory that is in use, and writes that are synced.

use std::sync::Arc;

use millstream_adapters::embedded::{Durability, EmbeddedStore, StoreSettings};
use millstream_core::ports::{CheckpointStore, EventStore, Scan, SystemClock};
use millstream_core::{Epoch, ErrorKind, FlowId};
use millstream_testkit::changes::{Writer, insert};
use millstream_testkit::{row, rows, tables};

use super::{open, settings};

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_new_rows_and_lets_reads_and_claims_go_on() {
    let (dir, spec) = (tempfile::tempdir().unwrap(), tables::single("t"));
    let store = open(&dir, Arc::new(SystemClock)).unwrap();
    store.events().ensure_table(&spec).await.unwrap();
    let mut writer = Writer::begin(&*store.events(), &spec, "f", 1).await.unwrap();
    writer.commit(&*store.events(), &[insert(1, row!["a", 1])]).await.unwrap();
    drop(store);

    let full = StoreSettings { free_bytes_min: u64::MAX, ..settings() };
    let store = EmbeddedStore::open(dir.path().join("store"), full, Arc::new(SystemClock)).unwrap();
    let flow = FlowId::new("f");
    let attempt = store.checkpoints().claim(&flow).await.unwrap();
    let mut writer = Writer::begin(&*store.events(), &spec, "f", attempt.0 + 1).await.unwrap();
    assert_eq!(writer.epoch, Epoch(1));
    let refused = writer.commit(&*store.events(), &[insert(2, row!["b", 2])]).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Exhausted);
    assert!(refused.message().contains("make room on it"), "{refused}");
    let put = store.checkpoints().put(&flow, attempt, Epoch(2), "x".into()).await.unwrap_err();
    assert_eq!(put.kind(), ErrorKind::Exhausted);
    let scan = store.events().snapshot().await.unwrap().scan("t", &Scan::default()).await.unwrap();
    assert_eq!(rows::collect(scan).await.unwrap(), [row!["a", 1]]);
    drop(store);

    let store = open(&dir, Arc::new(SystemClock)).unwrap();
    let mut writer = Writer::begin(&*store.events(), &spec, "f", attempt.0 + 2).await.unwrap();
    writer.commit(&*store.events(), &[insert(2, row!["b", 2])]).await.unwrap();
    assert_eq!(writer.epoch, Epoch(2), "once there is room it goes on where it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn synced_writes_are_found_again_and_one_process_opens_the_store() {
    let (dir, spec) = (tempfile::tempdir().unwrap(), tables::single("t"));
    let synced = || StoreSettings { durability: Durability::Fsync, ..settings() };
    let open = || EmbeddedStore::open(dir.path().join("store"), synced(), Arc::new(SystemClock));
    let store = open().unwrap();
    store.events().ensure_table(&spec).await.unwrap();
    let mut writer = Writer::begin(&*store.events(), &spec, "f", 1).await.unwrap();
    writer.commit(&*store.events(), &[insert(1, row!["a", 1])]).await.unwrap();
    assert_eq!(open().err().unwrap().kind(), ErrorKind::Unavailable);
    drop(store);
    let again = open().unwrap();
    assert_eq!(Writer::begin(&*again.events(), &spec, "f", 1).await.unwrap().epoch, Epoch(1));
}
