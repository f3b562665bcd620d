//! Tables that a port streams as they are: event-store tables, redis tables, reports, files and reference data.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use futures::{FutureExt, StreamExt, stream};
use millstream_core::ports::{CriticalStore, LakeStore, Scan};
use millstream_core::{Error, Result, TableSpec};

use super::moment::Moment;
use super::port_table::{Part, Readable, Request};
use crate::reference::ReferenceTables;

/// An event-store table, read from a snapshot.
pub(super) struct StoreTable {
    spec: Arc<TableSpec>,
    moment: Arc<Moment>,
}

impl StoreTable {
    pub(super) fn new(spec: Arc<TableSpec>, moment: Arc<Moment>) -> Self {
        Self { spec, moment }
    }
}

#[async_trait]
impl Readable for StoreTable {
    fn schema(&self) -> SchemaRef {
        self.spec.schema.clone()
    }

    fn partition_key(&self) -> &[String] {
        &self.spec.key.partition
    }

    async fn parts(&self, request: &Request) -> Result<Vec<Part>> {
        let scan = Scan { columns: Some(request.columns.clone()), partition: request.partition.clone(), with_version: false };
        let (spec, moment) = (self.spec.clone(), self.moment.clone());
        Ok(vec![Box::new(move || {
            let (spec, moment, scan) = (spec.clone(), moment.clone(), scan.clone());
            async move { moment.events().await?.scan(&spec.name, &scan).await }.boxed()
        })])
    }

    fn pinned(&self, moment: &Arc<Moment>) -> Option<Arc<dyn Readable>> {
        Some(Arc::new(Self::new(self.spec.clone(), moment.clone())))
    }
}

/// A redis table: what is in the store now, without loading anything.
pub(super) struct CriticalTable {
    spec: Arc<TableSpec>,
    store: Arc<dyn CriticalStore>,
}

impl CriticalTable {
    pub(super) fn new(spec: Arc<TableSpec>, store: Arc<dyn CriticalStore>) -> Self {
        Self { spec, store }
    }
}

#[async_trait]
impl Readable for CriticalTable {
    fn schema(&self) -> SchemaRef {
        self.spec.schema.clone()
    }

    async fn parts(&self, request: &Request) -> Result<Vec<Part>> {
        let (spec, store, columns) = (self.spec.clone(), self.store.clone(), request.columns.clone());
        Ok(vec![Box::new(move || {
            let (spec, store, columns) = (spec.clone(), store.clone(), columns.clone());
            async move { store.scan(&spec.name, Some(columns)).await }.boxed()
        })])
    }
}

/// A report, read from a snapshot of all reports.
pub(super) struct ReportTable {
    spec: Arc<TableSpec>,
    moment: Arc<Moment>,
}

impl ReportTable {
    pub(super) fn new(spec: Arc<TableSpec>, moment: Arc<Moment>) -> Self {
        Self { spec, moment }
    }
}

#[async_trait]
impl Readable for ReportTable {
    fn schema(&self) -> SchemaRef {
        self.spec.schema.clone()
    }

    async fn parts(&self, request: &Request) -> Result<Vec<Part>> {
        let (spec, moment, columns) = (self.spec.clone(), self.moment.clone(), request.columns.clone());
        Ok(vec![Box::new(move || {
            let (spec, moment, columns) = (spec.clone(), moment.clone(), columns.clone());
            async move { moment.reports().await?.scan(&spec.name, Some(columns)).await }.boxed()
        })])
    }

    fn pinned(&self, moment: &Arc<Moment>) -> Option<Arc<dyn Readable>> {
        Some(Arc::new(Self::new(self.spec.clone(), moment.clone())))
    }
}

/// Files that flows append to: what is committed.
pub(super) struct LakeTable {
    spec: Arc<TableSpec>,
    store: Arc<dyn LakeStore>,
}

impl LakeTable {
    pub(super) fn new(spec: Arc<TableSpec>, store: Arc<dyn LakeStore>) -> Self {
        Self { spec, store }
    }
}

#[async_trait]
impl Readable for LakeTable {
    fn schema(&self) -> SchemaRef {
        self.spec.schema.clone()
    }

    async fn parts(&self, request: &Request) -> Result<Vec<Part>> {
        let (spec, store, columns) = (self.spec.clone(), self.store.clone(), request.columns.clone());
        Ok(vec![Box::new(move || {
            let (spec, store, columns) = (spec.clone(), store.clone(), columns.clone());
            async move { store.scan(&spec.name, Some(columns)).await }.boxed()
        })])
    }
}

/// Reference data, as it is in memory.
pub(super) struct ReferenceTable {
    spec: Arc<TableSpec>,
    tables: Arc<ReferenceTables>,
}

impl ReferenceTable {
    pub(super) fn new(spec: Arc<TableSpec>, tables: Arc<ReferenceTables>) -> Self {
        Self { spec, tables }
    }
}

#[async_trait]
impl Readable for ReferenceTable {
    fn schema(&self) -> SchemaRef {
        self.spec.schema.clone()
    }

    async fn parts(&self, request: &Request) -> Result<Vec<Part>> {
        let rows = self.tables.get(&self.spec.name)?;
        let columns = request.columns.clone();
        Ok(vec![Box::new(move || {
            let (rows, columns) = (rows.clone(), columns.clone());
            let count = rows.batches.len();
            let batches = stream::iter(0..count).map(move |i| {
                let batch = rows.batches.get(i).ok_or_else(|| Error::internal("reference data has lost a batch"))?;
                Ok(batch.project(&columns)?)
            });
            async move { Ok(batches.boxed()) }.boxed()
        })])
    }
}
