//! [`CheckpointStore`]: where flows keep what they need to go on after a crash.

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::Result;
use crate::ident::{Attempt, Epoch, FlowId};

/// A flow's checkpoints, one for each epoch that is still needed, and its attempt number.
///
/// A checkpoint is *prepared*, not committed: it is put before the sink writes its epoch, and the sink says which epoch was
/// committed. So a store holds checkpoints that are ahead of the sink; they are replaced by the next attempt's.
///
/// **Fencing.** [`claim`](Self::claim) raises the attempt by compare-and-swap; from then on every `put`, `prune` and
/// `forget_after` with a lower attempt fails with [`Fenced`](crate::ErrorKind::Fenced) and changes nothing. What a `put` wrote that was under way meanwhile can be seen until
/// that fails: who builds upon an earlier attempt's checkpoint of an epoch that was not committed puts it as his own first.
/// **Durability** is that of the event log.
#[async_trait]
pub trait CheckpointStore: Send + Sync {
    /// Takes the flow over: returns a new attempt, greater than every one before. The first is 1.
    async fn claim(&self, flow: &FlowId) -> Result<Attempt>;

    /// Stores the checkpoint of `epoch`, in place of what an earlier attempt put there.
    async fn put(&self, flow: &FlowId, attempt: Attempt, epoch: Epoch, checkpoint: Bytes) -> Result<()>;

    /// The checkpoint of `epoch`, exactly as it was put, or `None`.
    /// [`Corrupt`](crate::ErrorKind::Corrupt) when its checksum doesn't fit.
    async fn get(&self, flow: &FlowId, epoch: Epoch) -> Result<Option<Bytes>>;

    /// The epochs that have a checkpoint, in order.
    async fn epochs(&self, flow: &FlowId) -> Result<Vec<Epoch>>;

    /// Removes the checkpoints before `keep_from`.
    async fn prune(&self, flow: &FlowId, attempt: Attempt, keep_from: Epoch) -> Result<()>;

    /// Removes the checkpoints after `epoch`, from the newest on: where it ends early, those that are left are the earlier ones.
    async fn forget_after(&self, flow: &FlowId, attempt: Attempt, epoch: Epoch) -> Result<()>;

    /// Removes all checkpoints of a flow; its attempt number stays, so that a zombie is still fenced.
    async fn forget(&self, flow: &FlowId) -> Result<()>;

    /// The flows that have checkpoints, by name.
    async fn flows(&self) -> Result<Vec<FlowId>>;
}
