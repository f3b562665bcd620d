//! The registry of schemas: [`SchemaRegistry`].

use async_trait::async_trait;
use millstream_core::Result;
use millstream_core::ports::SchemaRegistry;

use super::Watched;

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl SchemaRegistry for Watched<dyn SchemaRegistry> {
    async fn schema(&self, id: u32) -> Result<String> {
        self.health.observe(self.inner.schema(id).await)
    }
}
