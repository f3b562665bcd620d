//! [`SchemaRegistry`]: where producers put the schemas of the records that they write.

use async_trait::async_trait;

use crate::error::Result;

/// A registry of Avro schemas, which records name by a number.
///
/// A schema never changes under its id, so that an answer may be kept for ever.
#[async_trait]
pub trait SchemaRegistry: Send + Sync {
    /// The text of the schema `id`, as JSON. [`Unavailable`](crate::ErrorKind::Unavailable) while the registry doesn't answer, and where it knows
    /// no such schema (yet): whoever asks waits. [`InvalidInput`](crate::ErrorKind::InvalidInput) where it refuses the login.
    async fn schema(&self, id: u32) -> Result<String>;
}
