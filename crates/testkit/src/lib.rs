//! What tests share: one contract suite for each port of core, toys that pass them, broken toys that fail them, ports that fail on
//! purpose, a clock that tests set, and builders for rows.
//!
//! Testkit is a dev-dependency only. It knows core, and no adapter: an adapter's test hands itself in through a [`Harness`].
//!
//! # Running a suite on an adapter
//!
//! ```no_run
//! use std::sync::Arc;
//! use millstream_core::ports::EventLog;
//! use millstream_testkit::{OnData, suite, toy};
//!
//! # async fn doc() {
//! // Called once a case: each case gets data of its own (here a toy's "disk"; in an adapter's test a `tempfile::tempdir()`).
//! let harness = || OnData::new(toy::Disk::default(), |disk, clock| async move {
//!     // Opened again after the earlier port was dropped: that is what a restart of the process looks like.
//!     Ok(Arc::new(toy::ToyEventLog::open(disk, clock)) as Arc<dyn EventLog>)
//! });
//! suite::event_log::run("toy", harness).await.assert_passed();
//! # }
//! ```
//!
//! A case is a plain `pub async fn case(harness: &dyn Harness<Port>) -> CaseResult`, so a single one can be run while an adapter is
//! being written: `suite::event_log::run_only("toy", harness, &["an_append_is_read_back"])`.
//!
//! The suites' tests need `#[tokio::test(flavor = "multi_thread")]`: some cases run readers and writers at the same time.

pub mod changes;
pub mod check;
pub mod clock;
pub mod faults;
pub mod generate;
pub mod harness;
pub mod report;
pub mod rows;
pub mod suite;
pub mod tables;
pub mod toy;

pub use check::{CaseResult, Failure};
pub use clock::ManualClock;
pub use harness::{Abilities, Harness, OnData};
pub use report::{SuiteReport, require};
pub use rows::{Cell, Row};
