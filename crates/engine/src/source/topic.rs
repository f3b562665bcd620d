//! A topic as a source: records of all partitions merged by version, decoded straight into columns.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch};
use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use millstream_core::decode::RecordDecoder;
use millstream_core::ports::{EventLog, Record, SchemaRegistry};
use millstream_core::time::next_version;
use millstream_core::{ChangeBatch, Error, FlowId, Offset, Result, RowPosition, TopicPartition, Version};
use millstream_pipeline::graph::{TOPIC_METADATA, Topic};

use super::{Chunk, ChunkLimit, ChunkReader, ChunkSource, DIRECTED_HEADER, PartitionState, RejectedRecord, SourcePosition, SourceState};
use crate::metadata;

/// A topic, its columns, and the metadata columns that its flows use.
pub struct TopicSource {
    log: Arc<dyn EventLog>,
    schemas: Option<Arc<dyn SchemaRegistry>>,
    topic: Topic,
    columns: SchemaRef,
    metadata: Vec<&'static str>,
}

impl TopicSource {
    /// The topic `topic` of `log` with the table's `columns`; `metadata` are those of [`TOPIC_METADATA`] that are used, and `schemas` has the
    /// schemas that records name.
    #[must_use]
    pub fn new(
        log: Arc<dyn EventLog>,
        schemas: Option<Arc<dyn SchemaRegistry>>,
        topic: Topic,
        columns: SchemaRef,
        used: &[String],
    ) -> Self {
        let metadata = TOPIC_METADATA.into_iter().filter(|m| used.iter().any(|u| u == m)).collect();
        Self { log, schemas, topic, columns, metadata }
    }

    fn partition(&self, partition: usize) -> TopicPartition {
        TopicPartition::new(self.topic.name.clone(), i32::try_from(partition).unwrap_or(i32::MAX))
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
        Ok(Box::new(TopicReader {
            log: self.log.clone(),
            schemas: self.schemas.clone(),
            topic: self.topic.name.clone(),
            schema: scan_schema(&self.columns, &self.metadata),
            metadata: self.metadata.clone(),
            decoder: RecordDecoder::new(self.columns.clone(), &self.topic.reading())?,
            buffers: Vec::new(),
        }))
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

/// The columns of a topic's chunks: its own, nullable where a tombstone leaves them empty, and the metadata columns that are used.
fn scan_schema(columns: &SchemaRef, metadata: &[&'static str]) -> SchemaRef {
    let own = columns.fields().iter().cloned();
    let extra = metadata.iter().map(|name| Arc::new(metadata::metadata_field(name)));
    Arc::new(Schema::new(own.chain(extra).collect::<Vec<_>>()))
}

fn offset_of(partition: &PartitionState) -> Result<i64> {
    match partition.position {
        SourcePosition::Offset(offset) => Ok(offset),
        SourcePosition::Feed(_) => Err(Error::corrupt("a topic's checkpoint holds a feed position")),
    }
}

/// Records of one partition that were read ahead.
struct Buffer {
    records: VecDeque<Record>,
    /// The offset after the last buffered record.
    next: i64,
    /// The log's end when it was last read.
    end: i64,
    /// What is taken so far: the state that the chunk leaves behind.
    position: i64,
    version: Version,
}

impl Buffer {
    fn at(offset: i64, version: Version) -> Self {
        Self { records: VecDeque::new(), next: offset, end: offset, position: offset, version }
    }

    fn start_at(&mut self, offset: i64, version: Version) {
        if self.position != offset || self.version != version {
            *self = Self::at(offset, version);
        }
    }

    /// The version that the next buffered record gets.
    fn head(&self) -> Option<Version> {
        self.records.front().map(|r| next_version(self.version, r.timestamp))
    }
}

/// Reads a topic's chunks.
pub struct TopicReader {
    log: Arc<dyn EventLog>,
    schemas: Option<Arc<dyn SchemaRegistry>>,
    topic: String,
    schema: SchemaRef,
    metadata: Vec<&'static str>,
    decoder: RecordDecoder,
    buffers: Vec<Buffer>,
}

/// Records taken from the partitions, in merged order.
#[derive(Default)]
struct Taken {
    records: Vec<Record>,
    partitions: Vec<i32>,
    versions: Vec<i64>,
    bytes: usize,
}

impl TopicReader {
    /// Reads more of partition `p`, if its buffer is empty and more may be there.
    async fn refill(&mut self, p: usize, bytes_max: usize) -> Result<()> {
        let partition = TopicPartition::new(self.topic.clone(), i32::try_from(p).unwrap_or(i32::MAX));
        let buffer = &mut self.buffers[p];
        let outcome = self.log.read(&partition, Offset(buffer.next), bytes_max).await?;
        buffer.records.extend(outcome.records);
        buffer.next = outcome.next.0;
        buffer.end = outcome.bounds.end.0;
        if buffer.records.is_empty() {
            // Nothing but control records up to there: they are taken by passing over them.
            buffer.position = buffer.next;
        }
        Ok(())
    }

    /// Takes records in the order of (version, partition) until the limit, or until every partition is read to its end.
    async fn take(&mut self, limit: ChunkLimit) -> Result<Taken> {
        let mut taken = Taken::default();
        for p in 0..self.buffers.len() {
            if self.buffers[p].records.is_empty() {
                self.refill(p, limit.bytes_max).await?;
            }
        }
        while taken.records.len() < limit.rows_max {
            let heads = self.buffers.iter().enumerate().filter_map(|(p, b)| b.head().map(|v| (v, p)));
            let Some((version, p)) = heads.min() else { break };
            if (version, p) > limit.mark_max {
                break;
            }
            let buffer = &mut self.buffers[p];
            let Some(record) = buffer.records.pop_front() else { break };
            buffer.position = record.offset.0 + 1;
            buffer.version = version;
            taken.bytes += record.value.as_ref().map_or(0, bytes::Bytes::len) + record.key.as_ref().map_or(0, bytes::Bytes::len);
            taken.records.push(record);
            taken.partitions.push(i32::try_from(p).unwrap_or(i32::MAX));
            taken.versions.push(version.0);
            if buffer.records.is_empty() {
                buffer.position = buffer.next;
                if buffer.next < buffer.end {
                    // Older records of this partition may be unread: without them the merged order isn't known.
                    self.refill(p, limit.bytes_max).await?;
                }
            }
        }
        Ok(taken)
    }

    fn state(&self) -> SourceState {
        let partitions = self.buffers.iter();
        SourceState {
            partitions: partitions.map(|b| PartitionState { position: SourcePosition::Offset(b.position), version: b.version }).collect(),
            starts: Vec::new(),
        }
    }

    fn metadata_column(&self, name: &str, taken: &Taken, accepted: &[u32]) -> ArrayRef {
        if name == "_partition" {
            return Arc::new(Int32Array::from_iter_values(accepted.iter().map(|&i| taken.partitions[i as usize])));
        }
        let records = accepted.iter().map(|&i| &taken.records[i as usize]);
        metadata::metadata_column(name, &TopicPartition::new(self.topic.clone(), 0), records)
    }
}

/// Asks the registry for the schemas of `records` that the decoder doesn't know. While it is away, nothing is decoded: the records are read again.
pub(crate) async fn learn_schemas(
    decoder: &mut RecordDecoder,
    records: &[Record],
    schemas: Option<&Arc<dyn SchemaRegistry>>,
    topic: &str,
) -> Result<()> {
    for id in decoder.missing_schemas(records) {
        let registry = schemas.ok_or_else(|| {
            Error::unsupported(format!("topic {topic}: its records name schemas, and there is no registry: configure [schema_registry]"))
        })?;
        let text = registry.schema(id).await.map_err(|e| e.context(format!("topic {topic}")))?;
        decoder.learn_schema(id, &text);
    }
    Ok(())
}

/// The flows that a record is for, from its [`DIRECTED_HEADER`].
fn directed(record: &Record) -> Option<Arc<[FlowId]>> {
    let (_, value) = record.headers.iter().find(|(name, _)| name == DIRECTED_HEADER)?;
    let names = String::from_utf8_lossy(value.as_deref().unwrap_or_default()).into_owned();
    Some(names.split(',').map(|n| FlowId::new(n.trim())).collect())
}

#[async_trait]
impl ChunkReader for TopicReader {
    async fn chunk(&mut self, from: &SourceState, limit: ChunkLimit) -> Result<Chunk> {
        self.buffers.resize_with(from.partitions.len(), || Buffer::at(0, Version::MIN));
        for (buffer, partition) in self.buffers.iter_mut().zip(&from.partitions) {
            buffer.start_at(offset_of(partition)?, partition.version);
        }
        let taken = self.take(limit).await?;
        let end = self.state();
        let at_end = self.buffers.iter().map(|b| b.records.is_empty() && b.next >= b.end).collect();
        let lag = self.buffers.iter().map(|b| u64::try_from(b.end - b.position).unwrap_or(0)).sum();

        learn_schemas(&mut self.decoder, &taken.records, self.schemas.as_ref(), &self.topic).await?;
        let decoded = tokio::task::block_in_place(|| self.decoder.decode(&taken.records))?;
        let mut columns = decoded.rows.columns().to_vec();
        columns.extend(self.metadata.iter().map(|m| self.metadata_column(m, &taken, &decoded.accepted)));
        let rows = RecordBatch::try_new(self.schema.clone(), columns)?;
        let pick = |i: &u32| *i as usize;
        let changes = ChangeBatch::try_new(
            rows,
            decoded.kinds,
            Int64Array::from_iter_values(decoded.accepted.iter().map(|i| taken.versions[pick(i)])),
            Int32Array::from_iter_values(decoded.accepted.iter().map(|i| taken.partitions[pick(i)])),
            Int64Array::from_iter_values(decoded.accepted.iter().map(|i| taken.records[pick(i)].offset.0)),
        )?;
        let rejected = decoded.rejected.into_iter().map(|r| {
            let record = &taken.records[r.index as usize];
            RejectedRecord {
                position: RowPosition { partition: taken.partitions[r.index as usize], offset: record.offset.0 },
                timestamp: record.timestamp,
                key: record.key.clone(),
                value: record.value.clone(),
                reason: r.reason,
                directed: directed(record),
            }
        });
        let rows_directed = decoded.accepted.iter().enumerate().filter_map(|(row, i)| {
            let record = &taken.records[*i as usize];
            if record.headers.is_empty() { None } else { directed(record).map(|flows| (u32::try_from(row).unwrap_or(u32::MAX), flows)) }
        });
        let bytes = changes.rows().get_array_memory_size() + taken.records.len() * 32;
        Ok(Chunk {
            start: from.clone(),
            end,
            rejected: rejected.collect(),
            directed: rows_directed.collect(),
            changes,
            further: Vec::new(),
            at_end,
            lag,
            bytes,
        })
    }
}
