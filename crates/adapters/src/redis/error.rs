//! What goes wrong with Redis, and what the caller has to do about it.

use millstream_core::{Error, ErrorKind, Result};
use redis::{ErrorKind as Kind, RedisError, ServerErrorKind};

#[derive(Debug, thiserror::Error)]
pub(super) enum RedisFault {
    #[error("{operation} at Redis ({servers}) failed")]
    Call { operation: String, servers: String, source: RedisError },
    #[error("Redis ({servers}) is not reachable: {why}")]
    Unreachable { servers: String, why: String },
}

/// The reaction to what the server or the client library says.
fn kind_of(error: &RedisError) -> ErrorKind {
    use ServerErrorKind as S;
    match error.kind() {
        // A password that was rotated may be in the file a moment later, so it is worth the wait; the message says what to check.
        Kind::Server(S::NoPerm | S::CrossSlot) | Kind::InvalidClientConfig | Kind::RESP3NotSupported => ErrorKind::InvalidInput,
        Kind::Server(S::ResponseError) => ErrorKind::Internal,
        Kind::Parse | Kind::UnexpectedReturnType => ErrorKind::Corrupt,
        Kind::Extension => match error.code() {
            Some("OOM" | "MISCONF") => ErrorKind::Exhausted,
            Some("WRONGTYPE") => ErrorKind::Corrupt,
            Some("LOADING" | "BUSY" | "NOREPLICAS" | "NOAUTH" | "WRONGPASS" | "MASTERDOWN") => ErrorKind::Unavailable,
            _ => ErrorKind::Internal,
        },
        _ => ErrorKind::Unavailable,
    }
}

/// Whether the connection on which `error` came should not be used again.
pub(super) fn ends_connection(error: &RedisError) -> bool {
    error.is_unrecoverable_error()
        || matches!(error.kind(), Kind::Io | Kind::Parse | Kind::AuthenticationFailed | Kind::ClusterConnectionNotFound)
        || matches!(error.kind(), Kind::Server(ServerErrorKind::ReadOnly))
        || matches!(error.code(), Some("NOAUTH" | "WRONGPASS"))
}

/// What to check, where the server's own words don't say it.
fn advice(error: &RedisError) -> Option<&'static str> {
    match (error.kind(), error.code()) {
        (Kind::AuthenticationFailed, _) | (_, Some("NOAUTH" | "WRONGPASS")) => Some("check redis.username and redis.password"),
        (Kind::Server(ServerErrorKind::NoPerm), _) => Some("give the user of redis.username the rights that docs/engines/redis.md lists"),
        (_, Some("OOM")) => Some("raise the server's maxmemory or shorten the tables' ttl"),
        (_, Some("MISCONF")) => Some("the server can't write to its disk: make room there"),
        (_, Some("WRONGTYPE")) => Some("another program wrote under redis.key_prefix; give Millstream a prefix of its own"),
        _ => None,
    }
}

impl From<RedisFault> for Error {
    fn from(fault: RedisFault) -> Self {
        let message = fault.to_string();
        match fault {
            // As text: the library's errors print their own cause, and the chain would print it again.
            RedisFault::Call { source, .. } => {
                let message = advice(&source).map_or(message.clone(), |advice| format!("{message} ({advice})"));
                Self::new(kind_of(&source), message).caused_by(source.to_string())
            }
            RedisFault::Unreachable { .. } => Self::unavailable(message),
        }
    }
}

/// Says on whose behalf a call was made.
pub(super) trait During<T> {
    /// The result with `operation` in its error.
    fn during(self, operation: &str, servers: &str) -> Result<T>;
}

impl<T> During<T> for std::result::Result<T, RedisError> {
    fn during(self, operation: &str, servers: &str) -> Result<T> {
        self.map_err(|source| RedisFault::Call { operation: operation.to_owned(), servers: servers.to_owned(), source }.into())
    }
}

#[cfg(test)]
mod tests;
