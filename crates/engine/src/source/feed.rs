//! A change feed as a source: the ranges of an event-store table's feed, one after the other in each chunk.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use millstream_core::ports::{ChangeFeed, Clock, FeedPosition};
use millstream_core::{ChangeBatch, Error, Result, Version};

use super::{Chunk, ChunkLimit, ChunkReader, ChunkSource, PartitionState, SourcePosition, SourceState};

/// The feed of one table.
#[derive(Clone)]
pub struct FeedReader {
    feed: Arc<dyn ChangeFeed>,
    clock: Arc<dyn Clock>,
    table: String,
    schema: SchemaRef,
}

impl FeedReader {
    /// The feed of `table`, whose columns are `schema`.
    #[must_use]
    pub fn new(feed: Arc<dyn ChangeFeed>, clock: Arc<dyn Clock>, table: String, schema: SchemaRef) -> Self {
        Self { feed, clock, table, schema }
    }
}

fn token_of(partition: &PartitionState) -> Result<FeedPosition> {
    match &partition.position {
        SourcePosition::Feed(token) => Ok(FeedPosition(token.clone())),
        SourcePosition::Offset(_) => Err(Error::corrupt("a feed's checkpoint holds a topic's offset")),
    }
}

#[async_trait]
impl ChunkSource for FeedReader {
    async fn beginning(&self) -> Result<SourceState> {
        let ranges = self.feed.ranges(&self.table).await?;
        let first = PartitionState { position: SourcePosition::Feed(String::new()), version: Version::MIN };
        Ok(SourceState { partitions: vec![first; usize::try_from(ranges).unwrap_or(0)], starts: Vec::new() })
    }

    fn reader(&self) -> Result<Box<dyn ChunkReader>> {
        Ok(Box::new(self.clone()))
    }

    async fn wait(&self, state: &SourceState) -> Result<()> {
        let seen = state.partitions.iter().map(token_of).collect::<Result<Vec<_>>>()?;
        self.feed.wait(&self.table, &seen).await
    }

    async fn lag(&self, state: &SourceState) -> Result<u64> {
        let mut lag = 0;
        for (range, partition) in state.partitions.iter().enumerate() {
            let page = self.feed.read(&self.table, i32::try_from(range).unwrap_or(i32::MAX), &token_of(partition)?, 1).await?;
            lag += page.pending + page.changes.len() as u64;
        }
        Ok(lag)
    }
}

#[async_trait]
impl ChunkReader for FeedReader {
    async fn chunk(&mut self, from: &SourceState, limit: ChunkLimit) -> Result<Chunk> {
        let seen_at = self.clock.now();
        let mut end = from.clone();
        let mut batches = Vec::new();
        let mut at_end = Vec::new();
        let mut lag = 0;
        let share = (limit.rows_max / from.partitions.len().max(1)).max(1);
        for (range, state) in end.partitions.iter_mut().enumerate() {
            let page = self.feed.read(&self.table, i32::try_from(range).unwrap_or(i32::MAX), &token_of(state)?, share).await?;
            state.position = SourcePosition::Feed(page.next.0);
            at_end.push(page.pending == 0);
            lag += page.pending;
            if !page.changes.is_empty() {
                batches.push(page.changes);
            }
        }
        let schema = batches.first().map_or_else(|| self.schema.clone(), |b| b.rows().schema());
        let changes = ChangeBatch::concat(&schema, &batches)?;
        let bytes = changes.rows().get_array_memory_size();
        Ok(Chunk {
            start: from.clone(),
            end,
            changes,
            further: Vec::new(),
            rejected: Vec::new(),
            directed: Vec::new(),
            at_end,
            seen_at,
            lag,
            bytes,
        })
    }
}
