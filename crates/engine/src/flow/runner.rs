//! A flow's loop: restore, then chunk after chunk, each an epoch. All decisions are in [`process`](super::process).

use std::sync::Arc;
use std::time::Duration;

use datafusion::prelude::SessionContext;
use millstream_core::ports::{CheckpointStore, Clock, EpochSink, EventLog, LateRow, Quarantined, SystemStore};
use millstream_core::status::FlowPhase;
use millstream_core::{Attempt, ChangeBatch, Epoch, Error, ErrorKind, FlowId, Result, Timestamp};
use millstream_pipeline::graph::Flow;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::activity::Activity;
use super::calls::Calls;
use super::checkpoint::{Altered, JoinedTables};
use super::commit::{Committer, Committing, Standing, overlaps};
use super::monitor::{EpochSummary, FlowMonitor, Part};
use super::process::{Lateness, Processor};
use super::redo::Redo;
use super::repetition::{Repeating, Repetition};
use super::restore_points::RestorePoints;
use super::rounds::Rounds;
use super::versions;
use super::watermark::WatermarkTracker;
use crate::compute;
use crate::reference::ReferenceTables;
use crate::settings::EngineSettings;
use crate::source::{Chunk, SharedSource, SourceCursor, SourceState};
use crate::spill::SpillArea;
use crate::spill::memory::MemoryShare;

/// The log is told at most so often how far a flow has come (Event Hubs takes 4 commits a second and partition).
const ACKNOWLEDGE_EVERY: Duration = Duration::from_secs(1);

/// What a flow is and where it reads and writes.
pub struct FlowSpec {
    /// Its name.
    pub id: FlowId,
    /// Its query.
    pub flow: Flow,
    /// What it reads: one topic or feed, or two that it joins.
    pub inputs: Vec<FlowInput>,
    /// Its source.
    pub source: Arc<SharedSource>,
    /// The table that it writes.
    pub table: String,
    /// The store of that table.
    pub sink: Arc<dyn EpochSink>,
    /// What its checkpoints have of an epoch's changes, because the sink may hold a part of it after a crash that other epochs would not give.
    pub redo: Redo,
    /// Why epochs that were written can't be done again; `None`: they can.
    pub obstacle: Option<String>,
    /// Whether the table is a cache, which may lose what it holds.
    pub is_cache: bool,
    /// Where its state goes that there is no memory for. `None`: nowhere.
    pub spill: Option<SpillArea>,
    /// Its part of the memory for state.
    pub memory: MemoryShare,
    /// Makes a processor of its query without state: for repairs.
    pub fresh: Box<dyn Fn() -> Result<Processor> + Send + Sync>,
}

/// A topic or a feed that a flow reads.
pub struct FlowInput {
    /// Its name in the pipeline.
    pub name: String,
    /// The topic; `None` for a feed.
    pub topic: Option<String>,
}

impl FlowSpec {
    /// What it reads, for people.
    pub(super) fn source_names(&self) -> String {
        self.inputs.iter().map(|input| input.name.as_str()).collect::<Vec<_>>().join(" and ")
    }

    /// The topics that it reads, with their numbers among its inputs.
    pub(super) fn topics(&self) -> impl Iterator<Item = (usize, &str)> {
        self.inputs.iter().enumerate().filter_map(|(number, input)| Some((number, input.topic.as_deref()?)))
    }
}

/// What a running flow can be asked to do between epochs.
pub enum FlowCommand {
    /// Aggregate the windows that these rows missed anew, with them, and answer how many windows' rows were written.
    Repair {
        /// The late rows.
        rows: Vec<LateRow>,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<usize>>,
    },
}

/// The ports that a flow uses beside its source and sink.
#[derive(Clone)]
pub struct FlowPorts {
    /// Where raw records are read again for dead letters and late rows.
    pub log: Arc<dyn EventLog>,
    /// Where it keeps its state.
    pub checkpoints: Arc<dyn CheckpointStore>,
    /// Where it puts rows aside.
    pub system: Arc<dyn SystemStore>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Reference data for its joins.
    pub references: Arc<ReferenceTables>,
}

/// Runs one flow.
pub struct FlowRunner {
    pub(super) spec: FlowSpec,
    pub(super) ports: FlowPorts,
    pub(super) settings: EngineSettings,
    pub(super) session: SessionContext,
    pub(super) processor: Processor,
    pub(super) monitor: Arc<FlowMonitor>,
    /// The attempt, and the last epoch that it saw committed.
    pub(super) reached: Option<(Attempt, Epoch)>,
    /// What writes its epochs.
    pub(super) committer: Arc<Committer>,
    /// What its checkpoints carry on from those before.
    pub(super) carried: Carried,
    /// The epochs that it does again, while it does.
    pub(super) repeating: Option<Repeating>,
    /// So many versions an epoch has at most, as far as it is remembered.
    pub(super) versions_most: u64,
    commands: Arc<Mutex<mpsc::Receiver<FlowCommand>>>,
    /// Its calls but those of commits.
    calls: Arc<Calls>,
}

/// What each checkpoint of a flow takes over from the one before.
#[derive(Debug, Default)]
pub(super) struct Carried {
    pub(super) altered: Option<Altered>,
    pub(super) reports: Option<JoinedTables>,
    pub(super) data: Option<JoinedTables>,
    pub(super) repetition: Option<Repetition>,
}

/// What an epoch writes.
pub(super) struct Write {
    /// The source's state after it.
    pub end: SourceState,
    /// The window state that it changed, by aggregation.
    pub delta: Vec<arrow::array::RecordBatch>,
    /// What it puts aside.
    pub aside: Quarantined,
    /// Changes for the sink.
    pub changes: ChangeBatch,
    /// What it did, in figures.
    pub summary: EpochSummary,
}

/// Where a started flow stands.
pub(super) struct Progress {
    pub(super) attempt: Attempt,
    /// Behind the last epoch whose commit has begun.
    pub(super) standing: Standing,
    /// The commit of that epoch, while it is under way.
    pub(super) committing: Option<Committing>,
    /// The epochs that it can be restored from.
    pub(super) points: RestorePoints,
    /// When its partitions brought something.
    activity: Activity,
    /// Whether the next chunk is taken while the last one is committed.
    overlaps: bool,
    /// What the log was last told, and when.
    pub(super) acknowledged: Option<(Epoch, Timestamp)>,
}

impl Progress {
    /// Of a flow that goes on after `epoch`, at `source`.
    pub(super) fn new(
        attempt: Attempt,
        epoch: Epoch,
        source: SourceState,
        (rounds, points): (Rounds, RestorePoints),
        now: Timestamp,
    ) -> Self {
        let activity = Activity::new(source.partitions.len(), now);
        let standing = Standing { epoch, source, rounds };
        Self { attempt, standing, committing: None, points, activity, overlaps: false, acknowledged: None }
    }

    /// The next checkpoint has all of the state.
    pub(super) fn write_full_checkpoint(&mut self) {
        self.standing.rounds = Rounds::default();
    }

    /// When the log is to be told next; `None`: it knows.
    pub(super) fn acknowledge_at(&self) -> Option<Timestamp> {
        match self.acknowledged {
            Some((epoch, _)) if epoch == self.standing.epoch => None,
            Some((_, at)) => Some(at.plus(ACKNOWLEDGE_EVERY)),
            None => Some(Timestamp(0)),
        }
    }
}

impl FlowRunner {
    /// A flow, not yet started.
    #[must_use]
    pub fn new(
        spec: FlowSpec,
        ports: FlowPorts,
        settings: EngineSettings,
        session: SessionContext,
        processor: Processor,
        monitor: Arc<FlowMonitor>,
        commands: Arc<Mutex<mpsc::Receiver<FlowCommand>>>,
    ) -> Self {
        let calls = Arc::new(Calls::new(Part::Works, format!("flow {}", spec.id), ports.clock.clone(), monitor.clone()));
        let committer = Committer::new(&spec, &ports, &monitor, settings.faults());
        let (carried, repeating) = (Carried::default(), None);
        let versions_most = versions::USUAL;
        Self {
            spec,
            ports,
            settings,
            session,
            processor,
            monitor,
            reached: None,
            committer,
            carried,
            repeating,
            versions_most,
            commands,
            calls,
        }
    }

    /// Runs until `shutdown`, or until an error that a retry can't mend: then the flow has failed, and what it has committed stays.
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<()> {
        let result = loop {
            match self.run_attempt(&shutdown).await {
                Err(error) if self.cache_is_lost(&error, &shutdown).await => match (self.spec.fresh)() {
                    Ok(processor) => self.processor = processor,
                    Err(error) => break Err(error),
                },
                result => break result,
            }
        };
        match &result {
            Ok(()) => self.monitor.set_phase(FlowPhase::Stopped),
            Err(error) => {
                tracing::error!(flow = %self.spec.id, %error, "the flow has stopped");
                self.monitor.failed(self.ports.clock.now(), error);
            }
        }
        self.refuse_commands().await;
        result
    }

    /// Nobody will do what it is asked to any more: whoever waits for an answer is told, and whoever asks from now on.
    async fn refuse_commands(&self) {
        let mut commands = self.commands.lock().await;
        commands.close();
        while commands.recv().await.is_some() {}
    }

    async fn run_attempt(&mut self, shutdown: &CancellationToken) -> Result<()> {
        self.reached = None;
        (self.carried, self.repeating) = (Carried::default(), None);
        self.monitor.set_repeats(false);
        [Part::Works, Part::Commits].into_iter().for_each(|part| self.monitor.goes_on(part));
        let Some(()) = self.await_reports(shutdown).await? else { return Ok(()) };
        let Some(()) = self.clear_spilled(shutdown).await? else { return Ok(()) };
        let Some(mut progress) = self.start(shutdown).await? else { return Ok(()) };
        self.reached = Some((progress.attempt, progress.standing.epoch));
        self.monitor.set_phase(FlowPhase::Running);
        tracing::info!(flow = %self.spec.id, attempt = %progress.attempt, epoch = %progress.standing.epoch, "the flow runs");
        let outcome = self.work(&mut progress, shutdown).await;
        if let Err(error) = &outcome {
            tracing::error!(flow = %self.spec.id, %error, "the flow stops when the commit under way is done");
        }
        // A commit that is under way comes to its end, whatever ended the work.
        match (outcome, self.settle(&mut progress).await) {
            (Ok(()), settled) => settled.map(drop),
            (Err(error), Ok(_)) => Err(error),
            (Err(error), Err(second)) => {
                tracing::error!(flow = %self.spec.id, error = %second, "nor was that commit done");
                Err(error)
            }
        }
    }

    /// Chunk after chunk, and what it is asked between them, until it is asked to stop.
    async fn work(&mut self, progress: &mut Progress, shutdown: &CancellationToken) -> Result<()> {
        let mut cursor = self.spec.source.cursor();
        let commands = self.commands.clone();
        let mut commands = commands.lock().await;
        while !shutdown.is_cancelled() {
            if !self.emit_rest(progress, shutdown).await? {
                break;
            }
            if !progress.overlaps && !self.settle(progress).await? {
                break;
            }
            if let Ok(command) = commands.try_recv()
                && !self.obey(command, progress, shutdown).await?
            {
                break;
            }
            let Some(chunk) = self.next_chunk(&mut cursor, progress, shutdown).await? else { break };
            let idle_changed = self.note_activity(progress, &chunk);
            if chunk.is_empty() && !idle_changed {
                if !self.settle(progress).await? {
                    break;
                }
                self.monitor.idle();
                self.acknowledge(progress).await;
                let Some(()) = self.give_memory_back(shutdown).await? else { break };
                if let Some(command) = self.await_more(&cursor, progress, &mut commands, shutdown).await?
                    && !self.obey(command, progress, shutdown).await?
                {
                    break;
                }
                continue;
            }
            if !self.epoch(progress, &chunk, shutdown).await? {
                break;
            }
            let Some(()) = self.give_memory_back(shutdown).await? else { break };
        }
        Ok(())
    }

    /// The next chunk, possibly empty. `None`: asked to stop.
    async fn next_chunk(
        &mut self,
        cursor: &mut SourceCursor,
        progress: &Progress,
        shutdown: &CancellationToken,
    ) -> Result<Option<Arc<Chunk>>> {
        loop {
            match cursor.next(&progress.standing.source).await {
                Ok(chunk) => {
                    self.answered();
                    self.monitor.has_read(chunk.lag + chunk.records() as u64);
                    return Ok(Some(chunk));
                }
                Err(error) if error.kind() == ErrorKind::OutOfRange => {
                    return Err(error.context(format!(
                        "flow {}: its checkpoint points outside of what {} holds",
                        self.spec.id,
                        self.spec.source_names()
                    )));
                }
                Err(error) => {
                    if !self.wait_out_source(error, shutdown).await? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// [Waits out](Self::wait_out) an error of the source. Meanwhile it gives memory back when other flows need that. `false`: asked to stop.
    async fn wait_out_source(&mut self, error: Error, shutdown: &CancellationToken) -> Result<bool> {
        let calls = self.calls.clone();
        let mut waiting = std::pin::pin!(calls.wait_out(error, shutdown));
        loop {
            tokio::select! {
                waited = &mut waiting => return waited,
                () = self.spec.memory.pressed() => {}
            }
            let Some(()) = self.give_memory_back(shutdown).await? else { return Ok(false) };
        }
    }

    /// Brings the idle partitions up to date. Whether that moves the watermark.
    fn note_activity(&mut self, progress: &mut Progress, chunk: &Chunk) -> bool {
        progress.overlaps = overlaps(chunk.records(), chunk.lag);
        // What was done again ends where the source was read to its end once: where traffic is steady, no look at it ever finds nothing.
        let read_all = chunk.is_empty() || progress.activity.is_at_end();
        progress.activity.note(chunk, self.ports.clock.now());
        let idle = progress.activity.idle(self.settings.idle_after());
        let is_over = read_all && self.repeating.take().is_some();
        if is_over {
            self.carried.repetition = None;
            self.monitor.set_repeats(false);
            self.processor.decide_lateness(Lateness::ByWatermark);
        }
        let Some(watermark) = self.processor.watermark_mut() else { return is_over };
        let before = watermark.current();
        watermark.set_idle(&idle);
        is_over || watermark.current() != before
    }

    /// Waits for records, for a partition to become idle, for a command, or for `shutdown`.
    async fn await_more(
        &mut self,
        cursor: &SourceCursor,
        progress: &Progress,
        commands: &mut mpsc::Receiver<FlowCommand>,
        shutdown: &CancellationToken,
    ) -> Result<Option<FlowCommand>> {
        let now = self.ports.clock.now();
        let pending = progress.activity.next_idle(self.settings.idle_after()).filter(|_| self.processor.watermark().is_some());
        let idle = async {
            match pending.into_iter().chain(progress.acknowledge_at().filter(|_| self.spec.topics().next().is_some())).min() {
                Some(at) => self.ports.clock.sleep(Duration::from_micros(u64::try_from(at.0 - now.0).unwrap_or(0))).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => Ok(None),
            () = idle => Ok(None),
            () = self.spec.memory.pressed() => Ok(None),
            Some(command) = commands.recv() => Ok(Some(command)),
            waited = cursor.wait(&progress.standing.source) => match waited {
                Err(error) => self.wait_out_source(error, shutdown).await.map(|_| None),
                Ok(()) => Ok(None),
            },
        }
    }

    /// One epoch, up to the beginning of its commit. `false`: asked to stop before that.
    async fn epoch(&mut self, progress: &mut Progress, chunk: &Chunk, shutdown: &CancellationToken) -> Result<bool> {
        self.refresh_references(progress).await?;
        self.bound_emission();
        let now = self.ports.clock.now();
        // The few rows of a chunk may close many windows, and match many rows of reference data.
        let bytes = if self.processor.draws_versions() { usize::MAX } else { chunk.bytes };
        let processed = compute::on(bytes, || self.processor.process(chunk, now))?;
        let aside = self.quarantine(chunk, &processed, progress.standing.epoch.next(), now, shutdown).await?;
        let Some(mut aside) = aside else { return Ok(false) };
        if let Some(repeating) = &self.repeating {
            repeating.leave_out_known(&mut aside);
        }
        let summary = EpochSummary {
            rows_in: chunk.records() as u64,
            rows_out: processed.changes.len() as u64,
            dead_letters: aside.dead_letters.len() as u64,
            late_rows: aside.late_rows.len() as u64,
            lag: Some(chunk.lag),
            watermark: self.processor.watermark().and_then(WatermarkTracker::current),
            has_more: self.processor.has_more(),
        };
        let write = Write { end: chunk.end.clone(), delta: processed.delta, aside, changes: processed.changes, summary };
        self.begin_commit(progress, write, shutdown).await
    }

    /// What is joined as it is, is as it is now.
    pub(super) async fn refresh_references(&mut self, progress: &Progress) -> Result<()> {
        self.note_joined(progress);
        self.processor.refresh(&self.ports.references, &self.session).await
    }

    /// Calls a port until it answers or fails for good. `None`: asked to stop while it didn't answer.
    pub(super) async fn patiently<T, F: Future<Output = Result<T>>>(
        &self,
        shutdown: &CancellationToken,
        call: impl FnMut() -> F,
    ) -> Result<Option<T>> {
        self.calls.patiently(shutdown, call).await
    }

    /// A port has answered: an outage, if there was one, is over.
    pub(super) fn answered(&self) {
        self.calls.answered();
    }

    /// Waits before the next try, if `error` may pass. `false`: asked to stop.
    pub(super) async fn wait_out(&self, error: Error, shutdown: &CancellationToken) -> Result<bool> {
        self.calls.wait_out(error, shutdown).await
    }
}
