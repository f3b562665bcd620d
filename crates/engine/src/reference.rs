//! [`ReferenceTables`]: the pipeline's reference data in memory, looked at for changes in the background. It knows the port
//! [`ReferenceSource`], and neither where the data comes from nor who joins it.
//!
//! A table is swapped whole: a reader that holds [`ReferenceRows`] keeps what it holds, the next [`ReferenceTables::get`] gives the new
//! rows. When a source can't be read its last rows stay, and [`ReferenceTables::status`] says so.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::SchemaRef;
use futures::future::join_all;
use millstream_core::ports::{Clock, ReferenceSource};
use millstream_core::{Error, Result, TableSpec, Timestamp};
use millstream_pipeline::graph::{Binding, Pipeline};
use tokio_util::sync::CancellationToken;

use crate::engine::Ports;
use crate::patience::Patience;

/// A reference table's rows, as one look at its source found them.
#[derive(Clone, Debug)]
pub struct ReferenceRows {
    /// All rows, of `schema`.
    pub batches: Arc<[RecordBatch]>,
    /// The table's columns.
    pub schema: SchemaRef,
    /// Rises whenever the data has changed since the process started; the first is 1.
    pub generation: u64,
}

impl ReferenceRows {
    /// How many rows there are.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }
}

/// How a reference table stands.
#[derive(Clone, Debug)]
pub struct ReferenceStatus {
    /// The table's name.
    pub table: String,
    /// How many rows it has.
    pub rows: usize,
    /// See [`ReferenceRows::generation`].
    pub generation: u64,
    /// When its source was last looked at with success.
    pub checked: Timestamp,
    /// Why it could not be looked at since then, and when that was.
    pub last_error: Option<(Timestamp, String)>,
}

/// All reference tables of a pipeline.
pub struct ReferenceTables {
    tables: BTreeMap<String, ReferenceTable>,
    clock: Arc<dyn Clock>,
}

struct ReferenceTable {
    spec: Arc<TableSpec>,
    source: Arc<dyn ReferenceSource>,
    refresh: Duration,
    held: RwLock<Held>,
    /// Tells of an outage now and then, and not at every look.
    patience: Patience,
}

#[derive(Clone)]
struct Held {
    rows: Arc<ReferenceRows>,
    revision: String,
    checked: Timestamp,
    last_error: Option<(Timestamp, String)>,
}

impl ReferenceTables {
    /// Loads all reference tables of `pipeline`, and waits for sources that don't answer. Fails if one can't be loaded: a flow that joins it
    /// could only give wrong rows.
    pub async fn open(pipeline: &Pipeline, ports: &Ports) -> Result<Arc<Self>> {
        let mut tables = BTreeMap::new();
        for (name, table) in &pipeline.tables {
            let Binding::Reference(reference) = &table.binding else { continue };
            let source = ports
                .references
                .get(name)
                .cloned()
                .ok_or_else(|| Error::internal(format!("no source was wired for reference table {name}")))?;
            let patience = Patience::new(format!("reference table {name}"), ports.clock.clone());
            let (revision, rows) = patience
                .until_answered(|| async {
                    let revision = source.revision().await.map_err(|e| e.context(format!("reference table {name}")))?;
                    Ok((revision, load(&table.spec, source.as_ref(), 1).await?))
                })
                .await?;
            let held = Held { rows: Arc::new(rows), revision, checked: ports.clock.now(), last_error: None };
            let loaded = ReferenceTable { spec: table.spec.clone(), source, refresh: reference.refresh, held: RwLock::new(held), patience };
            tables.insert(name.clone(), loaded);
        }
        Ok(Arc::new(Self { tables, clock: ports.clock.clone() }))
    }

    /// The rows of `table` now.
    pub fn get(&self, table: &str) -> Result<Arc<ReferenceRows>> {
        Ok(self.table(table)?.held().rows)
    }

    /// How every table stands, by name.
    #[must_use]
    pub fn status(&self) -> Vec<ReferenceStatus> {
        let status = |(name, table): (&String, &ReferenceTable)| {
            let held = table.held();
            ReferenceStatus {
                table: name.clone(),
                rows: held.rows.rows(),
                generation: held.rows.generation,
                checked: held.checked,
                last_error: held.last_error,
            }
        };
        self.tables.iter().map(status).collect()
    }

    /// Looks at the source of `table` now, and loads it if it has changed. Whether it had.
    pub async fn refresh(&self, table: &str) -> Result<bool> {
        self.table(table)?.refresh(self.clock.as_ref()).await
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
        self.tables.get(name).ok_or_else(|| Error::not_found(format!("there is no reference table {name}")))
    }
}

impl ReferenceTable {
    fn held(&self) -> Held {
        self.held.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    fn hold(&self, held: Held) {
        *self.held.write().unwrap_or_else(std::sync::PoisonError::into_inner) = held;
    }

    async fn refresh(&self, clock: &dyn Clock) -> Result<bool> {
        let old = self.held();
        match self.look(&old).await {
            Ok(new) => {
                let changed = new.is_some();
                let (rows, revision) = new.unwrap_or((old.rows, old.revision));
                self.hold(Held { rows, revision, checked: clock.now(), last_error: None });
                Ok(changed)
            }
            Err(error) => {
                self.hold(Held { last_error: Some((clock.now(), error.to_string())), ..old });
                Err(error)
            }
        }
    }

    /// The new rows, if there are any. The revision is asked for before the rows: a change in between shows at the next look.
    async fn look(&self, old: &Held) -> Result<Option<(Arc<ReferenceRows>, String)>> {
        let revision = self.source.revision().await.map_err(|e| e.context(format!("reference table {}", self.spec.name)))?;
        if revision == old.revision {
            return Ok(None);
        }
        let rows = load(&self.spec, self.source.as_ref(), old.rows.generation + 1).await?;
        Ok(Some((Arc::new(rows), revision)))
    }
}

async fn load(spec: &TableSpec, source: &dyn ReferenceSource, generation: u64) -> Result<ReferenceRows> {
    let context = |e: Error| e.context(format!("reference table {}", spec.name));
    let batches = source.load().await.map_err(context)?;
    let batches: Vec<_> = batches.iter().map(|b| fit(b, &spec.schema)).collect::<Result<_>>().map_err(context)?;
    Ok(ReferenceRows { batches: batches.into(), schema: spec.schema.clone(), generation })
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
