//! The event store and its change feed on a real Cassandra: their contract suites, and what the contracts don't say. And on Cosmos DB, as
//! far as a peer that answers as it does can show.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod cosmos;
mod crash;
mod interleaved;
mod outage;
mod peer;
mod renamed;
mod tables;
mod world;

use std::sync::Arc;

use arrow::datatypes::DataType;
use millstream_adapters::cassandra::{CassandraSettings, check_table};
use millstream_core::ports::{ChangeFeed, EventStore};
use millstream_core::table::has_text_keys;
use millstream_testkit::{Cell, suite};

use world::{World, with_feed, without_feed};

fn store(store: Arc<dyn EventStore>, _: Arc<dyn ChangeFeed>) -> suite::event_store::Port {
    store
}

fn feed(store: Arc<dyn EventStore>, feed: Arc<dyn ChangeFeed>) -> suite::change_feed::Port {
    suite::change_feed::Port { store, feed }
}

#[tokio::test(flavor = "multi_thread")]
async fn event_store() {
    let Some(world) = World::find() else { return };
    suite::event_store::run("cassandra", || world.harness(without_feed(), store)).await.assert_passed();
    world.clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn event_store_with_a_feed() {
    let Some(world) = World::find() else { return };
    // What is read is the same as without: here is what a commit does differently where its changes are logged too.
    let is_of_reads = |case: &str| {
        ["key_type", "similar_keys", "fit_the_key", "page", "bounds", "prefix", "clustering", "scan", "partition"]
            .iter()
            .any(|w| case.contains(w))
    };
    let cases: Vec<_> = suite::event_store::CASES.iter().copied().filter(|c| !is_of_reads(c)).collect();
    suite::event_store::run_only("cassandra, feed on", || world.harness(with_feed(), store), &cases).await.assert_passed();
    world.clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn change_feed() {
    let Some(world) = World::find() else { return };
    suite::change_feed::run("cassandra", || world.harness(with_feed(), feed)).await.assert_passed();
    world.clean().await;
}

/// No system's: what can be held depends on none.
fn settings() -> CassandraSettings {
    CassandraSettings::new(["127.0.0.1"], "types")
}

const TIMES: [&str; 2] = ["timestamps", "timestamps_without_zone"];

#[tokio::test(flavor = "multi_thread")]
async fn types() {
    use suite::sql_types::{OfEventStore, Port};
    let Some(world) = World::find() else { return };
    let port = |store: Arc<dyn EventStore>, _: Arc<dyn ChangeFeed>| {
        let port = Port::of(OfEventStore(store), |spec| check_table(&settings(), spec));
        // Nested values are JSON, whose objects have strings as keys.
        port.refusing(|data_type, _| !has_text_keys(data_type))
    };
    suite::sql_types::run("cassandra", || world.harness(without_feed(), port)).await.assert_passed();
    world.clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn types_of_time_as_timestamp() {
    use suite::sql_types::{OfEventStore, Port};
    let Some(world) = World::find().map(World::with_timestamps) else { return };
    let port = |store: Arc<dyn EventStore>, _: Arc<dyn ChangeFeed>| {
        // Cassandra's timestamps are whole milliseconds.
        let is_refused = |_: &DataType, value: Option<&Cell>| matches!(value, Some(Cell::Time(micros)) if micros % 1_000 != 0);
        Port::of(OfEventStore(store), |spec| check_table(&settings(), spec)).refusing(is_refused)
    };
    let cases: Vec<_> = suite::sql_types::CASES.iter().copied().filter(|case| TIMES.iter().any(|name| case.contains(name))).collect();
    assert_eq!(cases.len(), TIMES.len());
    suite::sql_types::run_only("cassandra (timestamp)", || world.harness(without_feed(), port), &cases).await.assert_passed();
    world.clean().await;
}
