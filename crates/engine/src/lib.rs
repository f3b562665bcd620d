//! Stream processing and batch jobs: runs a checked [`Pipeline`](millstream_pipeline::graph::Pipeline) against the ports of core.
//!
//! An [`Engine`] owns the flows and the scheduler of one pipeline. It knows DataFusion and Arrow; it knows no adapter, no socket
//! and no file: the wiring hands it the ports. Each flow advances in epochs (see [`flow`]); each job runs on a snapshot (see [`batch`]).

pub mod batch;
pub mod catalog;
pub mod decode;
pub mod engine;
pub mod reference;
pub mod settings;

pub use engine::{Engine, Ports};
pub use settings::EngineSettings;
