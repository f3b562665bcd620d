//! What is stored of a table that flows write, whoever holds it, and which epochs it is of.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::UInt32Array;
use futures::{StreamExt as _, stream};
use millstream_core::batches::BatchStream;
use millstream_core::ports::{Clock, EventLog, LakeStore, ReportStore, Scan, StoreSnapshot};
use millstream_core::{ChangeBatch, ChangeKind, Epoch, Error, FlowId, Offset, Result, TableSpec, TopicPartition, Version};
use millstream_pipeline::graph::{Binding, Table, Topic};

use super::digest;
use crate::compile::nullable;
use crate::engine::Engine;
use crate::source::{ChunkLimit, ChunkSource as _, TopicSource};

/// A table's rows.
pub(super) struct Stored {
    spec: Arc<TableSpec>,
    /// The epoch of each flow that the rows are of.
    pub(super) epochs: BTreeMap<FlowId, Epoch>,
    holder: Holder,
}

#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
enum Holder {
    Store(Arc<dyn StoreSnapshot>),
    Reports(Arc<dyn ReportStore>),
    Lake(Arc<dyn LakeStore>),
    Topic { log: Arc<dyn EventLog>, clock: Arc<dyn Clock>, topic: Topic, latest_only: bool, limit: ChunkLimit },
}

impl Stored {
    /// The rows of `table`. A holder that doesn't say what it committed is taken to be at the last prepared epochs, or at those `back` before.
    pub(super) async fn open(engine: &Engine, table: &Table, back: usize) -> Result<Self> {
        let (spec, ports) = (table.spec.clone(), &engine.ports);
        let holder = match &table.binding {
            Binding::EventStore => {
                let snapshot = ports.event_store.snapshot().await?;
                let epochs = snapshot.epochs(&spec.name).await?;
                return Ok(Self { spec, epochs, holder: Holder::Store(snapshot) });
            }
            Binding::Report => Holder::Reports(ports.reports.clone()),
            Binding::Lake => Holder::Lake(ports.lake(&spec.name)?.clone()),
            Binding::Topic(topic) => Holder::Topic {
                log: ports.log.clone(),
                clock: ports.clock.clone(),
                topic: topic.clone(),
                latest_only: !topic.key_columns.is_empty() && engine.is_updated(&spec.name),
                limit: ChunkLimit {
                    rows_max: engine.settings.epoch_rows_max,
                    bytes_max: engine.settings.epoch_bytes_max,
                    mark_max: (Version::MAX, usize::MAX),
                },
            },
            other => return Err(Error::internal(format!("no flow writes {}, which is {other:?}", spec.name))),
        };
        let mut epochs = BTreeMap::new();
        for flow in engine.pipeline.flows.iter().filter(|f| f.target == spec.name) {
            if let Some(epoch) = ports.checkpoints.epochs(&flow.id).await?.iter().rev().nth(back) {
                epochs.insert(flow.id.clone(), *epoch);
            }
        }
        Ok(Self { spec, epochs, holder })
    }

    /// Whether the holder says itself which epochs it committed.
    pub(super) fn says_its_epochs(&self) -> bool {
        matches!(self.holder, Holder::Store(_))
    }

    /// Whether rows have no key by which to find them again.
    pub(super) fn only_appended(&self) -> bool {
        matches!(self.holder, Holder::Lake(_) | Holder::Topic { latest_only: false, .. })
    }

    /// Whether the values can be read, not only counted.
    pub(super) fn is_readable(&self) -> bool {
        !matches!(&self.holder, Holder::Topic { topic, .. } if !topic.is_exact(&self.spec.schema))
    }

    /// The rows; of each key the last one where others replace it. With their version as the last column where the holder has it.
    pub(super) async fn scan(&self) -> Result<BatchStream> {
        match &self.holder {
            Holder::Store(snapshot) => snapshot.scan(&self.spec.name, &Scan { with_version: true, ..Scan::default() }).await,
            Holder::Reports(reports) => reports.snapshot().await?.scan(&self.spec.name, None).await,
            Holder::Lake(lake) => lake.scan(&self.spec.name, None).await,
            Holder::Topic { log, clock, topic, latest_only, limit } => {
                // What flows write names no schemas.
                let source = TopicSource::new(log.clone(), clock.clone(), None, topic.clone(), self.spec.schema.clone());
                let mut state = source.beginning().await?;
                let mut reader = source.reader()?;
                let mut all: Vec<ChangeBatch> = Vec::new();
                loop {
                    let chunk = reader.chunk(&state, *limit).await?;
                    if chunk.is_empty() {
                        break;
                    }
                    state = chunk.end;
                    all.push(chunk.changes);
                }
                let all = if *latest_only { vec![self.latest(&all)?] } else { all };
                Ok(stream::iter(all.into_iter().map(|changes| Ok(changes.rows().clone()))).boxed())
            }
        }
    }

    /// Of each key the last change, if that is no delete.
    fn latest(&self, changes: &[ChangeBatch]) -> Result<ChangeBatch> {
        let schema = changes.first().map_or_else(|| nullable(&self.spec.schema), |c| c.rows().schema());
        let all = ChangeBatch::concat(&schema, changes)?;
        let key = self.spec.key.indices(&self.spec.schema)?;
        let last: HashMap<_, _> = digest::keys(all.rows(), &key)?.into_iter().zip(0_u32..).collect();
        let mut rows: Vec<u32> = last.into_values().filter(|row| all.kind(*row as usize) != ChangeKind::Delete).collect();
        rows.sort_unstable();
        all.take(&UInt32Array::from(rows))
    }

    /// How many records the topic holds; `None` where it is none, or no longer holds its beginning.
    pub(super) async fn records(&self) -> Result<Option<u64>> {
        let Holder::Topic { log, topic, limit, .. } = &self.holder else { return Ok(None) };
        let topics = log.topics().await?;
        let partitions = topics.iter().find(|t| t.name == topic.name).map_or(0, |t| t.partitions);
        let mut records = 0;
        for partition in (0..partitions).map(|p| TopicPartition::new(topic.name.clone(), p)) {
            let bounds = log.bounds(&partition).await?;
            if bounds.start > Offset(0) {
                return Ok(None);
            }
            let mut next = bounds.start;
            while next < bounds.end {
                let read = log.read(&partition, next, limit.bytes_max).await?;
                records += read.records.len() as u64;
                if read.next <= next {
                    break;
                }
                next = read.next;
            }
        }
        Ok(Some(records))
    }
}
