//! [`EmbeddedCriticalStore`]: critical events, box 9: rows by key in the database, behind an in-memory front for single reads.
//!
//! The front holds rows that were read, bounded by bytes; a write takes its keys out. So that no reader puts back what a writer has just
//! replaced, readers fill the front under the shared side of a table's lock, and writers commit under its other side.

use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use millstream_core::admission::{Admission, FlowProgress};
use millstream_core::batches::BatchStream;
use millstream_core::ports::{Clock, CriticalRow, CriticalStore, EpochSink, EpochWrite};
use millstream_core::{Attempt, Epoch, Error, FlowId, Result, TableSpec, Timestamp, Value, Version};
use moka::sync::Cache;

use super::database::{Store, blocking};
use super::epochs;
use super::error::During;
use super::keyed_table::{EncodedChanges, KeyedTable};
use super::registry::{Registered, Registry, sweep};
use super::row_codec::{RowDecoder, Stored};
use super::snapshot::{Wanted, send_rows, stream};

type Front = Cache<Vec<u8>, CriticalRow>;

/// The built-in store of critical events.
pub struct EmbeddedCriticalStore {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    pub(super) tables: Arc<Registry<CriticalTable>>,
    front: Front,
}

/// A table of critical events that is open.
pub(super) struct CriticalTable {
    pub keyed: KeyedTable,
    /// Shared: reading a row and putting it into the front. Alone: writing rows and taking them out of the front.
    coherence: RwLock<()>,
}

impl Registered for CriticalTable {
    fn open(_: &Arc<Store>, id: u32, spec: TableSpec) -> Result<Self> {
        Ok(Self { keyed: KeyedTable::new(id, spec)?, coherence: RwLock::default() })
    }

    fn spec(&self) -> &TableSpec {
        &self.keyed.spec
    }

    fn id(&self) -> u32 {
        self.keyed.id
    }
}

impl CriticalTable {
    /// Runs `write`, and then takes `keys` out of the front, while nobody fills it.
    fn write_through<'a, T>(&self, front: &Front, keys: impl Iterator<Item = &'a [u8]>, write: impl FnOnce() -> Result<T>) -> Result<T> {
        // The lock guards no data of its own, so a panic of another holder leaves nothing half done.
        let _alone = self.coherence.write().unwrap_or_else(PoisonError::into_inner);
        let result = write();
        keys.for_each(|key| front.invalidate(key));
        result
    }
}

impl EmbeddedCriticalStore {
    pub(super) fn new(store: Arc<Store>, clock: Arc<dyn Clock>, tables: Arc<Registry<CriticalTable>>, front_bytes: u64) -> Self {
        let weigh = |key: &Vec<u8>, row: &CriticalRow| u32::try_from(key.len() + row.row.get_array_memory_size() + 128).unwrap_or(u32::MAX);
        Self { store, clock, tables, front: Cache::builder().max_capacity(front_bytes).weigher(weigh).build() }
    }
}

fn decode(table: &KeyedTable, value: &[u8]) -> Result<Option<CriticalRow>> {
    let Stored::Row { version, .. } = Stored::parse(value)? else { return Ok(None) };
    let mut rows = RowDecoder::new(&table.rows, None, false, 1)?;
    rows.push(value)?;
    let expires = table.spec.ttl.map(|ttl| Timestamp(version.plus(ttl).0));
    Ok(Some(CriticalRow { row: rows.finish()?, version, expires }))
}

fn has_expired(row: &CriticalRow, now: Timestamp) -> bool {
    row.expires.is_some_and(|at| at <= now)
}

fn load(store: &Store, front: &Front, table: &CriticalTable, key: Vec<u8>) -> Result<Option<CriticalRow>> {
    let _shared = table.coherence.read().unwrap_or_else(PoisonError::into_inner);
    let Some(value) = store.critical.get(&key).during("reading a critical event")? else { return Ok(None) };
    let row = decode(&table.keyed, &value)?;
    if let Some(row) = &row {
        front.insert(key, row.clone());
    }
    Ok(row)
}

fn commit(store: &Store, front: &Front, table: &CriticalTable, now: Timestamp, write: &EpochWrite) -> Result<u64> {
    let changes = EncodedChanges::encode(&table.keyed, &write.changes)?;
    table.keyed.exclusively(|| {
        let progress = epochs::read(store, table.keyed.id, &write.flow)?;
        if progress.admit(write)? == Admission::Done {
            return Ok(0);
        }
        let mut batch = store.batch(changes.len() + 1);
        let net = changes.fold_into(&mut batch, store, &store.critical, &table.keyed, table.keyed.expiry(now))?;
        epochs::put(&mut batch, store, table.keyed.id, &write.flow, FlowProgress::after(write));
        table.write_through(front, changes.distinct_keys(), || store.commit(batch))?;
        Ok(net.len() as u64)
    })
}

fn fill(store: &Store, front: &Front, table: &CriticalTable, now: Timestamp, row: &CriticalRow) -> Result<()> {
    let keyed = &table.keyed;
    if row.row.num_rows() != 1 {
        return Err(Error::invalid(format!("table {}: a fill of {} rows, not one", keyed.spec.name, row.row.num_rows())));
    }
    keyed.rows.check(&keyed.spec.name, &row.row, &[])?;
    if keyed.expiry(now).is_expired(row.version) {
        return Ok(());
    }
    let mut key = Vec::new();
    keyed.keys.cells(&row.row)?.put(0, &mut key)?;
    let encoded = keyed.rows.encode(&row.row, &[row.version.0], &[])?;
    keyed.exclusively(|| {
        let stored = store.critical.get(&key).during("reading the row that a fill meets")?;
        let stands: Option<Version> = stored.map(|value| Stored::parse(&value).map(|s| s.version())).transpose()?;
        if stands.is_some_and(|version| version >= row.version) {
            return Ok(());
        }
        let mut batch = store.batch(1);
        batch.insert(&store.critical, key.as_slice(), encoded.row(0));
        keyed.note_key(&key)?;
        keyed.note_garbage(keyed.expiry(now).gone_at(row.version));
        table.write_through(front, std::iter::once(key.as_slice()), || store.commit(batch))
    })
}

/// Removes all rows of a table; what was deleted stays remembered.
fn evict(store: &Store, front: &Front, table: &CriticalTable) -> Result<()> {
    const ROWS_A_BATCH: usize = 10_000;
    let mut prefix = Vec::new();
    table.keyed.keys.put_table(&mut prefix);
    table.keyed.exclusively(|| {
        table.write_through(front, std::iter::empty(), || {
            let mut batch = store.batch(ROWS_A_BATCH);
            for entry in store.critical.prefix(&prefix) {
                let (key, value) = entry.into_inner().during("evicting critical events")?;
                if matches!(Stored::parse(&value)?, Stored::Row { .. }) {
                    batch.remove(&store.critical, key);
                }
                if batch.len() == ROWS_A_BATCH {
                    store.commit_anyway(std::mem::replace(&mut batch, store.batch(ROWS_A_BATCH)))?;
                }
            }
            store.commit_anyway(batch)?;
            // Rows of other tables go too: it is a cache, and they come back when they are read.
            front.invalidate_all();
            Ok(())
        })
    })
}

#[async_trait]
impl EpochSink for EmbeddedCriticalStore {
    async fn begin(&self, flow: &FlowId, attempt: Attempt, table: &str) -> Result<Epoch> {
        let (store, table, flow) = (self.store.clone(), self.tables.get(table)?, flow.clone());
        blocking(move || epochs::begin(&store, &table.keyed, &flow, attempt)).await
    }

    async fn commit(&self, write: EpochWrite) -> Result<u64> {
        let (store, front, table) = (self.store.clone(), self.front.clone(), self.tables.get(&write.table)?);
        let now = self.clock.now();
        blocking(move || commit(&store, &front, &table, now, &write)).await
    }
}

#[async_trait]
impl CriticalStore for EmbeddedCriticalStore {
    async fn ensure_table(&self, spec: &TableSpec) -> Result<()> {
        let (tables, spec) = (self.tables.clone(), spec.clone());
        blocking(move || tables.ensure(&spec)).await
    }

    async fn get(&self, table: &str, key: &[Value]) -> Result<Option<CriticalRow>> {
        let table = self.tables.get(table)?;
        let mut bytes = Vec::with_capacity(64);
        table.keyed.keys.put_key(key, &mut bytes)?;
        let row = match self.front.get(&bytes) {
            Some(row) => Some(row),
            None => {
                let (store, front) = (self.store.clone(), self.front.clone());
                blocking(move || load(&store, &front, &table, bytes)).await?
            }
        };
        let now = self.clock.now();
        Ok(row.filter(|row| !has_expired(row, now)))
    }

    async fn fill(&self, table: &str, row: &CriticalRow) -> Result<()> {
        let (store, front, table) = (self.store.clone(), self.front.clone(), self.tables.get(table)?);
        let (now, row) = (self.clock.now(), row.clone());
        blocking(move || fill(&store, &front, &table, now, &row)).await
    }

    async fn scan(&self, table: &str, columns: Option<Vec<usize>>) -> Result<BatchStream> {
        let table = self.tables.get(table)?;
        RowDecoder::new(&table.keyed.rows, columns.as_deref(), false, 0)?;
        let expiry = table.keyed.expiry(self.clock.now());
        let (store, snapshot) = (self.store.clone(), self.store.snapshot());
        Ok(stream(move |out| {
            let mut prefix = Vec::new();
            table.keyed.keys.put_table(&mut prefix);
            let wanted = Wanted { rows: &table.keyed.rows, columns: columns.as_deref(), with_version: false, expiry };
            send_rows(&snapshot, &store.critical, &prefix, &wanted, out)
        }))
    }

    async fn evict_all(&self, table: &str) -> Result<()> {
        let (store, front, table) = (self.store.clone(), self.front.clone(), self.tables.get(table)?);
        blocking(move || evict(&store, &front, &table)).await
    }

    async fn drop_table(&self, table: &str) -> Result<()> {
        let (store, tables, front, name) = (self.store.clone(), self.tables.clone(), self.front.clone(), table.to_owned());
        blocking(move || match tables.remove(&name, |t| t.keyed.close())? {
            Some(_) => {
                front.invalidate_all();
                sweep(&store)
            }
            None => Ok(()),
        })
        .await
    }
}
