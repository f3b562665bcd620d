//! Topics that show records before their epoch is committed, and processes that die in between: each record is there once, in its place. A flow without
//! state makes the torn epoch again of the records that it read.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use millstream_core::encode::{EpochPosition, RowEncoder};
use millstream_core::ports::{EpochSink, EpochWrite, EventLog, Isolation, Record, SystemProperty, TopicOutput, TopicSink, TopicSpec};
use millstream_core::{Attempt, Epoch, Error, ErrorKind, FlowId, Offset, Result, TableSpec, TopicPartition};
use millstream_engine::{Facts, Ports, plan};
use millstream_pipeline::graph::Pipeline;

use crate::events::{Reading, readings};
use crate::logs::AlteredLog;
use crate::world::{World, checked, rows};

/// Of every reading that has a value one record. Those whose value is 13 are dead letters.
const PIPELINE: &str = "
CREATE TABLE readings (id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, meter STRING NOT NULL, value INT)
USING kafka OPTIONS (subscribe 'readings', value.format 'json', partitions '2');
CREATE STREAMING TABLE copies USING kafka TBLPROPERTIES ('topic' = 'copies', 'value.format' = 'json', 'partitions' = '3')
AS SELECT id, concat('meter ', meter) AS label, value + 1000 / (value - 13) AS score FROM STREAM readings WHERE value >= 0;
";

/// Topics without transactions: an epoch's number is put down when its records stand there, and records that stand there already are left out. It dies at chosen
/// commits with some of the records appended.
struct TornTopics {
    log: Arc<dyn EventLog>,
    tables: Mutex<BTreeMap<String, (TopicOutput, RowEncoder)>>,
    committed: Mutex<BTreeMap<FlowId, Epoch>>,
    commits: AtomicU64,
    /// At each commit with such a number, only every so many-th record is appended.
    tears: Mutex<BTreeMap<u64, usize>>,
}

impl TornTopics {
    fn new(world: &World) -> Arc<Self> {
        let (log, tables, committed) = (world.ports().log, Mutex::default(), Mutex::default());
        Arc::new(Self { log, tables, committed, commits: AtomicU64::new(0), tears: Mutex::default() })
    }

    fn tear(&self, commits: impl IntoIterator<Item = (u64, usize)>) {
        let so_far = self.commits.load(Ordering::SeqCst);
        self.tears.lock().unwrap().extend(commits.into_iter().map(|(nth, step)| (so_far + nth, step)));
    }

    /// The records of a topic, partition by partition.
    async fn records(&self, topic: &str) -> Vec<Vec<Record>> {
        let mut all = Vec::new();
        for partition in 0..3 {
            all.push(self.log.read(&TopicPartition::new(topic, partition), Offset(0), usize::MAX).await.unwrap().records);
        }
        all
    }
}

#[async_trait]
impl EpochSink for TornTopics {
    async fn begin(&self, flow: &FlowId, _attempt: Attempt, _table: &str) -> Result<Epoch> {
        Ok(self.committed.lock().unwrap().get(flow).copied().unwrap_or_default())
    }

    async fn commit(&self, write: EpochWrite) -> Result<u64> {
        let number = self.commits.fetch_add(1, Ordering::SeqCst) + 1;
        let (output, encoder) = self.tables.lock().unwrap()[&write.table].clone();
        // What is wrong stops the flow: a panic would leave the test waiting for it.
        let wrong = |what: String| Err(Error::internal(format!("epoch {}: {what}", write.epoch)));
        let mut standing = BTreeMap::new();
        for record in self.records(&output.topic).await.into_iter().flatten() {
            let position = EpochPosition::of(&record.headers).unwrap();
            if (&position.flow, position.epoch) == (&write.flow, write.epoch) && standing.insert(position.sequence, record).is_some() {
                return wrong(format!("{position} is there twice"));
            }
        }
        let step = self.tears.lock().unwrap().remove(&number);
        let all = encoder.encode_epoch(&write, output.partitions)?;
        if standing.keys().any(|sequence| *sequence >= all.len() as u64) {
            return wrong(format!("it has {} records, and had more", all.len()));
        }
        for (nth, placed) in all.into_iter().enumerate() {
            let wanted = &placed.record;
            if let Some(found) = standing.get(&placed.sequence) {
                if (&found.key, &found.value, Some(found.timestamp)) != (&wanted.key, &wanted.value, wanted.timestamp) {
                    return wrong(format!("record {} was {found:?}, and is {wanted:?}", placed.sequence));
                }
            } else if step.is_none_or(|step| nth % step == 0) {
                self.log.append(&TopicPartition::new(&output.topic, placed.partition), vec![placed.record]).await?;
            }
        }
        if step.is_some() {
            return Err(Error::internal("the process died in the middle of an epoch"));
        }
        self.committed.lock().unwrap().insert(write.flow, write.epoch);
        Ok(0)
    }

    fn isolation(&self) -> Isolation {
        Isolation::Row
    }
}

#[async_trait]
impl TopicSink for TornTopics {
    async fn ensure_topic(&self, spec: &TableSpec, output: &TopicOutput) -> Result<()> {
        let topic = TopicSpec { name: output.topic.clone(), partitions: output.partitions, retention: output.retention };
        self.log.create_topic(&topic).await?;
        self.tables.lock().unwrap().insert(spec.name.clone(), (output.clone(), RowEncoder::try_new(spec, output)?));
        Ok(())
    }

    async fn drop_topic(&self, _table: &str, _topic: &str) -> Result<()> {
        Err(Error::unsupported("nobody resets it"))
    }
}

fn world() -> World {
    let mut world = World::with_epochs_of(23);
    world.pipeline = checked(PIPELINE);
    world
}

fn ports(world: &World, topics: &Arc<TornTopics>) -> Ports {
    Ports { topics: Some(topics.clone()), ..world.ports() }
}

/// A world whose process has died with a part of an epoch in the topic, in the `nth` commit.
async fn torn_at(nth: u64, events: &[Reading]) -> (World, Arc<TornTopics>) {
    let world = world();
    let topics = TornTopics::new(&world);
    drop(world.engine().await);
    world.publish(events).await;
    topics.tear([(nth, 2)]);
    let died = world.run_on(ports(&world, &topics)).await.err().unwrap();
    assert_eq!(died.kind(), ErrorKind::Internal, "{died}");
    (world, topics)
}

fn values(records: &[Vec<Record>]) -> Vec<String> {
    records.iter().flatten().map(|r| String::from_utf8(r.value.as_deref().unwrap().to_vec()).unwrap()).collect()
}

/// The records of these readings, sorted.
fn expected(events: &[Reading], record: impl Fn(&Reading, i32) -> Option<String>) -> Vec<String> {
    let mut all: Vec<String> = events.iter().filter_map(|r| record(r, r.value?)).collect();
    all.sort();
    all
}

fn copy(r: &Reading, value: i32) -> Option<String> {
    let score = f64::from(value) + 1000.0 / (f64::from(value) - 13.0);
    (value >= 0 && value != 13).then(|| format!("{} {score:.6}", r.id))
}

/// The records as `copy` tells them.
fn copies(records: &[Vec<Record>]) -> Vec<String> {
    let told = values(records).into_iter().map(|text| {
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        format!("{} {:.6}", value["id"], value["score"].as_f64().unwrap())
    });
    let mut told: Vec<String> = told.collect();
    told.sort();
    told
}

fn contains(bytes: &Bytes, part: &str) -> bool {
    bytes.windows(part.len()).any(|window| window == part.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_epoch_is_made_again_as_it_was_though_its_topic_has_gone_on() {
    for seed in 0..8 {
        let mut world = world();
        let events = readings(200 + seed, 400);
        let (before, after) = events.split_at(250);
        let topics = TornTopics::new(&world);
        drop(world.engine().await);
        world.publish(before).await;
        // Some die again while they finish what they find.
        topics.tear([(2 + seed, 2), (3 + seed, 3), (4 + seed, 1), (9 + seed, 5)]);
        let (mut lives, mut published) = (0, 0);
        let engine = loop {
            match world.run_on(ports(&world, &topics)).await {
                Ok(engine) if published == after.len() => break engine,
                Ok(_) => {}
                Err(error) => assert!(lives < 20, "{error}"),
            }
            // More has come meanwhile, and epochs have other bounds now.
            let more = (published + 40).min(after.len());
            world.publish(&after[published..more]).await;
            published = more;
            world.settings.epoch_rows_max = 11 + (lives * 17) % 40;
            lives += 1;
        };
        assert!(lives >= 4, "{lives} lives");
        let found = topics.records("copies").await;
        assert_eq!(copies(&found), expected(&events, copy), "seed {seed}");
        // Behind the ones that were torn, records stand in the order of their epochs and places.
        for records in &found {
            let places = records.iter().map(|r| EpochPosition::of(&r.headers).unwrap()).map(|p| (p.epoch, p.sequence));
            let mut epochs: Vec<Epoch> = places.map(|(epoch, _)| epoch).collect();
            epochs.dedup();
            assert!(epochs.is_sorted(), "{epochs:?}");
        }
        let dead = events.iter().filter(|r| r.value == Some(13)).count();
        assert_eq!(rows(&engine, "SELECT count(*) FROM system.dead_letters").await, [dead.to_string()], "each once");
        let report = engine.verify(&|_| {}).await.unwrap();
        assert!(report.is_clean(), "{report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_has_no_rows_where_the_topic_has_the_records() {
    let (world, _) = torn_at(3, &readings(210, 200)).await;
    let (store, flow) = (world.ports().checkpoints, FlowId::new("copies"));
    let newest = *store.epochs(&flow).await.unwrap().last().unwrap();
    let checkpoint = store.get(&flow, newest).await.unwrap().unwrap();
    assert_eq!(newest, Epoch(3));
    assert!(contains(&checkpoint, "made_of") && !contains(&checkpoint, "meter a"), "{checkpoint:?}");
    assert!(checkpoint.len() < 2_000, "{} bytes", checkpoint.len());
}

/// A feed need not show its changes again: a flow on one keeps them.
#[tokio::test(flavor = "multi_thread")]
async fn a_flow_on_a_feed_keeps_its_changes() {
    let mut world = World::with_epochs_of(23);
    world.pipeline = checked(
        "CREATE TABLE readings (id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, meter STRING NOT NULL, value INT)
         USING kafka OPTIONS (subscribe 'readings', value.format 'json', partitions '2');
         CREATE STREAMING TABLE stored USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'id ASC')
         AS SELECT id, meter, value FROM STREAM readings;
         CREATE STREAMING TABLE copies USING kafka TBLPROPERTIES ('topic' = 'copies', 'value.format' = 'json', 'partitions' = '3', 'key' = 'meter, id')
         AS SELECT id, concat('meter ', meter) AS label, meter FROM STREAM stored;",
    );
    let events = readings(211, 200);
    let topics = TornTopics::new(&world);
    drop(world.engine().await);
    world.publish(&events).await;
    topics.tear([(2, 2)]);
    world.run_on(ports(&world, &topics)).await.err().unwrap();
    let store = world.ports().checkpoints;
    let checkpoint = store.get(&FlowId::new("copies"), Epoch(2)).await.unwrap().unwrap();
    assert!(contains(&checkpoint, "meter a") && !contains(&checkpoint, "made_of"), "it has the rows");
    world.run_on(ports(&world, &topics)).await.unwrap();
    assert_eq!(values(&topics.records("copies").await).len(), events.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_epoch_whose_records_are_gone_stops_its_flow_and_changes_nothing() {
    let events = readings(212, 200);
    let (world, topics) = torn_at(3, &events).await;
    let before = topics.records("copies").await;
    // Two epochs are 46 records: of the third, some are gone with retention, or one with compaction.
    let whole = world.ports().log;
    for (log, how) in
        [(AlteredLog::kept_from(whole.clone(), 30), "begins at offset 30"), (AlteredLog::without(whole, 30), "of its 23 records are left")]
    {
        let error = world.run_on(Ports { log, ..ports(&world, &topics) }).await.err().unwrap();
        for part in ["flow copies", "epoch 3 may be in copies in part", "no longer all in readings", how, "millstream reset copies"] {
            assert!(error.message().contains(part), "no {part:?} in {error}");
        }
        assert_eq!(topics.records("copies").await, before);
    }
    // They were only out of reach.
    world.run_on(ports(&world, &topics)).await.unwrap();
    assert_eq!(copies(&topics.records("copies").await), expected(&events, copy));
}

/// Records that are gone matter only where the torn epoch read them.
#[tokio::test(flavor = "multi_thread")]
async fn records_before_a_torn_epoch_may_be_gone() {
    let events = readings(213, 200);
    let (world, topics) = torn_at(6, &events).await;
    let log = AlteredLog::kept_from(world.ports().log, 40);
    world.run_on(Ports { log, ..ports(&world, &topics) }).await.unwrap();
    assert_eq!(copies(&topics.records("copies").await), expected(&events, copy));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_query_does_not_finish_what_another_one_began() {
    let events = readings(214, 300);
    let (mut world, topics) = torn_at(3, &events[..200]).await;
    let before = topics.records("copies").await;
    let earlier = world.pipeline.clone();
    world.pipeline = checked(&PIPELINE.replace("value >= 0", "value >= 50"));
    let told = plan::decide(&world.pipeline, &Facts::of(&world.ports()).await.unwrap());
    assert!(told.is_kept());
    assert!(told.to_string().contains("if the process died before epoch 3 was committed"), "{told}");
    let error = world.run_on(ports(&world, &topics)).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Internal, "that of whoever waits for it: {error}");
    for part in ["epoch 3 may be in copies in part", "filter was", "with the query that it had", "millstream reset copies"] {
        assert!(error.message().contains(part), "no {part:?} in {error}");
    }
    assert_eq!(topics.records("copies").await, before);
    // The earlier query finishes it; then the new one is for what comes.
    let changed: Arc<Pipeline> = std::mem::replace(&mut world.pipeline, earlier);
    world.run_on(ports(&world, &topics)).await.unwrap();
    assert_eq!(copies(&topics.records("copies").await), expected(&events[..200], copy));
    world.pipeline = changed;
    world.publish(&events[200..]).await;
    world.run_on(ports(&world, &topics)).await.unwrap();
    let mut all = [expected(&events[..200], copy), expected(&events[200..], |r, v| copy(r, v).filter(|_| v >= 50))].concat();
    all.sort();
    assert_eq!(copies(&topics.records("copies").await), all);
}

/// Where the torn epoch has no record in the topic, and no row, there is nothing to finish.
#[tokio::test(flavor = "multi_thread")]
async fn a_torn_epoch_without_rows_holds_no_query_up() {
    let events: Vec<Reading> = readings(215, 40).into_iter().map(|r| Reading { value: Some(-5), ..r }).collect();
    let (mut world, topics) = torn_at(2, &events).await;
    world.pipeline = checked(&PIPELINE.replace("value >= 0", "value <= 0"));
    world.run_on(ports(&world, &topics)).await.unwrap();
    assert_eq!(values(&topics.records("copies").await).len(), 40 - 23, "epoch 2 and what is behind it, by the new query");
}

/// Positions are offsets of one log: in another one they are other records.
#[tokio::test(flavor = "multi_thread")]
async fn a_torn_epoch_is_not_made_of_another_logs_records() {
    let events = readings(216, 200);
    let (world, topics) = torn_at(1, &events).await;
    let before = topics.records("copies").await;
    world.ports().system.set_property(SystemProperty::Log(&FlowId::new("copies")), "cluster-1").await.unwrap();
    let error = world.run_on(ports(&world, &topics)).await.err().unwrap();
    assert!(error.message().contains("in the log cluster-1, and topics are in the log toy now"), "{error}");
    assert_eq!(topics.records("copies").await, before);
}
