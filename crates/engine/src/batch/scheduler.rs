//! [`Scheduler`]: runs jobs by their schedules and on request, never two runs of one report at the same time.
//!
//! Due jobs run one after the other, each after the reports that it reads. A time that passes while the process is down, or while
//! other jobs run, is made up for by one run. A scheduled run waits for systems that don't answer until its next time is there, then fails and makes
//! room for the next; one on request waits two minutes, for somebody waits for its answer. Flows that join the report have the new one when its run has ended. The history is kept in the
//! [`SystemStore`](millstream_core::ports::SystemStore).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use millstream_core::ports::{JobRun, JobRunState};
use millstream_core::status::JobStatus;
use millstream_core::{Error, Result, Timestamp};
use millstream_pipeline::graph::{Job, Pipeline};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::cron::next_run;
use super::run::{Trigger, Waiting, run_job};
use crate::engine::Ports;
use crate::patience::Patience;
use crate::reference::ReferenceTables;

/// The loop looks at the clock at least this often, so that a clock that was set is noticed.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// A run on request waits at most so long for systems that don't answer.
const WAIT_MAX: Duration = Duration::from_secs(120);

/// Why a run that its process left behind has failed.
const PROCESS_ENDED: &str = "the process ended";

/// Runs the jobs of one pipeline. Cheap to clone.
#[derive(Clone)]
pub struct Scheduler {
    inner: Arc<Inner>,
}

struct Inner {
    pipeline: Arc<Pipeline>,
    ports: Ports,
    references: Arc<ReferenceTables>,
    /// In the pipeline's order: each after the reports that it reads.
    jobs: Vec<Arc<Entry>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

struct Entry {
    job: Job,
    /// Held by the run that is under way, with the last run of this process and its ticket.
    turn: tokio::sync::Mutex<Option<(u64, JobRun)>>,
    state: Mutex<JobState>,
}

#[derive(Clone, Debug, Default)]
struct JobState {
    /// How many runs began in this process: the ticket of the last one.
    begun: u64,
    /// The number of the next run.
    next_number: u64,
    next_run: Option<Timestamp>,
    running: bool,
    last_success: Option<Timestamp>,
    last_duration: Option<Duration>,
    rows: Option<u64>,
    last_error: Option<(Timestamp, String)>,
}

impl JobState {
    /// Takes note of a run that has ended.
    fn saw(&mut self, run: &JobRun) {
        let ended = run.ended.unwrap_or(run.started);
        match run.state {
            JobRunState::Succeeded => {
                self.last_success = Some(ended);
                let micros = u64::try_from(ended.micros().saturating_sub(run.started.micros())).unwrap_or(0);
                self.last_duration = Some(Duration::from_micros(micros));
                self.rows = run.rows;
                self.last_error = None;
            }
            JobRunState::Failed => self.last_error = Some((ended, run.error.clone().unwrap_or_default())),
            JobRunState::Running => {}
        }
        self.next_number = self.next_number.max(run.run + 1);
    }
}

impl Entry {
    fn state(&self) -> MutexGuard<'_, JobState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Scheduler {
    /// Reads the history, and marks the runs that an earlier process left unfinished as failed. Runs nothing.
    pub async fn open(pipeline: &Arc<Pipeline>, ports: Ports, references: Arc<ReferenceTables>) -> Result<Self> {
        let now = ports.clock.now();
        let patience = Patience::new("the scheduler", ports.clock.clone());
        let mut history: BTreeMap<String, Vec<JobRun>> = BTreeMap::new();
        for mut run in patience.until_answered(|| ports.system.runs()).await? {
            if run.state == JobRunState::Running {
                run.state = JobRunState::Failed;
                run.ended = Some(now);
                run.error = Some(PROCESS_ENDED.to_owned());
                patience.until_answered(|| ports.system.record_run(&run)).await?;
            }
            history.entry(run.report.clone()).or_default().push(run);
        }
        let mut jobs = Vec::new();
        for job in &pipeline.jobs {
            let runs = history.remove(&job.report).unwrap_or_default();
            let published = patience.until_answered(|| ports.reports.published_run(&job.report)).await?;
            jobs.push(Arc::new(Entry {
                job: job.clone(),
                turn: tokio::sync::Mutex::new(None),
                state: Mutex::new(initial(job, &runs, published, now)),
            }));
        }
        let inner =
            Inner { pipeline: pipeline.clone(), ports, references, jobs, tasks: TaskTracker::new(), stop: CancellationToken::new() };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Runs jobs when they are due, until `shutdown`. A run that is under way then is abandoned, and fails.
    pub async fn run(&self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            for entry in &self.inner.jobs {
                let due = entry.state().next_run.is_some_and(|t| t <= self.inner.ports.clock.now());
                if !due {
                    continue;
                }
                let ran = tokio::select! {
                    () = shutdown.cancelled() => break,
                    ran = self.inner.run_after_now(entry, Trigger::Schedule) => ran,
                };
                if let Err(error) = ran {
                    tracing::warn!(report = entry.job.report, %error, "a batch job could not run");
                    entry.state().last_error = Some((self.inner.ports.clock.now(), error.to_string()));
                }
                self.inner.plan_next(entry);
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = self.inner.ports.clock.sleep(self.inner.sleep_time()) => {}
            }
        }
        self.inner.stop.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }

    /// Runs the job of `report` and returns how the run went; a failed run is an `Ok` with its reason.
    ///
    /// The run that answers began after the request, so that it has seen what was committed before. While another run is under way
    /// the request waits for it, and requests that wait share the next run. Dropping the future doesn't stop the run.
    /// [`NotFound`](millstream_core::ErrorKind::NotFound), with the reports that there are, for one that no job makes.
    pub async fn request(&self, report: &str) -> Result<JobRun> {
        let entry = self.inner.jobs.iter().find(|e| e.job.report == report);
        let entry = entry.ok_or_else(|| {
            let reports: Vec<_> = self.inner.jobs.iter().map(|e| e.job.report.as_str()).collect();
            let there = if reports.is_empty() {
                "the pipeline has no batch jobs".to_owned()
            } else {
                format!("the reports are {}", reports.join(", "))
            };
            Error::not_found(format!("no batch job makes a report {report}: {there}"))
        })?;
        self.inner.run_after_now(entry, Trigger::Request).await
    }

    /// How every job stands, in the pipeline's order.
    #[must_use]
    pub fn status(&self) -> Vec<JobStatus> {
        let status = |entry: &Arc<Entry>| {
            let state = entry.state().clone();
            JobStatus {
                report: entry.job.report.clone(),
                schedule: entry.job.schedule.clone(),
                next_run: state.next_run,
                running: state.running,
                last_success: state.last_success,
                last_duration: state.last_duration,
                rows: state.rows,
                last_error: state.last_error,
            }
        };
        self.inner.jobs.iter().map(status).collect()
    }
}

impl Inner {
    /// A run that begins after this call: one of its own, or one that another caller began meanwhile. It is a task of the scheduler's,
    /// so that it is finished (and written down) also when the caller goes away.
    async fn run_after_now(self: &Arc<Self>, entry: &Arc<Entry>, trigger: Trigger) -> Result<JobRun> {
        let ticket = entry.state().begun;
        let (inner, entry) = (self.clone(), entry.clone());
        let task = self.tasks.spawn(async move {
            let mut turn = entry.turn.lock().await;
            if let Some((begun, run)) = turn.as_ref()
                && *begun > ticket
            {
                return Ok(run.clone());
            }
            let (begun, number) = {
                let mut state = entry.state();
                state.begun += 1;
                state.running = true;
                state.next_number += 1;
                (state.begun, state.next_number - 1)
            };
            let ran = inner.run_until_stopped(&entry, number, trigger).await;
            entry.state().running = false;
            let run = ran?;
            if run.state == JobRunState::Succeeded {
                // A report is loaded as a whole: a stop doesn't wait for that.
                tokio::select! {
                    () = inner.references.published(&run.report) => {}
                    () = inner.stop.cancelled() => {}
                }
            }
            entry.state().saw(&run);
            *turn = Some((begun, run.clone()));
            Ok(run)
        });
        task.await.map_err(|e| Error::internal("a batch run panicked").caused_by(e))?
    }

    async fn run_until_stopped(&self, entry: &Entry, number: u64, trigger: Trigger) -> Result<JobRun> {
        let job = &entry.job;
        let started = self.ports.clock.now();
        let until = waits_until(trigger, job.schedule.as_deref(), started);
        let tell = |error: &Error| entry.state().last_error = Some((self.ports.clock.now(), error.to_string()));
        let waiting = Waiting { until, tell: &tell };
        tokio::select! {
            ran = run_job(job, number, trigger, &self.pipeline, &self.ports, &self.references, waiting) => ran,
            () = self.stop.cancelled() => {
                let run = JobRun {
                    report: job.report.clone(),
                    run: number,
                    trigger: trigger.as_str().to_owned(),
                    state: JobRunState::Failed,
                    started,
                    ended: Some(self.ports.clock.now()),
                    rows: None,
                    removed: None,
                    input: None,
                    error: Some("the process was stopped".to_owned()),
                };
                self.ports.system.record_run(&run).await?;
                Ok(run)
            }
        }
    }

    /// Sets when `entry` is due again: the first time after now, so that missed times are made up for by the one run that was.
    fn plan_next(&self, entry: &Entry) {
        let now = self.ports.clock.now();
        entry.state().next_run = entry.job.schedule.as_deref().and_then(|cron| next_run(cron, now));
    }

    fn sleep_time(&self) -> Duration {
        let now = self.ports.clock.now().micros();
        let next = self.jobs.iter().filter_map(|e| e.state().next_run).min();
        let wait = next.map_or(SLEEP_MAX, |t| Duration::from_micros(u64::try_from(t.micros().saturating_sub(now)).unwrap_or(0)));
        wait.min(SLEEP_MAX)
    }
}

/// How long a run that began at `started` waits for systems that don't answer.
fn waits_until(trigger: Trigger, schedule: Option<&str>, started: Timestamp) -> Timestamp {
    let next = match trigger {
        Trigger::Schedule => schedule.and_then(|cron| next_run(cron, started)),
        Trigger::Request => None,
    };
    next.unwrap_or(started.plus(WAIT_MAX))
}

/// How a job stands when the process starts: `runs` are its history in order of their numbers, none of them running.
fn initial(job: &Job, runs: &[JobRun], published: Option<u64>, now: Timestamp) -> JobState {
    let mut state = JobState { next_number: published.map_or(1, |run| run + 1), ..JobState::default() };
    runs.iter().for_each(|run| state.saw(run));
    // A run that its process left behind made no report: it doesn't count as having been on time.
    let last = runs.iter().rev().find(|run| run.error.as_deref() != Some(PROCESS_ENDED)).map_or(now, |run| run.started);
    state.next_run = job.schedule.as_deref().and_then(|cron| next_run(cron, last));
    state
}

#[cfg(test)]
mod tests;
