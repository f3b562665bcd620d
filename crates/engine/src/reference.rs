//! [`ReferenceTables`]: reference data in memory, refreshed in the background. It knows the port, not where the data comes from.

use std::sync::Arc;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

/// A reference table's rows, as one refresh found them.
#[derive(Clone, Debug)]
pub struct ReferenceRows {
    /// All rows, of `schema`.
    pub batches: Arc<[RecordBatch]>,
    /// The table's columns.
    pub schema: SchemaRef,
    /// How often the data has changed since the process started; the first is 1.
    pub generation: u64,
}
