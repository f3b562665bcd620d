//! The gateway over real sockets: the PostgreSQL endpoint with psql and with a driver.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod driver;
mod endpoint;
mod psql;
