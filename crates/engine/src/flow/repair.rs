//! Repair of closed windows: aggregated anew from the log, with rows that had come too late.
//!
//! The log is aggregated twice side by side, without these rows and with them; what differs in closed windows is written: rows with other
//! values, rows that there are now, and deletes of rows that there are no more.

use std::collections::{BTreeMap, HashMap};

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::row::{RowConverter, Rows, SortField};
use millstream_core::ports::{LateRow, Quarantined};
use millstream_core::{Error, EventTime, Result, RowPosition, Timestamp, Version};
use tokio_util::sync::CancellationToken;

use super::monitor::EpochSummary;
use super::process::{Lateness, Processor};
use super::runner::{FlowCommand, FlowRunner, Progress, Write};
use crate::source::{ChunkLimit, SourcePosition, SourceState};
use crate::window::Stages;

impl FlowRunner {
    /// Does what is asked, and answers. An error is the asker's; the flow goes on, unless an epoch before could not be committed. `false`: asked to stop; if
    /// an epoch was not committed before, the flow's state is ahead of it, and nothing more may be done with that.
    pub(super) async fn obey(&mut self, command: FlowCommand, progress: &mut Progress, shutdown: &CancellationToken) -> Result<bool> {
        let FlowCommand::Repair { rows, reply } = command;
        if !self.settle(progress).await? {
            return Ok(false);
        }
        let done = self.repair(rows, progress, shutdown).await;
        if reply.send(done).is_err() {
            tracing::warn!(flow = %self.spec.id, "nobody waits for the repair's answer any more");
        }
        Ok(!shutdown.is_cancelled())
    }

    /// Writes the windows of `late` anew, with these rows in them, as an epoch of its own. Returns how many rows were written.
    async fn repair(&mut self, late: Vec<LateRow>, progress: &mut Progress, shutdown: &CancellationToken) -> Result<usize> {
        let id = self.spec.id.clone();
        if self.repeating.is_some() {
            return Err(Error::unavailable(format!(
                "flow {id} does epochs again whose checkpoint can't be read: replay late rows when it has caught up"
            )));
        }
        let stopped = || Error::unavailable(format!("flow {id} was stopped before the windows were written"));
        let stored = self.patiently(shutdown, || self.ports.system.late_rows()).await?.ok_or_else(stopped)?;
        let were_late: HashMap<RowPosition, EventTime> =
            stored.iter().filter(|l| l.flow == id).map(|l| (l.position, l.watermark)).collect();
        let mut stay_late = were_late.clone();
        stay_late.retain(|position, _| late.iter().all(|l| l.position != *position));

        let mut without = self.again(were_late).await?;
        let mut with = self.again(stay_late).await?;
        let beginning = self.patiently(shutdown, || self.spec.source.beginning()).await?.ok_or_else(stopped)?;
        self.aggregate_again(beginning, progress, &mut [&mut without, &mut with]).await?;
        let watermark = self.processor.watermark().and_then(|w| w.current());
        let is_closed = |end: EventTime| watermark.is_some_and(|w| end <= w);
        let (before, after) = (without.results(is_closed)?, with.results(is_closed)?);
        let differing = Difference::between(&before, &after, self.processor.key_columns())?;
        let rewritten = take_record_batch(&after, &differing.rewritten)?;
        let removed = take_record_batch(&before, &differing.removed)?;
        let rows = rewritten.num_rows() + removed.num_rows();
        let changes = self.processor.as_rewrites(rewritten, &removed, self.ports.clock.now())?;
        let delta = self.processor.stages().map(Stages::nothing).unwrap_or_default();
        let summary = EpochSummary { rows_out: rows as u64, watermark, ..EpochSummary::default() };
        let write = Write { end: progress.standing.source.clone(), delta, aside: Quarantined::default(), changes, summary };
        let open_ones_change = self.processor.stages().is_some_and(Stages::closed_windows_reach_open_ones);
        if open_ones_change {
            self.processor.exchange_windows(&mut with, watermark)?;
            progress.write_full_checkpoint();
        }
        let committed = match self.begin_commit(progress, write, shutdown).await {
            Ok(true) => self.settle(progress).await,
            other => other,
        };
        if !matches!(committed, Ok(true)) {
            if open_ones_change {
                self.processor.exchange_windows(&mut with, None)?;
            }
            committed?;
            return Err(stopped());
        }
        let released = Quarantined { dead_letters: Vec::new(), late_rows: late };
        self.patiently(shutdown, || self.ports.system.release(&released)).await?.ok_or_else(stopped)?;
        Ok(rows)
    }

    /// A processor without state, for which exactly the rows in `late` are late.
    async fn again(&self, late: HashMap<RowPosition, EventTime>) -> Result<Processor> {
        let mut processor = (self.spec.fresh)()?;
        processor.decide_lateness(Lateness::Exactly(late));
        processor.refresh(&self.ports.references, &self.session).await?;
        Ok(processor)
    }

    /// Runs `processors` over all that the flow has read so far.
    async fn aggregate_again(&self, beginning: SourceState, progress: &Progress, processors: &mut [&mut Processor]) -> Result<()> {
        if beginning.partitions.iter().any(|p| matches!(p.position, SourcePosition::Offset(o) if o > 0)) {
            return Err(Error::out_of_range(format!(
                "flow {}: the topic no longer holds all events of these windows, so they can't be aggregated anew",
                self.spec.id
            )));
        }
        let limit = ChunkLimit {
            rows_max: self.settings.epoch_rows_max,
            bytes_max: self.settings.epoch_bytes_max,
            mark_max: (Version::MAX, usize::MAX),
        };
        let read = &progress.standing.source;
        let mut reader = self.spec.source.reader_until(read)?;
        let mut state = beginning.within(read);
        loop {
            let chunk = reader.chunk(&state, limit).await?;
            if chunk.is_empty() {
                return Ok(());
            }
            tokio::task::block_in_place(|| processors.iter_mut().try_for_each(|p| p.process(&chunk, Timestamp(0)).map(drop)))?;
            state = chunk.end;
        }
    }
}

/// What differs between two contents of a table.
#[derive(Debug, PartialEq)]
struct Difference {
    /// The rows of the new one that the old one has not, or with other values.
    rewritten: UInt32Array,
    /// The rows of the old one whose key the new one has not.
    removed: UInt32Array,
}

impl Difference {
    /// Between `before` and `after`, whose columns `key` tell rows apart.
    fn between(before: &RecordBatch, after: &RecordBatch, key: &[usize]) -> Result<Self> {
        let all: Vec<usize> = (0..after.num_columns()).collect();
        let (keys_before, keys_after) = encode(before, after, key)?;
        let (rows_before, rows_after) = encode(before, after, &all)?;
        let old: BTreeMap<&[u8], usize> = keys_before.iter().enumerate().map(|(row, k)| (k.data(), row)).collect();
        let mut gone = vec![true; before.num_rows()];
        let mut rewritten = Vec::new();
        for (row, k) in keys_after.iter().enumerate() {
            let known = old.get(k.data()).copied();
            if let Some(known) = known {
                gone[known] = false;
            }
            if known.is_none_or(|known| rows_before.row(known) != rows_after.row(row)) {
                rewritten.push(row);
            }
        }
        let removed = gone.iter().enumerate().filter(|(_, gone)| **gone).map(|(row, _)| row);
        let numbers =
            |rows: &mut dyn Iterator<Item = usize>| rows.map(|row| u32::try_from(row).unwrap_or(u32::MAX)).collect::<UInt32Array>();
        Ok(Self { rewritten: numbers(&mut rewritten.into_iter()), removed: numbers(&mut removed.into_iter()) })
    }
}

/// The columns of both batches, encoded alike.
fn encode(a: &RecordBatch, b: &RecordBatch, columns: &[usize]) -> Result<(Rows, Rows)> {
    let converter = RowConverter::new(columns.iter().map(|c| SortField::new(a.column(*c).data_type().clone())).collect())?;
    let rows = |batch: &RecordBatch| {
        let columns: Vec<_> = columns.iter().map(|c| batch.column(*c).clone()).collect();
        converter.convert_columns(&columns)
    };
    Ok((rows(a)?, rows(b)?))
}

#[cfg(test)]
mod tests;
