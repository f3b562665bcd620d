//! What the driver reports, and what the caller has to do about it.

use std::time::Duration;

use millstream_core::{Error, ErrorKind};
use scylla::deserialize::DeserializationError;
use scylla::errors::{
    BadQuery, ConnectionError, ConnectionPoolError, ConnectionSetupRequestErrorKind, DbError, ExecutionError, IntoRowsResultError,
    MetadataError, NewSessionError, PrepareError, RequestAttemptError, RowsError,
};

#[derive(Debug, thiserror::Error)]
pub(super) enum CassandraError {
    #[error("no session with the Cassandra cluster at {contact_points} could be opened")]
    Session { contact_points: String, source: NewSessionError },
    #[error("the TLS context for Cassandra could not be made")]
    Tls { source: openssl::error::ErrorStack },
    #[error("{operation} in Cassandra failed")]
    Request { operation: String, source: ExecutionError },
    #[error(
        "{operation} in Cosmos DB took too long: it was refused for its rate {refused} times, and the last try was not answered in time"
    )]
    TimedOut { operation: String, refused: u32 },
    #[error("{operation} in Cassandra was given up after {limit:?}: nothing came, neither an answer nor an error")]
    Silent { operation: String, limit: Duration },
    #[error(
        "{operation}: it can't go on where it was read to, for the table was dropped and made again, or the place is too old; start the flow \
         afresh"
    )]
    Continuation { operation: String, source: ExecutionError },
    #[error("{operation}: Cassandra's answer has no rows")]
    NoRows { operation: String, source: IntoRowsResultError },
    #[error("{operation}: the rows that Cassandra answered are not those that were asked for")]
    OtherRows { operation: String, source: RowsError },
    #[error("{operation}: a row of Cassandra's answer can't be read")]
    Row { operation: String, source: DeserializationError },
}

impl CassandraError {
    /// The error of a request that goes on from a continuation: what is wrong with the statement is wrong with that.
    pub fn of_a_continuation(self) -> Self {
        match self {
            Self::Request {
                operation,
                source: source @ ExecutionError::LastAttemptError(RequestAttemptError::DbError(DbError::Invalid, _)),
            } => Self::Continuation { operation, source },
            other => other,
        }
    }
}

/// The reaction to an error that a node answered (CQL binary protocol, section "Error codes").
fn kind_of_answer(error: &DbError, message: &str) -> ErrorKind {
    match error {
        DbError::Invalid if message.starts_with("unconfigured table") || message.contains("does not exist") => ErrorKind::NotFound,
        DbError::SyntaxError | DbError::Invalid | DbError::ConfigError | DbError::FunctionFailure { .. } => ErrorKind::InvalidInput,
        DbError::AuthenticationError | DbError::Unauthorized => ErrorKind::InvalidInput,
        DbError::AlreadyExists { .. } => ErrorKind::AlreadyExists,
        DbError::ProtocolError => ErrorKind::Internal,
        _ => ErrorKind::Unavailable,
    }
}

fn kind_of_attempt(error: &RequestAttemptError) -> ErrorKind {
    match error {
        RequestAttemptError::DbError(error, message) => kind_of_answer(error, message),
        RequestAttemptError::SerializationError(_) | RequestAttemptError::CqlRequestSerialization(_) => ErrorKind::Internal,
        _ => ErrorKind::Unavailable,
    }
}

fn kind_of_prepare(error: &PrepareError) -> ErrorKind {
    match error {
        PrepareError::AllAttemptsFailed { first_attempt, .. } => kind_of_attempt(first_attempt),
        _ => ErrorKind::Unavailable,
    }
}

fn kind_of_request(error: &ExecutionError) -> ErrorKind {
    match error {
        ExecutionError::BadQuery(BadQuery::ValuesTooLongForKey(..)) => ErrorKind::InvalidInput,
        ExecutionError::BadQuery(_) => ErrorKind::Internal,
        ExecutionError::PrepareError(error) => kind_of_prepare(error),
        ExecutionError::LastAttemptError(error) => kind_of_attempt(error),
        _ => ErrorKind::Unavailable,
    }
}

/// A refused password is for the operator; whatever else keeps a session from opening may pass.
fn kind_of_session(error: &NewSessionError) -> ErrorKind {
    match error {
        NewSessionError::EmptyKnownNodesList | NewSessionError::IllegalConfig(_) => ErrorKind::InvalidInput,
        NewSessionError::MetadataError(MetadataError::ConnectionPoolError(ConnectionPoolError::Broken {
            last_connection_error: ConnectionError::ConnectionSetupRequestError(setup),
        })) => match &setup.error {
            ConnectionSetupRequestErrorKind::DbError(error, message) => kind_of_answer(error, message),
            ConnectionSetupRequestErrorKind::MissingAuthentication => ErrorKind::InvalidInput,
            _ => ErrorKind::Unavailable,
        },
        _ => ErrorKind::Unavailable,
    }
}

impl From<CassandraError> for Error {
    fn from(error: CassandraError) -> Self {
        use CassandraError as E;
        let kind = match &error {
            E::Session { source, .. } => kind_of_session(source),
            E::Tls { .. } => ErrorKind::InvalidInput,
            E::TimedOut { .. } | E::Silent { .. } => ErrorKind::Unavailable,
            E::Continuation { .. } => ErrorKind::OutOfRange,
            E::Request { source, .. } => kind_of_request(source),
            E::NoRows { .. } | E::OtherRows { .. } => ErrorKind::Internal,
            E::Row { .. } => ErrorKind::Corrupt,
        };
        let message = error.to_string();
        // As text: the driver's errors name their own causes, and the chain would name them again.
        let source = match error {
            E::TimedOut { .. } | E::Silent { .. } => return Self::new(kind, message),
            E::Session { source, .. } => source.to_string(),
            E::Tls { source } => source.to_string(),
            E::Request { source, .. } | E::Continuation { source, .. } => source.to_string(),
            E::NoRows { source, .. } => source.to_string(),
            E::OtherRows { source, .. } => source.to_string(),
            E::Row { source, .. } => source.to_string(),
        };
        Self::new(kind, message).caused_by(source)
    }
}

#[cfg(test)]
mod tests;
