//! [`Directory`]: which topics a cluster has, and what their partitions hold; making and deleting them.
//!
//! Blocking: librdkafka answers these calls only to a thread that waits for them. They go over connections of their own, because a broker
//! answers the requests of one connection in order, and a reader's waits for records.

use std::sync::Arc;
use std::time::Duration;

use millstream_core::ports::{LogBounds, TopicInfo, TopicSpec};
use millstream_core::{Error, ErrorKind, Offset, Result, TopicPartition};
use rdkafka::admin::{AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;

use super::client::{Cluster, Renewable, Served};
use super::error::ClientError;
use super::retention::Retention;

/// How long to wait before the cluster is asked again whether it has carried out what it accepted.
const SETTLE_STEP: Duration = Duration::from_millis(10);
/// Times that are kept as they were given, whenever that was (KIP-937; brokers before 3.6 don't know it).
const TIMES_AS_GIVEN: (&str, &str) = ("message.timestamp.after.max.ms", "9223372036854775807");

/// The topics of a cluster.
pub(super) struct Directory {
    cluster: Arc<Cluster>,
    client: Renewable<Served>,
}

impl Directory {
    pub(super) fn new(cluster: Arc<Cluster>) -> Self {
        Self { cluster, client: Renewable::default() }
    }

    fn client(&self) -> Result<Arc<Served>> {
        // Of a partition with transactions the end is the last stable offset, what a reader of committed records can come to.
        let make = || self.cluster.consumer(&[("isolation.level", "read_committed".to_owned())]);
        self.client.get(Served::is_spoiled, make)
    }

    /// Carries out `call` on the client, and takes note of whether the cluster is there.
    fn ask<T>(&self, operation: impl Into<String>, call: impl FnOnce(&Served, Duration) -> Result<T, KafkaError>) -> Result<T> {
        match call(&*self.client()?, self.cluster.settings.call_timeout()) {
            Ok(answer) => {
                self.cluster.health.is_here();
                Ok(answer)
            }
            Err(source) => {
                let error = self.cluster.failed(operation, source);
                if error.kind() == ErrorKind::Unavailable {
                    self.cluster.health.is_away();
                }
                Err(error)
            }
        }
    }

    fn metadata(&self, topic: Option<&str>) -> Result<Metadata> {
        let operation = topic.map_or_else(|| "listing topics".to_owned(), |topic| format!("looking for topic {topic}"));
        self.ask(operation, |client, timeout| client.consumer.fetch_metadata(topic, timeout))
    }

    /// All topics but the cluster's own (`__...`), by name.
    pub(super) fn topics(&self) -> Result<Vec<TopicInfo>> {
        let metadata = self.metadata(None)?;
        let own = metadata.topics().iter().filter(|t| t.error().is_none() && !t.name().starts_with("__"));
        let mut topics: Vec<_> = own.map(|t| TopicInfo { name: t.name().to_owned(), partitions: count(t.partitions().len()) }).collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    /// How many brokers the cluster has.
    pub(super) fn brokers(&self) -> Result<usize> {
        Ok(self.metadata(None)?.brokers().len())
    }

    /// The name that the cluster has given itself; of one that has none (Event Hubs), where it was found.
    pub(super) fn cluster_id(&self) -> Result<String> {
        // With its answer comes the name: no name then means that there is none.
        self.metadata(None)?;
        let named = self.client()?.consumer.client().fetch_cluster_id(self.cluster.settings.call_timeout());
        Ok(named.unwrap_or_else(|| self.cluster.endpoint().to_owned()))
    }

    /// How many partitions `topic` has; `None`: it does not exist.
    pub(super) fn partitions(&self, topic: &str) -> Result<Option<i32>> {
        Ok(self.state_of(topic)?.map(|(partitions, _)| partitions))
    }

    /// How many partitions `topic` has, and whether each has a leader.
    fn state_of(&self, topic: &str) -> Result<Option<(i32, bool)>> {
        if check_name(topic).is_err() {
            return Ok(None);
        }
        let metadata = self.metadata(Some(topic))?;
        let Some(found) = metadata.topics().iter().find(|t| t.name() == topic) else { return Ok(None) };
        match found.error().map(RDKafkaErrorCode::from) {
            None => {}
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => return Ok(None),
            Some(code) => return Err(self.refused(&format!("looking for topic {topic}"), code)),
        }
        let led = found.partitions().iter().all(|p| p.error().is_none() && p.leader() >= 0);
        Ok(Some((count(found.partitions().len()), led)).filter(|(partitions, _)| *partitions > 0))
    }

    /// The bounds of a partition that exists.
    pub(super) fn bounds(&self, partition: &TopicPartition) -> Result<LogBounds> {
        let asked = self.ask(format!("asking for the bounds of {partition}"), |client, timeout| {
            client.consumer.fetch_watermarks(&partition.topic, partition.partition, timeout)
        });
        match asked {
            Ok((start, end)) => Ok(LogBounds { start: Offset(start), end: Offset(end) }),
            // So librdkafka says, too, while it finds out anew where the partitions of a cluster are that was away.
            Err(error) if error.kind() == ErrorKind::NotFound && self.has(partition)? => {
                let endpoint = self.cluster.endpoint();
                Err(Error::unavailable(format!("the Kafka endpoint {endpoint} has {partition}, and nobody serves it at the moment"))
                    .caused_by(error))
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the cluster names the partition among those of its topic.
    fn has(&self, partition: &TopicPartition) -> Result<bool> {
        Ok(self.partitions(&partition.topic)?.is_some_and(|partitions| (0..partitions).contains(&partition.partition)))
    }

    /// How long `topic` keeps records.
    pub(super) fn retention(&self, topic: &str) -> Result<Retention> {
        let operation = format!("asking for the settings of topic {topic}");
        let admin = self.cluster.admin()?;
        let answers = wait_for(admin.describe_configs(&[ResourceSpecifier::Topic(topic)], &self.options()));
        let answers = answers.map_err(|source| self.cluster.failed(operation.clone(), source))?;
        match answers.into_iter().next() {
            Some(Ok(settings)) => Ok(Retention::of(|name| settings.get(name)?.value.clone())),
            Some(Err(code)) => Err(self.refused(&operation, code)),
            None => Err(self.no_topic(topic)),
        }
    }

    pub(super) fn no_topic(&self, topic: &str) -> Error {
        ClientError::NoTopic { topic: topic.to_owned(), endpoint: self.cluster.endpoint().to_owned() }.into()
    }

    fn refused(&self, operation: &str, source: RDKafkaErrorCode) -> Error {
        ClientError::Topic { operation: operation.to_owned(), endpoint: self.cluster.endpoint().to_owned(), source }.into()
    }

    /// Creates a topic, and returns when every partition has a leader that answers. See [`EventLog`](millstream_core::ports::EventLog).
    pub(super) fn create(&self, spec: &TopicSpec) -> Result<bool> {
        check_name(&spec.name)?;
        if spec.partitions < 1 {
            return Err(Error::invalid(format!("topic {} can't have {} partitions: it needs at least one", spec.name, spec.partitions)));
        }
        if let Some(present) = self.partitions(&spec.name)? {
            return self.same_partitions(spec, present);
        }
        if !self.cluster.settings.manage_topics() {
            return Err(Error::not_found(format!(
                "topic {} does not exist at the Kafka endpoint {}, and kafka.manage_topics is off: make it there with {} partitions (an event \
                 hub of that name)",
                spec.name,
                self.cluster.endpoint(),
                spec.partitions
            )));
        }
        let created = match self.try_create(spec, true)? {
            // An older broker, which does not know a setting of ours.
            Err(RDKafkaErrorCode::InvalidConfig) => self.try_create(spec, false)?,
            answer => answer,
        };
        match created {
            Ok(()) => {
                self.settle(&spec.name, || Ok(self.state_of(&spec.name)? == Some((spec.partitions, true))))?;
                (0..spec.partitions).try_for_each(|partition| self.await_leader(&TopicPartition::new(&spec.name, partition)))?;
                Ok(true)
            }
            Err(RDKafkaErrorCode::TopicAlreadyExists) => {
                let present = self.partitions(&spec.name)?.ok_or_else(|| self.no_topic(&spec.name))?;
                self.same_partitions(spec, present)
            }
            Err(code) => Err(self.refused(&format!("creating topic {}", spec.name), code)),
        }
    }

    fn same_partitions(&self, spec: &TopicSpec, present: i32) -> Result<bool> {
        if present == spec.partitions {
            return Ok(false);
        }
        let (topic, endpoint) = (spec.name.clone(), self.cluster.endpoint().to_owned());
        let present = usize::try_from(present).unwrap_or(0);
        Err(ClientError::OtherPartitions { topic, endpoint, present, wanted: spec.partitions }.into())
    }

    fn try_create(&self, spec: &TopicSpec, times_as_given: bool) -> Result<Result<(), RDKafkaErrorCode>> {
        let settings = &self.cluster.settings;
        let retention = spec.retention.map(|r| i64::try_from(r.as_millis()).unwrap_or(i64::MAX).to_string());
        let replicas = settings.replication_factor.unwrap_or(-1);
        let mut topic =
            NewTopic::new(&spec.name, spec.partitions, TopicReplication::Fixed(replicas)).set("message.timestamp.type", "CreateTime");
        if times_as_given && !settings.topic_config.contains_key(TIMES_AS_GIVEN.0) {
            topic = topic.set(TIMES_AS_GIVEN.0, TIMES_AS_GIVEN.1);
        }
        if let Some(retention) = &retention {
            topic = topic.set("retention.ms", retention);
        }
        for (name, value) in &settings.topic_config {
            topic = topic.set(name, value);
        }
        let operation = format!("creating topic {}", spec.name);
        let admin = self.cluster.admin()?;
        let answers = wait_for(admin.create_topics([&topic], &self.options()));
        let answers = answers.map_err(|source| self.cluster.failed(operation, source))?;
        Ok(answers.into_iter().next().map_or(Ok(()), |answer| answer.map(drop).map_err(|(_, code)| code)))
    }

    /// Deletes a topic, and returns when it is not listed any more.
    pub(super) fn delete(&self, topic: &str) -> Result<()> {
        if self.partitions(topic)?.is_none() {
            return Err(self.no_topic(topic));
        }
        if !self.cluster.settings.manage_topics() {
            return Err(Error::unsupported(format!("topic {topic} is not deleted: kafka.manage_topics is off")));
        }
        let operation = format!("deleting topic {topic}");
        let admin = self.cluster.admin()?;
        let answers = wait_for(admin.delete_topics(&[topic], &self.options()));
        let answers = answers.map_err(|source| self.cluster.failed(operation.clone(), source))?;
        if let Some(Err((_, code))) = answers.into_iter().next() {
            return Err(self.refused(&operation, code));
        }
        self.settle(topic, || Ok(self.state_of(topic)?.is_none()))
    }

    /// Deletes consumer groups; those that don't exist are fine.
    pub(super) fn delete_groups(&self, groups: &[String]) -> Result<()> {
        if groups.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = groups.iter().map(String::as_str).collect();
        let admin = self.cluster.admin()?;
        let answers = wait_for(admin.delete_groups(&names, &self.options()));
        let answers = answers.map_err(|source| self.cluster.failed("deleting consumer groups", source))?;
        let refused = answers.into_iter().filter_map(Result::err).find(|(_, code)| *code != RDKafkaErrorCode::GroupIdNotFound);
        refused.map_or(Ok(()), |(group, code)| Err(self.refused(&format!("deleting the consumer group {group}"), code)))
    }

    fn options(&self) -> AdminOptions {
        let timeout = Some(self.cluster.settings.call_timeout());
        AdminOptions::new().request_timeout(timeout).operation_timeout(timeout)
    }

    /// Returns when the cluster says of `topic` what `is_settled` asks for: it answers such calls before all of it knows.
    fn settle(&self, topic: &str, is_settled: impl Fn() -> Result<bool>) -> Result<()> {
        let steps = self.cluster.settings.call_timeout().as_millis() / SETTLE_STEP.as_millis();
        for _ in 0..steps {
            if is_settled()? {
                return Ok(());
            }
            std::thread::sleep(SETTLE_STEP);
        }
        Err(Error::unavailable(format!("the Kafka endpoint {} has not carried out a change of topic {topic} yet", self.cluster.endpoint())))
    }

    /// A broker that has much to do is named as a partition's leader before it takes itself for one.
    fn await_leader(&self, partition: &TopicPartition) -> Result<()> {
        self.settle(&partition.topic, || match self.bounds(partition) {
            // A cluster that is away doesn't say who leads, either.
            Err(error) if error.kind() == ErrorKind::Unavailable => self.state_of(&partition.topic).map(|_| false),
            asked => asked.map(|_| true),
        })
    }
}

fn count(partitions: usize) -> i32 {
    i32::try_from(partitions).unwrap_or(i32::MAX)
}

/// Kafka's rule for topic names.
pub(super) fn check_name(name: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > 249 || name == "." || name == ".." || !name.chars().all(allowed) {
        return Err(Error::invalid(format!("{name:?} can't be a topic's name: 1 to 249 of a-z A-Z 0-9 . _ -, and not . or ..")));
    }
    Ok(())
}

/// Waits for an answer of the admin client, on one of the runtime's threads that may block.
fn wait_for<F: std::future::Future>(answer: F) -> F::Output {
    tokio::runtime::Handle::current().block_on(answer)
}
