//! The contract suite of the event log, on the built-in log.

use std::sync::Arc;

use millstream_broker::{BrokerSettings, Durability, Log};
use millstream_core::ports::EventLog;
use millstream_testkit::{OnData, suite};

async fn run(name: &str, settings: BrokerSettings) {
    let harness = || {
        let settings = settings.clone();
        OnData::new(tempfile::tempdir().unwrap(), move |folder, clock| {
            let settings = settings.clone();
            async move { Ok(Log::open(folder.path(), settings, clock).await? as Arc<dyn EventLog>) }
        })
    };
    suite::event_log::run(name, harness).await.assert_passed();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_keeps_the_contract() {
    run("built-in log", BrokerSettings::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_keeps_the_contract_with_fsync() {
    run("built-in log, fsync", BrokerSettings { durability: Durability::Fsync, ..BrokerSettings::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_keeps_the_contract_with_tiny_segments() {
    run("built-in log, 1 KiB segments", BrokerSettings { segment_bytes: 1024, ..BrokerSettings::default() }).await;
}
