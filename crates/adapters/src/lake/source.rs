//! [`LakeReferenceSource`]: a file, or a folder of files, as one reference table.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use millstream_core::Result;
use millstream_core::ports::ReferenceSource;

use super::error::LakeError;
use super::files::{LakeFormat, data_files, revision};
use super::read;

/// A reference table from Parquet, CSV or JSON-lines files at one path.
///
/// Its columns are those that were declared, found by name (apart from upper and lower case); else those of the first file by name: a
/// Parquet file's own, or what the head of a CSV or JSON file says by Spark's `inferSchema` rules. They are settled when they are first
/// asked for: a later file that doesn't fit them is [`InvalidInput`](millstream_core::ErrorKind::InvalidInput), with the file and column in
/// the message.
#[derive(Clone, Debug)]
pub struct LakeReferenceSource {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    format: LakeFormat,
    path: PathBuf,
    columns: OnceLock<SchemaRef>,
}

impl LakeReferenceSource {
    /// The table of `format` at `path`, an absolute path of a file or folder, with the `declared` columns if there are any.
    /// Touches no file.
    #[must_use]
    pub fn new(format: LakeFormat, path: PathBuf, declared: Option<SchemaRef>) -> Self {
        let columns = declared.map_or_else(OnceLock::new, OnceLock::from);
        Self { shared: Arc::new(Shared { format, path, columns }) }
    }

    /// Where the files are.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Runs `work` where it may block.
    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(&Shared) -> Result<T, LakeError> + Send + 'static) -> Result<T> {
        let shared = self.shared.clone();
        Ok(tokio::task::spawn_blocking(move || work(&shared)).await.map_err(LakeError::Reader)??)
    }
}

impl Shared {
    fn columns(&self) -> Result<SchemaRef, LakeError> {
        if let Some(columns) = self.columns.get() {
            return Ok(columns.clone());
        }
        let files = data_files(&self.path)?;
        let (first, _) = files.first().ok_or_else(|| LakeError::EmptyFolder(self.path.clone()))?;
        let columns = read::infer(self.format, first)?;
        Ok(self.columns.get_or_init(|| columns).clone())
    }

    fn load(&self) -> Result<Vec<RecordBatch>, LakeError> {
        let before = data_files(&self.path)?;
        let rows = self.columns().and_then(|columns| {
            let each = before.iter().map(|(file, _)| read::rows(self.format, file, &columns));
            each.collect::<Result<Vec<_>, _>>().map(|batches| batches.concat())
        });
        // Whatever the reader thought of it: if the files changed meanwhile, what it saw may be a mixture.
        match data_files(&self.path) {
            Ok(after) if revision(&after) == revision(&before) => rows,
            _ => Err(LakeError::Changed(self.path.clone())),
        }
    }
}

#[async_trait]
impl ReferenceSource for LakeReferenceSource {
    async fn schema(&self) -> Result<SchemaRef> {
        self.blocking(Shared::columns).await
    }

    async fn revision(&self) -> Result<String> {
        self.blocking(|shared| Ok(revision(&data_files(&shared.path)?))).await
    }

    async fn load(&self) -> Result<Vec<RecordBatch>> {
        self.blocking(Shared::load).await
    }
}

#[cfg(test)]
mod tests;
