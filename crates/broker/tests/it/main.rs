//! The endpoint from outside: over sockets with a small client of its own, and through core's port.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod client;
mod contract;
mod groups;
mod kill;
mod lifecycle;
mod produce_and_fetch;
mod topics;
mod versions;
