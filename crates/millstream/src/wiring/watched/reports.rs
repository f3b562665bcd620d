//! Reports: [`ReportStore`] and [`ReportSnapshot`].

use std::sync::Arc;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use millstream_core::batches::BatchStream;
use millstream_core::ports::{EpochSink, EpochWrite, Isolation, Publication, Published, ReportSnapshot, ReportStore};
use millstream_core::{Attempt, Epoch, FlowId, Result, TableSpec, Value};

use super::Watched;

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl EpochSink for Watched<dyn ReportStore> {
    async fn begin(&self, flow: &FlowId, attempt: Attempt, table: &str) -> Result<Epoch> {
        self.health.observe(self.inner.begin(flow, attempt, table).await)
    }

    async fn commit(&self, write: EpochWrite) -> Result<u64> {
        self.health.observe(self.inner.commit(write).await)
    }

    fn isolation(&self) -> Isolation {
        self.inner.isolation()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl ReportStore for Watched<dyn ReportStore> {
    async fn ensure_report(&self, spec: &TableSpec) -> Result<()> {
        self.health.observe(self.inner.ensure_report(spec).await)
    }

    async fn publish(&self, publication: Publication) -> Result<Published> {
        self.health.observe(self.inner.publish(publication).await)
    }

    async fn published_run(&self, report: &str) -> Result<Option<u64>> {
        self.health.observe(self.inner.published_run(report).await)
    }

    async fn snapshot(&self) -> Result<Arc<dyn ReportSnapshot>> {
        let inner = self.health.observe(self.inner.snapshot().await)?;
        Ok(Watched::<dyn ReportSnapshot>::new(inner, self.health.clone()))
    }

    async fn get(&self, report: &str, key: &[Value]) -> Result<RecordBatch> {
        self.health.observe(self.inner.get(report, key).await)
    }

    async fn drop_report(&self, report: &str) -> Result<()> {
        self.health.observe(self.inner.drop_report(report).await)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl ReportSnapshot for Watched<dyn ReportSnapshot> {
    async fn scan(&self, report: &str, columns: Option<Vec<usize>>) -> Result<BatchStream> {
        self.stream(self.inner.scan(report, columns).await)
    }
}
