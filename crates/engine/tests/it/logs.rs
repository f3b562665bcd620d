//! A log that is not as the toy log is: a publisher that never pauses, or records that are gone.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use millstream_core::ports::{EventLog, LogBounds, NewRecord, ReadOutcome, TopicInfo, TopicSpec};
use millstream_core::{Error, Offset, Result, TopicPartition};

use crate::events::Reading;

/// A log with something else about it.
pub struct AlteredLog {
    inner: Arc<dyn EventLog>,
    waiting: Mutex<VecDeque<Reading>>,
    start: Offset,
    without: Option<Offset>,
}

impl AlteredLog {
    /// Whenever somebody has read a partition to its end, another of these readings has come by then.
    pub fn steadily(inner: Arc<dyn EventLog>, readings: &[Reading]) -> Arc<Self> {
        Arc::new(Self { inner, waiting: Mutex::new(readings.iter().cloned().collect()), start: Offset(0), without: None })
    }

    /// No partition holds a record before `start` any more.
    pub fn kept_from(inner: Arc<dyn EventLog>, start: i64) -> Arc<Self> {
        Arc::new(Self { inner, waiting: Mutex::default(), start: Offset(start), without: None })
    }

    /// No partition holds a record at this offset any more, as after compaction.
    pub fn without(inner: Arc<dyn EventLog>, offset: i64) -> Arc<Self> {
        Arc::new(Self { inner, waiting: Mutex::default(), start: Offset(0), without: Some(Offset(offset)) })
    }

    fn kept(&self, bounds: LogBounds) -> LogBounds {
        LogBounds { start: self.start.min(bounds.end), ..bounds }
    }
}

#[async_trait]
impl EventLog for AlteredLog {
    async fn identity(&self) -> Result<String> {
        self.inner.identity().await
    }

    async fn create_topic(&self, spec: &TopicSpec) -> Result<bool> {
        self.inner.create_topic(spec).await
    }

    async fn delete_topic(&self, topic: &str) -> Result<()> {
        self.inner.delete_topic(topic).await
    }

    async fn topics(&self) -> Result<Vec<TopicInfo>> {
        self.inner.topics().await
    }

    async fn append(&self, partition: &TopicPartition, records: Vec<NewRecord>) -> Result<Offset> {
        self.inner.append(partition, records).await
    }

    async fn bounds(&self, partition: &TopicPartition) -> Result<LogBounds> {
        Ok(self.kept(self.inner.bounds(partition).await?))
    }

    async fn read(&self, partition: &TopicPartition, from: Offset, max_bytes: usize) -> Result<ReadOutcome> {
        let mut outcome = self.inner.read(partition, from, max_bytes).await?;
        outcome.bounds = self.kept(outcome.bounds);
        outcome.records.retain(|record| Some(record.offset) != self.without);
        if from < outcome.bounds.start {
            return Err(Error::out_of_range(format!("{partition} begins at offset {}", outcome.bounds.start)));
        }
        let next = if outcome.next == outcome.bounds.end { self.waiting.lock().unwrap().pop_front() } else { None };
        if let Some(next) = next {
            let record = NewRecord { value: Some(Bytes::from(next.json())), ..NewRecord::default() };
            self.inner.append(&TopicPartition::new("readings", next.partition()), vec![record]).await?;
        }
        Ok(outcome)
    }

    async fn wait(&self, topic: &str, seen: &[Offset]) -> Result<()> {
        self.inner.wait(topic, seen).await
    }
}
