//! The wiring: the one place where a configuration becomes adapters, and where each port gets who serves it.
//!
//! In steps: [`open_ports`] opens the built-in engines on a data directory and connects to the real ones, [`open`] opens a pipeline on
//! them. Neither runs nor listens to anything; `service` does. What a system that is away holds up waits for it ([`Engines`]).

mod boxes;
mod health;
mod lake;
mod places;
mod references;
mod watched;

use std::path::Path;
use std::sync::Arc;

use millstream_adapters::embedded::{self, DataDir, EmbeddedStore, LocalSpillStore, StoreSettings};
use millstream_adapters::lake::LakeTableStore;
use millstream_adapters::schema_registry::HttpSchemaRegistry;
use millstream_adapters::{postgresql, redis, schema_registry};
use millstream_broker::{BrokerSettings, Log};
use millstream_core::ports::{Clock, SchemaRegistry, SystemClock};
use millstream_core::{Error, Result, TableKind, TableSpec};
use millstream_engine::{Engine, Ports};
use millstream_gateway::http::cache::{InvalidatingCriticalStore, InvalidatingEventStore, InvalidatingReportStore, Invalidations};
use millstream_pipeline::graph::Pipeline;

use crate::config::{Config, Durability};
use crate::data_dir;

pub use health::{BUILT_IN, Engines, Patience};
pub use lake::{bound as bound_lake_tables, probe as lake_probe};
pub use places::served_by;
pub use references::reference_source;

/// The ports of a pipeline, on a data directory that this process alone uses.
pub struct OpenPorts {
    /// What the engine gets.
    pub ports: Ports,
    /// The log behind the built-in Kafka endpoint; none where topics are elsewhere.
    pub endpoint: Option<Arc<Log>>,
    /// The tables of files, to be kept in order.
    pub lake: Arc<LakeTableStore>,
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
    /// The log behind the built-in Kafka endpoint; none where topics are elsewhere.
    pub endpoint: Option<Arc<Log>>,
    /// The tables of files, to be kept in order.
    pub lake: Arc<LakeTableStore>,
    /// The built-in store, for its upkeep.
    pub store: Arc<EmbeddedStore>,
    /// What writes make invalid in the API's cache.
    pub invalidations: Arc<Invalidations>,
    _lock: DataDir,
}

/// Opens the built-in engines on the data directory that `lock` stands for, and connects to the real ones, as `pipeline` needs them.
pub async fn open_ports(config: &Config, pipeline: &Pipeline, lock: DataDir, engines: &Arc<Engines>) -> Result<OpenPorts> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = open_store(data_dir::store(lock.path()).as_path(), store_settings(config), clock.clone()).await?;
    let specs: Vec<&TableSpec> = pipeline.tables.values().map(|t| t.spec.as_ref()).collect();
    let invalidations = Invalidations::new(specs);
    let boxes = boxes::Boxes { config, pipeline, store: &store, dir: lock.path(), engines, clock: clock.clone() };
    let boxes::Served { topics: (log, topics, endpoint), event_store, change_feed, reports, critical, lake, lake_port, checkpoints } =
        boxes.serve().await?;
    let spilled = LocalSpillStore::emptied(data_dir::state(lock.path()))?;
    let ports = Ports {
        log,
        event_store: Arc::new(InvalidatingEventStore::new(event_store, invalidations.clone())),
        change_feed,
        critical: Arc::new(InvalidatingCriticalStore::new(critical, invalidations.clone())),
        reports: Arc::new(InvalidatingReportStore::new(reports, invalidations.clone())),
        lake: Some(lake_port),
        topics: Some(topics),
        schemas: registry(config, engines)?,
        checkpoints,
        system: store.system(),
        references: references::all(config, pipeline, engines)?,
        spill: Some(Arc::new(spilled)),
        clock,
    };
    Ok(OpenPorts { ports, endpoint, lake, store, invalidations, lock })
}

/// Opens `pipeline` on its ports: creates what is absent, refuses what another pipeline left there.
pub async fn open(config: Config, pipeline: Arc<Pipeline>, open: OpenPorts, engines: &Engines) -> Result<Opened> {
    let OpenPorts { ports, endpoint, lake, store, invalidations, lock } = open;
    let engine = engines.until_there(async || Engine::open(pipeline.clone(), ports.clone(), config.engine.clone()).await).await?;
    Ok(Opened { config, pipeline, engine, ports, endpoint, lake, store, invalidations, _lock: lock })
}

/// Refuses tables that the system behind their box can't hold, by name (nothing is rounded), and places that none can be. Connects to nothing.
pub fn check_tables(config: &Config, pipeline: &Pipeline) -> Result<()> {
    for (name, table) in &pipeline.tables {
        let spec = table.spec.as_ref();
        let checked = match spec.kind {
            TableKind::Report => {
                config.postgresql.as_ref().map_or_else(|| embedded::check_table(spec), |s| postgresql::check_table(s, spec))
            }
            TableKind::EventStore => config
                .cassandra
                .as_ref()
                .map_or_else(|| embedded::check_table(spec), |s| millstream_adapters::cassandra::check_table(s, spec)),
            TableKind::Critical if config.redis.is_some() => redis::check_table(spec),
            TableKind::Critical => embedded::check_table(spec),
            TableKind::Lake => millstream_adapters::lake::check_table(spec),
            TableKind::Topic | TableKind::Reference | TableKind::System => Ok(()),
        };
        checked.map_err(|e| e.context(format!("table {name}")))?;
    }
    lake::locations(&lake::bound(config, pipeline)?).map(drop)
}

/// Where records' schemas are, if the configuration says so. Connects to nothing: the flows that need it wait for it.
fn registry(config: &Config, engines: &Engines) -> Result<Option<Arc<dyn SchemaRegistry>>> {
    let Some(settings) = config.schema_registry.clone() else { return Ok(None) };
    let registry: Arc<dyn SchemaRegistry> = Arc::new(HttpSchemaRegistry::new(settings.clone())?);
    let probe = boxes::probe_with(settings.clone(), |s| async move { schema_registry::probe(&s).await });
    let health = engines.add(boxes::names::SCHEMAS, "schema registry", settings.url, Some(probe));
    Ok(Some(watched::Watched::<dyn SchemaRegistry>::new(registry, health)))
}

/// The store's recovery reads files: on a thread that may block.
async fn open_store(folder: &Path, settings: StoreSettings, clock: Arc<dyn Clock>) -> Result<Arc<EmbeddedStore>> {
    let folder = folder.to_owned();
    let opened = tokio::task::spawn_blocking(move || EmbeddedStore::open(folder, settings, clock)).await;
    opened.map_err(|e| Error::internal("opening the store ended early").caused_by(e))?
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
