//! [`ReferenceSource`]s in memory: one with the suite's columns whose rows can be replaced, and one with any columns that stays as it is.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use millstream_core::Result;
use millstream_core::ports::ReferenceSource;

use super::{Defect, Disk};
use crate::rows::{Row, batch};
use crate::suite::reference_source::table;

/// The rows, and how often they were replaced.
#[derive(Clone, Debug, Default)]
pub(super) struct File {
    rows: Vec<Row>,
    revision: u64,
}

/// Reference data in memory, of the columns that the suite's tables have.
#[derive(Debug)]
pub struct ToyReferenceSource {
    disk: Arc<Disk>,
}

impl ToyReferenceSource {
    /// The reference data on `disk`.
    #[must_use]
    pub fn open(disk: Arc<Disk>) -> Self {
        disk.opening(&disk.reference);
        Self { disk }
    }

    /// Puts other rows on `disk`.
    pub fn replace(disk: &Disk, rows: &[Row]) {
        let mut file = disk.reference.lock();
        file.rows = rows.to_vec();
        file.revision += u64::from(!disk.has(Defect::RevisionStands) || file.revision == 0);
    }
}

#[async_trait]
impl ReferenceSource for ToyReferenceSource {
    async fn schema(&self) -> Result<SchemaRef> {
        Ok(table())
    }

    async fn revision(&self) -> Result<String> {
        Ok(self.disk.reference.lock().revision.to_string())
    }

    async fn load(&self) -> Result<Vec<RecordBatch>> {
        let rows = self.disk.reference.lock().rows.clone();
        if self.disk.has(Defect::MixesRevisions) {
            tokio::task::yield_now().await;
            let later = self.disk.reference.lock().rows.clone();
            let half = rows.len() / 2;
            return Ok(vec![batch(&table(), &rows[..half])?, batch(&table(), later.get(half..).unwrap_or_default())?]);
        }
        rows.chunks(10).map(|chunk| batch(&table(), chunk)).collect()
    }
}

/// Reference data of any columns that never changes.
#[derive(Clone, Debug)]
pub struct FixedReferenceSource {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

impl FixedReferenceSource {
    /// These batches, all with the columns of `schema`.
    #[must_use]
    pub fn new(schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        Self { schema, batches }
    }

    /// Columns with their names. Each may have nulls; all are equally long.
    pub fn of(columns: &[(&str, ArrayRef)]) -> Result<Self> {
        let batch = RecordBatch::try_from_iter_with_nullable(columns.iter().map(|(name, column)| (*name, column.clone(), true)))?;
        Ok(Self::new(batch.schema(), vec![batch]))
    }
}

#[async_trait]
impl ReferenceSource for FixedReferenceSource {
    async fn schema(&self) -> Result<SchemaRef> {
        Ok(self.schema.clone())
    }

    async fn revision(&self) -> Result<String> {
        Ok("1".to_owned())
    }

    async fn load(&self) -> Result<Vec<RecordBatch>> {
        Ok(self.batches.clone())
    }
}
