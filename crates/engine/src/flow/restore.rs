//! How a flow gets its state back: from the newest restore point, a [round](super::rounds) of checkpoints and those after it, that can be read.
//!
//! Where the checkpoint of the committed epoch, or one that it builds upon, is damaged, the flow goes on from an older one, if it can do the
//! epochs since then [again](super::repetition); else it stops, and names the command that rebuilds the table.

use millstream_core::{Epoch, Error, ErrorKind, Result};
use tokio_util::sync::CancellationToken;

use super::checkpoint::{Altered, Checkpoint};
use super::compatibility::{Fit, fit, told};
use super::emission::Emitted;
use super::repetition::{Repeating, Repetition};
use super::runner::FlowRunner;
use super::versions::drawn_between;
use super::watermark::WatermarkTracker;
use crate::source::SourceState;

/// What trying a restore point came to.
enum Tried {
    /// The state is back; the source goes on here, from the restore point that begins with this checkpoint.
    Restored(SourceState, Epoch),
    /// The checkpoint of this epoch can't be used.
    Damaged(Epoch, Error),
    /// Asked to stop meanwhile.
    Stopped,
}

/// Where a restored flow goes on.
pub(super) struct Restored {
    /// The source's state.
    pub(super) source: SourceState,
    /// The first checkpoint that it came from.
    pub(super) base: Epoch,
    /// Whether these go up to the committed epoch, so that further ones can build upon them.
    pub(super) is_unbroken: bool,
}

impl FlowRunner {
    /// Puts back the state of `committed`, or the newest before it that there is of those in `prepared`. `None`: asked to stop.
    pub(super) async fn restore(&mut self, committed: Epoch, prepared: &[Epoch], shutdown: &CancellationToken) -> Result<Option<Restored>> {
        let mut at = committed;
        let mut damage: Option<Error> = None;
        let Some(present) = self.patiently(shutdown, || self.spec.source.beginning()).await? else { return Ok(None) };
        loop {
            match self.try_restore(at, &present, shutdown).await? {
                Tried::Stopped => return Ok(None),
                Tried::Restored(source, base) => {
                    let is_unbroken = damage.is_none();
                    if let Some(damage) = damage {
                        self.fell_back(at, committed, &damage);
                    }
                    return Ok(self.go_on_repeating(shutdown).await?.map(|()| Restored { source, base, is_unbroken }));
                }
                Tried::Damaged(epoch, why) => {
                    tracing::warn!(flow = %self.spec.id, %epoch, %why, "a checkpoint can't be used");
                    let why = damage.unwrap_or(why);
                    let Some(older) = prepared.iter().rev().find(|e| **e < epoch) else { return Err(self.rebuild(committed, why, None)) };
                    if let Some(obstacle) = &self.spec.obstacle {
                        return Err(self.rebuild(committed, why, Some((*older, obstacle))));
                    }
                    at = *older;
                    damage = Some(why);
                    // Versions that were seen were drawn, whatever becomes of their epoch.
                    let bound = self.processor.version_bound();
                    self.processor = (self.spec.fresh)()?;
                    self.processor.raise_version_bound(bound);
                }
            }
        }
    }

    /// The error of a flow that can't get its state back.
    fn rebuild(&self, committed: Epoch, why: Error, obstacle: Option<(Epoch, &String)>) -> Error {
        let table = &self.spec.table;
        let older = match obstacle {
            Some((older, obstacle)) => format!("it can't go on from epoch {older}, because {obstacle}"),
            None => "there is no older one that can be used".to_owned(),
        };
        Error::corrupt(format!(
            "flow {}: table {table} holds epoch {committed}, whose state can't be read, and {older}: run `millstream reset {table}` to rebuild the table",
            self.spec.id
        ))
        .caused_by(why)
    }

    /// Notes that the flow goes on from `at`, and does the epochs up to `committed` again.
    fn fell_back(&mut self, at: Epoch, committed: Epoch, damage: &Error) {
        tracing::warn!(
            flow = %self.spec.id, from = %at, %committed, why = %damage,
            "the state of the committed epoch can't be read: the flow goes on from an older checkpoint and does the epochs since then again"
        );
        metrics::counter!("millstream_flow_checkpoint_fallbacks_total", "flow" => self.spec.id.as_str().to_owned()).increment(1);
        self.monitor.fell_back(at);
        self.repeat(at, committed);
    }

    /// From now on, the epochs after `after` up to `up_to` are done again.
    pub(super) fn repeat(&mut self, after: Epoch, up_to: Epoch) {
        let closed = self.processor.watermark().and_then(WatermarkTracker::current);
        // A repetition that was under way when the restored checkpoint was written began earlier.
        let before = self.carried.repetition;
        let repetition = match before {
            Some(before) => Repetition { up_to, ..before },
            None => Repetition { after, up_to, closed },
        };
        self.carried.repetition = Some(repetition);
        let lost = drawn_between(after, up_to, self.versions_most);
        let drawn = self.ports.clock.now().0.max(self.processor.version_bound().0);
        self.processor.raise_version_bound(millstream_core::Version(drawn.saturating_add(lost)));
    }

    /// Decides lateness as it was decided, where the flow does epochs again. `None`: asked to stop.
    pub(super) async fn go_on_repeating(&mut self, shutdown: &CancellationToken) -> Result<Option<()>> {
        let Some(repetition) = self.carried.repetition else { return Ok(Some(())) };
        let Some(dead) = self.patiently(shutdown, || self.ports.system.dead_letters()).await? else { return Ok(None) };
        let Some(late) = self.patiently(shutdown, || self.ports.system.late_rows()).await? else { return Ok(None) };
        let repeating = Repeating::new(repetition, &self.spec.id, &dead, &late);
        self.processor.decide_lateness(repeating.lateness());
        self.monitor.set_repeats(true);
        self.repeating = Some(repeating);
        Ok(Some(()))
    }

    /// Tries to put back the state of `epoch`, of sources whose partitions begin where they do in `present`.
    async fn try_restore(&mut self, epoch: Epoch, present: &SourceState, shutdown: &CancellationToken) -> Result<Tried> {
        let last = match self.checkpoint(epoch, shutdown).await? {
            Some(Ok(checkpoint)) => checkpoint,
            Some(Err(why)) => return Ok(Tried::Damaged(epoch, why)),
            None => return Ok(Tried::Stopped),
        };
        let altered = self.fits(epoch, &last)?;
        let base = last.header.base;
        if base > epoch {
            return Ok(Tried::Damaged(epoch, Error::corrupt(format!("it says that it builds upon epoch {base}"))));
        }
        let Emitted { sides, .. } = last.header.emitted.clone().unwrap_or_default();
        let windows = match last.header.emitted.as_ref().map(Emitted::windows).transpose() {
            Ok(windows) => windows.unwrap_or_default(),
            Err(why) => return Ok(Tried::Damaged(epoch, why.context(format!("flow {}: checkpoint of epoch {epoch}", self.spec.id)))),
        };
        self.processor.raise_version_bound(last.header.version_bound);
        self.carried.altered = altered.or_else(|| last.header.altered.clone());
        self.carried.reports = last.header.reports.clone();
        self.carried.data = last.header.data.clone();
        self.carried.repetition = last.header.repetition;
        if last.header.watermark.is_some() {
            *self.processor.watermark_mut() = last.header.watermark.clone();
        }
        let source = self.with_added_partitions(&last.header.source, present)?;
        if !self.processor.state().is_kept() {
            return Ok(Tried::Restored(source, base));
        }
        for earlier in (base.0..epoch.0).map(Epoch) {
            match self.checkpoint(earlier, shutdown).await? {
                Some(Ok(checkpoint)) => self.restore_state(checkpoint, &source)?,
                Some(Err(why)) => return Ok(Tried::Damaged(earlier, why)),
                None => return Ok(Tried::Stopped),
            }
            let Some(()) = self.give_memory_back(shutdown).await? else { return Ok(Tried::Stopped) };
        }
        let (reach, repetition) = (last.header.reach, last.header.repetition);
        if let Some(reach) = reach {
            self.processor.state_mut().set_reach(reach);
        }
        self.restore_state(last, &source)?;
        // While epochs are done again, no window closes.
        let closed = repetition.map_or_else(|| self.processor.watermark().and_then(WatermarkTracker::current), |r| r.closed);
        self.processor.state_mut().drop_passed(closed, sides, windows)?;
        Ok(Tried::Restored(source, base))
    }

    /// Refuses the checkpoint of another query. Says since when rows are written by the flow's own, where it took over from an earlier one here.
    fn fits(&self, epoch: Epoch, checkpoint: &Checkpoint) -> Result<Option<Altered>> {
        let (id, table) = (&self.spec.id, &self.spec.table);
        let refused = |how: &str| {
            Error::invalid(format!(
                "flow {id}: its query has changed since its checkpoint of epoch {epoch}{how}: run `millstream reset {table}` to rebuild the table, or put the query back"
            ))
        };
        match fit(&checkpoint.header, &self.spec.flow, self.spec.is_cache) {
            Fit::Same => Ok(None),
            Fit::Another(changes) => Err(refused(&format!(": {}", told(&changes)))),
            Fit::Unknown => Err(refused(", which an earlier program wrote")),
            Fit::BehindState(changes) => {
                tracing::warn!(
                    flow = %id, %epoch, changes = %told(&changes),
                    "the query has changed in what follows the state: rows that were written stay as they are; `millstream reset {table}` writes all anew"
                );
                Ok(Some(Altered { after: epoch, source: checkpoint.header.source.clone() }))
            }
        }
    }

    /// The checkpoint of `epoch`, or why it can't be used. `None`: asked to stop.
    pub(super) async fn checkpoint(&self, epoch: Epoch, shutdown: &CancellationToken) -> Result<Option<Result<Checkpoint>>> {
        let none = || Error::corrupt(format!("flow {}: there is no checkpoint of epoch {epoch}", self.spec.id));
        Ok(self.prepared(epoch, shutdown).await?.map(|read| read.and_then(|checkpoint| checkpoint.ok_or_else(none))))
    }

    /// The checkpoint of `epoch`, if there is one, or why it can't be used. `None`: asked to stop.
    pub(super) async fn prepared(&self, epoch: Epoch, shutdown: &CancellationToken) -> Result<Option<Result<Option<Checkpoint>>>> {
        let id = &self.spec.id;
        let got = self.patiently(shutdown, || async {
            match self.ports.checkpoints.get(id, epoch).await {
                Err(error) if error.kind() == ErrorKind::Corrupt => Ok(Err(error)),
                other => other.map(Ok),
            }
        });
        let Some(got) = got.await? else { return Ok(None) };
        let read = got.and_then(|bytes| {
            let decoded = bytes.map(|bytes| Checkpoint::decode(&bytes)).transpose();
            decoded.map_err(|e| e.context(format!("flow {id}: checkpoint of epoch {epoch}")))
        });
        match read {
            Err(error) if error.kind() != ErrorKind::Corrupt => Err(error),
            read => Ok(Some(read)),
        }
    }

    /// Puts back what `checkpoint` has of the state, with the numbers that partitions have at `source`.
    fn restore_state(&mut self, checkpoint: Checkpoint, source: &SourceState) -> Result<()> {
        let Checkpoint { header, mut state, .. } = checkpoint;
        if state.is_empty() {
            return Ok(());
        }
        if header.source.starts != source.starts {
            self.processor.state().renumber(&mut state, |partition| header.source.number_in(source, partition))?;
        }
        let restored = self.processor.state_mut().restore(state);
        restored.map_err(|e| e.context(format!("flow {}: run `millstream reset {}` to rebuild the table", self.spec.id, self.spec.table)))
    }
}
