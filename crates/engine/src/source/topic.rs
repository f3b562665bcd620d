//! A topic as a source: records of all partitions merged by version, decoded straight into columns, and read ahead.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use millstream_core::ports::{Clock, EventLog, SchemaRegistry};
use millstream_core::{Error, Offset, Result, TopicPartition, Version};
use millstream_pipeline::graph::{TOPIC_METADATA, Topic};

use super::again;
use super::ahead::ReadAhead;
use super::decode::ChunkDecoders;
use super::merge::{Merge, offset_of};
use super::{Chunk, ChunkLimit, ChunkReader, ChunkSource, PartitionState, SourcePosition, SourceState};
use crate::compute;

/// A topic, its columns, and which of them its flows use.
pub struct TopicSource {
    log: Arc<dyn EventLog>,
    clock: Arc<dyn Clock>,
    schemas: Option<Arc<dyn SchemaRegistry>>,
    topic: Topic,
    columns: SchemaRef,
    kept: Vec<usize>,
    metadata: Vec<&'static str>,
}

impl TopicSource {
    /// The topic `topic` of `log` with the table's `columns`; `schemas` has the schemas that records name. Chunks have all of its columns, and
    /// none of [`TOPIC_METADATA`].
    #[must_use]
    pub fn new(
        log: Arc<dyn EventLog>,
        clock: Arc<dyn Clock>,
        schemas: Option<Arc<dyn SchemaRegistry>>,
        topic: Topic,
        columns: SchemaRef,
    ) -> Self {
        let kept = (0..columns.fields().len()).collect();
        Self { log, clock, schemas, topic, columns, kept, metadata: Vec::new() }
    }

    /// The same with only those of its columns, and of [`TOPIC_METADATA`], that `used` names. Values of the other columns are checked all the
    /// same: which records are rows does not depend on who reads them.
    #[must_use]
    pub fn of_columns(self, used: &[String]) -> Self {
        let is_used = |name: &str| used.iter().any(|u| u == name);
        let fields = self.columns.fields().iter().enumerate();
        let kept = fields.filter(|(_, field)| is_used(field.name())).map(|(place, _)| place).collect();
        let metadata = TOPIC_METADATA.into_iter().filter(|m| is_used(m)).collect();
        Self { kept, metadata, ..self }
    }

    fn partition(&self, partition: usize) -> TopicPartition {
        TopicPartition::new(self.topic.name.clone(), i32::try_from(partition).unwrap_or(i32::MAX))
    }

    fn decoders(&self) -> Result<ChunkDecoders> {
        let (topic, reading) = (self.topic.name.clone(), self.topic.reading());
        let (columns, kept, metadata) = (self.columns.clone(), self.kept.clone(), self.metadata.clone());
        ChunkDecoders::new(topic, self.schemas.clone(), reading, columns, kept, metadata)
    }

    /// A reader for which each partition ends at its offset in `ends`; without one, where the log ends.
    fn reader_of(&self, ends: Vec<i64>) -> Result<TopicReader> {
        Ok(TopicReader {
            log: self.log.clone(),
            clock: self.clock.clone(),
            topic: self.topic.name.clone(),
            ends,
            decoders: Arc::new(self.decoders()?),
            merge: None,
            ahead: None,
        })
    }

    async fn partitions(&self) -> Result<usize> {
        let topics = self.log.topics().await?;
        let topic = topics.iter().find(|t| t.name == self.topic.name);
        let topic = topic.ok_or_else(|| Error::not_found(format!("topic {} does not exist", self.topic.name)))?;
        Ok(usize::try_from(topic.partitions).unwrap_or(0))
    }
}

#[async_trait]
impl ChunkSource for TopicSource {
    async fn beginning(&self) -> Result<SourceState> {
        let mut partitions = Vec::new();
        for p in 0..self.partitions().await? {
            let bounds = self.log.bounds(&self.partition(p)).await?;
            partitions.push(PartitionState { position: SourcePosition::Offset(bounds.start.0), version: Version::MIN });
        }
        Ok(SourceState { partitions, starts: Vec::new() })
    }

    fn reader(&self) -> Result<Box<dyn ChunkReader>> {
        Ok(Box::new(self.reader_of(Vec::new())?))
    }

    fn reader_until(&self, until: &SourceState) -> Result<Box<dyn ChunkReader>> {
        Ok(Box::new(self.reader_of(until.partitions.iter().map(offset_of).collect::<Result<_>>()?)?))
    }

    async fn again(&self, from: &SourceState, to: &SourceState) -> Result<Chunk> {
        let taken = again::take(self.log.as_ref(), self.clock.as_ref(), &self.topic.name, from, to).await?;
        let decoders = self.decoders()?;
        let decoder = decoders.ready_for(&taken.records).await?;
        compute::on(taken.bytes, || decoders.decode(decoder, taken))
    }

    async fn wait(&self, state: &SourceState) -> Result<()> {
        let seen = state.partitions.iter().map(|p| offset_of(p).map(Offset)).collect::<Result<Vec<_>>>()?;
        self.log.wait(&self.topic.name, &seen).await
    }

    async fn lag(&self, state: &SourceState) -> Result<u64> {
        let mut lag = 0;
        for (p, partition) in state.partitions.iter().enumerate() {
            let end = self.log.bounds(&self.partition(p)).await?.end.0;
            lag += u64::try_from(end - offset_of(partition)?).unwrap_or(0);
        }
        Ok(lag)
    }
}

/// Reads a topic's chunks.
pub struct TopicReader {
    log: Arc<dyn EventLog>,
    clock: Arc<dyn Clock>,
    topic: String,
    /// Where each partition ends for this reader.
    ends: Vec<i64>,
    decoders: Arc<ChunkDecoders>,
    /// Where nothing is read ahead, the merge as the last chunk left it.
    merge: Option<Merge>,
    ahead: Option<ReadAhead>,
}

#[async_trait]
impl ChunkReader for TopicReader {
    async fn chunk(&mut self, from: &SourceState, limit: ChunkLimit) -> Result<Chunk> {
        if let Some(mut ahead) = self.ahead.take() {
            if let Some(chunk) = ahead.next(from, limit).await? {
                self.ahead = Some(ahead);
                return Ok(chunk);
            }
            self.merge = ahead.finish();
        }
        let merge = self.merge.take();
        let begin = || Merge::new(self.log.clone(), self.clock.clone(), self.topic.clone()).ending_at(self.ends.clone());
        let mut merge = merge.unwrap_or_else(begin);
        let taken = merge.take(from, limit).await?;
        let decoder = self.decoders.ready_for(&taken.records).await?;
        if taken.is_full {
            self.ahead = Some(ReadAhead::start(merge, self.decoders.clone(), taken.end.clone(), limit));
        } else {
            self.merge = Some(merge);
        }
        compute::on(taken.bytes, || self.decoders.decode(decoder, taken))
    }
}

#[cfg(test)]
mod tests;
