//! A small pipeline on testkit's toys, for the tests of the catalog and of batch jobs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::sync::Mutex;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use async_trait::async_trait;
use datafusion::datasource::empty::EmptyTable;
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use millstream_core::batches::BatchStream;
use millstream_core::decode::ReadFormat;
use millstream_core::ports::{
    EpochSink, EpochWrite, EventStore, NewRecord, Page, PartitionQuery, Publication, ReferenceSource, Scan, StoreSnapshot, TopicSpec,
};
use millstream_core::{Attempt, Epoch, FlowId, KeySpec, TableKind, TableSpec, TopicPartition};
use millstream_pipeline::graph::{Critical, Job, ParseMode, Reference, ReferenceFiles, ReferenceFormat, ReferenceOrigin, Topic};
use millstream_pipeline::session::spark_session;
use millstream_testkit::changes::{Writer, insert};
use millstream_testkit::toy::{self, Disk};
use millstream_testkit::{ManualClock, Row, row, tables};
use tokio::sync::Semaphore;

use super::*;

/// A pipeline, its ports, and what the tests look at.
pub(crate) struct World {
    pub clock: Arc<ManualClock>,
    pub store: Arc<WatchedStore>,
    pub pipeline: Arc<Pipeline>,
    pub ports: Ports,
    pub references: Arc<ReferenceTables>,
}

/// An event store that counts its snapshots, remembers the scans of them, and can be held up before it gives one.
pub(crate) struct WatchedStore {
    inner: Arc<dyn EventStore>,
    pub snapshots: Mutex<usize>,
    pub scans: Arc<Mutex<Vec<(String, Scan)>>>,
    pub gate: Semaphore,
}

struct WatchedSnapshot(Arc<dyn StoreSnapshot>, Arc<Mutex<Vec<(String, Scan)>>>);

#[async_trait]
impl EpochSink for WatchedStore {
    async fn begin(&self, flow: &FlowId, attempt: Attempt, table: &str) -> Result<Epoch> {
        self.inner.begin(flow, attempt, table).await
    }

    async fn commit(&self, write: EpochWrite) -> Result<u64> {
        self.inner.commit(write).await
    }
}

#[async_trait]
impl EventStore for WatchedStore {
    async fn ensure_table(&self, spec: &TableSpec) -> Result<()> {
        self.inner.ensure_table(spec).await
    }

    async fn read_partition(&self, table: &str, query: &PartitionQuery) -> Result<Page> {
        self.inner.read_partition(table, query).await
    }

    async fn snapshot(&self) -> Result<Arc<dyn StoreSnapshot>> {
        let _pass = self.gate.acquire().await.unwrap();
        *self.snapshots.lock().unwrap() += 1;
        Ok(Arc::new(WatchedSnapshot(self.inner.snapshot().await?, self.scans.clone())))
    }

    async fn drop_table(&self, table: &str) -> Result<()> {
        self.inner.drop_table(table).await
    }
}

#[async_trait]
impl StoreSnapshot for WatchedSnapshot {
    async fn epochs(&self, table: &str) -> Result<std::collections::BTreeMap<FlowId, Epoch>> {
        self.0.epochs(table).await
    }

    async fn scan(&self, table: &str, scan: &Scan) -> Result<BatchStream> {
        self.1.lock().unwrap().push((table.to_owned(), scan.clone()));
        self.0.scan(table, scan).await
    }
}

fn spec(name: &str, kind: TableKind, columns: &[(&str, DataType, bool)], key: KeySpec) -> TableSpec {
    TableSpec { name: name.to_owned(), kind, schema: tables::schema(columns), key, ttl: None }
}

fn pipeline() -> Pipeline {
    let flights = [("event_id", DataType::Int64, false), ("origin", DataType::Utf8, false), ("delay", DataType::Int32, true)];
    let airlines = [("carrier", DataType::Utf8, false), ("name", DataType::Utf8, true)];
    let topic = Topic {
        name: "flights".to_owned(),
        partitions: 2,
        retention: None,
        mode: ParseMode::DeadLetter,
        key_columns: vec!["event_id".to_owned()],
        format: ReadFormat::default(),
        corrupt_record: None,
        output: None,
    };
    let files = ReferenceFiles { format: ReferenceFormat::Csv, location: "airlines.csv".to_owned() };
    let reference = Reference { origin: ReferenceOrigin::Files(files), refresh: Duration::from_secs(60) };
    let all = [
        (spec("flights", TableKind::Topic, &flights, KeySpec::default()), Binding::Topic(topic)),
        (tables::events("departures"), Binding::EventStore),
        (tables::single("Totals"), Binding::EventStore),
        (tables::critical("critical", None), Binding::Critical(Critical { base: None })),
        (spec("airlines", TableKind::Reference, &airlines, KeySpec::default()), Binding::Reference(reference)),
        (tables::report("daily"), Binding::Report),
        (tables::report("summary"), Binding::Report),
    ];
    let tables = all.into_iter().map(|(spec, binding)| (spec.name.clone(), Table { spec: Arc::new(spec), binding })).collect();
    Pipeline { tables, flows: Vec::new(), jobs: Vec::new(), warnings: Vec::new() }
}

/// A checked job: `sql` over the tables of `pipeline`, as the language hands it over (its scans can't be run).
pub(crate) async fn job(pipeline: &Pipeline, report: &str, schedule: Option<&str>, inputs: &[&str], sql: &str) -> Job {
    let session = spark_session();
    for table in pipeline.tables.values() {
        let provider = EmptyTable::new(table.spec.schema.clone());
        session.register_table(TableReference::bare(table.spec.name.as_str()), Arc::new(provider)).unwrap();
    }
    let plan = session.sql(sql).await.unwrap().logical_plan().clone();
    Job { report: report.to_owned(), plan, inputs: inputs.iter().map(|i| (*i).to_owned()).collect(), schedule: schedule.map(str::to_owned) }
}

/// The job of `daily`: flights and their average amount by origin and day.
pub(crate) async fn daily_job(pipeline: &Pipeline, schedule: Option<&str>) -> Job {
    let sql = "SELECT origin, day, count(*), avg(amount) FROM departures GROUP BY origin, day";
    job(pipeline, "daily", schedule, &["departures"], sql).await
}

impl World {
    /// A world whose pipeline has these jobs.
    pub(crate) async fn with_jobs(jobs: impl AsyncFnOnce(&Pipeline) -> Vec<Job>) -> Self {
        let (clock, disk) = (Arc::new(ManualClock::default()), Arc::new(Disk::default()));
        let toy_store = Arc::new(toy::ToyEventStore::open(disk.clone(), clock.clone()));
        let store = Arc::new(WatchedStore {
            inner: toy_store.clone(),
            snapshots: Mutex::new(0),
            scans: Arc::default(),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
        });
        let mut pipeline = pipeline();
        pipeline.jobs = jobs(&pipeline).await;
        let names = pipeline.tables["airlines"].spec.schema.clone();
        let airlines = millstream_testkit::rows::batch(&names, &[row!["UA", "United"], row!["AA", "American"]]).unwrap();
        // Whoever reads it has to take several batches, and an empty one.
        let airlines = toy::FixedReferenceSource::new(airlines.schema(), vec![airlines.clone(), airlines.slice(0, 0)]);
        let ports = Ports {
            log: Arc::new(toy::ToyEventLog::open(disk.clone(), clock.clone())),
            event_store: store.clone(),
            change_feed: toy_store,
            critical: Arc::new(toy::ToyCriticalStore::open(disk.clone(), clock.clone())),
            reports: Arc::new(toy::ToyReportStore::open(disk.clone())),
            lake: None,
            topics: None,
            schemas: None,
            checkpoints: Arc::new(toy::ToyCheckpointStore::open(disk.clone())),
            system: Arc::new(toy::ToySystemStore::open(disk)),
            references: [("airlines".to_owned(), Arc::new(airlines) as Arc<dyn ReferenceSource>)].into(),
            spill: None,
            clock: clock.clone(),
        };
        for table in pipeline.tables.values() {
            match table.spec.kind {
                TableKind::EventStore => ports.event_store.ensure_table(&table.spec).await.unwrap(),
                TableKind::Critical => ports.critical.ensure_table(&table.spec).await.unwrap(),
                TableKind::Report => ports.reports.ensure_report(&table.spec).await.unwrap(),
                _ => {}
            }
        }
        let topic = TopicSpec { name: "flights".to_owned(), partitions: 2, retention: None };
        ports.log.create_topic(&topic).await.unwrap();
        let references = ReferenceTables::open(&pipeline, &ports).await.unwrap();
        Self { clock, store, pipeline: Arc::new(pipeline), ports, references }
    }

    pub(crate) async fn new() -> Self {
        Self::with_jobs(async |_| Vec::new()).await
    }

    /// Commits rows to `departures`, each with its own writer.
    pub(crate) async fn depart(&self, flow: &str, rows: &[Row]) {
        let spec = &self.pipeline.tables["departures"].spec;
        let mut writer = Writer::begin(self.store.as_ref(), spec, flow, 1).await.unwrap();
        let changes: Vec<_> = rows.iter().map(|r| insert(1, r.clone())).collect();
        writer.commit(self.store.as_ref(), &changes).await.unwrap();
    }

    /// Appends a record to the topic.
    pub(crate) async fn publish(&self, partition: i32, key: Option<&str>, value: Option<&str>) {
        let bytes = |text: Option<&str>| text.map(|t| bytes::Bytes::copy_from_slice(t.as_bytes()));
        let header = ("trace".to_owned(), Some(bytes::Bytes::from_static(b"t1")));
        let record = NewRecord { timestamp: None, key: bytes(key), value: bytes(value), headers: vec![header] };
        self.ports.log.append(&TopicPartition::new("flights", partition), vec![record]).await.unwrap();
    }

    /// Publishes the report `daily`.
    pub(crate) async fn publish_daily(&self, run: u64, rows: &[Row]) {
        let rows = millstream_testkit::rows::stream_of(&self.pipeline.tables["daily"].spec.schema, rows, 10).unwrap();
        self.ports.reports.publish(Publication { report: "daily".to_owned(), run, rows }).await.unwrap();
    }

    /// The report's rows.
    pub(crate) async fn report(&self, report: &str) -> Vec<Row> {
        millstream_testkit::rows::collect(self.ports.reports.snapshot().await.unwrap().scan(report, None).await.unwrap()).await.unwrap()
    }
}

/// What a query gives, as lines of cells separated by `|`, in the order that they come.
pub(crate) async fn ask(session: &SessionContext, sql: &str) -> Vec<String> {
    let stream = session.sql(sql).await.unwrap().execute_stream().await.unwrap();
    shown(&stream.try_collect::<Vec<_>>().await.unwrap())
}

/// Rows as lines of cells separated by `|`.
pub(crate) fn shown(batches: &[RecordBatch]) -> Vec<String> {
    let cell = |batch: &RecordBatch, column: usize, row| {
        let column = batch.column(column);
        if column.is_null(row) { "null".to_owned() } else { arrow::util::display::array_value_to_string(column, row).unwrap() }
    };
    let line = |batch: &RecordBatch, row| (0..batch.num_columns()).map(|c| cell(batch, c, row)).collect::<Vec<_>>().join("|");
    batches.iter().flat_map(|batch| (0..batch.num_rows()).map(|row| line(batch, row)).collect::<Vec<_>>()).collect()
}
