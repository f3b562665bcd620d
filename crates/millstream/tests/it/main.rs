//! The program from outside: what the command line prints, refuses and survives. One process a test, ports and folders of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod away;
mod check;
mod configuration;
mod init;
mod kills;
mod lifecycle;
mod plan;
mod process;
mod queries;
mod spilled;
mod topics;
