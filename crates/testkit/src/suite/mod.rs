//! The contract suites: one module for each port, one case for each promise in the port's doc comment.
//!
//! A suite knows the port and nothing of who implements it. Every case gets a [`Harness`](crate::Harness) of its own, empty at first;
//! `CASES` lists their names, `run` runs all, `run_only` some.

pub mod change_feed;
pub mod checkpoint_store;
pub mod critical_store;
pub mod event_log;
pub mod event_store;
pub mod lake_store;
pub mod reference_source;
pub mod report_store;
pub mod spill_store;
pub mod sql_types;
pub mod system_store;
pub mod topic_sink;

use std::future::Future;
use std::task::Poll;
use std::time::Duration;

use crate::check::{CaseResult, Failure};

/// How long a case may take: far more than any needs, so that a call that never returns fails its case instead of hanging the run.
const CASE_LIMIT: Duration = Duration::from_secs(60);

/// How long a `wait` may take to notice what was committed.
const WAKE_LIMIT: Duration = Duration::from_secs(10);

async fn limited(case: impl Future<Output = CaseResult>) -> CaseResult {
    match tokio::time::timeout(CASE_LIMIT, case).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Failure::Broken(format!("the case ends (it still ran after {} s)", CASE_LIMIT.as_secs()))),
    }
}

/// Polls `future` a few times and returns its output if it is ready by then.
async fn ready_now<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    for _ in 0..8 {
        let polled = futures::future::poll_fn(|cx| {
            Poll::Ready(match std::pin::Pin::new(&mut *future).poll(cx) {
                Poll::Ready(output) => Some(output),
                Poll::Pending => None,
            })
        })
        .await;
        if polled.is_some() {
            return polled;
        }
        tokio::task::yield_now().await;
    }
    None
}

/// The output of a `wait` that has every reason to resolve.
async fn woken<T>(what: &str, wait: impl Future<Output = T>) -> CaseResult<T> {
    match tokio::time::timeout(WAKE_LIMIT, wait).await {
        Ok(output) => Ok(output),
        Err(_) => Err(Failure::Broken(format!("{what} wakes up (it did not within {} s)", WAKE_LIMIT.as_secs()))),
    }
}

/// Declares a suite: its name, the type of its port, its cases.
macro_rules! suite {
    ($name:literal, $port:ty, [$($case:ident),* $(,)?]) => {
        /// The names of this suite's cases.
        pub const CASES: &[&str] = &[$(stringify!($case)),*];

        /// Runs every case, each on a harness of its own, against `system` (its name in reports).
        pub async fn run<H: $crate::Harness<$port>>(system: &str, make: impl Fn() -> H) -> $crate::SuiteReport {
            run_only(system, make, CASES).await
        }

        /// Runs the cases named in `only`.
        pub async fn run_only<H: $crate::Harness<$port>>(system: &str, make: impl Fn() -> H, only: &[&str]) -> $crate::SuiteReport {
            let mut report = $crate::SuiteReport::new($name, system);
            $(
                if only.contains(&stringify!($case)) {
                    let harness = make();
                    report.record(stringify!($case), $crate::suite::limited($case(&harness)).await);
                }
            )*
            report
        }
    };
}
pub(crate) use suite;
