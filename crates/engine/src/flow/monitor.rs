//! What a flow says of itself while it runs: read by the status page, the metrics and whoever waits for it to catch up.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use millstream_core::status::{FlowPhase, FlowStatus};
use millstream_core::{Attempt, Epoch, Error, EventTime, Timestamp};
use tokio::sync::watch;

use crate::source::SourceState;

/// Rates are averages over so many microseconds.
const RATE_WINDOW_MICROS: i64 = 5_000_000;

/// A part of a flow that may wait for a system by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What reads and processes.
    Works,
    /// What commits.
    Commits,
}

/// A flow's status, written by its runner.
pub struct FlowMonitor {
    inner: Mutex<Inner>,
    committed: watch::Sender<Option<SourceState>>,
}

struct Inner {
    status: FlowStatus,
    /// Whether each [`Part`] waits for a system.
    waiting: [bool; 2],
    /// It does epochs again: until that is over, nobody is to take it for having caught up.
    repeats: bool,
    /// (time, rows in since the start) of some recent epochs.
    samples: VecDeque<(i64, u64)>,
}

/// What an epoch did.
#[derive(Clone, Debug, Default)]
pub struct EpochSummary {
    /// Source records.
    pub rows_in: u64,
    /// Rows given to the sink.
    pub rows_out: u64,
    /// Dead letters.
    pub dead_letters: u64,
    /// Late rows.
    pub late_rows: u64,
    /// Records that wait; `None`: the epoch doesn't know.
    pub lag: Option<u64>,
    /// The watermark after it.
    pub watermark: Option<EventTime>,
    /// More comes out of what it has read, in the epochs that follow: until then, nobody is to take it for having caught up.
    pub has_more: bool,
}

impl FlowMonitor {
    /// For the flow `flow` from `source` into `table`.
    #[must_use]
    pub fn new(flow: &str, table: &str, source: &str) -> Self {
        let status = FlowStatus {
            flow: flow.to_owned(),
            table: table.to_owned(),
            source: source.to_owned(),
            phase: FlowPhase::Starting,
            attempt: Attempt(0),
            epoch: Epoch(0),
            rows_in: 0,
            rows_out: 0,
            rows_per_second: 0.0,
            lag: None,
            watermark: None,
            dead_letters: 0,
            late_rows: 0,
            fell_back_to: None,
            last_error: None,
        };
        Self {
            inner: Mutex::new(Inner { status, waiting: [false; 2], repeats: false, samples: VecDeque::new() }),
            committed: watch::Sender::new(None),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A status is plain numbers: one that a panicking thread left behind is still a status.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The flow does `phase` now, and waits for a system as long as a part of it does.
    pub fn set_phase(&self, phase: FlowPhase) {
        self.lock().status.phase = phase;
        // Whoever waits for the flow looks at its phase too.
        self.committed.send_modify(|_| {});
    }

    /// It began or resumed as `attempt` after `epoch`, at `state`; `None`: more comes out of what it had read by then.
    pub fn resumed(&self, attempt: Attempt, epoch: Epoch, state: Option<&SourceState>, watermark: Option<EventTime>) {
        let mut inner = self.lock();
        inner.status.attempt = attempt;
        inner.status.epoch = epoch;
        inner.status.watermark = watermark;
        // What waits behind the checkpoint, the first read says.
        inner.status.lag = None;
        let settled = state.filter(|_| !inner.repeats).cloned();
        drop(inner);
        self.committed.send_replace(settled);
    }

    /// It goes on from the checkpoint of `epoch`, because newer ones can't be read.
    pub fn fell_back(&self, epoch: Epoch) {
        self.lock().status.fell_back_to = Some(epoch);
    }

    /// Whether it does epochs again.
    pub fn set_repeats(&self, repeats: bool) {
        self.lock().repeats = repeats;
    }

    /// It has read something, and `waiting` rows were not processed by then. Where rows waited before, epochs say what is left.
    pub fn has_read(&self, waiting: u64) {
        let mut inner = self.lock();
        if inner.status.lag.is_none_or(|known| known == 0) {
            inner.status.lag = Some(waiting);
        }
    }

    /// It has failed.
    pub fn failed(&self, at: Timestamp, error: &Error) {
        self.lock().status.last_error = Some((at, error.to_string()));
        self.set_phase(FlowPhase::Failed);
    }

    /// A part of it waits for a system that does not answer.
    pub fn waits(&self, part: Part, at: Timestamp, error: &Error) {
        let mut inner = self.lock();
        inner.status.last_error = Some((at, error.to_string()));
        inner.waiting[part as usize] = true;
        drop(inner);
        self.committed.send_modify(|_| {});
    }

    /// A part of it that waited goes on. The last error stays on the record.
    pub fn goes_on(&self, part: Part) {
        self.lock().waiting[part as usize] = false;
        self.committed.send_modify(|_| {});
    }

    /// An epoch is committed.
    pub fn committed(&self, epoch: Epoch, state: &SourceState, did: &EpochSummary, now: Timestamp) {
        let mut inner = self.lock();
        let status = &mut inner.status;
        status.epoch = epoch;
        status.rows_in += did.rows_in;
        status.rows_out += did.rows_out;
        status.dead_letters += did.dead_letters;
        status.late_rows += did.late_rows;
        status.lag = did.lag.or(status.lag);
        status.watermark = did.watermark;
        let sample = (now.0, status.rows_in);
        inner.samples.push_back(sample);
        while inner.samples.len() > 2 && inner.samples.front().is_some_and(|(at, _)| now.0 - at > RATE_WINDOW_MICROS) {
            inner.samples.pop_front();
        }
        let settled = (!inner.repeats && !did.has_more).then(|| state.clone());
        drop(inner);
        self.committed.send_replace(settled);
    }

    /// Nothing waits at the moment.
    pub fn idle(&self) {
        self.lock().status.lag = Some(0);
    }

    /// The status at `now`.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> FlowStatus {
        let inner = self.lock();
        let mut status = inner.status.clone();
        status.rows_per_second = rate(&inner.samples, now.0);
        if matches!(status.phase, FlowPhase::Starting | FlowPhase::Running) && inner.waiting.contains(&true) {
            status.phase = FlowPhase::Waiting;
        }
        status
    }

    /// Follows the flow's committed source state; `None` before there is one, and while the flow does epochs again, or lets out what it has read.
    #[must_use]
    pub fn follow(&self) -> watch::Receiver<Option<SourceState>> {
        self.committed.subscribe()
    }
}

/// Rows per second over the window that ends `now`.
#[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
fn rate(samples: &VecDeque<(i64, u64)>, now: i64) -> f64 {
    let recent = samples.iter().find(|(at, _)| now - at <= RATE_WINDOW_MICROS);
    let (Some((from, first)), Some((_, last))) = (recent, samples.back()) else { return 0.0 };
    let micros = (now - from).max(1);
    (last - first) as f64 * 1e6 / micros as f64
}

#[cfg(test)]
mod tests;
