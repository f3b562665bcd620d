//! [`LakeStore`] in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use millstream_core::batches::BatchStream;
use millstream_core::ports::{EpochSink, EpochWrite, LakeStore};
use millstream_core::{Attempt, ChangeKind, Epoch, Error, FlowId, Result, TableSpec};

use super::tables::{Due, Epochs, check_columns, project_stream, same_shape};
use super::{Defect, Disk};
use crate::changes::changes_of;
use crate::rows::Row;

/// All tables.
pub(super) type Tables = BTreeMap<String, Table>;

#[derive(Clone, Debug)]
pub(super) struct Table {
    spec: TableSpec,
    rows: Vec<Row>,
    epochs: Epochs,
}

/// A lake in memory.
#[derive(Debug)]
pub struct ToyLakeStore {
    disk: Arc<Disk>,
}

fn table_mut<'a>(tables: &'a mut Tables, name: &str) -> Result<&'a mut Table> {
    tables.get_mut(name).ok_or_else(|| Error::not_found(format!("table {name} does not exist in the toy lake")))
}

impl ToyLakeStore {
    /// The lake on `disk`.
    #[must_use]
    pub fn open(disk: Arc<Disk>) -> Self {
        disk.opening(&disk.lake);
        Self { disk }
    }

    fn rows_of(&self, table: &Table, write: &EpochWrite) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        for some in &write.changes {
            check_columns(&table.spec, &some.rows().schema())?;
            for change in changes_of(some)? {
                match change.kind {
                    ChangeKind::Delete if self.disk.has(Defect::AcceptsDeletes) => {}
                    ChangeKind::Delete => return Err(Error::invalid(format!("table {} only takes new rows", write.table))),
                    _ => rows.push(change.row),
                }
            }
        }
        Ok(rows)
    }
}

#[async_trait]
impl EpochSink for ToyLakeStore {
    async fn begin(&self, flow: &FlowId, attempt: Attempt, table: &str) -> Result<Epoch> {
        Ok(table_mut(&mut self.disk.lake.lock(), table)?.epochs.begin(flow, attempt))
    }

    async fn commit(&self, write: EpochWrite) -> Result<u64> {
        if self.disk.has(Defect::ShowsHalfEpochs) {
            {
                let mut tables = self.disk.lake.lock();
                let table = table_mut(&mut tables, &write.table)?;
                let half = self.rows_of(table, &write)?;
                table.rows.extend_from_slice(&half[..half.len() / 2]);
            }
            tokio::task::yield_now().await;
        }
        let mut tables = self.disk.lake.lock();
        let table = table_mut(&mut tables, &write.table)?;
        match table.epochs.check(&write, !self.disk.has(Defect::IgnoresFencing), self.disk.has(Defect::AcceptsGaps))? {
            Due::CommittedAlready if !self.disk.has(Defect::AppliesReplays) => return Ok(0),
            _ => {}
        }
        let rows = self.rows_of(table, &write)?;
        let at = if self.disk.has(Defect::ScansOutOfOrder) { 0 } else { table.rows.len() };
        let count = rows.len() as u64;
        table.rows.splice(at..at, rows);
        table.epochs.commit(&write);
        Ok(count)
    }
}

#[async_trait]
impl LakeStore for ToyLakeStore {
    async fn ensure_table(&self, spec: &TableSpec) -> Result<()> {
        spec.validate()?;
        let mut tables = self.disk.lake.lock();
        if let Some(present) = tables.get(&spec.name) {
            return same_shape(&present.spec, spec);
        }
        tables.insert(spec.name.clone(), Table { spec: spec.clone(), rows: Vec::new(), epochs: Epochs::default() });
        Ok(())
    }

    async fn scan(&self, table: &str, columns: Option<Vec<usize>>) -> Result<BatchStream> {
        let mut tables = self.disk.lake.lock();
        let table = table_mut(&mut tables, table)?;
        project_stream(&table.spec.schema, columns.as_deref(), false, table.rows.iter().map(|row| (row.clone(), 0)))
    }

    async fn drop_table(&self, table: &str) -> Result<()> {
        self.disk.lake.lock().remove(table);
        Ok(())
    }
}
