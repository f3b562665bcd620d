//! [`KafkaLog`]: the topics of a real cluster behind core's port [`EventLog`].
//!
//! Millstream assigns partitions itself and knows its positions from its checkpoints (ADR 9), so no consumer group is joined. What a flow's
//! sink has acknowledged is committed to the group `<prefix>.<flow>` all the same, for the cluster's own tools.
//!
//! A partition's end is its last stable offset, and records of aborted transactions and the cluster's markers are passed over: offsets
//! have gaps there, and a read that found nothing else says where to go on. All of librdkafka's blocking calls are made on the runtime's
//! blocking threads, and carried out to their end even if nobody waits for them any more.

mod acknowledge;
mod append;
mod chunk;
mod lane;
mod readers;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use millstream_core::ports::{Clock, EventLog, LogBounds, NewRecord, ReadOutcome, Record, TopicInfo, TopicSpec};
use millstream_core::{Error, ErrorKind, FlowId, Offset, Result, TopicPartition};

use super::client::Cluster;
use super::directory::Directory;
use super::retention::RetentionWatch;
use super::settings::KafkaSettings;
use acknowledge::Acknowledgements;
use append::Appender;
use chunk::Chunk;
use lane::{Found, Lane};
use readers::{OutLane, TopicReaders};

/// The most that a read returns, whatever it is asked for, in bytes.
const READ_BYTES_MAX: usize = 256 << 20;
/// The most that is set aside before anything is read, in bytes.
const READ_ROOM_MAX: usize = 4 << 20;
/// Records that are there come within milliseconds; after so long without any, it is asked again whether there are some.
const SILENCE: Duration = Duration::from_millis(1_500);
/// A wait looks after its topic so often, whether or not something came: whether it is still there, and the cluster too.
const WAIT_STEP: Duration = Duration::from_secs(10);

/// Topics on a Kafka cluster.
pub struct KafkaLog {
    shared: Arc<Shared>,
}

struct Shared {
    cluster: Arc<Cluster>,
    directory: Directory,
    appender: Appender,
    topics: Mutex<BTreeMap<String, Arc<TopicReaders>>>,
    acknowledgements: Acknowledgements,
    retention: RetentionWatch,
}

impl KafkaLog {
    /// The topics of the cluster that `settings` name, after [`KafkaSettings::validate`]. Reaches nothing yet: a cluster that is away is
    /// [`Unavailable`](ErrorKind::Unavailable) to the calls.
    pub fn connect(settings: &KafkaSettings, clock: Arc<dyn Clock>) -> Result<Self> {
        let cluster = Cluster::new(settings, clock)?;
        let shared = Shared {
            directory: Directory::new(cluster.clone()),
            appender: Appender::new(cluster.clone()),
            topics: Mutex::default(),
            acknowledgements: Acknowledgements::new(cluster.clone()),
            retention: RetentionWatch::new(settings),
            cluster,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Reads the oldest record of each partition of `topic`: the log says if the cluster may remove it at any moment.
    pub async fn look_at_oldest(&self, topic: &TopicInfo) -> Result<()> {
        for partition in 0..topic.partitions {
            let partition = TopicPartition::new(&topic.name, partition);
            let bounds = self.bounds(&partition).await?;
            if bounds.start < bounds.end {
                self.read(&partition, bounds.start, 1).await?;
            }
        }
        Ok(())
    }

    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(&Arc<Shared>) -> Result<T> + Send + 'static) -> Result<T> {
        let shared = self.shared.clone();
        let done = tokio::task::spawn_blocking(move || work(&shared)).await;
        done.map_err(|e| Error::internal("a call to Kafka ended early").caused_by(e))?
    }
}

impl Shared {
    fn topics(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<TopicReaders>>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The readers of `topic`. [`NotFound`](ErrorKind::NotFound) where it does not exist.
    fn readers(&self, topic: &str) -> Result<Arc<TopicReaders>> {
        if let Some(known) = self.topics().get(topic) {
            return Ok(known.clone());
        }
        let partitions = self.directory.partitions(topic)?.ok_or_else(|| self.directory.no_topic(topic))?;
        let readers = TopicReaders::new(self.cluster.clone(), topic, partitions);
        Ok(self.topics().entry(topic.to_owned()).or_insert(readers).clone())
    }

    /// The readers of a partition's topic. [`NotFound`](ErrorKind::NotFound) where the topic has no such partition.
    fn readers_of(&self, partition: &TopicPartition) -> Result<Arc<TopicReaders>> {
        let readers = self.readers(&partition.topic)?;
        if (0..readers.partitions()).contains(&partition.partition) {
            return Ok(readers);
        }
        let all = readers.partitions();
        Err(Error::not_found(format!("{partition} does not exist at the Kafka endpoint {}: the topic has {all}", self.cluster.endpoint())))
    }

    /// The topic may be gone, or another of the same name: nothing that is known of it counts any more.
    fn forget(&self, topic: &str) {
        if let Some(readers) = self.topics().remove(topic) {
            readers.close();
        }
    }

    /// Forgets a topic of which the cluster says that it does not exist.
    fn settled<T>(&self, topic: &str, result: Result<T>) -> Result<T> {
        match result {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.forget(topic);
                Err(error)
            }
            other => other,
        }
    }

    fn ask_bounds(&self, readers: &TopicReaders, partition: &TopicPartition) -> Result<LogBounds> {
        let bounds = self.settled(&partition.topic, self.directory.bounds(partition))?;
        readers.note_bounds(partition.partition, bounds);
        Ok(bounds)
    }

    /// A read; `None`: all places in the partition are in use.
    fn read(&self, partition: &TopicPartition, from: i64, max_bytes: usize) -> Result<Option<ReadOutcome>> {
        let readers = self.readers_of(partition)?;
        let Some(mut out) = readers.check_out(partition.partition, from)? else { return Ok(None) };
        if !out.serves(from) {
            let bounds = self.ask_bounds(&readers, partition)?;
            check_range(partition, from, bounds)?;
            if from == bounds.end.0 {
                return Ok(Some(ReadOutcome { records: Vec::new(), next: Offset(from), bounds }));
            }
        }
        let outcome = out.at(from).and_then(|lane| self.read_lane(&readers, partition, lane, from, max_bytes));
        match outcome {
            Ok(outcome) => Ok(Some(outcome)),
            Err(error) if error.kind() == ErrorKind::OutOfRange && self.in_range(&readers, partition, from)? => {
                out.give_up();
                Err(Error::unavailable(format!("reading {partition} from {from} was interrupted")).caused_by(error))
            }
            Err(error) => {
                out.give_up();
                self.settled(&partition.topic, Err(error))
            }
        }
    }

    fn in_range(&self, readers: &TopicReaders, partition: &TopicPartition, from: i64) -> Result<bool> {
        Ok(check_range(partition, from, self.ask_bounds(readers, partition)?).is_ok())
    }

    fn read_lane(
        &self,
        readers: &TopicReaders,
        partition: &TopicPartition,
        lane: &mut Lane,
        from: i64,
        max_bytes: usize,
    ) -> Result<ReadOutcome> {
        let max_bytes = max_bytes.min(READ_BYTES_MAX);
        let mut records: Vec<Record> = lane.take_ahead().into_iter().collect();
        let start = lane.position();
        let mut chunk = Chunk::with_room_for(max_bytes.min(READ_ROOM_MAX));
        let mut found = lane.fill(&mut chunk, max_bytes, Duration::ZERO)?;
        if found == Found::End {
            found = lane.fill(&mut chunk, max_bytes, Duration::ZERO)?;
        }
        let mut asked = None;
        if found != Found::Records && lane.position() == start && start == from {
            // An append that returned is seen: what the cluster says is there has to come.
            let bounds = self.ask_bounds(readers, partition)?;
            check_range(partition, from, bounds)?;
            if from < bounds.end.0 {
                self.fill_until(lane, &mut chunk, max_bytes, bounds.end.0)?;
            } else {
                asked = Some(bounds);
            }
        }
        records.extend(chunk.into_records());
        if let Some(first) = records.first() {
            self.retention.note(&self.directory, &partition.topic, first.timestamp, self.cluster.clock.now());
        }
        let next = Offset(lane.position());
        // Of an empty read, the bounds by which it was judged to be empty.
        let known = asked.or_else(|| readers.known_bounds(partition.partition).filter(|known| known.end > next));
        let mut bounds = known.map_or_else(|| self.ask_bounds(readers, partition), Ok)?;
        bounds.end = bounds.end.max(next);
        Ok(ReadOutcome { records, next, bounds })
    }

    /// Takes what is there before `end`: records, or that there are none.
    fn fill_until(&self, lane: &mut Lane, chunk: &mut Chunk, max_bytes: usize, end: i64) -> Result<()> {
        let from = lane.position();
        while lane.fill(chunk, max_bytes, SILENCE)? == Found::End {
            if lane.position() > from {
                return Ok(());
            }
        }
        if !chunk.is_empty() || lane.position() > from {
            return Ok(());
        }
        // Silence: the offsets before the end may hold nothing (compaction removed it). The first thing that comes out after a seek was
        // fetched after the cluster named that end: a record, or the end itself with nothing before it.
        lane.seek(from)?;
        match lane.fill(chunk, max_bytes, self.cluster.settings.call_timeout())? {
            Found::Records => Ok(()),
            Found::End => {
                lane.nothing_until(end);
                Ok(())
            }
            Found::Nothing => {
                self.cluster.health.is_away();
                Err(Error::unavailable(format!(
                    "the Kafka endpoint {} sends no records from {from} on, and says that there are some up to {end}",
                    self.cluster.endpoint()
                )))
            }
        }
    }

    /// Whether something came after `seen`.
    fn look(&self, topic: &str, seen: &[Offset]) -> Result<Looked> {
        let readers = self.readers(topic)?;
        let numbered = (0..readers.partitions()).zip(seen);
        if numbered.clone().any(|(p, seen)| readers.known_end(p).is_some_and(|end| end > *seen)) {
            return Ok(Looked::Something);
        }
        let mut looked = Looked::Nothing;
        for (p, seen) in numbered {
            let partition = TopicPartition::new(topic, p);
            let Some(mut out) = readers.check_out(p, seen.0)? else {
                looked = Looked::InUse;
                continue;
            };
            if !out.serves(seen.0) {
                let bounds = self.ask_bounds(&readers, &partition)?;
                if bounds.end > *seen {
                    return Ok(Looked::Something);
                }
                if bounds.end < *seen {
                    continue;
                }
            }
            match self.look_at(&readers, &mut out, p, *seen) {
                Ok(true) => return Ok(Looked::Something),
                Ok(false) => {}
                Err(error) => {
                    out.give_up();
                    return self.settled(topic, Err(error));
                }
            }
        }
        Ok(looked)
    }

    fn look_at(&self, readers: &TopicReaders, out: &mut OutLane, partition: i32, seen: Offset) -> Result<bool> {
        let lane = out.at(seen.0)?;
        let end = match lane.peek()? {
            Some(offset) => Offset(offset).next(),
            None => Offset(lane.position()),
        };
        readers.note_end(partition, end);
        Ok(end > seen)
    }
}

/// What a wait found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Looked {
    Something,
    Nothing,
    /// Somebody else reads where it has to look.
    InUse,
}

fn check_range(partition: &TopicPartition, from: i64, bounds: LogBounds) -> Result<()> {
    if (bounds.start.0..=bounds.end.0).contains(&from) {
        return Ok(());
    }
    Err(Error::out_of_range(format!("offset {from} of {partition} is outside of what the log holds ({} to {})", bounds.start, bounds.end)))
}

#[async_trait]
impl EventLog for KafkaLog {
    async fn identity(&self) -> Result<String> {
        self.blocking(|shared| shared.directory.cluster_id()).await
    }

    async fn create_topic(&self, spec: &TopicSpec) -> Result<bool> {
        let spec = spec.clone();
        self.blocking(move |shared| shared.directory.create(&spec)).await
    }

    async fn delete_topic(&self, topic: &str) -> Result<()> {
        let topic = topic.to_owned();
        self.blocking(move |shared| {
            let deleted = shared.directory.delete(&topic);
            shared.forget(&topic);
            shared.appender.forget();
            deleted
        })
        .await
    }

    async fn topics(&self) -> Result<Vec<TopicInfo>> {
        self.blocking(|shared| shared.directory.topics()).await
    }

    async fn append(&self, partition: &TopicPartition, records: Vec<NewRecord>) -> Result<Offset> {
        if records.is_empty() {
            return Err(Error::invalid(format!("append to {partition} without records")));
        }
        let partition = partition.clone();
        self.blocking(move |shared| {
            shared.readers_of(&partition)?;
            shared.settled(&partition.topic, shared.appender.append(&partition, &records))
        })
        .await
    }

    async fn bounds(&self, partition: &TopicPartition) -> Result<LogBounds> {
        let partition = partition.clone();
        self.blocking(move |shared| {
            let readers = shared.readers_of(&partition)?;
            shared.ask_bounds(&readers, &partition)
        })
        .await
    }

    async fn read(&self, partition: &TopicPartition, from: Offset, max_bytes: usize) -> Result<ReadOutcome> {
        loop {
            let at = partition.clone();
            let (outcome, mut returned) = self
                .blocking(move |shared| {
                    let returned = shared.readers_of(&at)?.returned();
                    Ok((shared.read(&at, from.0, max_bytes)?, returned))
                })
                .await?;
            if let Some(outcome) = outcome {
                return Ok(outcome);
            }
            // An error means that the topic's readers are gone: then the next look says why.
            let _ = returned.changed().await;
        }
    }

    async fn acknowledge(&self, reader: &FlowId, topic: &str, next: &[Offset]) -> Result<()> {
        self.shared.acknowledgements.put(reader, topic, next);
        Ok(())
    }

    async fn wait(&self, topic: &str, seen: &[Offset]) -> Result<()> {
        loop {
            let (name, at) = (topic.to_owned(), seen.to_vec());
            let (looked, readers, mut bell, mut returned) = self
                .blocking(move |shared| {
                    let readers = shared.readers(&name)?;
                    let (bell, returned) = (readers.bell(), readers.returned());
                    Ok((shared.look(&name, &at)?, readers, bell, returned))
                })
                .await?;
            if looked == Looked::Something {
                return Ok(());
            }
            tokio::select! {
                _ = bell.changed() => {}
                _ = returned.changed(), if looked == Looked::InUse => {}
                () = self.shared.cluster.clock.sleep(WAIT_STEP) => {
                    let (name, partitions) = (topic.to_owned(), readers.partitions());
                    self.blocking(move |shared| {
                        (0..partitions).try_for_each(|p| shared.ask_bounds(&readers, &TopicPartition::new(name.as_str(), p)).map(drop))
                    })
                    .await?;
                }
            }
        }
    }
}
