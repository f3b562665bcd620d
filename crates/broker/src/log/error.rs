//! What can go wrong in the log, for the endpoint (which needs Kafka's own distinctions) and for everybody else (core's kinds).

use std::io;
use std::path::{Path, PathBuf};

use millstream_core::ports::LogBounds;
use millstream_core::{Error, ErrorKind, Offset, TopicPartition};

use crate::batch::BatchError;

/// An error of the log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("topic {0} does not exist in the built-in log")]
    NoTopic(String),
    #[error("partition {0} does not exist in the built-in log")]
    NoPartition(TopicPartition),
    #[error("topic {name} exists with {have} partitions, not {asked}: delete it first, or ask for {have}")]
    TopicExists { name: String, have: i32, asked: i32 },
    #[error("{0:?} can't be a topic's name (1 to 249 of a-z A-Z 0-9 . _ -, but not . or ..)")]
    TopicName(String),
    #[error("topic {name} can't have {asked} partitions: {why}")]
    Partitions { name: String, asked: i32, why: String },
    #[error("offset {asked} of {partition} is outside of what the log holds ({} to {})", bounds.start, bounds.end)]
    OutOfRange { partition: TopicPartition, asked: Offset, bounds: LogBounds },
    #[error("append to {partition} refused: {source}")]
    Refused { partition: TopicPartition, source: BatchError },
    #[error("append to {partition} refused: the batch has {len} bytes, and at most {max} may be sent (message_bytes_max)")]
    MessageTooLarge { partition: TopicPartition, len: usize, max: usize },
    #[error("append to {partition} refused: producer {producer} sent sequence {found} where {expected} was next")]
    OutOfOrder { partition: TopicPartition, producer: i64, expected: i32, found: i32 },
    #[error("append to {partition} refused: producer {producer} has epoch {found}, but epoch {current} is active")]
    StaleEpoch { partition: TopicPartition, producer: i64, current: i16, found: i16 },
    #[error("the built-in log takes no records: {0}")]
    Paused(String),
    #[error("partition {partition} takes no more records until a restart: {why}")]
    Failed { partition: TopicPartition, why: String },
    #[error("log segment {} is damaged at byte {position}: {source}", path.display())]
    Damaged { path: PathBuf, position: u64, source: BatchError },
    #[error(
        "log segment {} is damaged at byte {position} ({why}), and whole batches follow: restore it from a backup, or give those up by \
         truncating it to {position} bytes",
        path.display()
    )]
    DamagedInside { path: PathBuf, position: u64, why: String },
    #[error("file {} of the built-in log is damaged: {why}", path.display())]
    DamagedFile { path: PathBuf, why: String },
    #[error("file {} has format version {found}; this build reads version {known}", path.display())]
    Version { path: PathBuf, found: u8, known: u8 },
    #[error("folder {} belongs to another running process: stop it, or choose another data directory", .0.display())]
    InUse(PathBuf),
    #[error("the built-in log could not {operation} {}: {source}", path.display())]
    Io { operation: &'static str, path: PathBuf, source: io::Error },
    #[error("a task of the built-in log was ended by the runtime's shutdown")]
    Stopped,
}

impl LogError {
    pub fn io(operation: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { operation, path: path.to_owned(), source }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::NoTopic(_) | Self::NoPartition(_) => ErrorKind::NotFound,
            Self::TopicExists { .. } => ErrorKind::AlreadyExists,
            Self::TopicName(_)
            | Self::Partitions { .. }
            | Self::Refused { .. }
            | Self::MessageTooLarge { .. }
            | Self::OutOfOrder { .. }
            | Self::InUse(_) => ErrorKind::InvalidInput,
            Self::OutOfRange { .. } => ErrorKind::OutOfRange,
            Self::StaleEpoch { .. } => ErrorKind::Fenced,
            Self::Paused(_) => ErrorKind::Exhausted,
            Self::Failed { .. } | Self::Stopped => ErrorKind::Unavailable,
            Self::Damaged { .. } | Self::DamagedInside { .. } | Self::DamagedFile { .. } => ErrorKind::Corrupt,
            Self::Version { .. } => ErrorKind::Unsupported,
            Self::Io { source, .. } => io_kind(source),
        }
    }
}

/// Core's classification of an I/O error, with the bounds of a process (open files, file size) counted as exhausted too.
fn io_kind(error: &io::Error) -> ErrorKind {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => ErrorKind::Exhausted,
        _ => Error::from(io::Error::from(error.kind())).kind(),
    }
}

impl From<LogError> for Error {
    fn from(error: LogError) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}

/// Names what was being done when an I/O error came up.
pub trait IoContext<T> {
    fn during(self, operation: &'static str, path: &Path) -> Result<T, LogError>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn during(self, operation: &'static str, path: &Path) -> Result<T, LogError> {
        self.map_err(|e| LogError::io(operation, path, e))
    }
}
