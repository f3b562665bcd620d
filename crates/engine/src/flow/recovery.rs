//! How a flow begins: takes itself over, asks its sink what was committed, and goes on from there.
//!
//! **A torn epoch.** Of an epoch that was prepared and never committed, a sink that isolates row by row
//! ([`Isolation::Row`](millstream_core::ports::Isolation)) may hold some rows already. Reading the source again does not have to give the
//! same rows: epochs may begin and end elsewhere; what was in time may now come late, behind a partition that has more to read than it had;
//! reference data may have changed, and with it a key. A window's row, or a joined one, that stands only in the torn epoch
//! would then stay for ever, explained by nothing. So where that can be, an epoch's changes are part of its checkpoint
//! ([`Checkpoint::redo`](super::checkpoint::Checkpoint::redo)): a flow that finds such an epoch writes the same changes again under the same number, with the
//! same versions (of equal versions the later write wins), and goes on *after* it. It can't be where the sink shows whole epochs alone, nor
//! for rows whose key, values and version follow from their source record: each of these is written again in whatever epoch, equal to
//! the byte. Records appended to a topic are told apart by epoch and sequence, so there an epoch is always repeated as it was: from its changes,
//! or, where they follow from the records that it read, from these (see the module [`redo`](super::redo)).
//!
//! **A sink that lost epochs** says that it committed less than an earlier attempt saw it commit: a cache without a durable log, a database
//! put back from a backup, another database. Where the checkpoint of what it still holds is there, the flow goes on from that: its
//! rows and the flow's state are of one moment. Else a redis table is filled anew from the beginning of its source, for a cache is
//! never the only home of data; any other table stays as it is and the flow stops, naming the command that rebuilds it.
//!
//! **Another log.** A position is an offset in one log, and stands for other records in another. So a flow that reads a topic remembers which
//! log that was in, and doesn't go on in another.

use millstream_core::ports::SystemProperty;
use millstream_core::{Attempt, Epoch, Error, ErrorKind, Result};
use tokio_util::sync::CancellationToken;

use super::compatibility::fit;
use super::fault;
use super::redo::{Redo, Torn};
use super::restore::Restored;
use super::restore_points::RestorePoints;
use super::rounds::Rounds;
use super::runner::{FlowRunner, Progress};
use super::watermark::WatermarkTracker;

/// Does what a port is asked to, patiently; leaves the function with `Ok(None)` when it is asked to stop meanwhile.
macro_rules! patiently {
    ($flow:expr, $shutdown:expr, $call:expr) => {
        match $flow.patiently($shutdown, || $call).await? {
            Some(answer) => answer,
            None => return Ok(None),
        }
    };
}

impl FlowRunner {
    /// Takes the flow over and restores it. `None`: asked to stop before that.
    pub(super) async fn start(&mut self, shutdown: &CancellationToken) -> Result<Option<Progress>> {
        let id = self.spec.id.clone();
        let attempt = patiently!(self, shutdown, self.ports.checkpoints.claim(&id));
        let Some(()) = self.recall_versions(shutdown).await? else { return Ok(None) };
        let mut committed = patiently!(self, shutdown, self.spec.sink.begin(&id, attempt, &self.spec.table));
        let prepared = patiently!(self, shutdown, self.ports.checkpoints.epochs(&id));
        if fault::commits_before_the_sink(self.settings.faults()) {
            committed = prepared.last().copied().unwrap_or(committed);
        }
        let (mut torn, mut lost) = (None, None);
        // Versions of an epoch that was prepared but not committed may have reached a sink that isn't transactional: stay above them.
        for epoch in prepared.iter().filter(|e| **e > committed) {
            match self.prepared(*epoch, shutdown).await? {
                Some(Ok(Some(checkpoint))) => {
                    self.processor.raise_version_bound(checkpoint.header.version_bound);
                    torn = Some(checkpoint).filter(|_| *epoch == committed.next());
                }
                // An attempt that is fenced has taken it back, and with it has written nothing.
                Some(Ok(None)) => {}
                Some(Err(why)) => lost = Some((*epoch, why)).filter(|_| *epoch == committed.next()),
                None => return Ok(None),
            }
        }
        if let Some((epoch, why)) = &lost {
            self.can_do_again(*epoch, why)?;
        }
        // A cache whose state is gone is filled anew: a flow that was about to may have died before its first epoch.
        let is_anew = committed > Epoch(0) && self.spec.is_cache && !prepared.contains(&committed);
        let mut from_beginning = is_anew || committed == Epoch(0);
        if let Some(last) = prepared.last().filter(|last| **last > committed.next()) {
            // An epoch is prepared when the one before it is committed: the sink knew more once.
            let Some(resumes) = self.rewind(committed, *last, &prepared, attempt, shutdown).await? else { return Ok(None) };
            from_beginning = !resumes;
            torn = None;
        }
        let torn = torn.filter(|_| !is_anew).map(|torn| {
            let from = Torn::of(&torn, &fit(&torn.header, &self.spec.flow, self.spec.is_cache));
            (torn, from)
        });
        let torn = torn.filter(|(_, from)| !matches!(from, Torn::Passed));
        from_beginning &= torn.is_none();
        let Some(()) = self.claim_log(from_beginning, shutdown).await? else { return Ok(None) };
        if let Some(torn) = torn {
            let Some(()) = self.write_again(attempt, committed.next(), torn, shutdown).await? else { return Ok(None) };
            committed = committed.next();
        }
        // What an epoch put aside whose changes are lost is as it was, if the flow does that epoch again as it was; else it was not.
        let done = lost.as_ref().filter(|_| self.spec.redo != Redo::Nothing).map_or(committed, |(epoch, _)| *epoch);
        patiently!(self, shutdown, self.ports.system.discard_after(&id, if from_beginning { Epoch(0) } else { done }));
        let Restored { source, base, is_unbroken } = if from_beginning {
            Restored { source: patiently!(self, shutdown, self.spec.source.beginning()), base: committed.next(), is_unbroken: false }
        } else {
            match self.restore(committed, &prepared, shutdown).await? {
                Some(restored) => restored,
                None => return Ok(None),
            }
        };
        if let Some((epoch, _)) = lost.filter(|_| !from_beginning && self.spec.redo != Redo::Nothing) {
            self.repeat(committed, epoch);
            let Some(()) = self.go_on_repeating(shutdown).await? else { return Ok(None) };
        }
        let watermark = self.processor.watermark().and_then(WatermarkTracker::current);
        self.monitor.resumed(attempt, committed, Some(&source).filter(|_| !self.processor.has_more()), watermark);
        let mut points = RestorePoints::new(self.settings.checkpoints_kept);
        if !from_beginning {
            points.add(base);
        }
        let rounds = if is_unbroken { Rounds::restored(base) } else { Rounds::default() };
        Ok(Some(Progress::new(attempt, committed, source, (rounds, points), self.ports.clock.now())))
    }

    /// Refuses to go on when the changes of `epoch`, which may have been written in part, can't be read, and can't be made again.
    fn can_do_again(&self, epoch: Epoch, why: &Error) -> Result<()> {
        let (id, table) = (&self.spec.id, &self.spec.table);
        match self.spec.obstacle.as_ref().filter(|_| self.spec.redo != Redo::Nothing) {
            Some(obstacle) => Err(Error::corrupt(format!(
                "flow {id}: epoch {epoch} may be in {table} in part, its checkpoint can't be read ({why}), and {obstacle}: run `millstream reset {table}` to rebuild the table"
            ))),
            None => {
                tracing::warn!(flow = %id, %epoch, %why, "the checkpoint of an epoch that was not committed can't be read: the epoch is done again");
                Ok(())
            }
        }
    }

    /// Remembers which log the flow's positions are in. Where it goes on from one, and topics are in another log now, it is refused. `None`:
    /// asked to stop.
    async fn claim_log(&self, from_beginning: bool, shutdown: &CancellationToken) -> Result<Option<()>> {
        let Some((_, topic)) = self.spec.topics().next() else { return Ok(Some(())) };
        let property = SystemProperty::Log(&self.spec.id);
        let log = patiently!(self, shutdown, self.ports.log.identity());
        match patiently!(self, shutdown, self.ports.system.property(property)) {
            Some(known) if known == log => {}
            Some(known) if !from_beginning => {
                let (flow, table) = (&self.spec.id, &self.spec.table);
                return Err(Error::invalid(format!(
                    "flow {flow} has come to its place in topic {topic} in the log {known}, and topics are in the log {log} now: run `millstream reset {table}` to build the table from there, or put the configuration back"
                )));
            }
            _ => patiently!(self, shutdown, self.ports.system.set_property(property, &log)),
        }
        Ok(Some(()))
    }

    /// Makes ready to go on with a sink that committed `committed`, though an earlier attempt had come to `last`. Whether there is a state
    /// to resume from; `None`: asked to stop.
    async fn rewind(
        &mut self,
        committed: Epoch,
        last: Epoch,
        prepared: &[Epoch],
        attempt: Attempt,
        shutdown: &CancellationToken,
    ) -> Result<Option<bool>> {
        let (id, table) = (self.spec.id.clone(), self.spec.table.clone());
        let resumes = committed > Epoch(0) && prepared.contains(&committed);
        if !resumes && !self.spec.is_cache {
            return Err(Error::invalid(format!(
                "flow {id}: table {table} holds epoch {committed}, and the flow had come to epoch {last}: the system that holds it has lost data, or is \
                 not the one that held it before; run `millstream reset {table}` to build it anew, or bring the system's data back"
            )));
        }
        tracing::warn!(
            flow = %id, table, holds = %committed, had = %last,
            "the system that holds the table has lost epochs: {}",
            if resumes { "the flow goes on from what it still holds" } else { "the table is filled anew from the beginning of its source" }
        );
        // The checkpoints of epochs that never were, as it turns out, must not be taken for prepared ones later.
        let keep = if resumes { committed } else { Epoch(0) };
        patiently!(self, shutdown, self.ports.checkpoints.forget_after(&id, attempt, keep));
        Ok(Some(resumes))
    }

    /// Whether `error` came from a cache that has lost its epochs while the flow ran: then the flow begins again, as after a restart.
    pub(super) async fn cache_is_lost(&self, error: &Error, shutdown: &CancellationToken) -> bool {
        let Some((attempt, epoch)) = self.reached.filter(|_| self.spec.is_cache && error.kind() == ErrorKind::InvalidInput) else {
            return false;
        };
        let holds = self.patiently(shutdown, || self.spec.sink.begin(&self.spec.id, attempt, &self.spec.table)).await;
        matches!(holds, Ok(Some(holds)) if holds < epoch)
    }
}
