//! A corner of a cluster that other tests use too: topics under a prefix of their own, which are deleted in the end.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use millstream_core::ports::{EventLog, LogBounds, NewRecord, ReadOutcome, TopicInfo, TopicSpec};
use millstream_core::{FlowId, Offset, Result, TopicPartition};

/// Kafka's limit for a topic's name.
const NAME_MAX: usize = 249;

/// The topics of one prefix, as if there were no others.
pub struct Namespace {
    log: Arc<dyn EventLog>,
    prefix: String,
    made: Arc<Mutex<BTreeSet<String>>>,
}

/// A prefix that nobody else has.
pub fn fresh_prefix() -> String {
    let folder = tempfile::tempdir().unwrap();
    let name: String = folder.path().file_name().unwrap().to_string_lossy().chars().filter(char::is_ascii_alphanumeric).collect();
    format!("t{name}-")
}

impl Namespace {
    pub fn new(log: Arc<dyn EventLog>, prefix: &str, made: Arc<Mutex<BTreeSet<String>>>) -> Self {
        Self { log, prefix: prefix.to_owned(), made }
    }

    /// The name on the cluster: the same for one that is no topic's name, so that the adapter is the one to refuse it.
    fn real(&self, name: &str) -> String {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if name.is_empty() || name.len() > NAME_MAX || name == "." || name == ".." || !name.chars().all(legal) {
            return name.to_owned();
        }
        let over = (self.prefix.len() + name.len()).saturating_sub(NAME_MAX);
        format!("{}{}", self.prefix, &name[over..])
    }

    fn at(&self, partition: &TopicPartition) -> TopicPartition {
        TopicPartition::new(self.real(&partition.topic), partition.partition)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl EventLog for Namespace {
    async fn identity(&self) -> Result<String> {
        self.log.identity().await
    }

    async fn create_topic(&self, spec: &TopicSpec) -> Result<bool> {
        let name = self.real(&spec.name);
        self.made.lock().unwrap().insert(name.clone());
        // The suite's records are of 1970, and a cluster's default retention goes by their times.
        let retention = Some(spec.retention.unwrap_or(Duration::from_millis(i64::MAX.unsigned_abs())));
        self.log.create_topic(&TopicSpec { name, partitions: spec.partitions, retention }).await
    }

    async fn delete_topic(&self, topic: &str) -> Result<()> {
        self.log.delete_topic(&self.real(topic)).await
    }

    async fn topics(&self) -> Result<Vec<TopicInfo>> {
        let own =
            |t: TopicInfo| t.name.strip_prefix(&self.prefix).map(|name| TopicInfo { name: name.to_owned(), partitions: t.partitions });
        Ok(self.log.topics().await?.into_iter().filter_map(own).collect())
    }

    async fn append(&self, partition: &TopicPartition, records: Vec<NewRecord>) -> Result<Offset> {
        self.log.append(&self.at(partition), records).await
    }

    async fn bounds(&self, partition: &TopicPartition) -> Result<LogBounds> {
        self.log.bounds(&self.at(partition)).await
    }

    async fn read(&self, partition: &TopicPartition, from: Offset, max_bytes: usize) -> Result<ReadOutcome> {
        self.log.read(&self.at(partition), from, max_bytes).await
    }

    async fn acknowledge(&self, reader: &FlowId, topic: &str, next: &[Offset]) -> Result<()> {
        self.log.acknowledge(reader, &self.real(topic), next).await
    }

    async fn wait(&self, topic: &str, seen: &[Offset]) -> Result<()> {
        self.log.wait(&self.real(topic), seen).await
    }
}
