//! The commit of an epoch, which goes on beside the work on the next one.
//!
//! What an epoch writes is complete before its commit [begins](FlowRunner::begin_commit): its rows and its checkpoint are values of their own, which what
//! is processed meanwhile doesn't change. So while the checkpoint is encoded and stored and the sink writes, the flow processes the next chunk, if enough
//! of one [waits](overlaps). Commits themselves follow one another: the next one begins when the one before it is [settled](FlowRunner::settle), so that at
//! any time at most one epoch is prepared and not committed, as [recovery](super::recovery) expects.

use std::sync::Arc;

use bytes::Bytes;
use millstream_core::ports::{CheckpointStore, Clock, EpochSink, EpochWrite, Quarantined, SystemStore};
use millstream_core::{Attempt, ChangeBatch, Epoch, Error, FlowId, Offset, Result};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::calls::Calls;
use super::checkpoint::{Checkpoint, Header, MadeOf};
use super::fault::{self, Place};
use super::monitor::{EpochSummary, FlowMonitor, Part};
use super::redo::Redo;
use super::rounds::Rounds;
use super::runner::{FlowPorts, FlowRunner, FlowSpec, Progress, Write};
use crate::compute;
use crate::source::{SourcePosition, SourceState};

/// Whether to process the chunk behind one of `records` while that is committed, when `lag` records wait behind it. Where fewer wait, the next chunk is taken
/// when the commit is done: it has more in it then, and what comes meanwhile doesn't have to wait for two commits.
pub(super) fn overlaps(records: usize, lag: u64) -> bool {
    lag > 0 && lag >= records as u64
}

/// Where a flow stands once an epoch is committed.
#[derive(Clone)]
pub(super) struct Standing {
    pub(super) epoch: Epoch,
    pub(super) source: SourceState,
    /// How far its state is in the checkpoints of this attempt, and of those that it goes on from.
    pub(super) rounds: Rounds,
}

/// A commit under way.
pub(super) struct Committing {
    /// One, which ends with whether the epoch was committed: `false`, asked to stop before that. It ends with its owner.
    task: JoinSet<Result<bool>>,
    /// Where the flow stands if it fails.
    before: Standing,
    /// The epoch whose checkpoint the new one builds upon.
    base: Epoch,
}

/// An epoch, ready to be written.
struct Prepared {
    attempt: Attempt,
    epoch: Epoch,
    checkpoint: Checkpoint,
    aside: Quarantined,
    changes: ChangeBatch,
    summary: EpochSummary,
}

/// What writes the epochs of a flow. It knows nothing of its state.
pub(super) struct Committer {
    flow: FlowId,
    table: String,
    sink: Arc<dyn EpochSink>,
    checkpoints: Arc<dyn CheckpointStore>,
    system: Arc<dyn SystemStore>,
    clock: Arc<dyn Clock>,
    calls: Calls,
    monitor: Arc<FlowMonitor>,
    faults: Option<String>,
}

impl Committer {
    pub(super) fn new(spec: &FlowSpec, ports: &FlowPorts, monitor: &Arc<FlowMonitor>, faults: Option<&str>) -> Arc<Self> {
        let who = format!("flow {}, at a commit", spec.id);
        Arc::new(Self {
            flow: spec.id.clone(),
            table: spec.table.clone(),
            sink: spec.sink.clone(),
            checkpoints: ports.checkpoints.clone(),
            system: ports.system.clone(),
            clock: ports.clock.clone(),
            calls: Calls::new(Part::Commits, who, ports.clock.clone(), monitor.clone()),
            monitor: monitor.clone(),
            faults: faults.map(str::to_owned),
        })
    }

    /// Puts aside, prepares and commits. `false`: asked to stop before it was committed.
    async fn commit(self: Arc<Self>, prepared: Prepared, shutdown: CancellationToken) -> Result<bool> {
        let Prepared { attempt, epoch, checkpoint, aside, changes, summary } = prepared;
        let (calls, faults) = (&self.calls, self.faults.as_deref());
        let source = checkpoint.header.source.clone();
        let bytes: Bytes = compute::on(checkpoint.rows_bytes(), || checkpoint.encode())?;
        drop(checkpoint);
        if !aside.is_empty() {
            let Some(()) = calls.patiently(&shutdown, || self.system.quarantine(aside.clone())).await? else { return Ok(false) };
        }
        fault::reach(faults, Place::Quarantined, &self.flow, epoch);

        let put = || self.checkpoints.put(&self.flow, attempt, epoch, bytes.clone());
        let Some(()) = calls.patiently(&shutdown, put).await? else { return Ok(false) };
        fault::reach(faults, Place::Prepared, &self.flow, epoch);

        let rows = EpochWrite { flow: self.flow.clone(), attempt, epoch, table: self.table.clone(), changes: vec![changes] };
        let Some(_) = calls.patiently(&shutdown, || self.sink.commit(rows.clone())).await? else { return Ok(false) };
        fault::reach(faults, Place::Committed, &self.flow, epoch);

        self.monitor.committed(epoch, &source, &summary, self.clock.now());
        // What else there is to count, the status says.
        metrics::counter!("millstream_flow_epochs_total", "flow" => self.flow.as_str().to_owned()).increment(1);
        Ok(true)
    }
}

impl FlowRunner {
    /// Begins to commit `write` as the next epoch, when the commit before it is done. `false`: asked to stop before that was.
    pub(super) async fn begin_commit(&mut self, progress: &mut Progress, write: Write, shutdown: &CancellationToken) -> Result<bool> {
        if !self.settle(progress).await? {
            return Ok(false);
        }
        if self.processor.draws_versions() {
            let Some(()) = self.remember_versions(write.changes.len(), shutdown).await? else { return Ok(false) };
        }
        let (attempt, epoch) = (progress.attempt, progress.standing.epoch.next());
        let (checkpoint, rounds) = self.prepare(&progress.standing, &write)?;
        let base = checkpoint.header.base;
        let Write { end, aside, changes, summary, .. } = write;
        let prepared = Prepared { attempt, epoch, checkpoint, aside, changes, summary };
        let mut task = JoinSet::new();
        task.spawn(self.committer.clone().commit(prepared, shutdown.clone()));
        let before = std::mem::replace(&mut progress.standing, Standing { epoch, source: end, rounds });
        progress.committing = Some(Committing { task, before, base });
        Ok(true)
    }

    /// Waits until the commit under way is done, if one is. `false`: it was asked to stop before that. Where it was not committed, the flow stands where it
    /// stood.
    pub(super) async fn settle(&mut self, progress: &mut Progress) -> Result<bool> {
        let Some(Committing { task, before, base }) = progress.committing.take() else { return Ok(true) };
        match self.ended(task).await {
            Ok(true) => {}
            other => {
                progress.standing = before;
                return other;
            }
        }
        self.reached = Some((progress.attempt, progress.standing.epoch));
        progress.points.add(base);
        self.prune(progress).await?;
        self.acknowledge(progress).await;
        Ok(true)
    }

    /// What a commit came to. A sink may be away for long: meanwhile the flow gives memory back when other flows need that.
    async fn ended(&mut self, task: JoinSet<Result<bool>>) -> Result<bool> {
        let mut ended = std::pin::pin!(ended(task));
        loop {
            tokio::select! {
                outcome = &mut ended => return outcome,
                () = self.spec.memory.pressed() => {}
            }
            if !self.try_to_give_memory_back() {
                return ended.await;
            }
        }
    }

    /// The checkpoint of the state after `write`, the epoch behind `before`, and how far the state is in the checkpoints then.
    fn prepare(&self, before: &Standing, write: &Write) -> Result<(Checkpoint, Rounds)> {
        self.check_bounds()?;
        let state = self.processor.state();
        let (base, rows, rounds) = self.stored_state(&before.rounds, before.epoch.next(), write)?;
        let redo = if write.changes.is_empty() { Redo::Nothing } else { self.spec.redo };
        let made_of = MadeOf { source: before.source.clone(), records: write.summary.rows_in, changes: write.changes.len() as u64 };
        let header = Header {
            signature: Some(self.spec.flow.signature.clone()),
            fingerprint: None,
            source: write.end.clone(),
            watermark: self.processor.watermark().cloned(),
            version_bound: self.processor.version_bound(),
            reach: state.reach(),
            base,
            altered: self.carried.altered.clone(),
            reports: self.carried.reports.clone(),
            data: self.carried.data.clone(),
            repetition: self.carried.repetition,
            made_of: (redo == Redo::Records).then_some(made_of),
            emitted: state.emitted()?,
        };
        let redo = (redo == Redo::Changes).then(|| write.changes.clone());
        Ok((Checkpoint { header, state: rows, redo }, rounds))
    }

    /// Removes the checkpoints that recovery can't need any more.
    async fn prune(&self, progress: &Progress) -> Result<()> {
        // While epochs are done again, what they begin from stays.
        let due = progress.standing.epoch.0.is_multiple_of(16) && self.repeating.is_none();
        if let Some(keep_from) = progress.points.keep_from().filter(|_| due) {
            match self.ports.checkpoints.prune(&self.spec.id, progress.attempt, keep_from).await {
                // They are removed another time.
                Err(error) if error.kind().is_transient() => tracing::debug!(flow = %self.spec.id, %error, "old checkpoints stay"),
                pruned => return pruned,
            }
        }
        Ok(())
    }

    /// Tells the log how far the flow has come, now and then. It is for the log's own tools: an error is none of the flow's.
    pub(super) async fn acknowledge(&self, progress: &mut Progress) {
        let now = self.ports.clock.now();
        if self.spec.topics().next().is_none() || progress.acknowledge_at().is_none_or(|due| due > now) {
            return;
        }
        for (number, topic) in self.spec.topics() {
            let state = progress.standing.source.of_source(number);
            let next = state.partitions.iter().map(|p| match p.position {
                SourcePosition::Offset(offset) => Offset(offset),
                SourcePosition::Feed(_) => Offset(0),
            });
            if let Err(error) = self.ports.log.acknowledge(&self.spec.id, topic, &next.collect::<Vec<_>>()).await {
                tracing::debug!(flow = %self.spec.id, %error, "the log was not told how far the flow has come");
            }
        }
        progress.acknowledged = Some((progress.standing.epoch, now));
    }
}

/// What a commit came to; a panic of it goes on here.
async fn ended(mut task: JoinSet<Result<bool>>) -> Result<bool> {
    match task.join_next().await {
        Some(Ok(outcome)) => outcome,
        Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        _ => Err(Error::internal("a commit ended early")),
    }
}

#[cfg(test)]
mod tests;
