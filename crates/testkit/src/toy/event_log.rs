//! [`EventLog`] in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use millstream_core::ports::{Clock, EventLog, LogBounds, NewRecord, ReadOutcome, Record, TopicInfo, TopicSpec};
use millstream_core::{Error, Offset, Result, Timestamp, TopicPartition};

use super::{Defect, Disk};
use crate::clock::ManualClock;

/// Each topic's partitions, each with its records; a record's index is its offset.
pub(super) type Topics = BTreeMap<String, Vec<Vec<Record>>>;

/// A log in memory.
#[derive(Debug)]
pub struct ToyEventLog {
    disk: Arc<Disk>,
    clock: Arc<ManualClock>,
}

impl ToyEventLog {
    /// The log on `disk`.
    #[must_use]
    pub fn open(disk: Arc<Disk>, clock: Arc<ManualClock>) -> Self {
        disk.opening(&disk.log);
        Self { disk, clock }
    }

    /// Gives `topic` so many partitions, as an operator may in a real one; those that are there keep their records.
    pub fn set_partitions(&self, topic: &str, partitions: usize) -> Result<()> {
        let mut topics = self.disk.log.lock();
        topics.get_mut(topic).ok_or_else(|| no_topic(topic))?.resize_with(partitions, Vec::new);
        Ok(())
    }

    /// Records as they are stored; what a disk with a defect does to them happens here.
    fn stored(&self, records: Vec<NewRecord>) -> Vec<Record> {
        let now = self.clock.now();
        let to_the_millisecond = |t: Timestamp| Timestamp(t.0.div_euclid(1_000) * 1_000);
        let mut records: Vec<Record> = records
            .into_iter()
            .map(|r| Record {
                offset: Offset(0),
                timestamp: to_the_millisecond(r.timestamp.unwrap_or(now)),
                key: r.key,
                value: r.value,
                headers: if self.disk.has(Defect::LosesHeaders) { Vec::new() } else { r.headers },
            })
            .collect();
        match self.disk.defect {
            Some(Defect::DropsRecords) if records.len() > 2 => drop(records.remove(1)),
            Some(Defect::DoublesRecords) if records.len() > 2 => records.insert(1, records[0].clone()),
            Some(Defect::ReordersRecords) => records.reverse(),
            _ => {}
        }
        records
    }

    fn push(&self, partition: &TopicPartition, records: Vec<Record>) -> Result<Offset> {
        let first = {
            let mut topics = self.disk.log.lock();
            let log = partition_mut(&mut topics, partition)?;
            let first = end(log);
            for record in records {
                let offset = end(log);
                log.push(Record { offset, ..record });
            }
            first
        };
        self.disk.log.ring();
        Ok(first)
    }
}

fn end(log: &[Record]) -> Offset {
    Offset(i64::try_from(log.len()).unwrap_or(i64::MAX))
}

fn no_topic(topic: &str) -> Error {
    Error::not_found(format!("topic {topic} does not exist in the toy log"))
}

fn index(partition: &TopicPartition) -> usize {
    usize::try_from(partition.partition).unwrap_or(usize::MAX)
}

fn partition_mut<'a>(topics: &'a mut Topics, at: &TopicPartition) -> Result<&'a mut Vec<Record>> {
    topics.get_mut(&at.topic).and_then(|t| t.get_mut(index(at))).ok_or_else(|| no_topic(&at.to_string()))
}

fn partition<'a>(topics: &'a Topics, at: &TopicPartition) -> Result<&'a Vec<Record>> {
    topics.get(&at.topic).and_then(|t| t.get(index(at))).ok_or_else(|| no_topic(&at.to_string()))
}

fn size(record: &Record) -> usize {
    let bytes = |b: &Option<bytes::Bytes>| b.as_ref().map_or(0, bytes::Bytes::len);
    20 + bytes(&record.key) + bytes(&record.value) + record.headers.iter().map(|(name, v)| name.len() + bytes(v)).sum::<usize>()
}

fn check_spec(spec: &TopicSpec) -> Result<()> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let name = spec.name.as_str();
    if name.is_empty() || name.len() > 249 || matches!(name, "." | "..") || !name.chars().all(legal) {
        return Err(Error::invalid(format!("{name:?} can't be a topic's name")));
    }
    if spec.partitions < 1 {
        return Err(Error::invalid(format!("topic {name} can't have {} partitions", spec.partitions)));
    }
    Ok(())
}

#[async_trait]
impl EventLog for ToyEventLog {
    async fn identity(&self) -> Result<String> {
        Ok("toy".to_owned())
    }

    async fn create_topic(&self, spec: &TopicSpec) -> Result<bool> {
        check_spec(spec)?;
        let partitions = usize::try_from(spec.partitions).unwrap_or(0);
        let mut topics = self.disk.log.lock();
        match topics.get(&spec.name) {
            Some(present) if present.len() == partitions => Ok(false),
            Some(present) => Err(Error::already_exists(format!("topic {} has {} partitions, not {partitions}", spec.name, present.len()))),
            None => {
                topics.insert(spec.name.clone(), vec![Vec::new(); partitions]);
                Ok(true)
            }
        }
    }

    async fn delete_topic(&self, topic: &str) -> Result<()> {
        self.disk.log.lock().remove(topic).ok_or_else(|| no_topic(topic))?;
        self.disk.log.ring();
        Ok(())
    }

    async fn topics(&self) -> Result<Vec<TopicInfo>> {
        let info = |(name, partitions): (&String, &Vec<Vec<Record>>)| TopicInfo {
            name: name.clone(),
            partitions: i32::try_from(partitions.len()).unwrap_or(i32::MAX),
        };
        Ok(self.disk.log.lock().iter().map(info).collect())
    }

    async fn append(&self, partition: &TopicPartition, records: Vec<NewRecord>) -> Result<Offset> {
        if records.is_empty() {
            return Err(Error::invalid("an append without records"));
        }
        let mut records = self.stored(records);
        if self.disk.has(Defect::TearsAppends) {
            let last = records.pop().into_iter().collect();
            let first = self.push(partition, records)?;
            tokio::task::yield_now().await;
            self.push(partition, last)?;
            return Ok(first);
        }
        self.push(partition, records)
    }

    async fn bounds(&self, at: &TopicPartition) -> Result<LogBounds> {
        Ok(LogBounds { start: Offset(0), end: end(partition(&self.disk.log.lock(), at)?) })
    }

    async fn read(&self, at: &TopicPartition, from: Offset, max_bytes: usize) -> Result<ReadOutcome> {
        let topics = self.disk.log.lock();
        let log = partition(&topics, at)?;
        let bounds = LogBounds { start: Offset(0), end: end(log) };
        let from = if self.disk.has(Defect::MovesPositions) { from.clamp(bounds.start, bounds.end) } else { from };
        let skip = usize::try_from(from.0).ok().filter(|skip| *skip <= log.len());
        let skip = skip.ok_or_else(|| Error::out_of_range(format!("offset {from} of {at} is not within 0 to {}", bounds.end)))?;
        let mut room = max_bytes;
        let mut records: Vec<Record> = Vec::new();
        for record in &log[skip..] {
            if !records.is_empty() && size(record) > room {
                break;
            }
            room = room.saturating_sub(size(record));
            records.push(record.clone());
        }
        let next = records.last().map_or(from, |r| r.offset.next());
        Ok(ReadOutcome { records, next, bounds })
    }

    async fn wait(&self, topic: &str, seen: &[Offset]) -> Result<()> {
        let more = |topics: &Topics| match topics.get(topic) {
            None => Some(Err(no_topic(topic))),
            Some(logs) => logs.iter().zip(seen).any(|(log, seen)| end(log) > *seen).then_some(Ok(())),
        };
        if self.disk.has(Defect::NeverWakes) {
            std::future::pending::<()>().await;
        }
        self.disk.log.when(more).await
    }
}
