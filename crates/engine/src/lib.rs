//! Stream processing and batch jobs: runs a checked [`Pipeline`](millstream_pipeline::graph::Pipeline) against the ports of core.
//!
//! An [`Engine`] owns the flows and the scheduler of one pipeline. It knows DataFusion and Arrow; it knows no adapter, no socket
//! and no file: the wiring hands it the ports. Each flow advances in epochs (see [`flow`]); each job runs on a snapshot (see [`batch`]).

pub mod batch;
pub mod catalog;
pub mod compile;
mod compute;
mod critical;
pub mod engine;
pub mod flow;
mod growth;
mod identity;
pub mod join;
mod metadata;
mod patience;
pub mod plan;
pub mod reference;
pub mod replay;
mod reset;
pub mod settings;
pub mod source;
pub mod spill;
pub mod verify;
pub mod window;

pub use engine::{Engine, Ports};
pub use plan::{ChangePlan, Facts};
pub use replay::{RepairedEvent, ReplayOutcome, ReplayRequest};
pub use settings::EngineSettings;
pub use verify::{Check, VerifyProgress, VerifyReport};
