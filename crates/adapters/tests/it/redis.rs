//! Redis, a single server and a cluster: the contract suite with rows of both formats, and what the contract doesn't say (what is in the
//! keys, secrets, TLS, outages, a server that forgets).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod connections;
mod outages;
mod server;
mod stored;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use millstream_adapters::redis::{RedisCriticalStore, RedisSettings, RowFormat, check_table};
use millstream_core::ports::CriticalStore;
use millstream_testkit::{ManualClock, OnData, suite};
use redis::Commands;
use serde::Deserialize;

use crate::services;

/// Keys of a test's own, removed at its end.
pub struct Keys {
    pub settings: RedisSettings,
}

impl Keys {
    /// `None`: there is no such system, and the test is skipped. `path` is `["redis"]`, or that of the cluster.
    pub fn at(path: &[&str]) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        /// Of the cluster's section there is more than its address.
        #[derive(Deserialize)]
        struct Address {
            url: String,
        }
        let address: Address = services::settings("redis", path)?;
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let key_prefix = format!("test-{}-{number}:", std::process::id());
        let cluster = path.contains(&"redis-cluster");
        // Small calls, so that a suite's epochs take several.
        let few = RedisSettings { key_prefix, cluster, rows_a_call: 3, calls_in_flight: 4, ..RedisSettings::new(address.url) };
        Some(Self { settings: few })
    }

    pub fn single() -> Option<Self> {
        Self::at(&["redis"])
    }

    pub fn store(&self, clock: Arc<ManualClock>) -> Arc<RedisCriticalStore> {
        RedisCriticalStore::new(self.settings.clone(), clock).unwrap()
    }

    /// A plain client of the (first) server.
    pub fn client(&self) -> redis::Connection {
        let first = self.settings.url.split(',').next().unwrap();
        redis::Client::open(first).unwrap().get_connection().unwrap()
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        for url in self.settings.url.split(',') {
            let Ok(mut connection) = redis::Client::open(url).and_then(|c| c.get_connection()) else { continue };
            let keys: Vec<Vec<u8>> = match connection.scan_match(format!("{}*", self.settings.key_prefix)) {
                Ok(keys) => keys.filter_map(Result::ok).collect(),
                Err(_) => continue,
            };
            for key in keys {
                let _: redis::RedisResult<()> = connection.unlink(key);
            }
        }
    }
}

/// A harness on keys of its own with rows of `format`.
fn harness(path: &'static [&'static str], format: RowFormat) -> impl Fn() -> OnData<Keys, suite::critical_store::Port> {
    move || {
        let keys = Keys::at(path).unwrap();
        let settings = RedisSettings { format, ..keys.settings.clone() };
        OnData::new(keys, move |_, clock| {
            let settings = settings.clone();
            async move { Ok(RedisCriticalStore::new(settings, clock)? as Arc<dyn CriticalStore>) }
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn critical_store() {
    if Keys::single().is_none() {
        return;
    }
    suite::critical_store::run("redis (hash)", harness(&["redis"], RowFormat::Hash)).await.assert_passed();
    suite::critical_store::run("redis (json)", harness(&["redis"], RowFormat::Json)).await.assert_passed();
}

#[tokio::test(flavor = "multi_thread")]
async fn critical_store_on_a_cluster() {
    const CLUSTER: &[&str] = &["services", "redis-cluster"];
    if Keys::at(CLUSTER).is_none() {
        return;
    }
    suite::critical_store::run("redis (cluster)", harness(CLUSTER, RowFormat::Hash)).await.assert_passed();
}

#[tokio::test(flavor = "multi_thread")]
async fn types() {
    use suite::sql_types::{OfCriticalStore, Port};
    if Keys::single().is_none() {
        return;
    }
    let harness = |format: RowFormat| {
        let keys = Keys::single().unwrap();
        let settings = RedisSettings { format, ..keys.settings.clone() };
        OnData::new(keys, move |_, clock| {
            let settings = settings.clone();
            async move { Ok(Port::of(OfCriticalStore(RedisCriticalStore::new(settings, clock)?), check_table)) }
        })
    };
    suite::sql_types::run("redis (hash)", || harness(RowFormat::Hash)).await.assert_passed();
    suite::sql_types::run("redis (json)", || harness(RowFormat::Json)).await.assert_passed();
}
