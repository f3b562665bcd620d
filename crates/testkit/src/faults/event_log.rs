//! [`EventLog`] with faults.

use std::sync::Arc;

use async_trait::async_trait;
use millstream_core::ports::{EventLog, LogBounds, NewRecord, ReadOutcome, TopicInfo, TopicSpec};
use millstream_core::{FlowId, Offset, Result, TopicPartition};

use super::{Call, Faults};

/// A log that fails as its plan says.
pub struct FaultyEventLog {
    inner: Arc<dyn EventLog>,
    faults: Arc<Faults>,
}

impl FaultyEventLog {
    /// `inner` with `faults`.
    #[must_use]
    pub fn new(inner: Arc<dyn EventLog>, faults: Arc<Faults>) -> Self {
        Self { inner, faults }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl EventLog for FaultyEventLog {
    async fn identity(&self) -> Result<String> {
        self.faults.around(Call::LogIdentity, || self.inner.identity()).await
    }

    async fn create_topic(&self, spec: &TopicSpec) -> Result<bool> {
        self.faults.around(Call::CreateTopic, || self.inner.create_topic(spec)).await
    }

    async fn delete_topic(&self, topic: &str) -> Result<()> {
        self.faults.around(Call::DeleteTopic, || self.inner.delete_topic(topic)).await
    }

    async fn topics(&self) -> Result<Vec<TopicInfo>> {
        self.faults.around(Call::Topics, || self.inner.topics()).await
    }

    async fn append(&self, partition: &TopicPartition, records: Vec<NewRecord>) -> Result<Offset> {
        self.faults.around(Call::Append, || self.inner.append(partition, records)).await
    }

    async fn bounds(&self, partition: &TopicPartition) -> Result<LogBounds> {
        self.faults.around(Call::Bounds, || self.inner.bounds(partition)).await
    }

    async fn read(&self, partition: &TopicPartition, from: Offset, max_bytes: usize) -> Result<ReadOutcome> {
        self.faults.around(Call::ReadLog, || self.inner.read(partition, from, max_bytes)).await
    }

    async fn acknowledge(&self, reader: &FlowId, topic: &str, next: &[Offset]) -> Result<()> {
        self.faults.around(Call::Acknowledge, || self.inner.acknowledge(reader, topic, next)).await
    }

    async fn wait(&self, topic: &str, seen: &[Offset]) -> Result<()> {
        self.faults.around(Call::WaitLog, || self.inner.wait(topic, seen)).await
    }
}
