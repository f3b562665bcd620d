//! Box by box: the built-in engine, or the real one that the configuration names. Any mix works.
//!
//! No adapter connects before it is used; each real system is asked once what it is before anything else happens to it: one that is away
//! is waited for here, and a wrong password or an absent database ends the start with what to do.

use std::collections::BTreeSet;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use millstream_adapters::cassandra::{self, CassandraFeed, CassandraStore, CassandraTables};
use millstream_adapters::embedded::EmbeddedStore;
use millstream_adapters::kafka::{self, KafkaLog};
use millstream_adapters::lake::{LakeCheckpointStore, LakeLocation, LakeTableStore};
use millstream_adapters::postgresql::{self, PostgresPool, PostgresReportStore};
use millstream_adapters::redis::{self, RedisCriticalStore};
use millstream_adapters::topics::LogTopicSink;
use millstream_broker::Log;
use millstream_core::ports::{ChangeFeed, CheckpointStore, Clock, CriticalStore, EventLog, EventStore, LakeStore, ReportStore, TopicSink};
use millstream_core::{Error, Result, TableKind};
use millstream_pipeline::graph::{Flow, Pipeline};

use super::health::{EngineHealth, Probe};
use super::watched::Watched;
use super::{Engines, broker_settings, lake, places};
use crate::config::Config;
use crate::data_dir;

/// The boxes, in the words of the status page.
pub mod names {
    /// Box 1.
    pub const TOPICS: &str = "topics";
    /// Boxes 3 and 4.
    pub const EVENT_STORE: &str = "event store";
    /// Box 6.
    pub const REFERENCE_DATA: &str = "reference data";
    /// Box 7.
    pub const REPORTS: &str = "reports";
    /// Box 9.
    pub const CRITICAL_EVENTS: &str = "critical events";
    /// Files that flows write.
    pub const LAKE: &str = "data lake";
    /// What flows go on from.
    pub const CHECKPOINTS: &str = "checkpoints";
    /// Schemas of records.
    pub const SCHEMAS: &str = "schemas";
    /// In their order.
    pub const ALL: [&str; 8] = [TOPICS, EVENT_STORE, REFERENCE_DATA, REPORTS, CRITICAL_EVENTS, LAKE, CHECKPOINTS, SCHEMAS];
}

/// What flows append to a built-in topic at once, in bytes: what consumers take without being told.
const APPEND_BYTES_MAX: usize = 1_000_000;

/// What the boxes are made of.
pub struct Boxes<'a> {
    pub config: &'a Config,
    pub pipeline: &'a Pipeline,
    pub store: &'a EmbeddedStore,
    pub dir: &'a Path,
    pub engines: &'a Arc<Engines>,
    pub clock: Arc<dyn Clock>,
}

/// Topics: who reads and who writes them, and the log behind the built-in endpoint, where that serves them.
pub type Topics = (Arc<dyn EventLog>, Arc<dyn TopicSink>, Option<Arc<Log>>);

/// Who serves each.
pub struct Served {
    pub topics: Topics,
    pub event_store: Arc<dyn EventStore>,
    pub change_feed: Arc<dyn ChangeFeed>,
    pub reports: Arc<dyn ReportStore>,
    pub critical: Arc<dyn CriticalStore>,
    pub lake: Arc<LakeTableStore>,
    pub lake_port: Arc<dyn LakeStore>,
    pub checkpoints: Arc<dyn CheckpointStore>,
}

impl Boxes<'_> {
    /// Waits for the real ones side by side.
    pub async fn serve(&self) -> Result<Served> {
        let (topics, (event_store, change_feed), reports, critical, (lake, lake_port), checkpoints) =
            tokio::try_join!(self.topics(), self.event_store(), self.reports(), self.critical_events(), self.lake(), self.checkpoints())?;
        Ok(Served { topics, event_store, change_feed, reports, critical, lake, lake_port, checkpoints })
    }

    async fn topics(&self) -> Result<Topics> {
        let Some(settings) = self.config.kafka.clone() else {
            let log = Log::open(data_dir::log(self.dir), broker_settings(self.config), self.clock.clone()).await?;
            self.engines.add_built_in(names::TOPICS, data_dir::log(self.dir).display().to_string());
            let sink = LogTopicSink::new(log.clone(), log.cluster_id(), self.store.system(), APPEND_BYTES_MAX);
            return Ok((log.clone(), Arc::new(sink), Some(log)));
        };
        let log: Arc<dyn EventLog> = Arc::new(KafkaLog::connect(&settings, self.clock.clone())?);
        let sink = kafka::topic_sink(&settings, log.clone(), self.store.system(), self.clock.clone())?;
        let place = places::kafka(&settings);
        let health = self.real(names::TOPICS, "kafka", place, probe_with(settings, |s| async move { kafka::probe(&s).await })).await?;
        Ok((Watched::<dyn EventLog>::new(log, health.clone()), Watched::<dyn TopicSink>::new(sink, health), None))
    }

    async fn event_store(&self) -> Result<(Arc<dyn EventStore>, Arc<dyn ChangeFeed>)> {
        let Some(settings) = self.real_one(&self.config.cassandra, TableKind::EventStore) else {
            self.built_in(names::EVENT_STORE, TableKind::EventStore);
            return Ok((self.store.events(), self.store.feed()));
        };
        let is_fed = |name: &&str| self.pipeline.tables.get(*name).is_some_and(|table| table.spec.kind == TableKind::EventStore);
        let feeds: BTreeSet<String> = self.pipeline.flows.iter().flat_map(Flow::sources).filter(is_fed).map(str::to_owned).collect();
        let plan = CassandraTables { feeds, insert_only: self.pipeline.inserted_once() };
        let store = CassandraStore::new(settings.clone(), plan, self.clock.clone())?;
        let feed: Arc<dyn ChangeFeed> = CassandraFeed::new(store.clone());
        let place = places::cassandra(&settings);
        let health =
            self.real(names::EVENT_STORE, "cassandra", place, probe_with(settings, |s| async move { cassandra::probe(&s).await })).await?;
        Ok((Watched::<dyn EventStore>::new(store, health.clone()), Watched::<dyn ChangeFeed>::new(feed, health)))
    }

    async fn reports(&self) -> Result<Arc<dyn ReportStore>> {
        let Some(settings) = self.real_one(&self.config.postgresql, TableKind::Report) else {
            self.built_in(names::REPORTS, TableKind::Report);
            return Ok(self.store.reports());
        };
        let store: Arc<dyn ReportStore> = Arc::new(PostgresReportStore::new(PostgresPool::new(settings.clone())?));
        let place = places::reports(&settings);
        let health =
            self.real(names::REPORTS, "postgresql", place, probe_with(settings, |s| async move { postgresql::probe(&s).await })).await?;
        Ok(Watched::<dyn ReportStore>::new(store, health))
    }

    async fn critical_events(&self) -> Result<Arc<dyn CriticalStore>> {
        let Some(settings) = self.real_one(&self.config.redis, TableKind::Critical) else {
            self.built_in(names::CRITICAL_EVENTS, TableKind::Critical);
            return Ok(self.store.critical());
        };
        let store: Arc<dyn CriticalStore> = RedisCriticalStore::new(settings.clone(), self.clock.clone())?;
        let place = places::redis(&settings);
        let health =
            self.real(names::CRITICAL_EVENTS, "redis", place, probe_with(settings, |s| async move { redis::probe(&s).await })).await?;
        Ok(Watched::<dyn CriticalStore>::new(store, health))
    }

    async fn lake(&self) -> Result<(Arc<LakeTableStore>, Arc<dyn LakeStore>)> {
        let settings = self.config.lake.clone().unwrap_or_default();
        let bound = lake::bound(self.config, self.pipeline)?;
        let has_others = self.pipeline.tables.iter().any(|(name, t)| t.spec.kind == TableKind::Lake && !bound.contains_key(name));
        let folder = std::path::absolute(data_dir::lake(self.dir)).map_err(Error::from)?;
        let (root, mut configured) = match lake::root(self.config) {
            Some(location) => (LakeLocation::parse(location)?, Vec::from_iter(has_others.then(|| location.to_owned()))),
            None => (LakeLocation::local(&folder)?, Vec::new()),
        };
        if has_others && configured.is_empty() {
            self.engines.add_built_in(names::LAKE, folder.display().to_string());
        }
        configured.extend(bound.values().cloned());
        let tables = LakeTableStore::new(Arc::new(settings.clone()), root, lake::locations(&bound)?, self.clock.clone())?;
        let store = Arc::new(tables);
        if configured.is_empty() {
            return Ok((store.clone(), store));
        }
        let port: Arc<dyn LakeStore> = store.clone();
        let health = self.real(names::LAKE, "lake", configured.join(", "), lake::probe(settings, configured)).await?;
        Ok((store, Watched::<dyn LakeStore>::new(port, health)))
    }

    async fn checkpoints(&self) -> Result<Arc<dyn CheckpointStore>> {
        let Some(location) = self.config.checkpoints.location.clone() else { return Ok(self.store.checkpoints()) };
        let settings = self.config.lake.clone().unwrap_or_default();
        let store = LakeCheckpointStore::new(Arc::new(settings.clone()), LakeLocation::parse(&location)?)?;
        let health = self.real(names::CHECKPOINTS, "lake", location.clone(), lake::probe(settings, vec![location])).await?;
        Ok(Watched::<dyn CheckpointStore>::new(Arc::new(store), health))
    }

    /// Whether the pipeline has tables of this kind.
    fn has(&self, kind: TableKind) -> bool {
        self.pipeline.tables.values().any(|table| table.spec.kind == kind)
    }

    /// The settings of a real system that the pipeline needs. One that it doesn't is not connected to.
    fn real_one<T: Clone>(&self, settings: &Option<T>, kind: TableKind) -> Option<T> {
        settings.clone().filter(|_| self.has(kind))
    }

    fn built_in(&self, serves: &'static str, kind: TableKind) {
        if self.has(kind) {
            self.engines.add_built_in(serves, data_dir::store(self.dir).display().to_string());
        }
    }

    /// A real system, once it answers.
    async fn real(&self, serves: &'static str, system: &'static str, place: String, probe: Probe) -> Result<Arc<EngineHealth>> {
        let health = self.engines.add(serves, system, place, Some(probe.clone()));
        health.until_there(async || probe().await).await.map_err(|e| e.context(serves))?;
        Ok(health)
    }
}

/// `probe` with its settings, to be asked again and again.
pub(super) fn probe_with<S, F>(settings: S, probe: impl Fn(Arc<S>) -> F + Send + Sync + 'static) -> Probe
where
    S: Send + Sync + 'static,
    F: Future<Output = Result<String>> + Send + 'static,
{
    let settings = Arc::new(settings);
    Arc::new(move || {
        let asked = probe(settings.clone());
        Box::pin(async move { asked.await.map(drop) })
    })
}
