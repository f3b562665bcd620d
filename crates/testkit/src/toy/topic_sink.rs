//! [`TopicSink`] in memory, on the topics of [`ToyEventLog`](super::ToyEventLog): an epoch's records and its number change in one step.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use millstream_core::encode::{PlacedRecord, RowEncoder};
use millstream_core::ports::{EpochSink, EpochWrite, EventLog, Record, TopicOutput, TopicSink, TopicSpec};
use millstream_core::{Attempt, Epoch, Error, ErrorKind, FlowId, Offset, Result, TableSpec, Timestamp};

use super::tables::{Due, Epochs};
use super::{Defect, Disk, ToyEventLog};

/// The tables that are topics.
pub(super) type Tables = BTreeMap<String, Table>;

#[derive(Clone, Debug)]
pub(super) struct Table {
    output: TopicOutput,
    encoder: RowEncoder,
    epochs: Epochs,
}

/// Topics that flows write, in memory.
#[derive(Debug)]
pub struct ToyTopicSink {
    disk: Arc<Disk>,
    log: Arc<ToyEventLog>,
}

fn table_mut<'a>(tables: &'a mut Tables, name: &str) -> Result<&'a mut Table> {
    tables.get_mut(name).ok_or_else(|| Error::not_found(format!("table {name} is no topic of the toy log")))
}

impl ToyTopicSink {
    /// The sink into the topics of `log`, which is on `disk` too.
    #[must_use]
    pub fn open(disk: Arc<Disk>, log: Arc<ToyEventLog>) -> Self {
        disk.opening(&disk.outputs);
        Self { disk, log }
    }

    fn records_of(&self, table: &Table, write: &EpochWrite) -> Result<Vec<PlacedRecord>> {
        let mut records = table.encoder.encode_epoch(write, table.output.partitions)?;
        match self.disk.defect {
            Some(Defect::ReordersRecords) => records.reverse(),
            Some(Defect::ForgetsTombstones) => records.retain(|r| r.record.value.is_some()),
            Some(Defect::ScattersKeys) => records.iter_mut().for_each(|r| r.partition = (r.partition + 1) % table.output.partitions),
            Some(Defect::LosesHeaders) => records.iter_mut().for_each(|r| r.record.headers.clear()),
            _ => {}
        }
        Ok(records)
    }

    fn push(&self, topic: &str, records: Vec<PlacedRecord>) -> Result<()> {
        let mut topics = self.disk.log.lock();
        let partitions = topics.get_mut(topic).ok_or_else(|| Error::not_found(format!("topic {topic} does not exist in the toy log")))?;
        for PlacedRecord { partition, record, .. } in records {
            let log = usize::try_from(partition).ok().and_then(|p| partitions.get_mut(p));
            let log = log.ok_or_else(|| Error::internal(format!("a record of topic {topic} goes to partition {partition}")))?;
            log.push(Record {
                offset: Offset(i64::try_from(log.len()).unwrap_or(i64::MAX)),
                timestamp: record.timestamp.unwrap_or(Timestamp(0)),
                key: record.key,
                value: record.value,
                headers: record.headers,
            });
        }
        drop(topics);
        self.disk.log.ring();
        Ok(())
    }
}

#[async_trait]
impl EpochSink for ToyTopicSink {
    async fn begin(&self, flow: &FlowId, attempt: Attempt, table: &str) -> Result<Epoch> {
        Ok(table_mut(&mut self.disk.outputs.lock(), table)?.epochs.begin(flow, attempt))
    }

    async fn commit(&self, write: EpochWrite) -> Result<u64> {
        if self.disk.has(Defect::ShowsHalfEpochs) {
            let (topic, mut half) = {
                let mut tables = self.disk.outputs.lock();
                let table = table_mut(&mut tables, &write.table)?;
                (table.output.topic.clone(), self.records_of(table, &write)?)
            };
            half.truncate(half.len() / 2);
            self.push(&topic, half)?;
            tokio::task::yield_now().await;
        }
        let mut tables = self.disk.outputs.lock();
        let table = table_mut(&mut tables, &write.table)?;
        let due = table.epochs.check(&write, !self.disk.has(Defect::IgnoresFencing), self.disk.has(Defect::AcceptsGaps))?;
        if matches!(due, Due::CommittedAlready) && !self.disk.has(Defect::AppliesReplays) {
            return Ok(0);
        }
        let records = self.records_of(table, &write)?;
        let count = records.len() as u64;
        self.push(&table.output.topic, records)?;
        table.epochs.commit(&write);
        Ok(count)
    }
}

#[async_trait]
impl TopicSink for ToyTopicSink {
    async fn ensure_topic(&self, spec: &TableSpec, output: &TopicOutput) -> Result<()> {
        let encoder = RowEncoder::try_new(spec, output)?;
        let topic = TopicSpec { name: output.topic.clone(), partitions: output.partitions, retention: output.retention };
        self.log.create_topic(&topic).await.map_err(|e| match e.kind() {
            ErrorKind::AlreadyExists => e.context(format!("{} partitions were asked for", output.partitions)),
            _ => e,
        })?;
        let mut tables = self.disk.outputs.lock();
        let epochs = tables.get(&spec.name).map(|table| table.epochs.clone()).unwrap_or_default();
        tables.insert(spec.name.clone(), Table { output: output.clone(), encoder, epochs });
        Ok(())
    }

    async fn drop_topic(&self, table: &str, topic: &str) -> Result<()> {
        match self.log.delete_topic(topic).await {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.disk.outputs.lock().remove(table);
        Ok(())
    }
}
