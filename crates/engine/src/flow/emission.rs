//! What the watermark has passed comes out in parts, each an epoch of its own, where it is too much for one.
//!
//! One step of the watermark may pass any number of rows: when a source comes back, or a flow catches up. Of these, an epoch lets out about so many
//! bytes as [`bytes_max`] says, in one order; what is behind them stays in the state, in memory or on disk, and comes out in the epochs that follow, before the flow
//! takes more of its source. Nothing that comes can match it or belong to it any more: what is late, the watermark alone decides, so that what comes out, and in which order, is the same
//! as at once. The checkpoint of each such epoch says [how far](Emitted) rows have come out: a flow that dies in between goes on there.

use arrow::array::RecordBatch;
use millstream_core::batches::{from_ipc, to_ipc};
use millstream_core::{Error, Result, Timestamp};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::monitor::EpochSummary;
use super::process::{Lateness, Processed, Processor};
use super::runner::{FlowRunner, Progress, Write};
use super::watermark::WatermarkTracker;
use crate::compile::Rejects;
use crate::compute;
use crate::join::Leaving;
use crate::source::Chunk;

/// A part has at most so many bytes, or this part of the memory that all state may take.
const BYTES_MAX: usize = 32 << 20;
const PARTS_IN_MEMORY: usize = 16;

/// How far what the watermark has passed has come out, where not all has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Emitted {
    /// Of each side of a join the time and the number of the first row that is still to come out; null where none is.
    pub sides: [Option<Leaving>; 2],
    /// Of each aggregation the last group that has come out of closed windows, as a row in the Arrow IPC stream format, in hexadecimal digits; null where all
    /// have. The row says which group it is, whatever a later program makes keys of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    windows: Vec<Option<String>>,
}

impl Emitted {
    /// Of the sides of a join, and of aggregations.
    pub(super) fn of(sides: [Option<Leaving>; 2], windows: &[Option<RecordBatch>]) -> Result<Self> {
        let hex = |bytes: Vec<u8>| bytes.into_iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let row = |row: &RecordBatch| to_ipc(&row.schema(), std::slice::from_ref(row)).map(hex);
        Ok(Self { sides, windows: windows.iter().map(|last| last.as_ref().map(row).transpose()).collect::<Result<_>>()? })
    }

    /// The groups of aggregations. Its only error is [`Corrupt`](millstream_core::ErrorKind::Corrupt).
    pub(super) fn windows(&self) -> Result<Vec<Option<RecordBatch>>> {
        let unknown = || Error::corrupt("it does not say which window came out last");
        let row = |hex: &String| {
            let digits = |at: usize| hex.get(at..at + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
            let bytes = (0..hex.len()).step_by(2).map(digits).collect::<Option<Vec<u8>>>();
            let (_, rows) = from_ipc(&bytes.ok_or_else(unknown)?).map_err(|error| unknown().caused_by(error))?;
            rows.into_iter().next().filter(|rows| rows.num_rows() == 1).ok_or_else(unknown)
        };
        self.windows.iter().map(|last| last.as_ref().map(row).transpose()).collect()
    }
}

/// About how many bytes come out of an epoch, where all state may take `memory` bytes in memory.
fn bytes_max(memory: usize) -> usize {
    (memory / PARTS_IN_MEMORY).clamp(1, BYTES_MAX)
}

impl Processor {
    /// Whether there is more to come out that the watermark has passed.
    #[must_use]
    pub fn has_more(&self) -> bool {
        matches!(self.lateness, Lateness::ByWatermark) && self.state.has_more()
    }

    /// The next part of that.
    pub fn go_on(&mut self, now: Timestamp) -> Result<Processed> {
        if self.joins_streams() {
            return self.go_on_joined(now);
        }
        let watermark = self.watermark.as_ref().and_then(WatermarkTracker::current);
        let Some(stages) = &mut self.state.stages else { return Err(Error::internal("a flow without state has nothing to let out")) };
        let advanced = stages.go_on(watermark).map_err(|e| e.context(format!("flow {}", self.flow)))?;
        let changes = self.changes(advanced.due, None, now, &mut Rejects::new())?;
        Ok(Processed { changes, rejected: Vec::new(), late: Vec::new(), aggregated: 0, delta: advanced.delta })
    }
}

impl FlowRunner {
    /// From now on, an epoch lets out about so much. To be said before each: a repair, or what a restore could not read, may have put other state in its place.
    pub(super) fn bound_emission(&mut self) {
        self.processor.state_mut().bound_emission(bytes_max(self.settings.state_memory_bytes_max));
    }

    /// Lets out what the watermark has passed, until all of it has come out. `false`: asked to stop before that.
    pub(super) async fn emit_rest(&mut self, progress: &mut Progress, shutdown: &CancellationToken) -> Result<bool> {
        self.bound_emission();
        // What comes meanwhile waits. A source that does not answer is asked again when the flow reads on.
        let mut answers = true;
        while self.processor.has_more() {
            if shutdown.is_cancelled() {
                return Ok(false);
            }
            self.refresh_references(progress).await?;
            let now = self.ports.clock.now();
            let processed = compute::on(usize::MAX, || self.processor.go_on(now))?;
            let nothing = Chunk::nothing(progress.standing.source.clone(), now);
            let aside = self.quarantine(&nothing, &processed, progress.standing.epoch.next(), now, shutdown).await?;
            let Some(aside) = aside else { return Ok(false) };
            let lag = if answers { self.spec.source.lag(&progress.standing.source).await.ok() } else { None };
            answers = lag.is_some();
            let summary = EpochSummary {
                rows_out: processed.changes.len() as u64,
                dead_letters: aside.dead_letters.len() as u64,
                lag,
                watermark: self.processor.watermark().and_then(WatermarkTracker::current),
                has_more: self.processor.has_more(),
                ..EpochSummary::default()
            };
            let write = Write { end: nothing.end, delta: processed.delta, aside, changes: processed.changes, summary };
            if !self.begin_commit(progress, write, shutdown).await? {
                return Ok(false);
            }
            let Some(()) = self.give_memory_back(shutdown).await? else { return Ok(false) };
        }
        Ok(true)
    }
}
