//! What the watermark has passed comes out in parts, each an epoch of its own, where it is too much for one.
//!
//! One step of the watermark may pass any number of rows: when a source comes back, or a flow catches up. Of these, an epoch lets out about so many
//! bytes as [`bytes_max`] says, in one order; what is behind them stays in the state, in memory or on disk, and comes out in the epochs that follow, before the flow
//! takes more of its source. Nothing that comes can match it or belong to it any more: what is late, the watermark alone decides, so that what comes out, and in which order, is the same
//! as at once. The checkpoint of each such epoch says [how far](Emitted) rows have come out: a flow that dies in between goes on there.

use millstream_core::{Result, Timestamp};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::monitor::EpochSummary;
use super::process::{Lateness, Processed, Processor};
use super::runner::{FlowRunner, Progress, Write};
use super::watermark::WatermarkTracker;
use crate::compute;
use crate::join::Leaving;
use crate::source::Chunk;

/// A part has so many bytes, or this part of the memory that all state may take, but no fewer than that.
const BYTES_MAX: usize = 32 << 20;
const PARTS_IN_MEMORY: usize = 16;
const BYTES_MIN: usize = 4 << 10;

/// How far what the watermark has passed has come out, where not all has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Emitted {
    /// Of each side of a join the time and the number of the first row that is still to come out; null where none is.
    #[serde(default)]
    pub sides: [Option<Leaving>; 2],
}

/// About how many bytes come out of an epoch, where all state may take `memory` bytes in memory.
fn bytes_max(memory: usize) -> usize {
    (memory / PARTS_IN_MEMORY).clamp(BYTES_MIN, BYTES_MAX)
}

impl Processor {
    /// Whether there is more to come out that the watermark has passed.
    #[must_use]
    pub fn has_more(&self) -> bool {
        matches!(self.lateness, Lateness::ByWatermark) && self.state.emitted().is_some()
    }

    /// The next part of that.
    pub fn go_on(&mut self, now: Timestamp) -> Result<Processed> {
        self.go_on_joined(now)
    }
}

impl FlowRunner {
    /// From now on, no more comes out of an epoch than there is memory for.
    pub(super) fn bound_emission(&mut self) {
        let bytes_max = bytes_max(self.settings.state_memory_bytes_max);
        self.processor.state_mut().bound_emission(bytes_max);
    }

    /// Lets out what the watermark has passed, until all of it has come out. `false`: asked to stop before that.
    pub(super) async fn emit_rest(&mut self, progress: &mut Progress, shutdown: &CancellationToken) -> Result<bool> {
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
            let summary = EpochSummary {
                rows_out: processed.changes.len() as u64,
                dead_letters: aside.dead_letters.len() as u64,
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
