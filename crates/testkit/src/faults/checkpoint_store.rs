//! [`CheckpointStore`] with faults.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use millstream_core::ports::CheckpointStore;
use millstream_core::{Attempt, Epoch, FlowId, Result};

use super::{Call, Faults};

/// A checkpoint store that fails as its plan says.
pub struct FaultyCheckpointStore {
    inner: Arc<dyn CheckpointStore>,
    faults: Arc<Faults>,
}

impl FaultyCheckpointStore {
    /// `inner` with `faults`.
    #[must_use]
    pub fn new(inner: Arc<dyn CheckpointStore>, faults: Arc<Faults>) -> Self {
        Self { inner, faults }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl CheckpointStore for FaultyCheckpointStore {
    async fn claim(&self, flow: &FlowId) -> Result<Attempt> {
        self.faults.around(Call::Claim, || self.inner.claim(flow)).await
    }

    async fn put(&self, flow: &FlowId, attempt: Attempt, epoch: Epoch, checkpoint: Bytes) -> Result<()> {
        self.faults.around(Call::Put, || self.inner.put(flow, attempt, epoch, checkpoint)).await
    }

    async fn get(&self, flow: &FlowId, epoch: Epoch) -> Result<Option<Bytes>> {
        self.faults.around(Call::Get, || self.inner.get(flow, epoch)).await
    }

    async fn epochs(&self, flow: &FlowId) -> Result<Vec<Epoch>> {
        self.faults.around(Call::Epochs, || self.inner.epochs(flow)).await
    }

    async fn prune(&self, flow: &FlowId, attempt: Attempt, keep_from: Epoch) -> Result<()> {
        self.faults.around(Call::Prune, || self.inner.prune(flow, attempt, keep_from)).await
    }

    async fn forget_after(&self, flow: &FlowId, attempt: Attempt, epoch: Epoch) -> Result<()> {
        self.faults.around(Call::ForgetAfter, || self.inner.forget_after(flow, attempt, epoch)).await
    }

    async fn forget(&self, flow: &FlowId) -> Result<()> {
        self.faults.around(Call::Forget, || self.inner.forget(flow)).await
    }

    async fn flows(&self) -> Result<Vec<FlowId>> {
        self.faults.around(Call::Flows, || self.inner.flows()).await
    }
}
