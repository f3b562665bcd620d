//! [`SystemStore`]: what `system.*` holds: dead letters, late rows and the history of batch jobs.

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::SystemProperty;
use crate::change::RowPosition;
use crate::error::Result;
use crate::ident::{Epoch, FlowId};
use crate::time::{EventTime, Timestamp};

/// An event that could not become a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The flow that could not process it.
    pub flow: FlowId,
    /// The epoch in which it was met.
    pub epoch: Epoch,
    /// The topic or event-store table it came from.
    pub source: String,
    /// Where in it.
    pub position: RowPosition,
    /// The record's timestamp.
    pub timestamp: Timestamp,
    /// The raw key.
    #[serde(with = "crate::raw_bytes")]
    pub key: Option<Bytes>,
    /// The raw value.
    #[serde(with = "crate::raw_bytes")]
    pub value: Option<Bytes>,
    /// Why: names the column or expression, and what is wrong.
    pub reason: String,
    /// When it was put here.
    pub at: Timestamp,
}

/// An event that came behind the watermark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LateRow {
    /// The flow for which it is late.
    pub flow: FlowId,
    /// The epoch in which it was met.
    pub epoch: Epoch,
    /// The topic or event-store table it came from.
    pub source: String,
    /// Where in it.
    pub position: RowPosition,
    /// The record's timestamp.
    pub timestamp: Timestamp,
    /// The raw key.
    #[serde(with = "crate::raw_bytes")]
    pub key: Option<Bytes>,
    /// The raw value.
    #[serde(with = "crate::raw_bytes")]
    pub value: Option<Bytes>,
    /// Its event time.
    pub event_time: EventTime,
    /// The end of the window that it missed.
    pub window_end: EventTime,
    /// The watermark that it came behind.
    pub watermark: EventTime,
    /// When it was put here.
    pub at: Timestamp,
}

/// Rows that one epoch of one flow put aside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quarantined {
    /// Events that could not become rows.
    pub dead_letters: Vec<DeadLetter>,
    /// Events behind the watermark.
    pub late_rows: Vec<LateRow>,
}

impl Quarantined {
    /// Whether there is nothing to put aside.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.dead_letters.is_empty() && self.late_rows.is_empty()
    }
}

/// How a batch run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobRunState {
    /// It runs, or its process died while it ran.
    Running,
    /// The report was published.
    Succeeded,
    /// It failed; the old report stays.
    Failed,
}

impl JobRunState {
    /// Its name, as every surface shows it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
}

/// So many runs of a report are kept.
pub const RUNS_KEPT: u64 = 1_000;

/// A run of a batch job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRun {
    /// The report.
    pub report: String,
    /// The run's number; rises with every run of the report.
    pub run: u64,
    /// What started it: `schedule` or `request`.
    pub trigger: String,
    /// How it stands.
    pub state: JobRunState,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Rows of the report.
    pub rows: Option<u64>,
    /// Keys that vanished from the report.
    pub removed: Option<u64>,
    /// How its input was read (`snapshot` or `read committed`), and the committed epoch of every flow into it, as JSON.
    pub input: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
}

/// Dead letters, late rows and job runs.
///
/// Quarantined rows are put before their epoch commits, under (flow, epoch, source, position): putting the same again changes nothing, and
/// [`discard_after`](Self::discard_after) takes back those of epochs that never committed. So each event is in exactly one place.
#[async_trait]
pub trait SystemStore: Send + Sync {
    /// Puts rows aside. Atomic.
    async fn quarantine(&self, rows: Quarantined) -> Result<()>;

    /// Removes what `flow` put aside in epochs after `committed`: called when a flow starts.
    async fn discard_after(&self, flow: &FlowId, committed: Epoch) -> Result<()>;

    /// All dead letters, by flow, epoch and position.
    async fn dead_letters(&self) -> Result<Vec<DeadLetter>>;

    /// All late rows, by flow, epoch and position.
    async fn late_rows(&self) -> Result<Vec<LateRow>>;

    /// Removes these rows (found by flow, epoch and position): they were replayed.
    async fn release(&self, rows: &Quarantined) -> Result<()>;

    /// Stores a run, in place of what was stored under its report and number, and removes the run of the report that is [`RUNS_KEPT`] before it:
    /// numbers rise by one, so that the last so many stay.
    async fn record_run(&self, run: &JobRun) -> Result<()>;

    /// All runs, by report and number.
    async fn runs(&self) -> Result<Vec<JobRun>>;

    /// Removes everything of a flow or report: what was put aside, the runs, and the properties that [the flow owns](SystemProperty::of_flow).
    async fn forget(&self, flow_or_report: &str) -> Result<()>;

    /// A small value, as it was stored last; `None`: it never was, or its owner was forgotten.
    async fn property(&self, property: SystemProperty<'_>) -> Result<Option<String>>;

    /// Stores such a value.
    async fn set_property(&self, property: SystemProperty<'_>, value: &str) -> Result<()>;
}
