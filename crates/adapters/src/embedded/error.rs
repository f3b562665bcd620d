//! What can go wrong inside the built-in store, and what it means to a caller: the one place where fjall's errors are classified.

use std::io;

use millstream_core::{Error, ErrorKind};

/// An error of the storage engine, with what was being done.
#[derive(Debug, thiserror::Error)]
#[error("{doing} in the built-in store failed")]
pub(super) struct StoreError {
    doing: &'static str,
    #[source]
    source: fjall::Error,
}

/// Says what was being done when the storage engine failed.
pub(super) trait During<T> {
    /// `doing` completes the sentence "... in the built-in store failed".
    fn during(self, doing: &'static str) -> Result<T, Error>;
}

impl<T> During<T> for fjall::Result<T> {
    fn during(self, doing: &'static str) -> Result<T, Error> {
        self.map_err(|source| StoreError { doing, source }.into())
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let kind = kind_of(&error.source);
        let remedy = match kind {
            ErrorKind::Exhausted => "; make room on the disk of the data directory",
            ErrorKind::Corrupt => "; keep the data directory as it is and restore it from a backup, or rebuild it from the log",
            ErrorKind::Unavailable => "; restart the process once the disk answers again",
            _ => "",
        };
        Self::new(kind, format!("{error}{remedy}")).caused_by(error.source)
    }
}

/// Disk full is `Exhausted`, anything that is not what was written is `Corrupt`, and an engine that has stopped itself after a
/// failed write (fjall's "poisoned") is `Unavailable` until the process is started again.
fn kind_of(error: &fjall::Error) -> ErrorKind {
    match error {
        fjall::Error::Io(e) | fjall::Error::Storage(fjall::LsmError::Io(e)) => kind_of_io(e),
        fjall::Error::Storage(_)
        | fjall::Error::JournalRecovery(_)
        | fjall::Error::InvalidVersion(_)
        | fjall::Error::Decompress(_)
        | fjall::Error::InvalidTrailer
        | fjall::Error::InvalidTag(_)
        | fjall::Error::Unrecoverable => ErrorKind::Corrupt,
        fjall::Error::Poisoned | fjall::Error::Locked => ErrorKind::Unavailable,
        _ => ErrorKind::Internal,
    }
}

fn kind_of_io(error: &io::Error) -> ErrorKind {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::OutOfMemory => ErrorKind::Exhausted,
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof | io::ErrorKind::NotFound => ErrorKind::Corrupt,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => ErrorKind::InvalidInput,
        _ => ErrorKind::Unavailable,
    }
}

#[cfg(test)]
mod tests;
