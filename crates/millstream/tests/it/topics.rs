//! Flows into the built-in topics: the contract on the log and the store of a data directory, and a pipeline that is killed while it
//! writes.

use std::net::TcpListener;
use std::sync::Arc;

use millstream_adapters::embedded::{EmbeddedStore, StoreSettings};
use millstream_adapters::kafka::{KafkaProducer, OutgoingRecord, ProducerSettings};
use millstream_adapters::topics::LogTopicSink;
use millstream_broker::{BrokerSettings, Log};
use millstream_core::Result;
use millstream_core::ports::TopicSink;
use millstream_testkit::{ManualClock, OnData, suite};
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

use super::process::{Outcome, Place, Running};

/// A data directory. The log and the store are opened once: what they keep over a restart is their own suites' matter.
struct DataDir {
    dir: TempDir,
    open: OnceCell<(Arc<Log>, Arc<EmbeddedStore>)>,
}

impl DataDir {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), open: OnceCell::new() }
    }

    async fn sink(&self, clock: Arc<ManualClock>) -> Result<suite::topic_sink::Port> {
        let open = || async {
            let log = Log::open(self.dir.path().join("log"), BrokerSettings::default(), clock.clone()).await?;
            let store = EmbeddedStore::open(self.dir.path().join("store"), StoreSettings::default(), clock.clone())?;
            Ok::<_, millstream_core::Error>((log, store))
        };
        let (log, store) = self.open.get_or_try_init(open).await?;
        let sink: Arc<dyn TopicSink> = Arc::new(LogTopicSink::new(log.clone(), log.cluster_id(), store.system(), 10_000));
        Ok(suite::topic_sink::Port { sink, log: log.clone(), prefix: String::new() })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_built_in_topics_keep_the_contract_of_topics_that_flows_write() {
    let harness = || OnData::new(DataDir::new(), |data: Arc<DataDir>, clock| async move { data.sink(clock).await });
    suite::topic_sink::run("built-in", harness).await.assert_passed();
}

const PIPELINE: &str = "
CREATE TABLE readings (id BIGINT NOT NULL, meter STRING NOT NULL, value INT)
USING kafka OPTIONS (subscribe 'readings', value.format 'json', partitions '2');

CREATE STREAMING TABLE high USING kafka
TBLPROPERTIES ('topic' = 'high-readings', 'value.format' = 'json', 'key' = 'meter', 'partitions' = '3')
AS SELECT id, meter, value FROM STREAM readings WHERE value >= 50;

CREATE STREAMING TABLE again USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'id ASC')
AS SELECT meter, id, value FROM STREAM high;
";

/// Sends so many readings; half of them are high.
async fn publish(kafka: &str, readings: i64) {
    let producer = KafkaProducer::connect(&ProducerSettings::new(kafka)).unwrap();
    for id in 0..readings {
        let key = format!("m{}", id % 7);
        let value = json!({ "id": id, "meter": key, "value": id % 100 }).to_string();
        let record =
            OutgoingRecord { topic: "readings", key: Some(key.as_bytes()), value: Some(value.as_bytes()), ..OutgoingRecord::default() };
        producer.send(record).await.unwrap();
    }
    producer.flush().await.unwrap();
}

struct Site {
    place: Place,
    kafka: String,
}

impl Site {
    fn new() -> Self {
        let kafka = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        Self { place: Place::with(PIPELINE), kafka }
    }

    fn start(&self, settings: &[(&str, &str)]) -> Running {
        let small = [("MILLSTREAM_LISTEN__KAFKA", self.kafka.as_str()), ("MILLSTREAM_ENGINE__EPOCH_ROWS_MAX", "300")];
        Running::start(&self.place, &[&small[..], settings].concat())
    }
}

fn count(running: &Running, table: &str) -> u64 {
    running.rows(&format!("select count(*) from {table}")).unwrap()[0].parse().unwrap()
}

/// Waits for so many rows, and looks whether each is there once.
fn settled(running: &Running, expected: u64) {
    for table in ["high", "again"] {
        let there = running.until(|| Some(count(running, table)).filter(|rows| *rows >= expected));
        assert!(there.is_some(), "{table} never got its rows: {}", running.status());
        let rows = running.rows(&format!("select count(*), count(distinct id), min(value) from {table}")).unwrap();
        assert_eq!(rows, [format!("{expected},{expected},50")], "{table} has each high reading once");
    }
}

/// Sends readings while the test goes on: the producer lives on while the endpoint dies and comes back.
fn publishing(site: &Site, readings: i64) -> JoinSet<()> {
    let kafka = site.kafka.clone();
    JoinSet::from_iter([async move { publish(&kafka, readings).await }])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_that_is_killed_while_it_writes_a_topic_writes_each_record_once() {
    const READINGS: i64 = 60_000;
    let high = READINGS.unsigned_abs() / 2;
    let site = Site::new();
    let mut running = site.start(&[]);
    let publisher = publishing(&site, READINGS);
    for part in 1..=4 {
        let some = high * part / 5;
        assert!(running.until(|| Some(count(&running, "high")).filter(|rows| *rows >= some)).is_some(), "{}", running.status());
        running.kill();
        running = site.start(&[]);
    }
    publisher.join_all().await;
    settled(&running, high);
    let verified = running.call(&json!({ "command": "verify", "format": "table" })).unwrap();
    assert!(!verified.contains("problem"), "{verified}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_beside_a_commit_to_a_topic_loses_and_doubles_nothing() {
    for place in ["prepared", "committed"] {
        let site = Site::new();
        let running = site.start(&[("MILLSTREAM_ENGINE__FAULT", &format!("abort:{place}:high:3"))]);
        let publisher = publishing(&site, 2_000);
        let (status, _) = tokio::task::spawn_blocking(move || running.ended()).await.unwrap();
        assert!(status.code().is_none(), "{place}: it did not die");
        let running = site.start(&[]);
        publisher.join_all().await;
        settled(&running, 1_000);
    }
}

#[test]
fn a_topic_that_flows_write_can_be_reset() {
    let place = Place::with(PIPELINE);
    let (status, log) = place.run().terminate();
    assert_eq!(status.code(), Some(0), "{log}");
    let outcome = Outcome::of(&mut place.command(&["reset", "high"]));
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    Outcome::of(&mut place.command(&["reset", "readings"])).refused(&["only what the pipeline writes can be rebuilt"]);
    drop(place.run());
}
