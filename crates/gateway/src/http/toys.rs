//! Stores for this crate's tests: as little of each port as the API reads, with switches to count, hold up and break reads.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema};
use async_trait::async_trait;
use futures::StreamExt;
use metrics_exporter_prometheus::PrometheusBuilder;
use millstream_core::batches::BatchStream;
use millstream_core::ports::{
    CriticalLoader, CriticalRow, CriticalStore, EpochSink, EpochWrite, EventStore, Page, PageToken, PartitionQuery, Publication, Published,
    ReportSnapshot, ReportStore, StoreSnapshot, VERSION_COLUMN,
};
use millstream_core::status::{PipelineStatus, StatusSource};
use millstream_core::{
    Attempt, ChangeBatch, Epoch, Error, ErrorKind, FlowId, KeySpec, Result, TableKind, TableSpec, Timestamp, Value, Version,
};
use millstream_testkit::ManualClock;
use tokio::sync::{Semaphore, watch};

use super::cache::{InvalidatingCriticalStore, InvalidatingEventStore, InvalidatingReportStore, Invalidations};
use super::router::opening;
use super::{Api, HttpAbout, HttpParts, HttpSettings, ReferenceRows, api};

/// Counts reads, makes them wait, makes them fail.
pub struct Switches {
    pub reads: AtomicUsize,
    ended: watch::Sender<usize>,
    fails_with: Mutex<Option<ErrorKind>>,
    /// A read takes a permit and gives it back; close the gate by taking all of them.
    pub gate: Semaphore,
}

pub const GATE: u32 = 1_000;

impl Default for Switches {
    fn default() -> Self {
        Self { reads: AtomicUsize::new(0), ended: watch::Sender::new(0), fails_with: Mutex::default(), gate: Semaphore::new(GATE as usize) }
    }
}

impl Switches {
    async fn pass(&self) -> Result<()> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let outcome = self.pass_uncounted().await;
        self.ended.send_modify(|n| *n += 1);
        outcome
    }

    async fn pass_uncounted(&self) -> Result<()> {
        let _permit = self.gate.acquire().await.unwrap();
        match *self.fails_with.lock().unwrap() {
            Some(kind) => Err(Error::new(kind, "the toy is switched off")),
            None => Ok(()),
        }
    }

    pub fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }

    /// Resolves when so many reads have ended.
    pub async fn until_ended(&self, count: usize) {
        self.ended.subscribe().wait_for(|n| *n >= count).await.unwrap();
    }

    pub fn set_down(&self, down: bool) {
        self.fail_with(down.then_some(ErrorKind::Unavailable));
    }

    pub fn fail_with(&self, kind: Option<ErrorKind>) {
        *self.fails_with.lock().unwrap() = kind;
    }
}

/// An event store of tables (k STRING, v DOUBLE) with the single key k; commits add rows.
#[derive(Default)]
pub struct ToyEvents {
    pub switches: Switches,
    rows: Mutex<BTreeMap<String, Vec<(RecordBatch, Version)>>>,
}

#[async_trait]
impl EpochSink for ToyEvents {
    async fn begin(&self, _flow: &FlowId, _attempt: Attempt, _table: &str) -> Result<Epoch> {
        Ok(Epoch(0))
    }

    async fn commit(&self, write: EpochWrite) -> Result<u64> {
        let mut rows = self.rows.lock().unwrap();
        for changes in &write.changes {
            for i in 0..changes.len() {
                let row = changes.rows().slice(i, 1);
                let key = row.column(0).as_any().downcast_ref::<StringArray>().unwrap().value(0).to_owned();
                rows.entry(key).or_default().push((row, changes.version(i)));
            }
        }
        Ok(1)
    }
}

#[async_trait]
impl EventStore for ToyEvents {
    async fn ensure_table(&self, _spec: &TableSpec) -> Result<()> {
        Ok(())
    }

    async fn read_partition(&self, _table: &str, query: &PartitionQuery) -> Result<Page> {
        // What is read is decided before the gate: a read that is held up sees the past, as a slow network would have it.
        let rows = self.rows.lock().unwrap().get(&query.partition[0].to_string()).cloned().unwrap_or_default();
        self.switches.pass().await?;
        let start: usize = query.page.as_ref().map_or(0, |p| p.0.parse().unwrap());
        let end = rows.len().min(start + query.limit);
        let schema = spec(TableKind::EventStore, "events", None).schema;
        let page = concat_batches(&schema, rows[start..end].iter().map(|(r, _)| r)).unwrap();
        let versions: ArrayRef = Arc::new(rows[start..end].iter().map(|(_, v)| v.0).collect::<Int64Array>());
        let mut fields = schema.fields().to_vec();
        fields.push(Arc::new(Field::new(VERSION_COLUMN, DataType::Int64, false)));
        let columns = page.columns().iter().cloned().chain([versions]).collect();
        let rows_read = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
        Ok(Page { rows: rows_read, next: (end < rows.len()).then(|| PageToken(end.to_string())) })
    }

    async fn snapshot(&self) -> Result<Arc<dyn StoreSnapshot>> {
        Err(Error::unsupported("a toy"))
    }

    async fn drop_table(&self, _table: &str) -> Result<()> {
        self.rows.lock().unwrap().clear();
        Ok(())
    }
}

/// A critical store and a report store of rows by key, and a loader.
#[derive(Default)]
pub struct ToyRows {
    pub switches: Switches,
    pub fills: AtomicUsize,
    rows: Mutex<BTreeMap<Vec<Value>, CriticalRow>>,
}

impl ToyRows {
    pub fn put(&self, row: CriticalRow) {
        let key = Value::at(row.row.column(0), 0).unwrap().unwrap();
        self.rows.lock().unwrap().insert(vec![key], row);
    }

    pub fn forget(&self) {
        self.rows.lock().unwrap().clear();
    }
}

#[async_trait]
impl EpochSink for ToyRows {
    async fn begin(&self, _flow: &FlowId, _attempt: Attempt, _table: &str) -> Result<Epoch> {
        Ok(Epoch(0))
    }

    async fn commit(&self, write: EpochWrite) -> Result<u64> {
        for changes in &write.changes {
            for i in 0..changes.len() {
                self.put(CriticalRow { row: changes.rows().slice(i, 1), version: changes.version(i), expires: None });
            }
        }
        Ok(1)
    }
}

#[async_trait]
impl CriticalStore for ToyRows {
    async fn ensure_table(&self, _spec: &TableSpec) -> Result<()> {
        Ok(())
    }

    async fn get(&self, _table: &str, key: &[Value]) -> Result<Option<CriticalRow>> {
        let row = self.rows.lock().unwrap().get(key).cloned();
        self.switches.pass().await?;
        Ok(row)
    }

    async fn fill(&self, _table: &str, row: &CriticalRow) -> Result<()> {
        self.fills.fetch_add(1, Ordering::SeqCst);
        self.switches.pass_uncounted().await?;
        self.put(row.clone());
        Ok(())
    }

    async fn scan(&self, _table: &str, _columns: Option<Vec<usize>>) -> Result<BatchStream> {
        Ok(futures::stream::empty().boxed())
    }

    async fn evict_all(&self, _table: &str) -> Result<()> {
        self.forget();
        Ok(())
    }

    async fn drop_table(&self, _table: &str) -> Result<()> {
        self.forget();
        Ok(())
    }
}

#[async_trait]
impl CriticalLoader for ToyRows {
    async fn load(&self, table: &str, key: &[Value]) -> Result<Option<CriticalRow>> {
        if table == "alone" {
            return Err(Error::unsupported("no event-store table feeds this one"));
        }
        let row = self.rows.lock().unwrap().get(key).cloned();
        self.switches.pass().await?;
        Ok(row)
    }
}

#[async_trait]
impl ReportStore for ToyRows {
    async fn ensure_report(&self, _spec: &TableSpec) -> Result<()> {
        Ok(())
    }

    async fn publish(&self, publication: Publication) -> Result<Published> {
        let batches: Vec<RecordBatch> = publication.rows.map(|b| b.unwrap()).collect().await;
        self.forget();
        for batch in batches {
            for i in 0..batch.num_rows() {
                self.put(CriticalRow { row: batch.slice(i, 1), version: Version(0), expires: None });
            }
        }
        Ok(Published::default())
    }

    async fn published_run(&self, _report: &str) -> Result<Option<u64>> {
        Ok(None)
    }

    async fn snapshot(&self) -> Result<Arc<dyn ReportSnapshot>> {
        Err(Error::unsupported("these toys are read by key alone"))
    }

    async fn get(&self, _report: &str, key: &[Value]) -> Result<RecordBatch> {
        let row = self.rows.lock().unwrap().get(key).map(|r| r.row.clone());
        self.switches.pass().await?;
        Ok(row.unwrap_or_else(|| RecordBatch::new_empty(spec(TableKind::Report, "report", None).schema)))
    }

    async fn drop_report(&self, _report: &str) -> Result<()> {
        self.forget();
        Ok(())
    }
}

impl ReferenceRows for RecordBatch {
    fn rows(&self) -> Arc<[RecordBatch]> {
        Arc::new([self.clone()])
    }
}

/// A status that a test sets.
#[derive(Default)]
pub struct ToyStatus(pub Mutex<PipelineStatus>);

impl StatusSource for ToyStatus {
    fn status(&self) -> PipelineStatus {
        self.0.lock().unwrap().clone()
    }
}

/// A table (k STRING, v DOUBLE) with the key k.
pub fn spec(kind: TableKind, name: &str, ttl: Option<Duration>) -> TableSpec {
    let schema = Arc::new(Schema::new(vec![Field::new("k", DataType::Utf8, false), Field::new("v", DataType::Float64, true)]));
    let key = if matches!(kind, TableKind::Topic | TableKind::Reference) { KeySpec::default() } else { KeySpec::single(["k"]) };
    TableSpec { name: name.into(), kind, schema, key, ttl }
}

/// Rows of such a table.
pub fn rows(rows: &[(&str, f64)]) -> RecordBatch {
    let keys: ArrayRef = Arc::new(rows.iter().map(|(k, _)| Some(*k)).collect::<StringArray>());
    let values: ArrayRef = Arc::new(rows.iter().map(|(_, v)| Some(*v)).collect::<Float64Array>());
    RecordBatch::try_new(spec(TableKind::EventStore, "events", None).schema, vec![keys, values]).unwrap()
}

/// An epoch that inserts `batch` into `table`.
pub fn epoch(table: &str, batch: RecordBatch, version: Version) -> EpochWrite {
    let changes = vec![ChangeBatch::inserts(batch, version).unwrap()];
    EpochWrite { flow: FlowId::new(table), attempt: Attempt(1), epoch: Epoch(1), table: table.into(), changes }
}

/// A critical row.
pub fn critical(key: &str, v: f64, expires: Option<Timestamp>) -> CriticalRow {
    CriticalRow { row: rows(&[(key, v)]), version: Version(ManualClock::START.0), expires }
}

/// The API over toys, and handles to everything behind it. `events`, `critical` and `report` are what the engine would write to.
pub struct World {
    pub api: Api,
    pub clock: Arc<ManualClock>,
    pub toy_events: Arc<ToyEvents>,
    pub toy_critical: Arc<ToyRows>,
    pub toy_loader: Arc<ToyRows>,
    pub toy_report: Arc<ToyRows>,
    pub status: Arc<ToyStatus>,
    pub events: InvalidatingEventStore,
    pub critical: InvalidatingCriticalStore,
    pub report: InvalidatingReportStore,
}

impl World {
    pub fn new() -> Self {
        Self::with(HttpSettings::default())
    }

    pub fn with(settings: HttpSettings) -> Self {
        let (world, parts) = Self::parts();
        Self { api: api(parts, settings), ..world }
    }

    pub fn parts() -> (Self, HttpParts) {
        let tables = vec![
            spec(TableKind::EventStore, "events", None),
            spec(TableKind::EventStore, "fleeting", Some(Duration::from_secs(10))),
            spec(TableKind::Critical, "critical", None),
            spec(TableKind::Critical, "alone", None),
            spec(TableKind::Report, "report", None),
            spec(TableKind::Reference, "airlines", None),
            spec(TableKind::Topic, "flights", None),
        ];
        let clock = Arc::new(ManualClock::default());
        let invalidations = Invalidations::new(&tables);
        let (toy_events, toy_critical) = (Arc::new(ToyEvents::default()), Arc::new(ToyRows::default()));
        let (toy_loader, toy_report) = (Arc::new(ToyRows::default()), Arc::new(ToyRows::default()));
        let status = Arc::new(ToyStatus::default());
        let airlines: Arc<dyn ReferenceRows> = Arc::new(rows(&[("UA", 1.0), ("F9", 2.0), ("UA", 3.0)]));
        let parts = HttpParts {
            about: HttpAbout {
                pipeline: "toys".into(),
                version: "0.0.0".into(),
                status: status.clone(),
                metrics: PrometheusBuilder::new().build_recorder().handle(),
                clock: clock.clone(),
            },
            tables,
            event_store: toy_events.clone(),
            critical_store: toy_critical.clone(),
            critical_loader: toy_loader.clone(),
            report_store: toy_report.clone(),
            reference: BTreeMap::from([("airlines".to_owned(), airlines)]),
            invalidations: invalidations.clone(),
        };
        let world = Self {
            api: opening(parts.about.clone(), &HttpSettings::default()),
            clock,
            events: InvalidatingEventStore::new(toy_events.clone(), invalidations.clone()),
            critical: InvalidatingCriticalStore::new(toy_critical.clone(), invalidations.clone()),
            report: InvalidatingReportStore::new(toy_report.clone(), invalidations),
            toy_events,
            toy_critical,
            toy_loader,
            toy_report,
            status,
        };
        (world, parts)
    }

    /// The clock's time as a version.
    pub fn version(&self) -> Version {
        use millstream_core::ports::Clock;
        Version(self.clock.now().0)
    }
}
