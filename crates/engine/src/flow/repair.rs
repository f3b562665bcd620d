//! Repair of closed windows: aggregated anew from the log, with rows that had come too late.

use std::collections::{BTreeSet, HashSet};

use millstream_core::ports::{LateRow, Quarantined};
use millstream_core::{Error, Result, RowPosition, Timestamp};
use tokio_util::sync::CancellationToken;

use super::monitor::EpochSummary;
use super::process::Lateness;
use super::runner::{FlowCommand, FlowRunner, Progress, Write};
use crate::source::{ChunkLimit, SourcePosition};

impl FlowRunner {
    /// Does what is asked, and answers. An error is the asker's; the flow goes on.
    pub(super) async fn obey(&mut self, command: FlowCommand, progress: &mut Progress, shutdown: &CancellationToken) {
        let FlowCommand::Repair { rows, reply } = command;
        let done = self.repair(rows, progress, shutdown).await;
        if reply.send(done).is_err() {
            tracing::warn!(flow = %self.spec.id, "nobody waits for the repair's answer any more");
        }
    }

    /// Writes the windows of `late` anew, with these rows in them, as an epoch of its own. Returns how many rows were written.
    async fn repair(&mut self, late: Vec<LateRow>, progress: &mut Progress, shutdown: &CancellationToken) -> Result<usize> {
        let id = self.spec.id.clone();
        let replayed: HashSet<RowPosition> = late.iter().map(|l| l.position).collect();
        let stopped = || Error::unavailable(format!("flow {id} was stopped before the windows were written"));
        let stored = self.patiently(shutdown, || self.ports.system.late_rows()).await?.ok_or_else(stopped)?;
        let still_late = stored.iter().filter(|l| l.flow == id && !replayed.contains(&l.position)).map(|l| l.position).collect();
        let ends: BTreeSet<_> = late.iter().map(|l| l.window_end).collect();

        let mut processor = (self.spec.fresh)()?;
        processor.decide_lateness(Lateness::Exactly(still_late));
        for join in processor.joins() {
            join.refresh(&self.ports.references, &self.session).await?;
        }
        let mut reader = self.spec.source.reader()?;
        let mut state = self.patiently(shutdown, || self.spec.source.beginning()).await?.ok_or_else(stopped)?;
        if state.partitions.iter().any(|p| matches!(p.position, SourcePosition::Offset(o) if o > 0)) {
            return Err(Error::out_of_range(format!(
                "flow {id}: the topic no longer holds all events of these windows, so they can't be aggregated anew"
            )));
        }
        let limit = ChunkLimit {
            rows_max: self.settings.epoch_rows_max,
            bytes_max: self.settings.epoch_bytes_max,
            mark_max: progress.source.mark(),
        };
        loop {
            let chunk = reader.chunk(&state, limit).await?;
            if chunk.is_empty() {
                break;
            }
            tokio::task::block_in_place(|| processor.process(&chunk, Timestamp(0)))?;
            state = chunk.end;
        }
        let results = processor.results(|end| ends.contains(&end))?;
        let rows = results.num_rows();
        let changes = self.processor.as_updates(results, self.ports.clock.now())?;
        let delta = self.processor.aggregator().map(|a| arrow::array::RecordBatch::new_empty(a.state_schema().clone()));
        let summary = EpochSummary {
            rows_out: rows as u64,
            watermark: self.processor.watermark().and_then(|w| w.current()),
            ..EpochSummary::default()
        };
        let write = Write { end: progress.source.clone(), delta, aside: Quarantined::default(), changes, summary };
        if !self.commit(progress, write, shutdown).await? {
            return Err(stopped());
        }
        let released = Quarantined { dead_letters: Vec::new(), late_rows: late };
        self.patiently(shutdown, || self.ports.system.release(&released)).await?.ok_or_else(stopped)?;
        Ok(rows)
    }
}
