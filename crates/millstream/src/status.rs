//! What the process says of itself, from its first moment on: its engines, its intake, and its pipeline once that is open.

use std::sync::{Arc, OnceLock};

use millstream_core::status::{PipelineStatus, StatusSource};

use crate::disk::Intake;
use crate::wiring::Engines;

/// The state of the process.
pub struct ProcessStatus {
    engines: Arc<Engines>,
    intake: Arc<Intake>,
    pipeline: OnceLock<Arc<dyn StatusSource>>,
}

impl ProcessStatus {
    /// Of a process whose pipeline is not open yet.
    pub fn new(engines: Arc<Engines>, intake: Arc<Intake>) -> Self {
        Self { engines, intake, pipeline: OnceLock::new() }
    }

    /// From now on the pipeline speaks for itself.
    pub fn is_open(&self, pipeline: Arc<dyn StatusSource>) {
        _ = self.pipeline.set(pipeline);
    }
}

impl StatusSource for ProcessStatus {
    fn status(&self) -> PipelineStatus {
        let engines = self.engines.status();
        let (opening, pipeline) = match self.pipeline.get() {
            Some(pipeline) => (None, pipeline.status()),
            None if engines.iter().any(|engine| engine.away.is_some()) => {
                (Some("it waits for its engines".to_owned()), PipelineStatus::default())
            }
            None => (Some("it reads what is stored".to_owned()), PipelineStatus::default()),
        };
        PipelineStatus { opening, engines, intake_paused: self.intake.paused(), ..pipeline }
    }
}
