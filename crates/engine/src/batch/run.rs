//! One run of a batch job: its query on one snapshot of the event store, streamed into the report store.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::SchemaRef;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use millstream_core::batches::BatchStream;
use millstream_core::ports::{JobRun, JobRunState, Publication, Published, StoreSnapshot};
use millstream_core::{Error, ErrorKind, Result, Timestamp};
use millstream_pipeline::graph::{Binding, Job, Pipeline};
use millstream_pipeline::session::spark_session;

use crate::catalog::{from_datafusion, job_plan};
use crate::engine::Ports;
use crate::patience::Patience;
use crate::reference::ReferenceTables;

/// The memory that the operators of one run may take (hash tables, sorts). A run that needs more fails with
/// [`Exhausted`](millstream_core::ErrorKind::Exhausted), and the old report stays.
const RUN_MEMORY_BYTES_MAX: usize = 256 << 20;

/// What started a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Its schedule.
    Schedule,
    /// Somebody asked for it.
    Request,
}

impl Trigger {
    /// The word for it in [`JobRun::trigger`].
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Request => "request",
        }
    }
}

/// How a run waits for systems that don't answer.
pub struct Waiting<'a> {
    /// A run that could not be done by then fails.
    pub until: Timestamp,
    /// Is told what it waits for.
    pub tell: &'a (dyn Fn(&Error) + Send + Sync),
}

/// Runs `job` as run number `run` (greater than every earlier one of the report) and publishes its report.
///
/// A system that doesn't answer is waited for, as `waiting` says: each try is of a snapshot of its own, and a report shows whole or not at all.
/// A run that fails is no error of this function: it is [`JobRunState::Failed`] in the run that is returned, with the reason, and the
/// old report stays. An error means that the history could not be written. Dropping the future abandons the run, and leaves it
/// [`JobRunState::Running`] in the history, as the death of the process does.
pub async fn run_job(
    job: &Job,
    run: u64,
    trigger: Trigger,
    pipeline: &Pipeline,
    ports: &Ports,
    references: &Arc<ReferenceTables>,
    waiting: Waiting<'_>,
) -> Result<JobRun> {
    let patience = Patience::new(format!("report {}", job.report), ports.clock.clone());
    let mut record = JobRun {
        report: job.report.clone(),
        run,
        trigger: trigger.as_str().to_owned(),
        state: JobRunState::Running,
        started: ports.clock.now(),
        ended: None,
        rows: None,
        removed: None,
        input: None,
        error: None,
    };
    patience.until_answered(|| ports.system.record_run(&record)).await?;
    let outcome = loop {
        match publish(job, &mut record, pipeline, ports, references).await {
            Err(error) if error.kind() == ErrorKind::Unavailable && ports.clock.now() < waiting.until => {
                (waiting.tell)(&error);
                match patience.failed(&error) {
                    Some(delay) => ports.clock.sleep(delay).await,
                    None => break Err(error),
                }
            }
            outcome => break outcome,
        }
    };
    match outcome {
        Ok(published) => {
            patience.answered();
            record.state = JobRunState::Succeeded;
            record.rows = Some(published.rows);
            record.removed = Some(published.removed);
        }
        Err(error) => {
            tracing::warn!(report = job.report, run, %error, "a batch job failed, the old report stays");
            record.state = JobRunState::Failed;
            record.error = Some(error.to_string());
        }
    }
    record.ended = Some(ports.clock.now());
    patience.until_answered(|| ports.system.record_run(&record)).await?;
    Ok(record)
}

async fn publish(
    job: &Job,
    record: &mut JobRun,
    pipeline: &Pipeline,
    ports: &Ports,
    references: &Arc<ReferenceTables>,
) -> Result<Published> {
    let snapshot = ports.event_store.snapshot().await?;
    record.input = Some(input(job, pipeline, snapshot.as_ref()).await?);
    let rows = execute(job, pipeline, ports, references, snapshot).await?;
    ports.reports.publish(Publication { report: job.report.clone(), run: record.run, rows }).await
}

/// The rows of `job` over `snapshot`, of the report's columns.
pub(crate) async fn execute(
    job: &Job,
    pipeline: &Pipeline,
    ports: &Ports,
    references: &Arc<ReferenceTables>,
    snapshot: Arc<dyn StoreSnapshot>,
) -> Result<BatchStream> {
    let report = pipeline.tables.get(&job.report).ok_or_else(|| Error::internal(format!("report {} is no table", job.report)))?;
    let plan = job_plan(&job.plan, pipeline, ports, references, snapshot)?;
    let session = bounded_session()?;
    let rows = session.execute_logical_plan(plan).await.map_err(from_datafusion)?.execute_stream().await.map_err(from_datafusion)?;
    let schema = report.spec.schema.clone();
    Ok(rows.map(move |batch| batch.map_err(from_datafusion).and_then(|b| into_report(&b, &schema))).boxed())
}

/// How the input was read: `{"read":"snapshot","epochs":{table:{flow:epoch}}}`, with the event-store tables that the job reads and that flows
/// write. `read committed` in place of `snapshot` where the store can't keep a moment.
pub(crate) async fn input(job: &Job, pipeline: &Pipeline, snapshot: &dyn StoreSnapshot) -> Result<String> {
    let mut epochs = BTreeMap::new();
    let stored = |name: &&String| pipeline.tables.get(*name).is_some_and(|t| matches!(t.binding, Binding::EventStore));
    for table in job.inputs.iter().filter(stored) {
        epochs.insert(table.as_str(), snapshot.epochs(table).await?);
    }
    let read = if snapshot.is_consistent() { "snapshot" } else { "read committed" };
    Ok(serde_json::json!({ "read": read, "epochs": epochs }).to_string())
}

/// A Spark session whose operators share [`RUN_MEMORY_BYTES_MAX`].
fn bounded_session() -> Result<SessionContext> {
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(GreedyMemoryPool::new(RUN_MEMORY_BYTES_MAX)))
        .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled))
        .build_arc()
        .map_err(from_datafusion)?;
    let state = SessionStateBuilder::new_from_existing(spark_session().state()).with_runtime_env(runtime).build();
    Ok(SessionContext::new_with_state(state))
}

/// A batch of the query as rows of the report: the columns in order, under the report's names and types.
fn into_report(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    if batch.num_columns() != schema.fields().len() {
        return Err(Error::internal(format!("the query gives {} columns, the report has {}", batch.num_columns(), schema.fields().len())));
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| {
        let column = cast_with_options(column, field.data_type(), &options)
            .map_err(|e| Error::from(e).context(format!("column {} as {}", field.name(), field.data_type())))?;
        if !field.is_nullable() && column.null_count() > 0 {
            return Err(Error::invalid(format!("column {} is NOT NULL, and the query gives a null in it", field.name())));
        }
        Ok(column)
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema.clone(), columns, &options)?)
}
