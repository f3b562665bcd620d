//! [`KafkaTopicSink`]: epochs into a cluster's topics, each a transaction; and [`topic_sink`], which knows what a cluster can do.
//!
//! The cluster says which epoch is committed. It forgets that when a flow commits nothing for as long as the cluster keeps a group's
//! offsets (`offsets.retention.minutes`, a week); then what the system store has put down of the last commit counts.

mod failures;
mod transactions;

use std::sync::Arc;

use async_trait::async_trait;
use millstream_core::admission::Admission;
use millstream_core::encode::RowEncoder;
use millstream_core::ports::{Clock, EpochSink, EpochWrite, EventLog, SystemStore, TopicOutput, TopicSink};
use millstream_core::{Attempt, Epoch, Error, ErrorKind, FlowId, Result, TableSpec};

use self::transactions::{Committed, Names, Transactions, group_of_epochs};
use super::client::Cluster;
use super::directory::Directory;
use super::settings::KafkaSettings;
use crate::topics::{FinishingTopicSink, Ledger, LogTopicSink, Outputs, Progress, records_of, topic_spec};

/// The sink for flows into the cluster's topics: with transactions, or without where it has none (`kafka.transactions`); then by `log`,
/// which is the cluster's. Reaches nothing yet.
pub fn topic_sink(
    settings: &KafkaSettings,
    log: Arc<dyn EventLog>,
    system: Arc<dyn SystemStore>,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn TopicSink>> {
    if settings.transactions() {
        return Ok(Arc::new(KafkaTopicSink::new(settings, system, clock)?));
    }
    let append_bytes_max = usize::try_from(settings.max_request_bytes()).unwrap_or(usize::MAX);
    Ok(Arc::new(LogTopicSink::new(log, &settings.bootstrap_servers, system, append_bytes_max)))
}

/// Flows into the topics of a cluster with transactions.
pub type KafkaTopicSink = FinishingTopicSink<ClusterTopics>;

/// What [`KafkaTopicSink`] does.
pub struct ClusterTopics {
    cluster: Arc<Cluster>,
    directory: Arc<Directory>,
    ledger: Ledger,
    outputs: Outputs<Option<Open>>,
}

/// A flow's producer, and the epoch that it has come to.
struct Open {
    epoch: Epoch,
    place: String,
    transactions: Transactions,
}

impl KafkaTopicSink {
    /// A sink into the topics of the cluster that `settings` name, after [`KafkaSettings::validate`]. Reaches nothing yet.
    pub fn new(settings: &KafkaSettings, system: Arc<dyn SystemStore>, clock: Arc<dyn Clock>) -> Result<Self> {
        let cluster = Cluster::new(settings, clock)?;
        let directory = Arc::new(Directory::new(cluster.clone()));
        Ok(Self::around(ClusterTopics { cluster, directory, ledger: Ledger::new(system), outputs: Outputs::default() }))
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| Error::internal("a call to Kafka ended early").caused_by(e))?
}

impl ClusterTopics {
    /// Opens a flow's transactions for the attempt of `progress`, in place of `before`.
    async fn open(&self, before: Option<Open>, flow: &FlowId, table: &str, topic: &str, progress: &Progress) -> Result<Open> {
        let (cluster, names) = (self.cluster.clone(), Names::new(&self.cluster, flow, table, topic));
        let (flow, table, topic, progress) = (flow.clone(), table.to_owned(), topic.to_owned(), progress.clone());
        blocking(move || {
            // The end of a client waits for its threads, too.
            drop(before);
            let (transactions, committed) = Transactions::open(&cluster, names)?;
            let place = transactions.cluster_id();
            let Some(committed) = committed else {
                progress.check_place(&flow, &table, &place)?;
                return Ok(Open { epoch: progress.epoch, place, transactions });
            };
            if committed.attempt > progress.attempt {
                return Err(Error::fenced(format!(
                    "attempt {} of flow {flow} writes to topic {topic}, where attempt {} has committed",
                    progress.attempt, committed.attempt
                )));
            }
            Ok(Open { epoch: committed.epoch, place, transactions })
        })
        .await
    }
}

#[async_trait]
impl EpochSink for ClusterTopics {
    async fn begin(&self, flow: &FlowId, attempt: Attempt, table: &str) -> Result<Epoch> {
        let (output, lane) = self.outputs.get(table, flow)?;
        // A commit of an earlier attempt comes to its end first.
        let mut lane = lane.lock().await;
        let before = self.ledger.get(table, flow).await?;
        let mut progress = before.clone();
        progress.begin(flow, attempt, table)?;
        if progress != before {
            self.ledger.put(table, flow, progress.clone()).await?;
        }
        let before = lane.take();
        let open = self.open(before, flow, table, &output.topic, &progress).await?;
        Ok(lane.insert(open).epoch)
    }

    async fn commit(&self, write: EpochWrite) -> Result<u64> {
        let (output, lane) = self.outputs.get(&write.table, &write.flow)?;
        let mut lane = lane.lock().await;
        let mut progress = self.ledger.get(&write.table, &write.flow).await?;
        progress.check_attempt(&write.flow, write.attempt, &write.table)?;
        progress.attempt = write.attempt;
        let open = match lane.take() {
            Some(open) => open,
            None => self.open(None, &write.flow, &write.table, &output.topic, &progress).await?,
        };
        progress.epoch = open.epoch;
        let encoded = match progress.admit(&write) {
            Ok(Admission::Write) => records_of(&output, &write).await.map(Some),
            Ok(Admission::Done) => Ok(None),
            Err(error) => Err(error),
        };
        // Until here nothing has happened: the producer is as good as before.
        let Ok(Some(records)) = encoded else {
            *lane = Some(open);
            return encoded.map(|_| 0);
        };
        let number = Committed { attempt: write.attempt, epoch: write.epoch };
        let (count, mut open) = blocking(move || {
            open.transactions.commit(&records, number)?;
            Ok((records.len() as u64, open))
        })
        .await?;
        open.epoch = write.epoch;
        progress.place.clone_from(&open.place);
        *lane = Some(open);
        progress.epoch = write.epoch;
        self.ledger.put(&write.table, &write.flow, progress).await?;
        Ok(count)
    }
}

#[async_trait]
impl TopicSink for ClusterTopics {
    async fn ensure_topic(&self, spec: &TableSpec, output: &TopicOutput) -> Result<()> {
        let encoder = RowEncoder::try_new(spec, output)?;
        let (directory, topic) = (self.directory.clone(), topic_spec(output));
        blocking(move || directory.create(&topic)).await?;
        self.outputs.insert(spec, output, encoder);
        Ok(())
    }

    async fn drop_topic(&self, table: &str, topic: &str) -> Result<()> {
        self.outputs.remove(table);
        // The cluster forgets the offsets of a topic that is gone, but not at once.
        let flows = self.ledger.flows(table).await?;
        let groups: Vec<String> = flows.iter().map(|flow| group_of_epochs(&self.cluster, flow)).collect();
        let (directory, topic) = (self.directory.clone(), topic.to_owned());
        blocking(move || {
            match directory.delete(&topic) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            directory.delete_groups(&groups)
        })
        .await?;
        self.ledger.forget(table).await
    }
}
