//! What MySQL and its client report, and what the caller has to do about it.

use std::time::Duration;

use millstream_core::{Error, ErrorKind};

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("{operation}: no answer from MySQL ({place}) within {} ms", limit.as_millis())]
    Silent { operation: String, place: String, limit: Duration },
    #[error("{operation}: connecting to MySQL ({place}) failed{}", hint(source))]
    Connect { operation: String, place: String, source: mysql_async::Error },
    #[error("{operation} in MySQL ({place}) failed")]
    Call { operation: String, place: String, source: mysql_async::Error },
}

fn hint(error: &mysql_async::Error) -> &'static str {
    match error {
        mysql_async::Error::Server(e) if matches!(e.code, 1044 | 1045 | 1698) => " (check mysql.user and mysql.password)",
        mysql_async::Error::Server(e) if e.code == 1049 => " (create the database, or check mysql.url)",
        other if other.to_string().to_lowercase().contains("certificate") => {
            " (the server's certificate is not trusted, or is for another name: check mysql.tls.ca_file)"
        }
        other if other.to_string().contains("does not have this capability") => {
            " (the server has no TLS: with ssl-mode=disabled in mysql.url it is not used)"
        }
        _ => "",
    }
}

/// The reaction to an error number (MySQL manual, "Server Error Message Reference").
fn kind_of_code(code: u16, is_connecting: bool) -> ErrorKind {
    match code {
        // No such table.
        1146 | 1051 => ErrorKind::NotFound,
        // Access denied: while connecting a rotation of the password mends it.
        1044 | 1045 | 1698 if is_connecting => ErrorKind::Unavailable,
        // Too many connections, server gone or stopping, lock wait, deadlock, a query that was killed or ran into a limit of time.
        1040 | 1053 | 1077 | 1078 | 1079 | 1080 | 1152 | 1158..=1161 | 1203 | 1205 | 1213 | 1317 | 1927 | 1969 | 3024 => {
            ErrorKind::Unavailable
        }
        1021 | 1037 | 1038 | 1041 => ErrorKind::Exhausted,
        1044 | 1045 | 1049 | 1054 | 1064 | 1142 | 1143 | 1227 | 1305 => ErrorKind::InvalidInput,
        1000..2000 if is_connecting => ErrorKind::Unavailable,
        _ => ErrorKind::InvalidInput,
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let message = failure.to_string();
        let is_connecting = matches!(failure, Failure::Connect { .. });
        match failure {
            Failure::Silent { .. } => Self::unavailable(message),
            Failure::Connect { source, .. } | Failure::Call { source, .. } => {
                let kind = match &source {
                    mysql_async::Error::Server(e) => kind_of_code(e.code, is_connecting),
                    _ => ErrorKind::Unavailable,
                };
                Self::new(kind, message).caused_by(source.to_string())
            }
        }
    }
}
