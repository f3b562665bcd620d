//! A topic as a table: its records from the first that is kept to the last that was there when the query was planned, decoded by the
//! topic's rules, with the metadata columns. What isn't a row of the topic's columns is not in it: flows put such records into
//! `system.dead_letters`. Tombstones are not rows either.

use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use futures::{FutureExt, StreamExt, stream};
use millstream_core::batches::BatchStream;
use millstream_core::decode::RecordDecoder;
use millstream_core::ports::{EventLog, Record, SchemaRegistry};
use millstream_core::table::project_schema;
use millstream_core::{ChangeKind, Error, Offset, Result, TableSpec, TopicPartition};
use millstream_pipeline::graph::Topic;

use super::port_table::{Part, Readable, Request};
use crate::metadata::{metadata_column, with_metadata};
use crate::source::learn_schemas;

/// About so many bytes of a partition are read and decoded at a time.
const READ_BYTES: usize = 1 << 20;

/// A topic, one part of a scan for each partition.
pub(super) struct TopicTable {
    spec: Arc<TableSpec>,
    topic: Topic,
    log: Arc<dyn EventLog>,
    schemas: Option<Arc<dyn SchemaRegistry>>,
    schema: SchemaRef,
}

impl TopicTable {
    /// [`Unsupported`](millstream_core::ErrorKind::Unsupported) for columns that its values can't be decoded into.
    pub(super) fn new(
        spec: Arc<TableSpec>,
        topic: Topic,
        log: Arc<dyn EventLog>,
        schemas: Option<Arc<dyn SchemaRegistry>>,
    ) -> Result<Self> {
        RecordDecoder::new(spec.schema.clone(), &topic.reading())?;
        let schema = with_metadata(&spec.schema);
        Ok(Self { spec, topic, log, schemas, schema })
    }
}

#[async_trait]
impl Readable for TopicTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    async fn parts(&self, request: &Request) -> Result<Vec<Part>> {
        let topics = self.log.topics().await?;
        let found = topics.iter().find(|t| t.name == self.topic.name);
        let found =
            found.ok_or_else(|| Error::not_found(format!("topic {} of table {} does not exist", self.topic.name, self.spec.name)))?;
        let mut parts: Vec<Part> = Vec::new();
        for number in 0..found.partitions {
            let partition = TopicPartition::new(self.topic.name.clone(), number);
            let bounds = self.log.bounds(&partition).await?;
            let (spec, topic, log, schemas) = (self.spec.clone(), self.topic.clone(), self.log.clone(), self.schemas.clone());
            let (columns, schema) = (request.columns.clone(), project_schema(&self.schema, Some(&request.columns))?);
            let own = spec.schema.fields().len();
            let kept: Vec<usize> = columns.iter().copied().filter(|place| *place < own).collect();
            parts.push(Box::new(move || {
                let read = RecordDecoder::new(spec.schema.clone(), &topic.reading()).map(|decoder| PartitionRead {
                    log: log.clone(),
                    schemas: schemas.clone(),
                    partition: partition.clone(),
                    next: bounds.start,
                    end: bounds.end,
                    decoder: decoder.keeping(&kept),
                    own,
                    columns: columns.clone(),
                    schema: schema.clone(),
                });
                async move { read.map(PartitionRead::batches) }.boxed()
            }));
        }
        Ok(parts)
    }
}

/// A read of one partition, chunk by chunk.
struct PartitionRead {
    log: Arc<dyn EventLog>,
    schemas: Option<Arc<dyn SchemaRegistry>>,
    partition: TopicPartition,
    next: Offset,
    end: Offset,
    decoder: RecordDecoder,
    /// How many columns the topic has of its own; behind them come its metadata columns.
    own: usize,
    columns: Vec<usize>,
    schema: SchemaRef,
}

impl PartitionRead {
    fn batches(self) -> BatchStream {
        stream::try_unfold(self, |mut read| async move {
            while read.next < read.end {
                let outcome = read.log.read(&read.partition, read.next, READ_BYTES).await?;
                let stands_still = outcome.next <= read.next;
                read.next = if stands_still { read.end } else { outcome.next };
                let records: Vec<Record> = outcome.records.into_iter().filter(|r| r.offset < read.end).collect();
                if !records.is_empty() {
                    learn_schemas(&mut read.decoder, &records, read.schemas.as_ref(), &read.partition.topic).await?;
                    return Ok(Some((read.decode(&records)?, read)));
                }
            }
            Ok(None)
        })
        .boxed()
    }

    fn decode(&mut self, records: &[Record]) -> Result<RecordBatch> {
        let decoded = self.decoder.decode(records)?;
        let mut own = decoded.rows.columns().iter();
        let accepted = || decoded.accepted.iter().filter_map(|i| records.get(*i as usize)).collect::<Vec<_>>();
        let columns = self.columns.iter().zip(self.schema.fields()).map(|(index, field)| {
            let decoded = if *index < self.own { own.next() } else { None };
            match decoded {
                Some(column) => column.clone(),
                None => metadata_column(field.name(), &self.partition, accepted().into_iter()),
            }
        });
        let batch = RecordBatch::try_new(self.schema.clone(), columns.collect())?;
        let deletes = ChangeKind::Delete.code();
        if !decoded.kinds.values().contains(&deletes) {
            return Ok(batch);
        }
        let rows: BooleanArray = decoded.kinds.values().iter().map(|kind| Some(*kind != deletes)).collect();
        Ok(filter_record_batch(&batch, &rows)?)
    }
}
