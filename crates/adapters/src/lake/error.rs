//! What can go wrong with files in a lake, and what the caller has to do about each.

use std::path::PathBuf;

use millstream_core::{Error, ErrorKind};

#[derive(Debug, thiserror::Error)]
pub(super) enum LakeError {
    #[error("reference data {0} does not exist: check LOCATION")]
    Missing(PathBuf),
    #[error("the folder {0} holds no file of reference data: check LOCATION")]
    EmptyFolder(PathBuf),
    #[error("could not read {0}")]
    Io(PathBuf, #[source] std::io::Error),
    #[error("{0} is not a Parquet file that can be read: check USING")]
    Parquet(PathBuf, #[source] parquet::errors::ParquetError),
    #[error("{path} is not the {format} that was expected: check USING and the file")]
    Text { path: PathBuf, format: &'static str, source: arrow::error::ArrowError },
    #[error("{0} has no header line with the columns' names")]
    NoHeader(PathBuf),
    #[error("{path} has no column {column} (it has {present})")]
    NoColumn { path: PathBuf, column: String, present: String },
    #[error("{path} has more than one column named {column}, apart from upper and lower case")]
    AmbiguousColumn { path: PathBuf, column: String },
    #[error("column {column} of {path} holds a value that is no {data_type}: declare the table's columns with types that fit")]
    Misfit { path: PathBuf, column: String, data_type: String, source: arrow::error::ArrowError },
    #[error("column {column} of {path} holds a null and is declared NOT NULL")]
    Null { path: PathBuf, column: String },
    #[error("{path} can't be read as reference data: {what}")]
    Unsupported { path: PathBuf, what: String },
    #[error("reference data {0} changed while it was read: it is read again")]
    Changed(PathBuf),
    #[error("a reader or writer of files ended early")]
    Reader(#[from] tokio::task::JoinError),
    #[error("the lake at {location} can't be used as it is configured: check [lake]")]
    Settings { location: String, source: object_store::Error },
    #[error(transparent)]
    Secret(Error),
    #[error("{doing} {name} failed{}", remedy(source))]
    Store { doing: &'static str, name: String, source: object_store::Error },
}

fn remedy(error: &object_store::Error) -> &'static str {
    use object_store::Error as O;
    match error {
        O::PermissionDenied { .. } => ": what [lake] says of who we are is not allowed to, grant it (it is tried again)",
        O::Unauthenticated { .. } => ": the store doesn't know who we are, check the secrets in [lake] (it is tried again)",
        O::NotFound { .. } => ": there is no such bucket, container or file",
        _ => "",
    }
}

/// What a store's answer means to a caller. Refused credentials are worth another try: they are rotated in two steps, here and there.
fn kind_of_store(error: &object_store::Error) -> ErrorKind {
    use object_store::Error as O;
    match error {
        O::NotFound { .. } => ErrorKind::NotFound,
        O::InvalidPath { .. } => ErrorKind::InvalidInput,
        O::NotSupported { .. } | O::NotImplemented { .. } => ErrorKind::Unsupported,
        O::JoinError { .. } | O::AlreadyExists { .. } | O::UnknownConfigurationKey { .. } => ErrorKind::Internal,
        other => match io_cause(other).map(std::io::Error::kind) {
            Some(std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded) => ErrorKind::Exhausted,
            Some(std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem) => ErrorKind::InvalidInput,
            _ => ErrorKind::Unavailable,
        },
    }
}

fn io_cause(error: &object_store::Error) -> Option<&std::io::Error> {
    let mut cause = std::error::Error::source(error);
    while let Some(found) = cause {
        if let Some(io) = found.downcast_ref() {
            return Some(io);
        }
        cause = found.source();
    }
    None
}

impl LakeError {
    /// Whether the object is another by now than the one that was to be read, or is gone.
    pub(super) fn is_change(&self) -> bool {
        match self {
            Self::Changed(_) => true,
            Self::Store { source, .. } => {
                matches!(source, object_store::Error::Precondition { .. } | object_store::Error::NotFound { .. })
            }
            _ => false,
        }
    }
}

impl From<LakeError> for Error {
    fn from(error: LakeError) -> Self {
        use LakeError as L;
        let kind = match &error {
            L::Missing(_) | L::EmptyFolder(_) => ErrorKind::NotFound,
            L::Io(_, source) if source.kind() == std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            L::Io(_, source) if source.kind() == std::io::ErrorKind::PermissionDenied => ErrorKind::InvalidInput,
            L::Io(..) | L::Changed(_) => ErrorKind::Unavailable,
            L::Parquet(..)
            | L::Text { .. }
            | L::NoHeader(_)
            | L::NoColumn { .. }
            | L::AmbiguousColumn { .. }
            | L::Misfit { .. }
            | L::Null { .. } => ErrorKind::InvalidInput,
            L::Unsupported { .. } => ErrorKind::Unsupported,
            L::Reader(_) => ErrorKind::Internal,
            L::Settings { .. } => ErrorKind::InvalidInput,
            L::Secret(error) => error.kind(),
            L::Store { source, .. } => kind_of_store(source),
        };
        let message = error.to_string();
        match error {
            L::Io(_, source) => Self::new(kind, message).caused_by(source),
            L::Parquet(_, source) => Self::new(kind, message).caused_by(source),
            L::Text { source, .. } | L::Misfit { source, .. } => Self::new(kind, message).caused_by(source),
            L::Reader(source) => Self::new(kind, message).caused_by(source),
            L::Settings { source, .. } | L::Store { source, .. } => Self::new(kind, message).caused_by(source),
            L::Secret(error) => error,
            _ => Self::new(kind, message),
        }
    }
}
