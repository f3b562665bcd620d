//! The HTTP API: any table by its key, cache first and the store on a miss; health, metrics, the API's own description and a
//! status page.
//!
//! [`HttpServer`] binds and serves: at first what the process says of itself ([`HttpAbout`]), and once [`HttpDoor::open`] was called the
//! tables too; [`HttpParts`] is what the wiring hands over; [`cache`] holds the cache-aside rules and the
//! wrappers by which a write makes cached reads invalid. Nothing here knows DataFusion, a file or an adapter.

pub mod cache;
mod counters;
mod health;
mod json;
mod metrics;
mod openapi;
mod page;
mod problem;
mod read;
mod request;
mod router;
mod server;
mod settings;
mod time_limit;
#[cfg(test)]
mod toys;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use metrics_exporter_prometheus::PrometheusHandle;
use millstream_core::TableSpec;
use millstream_core::ports::{Clock, CriticalLoader, CriticalStore, EventStore, ReportStore};
use millstream_core::status::StatusSource;

pub use router::{Api, api};
pub use server::{HttpDoor, HttpServer};
pub use settings::HttpSettings;

/// The rows of a reference table as they stand in memory, whole.
pub trait ReferenceRows: Send + Sync {
    /// All rows, of the table's columns. Cheap: called at every request.
    fn rows(&self) -> Arc<[RecordBatch]>;
}

/// What the process says of itself, from its first moment on.
#[derive(Clone)]
pub struct HttpAbout {
    /// The pipeline's name, for the status page.
    pub pipeline: String,
    /// Millstream's version.
    pub version: String,
    /// How the pipeline is doing.
    pub status: Arc<dyn StatusSource>,
    /// The process's metrics.
    pub metrics: PrometheusHandle,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// What the API reads from once the pipeline is open, as the wiring hands it over.
pub struct HttpParts {
    /// What the process says of itself.
    pub about: HttpAbout,
    /// Every table of the pipeline.
    pub tables: Vec<TableSpec>,
    /// Event-store tables.
    pub event_store: Arc<dyn EventStore>,
    /// Tables of critical events.
    pub critical_store: Arc<dyn CriticalStore>,
    /// The way back to the event store when a critical event is not in its store.
    pub critical_loader: Arc<dyn CriticalLoader>,
    /// Reports.
    pub report_store: Arc<dyn ReportStore>,
    /// Reference tables by name.
    pub reference: BTreeMap<String, Arc<dyn ReferenceRows>>,
    /// What the [`cache::InvalidatingEventStore`] and its siblings around the engine's stores count up.
    pub invalidations: Arc<cache::Invalidations>,
}
