//! [`KafkaTopics`]: making, deleting and looking at topics through the Kafka protocol.

use std::sync::Arc;
use std::time::Duration;

use millstream_core::{Offset, Result};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::error::ClientError;

/// How long a call may take before it fails as unavailable.
const CALL_LIMIT: Duration = Duration::from_secs(10);

/// The topics of a Kafka endpoint.
#[derive(Clone)]
pub struct KafkaTopics {
    admin: Arc<AdminClient<DefaultClientContext>>,
    endpoint: String,
}

impl KafkaTopics {
    /// The topics at `bootstrap_servers` (`host:port`, several separated by commas). Connects in the background.
    pub fn connect(bootstrap_servers: &str) -> Result<Self> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", bootstrap_servers).set("client.id", "millstream").set("reconnect.backoff.max.ms", "1000");
        let endpoint = bootstrap_servers.to_owned();
        let admin = config.create().map_err(|source| ClientError::Kafka {
            operation: "making an admin client".to_owned(),
            endpoint: endpoint.clone(),
            source,
        })?;
        Ok(Self { admin: Arc::new(admin), endpoint })
    }

    /// Creates `topic`, with one replica. `Ok(false)`: it exists already with as many partitions;
    /// [`AlreadyExists`](millstream_core::ErrorKind::AlreadyExists): with another number.
    pub async fn create(&self, topic: &str, partitions: i32) -> Result<bool> {
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        let answers = self.admin.create_topics([&new], &options()).await.map_err(|e| self.failed("creating topic", topic, e))?;
        match answers.into_iter().next() {
            Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => {
                let present = self.ends(topic).await?.len();
                if usize::try_from(partitions) == Ok(present) {
                    return Ok(false);
                }
                let (topic, endpoint) = (topic.to_owned(), self.endpoint.clone());
                Err(ClientError::OtherPartitions { topic, endpoint, present, wanted: partitions }.into())
            }
            Some(Err((_, code))) => Err(self.refused("creating topic", topic, code)),
            _ => Ok(true),
        }
    }

    /// Deletes `topic`. [`NotFound`](millstream_core::ErrorKind::NotFound) where there is none.
    pub async fn delete(&self, topic: &str) -> Result<()> {
        let answers = self.admin.delete_topics(&[topic], &options()).await.map_err(|e| self.failed("deleting topic", topic, e))?;
        match answers.into_iter().next() {
            Some(Err((_, code))) => Err(self.refused("deleting topic", topic, code)),
            _ => Ok(()),
        }
    }

    /// The end offset of each partition of `topic`: how many records it would hold if none had been removed.
    /// [`NotFound`](millstream_core::ErrorKind::NotFound) for an unknown topic.
    pub async fn ends(&self, topic: &str) -> Result<Vec<Offset>> {
        let (this, topic) = (self.clone(), topic.to_owned());
        // librdkafka answers these two calls only to a thread that blocks for them.
        let asked = tokio::task::spawn_blocking(move || this.ends_blocking(&topic)).await;
        asked.map_err(|source| ClientError::Ended { endpoint: self.endpoint.clone(), source })?
    }

    fn ends_blocking(&self, topic: &str) -> Result<Vec<Offset>> {
        let client = self.admin.inner();
        let failed = |e| self.failed("asking for the ends of topic", topic, e);
        let metadata = client.fetch_metadata(Some(topic), CALL_LIMIT).map_err(failed)?;
        let found = metadata.topics().iter().find(|t| t.name() == topic && t.error().is_none() && !t.partitions().is_empty());
        let Some(found) = found else {
            return Err(ClientError::NoTopic { topic: topic.to_owned(), endpoint: self.endpoint.clone() }.into());
        };
        let mut partitions: Vec<i32> = found.partitions().iter().map(rdkafka::metadata::MetadataPartition::id).collect();
        partitions.sort_unstable();
        let end = |partition| client.fetch_watermarks(topic, partition, CALL_LIMIT).map(|(_, end)| Offset(end)).map_err(failed);
        partitions.into_iter().map(end).collect()
    }

    fn failed(&self, doing: &str, topic: &str, source: KafkaError) -> millstream_core::Error {
        ClientError::Kafka { operation: format!("{doing} {topic}"), endpoint: self.endpoint.clone(), source }.into()
    }

    fn refused(&self, doing: &str, topic: &str, source: RDKafkaErrorCode) -> millstream_core::Error {
        ClientError::Topic { operation: format!("{doing} {topic}"), endpoint: self.endpoint.clone(), source }.into()
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(CALL_LIMIT)).operation_timeout(Some(CALL_LIMIT))
}
