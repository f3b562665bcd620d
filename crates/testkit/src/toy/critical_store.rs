//! [`CriticalStore`] in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use millstream_core::batches::BatchStream;
use millstream_core::ports::{Clock, CriticalRow, CriticalStore, EpochSink, EpochWrite};
use millstream_core::{Attempt, ChangeKind, Epoch, Error, FlowId, Result, TableSpec, Timestamp, Value, Version};

use super::tables::{Due, Epochs, Key, check_all_values, check_columns, expiry, key, key_of, project_stream, same_shape};
use super::{Defect, Disk};
use crate::changes::{Change, changes_of, insert};
use crate::clock::ManualClock;
use crate::rows::{Row, batch, rows_of};

/// All tables.
pub(super) type Rows = BTreeMap<String, Table>;

#[derive(Clone, Debug)]
pub(super) struct Table {
    spec: TableSpec,
    rows: BTreeMap<Key, Entry>,
    epochs: Epochs,
}

#[derive(Clone, Debug)]
struct Entry {
    version: i64,
    /// When the row expires; a deleted one is remembered for ever, for a toy's memory is endless.
    expires: Option<Timestamp>,
    row: Option<Row>,
}

/// A store of critical events in memory.
#[derive(Debug)]
pub struct ToyCriticalStore {
    disk: Arc<Disk>,
    clock: Arc<ManualClock>,
}

fn table_mut<'a>(rows: &'a mut Rows, name: &str) -> Result<&'a mut Table> {
    rows.get_mut(name).ok_or_else(|| Error::not_found(format!("table {name} does not exist in the toy cache")))
}

impl ToyCriticalStore {
    /// The store on `disk`.
    #[must_use]
    pub fn open(disk: Arc<Disk>, clock: Arc<ManualClock>) -> Self {
        disk.opening(&disk.critical);
        Self { disk, clock }
    }

    fn apply(&self, table: &mut Table, change: Change) -> Result<bool> {
        let key = key_of(&table.spec, &change.row)?;
        let before = table.rows.get(&key);
        if before.is_some_and(|b| b.version > change.version) && !self.disk.has(Defect::OlderVersionWins) {
            return Ok(false);
        }
        let from = if self.disk.has(Defect::ExtendsExpiry) { self.clock.now().0 } else { change.version };
        let row = (change.kind != ChangeKind::Delete).then_some(change.row);
        let differs = before.and_then(|b| b.row.as_ref()) != row.as_ref();
        let entry = Entry { version: change.version, expires: expiry(&table.spec, from), row };
        table.rows.insert(key, entry);
        Ok(differs)
    }

    fn lives(&self, entry: &Entry) -> bool {
        self.disk.has(Defect::NeverExpires) || entry.expires.is_none_or(|e| e > self.clock.now())
    }
}

#[async_trait]
impl EpochSink for ToyCriticalStore {
    async fn begin(&self, flow: &FlowId, attempt: Attempt, table: &str) -> Result<Epoch> {
        Ok(table_mut(&mut self.disk.critical.lock(), table)?.epochs.begin(flow, attempt))
    }

    async fn commit(&self, write: EpochWrite) -> Result<u64> {
        let mut rows = self.disk.critical.lock();
        let table = table_mut(&mut rows, &write.table)?;
        match table.epochs.check(&write, !self.disk.has(Defect::IgnoresFencing), self.disk.has(Defect::AcceptsGaps))? {
            Due::CommittedAlready if !self.disk.has(Defect::AppliesReplays) => return Ok(0),
            _ => {}
        }
        let mut changed = table.clone();
        let mut differ = 0;
        for some in &write.changes {
            check_columns(&table.spec, &some.rows().schema())?;
            for change in changes_of(some)? {
                differ += u64::from(self.apply(&mut changed, change)?);
            }
        }
        changed.epochs.commit(&write);
        *table = changed;
        Ok(differ)
    }
}

#[async_trait]
impl CriticalStore for ToyCriticalStore {
    async fn ensure_table(&self, spec: &TableSpec) -> Result<()> {
        spec.validate()?;
        let mut rows = self.disk.critical.lock();
        if let Some(present) = rows.get(&spec.name) {
            return same_shape(&present.spec, spec);
        }
        rows.insert(spec.name.clone(), Table { spec: spec.clone(), rows: BTreeMap::new(), epochs: Epochs::default() });
        Ok(())
    }

    async fn get(&self, table: &str, values: &[Value]) -> Result<Option<CriticalRow>> {
        let mut rows = self.disk.critical.lock();
        let table = table_mut(&mut rows, table)?;
        check_all_values(&table.spec, &table.spec.key.partition, values)?;
        let found = table.rows.get(&key(&table.spec, values.iter().cloned())).filter(|e| self.lives(e));
        let Some(Entry { version, expires, row: Some(row) }) = found else { return Ok(None) };
        let row = batch(&table.spec.schema, std::slice::from_ref(row))?;
        Ok(Some(CriticalRow { row, version: Version(*version), expires: *expires }))
    }

    async fn fill(&self, table: &str, row: &CriticalRow) -> Result<()> {
        let mut rows = self.disk.critical.lock();
        let table = table_mut(&mut rows, table)?;
        check_columns(&table.spec, &row.row.schema())?;
        for cells in rows_of(&row.row)? {
            let key = key_of(&table.spec, &cells)?;
            let overwrite = match table.rows.get(&key) {
                None => true,
                Some(Entry { row: None, .. }) if self.disk.has(Defect::FillRevivesDeleted) => true,
                Some(present) => present.version < row.version.0 || self.disk.has(Defect::FillOverwritesNewer),
            };
            if overwrite {
                table.rows.remove(&key);
                self.apply(table, insert(row.version.0, cells))?;
            }
        }
        Ok(())
    }

    async fn scan(&self, table: &str, columns: Option<Vec<usize>>) -> Result<BatchStream> {
        let mut rows = self.disk.critical.lock();
        let table = table_mut(&mut rows, table)?;
        let alive = table.rows.values().filter(|e| self.lives(e)).filter_map(|e| e.row.clone().map(|row| (row, e.version)));
        project_stream(&table.spec.schema, columns.as_deref(), false, alive)
    }

    async fn evict_all(&self, table: &str) -> Result<()> {
        let mut rows = self.disk.critical.lock();
        let table = table_mut(&mut rows, table)?;
        table.rows.clear();
        if self.disk.has(Defect::EvictForgetsEpochs) {
            table.epochs = Epochs::default();
        }
        Ok(())
    }

    async fn drop_table(&self, table: &str) -> Result<()> {
        self.disk.critical.lock().remove(table);
        Ok(())
    }
}
