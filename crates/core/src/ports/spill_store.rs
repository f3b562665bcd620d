//! [`SpillStore`]: where the state of a running flow goes that outgrows its memory.

use bytes::Bytes;

use crate::error::Result;
use crate::ident::FlowId;

/// Files that a flow's state is put into while the flow runs. Nothing in them outlives the process: what a flow goes on from after a restart is
/// its checkpoint.
///
/// All calls block: they belong on a thread that may.
///
/// **Errors.** [`Exhausted`](crate::ErrorKind::Exhausted) when the place is full: what was written of that file is gone, and the same can be written again
/// when there is room. [`Corrupt`](crate::ErrorKind::Corrupt) when a file is shorter than what was written to it. That the bytes are those that were
/// written, whoever reads them checks.
pub trait SpillStore: Send + Sync {
    /// Removes what an earlier process left of `flow`. No file of the flow may be in use.
    fn clear(&self, flow: &FlowId) -> Result<()>;

    /// Begins a file of `flow`.
    fn create(&self, flow: &FlowId) -> Result<Box<dyn SpillWriter>>;
}

/// A file that is being written. Dropped before it is finished, it is removed.
pub trait SpillWriter: Send {
    /// Adds `bytes` at the end.
    fn append(&mut self, bytes: &[u8]) -> Result<()>;

    /// The file as it is from now on.
    fn finish(self: Box<Self>) -> Result<Box<dyn SpillFile>>;
}

/// A file that is written and does not change any more. Dropped, it is removed.
pub trait SpillFile: Send + Sync {
    /// The `length` bytes from `offset` on.
    fn read(&self, offset: u64, length: usize) -> Result<Bytes>;
}
