//! The wiring: the one place where a configuration becomes adapters, and where each port gets who serves it.
//!
//! In steps: [`open_ports`] opens the built-in engines on a data directory, [`open`] opens a pipeline on them. Neither runs nor
//! listens to anything; `service` does.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use millstream_adapters::embedded::{DataDir, EmbeddedStore, StoreSettings};
use millstream_broker::{BrokerSettings, Log};
use millstream_core::ports::{Clock, ReferenceSource, SystemClock};
use millstream_core::status::StatusSource;
use millstream_core::{Error, Result, TableSpec};
use millstream_engine::{Engine, Ports};
use millstream_gateway::http::cache::{InvalidatingCriticalStore, InvalidatingEventStore, InvalidatingReportStore, Invalidations};
use millstream_pipeline::graph::{Binding, Pipeline};

use crate::config::{Config, Durability};
use crate::data_dir;
use crate::disk::{Intake, StatusWithIntake};

/// The built-in engines on a data directory that this process alone uses.
pub struct OpenPorts {
    /// What the engine gets.
    pub ports: Ports,
    /// The log behind the Kafka endpoint.
    pub log: Arc<Log>,
    /// The built-in store, for its upkeep.
    pub store: Arc<EmbeddedStore>,
    /// What writes make invalid in the API's cache.
    pub invalidations: Arc<Invalidations>,
    lock: DataDir,
}

/// A pipeline on its ports: open, and at rest.
pub struct Opened {
    /// The settings.
    pub config: Config,
    /// The pipeline.
    pub pipeline: Arc<Pipeline>,
    /// Its engine.
    pub engine: Arc<Engine>,
    /// What the engine got.
    pub ports: Ports,
    /// The log behind the Kafka endpoint.
    pub log: Arc<Log>,
    /// The built-in store, for its upkeep.
    pub store: Arc<EmbeddedStore>,
    /// What writes make invalid in the API's cache.
    pub invalidations: Arc<Invalidations>,
    /// Whether intake is open.
    pub intake: Arc<Intake>,
    /// The engine's state, with that of intake.
    pub status: Arc<dyn StatusSource>,
    _lock: DataDir,
}

/// Opens the built-in engines on the data directory that `lock` stands for, as `pipeline` needs them.
pub async fn open_ports(config: &Config, pipeline: &Pipeline, lock: DataDir) -> Result<OpenPorts> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let log = Log::open(data_dir::log(lock.path()), broker_settings(config), clock.clone()).await?;
    let store = open_store(data_dir::store(lock.path()).as_path(), store_settings(config), clock.clone()).await?;
    let specs: Vec<&TableSpec> = pipeline.tables.values().map(|t| t.spec.as_ref()).collect();
    let invalidations = Invalidations::new(specs);
    let ports = Ports {
        log: log.clone(),
        event_store: Arc::new(InvalidatingEventStore::new(store.events(), invalidations.clone())),
        change_feed: store.feed(),
        critical: Arc::new(InvalidatingCriticalStore::new(store.critical(), invalidations.clone())),
        reports: Arc::new(InvalidatingReportStore::new(store.reports(), invalidations.clone())),
        lake: None,
        topics: None,
        checkpoints: store.checkpoints(),
        system: store.system(),
        references: references(pipeline)?,
        clock,
    };
    Ok(OpenPorts { ports, log, store, invalidations, lock })
}

/// Opens `pipeline` on a data directory: creates what is absent, refuses what another pipeline left there.
pub async fn open(config: Config, pipeline: Arc<Pipeline>, lock: DataDir) -> Result<Opened> {
    let OpenPorts { ports, log, store, invalidations, lock } = open_ports(&config, &pipeline, lock).await?;
    let engine = Engine::open(pipeline.clone(), ports.clone(), config.engine.clone()).await?;
    let intake = Arc::new(Intake::default());
    let status = Arc::new(StatusWithIntake::new(engine.clone(), intake.clone()));
    Ok(Opened { config, pipeline, engine, ports, log, store, invalidations, intake, status, _lock: lock })
}

/// The store's recovery reads files: on a thread that may block.
async fn open_store(folder: &Path, settings: StoreSettings, clock: Arc<dyn Clock>) -> Result<Arc<EmbeddedStore>> {
    let folder = folder.to_owned();
    let opened = tokio::task::spawn_blocking(move || EmbeddedStore::open(folder, settings, clock)).await;
    opened.map_err(|e| Error::internal("opening the store ended early").caused_by(e))?
}

/// One source for each reference table.
pub fn references(pipeline: &Pipeline) -> Result<BTreeMap<String, Arc<dyn ReferenceSource>>> {
    let mut sources = BTreeMap::<String, Arc<dyn ReferenceSource>>::new();
    for (name, table) in &pipeline.tables {
        if let Binding::Reference(reference) = &table.binding {
            sources.insert(name.clone(), crate::project::reference_source(reference, Some(table.spec.schema.clone()))?);
        }
    }
    Ok(sources)
}

fn broker_settings(config: &Config) -> BrokerSettings {
    let durability = match config.durability {
        Durability::Process => millstream_broker::Durability::Process,
        Durability::Fsync => millstream_broker::Durability::Fsync,
    };
    BrokerSettings { durability, ..config.broker.clone() }
}

fn store_settings(config: &Config) -> StoreSettings {
    let durability = match config.durability {
        Durability::Process => millstream_adapters::embedded::Durability::Process,
        Durability::Fsync => millstream_adapters::embedded::Durability::Fsync,
    };
    config.store.to_settings(durability, config.disk.free_bytes_min)
}
