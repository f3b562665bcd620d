//! Topics: [`EventLog`] and [`TopicSink`].

use async_trait::async_trait;
use millstream_core::ports::{
    EpochSink, EpochWrite, EventLog, Isolation, LogBounds, NewRecord, ReadOutcome, TopicInfo, TopicOutput, TopicSink, TopicSpec,
};
use millstream_core::{Attempt, Epoch, FlowId, Offset, Result, TableSpec, TopicPartition};

use super::Watched;

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl EventLog for Watched<dyn EventLog> {
    async fn identity(&self) -> Result<String> {
        self.health.observe(self.inner.identity().await)
    }

    async fn create_topic(&self, spec: &TopicSpec) -> Result<bool> {
        self.health.observe(self.inner.create_topic(spec).await)
    }

    async fn delete_topic(&self, topic: &str) -> Result<()> {
        self.health.observe(self.inner.delete_topic(topic).await)
    }

    async fn topics(&self) -> Result<Vec<TopicInfo>> {
        self.health.observe(self.inner.topics().await)
    }

    async fn append(&self, partition: &TopicPartition, records: Vec<NewRecord>) -> Result<Offset> {
        self.health.observe(self.inner.append(partition, records).await)
    }

    async fn bounds(&self, partition: &TopicPartition) -> Result<LogBounds> {
        self.health.observe(self.inner.bounds(partition).await)
    }

    async fn read(&self, partition: &TopicPartition, from: Offset, max_bytes: usize) -> Result<ReadOutcome> {
        self.health.observe_reader(self.inner.read(partition, from, max_bytes).await)
    }

    async fn acknowledge(&self, reader: &FlowId, topic: &str, next: &[Offset]) -> Result<()> {
        // It may only have been noted down, to be sent later: no sign of life.
        self.inner.acknowledge(reader, topic, next).await
    }

    async fn wait(&self, topic: &str, seen: &[Offset]) -> Result<()> {
        self.health.observe_reader(self.inner.wait(topic, seen).await)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl EpochSink for Watched<dyn TopicSink> {
    async fn begin(&self, flow: &FlowId, attempt: Attempt, table: &str) -> Result<Epoch> {
        self.health.observe(self.inner.begin(flow, attempt, table).await)
    }

    async fn commit(&self, write: EpochWrite) -> Result<u64> {
        self.health.observe(self.inner.commit(write).await)
    }

    fn isolation(&self) -> Isolation {
        self.inner.isolation()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl TopicSink for Watched<dyn TopicSink> {
    async fn ensure_topic(&self, spec: &TableSpec, output: &TopicOutput) -> Result<()> {
        self.health.observe(self.inner.ensure_topic(spec, output).await)
    }

    async fn drop_topic(&self, table: &str, topic: &str) -> Result<()> {
        self.health.observe(self.inner.drop_topic(table, topic).await)
    }
}
