#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use redis::{Value, parse_redis_value};

use super::*;

/// The error that the client makes of what a server says.
fn said(reply: &str) -> RedisError {
    match parse_redis_value(format!("-{reply}\r\n").as_bytes()) {
        Ok(Value::ServerError(error)) => error.into(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_reply_says_what_the_caller_has_to_do() {
    let io = || RedisError::from(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
    let cases = [
        (io(), ErrorKind::Unavailable, true),
        (RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut)), ErrorKind::Unavailable, true),
        (said("LOADING Redis is loading the dataset in memory"), ErrorKind::Unavailable, false),
        (said("CLUSTERDOWN The cluster is down"), ErrorKind::Unavailable, false),
        (said("READONLY You can't write against a read only replica."), ErrorKind::Unavailable, true),
        (said("WRONGPASS invalid username-password pair"), ErrorKind::Unavailable, true),
        (said("NOAUTH Authentication required."), ErrorKind::Unavailable, true),
        (said("NOPERM this user has no permissions"), ErrorKind::InvalidInput, false),
        (said("OOM command not allowed when used memory > 'maxmemory'."), ErrorKind::Exhausted, false),
        (said("MISCONF Redis is configured to save RDB snapshots"), ErrorKind::Exhausted, false),
        (said("WRONGTYPE Operation against a key holding the wrong kind of value"), ErrorKind::Corrupt, false),
        (said("ERR something else"), ErrorKind::Internal, false),
    ];
    for (error, kind, ends) in cases {
        assert_eq!(kind_of(&error), kind, "{error}");
        assert_eq!(ends_connection(&error), ends, "{error}");
        let failed: Result<()> = Err(error).during("writing", "cache:6379");
        let text = failed.unwrap_err().to_string();
        assert!(text.contains("writing at Redis (cache:6379)"), "{text}");
    }
}
