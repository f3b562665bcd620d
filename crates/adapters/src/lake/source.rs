//! [`LakeReferenceSource`]: a file, or a folder of files, as one reference table, on this machine or in a lake.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use millstream_core::Result;
use millstream_core::ports::ReferenceSource;
use object_store::ObjectMeta;

use super::client::LakeClient;
use super::error::LakeError;
use super::files::{LakeFormat, data_files, data_objects, object_revision, revision};
use super::location::LakeLocation;
use super::read::{self, Input};
use super::settings::LakeSettings;

/// So much of a file's end is fetched to find a Parquet file's columns: its footer nearly always fits.
const TAIL_BYTES: u64 = 64 << 10;

/// So much of a file's beginning is fetched to infer the columns of CSV and JSON.
const HEAD_BYTES: u64 = 8 << 20;

/// A reference table from Parquet, CSV or JSON-lines files at one location.
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
    place: Place,
    columns: OnceLock<SchemaRef>,
}

/// Files of this machine are read where they lie, those of a lake are fetched.
#[derive(Debug)]
enum Place {
    Local(PathBuf),
    Lake(LakeClient),
}

impl LakeReferenceSource {
    /// The table of `format` at `path`, an absolute path of a file or folder, with the `declared` columns if there are any.
    /// Touches no file.
    #[must_use]
    pub fn new(format: LakeFormat, path: PathBuf, declared: Option<SchemaRef>) -> Self {
        Self::of_place(format, Place::Local(path), declared)
    }

    /// The same at a location in any lake. Connects to nothing yet.
    #[must_use]
    pub fn at(format: LakeFormat, location: &LakeLocation, settings: Arc<LakeSettings>, declared: Option<SchemaRef>) -> Self {
        let place = match location.local_path() {
            Some(path) => Place::Local(path),
            None => Place::Lake(LakeClient::new(location.clone(), settings)),
        };
        Self::of_place(format, place, declared)
    }

    fn of_place(format: LakeFormat, place: Place, declared: Option<SchemaRef>) -> Self {
        let columns = declared.map_or_else(OnceLock::new, OnceLock::from);
        Self { shared: Arc::new(Shared { format, place, columns }) }
    }
}

/// Runs `work` where it may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, LakeError> + Send + 'static) -> Result<T, LakeError> {
    tokio::task::spawn_blocking(work).await?
}

impl Shared {
    async fn columns(self: &Arc<Self>) -> Result<SchemaRef, LakeError> {
        if let Some(columns) = self.columns.get() {
            return Ok(columns.clone());
        }
        let columns = match &self.place {
            Place::Local(_) => {
                let shared = self.clone();
                blocking(move || shared.infer_local()).await?
            }
            Place::Lake(client) => match data_objects(client).await?.first() {
                Some(first) => self.infer_fetched(client, first).await?,
                None => return Err(LakeError::Missing(client.location().to_string().into())),
            },
        };
        Ok(self.columns.get_or_init(|| columns).clone())
    }

    fn infer_local(&self) -> Result<SchemaRef, LakeError> {
        let Place::Local(path) = &self.place else { return Err(LakeError::Missing(PathBuf::new())) };
        let files = data_files(path)?;
        let (first, _) = files.first().ok_or_else(|| LakeError::EmptyFolder(path.clone()))?;
        read::infer(self.format, Input { name: first, fetched: None })
    }

    /// The columns of an object, from no more of it than that takes.
    async fn infer_fetched(&self, client: &LakeClient, object: &ObjectMeta) -> Result<SchemaRef, LakeError> {
        let (format, name, size) = (self.format, PathBuf::from(client.name(&object.location)), object.size);
        if format == LakeFormat::Parquet {
            let mut wanted = TAIL_BYTES;
            loop {
                let tail = client.get_range(object, size.saturating_sub(wanted)..size).await?;
                match read::infer_parquet_tail(&name, &tail, size)? {
                    Ok(columns) => return Ok(columns),
                    Err(needed) => wanted = needed.max(wanted + 1),
                }
            }
        }
        let head = client.get_range(object, 0..size.min(HEAD_BYTES)).await?;
        let whole = head.len() as u64 == size;
        // The last line may be cut off.
        let end = if whole { head.len() } else { head.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1) };
        let (lines, file) = (head.slice(..end), name.clone());
        let inferred = blocking(move || read::infer(format, Input { name: &file, fetched: Some(&lines) })).await;
        if whole || inferred.is_ok() {
            return inferred;
        }
        // A line break within quotes is no end of a line.
        let all = client.get_range(object, 0..size).await?;
        blocking(move || read::infer(format, Input { name: &name, fetched: Some(&all) })).await
    }

    async fn revision(self: &Arc<Self>) -> Result<String, LakeError> {
        match &self.place {
            Place::Local(path) => {
                let path = path.clone();
                blocking(move || Ok(revision(&data_files(&path)?))).await
            }
            Place::Lake(client) => Ok(object_revision(&data_objects(client).await?)),
        }
    }

    async fn load(self: &Arc<Self>) -> Result<Vec<RecordBatch>, LakeError> {
        match &self.place {
            Place::Local(path) => {
                let (shared, path) = (self.clone(), path.clone());
                blocking(move || shared.load_local(&path)).await
            }
            Place::Lake(client) => self.load_fetched(client).await,
        }
    }

    fn load_local(&self, path: &Path) -> Result<Vec<RecordBatch>, LakeError> {
        let before = data_files(path)?;
        let columns = self.columns.get().cloned().map_or_else(|| self.infer_local(), Ok);
        let rows = columns.and_then(|columns| {
            let columns = self.columns.get_or_init(|| columns);
            let each = before.iter().map(|(file, _)| read::rows(self.format, Input { name: file, fetched: None }, columns));
            each.collect::<Result<Vec<_>, _>>().map(|batches| batches.concat())
        });
        // Whatever the reader thought of it: if the files changed meanwhile, what it saw may be a mixture.
        match data_files(path) {
            Ok(after) if revision(&after) == revision(&before) => rows,
            _ => Err(LakeError::Changed(path.to_owned())),
        }
    }

    /// A few files at a time, each read as the object that was listed and no other.
    async fn load_fetched(self: &Arc<Self>, client: &LakeClient) -> Result<Vec<RecordBatch>, LakeError> {
        let before = data_objects(client).await?;
        let rows = self.fetch_rows(client, &before).await;
        let is_unreachable = rows.as_ref().is_err_and(|error| matches!(error, LakeError::Store { .. }) && !error.is_change());
        if is_unreachable {
            return rows;
        }
        match data_objects(client).await {
            Ok(after) if object_revision(&after) == object_revision(&before) => rows,
            _ => Err(LakeError::Changed(client.location().to_string().into())),
        }
    }

    async fn fetch_rows(self: &Arc<Self>, client: &LakeClient, objects: &[ObjectMeta]) -> Result<Vec<RecordBatch>, LakeError> {
        let columns = self.columns().await?;
        let one = |object: &ObjectMeta| {
            let (object, columns, format) = (object.clone(), columns.clone(), self.format);
            async move {
                let bytes: Bytes = client.get_range(&object, 0..object.size).await?;
                let name = PathBuf::from(client.name(&object.location));
                blocking(move || read::rows(format, Input { name: &name, fetched: Some(&bytes) }, &columns)).await
            }
        };
        let each = futures::stream::iter(objects.iter().map(one)).buffered(client.settings().parallel_requests);
        Ok(each.try_collect::<Vec<_>>().await?.concat())
    }
}

#[async_trait]
impl ReferenceSource for LakeReferenceSource {
    async fn schema(&self) -> Result<SchemaRef> {
        Ok(self.shared.columns().await?)
    }

    async fn revision(&self) -> Result<String> {
        Ok(self.shared.revision().await?)
    }

    async fn load(&self) -> Result<Vec<RecordBatch>> {
        Ok(self.shared.load().await?)
    }
}

#[cfg(test)]
mod tests;
