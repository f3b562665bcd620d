//! The stores that the engine writes to, wrapped so that a write makes cached reads of what it touched invalid.
//!
//! Each wrapper keeps its port's contract and adds one thing: when a write ends, however it ends, the counters of the partitions
//! it touched are counted up. Also when it failed or was dropped: a store may have committed what it could not acknowledge.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use arrow::array::RecordBatch;
use async_trait::async_trait;
use millstream_core::batches::BatchStream;
use millstream_core::ports::{
    CriticalRow, CriticalStore, EpochSink, EpochWrite, EventStore, Isolation, Page, PartitionQuery, Publication, Published, ReportSnapshot,
    ReportStore, StoreSnapshot,
};
use millstream_core::{Attempt, Epoch, FlowId, Result, TableSpec, Value};

use super::generations::{Generations, Slot};

/// The counters, and which columns make up the partition key of each table: shared by the wrappers and the API.
#[derive(Default)]
pub struct Invalidations {
    generations: Generations,
    partition_columns: RwLock<HashMap<String, Vec<usize>>>,
}

impl Invalidations {
    /// Knows `tables`; the wrappers add those that are ensured through them.
    #[must_use]
    pub fn new<'a>(tables: impl IntoIterator<Item = &'a TableSpec>) -> Arc<Self> {
        let this = Self::default();
        tables.into_iter().for_each(|spec| this.know(spec));
        Arc::new(this)
    }

    /// The counters.
    #[must_use]
    pub fn generations(&self) -> &Generations {
        &self.generations
    }

    fn know(&self, spec: &TableSpec) {
        if let Ok(columns) = spec.key.partition_indices(&spec.schema) {
            self.partition_columns.write().unwrap_or_else(PoisonError::into_inner).insert(spec.name.clone(), columns);
        }
    }

    /// What a write of epochs touches. For a table that isn't known: everything, which is never wrong.
    fn touched_by(self: &Arc<Self>, write: &EpochWrite) -> BumpWhenDone {
        let known = self.partition_columns.read().unwrap_or_else(PoisonError::into_inner).get(&write.table).cloned();
        let slots = known.and_then(|columns| {
            let mut slots = Vec::new();
            for changes in &write.changes {
                slots.extend(Slot::of_rows(&write.table, changes.rows(), &columns)?);
            }
            slots.sort_unstable();
            slots.dedup();
            Some(slots)
        });
        BumpWhenDone { invalidations: self.clone(), slots }
    }

    fn touched_report(self: &Arc<Self>, report: &str) -> BumpWhenDone {
        BumpWhenDone { invalidations: self.clone(), slots: Some(vec![Slot::of(report, &[])]) }
    }

    fn touched_everything(self: &Arc<Self>) -> BumpWhenDone {
        BumpWhenDone { invalidations: self.clone(), slots: None }
    }
}

/// Counts up when it is dropped: at the end of the write that holds it. `None`: all counters.
struct BumpWhenDone {
    invalidations: Arc<Invalidations>,
    slots: Option<Vec<Slot>>,
}

impl Drop for BumpWhenDone {
    fn drop(&mut self) {
        match &self.slots {
            Some(slots) => slots.iter().for_each(|slot| self.invalidations.generations.bump(*slot)),
            None => self.invalidations.generations.bump_all(),
        }
    }
}

/// An event store whose writes make cached reads of the written partitions invalid.
pub struct InvalidatingEventStore {
    inner: Arc<dyn EventStore>,
    invalidations: Arc<Invalidations>,
}

impl InvalidatingEventStore {
    /// Wraps `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn EventStore>, invalidations: Arc<Invalidations>) -> Self {
        Self { inner, invalidations }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl EpochSink for InvalidatingEventStore {
    async fn begin(&self, flow: &FlowId, attempt: Attempt, table: &str) -> Result<Epoch> {
        self.inner.begin(flow, attempt, table).await
    }

    async fn commit(&self, write: EpochWrite) -> Result<u64> {
        let _bump = self.invalidations.touched_by(&write);
        self.inner.commit(write).await
    }

    fn isolation(&self) -> Isolation {
        self.inner.isolation()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl EventStore for InvalidatingEventStore {
    async fn ensure_table(&self, spec: &TableSpec) -> Result<()> {
        self.invalidations.know(spec);
        self.inner.ensure_table(spec).await
    }

    // Nobody's writes to it are seen here, so there is nothing to know of its keys.
    async fn bind_table(&self, spec: &TableSpec) -> Result<()> {
        self.inner.bind_table(spec).await
    }

    async fn read_partition(&self, table: &str, query: &PartitionQuery) -> Result<Page> {
        self.inner.read_partition(table, query).await
    }

    async fn snapshot(&self) -> Result<Arc<dyn StoreSnapshot>> {
        self.inner.snapshot().await
    }

    async fn drop_table(&self, table: &str) -> Result<()> {
        let _bump = self.invalidations.touched_everything();
        self.inner.drop_table(table).await
    }
}

/// A store of critical events whose writes make the cached absence of the written keys invalid.
pub struct InvalidatingCriticalStore {
    inner: Arc<dyn CriticalStore>,
    invalidations: Arc<Invalidations>,
}

impl InvalidatingCriticalStore {
    /// Wraps `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn CriticalStore>, invalidations: Arc<Invalidations>) -> Self {
        Self { inner, invalidations }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl EpochSink for InvalidatingCriticalStore {
    async fn begin(&self, flow: &FlowId, attempt: Attempt, table: &str) -> Result<Epoch> {
        self.inner.begin(flow, attempt, table).await
    }

    async fn commit(&self, write: EpochWrite) -> Result<u64> {
        let _bump = self.invalidations.touched_by(&write);
        self.inner.commit(write).await
    }

    fn isolation(&self) -> Isolation {
        self.inner.isolation()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl CriticalStore for InvalidatingCriticalStore {
    async fn ensure_table(&self, spec: &TableSpec) -> Result<()> {
        self.invalidations.know(spec);
        self.inner.ensure_table(spec).await
    }

    async fn get(&self, table: &str, key: &[Value]) -> Result<Option<CriticalRow>> {
        self.inner.get(table, key).await
    }

    /// A fill puts what the event store holds already, so it makes nothing invalid.
    async fn fill(&self, table: &str, row: &CriticalRow) -> Result<()> {
        self.inner.fill(table, row).await
    }

    async fn scan(&self, table: &str, columns: Option<Vec<usize>>) -> Result<BatchStream> {
        self.inner.scan(table, columns).await
    }

    async fn evict_all(&self, table: &str) -> Result<()> {
        let _bump = self.invalidations.touched_everything();
        self.inner.evict_all(table).await
    }

    async fn drop_table(&self, table: &str) -> Result<()> {
        let _bump = self.invalidations.touched_everything();
        self.inner.drop_table(table).await
    }
}

/// A report store whose publications and epochs make cached reads of the report invalid.
pub struct InvalidatingReportStore {
    inner: Arc<dyn ReportStore>,
    invalidations: Arc<Invalidations>,
}

impl InvalidatingReportStore {
    /// Wraps `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn ReportStore>, invalidations: Arc<Invalidations>) -> Self {
        Self { inner, invalidations }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl EpochSink for InvalidatingReportStore {
    async fn begin(&self, flow: &FlowId, attempt: Attempt, table: &str) -> Result<Epoch> {
        self.inner.begin(flow, attempt, table).await
    }

    async fn commit(&self, write: EpochWrite) -> Result<u64> {
        let _bump = self.invalidations.touched_report(&write.table);
        self.inner.commit(write).await
    }

    fn isolation(&self) -> Isolation {
        self.inner.isolation()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl ReportStore for InvalidatingReportStore {
    async fn ensure_report(&self, spec: &TableSpec) -> Result<()> {
        self.inner.ensure_report(spec).await
    }

    async fn publish(&self, publication: Publication) -> Result<Published> {
        let _bump = self.invalidations.touched_report(&publication.report);
        self.inner.publish(publication).await
    }

    async fn published_run(&self, report: &str) -> Result<Option<u64>> {
        self.inner.published_run(report).await
    }

    async fn snapshot(&self) -> Result<Arc<dyn ReportSnapshot>> {
        self.inner.snapshot().await
    }

    async fn get(&self, report: &str, key: &[Value]) -> Result<RecordBatch> {
        self.inner.get(report, key).await
    }

    async fn drop_report(&self, report: &str) -> Result<()> {
        let _bump = self.invalidations.touched_report(report);
        self.inner.drop_report(report).await
    }
}

#[cfg(test)]
mod tests;
