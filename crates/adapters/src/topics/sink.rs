//! [`LogTopicSink`]: epochs into topics of a log without transactions.
//!
//! An epoch is appended to all its partitions at the same time, to each in batches that the log appends whole, and is committed when the
//! system store holds its number. Nobody knows what stands in a topic after a crash, or after an append whose answer was lost: so the first
//! epoch after that is looked for behind the end of the one before it, and only what is not there yet is appended. The engine commits a torn
//! epoch again with the same changes (a sink that isolates row by row is promised that), and the same changes are the same records.
//!
//! Calls are carried out one at a time for each flow.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::join_all;
use millstream_core::admission::Admission;
use millstream_core::encode::{PlacedRecord, RowEncoder};
use millstream_core::ports::{EpochSink, EpochWrite, EventLog, Isolation, NewRecord, SystemStore, TopicOutput, TopicSink};
use millstream_core::{Attempt, Epoch, ErrorKind, FlowId, Offset, Result, TableSpec, TopicPartition};

use super::encoding::records_of;
use super::finishing::FinishingTopicSink;
use super::outputs::{Output, Outputs, topic_spec};
use super::progress::Ledger;
use super::standing::Standing;

/// What a record needs beside its key, value and headers at the most, and a batch beside its records, in bytes.
const RECORD_BYTES: usize = 50;
const BATCH_BYTES: usize = 100;

/// Flows into the topics of a log.
pub type LogTopicSink = FinishingTopicSink<LogTopics>;

/// What [`LogTopicSink`] does.
pub struct LogTopics {
    log: Arc<dyn EventLog>,
    ledger: Ledger,
    place: String,
    append_bytes_max: usize,
    outputs: Outputs<State>,
}

/// What is known of a flow's way into its topic.
#[derive(Default)]
struct State {
    /// Nothing stands in the topic of an epoch that is not committed.
    clean: bool,
}

impl LogTopicSink {
    /// A sink into the topics of `log`, which is at `place` (the name of one broker and no other), with its progress in `system`. One
    /// append has at most `append_bytes_max` bytes, unless a single record has more.
    pub fn new(log: Arc<dyn EventLog>, place: impl Into<String>, system: Arc<dyn SystemStore>, append_bytes_max: usize) -> Self {
        Self::around(LogTopics { log, ledger: Ledger::new(system), place: place.into(), append_bytes_max, outputs: Outputs::default() })
    }
}

impl LogTopics {
    async fn ends(&self, output: &Output) -> Result<Vec<Offset>> {
        let mut ends = Vec::new();
        for partition in 0..output.partitions {
            ends.push(self.log.bounds(&TopicPartition::new(&output.topic, partition)).await?.end);
        }
        Ok(ends)
    }

    /// Appends the batches of each partition one after the other, to all partitions at the same time; the end of each. Where one can't be
    /// appended, none is under way any more when this returns: whoever looks for what stands in the topic then sees all of it.
    async fn append(&self, topic: &str, batches: BTreeMap<i32, Vec<Vec<NewRecord>>>) -> Result<Vec<(i32, Offset)>> {
        let to_one = |(partition, batches): (i32, Vec<Vec<NewRecord>>)| async move {
            let at = TopicPartition::new(topic, partition);
            let mut end = Offset::default();
            for batch in batches {
                let count = i64::try_from(batch.len()).unwrap_or(i64::MAX);
                end = Offset(self.log.append(&at, batch).await?.0.saturating_add(count));
            }
            Ok((partition, end))
        };
        join_all(batches.into_iter().map(to_one)).await.into_iter().collect()
    }
}

/// The records of each partition as batches of at most `bytes_max` bytes, in their order.
fn batches(records: Vec<PlacedRecord>, bytes_max: usize) -> BTreeMap<i32, Vec<Vec<NewRecord>>> {
    let mut open: BTreeMap<i32, (usize, Vec<Vec<NewRecord>>)> = BTreeMap::new();
    for PlacedRecord { partition, record, .. } in records {
        let bytes = bytes_of(&record);
        let (size, batches) = open.entry(partition).or_default();
        match batches.last_mut() {
            Some(batch) if *size + bytes <= bytes_max => {
                *size += bytes;
                batch.push(record);
            }
            _ => {
                *size = BATCH_BYTES + bytes;
                batches.push(vec![record]);
            }
        }
    }
    open.into_iter().map(|(partition, (_, batches))| (partition, batches)).collect()
}

fn bytes_of(record: &NewRecord) -> usize {
    let length = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map_or(0, bytes::Bytes::len);
    let headers: usize = record.headers.iter().map(|(name, value)| name.len() + length(value) + 10).sum();
    RECORD_BYTES + length(&record.key) + length(&record.value) + headers
}

#[async_trait]
impl EpochSink for LogTopics {
    async fn begin(&self, flow: &FlowId, attempt: Attempt, table: &str) -> Result<Epoch> {
        let (output, lane) = self.outputs.get(table, flow)?;
        // What an earlier attempt still appends comes to its end first.
        let _turn = lane.lock().await;
        let before = self.ledger.get(table, flow).await?;
        let mut progress = before.clone();
        progress.begin(flow, attempt, table)?;
        progress.check_place(flow, table, &self.place)?;
        let ends = self.ends(&output).await?;
        progress.check_ends(flow, table, &ends)?;
        if progress.epoch == Epoch(0) && progress.ends.is_empty() {
            progress.ends = ends;
        }
        let epoch = progress.epoch;
        if progress != before {
            self.ledger.put(table, flow, progress).await?;
        }
        Ok(epoch)
    }

    async fn commit(&self, write: EpochWrite) -> Result<u64> {
        let (output, lane) = self.outputs.get(&write.table, &write.flow)?;
        let mut state = lane.lock().await;
        let mut progress = self.ledger.get(&write.table, &write.flow).await?;
        if progress.admit(&write)? == Admission::Done {
            return Ok(0);
        }
        let mut records = records_of(&output, &write).await?;
        if progress.ends.is_empty() {
            progress.ends = self.ends(&output).await?;
        }
        // Partitions that the topic has got since: nothing of what was committed stands there, and whatever does may be of this epoch.
        let partitions = usize::try_from(output.partitions).unwrap_or_default();
        progress.ends.resize(progress.ends.len().max(partitions), Offset::default());
        if !state.clean {
            let found = Standing::find(&*self.log, &output.topic, &progress.ends, &write.flow, write.epoch).await?;
            records = found.missing_of(records, &write.flow);
            progress.ends = found.ends;
        }
        state.clean = false;
        let appended = records.len() as u64;
        for (partition, end) in self.append(&output.topic, batches(records, self.append_bytes_max)).await? {
            if let Some(known) = usize::try_from(partition).ok().and_then(|p| progress.ends.get_mut(p)) {
                *known = end;
            }
        }
        progress.attempt = write.attempt;
        progress.epoch = write.epoch;
        progress.place.clone_from(&self.place);
        self.ledger.put(&write.table, &write.flow, progress).await?;
        state.clean = true;
        Ok(appended)
    }

    fn isolation(&self) -> Isolation {
        Isolation::Row
    }
}

#[async_trait]
impl TopicSink for LogTopics {
    async fn ensure_topic(&self, spec: &TableSpec, output: &TopicOutput) -> Result<()> {
        let encoder = RowEncoder::try_new(spec, output)?;
        self.log.create_topic(&topic_spec(output)).await?;
        self.outputs.insert(spec, output, encoder);
        Ok(())
    }

    async fn drop_topic(&self, table: &str, topic: &str) -> Result<()> {
        match self.log.delete_topic(topic).await {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.outputs.remove(table);
        self.ledger.forget(table).await
    }
}

#[cfg(test)]
mod tests;
