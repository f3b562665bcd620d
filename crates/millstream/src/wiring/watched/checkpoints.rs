//! Checkpoints in a lake: [`CheckpointStore`].

use async_trait::async_trait;
use bytes::Bytes;
use millstream_core::ports::CheckpointStore;
use millstream_core::{Attempt, Epoch, FlowId, Result};

use super::Watched;

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl CheckpointStore for Watched<dyn CheckpointStore> {
    async fn claim(&self, flow: &FlowId) -> Result<Attempt> {
        self.health.observe(self.inner.claim(flow).await)
    }

    async fn put(&self, flow: &FlowId, attempt: Attempt, epoch: Epoch, checkpoint: Bytes) -> Result<()> {
        self.health.observe(self.inner.put(flow, attempt, epoch, checkpoint).await)
    }

    async fn get(&self, flow: &FlowId, epoch: Epoch) -> Result<Option<Bytes>> {
        self.health.observe(self.inner.get(flow, epoch).await)
    }

    async fn epochs(&self, flow: &FlowId) -> Result<Vec<Epoch>> {
        self.health.observe(self.inner.epochs(flow).await)
    }

    async fn prune(&self, flow: &FlowId, attempt: Attempt, keep_from: Epoch) -> Result<()> {
        self.health.observe(self.inner.prune(flow, attempt, keep_from).await)
    }

    async fn forget_after(&self, flow: &FlowId, attempt: Attempt, epoch: Epoch) -> Result<()> {
        self.health.observe(self.inner.forget_after(flow, attempt, epoch).await)
    }

    async fn forget(&self, flow: &FlowId) -> Result<()> {
        self.health.observe(self.inner.forget(flow).await)
    }

    async fn flows(&self) -> Result<Vec<FlowId>> {
        self.health.observe(self.inner.flows().await)
    }
}
