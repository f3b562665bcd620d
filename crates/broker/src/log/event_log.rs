//! [`EventLog`] on the built-in log: records in, records out. What it promises stands at the port.

use async_trait::async_trait;
use millstream_core::ports::{EventLog, LogBounds, NewRecord, ReadOutcome, TopicInfo, TopicSpec};
use millstream_core::{Error, FlowId, Offset, Result, TopicPartition};

use super::{LEADER_EPOCH, Log, LogError, blocking};
use crate::batch::{encode, encoded_len_max};
use crate::coordinator::{Committed, OffsetChange, OffsetKey};

/// Clients see the position of flow `f` as that of the consumer group `millstream.f`.
const GROUP_PREFIX: &str = "millstream.";

#[async_trait]
impl EventLog for Log {
    async fn identity(&self) -> Result<String> {
        Ok(self.cluster_id().to_owned())
    }

    async fn create_topic(&self, spec: &TopicSpec) -> Result<bool> {
        Ok(self.create(spec.clone()).await?)
    }

    async fn delete_topic(&self, topic: &str) -> Result<()> {
        Ok(self.delete(topic.to_owned()).await?)
    }

    async fn topics(&self) -> Result<Vec<TopicInfo>> {
        Ok(self.all_topics().iter().map(|t| t.info()).collect())
    }

    async fn append(&self, partition: &TopicPartition, records: Vec<NewRecord>) -> Result<Offset> {
        if records.is_empty() {
            return Err(Error::invalid(format!("append to {partition} without records")));
        }
        let bytes = encoded_len_max(&records);
        if bytes > i32::MAX as usize {
            return Err(Error::invalid(format!("append to {partition} of more than 2 GiB at once: append fewer records at a time")));
        }
        self.check_intake()?;
        let topic = self.topic(&partition.topic)?;
        let (number, now) = (partition.partition, self.clock().now());
        let cost = topic.partition(number)?.append_cost(bytes);
        let appended = self.at_disk(cost, move || topic.partition(number)?.append(encode(&records, now))).await?;
        Ok(Offset(appended.base_offset))
    }

    async fn bounds(&self, partition: &TopicPartition) -> Result<LogBounds> {
        Ok(self.topic(&partition.topic)?.partition(partition.partition)?.bounds())
    }

    async fn read(&self, partition: &TopicPartition, from: Offset, max_bytes: usize) -> Result<ReadOutcome> {
        let topic = self.topic(&partition.topic)?;
        let number = partition.partition;
        let known = topic.partition(number)?;
        let bounds = known.bounds();
        if from == bounds.end {
            return Ok(ReadOutcome { records: Vec::new(), next: from, bounds });
        }
        let bytes = usize::try_from(known.bytes_from(from.0)).unwrap_or(usize::MAX).min(max_bytes);
        Ok(self.at_disk(bytes, move || topic.partition(number)?.read_records(from.0, max_bytes)).await?)
    }

    async fn acknowledge(&self, reader: &FlowId, topic: &str, next: &[Offset]) -> Result<()> {
        let meta = self.topic(topic)?.meta().clone();
        let now = self.clock().now();
        let committed = |offset: Offset| Committed { offset: offset.0, leader_epoch: LEADER_EPOCH, metadata: String::new(), at: now };
        let offsets = (0..meta.partitions)
            .zip(next)
            .map(|(partition, offset)| (OffsetKey { topic: meta.name.clone(), topic_id: meta.id, partition }, committed(*offset)))
            .collect();
        let change = OffsetChange::Commit { group: format!("{GROUP_PREFIX}{reader}"), offsets };
        let file = self.offsets().clone();
        Ok(blocking(move || file.note(change, now)).await?)
    }

    async fn wait(&self, topic: &str, seen: &[Offset]) -> Result<()> {
        let topic = self.topic(topic)?;
        let mut changes = topic.changes();
        loop {
            changes.borrow_and_update();
            if topic.is_deleted() {
                return Err(LogError::NoTopic(topic.meta().name.clone()).into());
            }
            let mut partitions = topic.partitions().iter().zip(seen);
            if partitions.any(|(partition, seen)| partition.bounds().end > *seen) {
                return Ok(());
            }
            if changes.changed().await.is_err() {
                return Err(LogError::Stopped.into());
            }
        }
    }
}
