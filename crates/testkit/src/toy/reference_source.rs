//! [`ReferenceSource`] in memory.

use std::sync::Arc;

use arrow::array::RecordBatch;
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
