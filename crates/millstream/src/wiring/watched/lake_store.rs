//! Tables of files in a lake: [`LakeStore`].

use async_trait::async_trait;
use millstream_core::batches::BatchStream;
use millstream_core::ports::{EpochSink, EpochWrite, Isolation, LakeStore};
use millstream_core::{Attempt, Epoch, FlowId, Result, TableSpec};

use super::Watched;

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl EpochSink for Watched<dyn LakeStore> {
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
impl LakeStore for Watched<dyn LakeStore> {
    async fn ensure_table(&self, spec: &TableSpec) -> Result<()> {
        self.health.observe(self.inner.ensure_table(spec).await)
    }

    async fn scan(&self, table: &str, columns: Option<Vec<usize>>) -> Result<BatchStream> {
        self.stream(self.inner.scan(table, columns).await)
    }

    async fn drop_table(&self, table: &str) -> Result<()> {
        self.health.observe(self.inner.drop_table(table).await)
    }
}
