//! Flows into the topics of a cluster, with transactions and without: a real one where there is one, and always librdkafka's mock
//! cluster. That keeps transactional ids and producer epochs as a cluster does, but it creates and deletes no topics, aborts nothing, and
//! forgets the offsets of transactions at once: there what the system store has put down counts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::sync::Arc;

use millstream_adapters::kafka::{KafkaLog, KafkaSettings, topic_sink};
use millstream_core::Result;
use millstream_core::ports::{EventLog, SystemClock};
use millstream_testkit::{ManualClock, OnData, suite, toy};
use rdkafka::mocking::MockCluster;

use super::cluster;
use super::namespace::fresh_prefix;

/// A part of the cluster of a case's own, and what survives of the process.
struct Corner {
    disk: Arc<toy::Disk>,
    prefix: String,
}

async fn open(settings: KafkaSettings, corner: Arc<Corner>, clock: Arc<ManualClock>) -> Result<suite::topic_sink::Port> {
    // Transactional ids and groups are the cluster's, too.
    let settings = KafkaSettings { group_id_prefix: corner.prefix.clone(), ..settings };
    let log: Arc<dyn EventLog> = Arc::new(KafkaLog::connect(&settings, clock.clone())?);
    let system = Arc::new(toy::ToySystemStore::open(corner.disk.clone()));
    let sink = topic_sink(&settings, log.clone(), system, clock)?;
    Ok(suite::topic_sink::Port { sink, log, prefix: corner.prefix.clone() })
}

async fn run(system: &str, transactions: bool) {
    let Some(settings) = cluster() else { return };
    let settings = KafkaSettings { transactions: Some(transactions), ..settings };
    let everything = fresh_prefix();
    let harness = || {
        let settings = settings.clone();
        let corner = Corner { disk: Arc::default(), prefix: format!("{everything}{}", fresh_prefix()) };
        OnData::new(corner, move |corner, clock| open(settings.clone(), corner, clock))
    };
    let report = suite::topic_sink::run(system, harness).await;
    let log = KafkaLog::connect(&settings, Arc::new(SystemClock)).unwrap();
    for topic in log.topics().await.unwrap().into_iter().filter(|t| t.name.starts_with(&everything)) {
        let _ = log.delete_topic(&topic.name).await;
    }
    report.assert_passed();
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_that_flows_write_in_transactions_keep_the_contract() {
    run("kafka", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_that_flows_write_without_transactions_keep_the_contract() {
    run("kafka, without transactions", false).await;
}

async fn run_on_a_mock(system: &str, transactions: bool) {
    let mock = MockCluster::new(1).unwrap();
    let settings = KafkaSettings { transactions: Some(transactions), ..KafkaSettings::new(mock.bootstrap_servers()) };
    let harness = || {
        let settings = settings.clone();
        let corner = Corner { disk: Arc::default(), prefix: fresh_prefix() };
        for name in ["t", "j", "c", "a"] {
            mock.create_topic(&format!("{}{name}", corner.prefix), 3, 1).unwrap();
        }
        OnData::new(corner, move |corner, clock| open(settings.clone(), corner, clock))
    };
    // Where nothing is aborted, what an abandoned transaction has written stays.
    let abandons = ["every_record_is_there_once_however_often_its_writer_dies", "a_dropped_commit_is_whole_or_can_be_finished"];
    let without = |case: &&&str| **case != "drop_topic_removes_records_and_epochs" && !(transactions && abandons.contains(*case));
    let cases: Vec<&str> = suite::topic_sink::CASES.iter().filter(without).copied().collect();
    suite::topic_sink::run_only(system, harness, &cases).await.assert_passed();
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_keep_the_contract_on_a_mock_cluster() {
    run_on_a_mock("kafka (mock)", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_keep_the_contract_on_a_mock_cluster() {
    run_on_a_mock("kafka (mock), without transactions", false).await;
}
