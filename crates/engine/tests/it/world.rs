//! A pipeline of meter readings on toy ports that survive the engine.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use bytes::Bytes;
use millstream_core::ports::{ChangeFeed, CheckpointStore, EventStore, NewRecord, ReferenceSource, SchemaRegistry};
use millstream_core::{ErrorKind, Result, TopicPartition};
use millstream_engine::{Engine, EngineSettings, Ports};
use millstream_pipeline::graph::Pipeline;
use millstream_pipeline::{SourceFile, parse};
use millstream_testkit::faults::{
    Call, Faults, FaultyChangeFeed, FaultyCheckpointStore, FaultyEventLog, FaultyEventStore, FaultySystemStore,
};
use millstream_testkit::{ManualClock, toy};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::events::{Hours, Reading};

pub const PIPELINE: &str = "
CREATE TABLE readings (id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, meter STRING NOT NULL, value INT)
USING kafka OPTIONS (subscribe 'readings', value.format 'json', partitions '2');

CREATE STREAMING TABLE by_meter USING cassandra PARTITIONED BY (meter)
TBLPROPERTIES ('clustering_key' = 'ts ASC, id ASC')
AS SELECT meter, ts, id, value FROM STREAM readings WHERE value IS NULL OR value >= 0;

CREATE STREAMING TABLE hourly USING cassandra PARTITIONED BY (meter)
TBLPROPERTIES ('clustering_key' = 'hour ASC', 'output_mode' = 'update')
AS SELECT meter, window.start AS hour, count(*) AS n, sum(value) AS total, max(value) AS most
   FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 1 HOUR GROUP BY meter, window(ts, '1 hour');

CREATE STREAMING TABLE closed USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'hour ASC')
AS SELECT meter, window.start AS hour, count(*) AS n, sum(value) AS total, max(value) AS most
   FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 1 HOUR GROUP BY meter, window(ts, '1 hour');

CREATE STREAMING TABLE high USING redis TBLPROPERTIES ('key' = 'meter, ts, id')
AS SELECT * FROM STREAM by_meter WHERE value >= 90;
";

/// How many restarts a run may need.
const RESTARTS_MAX: usize = 60;

/// What survives.
pub struct World {
    disk: Arc<toy::Disk>,
    pub clock: Arc<ManualClock>,
    pub faults: Arc<Faults>,
    pub pipeline: Arc<Pipeline>,
    pub settings: EngineSettings,
    pub schemas: Option<Arc<dyn SchemaRegistry>>,
    pub references: BTreeMap<String, Arc<dyn ReferenceSource>>,
}

/// A flow has done what it does by itself long before somebody has looked so often.
const LOOKS_MAX: usize = 100_000;

/// Looks again and again whether it `holds`. `false`: it does not, however often the threads of the engine have had their turn.
pub async fn comes_true(holds: impl Fn() -> bool) -> bool {
    for _ in 0..LOOKS_MAX {
        if holds() {
            return true;
        }
        // A turn of another thread, for which the machine has to find the time.
        tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
    }
    holds()
}

/// An engine that runs.
pub struct Running {
    pub engine: Arc<Engine>,
    stop: CancellationToken,
    tasks: JoinSet<Result<()>>,
}

impl Running {
    fn start(engine: Arc<Engine>) -> Self {
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        tasks.spawn({
            let (engine, stop) = (engine.clone(), stop.clone());
            async move { engine.run(stop).await }
        });
        Self { engine, stop, tasks }
    }

    /// Stops it, and waits until it has.
    pub async fn stop(self) {
        self.stop.cancel();
        for ended in self.tasks.join_all().await {
            ended.unwrap();
        }
    }
}

pub fn checked(sql: &str) -> Arc<Pipeline> {
    let file = SourceFile { name: "pipeline.sql".to_owned(), text: sql.to_owned() };
    let parsed = parse(&[file]).unwrap_or_else(|e| panic!("{e:?}"));
    Arc::new(parsed.check(&BTreeMap::new()).unwrap_or_else(|e| panic!("{e:?}")))
}

impl World {
    /// No partition becomes idle in it, unless a test says so: the clock skips back-offs, and would skip to that moment, too.
    pub fn new() -> Self {
        Self {
            disk: Arc::default(),
            clock: Arc::new(ManualClock::skipping(ManualClock::START)),
            faults: Arc::default(),
            pipeline: checked(PIPELINE),
            settings: EngineSettings { idle_after_ms: 1_000_000_000_000, ..EngineSettings::default() },
            schemas: None,
            references: BTreeMap::new(),
        }
    }

    pub fn with_epochs_of(rows: usize) -> Self {
        let mut world = Self::new();
        world.settings.epoch_rows_max = rows;
        world
    }

    /// With so little memory for state that hardly any of it stays there.
    pub fn with_little_memory(mut self) -> Self {
        self.settings.state_memory_bytes_max = 6_000;
        self
    }

    pub fn ports(&self) -> Ports {
        let log = Arc::new(toy::ToyEventLog::open(self.disk.clone(), self.clock.clone()));
        let store = Arc::new(toy::ToyEventStore::open(self.disk.clone(), self.clock.clone()));
        let checkpoints: Arc<dyn CheckpointStore> = Arc::new(toy::ToyCheckpointStore::open(self.disk.clone()));
        let event_store: Arc<dyn EventStore> = store.clone();
        let feed: Arc<dyn ChangeFeed> = store;
        Ports {
            log: Arc::new(FaultyEventLog::new(log.clone(), self.faults.clone())),
            event_store: Arc::new(FaultyEventStore::new(event_store, self.faults.clone())),
            change_feed: Arc::new(FaultyChangeFeed::new(feed, self.faults.clone())),
            critical: Arc::new(toy::ToyCriticalStore::open(self.disk.clone(), self.clock.clone())),
            reports: Arc::new(toy::ToyReportStore::open(self.disk.clone())),
            lake: None,
            topics: Some(Arc::new(toy::ToyTopicSink::open(self.disk.clone(), log.clone()))),
            schemas: self.schemas.clone(),
            checkpoints: Arc::new(FaultyCheckpointStore::new(checkpoints, self.faults.clone())),
            system: Arc::new(FaultySystemStore::new(Arc::new(toy::ToySystemStore::open(self.disk.clone())), self.faults.clone())),
            references: self.references.clone(),
            spill: Some(Arc::new(self.spilled())),
            clock: self.clock.clone(),
        }
    }

    /// Where state goes that outgrows its memory.
    pub fn spilled(&self) -> toy::ToySpillStore {
        toy::ToySpillStore::open(self.disk.clone())
    }

    pub fn now(&self) -> millstream_core::Timestamp {
        millstream_core::ports::Clock::now(self.clock.as_ref())
    }

    pub async fn engine(&self) -> Arc<Engine> {
        Engine::open(self.pipeline.clone(), self.ports(), self.settings.clone()).await.unwrap()
    }

    /// Appends readings, each to its meter's partition, one record each at its own time.
    pub async fn publish<'a>(&self, readings: impl IntoIterator<Item = &'a Reading>) {
        self.publish_values(readings.into_iter().map(|r| (r.partition(), r.json()))).await;
    }

    pub async fn publish_values(&self, values: impl IntoIterator<Item = (i32, String)>) {
        self.publish_to("readings", values).await;
    }

    /// Appends values to partitions of a topic, one record each at its own time.
    pub async fn publish_to(&self, topic: &str, values: impl IntoIterator<Item = (i32, String)>) {
        let log = self.ports().log;
        for (partition, value) in values {
            self.clock.advance(std::time::Duration::from_millis(1));
            let record = NewRecord { value: Some(Bytes::from(value)), ..NewRecord::default() };
            log.append(&TopicPartition::new(topic, partition), vec![record]).await.unwrap();
        }
    }

    /// Gives a topic so many partitions.
    pub fn set_partitions(&self, topic: &str, partitions: usize) {
        toy::ToyEventLog::open(self.disk.clone(), self.clock.clone()).set_partitions(topic, partitions).unwrap();
    }

    /// An engine that has begun to run.
    pub async fn start(&self) -> Running {
        self.start_on(self.ports()).await
    }

    /// The same on `ports`.
    pub async fn start_on(&self, ports: Ports) -> Running {
        Running::start(Engine::open(self.pipeline.clone(), ports, self.settings.clone()).await.unwrap())
    }

    /// Runs until all flows have caught up, or one has failed.
    pub async fn run(&self) -> Result<Arc<Engine>> {
        self.run_on(self.ports()).await
    }

    /// The same on `ports`.
    pub async fn run_on(&self, ports: Ports) -> Result<Arc<Engine>> {
        let running = Running::start(Engine::open(self.pipeline.clone(), ports, self.settings.clone()).await?);
        let engine = running.engine.clone();
        let caught_up = engine.caught_up().await;
        running.stop().await;
        caught_up.map(|()| engine)
    }

    /// Runs to the end, through as many restarts as the test's plan of failures makes it take; then nothing fails any more.
    pub async fn run_through_deaths(&self) -> Arc<Engine> {
        for _ in 0..RESTARTS_MAX {
            match self.run().await {
                Ok(engine) => {
                    self.faults.heal();
                    return engine;
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::Internal, "{error}"),
            }
        }
        panic!("still failing after {RESTARTS_MAX} restarts");
    }

    /// Publishes `events` and lets the processes die before the `nth` of these calls, and after one soon behind it.
    pub async fn run_with_deaths_at(&self, call: Call, nth: u64, events: &[Reading]) -> Arc<Engine> {
        drop(self.engine().await);
        self.publish(events).await;
        self.faults.fail(call, nth, ErrorKind::Internal);
        self.faults.fail_after(call, nth + 3, ErrorKind::Internal);
        self.run_through_deaths().await
    }
}

/// A query's rows, one line each.
pub async fn rows(engine: &Arc<Engine>, query: &str) -> Vec<String> {
    let batches = engine.session().unwrap().sql(query).await.unwrap().collect().await.unwrap();
    let mut lines = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let cell = |c: &Arc<dyn Array>| arrow::util::display::array_value_to_string(c, row).unwrap();
            lines.push(batch.columns().iter().map(cell).collect::<Vec<_>>().join(" "));
        }
    }
    lines
}

/// The table `table` of hours.
pub async fn hours(engine: &Arc<Engine>, table: &str) -> Hours {
    let query = format!("SELECT meter, hour, n, total, most FROM {table}");
    let batches = engine.session().unwrap().sql(&query).await.unwrap().collect().await.unwrap();
    let mut hours = Hours::new();
    for b in batches {
        let hour = b.column(1).as_primitive::<TimestampMicrosecondType>();
        let (n, total, most) =
            (b.column(2).as_primitive::<Int64Type>(), b.column(3).as_primitive::<Int64Type>(), b.column(4).as_primitive::<Int32Type>());
        for row in 0..b.num_rows() {
            let key = (b.column(0).as_string::<i32>().value(row).to_owned(), hour.value(row) / 1_000_000);
            let value = (n.value(row), total.is_valid(row).then(|| total.value(row)), most.is_valid(row).then(|| most.value(row)));
            assert!(hours.insert(key, value).is_none(), "a window is there twice");
        }
    }
    hours
}
