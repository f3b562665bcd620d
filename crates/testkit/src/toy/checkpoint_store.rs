//! [`CheckpointStore`] in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use millstream_core::ports::CheckpointStore;
use millstream_core::{Attempt, Epoch, Error, FlowId, Result};

use super::{Defect, Disk};

/// Each flow's attempt and checkpoints.
pub(super) type Flows = BTreeMap<FlowId, (Attempt, BTreeMap<Epoch, Bytes>)>;

/// Checkpoints in memory.
#[derive(Debug)]
pub struct ToyCheckpointStore {
    disk: Arc<Disk>,
}

impl ToyCheckpointStore {
    /// The checkpoints on `disk`.
    #[must_use]
    pub fn open(disk: Arc<Disk>) -> Self {
        disk.opening(&disk.checkpoints);
        Self { disk }
    }

    /// Changes a flow's checkpoints, unless `attempt` is fenced.
    fn change(&self, flow: &FlowId, attempt: Attempt, change: impl FnOnce(&mut BTreeMap<Epoch, Bytes>)) -> Result<()> {
        let mut flows = self.disk.checkpoints.lock();
        let (highest, checkpoints) = flows.entry(flow.clone()).or_default();
        if attempt < *highest && !self.disk.has(Defect::IgnoresFencing) {
            return Err(Error::fenced(format!("attempt {attempt} of flow {flow} is fenced by {highest}")));
        }
        change(checkpoints);
        Ok(())
    }
}

#[async_trait]
impl CheckpointStore for ToyCheckpointStore {
    async fn claim(&self, flow: &FlowId) -> Result<Attempt> {
        let mut flows = self.disk.checkpoints.lock();
        let (attempt, _) = flows.entry(flow.clone()).or_default();
        *attempt = attempt.next();
        Ok(*attempt)
    }

    async fn put(&self, flow: &FlowId, attempt: Attempt, epoch: Epoch, checkpoint: Bytes) -> Result<()> {
        self.change(flow, attempt, |checkpoints| {
            checkpoints.insert(epoch, checkpoint);
        })
    }

    async fn get(&self, flow: &FlowId, epoch: Epoch) -> Result<Option<Bytes>> {
        let found = self.disk.checkpoints.lock().get(flow).and_then(|(_, checkpoints)| checkpoints.get(&epoch).cloned());
        if self.disk.has(Defect::ReturnsOtherBytes) {
            return Ok(found.map(|bytes| {
                let mut bytes = bytes.to_vec();
                bytes.iter_mut().skip(100).take(1).for_each(|b| *b ^= 1);
                bytes.into()
            }));
        }
        Ok(found)
    }

    async fn epochs(&self, flow: &FlowId) -> Result<Vec<Epoch>> {
        Ok(self.disk.checkpoints.lock().get(flow).map(|(_, checkpoints)| checkpoints.keys().copied().collect()).unwrap_or_default())
    }

    async fn prune(&self, flow: &FlowId, attempt: Attempt, keep_from: Epoch) -> Result<()> {
        let keep_from = if self.disk.has(Defect::PrunesTooMuch) { keep_from.next() } else { keep_from };
        self.change(flow, attempt, |checkpoints| *checkpoints = checkpoints.split_off(&keep_from))
    }

    async fn forget_after(&self, flow: &FlowId, attempt: Attempt, epoch: Epoch) -> Result<()> {
        let from = if self.disk.has(Defect::ForgetsTooMuch) { epoch } else { epoch.next() };
        self.change(flow, attempt, |checkpoints| drop(checkpoints.split_off(&from)))
    }

    async fn forget(&self, flow: &FlowId) -> Result<()> {
        let mut flows = self.disk.checkpoints.lock();
        if self.disk.has(Defect::ForgetsAttempts) {
            flows.remove(flow);
        }
        if let Some((_, checkpoints)) = flows.get_mut(flow) {
            checkpoints.clear();
        }
        Ok(())
    }

    async fn flows(&self) -> Result<Vec<FlowId>> {
        let flows = self.disk.checkpoints.lock();
        Ok(flows.iter().filter(|(_, (_, checkpoints))| !checkpoints.is_empty()).map(|(flow, _)| flow.clone()).collect())
    }
}
