//! [`ReferenceTables`]: what flows join as it is, in memory: the pipeline's reference data, and the reports that flows join. It is looked at for
//! changes in the background. It knows the ports [`ReferenceSource`] and `ReportStore`, and neither where the data comes from nor who joins it.
//!
//! A table is swapped whole: a reader that holds [`ReferenceRows`] keeps what it holds, the next [`ReferenceTables::get`] gives the new
//! rows. When a source can't be read its last rows stay, and [`ReferenceTables::status`] says so.
//!
//! A report is also looked at as soon as a run of this process has published it. Before it was published once there is nothing to join, and
//! nothing is taken for an empty report: whoever needs it waits ([`ReferenceTables::until_published`]).

mod report;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::SchemaRef;
use futures::future::join_all;
use millstream_core::ports::{Clock, ReferenceSource};
use millstream_core::status::ReferenceStatus;
use millstream_core::{Error, Result, TableSpec, Timestamp};
use millstream_pipeline::graph::{Binding, Pipeline};
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

use crate::engine::Ports;
use crate::patience::Patience;
use report::PublishedReport;

/// So often it is asked whether another process has published a report.
const REPORT_REFRESH: Duration = Duration::from_secs(60);

/// A reference table's rows, as one look at its source found them.
#[derive(Clone, Debug)]
pub struct ReferenceRows {
    /// All rows, of `schema`.
    pub batches: Arc<[RecordBatch]>,
    /// The table's columns; of a report, those that flows read.
    pub schema: SchemaRef,
    /// Rises whenever the data has changed since the process started; the first is 1. 0: a report that was never published.
    pub generation: u64,
    /// What its source said to tell them from others by: of a report, the run that published it.
    pub revision: Option<String>,
}

impl ReferenceRows {
    /// How many rows there are.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }
}

/// What every table held at one moment: whoever looks up a table twice finds the same rows.
#[derive(Clone, Debug)]
pub struct ReferencesNow(BTreeMap<String, Arc<ReferenceRows>>);

impl ReferencesNow {
    /// The rows of `table`. [`Unavailable`](millstream_core::ErrorKind::Unavailable) for a report that was never published.
    pub fn get(&self, table: &str) -> Result<&Arc<ReferenceRows>> {
        let rows = self.0.get(table).ok_or_else(|| no_table(table))?;
        if rows.generation == 0 { Err(never_published(table)) } else { Ok(rows) }
    }
}

/// All reference tables of a pipeline, and the reports that its flows join.
pub struct ReferenceTables {
    tables: BTreeMap<String, ReferenceTable>,
    clock: Arc<dyn Clock>,
}

struct ReferenceTable {
    spec: Arc<TableSpec>,
    origin: Origin,
    refresh: Duration,
    held: watch::Sender<Held>,
    /// Held by who looks: of two looks side by side, the older one could come last.
    looks: Mutex<()>,
    /// Tells of an outage now and then, and not at every look.
    patience: Patience,
}

/// Where rows come from.
enum Origin {
    Data(Arc<dyn ReferenceSource>),
    Report(PublishedReport),
}

#[derive(Clone)]
struct Held {
    rows: Arc<ReferenceRows>,
    checked: Timestamp,
    failure: Option<Failure>,
}

/// Looks at a source that failed, one after the other.
#[derive(Clone)]
struct Failure {
    since: Timestamp,
    last: Timestamp,
    why: String,
}

fn no_table(name: &str) -> Error {
    Error::not_found(format!("there is no reference table {name}"))
}

fn never_published(report: &str) -> Error {
    Error::unavailable(format!("report {report} was never published: `millstream refresh {report}` publishes it now"))
}

impl ReferenceTables {
    /// Loads all reference tables of `pipeline` and the reports that its flows join, and waits for sources that don't answer. Fails if one can't be
    /// loaded: a flow that joins it could only give wrong rows.
    pub async fn open(pipeline: &Pipeline, ports: &Ports) -> Result<Arc<Self>> {
        let mut tables = BTreeMap::new();
        for (name, table) in &pipeline.tables {
            let loaded = match &table.binding {
                Binding::Reference(reference) => {
                    let source = ports
                        .references
                        .get(name)
                        .cloned()
                        .ok_or_else(|| Error::internal(format!("no source was wired for reference table {name}")))?;
                    ReferenceTable::new(table.spec.clone(), Origin::Data(source), reference.refresh, &ports.clock)
                }
                Binding::Report => {
                    let Some(columns) = report::columns_joined(pipeline, &table.spec) else { continue };
                    let schema = Arc::new(table.spec.schema.project(&columns)?);
                    let spec = Arc::new(TableSpec { schema, ..table.spec.as_ref().clone() });
                    let report = PublishedReport::new(ports.reports.clone(), &spec, columns);
                    ReferenceTable::new(spec, Origin::Report(report), REPORT_REFRESH, &ports.clock)
                }
                _ => continue,
            };
            loaded.patience.until_answered(|| loaded.refresh(ports.clock.as_ref())).await?;
            tables.insert(name.clone(), loaded);
        }
        Ok(Arc::new(Self { tables, clock: ports.clock.clone() }))
    }

    /// The rows of `table` now. [`Unavailable`](millstream_core::ErrorKind::Unavailable) for a report that was never published.
    pub fn get(&self, table: &str) -> Result<Arc<ReferenceRows>> {
        let rows = self.table(table)?.held().rows;
        if rows.generation == 0 { Err(never_published(table)) } else { Ok(rows) }
    }

    /// The rows of all tables.
    #[must_use]
    pub fn now(&self) -> ReferencesNow {
        ReferencesNow(self.tables.iter().map(|(name, table)| (name.clone(), table.held().rows)).collect())
    }

    /// Waits until `report` was published once.
    pub async fn until_published(&self, report: &str) -> Result<()> {
        let mut held = self.table(report)?.held.subscribe();
        let published = held.wait_for(|held| held.rows.generation > 0).await.map(drop);
        published.map_err(|_| Error::internal(format!("nobody looks at report {report} any more")))
    }

    /// The runs that published the reports among `tables`, as they are held now.
    #[must_use]
    pub fn runs(&self, tables: &[String]) -> BTreeMap<String, String> {
        self.revisions_where(tables, |origin| matches!(origin, Origin::Report(_)))
    }

    /// What tells the reference data among `tables`, as it is held now, from what it was before.
    #[must_use]
    pub fn revisions(&self, tables: &[String]) -> BTreeMap<String, String> {
        self.revisions_where(tables, |origin| matches!(origin, Origin::Data(_)))
    }

    fn revisions_where(&self, tables: &[String], is_meant: impl Fn(&Origin) -> bool) -> BTreeMap<String, String> {
        let revision = |name: &String| {
            let table = self.tables.get(name).filter(|table| is_meant(&table.origin))?;
            Some((name.clone(), table.held().rows.revision.clone()?))
        };
        tables.iter().filter_map(revision).collect()
    }

    /// How every table stands, by name.
    #[must_use]
    pub fn status(&self) -> Vec<ReferenceStatus> {
        let status = |(name, table): (&String, &ReferenceTable)| {
            let Held { rows, checked, failure } = table.held();
            let missing = (rows.generation == 0).then(|| (checked, never_published(name).to_string()));
            ReferenceStatus {
                table: name.clone(),
                rows: rows.rows() as u64,
                generation: rows.generation,
                checked,
                failing_since: failure.as_ref().map(|failure| failure.since),
                last_error: failure.map(|failure| (failure.last, failure.why)).or(missing),
            }
        };
        self.tables.iter().map(status).collect()
    }

    /// Looks at the source of `table` now, and loads it if it has changed. Whether it had.
    pub async fn refresh(&self, table: &str) -> Result<bool> {
        self.table(table)?.refresh(self.clock.as_ref()).await
    }

    /// A run has published `report`: if flows join it, they have it from now on.
    pub async fn published(&self, report: &str) {
        let Some(table) = self.tables.get(report) else { return };
        if let Err(error) = table.refresh(self.clock.as_ref()).await {
            tracing::warn!(report, %error, "a report was published and can't be read yet: flows join the old rows until the next look");
        }
    }

    /// Looks at every table as often as its `refresh` says, until `shutdown`.
    pub async fn run(&self, shutdown: CancellationToken) {
        let loops = self.tables.values().map(|table| async {
            loop {
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = self.clock.sleep(table.refresh) => {}
                }
                match table.refresh(self.clock.as_ref()).await {
                    // It was told of, and the next look is the next try.
                    Err(error) if table.patience.failed(&error).is_some() => continue,
                    Ok(true) => tracing::info!(table = table.spec.name, rows = table.held().rows.rows(), "reference data has changed"),
                    Ok(false) => {}
                    Err(error) => tracing::warn!(table = table.spec.name, %error, "reference data can't be refreshed, the old rows stay"),
                }
                table.patience.answered();
            }
        });
        join_all(loops).await;
    }

    fn table(&self, name: &str) -> Result<&ReferenceTable> {
        self.tables.get(name).ok_or_else(|| no_table(name))
    }
}

impl Origin {
    /// What tells its rows from those of another moment; `None` for a report that was never published.
    async fn revision(&self) -> Result<Option<String>> {
        match self {
            Self::Data(source) => source.revision().await.map(Some),
            Self::Report(report) => report.revision().await,
        }
    }

    async fn load(&self) -> Result<Vec<RecordBatch>> {
        match self {
            Self::Data(source) => source.load().await,
            Self::Report(report) => report.load().await,
        }
    }

    /// What it is called in messages.
    fn kind(&self) -> &'static str {
        match self {
            Self::Data(_) => "reference table",
            Self::Report(_) => "report",
        }
    }
}

impl ReferenceTable {
    /// One that was not looked at yet.
    fn new(spec: Arc<TableSpec>, origin: Origin, refresh: Duration, clock: &Arc<dyn Clock>) -> Self {
        let patience = Patience::new(format!("{} {}", origin.kind(), spec.name), clock.clone());
        let rows = ReferenceRows { batches: Arc::from(Vec::new()), schema: spec.schema.clone(), generation: 0, revision: None };
        let held = watch::Sender::new(Held { rows: Arc::new(rows), checked: clock.now(), failure: None });
        Self { spec, origin, refresh, held, looks: Mutex::new(()), patience }
    }

    fn held(&self) -> Held {
        self.held.borrow().clone()
    }

    async fn refresh(&self, clock: &dyn Clock) -> Result<bool> {
        let _turn = self.looks.lock().await;
        let old = self.held();
        match self.look(&old.rows).await {
            Ok(new) => {
                let changed = new.is_some();
                self.held.send_replace(Held { rows: new.unwrap_or(old.rows), checked: clock.now(), failure: None });
                Ok(changed)
            }
            Err(error) => {
                let error = error.context(format!("{} {}", self.origin.kind(), self.spec.name));
                let last = clock.now();
                let since = old.failure.as_ref().map_or(last, |failure| failure.since);
                self.held.send_replace(Held { failure: Some(Failure { since, last, why: error.to_string() }), ..old });
                Err(error)
            }
        }
    }

    /// The new rows, if there are any. The revision is asked for before the rows: a change in between shows at the next look. The rows of a report are told by
    /// their run, so where one was published in between they are loaded again.
    async fn look(&self, old: &ReferenceRows) -> Result<Option<Arc<ReferenceRows>>> {
        let mut revision = self.origin.revision().await?;
        let batches = loop {
            if revision.is_none() || revision == old.revision {
                return Ok(None);
            }
            let batches = self.origin.load().await?;
            let Origin::Report(report) = &self.origin else { break batches };
            let now = report.revision().await?;
            if now == revision {
                break batches;
            }
            revision = now;
        };
        let batches: Vec<_> = batches.iter().map(|b| fit(b, &self.spec.schema)).collect::<Result<_>>()?;
        let (schema, generation) = (self.spec.schema.clone(), old.generation + 1);
        Ok(Some(Arc::new(ReferenceRows { batches: batches.into(), schema, generation, revision })))
    }
}

/// `batch` with the columns of `schema`: found by name, cast to their types; a value that a type can't hold is an error.
pub(crate) fn fit(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let columns = schema
        .fields()
        .iter()
        .map(|field| {
            let column =
                batch.column_by_name(field.name()).ok_or_else(|| Error::invalid(format!("the data has no column {}", field.name())))?;
            let fitted = cast_with_options(column, field.data_type(), &options)
                .map_err(|e| Error::from(e).context(format!("column {} as {}", field.name(), field.data_type())))?;
            if !field.is_nullable() && fitted.null_count() > 0 {
                return Err(Error::invalid(format!("column {} is NOT NULL, and the data has a null in it", field.name())));
            }
            Ok(fitted)
        })
        .collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema.clone(), columns, &options)?)
}

#[cfg(test)]
mod tests;
