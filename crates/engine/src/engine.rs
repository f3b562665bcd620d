//! [`Engine`]: the handle that the wiring holds: opens a pipeline on its ports, runs its flows and jobs, answers for them.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::prelude::SessionContext;
use millstream_core::ports::{
    ChangeFeed, CheckpointStore, Clock, CriticalLoader, CriticalStore, EventLog, EventStore, JobRun, ReferenceSource, ReportStore, SystemStore,
};
use millstream_core::status::{PipelineStatus, StatusSource};
use millstream_core::{Error, Result};
use millstream_pipeline::graph::Pipeline;
use tokio_util::sync::CancellationToken;

use crate::settings::EngineSettings;

/// Everything outside that a pipeline needs.
#[derive(Clone)]
pub struct Ports {
    /// Topics.
    pub log: Arc<dyn EventLog>,
    /// Event-store tables.
    pub event_store: Arc<dyn EventStore>,
    /// Their change feed.
    pub change_feed: Arc<dyn ChangeFeed>,
    /// Redis tables.
    pub critical: Arc<dyn CriticalStore>,
    /// Reports.
    pub reports: Arc<dyn ReportStore>,
    /// Checkpoints.
    pub checkpoints: Arc<dyn CheckpointStore>,
    /// `system.*`.
    pub system: Arc<dyn SystemStore>,
    /// One source for each reference table, by name.
    pub references: BTreeMap<String, Arc<dyn ReferenceSource>>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}
