//! [`LakeTableStore`]: streaming tables `USING parquet`, each a folder of Parquet files with a manifest that says what counts.
//!
//! An epoch's rows are put into a small *staged* file; the *manifest* with the next number, put where there is none, commits them: it names
//! the file and how far each flow has come. When enough is staged, or something for long enough, a roll makes one *data file* of the staged
//! ones: it is first set aside in a manifest, then written, then counted in the next manifest. A data file's rows are thus always
//! committed, each is in one data file only, and data files never change; so a reader that knows no manifest (Spark, DuckDB) sees no row twice
//! and none that could go away again when it reads `data/`. Whatever dies in between leaves files that no manifest names.
//!
//! `manifest` decides, `folder` says where things lie, `parquet` is the files' form; `roll` keeps a table in order.

mod folder;
mod manifest;
mod parquet;
mod roll;

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use millstream_core::admission::Admission;
use millstream_core::batches::BatchStream;
use millstream_core::ports::{Clock, EpochSink, EpochWrite, LakeStore};
use millstream_core::table::project_schema;
use millstream_core::{Attempt, ChangeKind, Epoch, Error, FlowId, Result, TableSpec};
use object_store::ObjectStore;
use tokio::sync::{Mutex, Notify};

use self::folder::Folder;
use self::manifest::{Manifest, Staged};
pub use self::roll::Maintained;
use super::client::LakeClient;
use super::location::LakeLocation;
use super::settings::LakeSettings;

/// How often the tables are looked at.
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(10);

/// When so many times the size of a data file is staged, commits wait for the roll: nobody else does it.
const BACKLOG_MOST: u64 = 4;

/// Streaming tables in a lake. Several processes may write to one table; of one flow only the latest attempt does.
pub struct LakeTableStore {
    settings: Arc<LakeSettings>,
    root: LakeLocation,
    bound: BTreeMap<String, LakeLocation>,
    /// All tables lie in this store, which was built elsewhere.
    store: Option<Arc<dyn ObjectStore>>,
    clock: Arc<dyn Clock>,
    tables: RwLock<HashMap<String, Arc<Table>>>,
    /// Rung when a table has enough to roll.
    due: Notify,
}

/// A table that was made known.
struct Table {
    spec: TableSpec,
    folder: Folder,
    /// The latest manifest that this process has seen; held by whoever writes the next one.
    latest: Mutex<Latest>,
    /// Held by whoever rolls.
    roll: Mutex<roll::Graveyard>,
}

/// A manifest and its number; 0 is the empty one that every table begins with.
#[derive(Clone, Debug, Default)]
struct Latest {
    number: u64,
    manifest: Arc<Manifest>,
}

impl LakeTableStore {
    /// The tables in folders of their names at `root`, and those in `bound` where that says. Connects to nothing yet.
    /// [`InvalidInput`](millstream_core::ErrorKind::InvalidInput) for settings that can't work.
    pub fn new(
        settings: Arc<LakeSettings>,
        root: LakeLocation,
        bound: BTreeMap<String, LakeLocation>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        settings.validate()?;
        Ok(Self { settings, root, bound, store: None, clock, tables: RwLock::default(), due: Notify::new() })
    }

    /// The tables in `store`, which was built elsewhere; `root` says where in it.
    pub fn in_store(store: Arc<dyn ObjectStore>, settings: Arc<LakeSettings>, root: LakeLocation, clock: Arc<dyn Clock>) -> Result<Self> {
        Ok(Self { store: Some(store), ..Self::new(settings, root, BTreeMap::new(), clock)? })
    }

    /// Keeps the tables in order until `shutdown`: rolls what is due and removes what no longer counts.
    pub async fn run(&self, shutdown: impl Future<Output = ()> + Send) {
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => return,
                () = self.clock.sleep(MAINTENANCE_INTERVAL) => {}
                () = self.due.notified() => {}
            }
            tokio::select! {
                () = &mut shutdown => return,
                done = self.maintain() => if let Err(error) = done {
                    tracing::warn!(%error, "lake tables can't be kept in order at the moment, it is tried again");
                }
            }
        }
    }

    /// One pass over all tables that were made known. A table that fails doesn't keep the others from being looked at.
    pub async fn maintain(&self) -> Result<Maintained> {
        let tables: Vec<Arc<Table>> = self.tables.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        let mut sum = Maintained::default();
        let mut failed = None;
        for table in tables {
            let name = &table.spec.name;
            match table.maintain(&self.settings, self.clock.as_ref()).await {
                Ok(done) => sum += done,
                Err(e) => failed = failed.or(Some(e.context(format!("lake table {name}")))),
            }
        }
        failed.map_or(Ok(sum), Err)
    }

    fn table(&self, name: &str) -> Result<Arc<Table>> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        tables.get(name).cloned().ok_or_else(|| Error::not_found(format!("table {name} does not exist in the lake")))
    }

    /// How the folder of table `name` is reached.
    fn client(&self, name: &str) -> LakeClient {
        let location = self.bound.get(name).cloned().unwrap_or_else(|| self.root.join(name));
        match &self.store {
            Some(store) => LakeClient::of_store(store.clone(), location, self.settings.clone()),
            None => LakeClient::new(location, self.settings.clone()),
        }
    }
}

#[async_trait]
impl LakeStore for LakeTableStore {
    async fn ensure_table(&self, spec: &TableSpec) -> Result<()> {
        super::check_table(spec)?;
        let folder = Folder::ensure(self.client(&spec.name), spec, self.clock.now()).await?;
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        let known = tables.get(&spec.name).is_some_and(|table| table.folder.id() == folder.id());
        if !known {
            let (latest, roll) = (Mutex::default(), Mutex::default());
            tables.insert(spec.name.clone(), Arc::new(Table { spec: spec.clone(), folder, latest, roll }));
        }
        Ok(())
    }

    async fn scan(&self, table: &str, columns: Option<Vec<usize>>) -> Result<BatchStream> {
        let table = self.table(table)?;
        let schema = project_schema(&table.spec.schema, columns.as_deref())?;
        let manifest = table.folder.latest(Latest::default()).await?.manifest;
        let data = (1..=manifest.rolled.files).map(File::Data);
        let staged: Vec<File> = manifest.rolling.iter().chain(&manifest.staged).cloned().map(File::Staged).collect();
        let reader = Arc::new(Reader { table, schema, columns });
        // The next file is fetched while one is read.
        let files = futures::stream::iter(data.chain(staged)).map(move |file| {
            let reader = reader.clone();
            async move { reader.read(file).await }
        });
        Ok(files.buffered(2).try_flatten().boxed())
    }

    async fn drop_table(&self, table: &str) -> Result<()> {
        Folder::remove(self.client(table)).await?;
        self.tables.write().unwrap_or_else(PoisonError::into_inner).remove(table);
        Ok(())
    }
}

/// A file that counts.
enum File {
    Data(u64),
    Staged(Staged),
}

/// How a scan reads files.
struct Reader {
    table: Arc<Table>,
    schema: SchemaRef,
    columns: Option<Vec<usize>>,
}

impl Reader {
    async fn read(&self, file: File) -> Result<BatchStream> {
        let folder = &self.table.folder;
        let (name, bytes) = match file {
            File::Data(number) => folder.read_data(number).await?,
            File::Staged(staged) => folder.read_staged(&staged).await?,
        };
        parquet::read(name, bytes, &self.table.spec.schema, self.columns.as_deref(), self.schema.clone())
    }
}

#[async_trait]
impl EpochSink for LakeTableStore {
    async fn begin(&self, flow: &FlowId, attempt: Attempt, table: &str) -> Result<Epoch> {
        let table = self.table(table)?;
        let mut latest = table.latest.lock().await;
        *latest = table.folder.latest(latest.clone()).await?;
        loop {
            let (epoch, next) = latest.manifest.begin(&table.spec.name, flow, attempt)?;
            let Some(next) = next else { return Ok(epoch) };
            table.folder.append(&mut latest, next).await?;
        }
    }

    async fn commit(&self, write: EpochWrite) -> Result<u64> {
        let table = self.table(&write.table)?;
        let rows = table.rows_of(&write)?;
        let added = table.commit(&write, rows, self.clock.as_ref()).await?;
        let staged = table.latest.lock().await.manifest.staged_bytes();
        if staged >= self.settings.roll_bytes {
            self.due.notify_one();
        }
        if staged >= self.settings.roll_bytes.saturating_mul(BACKLOG_MOST) {
            // The epoch is committed whatever comes of this.
            if let Err(error) = table.roll(&self.settings, self.clock.as_ref()).await {
                tracing::warn!(table = write.table, %error, "staged files of a lake table can't be rolled at the moment");
            }
        }
        Ok(added)
    }
}

impl Table {
    /// The rows that `write` adds, with the table's columns. Refuses deletes and other columns.
    fn rows_of(&self, write: &EpochWrite) -> Result<Vec<RecordBatch>> {
        let schema = &self.spec.schema;
        let shape = |s: &SchemaRef| s.fields().iter().map(|f| (f.name().clone(), f.data_type().clone())).collect::<Vec<_>>();
        let mut rows = Vec::new();
        for changes in &write.changes {
            if changes.kinds().values().contains(&ChangeKind::Delete.code()) {
                return Err(Error::invalid(format!(
                    "flow {} deletes a row of lake table {}, to which rows can only be added: keep deletes out with WHERE, or write to a table \
                     with a key",
                    write.flow, write.table
                )));
            }
            if shape(&changes.rows().schema()) != shape(schema) {
                return Err(Error::invalid(format!("flow {} writes other columns than lake table {} has", write.flow, write.table)));
            }
            if !changes.is_empty() {
                let misfit = |e| Error::invalid(format!("rows of flow {} don't fit lake table {}", write.flow, write.table)).caused_by(e);
                rows.push(RecordBatch::try_new(schema.clone(), changes.rows().columns().to_vec()).map_err(misfit)?);
            }
        }
        Ok(rows)
    }

    async fn commit(&self, write: &EpochWrite, rows: Vec<RecordBatch>, clock: &dyn Clock) -> Result<u64> {
        let count: u64 = rows.iter().map(|b| b.num_rows() as u64).sum();
        let mut latest = self.latest.lock().await;
        let mut rows = Some(rows);
        let mut staged: Option<Staged> = None;
        let mut fresh = false;
        loop {
            if !fresh && latest.manifest.leaves_gap(write) {
                *latest = self.folder.latest(latest.clone()).await?;
            }
            // Another process may have rolled what this call has committed; that it was this call is certain then, too: nobody else has the
            // attempt.
            if latest.manifest.admit(write)? == Admission::Done {
                return Ok(if rows.is_none() { count } else { 0 });
            }
            if let Some(rows) = rows.take()
                && count > 0
            {
                let bytes = parquet::encode(self.spec.schema.clone(), rows).await?;
                staged = Some(self.stage(write, count, bytes, clock).await?);
            }
            let next = latest.manifest.commit(write, staged.clone());
            if self.folder.append(&mut latest, next).await? {
                return Ok(count);
            }
            fresh = true;
        }
    }

    /// Puts an epoch's rows where no reader looks.
    async fn stage(&self, write: &EpochWrite, rows: u64, bytes: Bytes, clock: &dyn Clock) -> Result<Staged> {
        let staged = Staged {
            flow: write.flow.clone(),
            attempt: write.attempt,
            epoch: write.epoch,
            rows,
            bytes: bytes.len() as u64,
            crc32c: crc32c::crc32c(&bytes),
            since: clock.now().0,
        };
        self.folder.write_staged(&staged, bytes).await?;
        Ok(staged)
    }
}

#[cfg(test)]
mod tests;
