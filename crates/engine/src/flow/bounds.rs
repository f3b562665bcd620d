//! A flow's state between epochs: what of it the next checkpoint has, whether it is within its bounds, and how it gives memory back.

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use millstream_core::{Epoch, Error, Result, Size};
use tokio_util::sync::CancellationToken;

use super::rounds::{Content, Rounds, part_bytes};
use super::runner::{FlowRunner, Write};
use crate::spill::memory::Held;

impl FlowRunner {
    /// What the checkpoint of `epoch` has of the state after `write`, after `rounds`: the epoch that it builds upon, the rows, and how far the state is in the
    /// checkpoints then.
    pub(super) fn stored_state(&self, rounds: &Rounds, epoch: Epoch, write: &Write) -> Result<(Epoch, Vec<RecordBatch>, Rounds)> {
        let state = self.processor.state();
        if !state.is_kept() {
            return Ok((epoch, Vec::new(), rounds.after_part(epoch, None)));
        }
        let (first, mark, built_upon) = match rounds.content(epoch) {
            Content::Delta { base } => return Ok((base, write.delta.clone(), rounds.clone())),
            Content::Part { first, mark, base } => (first, mark, base),
        };
        let bytes_max = built_upon.map_or(usize::MAX, |_| part_bytes(state.size().total(), self.settings.state_memory_bytes_max));
        let (part, next) = state.part(&mark, bytes_max)?;
        // A round of one epoch is of all state as it is after that epoch.
        let rows = if first == epoch && next.is_none() {
            part
        } else {
            let both = write.delta.iter().zip(&part);
            both.map(|(changed, others)| Ok(concat_batches(&others.schema(), [changed, others])?)).collect::<Result<_>>()?
        };
        let rounds = rounds.after_part(first, next.clone());
        let base = built_upon.filter(|_| next.is_some()).unwrap_or(first);
        Ok((base, rows, rounds))
    }

    /// Refuses more state than there may be, with what can be done.
    pub(super) fn check_bounds(&self) -> Result<()> {
        let (state, settings) = (self.processor.state(), &self.settings);
        let held = self.held();
        let remedy = if self.processor.joins_streams() { "bring the bounds of the join nearer together" } else { "group by fewer values" };
        let (id, what, total) = (&self.spec.id, state.what(), state.size().total());
        if total > settings.state_bytes_max {
            return Err(Error::invalid(format!(
                "flow {id}: {what} take {}, over the budget of {}: raise engine.state_bytes_max, shorten the watermark's delay, or {remedy}",
                Size(total),
                Size(settings.state_bytes_max)
            )));
        }
        match self.spec.memory.pinned_over(held.pinned).filter(|_| held.pinned > 0) {
            None => Ok(()),
            Some(all) => Err(Error::invalid(format!(
                "flow {id}: {what} take {} that have to stay in memory, those of all flows {}, over the budget of {}: raise \
                 engine.state_memory_bytes_max, shorten the watermark's delay, or {remedy}",
                Size::of(held.pinned),
                Size::of(all),
                Size::of(settings.state_memory_bytes_max)
            ))),
        }
    }

    /// What the flow holds in memory.
    fn held(&self) -> Held {
        let size = self.processor.state().size();
        Held { memory: size.memory, pinned: if self.spec.spill.is_some() { size.pinned } else { size.memory } }
    }

    /// Says what the flow holds, and puts state into files if it has to give memory back. A full disk is waited for: nothing is lost meanwhile, and nothing
    /// grows. `None`: asked to stop.
    pub(super) async fn give_memory_back(&mut self, shutdown: &CancellationToken) -> Result<Option<()>> {
        let Some(bytes_max) = self.spec.memory.hold(self.held()) else { return Ok(Some(())) };
        let Some(area) = self.spec.spill.clone() else { return Ok(Some(())) };
        let mut is_full = false;
        while let Err(error) = tokio::task::block_in_place(|| self.processor.state_mut().spill(&area, bytes_max)) {
            is_full = true;
            let error = error.context(format!("flow {}: putting state on disk", self.spec.id));
            if !self.wait_out(error, shutdown).await? {
                return Ok(None);
            }
        }
        // Another system that doesn't answer meanwhile has not answered by that.
        if is_full {
            self.answered();
        }
        // It holds less now; what it should come down to is what it came down to, as far as that can be.
        let _ = self.spec.memory.hold(self.held());
        Ok(Some(()))
    }

    /// The same for a flow that waits for a commit. `false`: it can't now. A full disk is not waited for beside the commit; it is asked again after its next
    /// epoch.
    pub(super) fn try_to_give_memory_back(&mut self) -> bool {
        let Some(bytes_max) = self.spec.memory.hold(self.held()) else { return true };
        let Some(area) = self.spec.spill.clone() else { return false };
        if let Err(error) = tokio::task::block_in_place(|| self.processor.state_mut().spill(&area, bytes_max)) {
            tracing::warn!(flow = %self.spec.id, %error, "state could not be put on disk while a commit is waited for");
            return false;
        }
        // What is over still, others are told of.
        self.spec.memory.hold(self.held()).is_none()
    }

    /// Removes what an earlier process put on disk. `None`: asked to stop.
    pub(super) async fn clear_spilled(&self, shutdown: &CancellationToken) -> Result<Option<()>> {
        let Some(area) = &self.spec.spill else { return Ok(Some(())) };
        self.patiently(shutdown, || async { tokio::task::block_in_place(|| area.clear()) }).await
    }
}
