//! What can go wrong with files of reference data, and what the caller has to do about each.

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
    #[error("a reader of reference data ended early")]
    Reader(#[from] tokio::task::JoinError),
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
        };
        let message = error.to_string();
        match error {
            L::Io(_, source) => Self::new(kind, message).caused_by(source),
            L::Parquet(_, source) => Self::new(kind, message).caused_by(source),
            L::Text { source, .. } | L::Misfit { source, .. } => Self::new(kind, message).caused_by(source),
            L::Reader(source) => Self::new(kind, message).caused_by(source),
            _ => Self::new(kind, message),
        }
    }
}
