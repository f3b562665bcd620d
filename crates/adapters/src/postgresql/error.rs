//! What PostgreSQL and its client report, and what the caller has to do about it.

use std::error::Error as _;
use std::fmt::Write as _;
use std::time::Duration;

use millstream_core::{Error, ErrorKind};
use tokio_postgres::error::{DbError, SqlState};

/// Why a call to the database failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("{operation}: no answer from PostgreSQL ({place}) within {} ms", limit.as_millis())]
    Silent { operation: String, place: String, limit: Duration },
    #[error("{operation}: no connection to PostgreSQL ({place}) was free within {} ms: raise postgresql.connections_max", limit.as_millis())]
    Busy { operation: String, place: String, limit: Duration },
    #[error("{operation}: connecting to PostgreSQL ({place}) failed{hint}")]
    Connect { operation: String, place: String, hint: &'static str, source: tokio_postgres::Error },
    #[error("{operation}: a connection to PostgreSQL ({place}) can't be made: its secret or its certificates can't be read")]
    Unprepared { operation: String, place: String, source: Error },
    #[error("{operation} in PostgreSQL ({place}) failed")]
    Call { operation: String, place: String, source: tokio_postgres::Error },
}

impl Failure {
    /// A connection that was refused, with what to look at.
    pub fn connect(operation: &str, place: &str, source: tokio_postgres::Error) -> Self {
        let text = text_of(&source);
        let hint = match source.code().map(SqlState::code) {
            Some(code) if code.starts_with("28") => " (check postgresql.user and postgresql.password)",
            Some("3D000") => " (create the database, or check postgresql.url)",
            _ if text.contains("does not support TLS") => " (the server has no TLS: with sslmode=disable in postgresql.url it is not used)",
            _ if text.contains("certificate") => {
                " (the server's certificate is not trusted, or is for another name: check postgresql.tls.ca_file)"
            }
            _ => "",
        };
        Self::Connect { operation: operation.to_owned(), place: place.to_owned(), hint, source }
    }
}

/// The reaction to an SQLSTATE (PostgreSQL manual, appendix A).
fn kind_of_state(state: &str) -> ErrorKind {
    match state {
        // Lock not available, deadlock, serialization failure, cancelled or timed out, a standby that is read-only, a server that
        // stops or starts, a name of a prepared statement that another client of the pooler left behind.
        "55P03" | "40P01" | "40001" | "57014" | "25006" | "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "42P05" | "26000" | "53300" => {
            ErrorKind::Unavailable
        }
        "42P01" => ErrorKind::NotFound,
        "42P07" | "42710" | "42P06" => ErrorKind::AlreadyExists,
        "XX001" | "XX002" => ErrorKind::Corrupt,
        // 08: connection; 28: authentication, which a rotation of the password mends.
        _ => match state.get(..2).unwrap_or_default() {
            "08" | "28" | "57" | "58" => ErrorKind::Unavailable,
            "53" | "54" => ErrorKind::Exhausted,
            "22" | "23" | "2B" | "42" | "3D" | "3F" => ErrorKind::InvalidInput,
            "0A" => ErrorKind::Unsupported,
            _ => ErrorKind::Internal,
        },
    }
}

fn kind_of(error: &tokio_postgres::Error) -> ErrorKind {
    match error.code() {
        Some(state) => kind_of_state(state.code()),
        // The client's own errors: what it could not encode or decode is a defect, everything else is the connection's end.
        None if error.to_string().contains("serializing") || error.to_string().contains("parameters") => ErrorKind::Internal,
        None => ErrorKind::Unavailable,
    }
}

/// The error as one line: the client's own word for it is "db error".
fn text_of(error: &tokio_postgres::Error) -> String {
    if let Some(db) = error.as_db_error() {
        return text_of_db(db);
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

fn text_of_db(db: &DbError) -> String {
    let mut text = format!("{} (SQLSTATE {})", db.message(), db.code().code());
    for more in [db.detail(), db.hint()].into_iter().flatten() {
        let _ = write!(text, "; {more}");
    }
    text
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let message = failure.to_string();
        match failure {
            Failure::Silent { .. } | Failure::Busy { .. } => Self::unavailable(message),
            Failure::Connect { source, .. } => {
                let kind = match source.code().map(SqlState::code) {
                    Some("3D000" | "42501") => ErrorKind::InvalidInput,
                    _ => ErrorKind::Unavailable,
                };
                Self::new(kind, message).caused_by(text_of(&source))
            }
            // A mounted secret is absent for a moment while it is exchanged.
            Failure::Unprepared { source, .. } => Self::unavailable(message).caused_by(source.to_string()),
            Failure::Call { source, .. } => Self::new(kind_of(&source), message).caused_by(text_of(&source)),
        }
    }
}

#[cfg(test)]
mod tests;
