//! Reference data: [`ReferenceSource`].

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use millstream_core::Result;
use millstream_core::ports::ReferenceSource;

use super::Watched;

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl ReferenceSource for Watched<dyn ReferenceSource> {
    async fn schema(&self) -> Result<SchemaRef> {
        self.health.observe(self.inner.schema().await)
    }

    async fn revision(&self) -> Result<String> {
        self.health.observe(self.inner.revision().await)
    }

    async fn load(&self) -> Result<Vec<RecordBatch>> {
        self.health.observe(self.inner.load().await)
    }
}
