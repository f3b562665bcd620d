#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::time::Duration;

use super::*;

fn answered(error: DbError, message: &str) -> Error {
    let source = ExecutionError::LastAttemptError(RequestAttemptError::DbError(error, message.to_owned()));
    CassandraError::Request { operation: "writing to table t".into(), source }.into()
}

#[test]
fn what_may_pass_is_unavailable() {
    let timeout: Error =
        CassandraError::Request { operation: "x".into(), source: ExecutionError::RequestTimeout(Duration::from_secs(1)) }.into();
    assert_eq!(timeout.kind(), ErrorKind::Unavailable);
    let pool = ExecutionError::ConnectionPoolError(ConnectionPoolError::Initializing);
    assert_eq!(Error::from(CassandraError::Request { operation: "x".into(), source: pool }).kind(), ErrorKind::Unavailable);
    for error in [DbError::Overloaded, DbError::IsBootstrapping, DbError::TruncateError, DbError::ServerError] {
        assert_eq!(answered(error, "").kind(), ErrorKind::Unavailable);
    }
}

#[test]
fn what_the_user_has_to_change_is_not() {
    assert_eq!(answered(DbError::Unauthorized, "no MODIFY permission").kind(), ErrorKind::InvalidInput);
    assert_eq!(answered(DbError::Invalid, "Key may not be empty").kind(), ErrorKind::InvalidInput);
    assert_eq!(answered(DbError::Invalid, "unconfigured table t").kind(), ErrorKind::NotFound);
}

#[test]
fn a_continuation_that_is_refused_is_out_of_range_and_a_refused_login_is_not() {
    let of = |error: DbError| {
        let source = ExecutionError::LastAttemptError(RequestAttemptError::DbError(error, String::new()));
        Error::from(CassandraError::Request { operation: "reading".into(), source }.of_a_continuation()).kind()
    };
    assert_eq!(of(DbError::Invalid), ErrorKind::OutOfRange);
    assert_eq!(of(DbError::Unauthorized), ErrorKind::InvalidInput);
    assert_eq!(of(DbError::Overloaded), ErrorKind::Unavailable);
}

#[test]
fn messages_name_operation_system_and_cause() {
    let error = answered(DbError::Invalid, "Key may not be empty").to_string();
    assert!(error.starts_with("writing to table t in Cassandra failed"), "{error}");
    assert!(error.contains("Key may not be empty"), "{error}");
}
