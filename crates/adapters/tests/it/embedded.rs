//! The built-in engines: every contract suite, and what their contracts don't say (formats that stay, kills, maintenance).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod disk;
mod kill;
mod maintenance;

use std::sync::Arc;

use millstream_adapters::embedded::{EmbeddedStore, LocalSpillStore, StoreSettings, check_table};
use millstream_core::Result;
use millstream_core::ports::Clock;
use millstream_testkit::{ManualClock, OnData, suite};
use tempfile::TempDir;

/// Small enough that a suite's handful of rows also meets files and not only memory.
pub fn settings() -> StoreSettings {
    StoreSettings { memtable_bytes: 1 << 20, cache_bytes: 4 << 20, critical_front_bytes: 1 << 20, ..StoreSettings::default() }
}

pub fn open(dir: &TempDir, clock: Arc<dyn Clock>) -> Result<Arc<EmbeddedStore>> {
    EmbeddedStore::open(dir.path().join("store"), settings(), clock)
}

/// A harness on a folder of its own, which opens the part of the store that `pick` takes.
fn harness<P: Send + 'static>(pick: fn(&EmbeddedStore) -> P) -> impl Fn() -> OnData<TempDir, P> {
    move || {
        OnData::new(tempfile::tempdir().unwrap(), move |dir: Arc<TempDir>, clock: Arc<ManualClock>| async move {
            Ok(pick(&*open(&dir, clock)?))
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn event_store() {
    suite::event_store::run("built-in", harness(|s| s.events() as suite::event_store::Port)).await.assert_passed();
}

#[tokio::test(flavor = "multi_thread")]
async fn change_feed() {
    let pick = |s: &EmbeddedStore| suite::change_feed::Port { store: s.events(), feed: s.feed() };
    suite::change_feed::run("built-in", harness(pick)).await.assert_passed();
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoint_store() {
    suite::checkpoint_store::run("built-in", harness(|s| s.checkpoints() as suite::checkpoint_store::Port)).await.assert_passed();
}

#[tokio::test(flavor = "multi_thread")]
async fn report_store() {
    suite::report_store::run("built-in", harness(|s| s.reports() as suite::report_store::Port)).await.assert_passed();
}

#[tokio::test(flavor = "multi_thread")]
async fn critical_store() {
    suite::critical_store::run("built-in", harness(|s| s.critical() as suite::critical_store::Port)).await.assert_passed();
}

#[tokio::test(flavor = "multi_thread")]
async fn types() {
    use suite::sql_types::{OfCriticalStore, OfEventStore, OfReportStore, Port};
    suite::sql_types::run("built-in events", harness(|s| Port::of(OfEventStore(s.events()), check_table))).await.assert_passed();
    suite::sql_types::run("built-in critical", harness(|s| Port::of(OfCriticalStore(s.critical()), check_table))).await.assert_passed();
    suite::sql_types::run("built-in reports", harness(|s| Port::of(OfReportStore(s.reports()), check_table))).await.assert_passed();
}

#[tokio::test(flavor = "multi_thread")]
async fn system_store() {
    suite::system_store::run("built-in", harness(|s| s.system() as suite::system_store::Port)).await.assert_passed();
}

#[tokio::test(flavor = "multi_thread")]
async fn spill_store() {
    fn files(folder: &std::path::Path) -> usize {
        let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
        entries.map(|entry| entry.unwrap().path()).map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
    }
    let harness = || {
        OnData::new(tempfile::tempdir().unwrap(), |dir: Arc<TempDir>, _| async move {
            let store = Arc::new(LocalSpillStore::new(dir.path().join("state")));
            Ok(suite::spill_store::Port { store, files: Arc::new(move || files(dir.path())) })
        })
    };
    suite::spill_store::run("built-in", harness).await.assert_passed();
}
