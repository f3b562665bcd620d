//! What a running pipeline says of itself: read by the status page, `/readyz`, `/metrics` and `system.flows`, and as JSON by people and their
//! programs. There a moment is RFC 3339, and a number that is no count has its unit in its name.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::ident::{Attempt, Epoch};
use crate::time::{EventTime, Timestamp};

/// What a flow is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FlowPhase {
    /// Restoring its checkpoint.
    Starting,
    /// Processing, or waiting for events.
    Running,
    /// Waiting for a system that doesn't answer, or for room on the disk; goes on by itself.
    Waiting,
    /// Stopped by an error that a retry can't mend; the other flows go on.
    Failed,
    /// Drained and stopped on request.
    Stopped,
}

impl FlowPhase {
    /// Its name, as every surface shows it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }
}

/// A flow's state at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct FlowStatus {
    /// The flow's name.
    pub flow: String,
    /// The table it writes.
    pub table: String,
    /// The topic or event-store table it reads.
    pub source: String,
    /// What it is doing.
    pub phase: FlowPhase,
    /// Its attempt.
    pub attempt: Attempt,
    /// The last committed epoch.
    pub epoch: Epoch,
    /// Source rows processed since the process started.
    pub rows_in: u64,
    /// Rows written since the process started.
    pub rows_out: u64,
    /// Source rows per second over the last seconds.
    pub rows_per_second: f64,
    /// Source rows that wait; `None`: not known yet, because the flow has read nothing since it began.
    pub lag: Option<u64>,
    /// Its watermark, where it has one.
    #[serde(serialize_with = "moment_or_null")]
    pub watermark: Option<EventTime>,
    /// Rows it sent to `system.dead_letters` since the process started.
    pub dead_letters: u64,
    /// Rows it sent to `system.late_rows` since the process started.
    pub late_rows: u64,
    /// The epoch whose checkpoint it went on from when it started, where newer checkpoints could not be read.
    pub fell_back_to: Option<Epoch>,
    /// The last error, with its time.
    #[serde(serialize_with = "at_and_why")]
    pub last_error: Option<(Timestamp, String)>,
}

/// A batch job's state at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct JobStatus {
    /// The report it refreshes.
    pub report: String,
    /// Its schedule (cron, UTC), where it has one.
    pub schedule: Option<String>,
    /// When it runs next.
    #[serde(serialize_with = "moment_or_null")]
    pub next_run: Option<Timestamp>,
    /// Whether it runs now.
    pub running: bool,
    /// When its last successful run ended.
    #[serde(serialize_with = "moment_or_null")]
    pub last_success: Option<Timestamp>,
    /// How long that run took.
    #[serde(rename = "last_duration_ms", serialize_with = "milliseconds")]
    pub last_duration: Option<Duration>,
    /// Rows of the published report.
    pub rows: Option<u64>,
    /// The last error, with its time; `None` after a success.
    #[serde(serialize_with = "at_and_why")]
    pub last_error: Option<(Timestamp, String)>,
}

/// How a reference table stands, or a report that flows join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReferenceStatus {
    /// The table's name, or the report's.
    pub table: String,
    /// How many rows it has.
    pub rows: u64,
    /// Rises whenever its rows have changed since the process started. 0: a report that was never published.
    pub generation: u64,
    /// When its source was last looked at with success: its rows are of then.
    #[serde(serialize_with = "moment")]
    pub checked: Timestamp,
    /// Since when its source can't be read; `None` while it can. Flows and jobs join the old rows meanwhile.
    #[serde(serialize_with = "moment_or_null")]
    pub failing_since: Option<Timestamp>,
    /// Why it can't, and when it was last tried; of a report, also that it was never published.
    #[serde(serialize_with = "at_and_why")]
    pub last_error: Option<(Timestamp, String)>,
}

/// A system behind a port, as this process sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EngineStatus {
    /// What it serves, in the architecture's words: `topics`, `event store`.
    #[serde(rename = "box")]
    pub serves: String,
    /// The system: `kafka`, `cassandra`, or `built in`.
    pub system: String,
    /// Where it is; holds no secret.
    pub place: String,
    /// Since when it doesn't answer, and why; `None` while it does.
    #[serde(serialize_with = "since_and_why")]
    pub away: Option<(Timestamp, String)>,
}

/// A topic that has got partitions since the pipeline began to read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GrownTopic {
    /// The topic.
    pub topic: String,
    /// How many partitions it has.
    pub partitions: i32,
    /// How many of them flows read.
    pub read: i32,
}

impl fmt::Display for GrownTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, partitions, read } = self;
        write!(
            f,
            "topic {topic} has {partitions} partitions, and flows read {read} of them: write partitions '{partitions}' into the pipeline and start it \
             again, and they read the others from their first record"
        )
    }
}

/// The whole pipeline's state at one moment.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PipelineStatus {
    /// Why the pipeline has not begun yet, where it waits for something at its start.
    pub opening: Option<String>,
    /// Every system behind a port.
    pub engines: Vec<EngineStatus>,
    /// Every flow.
    pub flows: Vec<FlowStatus>,
    /// Every batch job.
    pub jobs: Vec<JobStatus>,
    /// Every reference table, and every report that flows join.
    pub references: Vec<ReferenceStatus>,
    /// Topics of which flows don't read all partitions.
    pub grown_topics: Vec<GrownTopic>,
    /// Why intake is paused (a full disk), if it is.
    pub intake_paused: Option<String>,
}

impl PipelineStatus {
    /// Whether the pipeline is ready for traffic: else what it waits for, one line each.
    #[must_use]
    pub fn unready(&self) -> Vec<String> {
        let flows = self.flows.iter().filter(|f| !matches!(f.phase, FlowPhase::Running)).map(|f| {
            let why = f.last_error.as_ref().map(|(_, e)| format!(": {e}")).unwrap_or_default();
            format!("flow {} is {}{why}", f.flow, f.phase.as_str())
        });
        let away = self.engines.iter().filter_map(|e| {
            let (since, why) = e.away.as_ref()?;
            Some(format!("{} ({} at {}) is away since {since}: {why}", e.system, e.serves, e.place))
        });
        let opening = self.opening.iter().map(|why| format!("the pipeline is opening: {why}"));
        let paused = self.intake_paused.iter().map(|why| format!("intake is paused: {why}"));
        opening.chain(away).chain(paused).chain(flows).collect()
    }

    /// What goes on and is not as it should be, one line each: reference data that can't be refreshed is joined as it was, and new partitions of a topic are
    /// not read.
    #[must_use]
    pub fn degraded(&self) -> Vec<String> {
        let stale = self.references.iter().filter_map(|reference| {
            let since = reference.failing_since?;
            let why = reference.last_error.as_ref().map(|(_, why)| format!(": {why}")).unwrap_or_default();
            Some(format!("{} can't be refreshed since {since} and is joined as it was at {}{why}", reference.table, reference.checked))
        });
        stale.chain(self.grown_topics.iter().map(ToString::to_string)).collect()
    }
}

fn moment<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

fn moment_or_null<T: Display, S: Serializer>(at: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    at.as_ref().map(ToString::to_string).serialize(serializer)
}

fn milliseconds<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    duration.map(|duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)).serialize(serializer)
}

fn at_and_why<S: Serializer>(told: &Option<(Timestamp, String)>, serializer: S) -> Result<S::Ok, S::Error> {
    when_and_why("at", told, serializer)
}

fn since_and_why<S: Serializer>(told: &Option<(Timestamp, String)>, serializer: S) -> Result<S::Ok, S::Error> {
    when_and_why("since", told, serializer)
}

fn when_and_why<S: Serializer>(when: &str, told: &Option<(Timestamp, String)>, serializer: S) -> Result<S::Ok, S::Error> {
    told.as_ref().map(|(moment, why)| BTreeMap::from([(when, moment.to_string()), ("why", why.clone())])).serialize(serializer)
}

/// Whoever can say how the pipeline is doing.
pub trait StatusSource: Send + Sync {
    /// The state now. Cheap: called at every scrape.
    fn status(&self) -> PipelineStatus;
}

#[cfg(test)]
mod tests;
