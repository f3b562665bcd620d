//! What librdkafka reports, and what the caller has to do about it.

use millstream_core::{Error, ErrorKind};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    #[error("{operation} at the Kafka endpoint {endpoint} failed")]
    Kafka { operation: String, endpoint: String, source: KafkaError },
    #[error("{operation} at the Kafka endpoint {endpoint} failed")]
    Topic { operation: String, endpoint: String, source: RDKafkaErrorCode },
    #[error("topic {topic} at the Kafka endpoint {endpoint} has {present} partitions, not {wanted}")]
    OtherPartitions { topic: String, endpoint: String, present: usize, wanted: i32 },
    #[error("topic {topic} does not exist at the Kafka endpoint {endpoint}")]
    NoTopic { topic: String, endpoint: String },
    #[error("a record for topic {topic} at the Kafka endpoint {endpoint} is larger than the producer's buffer")]
    TooLarge { topic: String, endpoint: String },
    #[error("{failed} of {sent} records were not delivered to the Kafka endpoint {endpoint}, the first to {first_topic}")]
    Undelivered { failed: u64, sent: u64, endpoint: String, first_topic: String, source: KafkaError },
    #[error("a call to the Kafka endpoint {endpoint} ended early")]
    Ended { endpoint: String, source: tokio::task::JoinError },
}

/// The reaction to an error code of the protocol or of librdkafka.
fn kind_of_code(code: RDKafkaErrorCode) -> ErrorKind {
    use RDKafkaErrorCode as C;
    match code {
        C::UnknownTopicOrPartition | C::UnknownTopic | C::UnknownPartition => ErrorKind::NotFound,
        C::TopicAlreadyExists => ErrorKind::AlreadyExists,
        C::MessageSizeTooLarge
        | C::InvalidMessageSize
        | C::InvalidTopic
        | C::InvalidPartitions
        | C::InvalidReplicationFactor
        | C::InvalidArgument
        | C::InvalidConfig
        | C::PolicyViolation
        | C::InvalidTimestamp
        | C::TopicAuthorizationFailed
        | C::GroupAuthorizationFailed
        | C::TransactionalIdAuthorizationFailed
        | C::ClusterAuthorizationFailed => ErrorKind::InvalidInput,
        C::UnsupportedVersion | C::UnsupportedFeature => ErrorKind::Unsupported,
        C::QueueFull => ErrorKind::Exhausted,
        C::InvalidProducerEpoch | C::Fenced => ErrorKind::Fenced,
        C::InvalidMessage => ErrorKind::Corrupt,
        C::OffsetOutOfRange | C::AutoOffsetReset => ErrorKind::OutOfRange,
        _ => ErrorKind::Unavailable,
    }
}

fn kind_of(error: &KafkaError) -> ErrorKind {
    match error {
        KafkaError::ClientConfig(..) | KafkaError::Nul(_) => ErrorKind::InvalidInput,
        other => other.rdkafka_error_code().map_or(ErrorKind::Unavailable, kind_of_code),
    }
}

impl From<ClientError> for Error {
    fn from(error: ClientError) -> Self {
        use ClientError as E;
        let kind = match &error {
            E::Kafka { source, .. } | E::Undelivered { source, .. } => kind_of(source),
            E::Topic { source, .. } => kind_of_code(*source),
            E::OtherPartitions { .. } => ErrorKind::AlreadyExists,
            E::NoTopic { .. } => ErrorKind::NotFound,
            E::TooLarge { .. } => ErrorKind::InvalidInput,
            E::Ended { .. } => ErrorKind::Internal,
        };
        let message = error.to_string();
        match error {
            // As text: the client's errors name their own cause, and the chain would name it again.
            E::Kafka { source, .. } | E::Undelivered { source, .. } => Self::new(kind, message).caused_by(source.to_string()),
            E::Topic { source, .. } => Self::new(kind, message).caused_by(source),
            E::Ended { source, .. } => Self::new(kind, message).caused_by(source),
            _ => Self::new(kind, message),
        }
    }
}

#[cfg(test)]
mod tests;
