//! [`Transactions`]: one flow's epochs, each a transaction that holds its records and its number. Blocking.
//!
//! The number is the metadata of an offset that the transaction commits for a consumer group of the flow's own: the cluster makes it and
//! the records visible in one step. Nothing is ever read or resumed by that group.
//!
//! After any error the producer is thrown away. The next one has the same transactional id, so that the cluster settles what was left open
//! before it answers (KIP-98), and then says which epoch is committed.

use std::sync::Arc;
use std::time::Duration;

use millstream_core::encode::PlacedRecord;
use millstream_core::{Attempt, Epoch, Error, ErrorKind, FlowId, Result};
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::producer::{Producer, ThreadedProducer};
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};

use super::super::client::{Cluster, Served};
use super::super::native;
use super::super::topic_handle::TopicHandle;
use super::failures::{self, TellingFailures};

/// The partition whose offset carries the number.
const CARRIER: i32 = 0;
/// The metadata's format, `millstream/1/<attempt>/<epoch>`.
const METADATA_PREFIX: &str = "millstream/1/";
/// A transaction that follows another at once is refused while the cluster writes the other one's end, for some milliseconds; then it is tried
/// again after so long, then twice as long, and so on. librdkafka's own 100 ms would be most of an epoch's time.
const RETRY_AFTER_MS: u32 = 2;

/// An epoch that was committed, and the attempt that did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Committed {
    pub(super) attempt: Attempt,
    pub(super) epoch: Epoch,
}

impl Committed {
    fn metadata(self) -> String {
        format!("{METADATA_PREFIX}{}/{}", self.attempt, self.epoch)
    }

    fn parse(metadata: &str) -> Option<Self> {
        let (attempt, epoch) = metadata.strip_prefix(METADATA_PREFIX)?.split_once('/')?;
        Some(Self { attempt: Attempt(attempt.parse().ok()?), epoch: Epoch(epoch.parse().ok()?) })
    }
}

/// Which flow writes which topic, in the cluster's words.
#[derive(Clone, Debug)]
pub(super) struct Names {
    flow: FlowId,
    topic: String,
    transactional_id: String,
    group: String,
}

impl Names {
    pub(super) fn new(cluster: &Cluster, flow: &FlowId, table: &str, topic: &str) -> Self {
        let own = cluster.settings.group_of(flow);
        Self {
            flow: flow.clone(),
            topic: topic.to_owned(),
            transactional_id: format!("{own}.{table}"),
            group: group_of_epochs(cluster, flow),
        }
    }
}

/// The group that carries a flow's epochs.
pub(super) fn group_of_epochs(cluster: &Cluster, flow: &FlowId) -> String {
    format!("{}.epochs", cluster.settings.group_of(flow))
}

/// A flow's transactions into a topic.
pub(super) struct Transactions {
    cluster: Arc<Cluster>,
    names: Names,
    topic: TopicHandle<TellingFailures>,
    producer: ThreadedProducer<TellingFailures>,
    group: Served,
}

impl Transactions {
    /// Fences every earlier producer of the flow, settles what it left open, and says what is committed; `None`: the cluster knows of
    /// nothing.
    pub(super) fn open(cluster: &Arc<Cluster>, names: Names) -> Result<(Self, Option<Committed>)> {
        let s = &cluster.settings;
        let timeout_ms = s.transaction_timeout_ms;
        // A request has to be over before its transaction is.
        let request_ms = s.request_timeout_ms().min(timeout_ms - 100).min(300_000).to_string();
        let (reports, only_failures) = failures::SETTING;
        let settings = [
            ("transactional.id", names.transactional_id.clone()),
            ("transaction.timeout.ms", timeout_ms.to_string()),
            ("socket.timeout.ms", request_ms.clone()),
            ("request.timeout.ms", request_ms),
            ("linger.ms", s.linger_ms.min(timeout_ms / 2).to_string()),
            ("compression.type", s.compression().as_str().to_owned()),
            // The engine bounds what an epoch holds.
            ("queue.buffering.max.messages", "0".to_owned()),
            ("queue.buffering.max.kbytes", "2147483647".to_owned()),
            ("retry.backoff.ms", RETRY_AFTER_MS.to_string()),
            (reports, only_failures.to_owned()),
        ];
        let producer = cluster.producer(&settings, TellingFailures::new)?;
        let topic = TopicHandle::new(&producer, &names.topic);
        let topic = topic.map_err(|e| cluster.failed(format!("writing to topic {}", names.topic), e))?;
        let group = cluster.consumer(&[("group.id", names.group.clone()), ("enable.auto.commit", "false".to_owned())])?;
        let this = Self { cluster: cluster.clone(), names, topic, producer, group };
        let begun = this.producer.init_transactions(s.call_timeout());
        begun.map_err(|e| this.failed("taking over the transactions of", e))?;
        let committed = this.committed()?;
        cluster.health.is_here();
        Ok((this, committed))
    }

    /// The name that the cluster has given itself; else where it was found.
    pub(super) fn cluster_id(&self) -> String {
        let given = self.producer.client().fetch_cluster_id(self.cluster.settings.call_timeout());
        given.unwrap_or_else(|| self.cluster.endpoint().to_owned())
    }

    fn failed(&self, doing: &str, source: KafkaError) -> Error {
        let Names { flow, topic, .. } = &self.names;
        let error = self.cluster.failed(format!("{doing} flow {flow} into topic {topic}"), source);
        if error.kind() == ErrorKind::Unavailable {
            self.cluster.health.is_away();
        }
        error
    }

    fn committed(&self) -> Result<Option<Committed>> {
        let failed = |e| self.failed("asking for the last committed epoch of", e);
        let mut asked = TopicPartitionList::new();
        asked.add_partition(&self.names.topic, CARRIER);
        // Of committed transactions alone: that is this client's isolation.
        let found = self.group.consumer.committed_offsets(asked, self.cluster.settings.call_timeout()).map_err(failed)?;
        let Some(carrier) = found.find_partition(&self.names.topic, CARRIER) else { return Ok(None) };
        carrier.error().map_err(failed)?;
        if !matches!(carrier.offset(), KafkaOffset::Offset(_)) {
            return Ok(None);
        }
        let committed = Committed::parse(carrier.metadata());
        committed.map(Some).ok_or_else(|| {
            Error::corrupt(format!(
                "the consumer group {} at the Kafka endpoint {} holds an offset of topic {} that Millstream did not commit ({:?}): the group is \
                 Millstream's own (kafka.group_id_prefix)",
                self.names.group,
                self.cluster.endpoint(),
                self.names.topic,
                carrier.metadata()
            ))
        })
    }

    /// Commits `records` as what `number` says, in one transaction.
    pub(super) fn commit(&self, records: &[PlacedRecord], number: Committed) -> Result<()> {
        match self.try_commit(records, number) {
            Ok(()) => {
                self.cluster.health.is_here();
                Ok(())
            }
            Err(source) => {
                // What became of a record says more than that the transaction can't be committed.
                let source = self.producer.context().first().unwrap_or(source);
                let error = self.failed("committing an epoch of", source);
                // Readers need not wait for it until it times out. Where that fails, too, the next producer sees to it.
                drop(self.producer.abort_transaction(self.cluster.settings.call_timeout()));
                Err(error)
            }
        }
    }

    fn try_commit(&self, records: &[PlacedRecord], number: Committed) -> Result<(), KafkaError> {
        let settings = &self.cluster.settings;
        self.producer.begin_transaction()?;
        for PlacedRecord { partition, record, .. } in records {
            self.topic.send(*partition, record)?;
        }
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(&self.names.topic, CARRIER, KafkaOffset::Offset(0))?;
        if let Some(mut carrier) = offsets.find_partition(&self.names.topic, CARRIER) {
            carrier.set_metadata(number.metadata());
        }
        let group = self.group.consumer.group_metadata().ok_or(KafkaError::Canceled)?;
        self.producer.send_offsets_to_transaction(&offsets, &group, settings.call_timeout())?;
        // As long as the cluster lets the transaction be open. rdkafka's commit waits for the records' acknowledgements, too, but it looks for
        // them every 100 ms.
        let at_most = Duration::from_millis(settings.transaction_timeout_ms);
        native::flush(self.producer.client(), at_most);
        self.producer.commit_transaction(at_most)
    }
}

#[cfg(test)]
mod tests;
