//! Kafka's error codes for the log's errors.

use kafka_protocol::ResponseError;

use crate::batch::BatchError;
use crate::log::LogError;

/// The code that tells a client what to do about `error`.
#[must_use]
pub fn of_log_error(error: &LogError) -> ResponseError {
    match error {
        LogError::NoTopic(_) | LogError::NoPartition(_) => ResponseError::UnknownTopicOrPartition,
        LogError::TopicExists { .. } => ResponseError::TopicAlreadyExists,
        LogError::TopicName(_) => ResponseError::InvalidTopicException,
        LogError::Partitions { .. } => ResponseError::InvalidPartitions,
        LogError::OutOfRange { .. } => ResponseError::OffsetOutOfRange,
        LogError::Refused { source, .. } => of_batch_error(source),
        LogError::MessageTooLarge { .. } => ResponseError::MessageTooLarge,
        LogError::OutOfOrder { .. } => ResponseError::OutOfOrderSequenceNumber,
        LogError::StaleEpoch { .. } => ResponseError::InvalidProducerEpoch,
        // Clients try these again: that is what a full disk or a restart needs.
        LogError::Paused(_) | LogError::Failed { .. } | LogError::Io { .. } | LogError::Stopped => ResponseError::KafkaStorageError,
        LogError::Damaged { .. } | LogError::DamagedInside { .. } | LogError::DamagedFile { .. } | LogError::Version { .. } => {
            ResponseError::CorruptMessage
        }
        LogError::InUse(_) => ResponseError::UnknownServerError,
    }
}

fn of_batch_error(error: &BatchError) -> ResponseError {
    match error {
        BatchError::Magic(_) => ResponseError::UnsupportedForMessageFormat,
        BatchError::Checksum { .. } | BatchError::Short { .. } => ResponseError::CorruptMessage,
        BatchError::Compression(_) => ResponseError::UnsupportedCompressionType,
        BatchError::TooLarge => ResponseError::MessageTooLarge,
        BatchError::Decompress { .. } | BatchError::Malformed(_) => ResponseError::InvalidRecord,
        BatchError::Transactional => ResponseError::InvalidTxnState,
    }
}
