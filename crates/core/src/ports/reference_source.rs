//! [`ReferenceSource`]: slowly changing data that enriches events, box 6 of the architecture.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;

use crate::error::Result;

/// One reference table, read whole.
#[async_trait]
pub trait ReferenceSource: Send + Sync {
    /// The table's columns. Free of side effects; reads at most the head of the data.
    async fn schema(&self) -> Result<SchemaRef>;

    /// A value that changes when the data does (for files: sizes and modification times), cheap to ask for.
    async fn revision(&self) -> Result<String>;

    /// All rows, of [`schema`](Self::schema)'s columns. A change while reading gives the old or the new rows or an
    /// [`Unavailable`](crate::ErrorKind::Unavailable) error, never a mixture.
    async fn load(&self) -> Result<Vec<RecordBatch>>;
}
