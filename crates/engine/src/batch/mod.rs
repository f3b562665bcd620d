//! Batch jobs: one run of a job on one snapshot ([`run_job`]), when jobs run ([`next_run`], pure), and the loop that runs them
//! ([`Scheduler`]). It knows plans and ports; it knows nothing of flows.

mod cron;
mod run;
mod scheduler;

pub use cron::next_run;
pub use run::{Trigger, Waiting, run_job};
pub(crate) use run::{execute, input};
pub use scheduler::Scheduler;
