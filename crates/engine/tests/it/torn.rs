//! Stores that show rows before their epoch is committed, and processes that die in between: no row stays that no event explains.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use millstream_core::ports::{
    CheckpointStore, EpochSink, EpochWrite, EventStore, Isolation, NewRecord, Page, PartitionQuery, StoreSnapshot,
};
use millstream_core::{Attempt, Epoch, Error, ErrorKind, FlowId, Result, TableSpec, TopicPartition};
use millstream_engine::{Engine, Ports};
use millstream_testkit::faults::Call;
use tokio_util::sync::CancellationToken;

use crate::events::{Reading, hourly, readings};
use crate::straight::check;
use crate::world::{World, checked, hours, rows};

/// An event store that writes row by row, and dies at chosen commits with all of the epoch written but its last row.
struct TornStore {
    inner: Arc<dyn EventStore>,
    commits: AtomicU64,
    /// Each commit with such a number tears.
    tears: Vec<u64>,
}

impl TornStore {
    fn new(inner: Arc<dyn EventStore>, tears: impl IntoIterator<Item = u64>) -> Arc<Self> {
        Arc::new(Self { inner, commits: AtomicU64::new(0), tears: tears.into_iter().collect() })
    }
}

#[async_trait]
impl EpochSink for TornStore {
    async fn begin(&self, flow: &FlowId, attempt: Attempt, table: &str) -> Result<Epoch> {
        self.inner.begin(flow, attempt, table).await
    }

    async fn commit(&self, write: EpochWrite) -> Result<u64> {
        let number = self.commits.fetch_add(1, Ordering::SeqCst) + 1;
        if !self.tears.contains(&number) {
            return self.inner.commit(write).await;
        }
        // What is written stands as a flow's that nobody asks for.
        let flow = FlowId::new(format!("torn commit {number} of {} attempt {}", write.flow, write.attempt));
        let part = write.changes.iter().map(|c| c.slice(0, c.len().saturating_sub(1).max(1).min(c.len()))).collect();
        self.inner.begin(&flow, Attempt(1), &write.table).await?;
        self.inner.commit(EpochWrite { flow, attempt: Attempt(1), epoch: Epoch(1), table: write.table, changes: part }).await?;
        Err(Error::internal("the process died in the middle of an epoch"))
    }

    fn isolation(&self) -> Isolation {
        Isolation::Row
    }
}

#[async_trait]
impl EventStore for TornStore {
    async fn ensure_table(&self, spec: &TableSpec) -> Result<()> {
        self.inner.ensure_table(spec).await
    }

    async fn read_partition(&self, table: &str, query: &PartitionQuery) -> Result<Page> {
        self.inner.read_partition(table, query).await
    }

    async fn snapshot(&self) -> Result<Arc<dyn StoreSnapshot>> {
        self.inner.snapshot().await
    }

    async fn drop_table(&self, table: &str) -> Result<()> {
        self.inner.drop_table(table).await
    }
}

/// The world's ports with a store that writes row by row.
pub fn ports(world: &World, tears: impl IntoIterator<Item = u64>) -> Ports {
    let ports = world.ports();
    Ports { event_store: TornStore::new(ports.event_store.clone(), tears), ..ports }
}

/// Runs until all flows have caught up, or one has failed.
pub async fn run(world: &World, tears: impl IntoIterator<Item = u64>) -> Result<Arc<Engine>> {
    run_on(world, ports(world, tears)).await
}

async fn run_on(world: &World, ports: Ports) -> Result<Arc<Engine>> {
    let engine = Engine::open(world.pipeline.clone(), ports, world.settings.clone()).await?;
    let stop = CancellationToken::new();
    let (inner, token) = (engine.clone(), stop.clone());
    let mut running = tokio::task::JoinSet::new();
    running.spawn(async move { inner.run(token).await });
    let caught_up = engine.caught_up().await;
    stop.cancel();
    running.join_next().await.unwrap().unwrap()?;
    caught_up.map(|()| engine)
}

/// A checkpoint store with an earlier attempt that has put the newest checkpoint of the flow `hourly`, and finds itself fenced only after a later
/// one has read that so many times: then it takes it back.
struct TakingBack {
    inner: Arc<dyn CheckpointStore>,
    reads: usize,
    /// The newest checkpoint when a later attempt began, and how often it can still be read.
    newest: Mutex<BTreeMap<Epoch, usize>>,
}

impl TakingBack {
    fn after(reads: usize, inner: Arc<dyn CheckpointStore>) -> Arc<Self> {
        Arc::new(Self { inner, reads, newest: Mutex::default() })
    }
}

#[async_trait]
impl CheckpointStore for TakingBack {
    async fn claim(&self, flow: &FlowId) -> Result<Attempt> {
        let attempt = self.inner.claim(flow).await?;
        let newest = self.inner.epochs(flow).await?.last().copied().filter(|_| flow.as_str() == "hourly");
        self.newest.lock().unwrap().extend(newest.map(|epoch| (epoch, self.reads)));
        Ok(attempt)
    }

    async fn put(&self, flow: &FlowId, attempt: Attempt, epoch: Epoch, checkpoint: Bytes) -> Result<()> {
        if flow.as_str() == "hourly" {
            // Of two attempts' checkpoints, only the earlier one's goes.
            self.newest.lock().unwrap().remove(&epoch);
        }
        self.inner.put(flow, attempt, epoch, checkpoint).await
    }

    async fn get(&self, flow: &FlowId, epoch: Epoch) -> Result<Option<Bytes>> {
        if let Some(reads) = self.newest.lock().unwrap().get_mut(&epoch).filter(|_| flow.as_str() == "hourly") {
            match reads.checked_sub(1) {
                Some(left) => *reads = left,
                None => return Ok(None),
            }
        }
        self.inner.get(flow, epoch).await
    }

    async fn epochs(&self, flow: &FlowId) -> Result<Vec<Epoch>> {
        self.inner.epochs(flow).await
    }

    async fn prune(&self, flow: &FlowId, attempt: Attempt, keep_from: Epoch) -> Result<()> {
        self.inner.prune(flow, attempt, keep_from).await
    }

    async fn forget_after(&self, flow: &FlowId, attempt: Attempt, epoch: Epoch) -> Result<()> {
        self.inner.forget_after(flow, attempt, epoch).await
    }

    async fn forget(&self, flow: &FlowId) -> Result<()> {
        self.inner.forget(flow).await
    }

    async fn flows(&self) -> Result<Vec<FlowId>> {
        self.inner.flows().await
    }
}

/// A flow that can't do epochs again, because its table's changes are appended elsewhere.
fn hourly_and_copies() -> World {
    let mut world = World::with_epochs_of(20);
    world.pipeline = checked(
        "CREATE TABLE readings (id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, meter STRING NOT NULL, value INT)
         USING kafka OPTIONS (subscribe 'readings', value.format 'json', partitions '2');
         CREATE STREAMING TABLE hourly USING cassandra PARTITIONED BY (meter)
         TBLPROPERTIES ('clustering_key' = 'hour ASC', 'output_mode' = 'update')
         AS SELECT meter, window.start AS hour, count(*) AS n, sum(value) AS total, max(value) AS most
            FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 1 HOUR GROUP BY meter, window(ts, '1 hour');
         CREATE STREAMING TABLE copies USING kafka TBLPROPERTIES ('topic' = 'copies', 'value.format' = 'json', 'key' = 'meter, hour')
         AS SELECT * FROM STREAM hourly;",
    );
    world
}

/// Else the flow would write the epoch again, and find no checkpoint of it then.
#[tokio::test(flavor = "multi_thread")]
async fn the_checkpoint_of_a_torn_epoch_may_be_taken_back_once_it_was_read() {
    let world = hourly_and_copies();
    let events = readings(51, 200);
    drop(world.engine().await);
    world.publish(&events).await;
    run(&world, [4]).await.err().unwrap();
    let ports = ports(&world, []);
    let checkpoints = TakingBack::after(1, ports.checkpoints.clone());
    let engine = run_on(&world, Ports { checkpoints, ..ports }).await.unwrap();
    assert_eq!(hours(&engine, "hourly").await, hourly(&events));
}

/// An epoch whose checkpoint was listed and is gone when it is read was not written by anybody.
#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_is_taken_back_before_it_is_read_was_never_there() {
    let world = hourly_and_copies();
    let events = readings(52, 200);
    drop(world.engine().await);
    world.publish(&events).await;
    world.faults.fail(Call::Commit, 4, ErrorKind::Internal);
    run(&world, []).await.err().unwrap();
    let ports = ports(&world, []);
    let checkpoints = TakingBack::after(0, ports.checkpoints.clone());
    let engine = run_on(&world, Ports { checkpoints, ..ports }).await.unwrap();
    assert_eq!(hours(&engine, "hourly").await, hourly(&events));
}

#[tokio::test(flavor = "multi_thread")]
async fn epochs_that_were_torn_anywhere_leave_the_tables_of_a_quiet_run() {
    for seed in 0..6 {
        let world = World::with_epochs_of(23);
        let events = readings(40 + seed, 300);
        drop(world.engine().await);
        world.publish(&events).await;
        let engine = loop {
            // Each life tears a later commit, until one has no more that many.
            match run(&world, [2 + seed, 5 + 2 * seed]).await {
                Ok(engine) => break engine,
                Err(error) => assert_eq!(error.kind(), ErrorKind::Internal, "{error}"),
            }
        };
        check(&engine, &events).await;
    }
}

/// The torn epoch has a window that would be late if its events were read again: another partition has brought newer events since.
#[tokio::test(flavor = "multi_thread")]
async fn a_window_of_a_torn_epoch_is_not_left_behind_when_its_event_would_now_be_late() {
    let mut world = World::new();
    world.pipeline = checked(
        "CREATE TABLE readings (id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, meter STRING NOT NULL, value INT)
         USING kafka OPTIONS (subscribe 'readings', value.format 'json', partitions '2');
         CREATE STREAMING TABLE hourly USING cassandra PARTITIONED BY (meter)
         TBLPROPERTIES ('clustering_key' = 'hour ASC', 'output_mode' = 'update')
         AS SELECT meter, window.start AS hour, count(*) AS n
            FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 1 HOUR GROUP BY meter, window(ts, '1 hour');",
    );
    let at = |id, hour: i64, meter| Reading { id, ts: 1_704_067_200 + hour * 3_600, meter, value: Some(1) };
    drop(world.engine().await);
    let started = world.now();
    world.clock.advance(Duration::from_secs(60));
    // Out of order, but in time: the other partition has nothing yet.
    world.publish(&[at(1, 20, "a"), at(2, 11, "a"), at(3, 9, "a")]).await;
    run(&world, [1]).await.err().unwrap();
    assert!(!rows_of_hourly(&world).await.is_empty(), "the torn epoch shows");
    let record = NewRecord { value: Some(Bytes::from(at(4, 20, "e").json())), timestamp: Some(started), ..NewRecord::default() };
    world.ports().log.append(&TopicPartition::new("readings", 1), vec![record]).await.unwrap();
    let engine = run(&world, []).await.unwrap();
    let report = engine.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report}");
    assert_eq!(
        rows(&engine, "SELECT meter, hour, n FROM hourly ORDER BY meter, hour").await,
        ["a 2024-01-01T09:00:00Z 1", "a 2024-01-01T11:00:00Z 1", "a 2024-01-01T20:00:00Z 1", "e 2024-01-01T20:00:00Z 1"]
    );
}

async fn rows_of_hourly(world: &World) -> Vec<String> {
    rows(&world.engine().await, "SELECT meter, hour FROM hourly").await
}
