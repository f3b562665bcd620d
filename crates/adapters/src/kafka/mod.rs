//! Apache Kafka, and whatever speaks its protocol, as seen by a client: a fast producer, and the topics behind an endpoint.
//!
//! Owns librdkafka's configuration and its errors. Knows nothing of flows and pipelines; the built-in endpoint is another crate's, and
//! is reached over the socket like any other.

mod error;
mod producer;
mod settings;
mod topics;

pub use producer::{KafkaProducer, OutgoingRecord};
pub use settings::{Compression, ProducerSettings};
pub use topics::KafkaTopics;
