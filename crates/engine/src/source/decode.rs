//! Merged records to chunks, on as many threads at a time as ask for it: [`ChunkDecoders`].

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, Int32Array, PrimitiveArray, RecordBatch};
use arrow::datatypes::{ArrowPrimitiveType, Schema, SchemaRef};
use bytes::Bytes;
use millstream_core::decode::{Reading, RecordDecoder};
use millstream_core::ports::{Record, SchemaRegistry};
use millstream_core::{ChangeBatch, Error, FlowId, Result, RowPosition, TopicPartition};

use super::merge::Taken;
use super::{Chunk, DIRECTED_HEADER, RejectedRecord};
use crate::metadata;

/// How the records of a topic become chunks, and the decoders that nobody uses at the moment: each keeps what it has learned.
pub(super) struct ChunkDecoders {
    topic: String,
    schemas: Option<Arc<dyn SchemaRegistry>>,
    reading: Reading,
    /// The topic's columns, and which of them chunks have.
    columns: SchemaRef,
    kept: Vec<usize>,
    metadata: Vec<&'static str>,
    /// The columns of chunks.
    schema: SchemaRef,
    free: Mutex<Vec<RecordDecoder>>,
}

impl ChunkDecoders {
    /// Of `topic` with `columns`, into chunks with those of them that `kept` names by their places and the columns `metadata`.
    pub(super) fn new(
        topic: String,
        schemas: Option<Arc<dyn SchemaRegistry>>,
        reading: Reading,
        columns: SchemaRef,
        kept: Vec<usize>,
        metadata: Vec<&'static str>,
    ) -> Result<Self> {
        let own = kept.iter().map(|place| columns.fields()[*place].clone());
        let extra = metadata.iter().map(|name| Arc::new(metadata::metadata_field(name)));
        let schema = Arc::new(Schema::new(own.chain(extra).collect::<Vec<_>>()));
        let decoders = Self { topic, schemas, reading, columns, kept, metadata, schema, free: Mutex::default() };
        // What can't be decoded at all is said when the reader is made.
        decoders.give_back(decoders.make()?);
        Ok(decoders)
    }

    fn make(&self) -> Result<RecordDecoder> {
        Ok(RecordDecoder::new(self.columns.clone(), &self.reading)?.keeping(&self.kept))
    }

    fn give_back(&self, decoder: RecordDecoder) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(decoder);
    }

    /// A decoder that knows the schemas of `records`, to be handed to [`decode`](Self::decode).
    pub(super) async fn ready_for(&self, records: &[Record]) -> Result<RecordDecoder> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut decoder = match free {
            Some(decoder) => decoder,
            None => self.make()?,
        };
        learn_schemas(&mut decoder, records, self.schemas.as_ref(), &self.topic).await?;
        Ok(decoder)
    }

    /// The chunk that `taken` is.
    pub(super) fn decode(&self, mut decoder: RecordDecoder, taken: Taken) -> Result<Chunk> {
        let decoded = decoder.decode(&taken.records)?;
        self.give_back(decoder);
        let mut columns = decoded.rows.columns().to_vec();
        columns.extend(self.metadata.iter().map(|m| self.metadata_column(m, &taken, &decoded.accepted)));
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(decoded.accepted.len()));
        let rows = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?;
        let rejected = decoded.rejected.into_iter().map(|r| {
            let record = &taken.records[r.index as usize];
            RejectedRecord {
                position: RowPosition { partition: taken.partitions[r.index as usize], offset: record.offset.0 },
                timestamp: record.timestamp,
                // Of their own: they are a part of all that was read with them, which would stay in memory.
                key: record.key.as_deref().map(Bytes::copy_from_slice),
                value: record.value.as_deref().map(Bytes::copy_from_slice),
                reason: r.reason,
                directed: directed(record),
            }
        });
        let rejected = rejected.collect();
        let rows_directed = decoded.accepted.iter().enumerate().filter_map(|(row, i)| {
            let record = &taken.records[*i as usize];
            if record.headers.is_empty() { None } else { directed(record).map(|flows| (u32::try_from(row).unwrap_or(u32::MAX), flows)) }
        });
        let directed = rows_directed.collect();
        let changes = ChangeBatch::try_new(
            rows,
            decoded.kinds,
            picked(taken.versions, &decoded.accepted),
            picked(taken.partitions, &decoded.accepted),
            picked(taken.offsets, &decoded.accepted),
        )?;
        Ok(Chunk {
            rejected,
            directed,
            bytes: changes.rows().get_array_memory_size() + taken.records.len() * 32,
            changes,
            further: Vec::new(),
            start: taken.start,
            end: taken.end,
            at_end: taken.at_end,
            seen_at: taken.seen_at,
            lag: taken.lag,
        })
    }

    fn metadata_column(&self, name: &str, taken: &Taken, accepted: &[u32]) -> ArrayRef {
        if name == "_partition" {
            return Arc::new(Int32Array::from_iter_values(accepted.iter().map(|&i| taken.partitions[i as usize])));
        }
        let records = accepted.iter().map(|&i| &taken.records[i as usize]);
        metadata::metadata_column(name, &TopicPartition::new(self.topic.clone(), 0), records)
    }
}

/// Those of `all` whose places, in ascending order, `accepted` has.
fn picked<T: ArrowPrimitiveType>(all: Vec<T::Native>, accepted: &[u32]) -> PrimitiveArray<T> {
    let some = if accepted.len() == all.len() { all } else { accepted.iter().map(|i| all[*i as usize]).collect() };
    PrimitiveArray::new(some.into(), None)
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
