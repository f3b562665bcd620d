//! Apache Kafka, and whatever speaks its protocol, as seen by a client: the event log on a real cluster, flows into its topics, a fast
//! producer, and the topics behind an endpoint.
//!
//! Owns librdkafka's configuration and its errors. Knows nothing of pipelines; the built-in endpoint is another crate's, and
//! is reached over the socket like any other.

mod client;
mod delivery;
mod directory;
mod error;
mod log;
mod native;
mod probe;
mod producer;
mod producer_settings;
mod queue;
mod retention;
mod settings;
mod token;
mod topic_handle;
mod topic_sink;
mod topics;

pub use log::KafkaLog;
pub use probe::probe;
pub use producer::{KafkaProducer, OutgoingRecord};
pub use producer_settings::{Compression, ProducerSettings};
pub use settings::{KafkaSettings, Preset, SaslMechanism, SecurityProtocol};
pub use topic_sink::{KafkaTopicSink, topic_sink};
pub use topics::KafkaTopics;
