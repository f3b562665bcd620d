//! [`Engine`]: the handle that the wiring holds: opens a pipeline on its ports, runs its flows and jobs, answers for them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::RecordBatch;
use async_trait::async_trait;
use datafusion::prelude::SessionContext;
use millstream_core::encode::RowEncoder;
use millstream_core::ports::{
    ChangeFeed, CheckpointStore, Clock, CriticalLoader, CriticalRow, CriticalStore, EpochSink, EventLog, EventStore, JobRun, LakeStore,
    ReferenceSource, ReportStore, SchemaRegistry, SpillStore, SystemProperty, SystemStore, TopicSink, TopicSpec, ValueFormat,
};
use millstream_core::status::{FlowPhase, PipelineStatus, StatusSource};
use millstream_core::time::micros_of;
use millstream_core::{Error, FlowId, Result, TableKind, Value};
use millstream_pipeline::graph::{Binding, Flow, Pipeline, Table, Watermark};
use millstream_pipeline::session::spark_session;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::batch::Scheduler;
use crate::critical::CriticalRows;
use crate::flow::process::Processor;
use crate::flow::redo::Redo;
use crate::flow::repetition;
use crate::flow::runner::FlowPorts;
use crate::flow::watermark::WatermarkTracker;
use crate::flow::{FlowCommand, FlowInput, FlowMonitor, FlowRunner, FlowSpec};
use crate::growth::TopicGrowth;
use crate::patience::Patience;
use crate::reference::ReferenceTables;
use crate::settings::EngineSettings;
use crate::source::{FeedReader, SeveralSources, SharedSource, TopicSource};
use crate::spill::SpillArea;
use crate::spill::memory::StateMemory;
use crate::{catalog, compile, plan};

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
    /// Reports, and the relational tables that flows write.
    pub reports: Arc<dyn ReportStore>,
    /// Files that flows append to. `None`: nobody serves them, and a pipeline that has such a table does not open.
    pub lake: Option<Arc<dyn LakeStore>>,
    /// Topics that flows write. `None`: nobody serves them, and a pipeline that has such a table does not open.
    pub topics: Option<Arc<dyn TopicSink>>,
    /// The Avro schemas that records name. `None`: nobody has them, and a topic whose records name some is not read.
    pub schemas: Option<Arc<dyn SchemaRegistry>>,
    /// Checkpoints.
    pub checkpoints: Arc<dyn CheckpointStore>,
    /// `system.*`.
    pub system: Arc<dyn SystemStore>,
    /// One source for each reference table, by name.
    pub references: BTreeMap<String, Arc<dyn ReferenceSource>>,
    /// Files for state that outgrows its memory. `None`: there are none, and a flow with more state stops.
    pub spill: Option<Arc<dyn SpillStore>>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

impl Ports {
    /// The data lake, for `table`.
    pub(crate) fn lake(&self, table: &str) -> Result<&Arc<dyn LakeStore>> {
        self.lake
            .as_ref()
            .ok_or_else(|| Error::unsupported(format!("table {table}: nothing here writes files: this program has no data lake")))
    }

    /// The topics' sink, for `table`.
    pub(crate) fn topics(&self, table: &str) -> Result<&Arc<dyn TopicSink>> {
        self.topics
            .as_ref()
            .ok_or_else(|| Error::unsupported(format!("table {table}: nothing here writes topics: this program has no sink for them")))
    }
}

/// A pipeline on its ports.
pub struct Engine {
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) ports: Ports,
    pub(crate) settings: EngineSettings,
    pub(crate) references: Arc<ReferenceTables>,
    pub(crate) sources: BTreeMap<String, Arc<SharedSource>>,
    pub(crate) monitors: BTreeMap<FlowId, Arc<FlowMonitor>>,
    pub(crate) spark: SessionContext,
    /// For each flow, how to send it a command, and the receiver until it runs.
    pub(crate) commands: BTreeMap<FlowId, Commands>,
    pub(crate) critical: CriticalRows,
    growth: TopicGrowth,
    /// Held by a replay of dead letters: one follows the other.
    pub(crate) replaying: Mutex<()>,
    scheduler: Scheduler,
    /// For the state of its flows.
    memory: Arc<StateMemory>,
    running: AtomicBool,
}

/// A flow's commands: where to send them, and where its runner takes them from.
pub(crate) type Commands = (mpsc::Sender<FlowCommand>, Arc<Mutex<mpsc::Receiver<FlowCommand>>>);

impl Engine {
    /// Opens `pipeline` on `ports`: topics and tables that don't exist are created, reference data is loaded. Runs nothing.
    ///
    /// A system that does not answer is waited for; whoever gives up drops the future.
    /// [`InvalidInput`](millstream_core::ErrorKind::InvalidInput) with the differences, when what is there was made by another query, see
    /// [`plan`](crate::plan).
    pub async fn open(pipeline: Arc<Pipeline>, ports: Ports, settings: EngineSettings) -> Result<Arc<Self>> {
        settings.validate()?;
        let opening = Patience::new("opening the pipeline", ports.clock.clone());
        opening.until_answered(|| plan::claim(&pipeline, &ports)).await?;
        for (name, table) in &pipeline.tables {
            opening.until_answered(|| ensure(table, &ports)).await.map_err(|e| e.context(format!("table {name}")))?;
        }
        let references = ReferenceTables::open(&pipeline, &ports).await?;
        let spark = spark_session();
        let critical = CriticalRows::new(&pipeline, ports.event_store.clone(), references.clone(), spark.clone(), ports.clock.clone())?;
        let scheduler = Scheduler::open(&pipeline, ports.clone(), references.clone()).await?;
        let growth = TopicGrowth::new(&pipeline, &ports);
        let sources = sources(&pipeline, &ports, &settings);
        let monitors = pipeline.flows.iter().map(|f| (f.id.clone(), Arc::new(FlowMonitor::new(f.id.as_str(), &f.target, &source_key(f)))));
        let monitors = monitors.collect();
        let commands = pipeline.flows.iter().map(|f| {
            let (sender, receiver) = mpsc::channel(1);
            (f.id.clone(), (sender, Arc::new(Mutex::new(receiver))))
        });
        let commands = commands.collect();
        let running = AtomicBool::new(false);
        let memory = StateMemory::new(settings.state_memory_bytes_max);
        Ok(Arc::new(Self {
            pipeline,
            ports,
            settings,
            references,
            sources,
            monitors,
            spark,
            commands,
            critical,
            growth,
            replaying: Mutex::default(),
            scheduler,
            memory,
            running,
        }))
    }

    /// Runs all flows, the scheduler, the refresh of reference data and the look at topics until `shutdown`; each flow then finishes its epoch.
    /// A flow or job that fails takes no other down: [`StatusSource::status`] says so.
    pub async fn run(self: &Arc<Self>, shutdown: CancellationToken) -> Result<()> {
        let mut tasks = JoinSet::new();
        self.running.store(true, Ordering::Release);
        for flow in &self.pipeline.flows {
            let runner = self.runner(flow)?;
            // Its error is in the flow's status and in the log; the other flows go on.
            let stop = shutdown.clone();
            tasks.spawn(async move { drop(runner.run(stop).await) });
        }
        let engine = self.clone();
        let stop = shutdown.clone();
        tasks.spawn(async move { engine.scheduler.run(stop).await });
        let engine = self.clone();
        let stop = shutdown.clone();
        tasks.spawn(async move { engine.references.run(stop).await });
        let engine = self.clone();
        let stop = shutdown.clone();
        tasks.spawn(async move { engine.growth.run(stop).await });
        let mut result = Ok(());
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                // A panic is a defect: say so, and stop the rest in order.
                shutdown.cancel();
                result = Err(Error::internal("a task of the pipeline panicked").caused_by(error));
            }
        }
        self.running.store(false, Ordering::Release);
        result
    }

    /// Whether [`run`](Self::run) is under way.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.running.load(Ordering::Acquire)
    }

    /// The runner of `flow`.
    fn runner(self: &Arc<Self>, flow: &Flow) -> Result<FlowRunner> {
        let table = self.pipeline.tables.get(&flow.target).ok_or_else(|| Error::internal(format!("flow {} has no table", flow.id)))?;
        let source = self.source_of(flow).ok_or_else(|| Error::internal(format!("flow {} has no source", flow.id)))?;
        let sink = self.sink(table)?;
        let processor = self.processor(flow)?;
        let appends = table.spec.kind == TableKind::Topic;
        let reads_a_topic = flow.sources().count() == 1 && flow.sources().all(|name| self.topic_of(name).is_some());
        let spec = FlowSpec {
            id: flow.id.clone(),
            flow: flow.clone(),
            inputs: flow.sources().map(|name| FlowInput { name: name.to_owned(), topic: self.topic_of(name) }).collect(),
            source: source.clone(),
            table: flow.target.clone(),
            redo: Redo::of(sink.isolation(), appends, processor.draws_versions(), reads_a_topic),
            obstacle: repetition::obstacle(&self.pipeline, flow),
            is_cache: table.spec.kind == TableKind::Critical,
            sink,
            spill: self.ports.spill.clone().map(|store| SpillArea::new(store, flow.id.clone())),
            memory: self.memory.share(),
            fresh: {
                let (engine, flow) = (self.clone(), flow.clone());
                Box::new(move || engine.processor(&flow))
            },
        };
        let ports = FlowPorts {
            log: self.ports.log.clone(),
            checkpoints: self.ports.checkpoints.clone(),
            system: self.ports.system.clone(),
            clock: self.ports.clock.clone(),
            references: self.references.clone(),
        };
        let monitor = self.monitors.get(&flow.id).cloned().ok_or_else(|| Error::internal(format!("flow {} has no monitor", flow.id)))?;
        let commands = self
            .commands
            .get(&flow.id)
            .map(|(_, receiver)| receiver.clone())
            .ok_or_else(|| Error::internal(format!("flow {} takes no commands", flow.id)))?;
        Ok(FlowRunner::new(spec, ports, self.settings.clone(), self.spark.clone(), processor, monitor, commands))
    }

    /// What flows into `table` write to.
    fn sink(&self, table: &Table) -> Result<Arc<dyn EpochSink>> {
        let name = &table.spec.name;
        Ok(match &table.binding {
            Binding::EventStore => self.ports.event_store.clone(),
            Binding::Critical(_) => self.ports.critical.clone(),
            Binding::Report => self.ports.reports.clone(),
            Binding::Lake => self.ports.lake(name)?.clone(),
            Binding::Topic(_) => self.ports.topics(name)?.clone(),
            Binding::ExistingTable | Binding::Reference(_) => {
                return Err(Error::internal(format!("no flow can write {name}, which is {}", table.spec.kind.as_str())));
            }
        })
    }

    /// A fresh processor of `flow`'s query.
    pub(crate) fn processor(&self, flow: &Flow) -> Result<Processor> {
        let table = self.pipeline.tables.get(&flow.target).ok_or_else(|| Error::internal(format!("flow {} has no table", flow.id)))?;
        let program = compile::compile(flow, table.spec.schema.clone(), &self.spark.state())?;
        // The sides of a join have delays of their own, which are taken off before the tracker sees the times.
        let delay = |w: &Watermark| if flow.join.is_some() { 0 } else { micros_of(w.delay) };
        let watermark = flow.watermark.as_ref().map(|w| (w.column.clone(), WatermarkTracker::new(0, delay(w))));
        let processor = Processor::new(flow.id.clone(), program, &table.spec.key, watermark)?;
        let output = match &table.binding {
            Binding::Topic(topic) => topic.to_output().filter(|output| matches!(output.format, ValueFormat::Protobuf(_))),
            _ => None,
        };
        Ok(match output {
            Some(output) => processor.writing(RowEncoder::try_new(&table.spec, &output)?),
            None => processor,
        })
    }

    /// What `flow` reads.
    pub(crate) fn source_of(&self, flow: &Flow) -> Option<&Arc<SharedSource>> {
        self.sources.get(&source_key(flow))
    }

    /// The topic on the broker behind the table `source`, if it is one.
    pub(crate) fn topic_of(&self, source: &str) -> Option<String> {
        match self.pipeline.tables.get(source).map(|t| &t.binding) {
            Some(Binding::Topic(topic)) => Some(topic.name.clone()),
            _ => None,
        }
    }

    /// The pipeline that it runs.
    #[must_use]
    pub fn pipeline(&self) -> &Arc<Pipeline> {
        &self.pipeline
    }

    /// Runs the job of `report` now and returns how the run went.
    pub async fn refresh(&self, report: &str) -> Result<JobRun> {
        self.scheduler.request(report).await
    }

    /// A session over every table: the pipeline's in schema `public`, Millstream's own in `system`. PostgreSQL's dialect.
    pub fn session(self: &Arc<Self>) -> Result<SessionContext> {
        let status: Arc<dyn StatusSource> = self.clone();
        catalog::session(&self.pipeline, &self.ports, self.references.clone(), Arc::downgrade(&status))
    }

    /// The rows of a reference table; none for an unknown one.
    #[must_use]
    pub fn reference_rows(&self, table: &str) -> Arc<[RecordBatch]> {
        self.references.get(table).map_or_else(|_| Arc::from(Vec::new()), |rows| rows.batches.clone())
    }

    /// Resolves when every flow has processed all that its source held: topics first, then the feeds of what they write.
    /// A flow that has failed is an error.
    pub async fn caught_up(&self) -> Result<()> {
        let patience = Patience::new("waiting for the flows to catch up", self.ports.clock.clone());
        for flow in self.flows_in_order() {
            let (Some(monitor), Some(source)) = (self.monitors.get(&flow.id), self.source_of(flow)) else { continue };
            let mut states = monitor.follow();
            loop {
                // First what was seen, then the status: a failure behind this look is a change that is waited for.
                let state = states.borrow_and_update().clone();
                let status = monitor.status(self.ports.clock.now());
                if status.phase == FlowPhase::Failed {
                    let why = status.last_error.map(|(_, e)| e).unwrap_or_default();
                    return Err(Error::internal(format!("flow {} has stopped: {why}", flow.id)));
                }
                if let Some(state) = state
                    && patience.until_answered(|| source.lag(&state)).await? == 0
                {
                    break;
                }
                states.changed().await.map_err(|_| Error::internal(format!("flow {} is gone", flow.id)))?;
            }
        }
        Ok(())
    }

    /// The flows, each after those that write its source.
    pub(crate) fn flows_in_order(&self) -> Vec<&Flow> {
        let mut ordered: Vec<&Flow> = Vec::new();
        while ordered.len() < self.pipeline.flows.len() {
            let ready = |f: &&Flow| {
                let feeds = self.pipeline.flows.iter().filter(|g| f.reads(&g.target));
                feeds.clone().all(|g| ordered.iter().any(|o| o.id == g.id)) && !ordered.iter().any(|o| o.id == f.id)
            };
            let next: Vec<&Flow> = self.pipeline.flows.iter().filter(ready).collect();
            if next.is_empty() {
                // A cycle, which `check` refuses: the rest in any order.
                let rest: Vec<&Flow> = self.pipeline.flows.iter().filter(|f| !ordered.iter().any(|o| o.id == f.id)).collect();
                ordered.extend(rest);
            } else {
                ordered.extend(next);
            }
        }
        ordered
    }

    /// Empties the cache of the redis table `name`: what losing the cache does. Reads load its rows from the event store again.
    pub async fn evict(&self, name: &str) -> Result<()> {
        let table = self.pipeline.tables.get(name).ok_or_else(|| Error::not_found(format!("the pipeline has no table {name}")))?;
        if table.spec.kind != TableKind::Critical {
            return Err(Error::invalid(format!("{name} ({}) can't be emptied: only a redis table is a cache", table.spec.kind.as_str())));
        }
        // First, so that a verification never takes for lost what is about to go.
        let at = self.ports.clock.now().0.to_string();
        self.ports.system.set_property(SystemProperty::Evicted(name), &at).await?;
        self.ports.critical.evict_all(name).await
    }
}

/// Makes `table` known to who serves it, and creates it where it doesn't exist.
async fn ensure(table: &Table, ports: &Ports) -> Result<()> {
    let spec = table.spec.as_ref();
    match &table.binding {
        Binding::Topic(topic) => match topic.to_output() {
            Some(output) => ports.topics(&spec.name)?.ensure_topic(spec, &output).await,
            None => {
                let spec = TopicSpec { name: topic.name.clone(), partitions: topic.partitions, retention: topic.retention };
                ports.log.create_topic(&spec).await.map(drop)
            }
        },
        Binding::EventStore => ports.event_store.ensure_table(spec).await,
        Binding::ExistingTable => ports.event_store.bind_table(spec).await,
        Binding::Critical(_) => ports.critical.ensure_table(spec).await,
        Binding::Report => ports.reports.ensure_report(spec).await,
        Binding::Lake => ports.lake(&spec.name)?.ensure_table(spec).await,
        Binding::Reference(_) => Ok(()),
    }
}

/// The name of what `flow` reads: of its source, or of those that it joins.
fn source_key(flow: &Flow) -> String {
    flow.sources().collect::<Vec<_>>().join(" and ")
}

/// One shared source for each topic and feed that flows read, and for each pair that they join.
fn sources(pipeline: &Pipeline, ports: &Ports, settings: &EngineSettings) -> BTreeMap<String, Arc<SharedSource>> {
    let mut sources = BTreeMap::new();
    for (name, table) in &pipeline.tables {
        let readers: Vec<&Flow> = pipeline.flows.iter().filter(|f| f.reads(name)).collect();
        if readers.is_empty() {
            continue;
        }
        let source: Box<dyn crate::source::ChunkSource> = match &table.binding {
            Binding::Topic(topic) => {
                let (log, clock, schemas) = (ports.log.clone(), ports.clock.clone(), ports.schemas.clone());
                let source = TopicSource::new(log, clock, schemas, topic.clone(), table.spec.schema.clone());
                Box::new(source.of_columns(&readers.iter().flat_map(|f| columns_of(f, name)).collect::<Vec<_>>()))
            }
            _ => Box::new(FeedReader::new(ports.change_feed.clone(), ports.clock.clone(), name.clone(), table.spec.schema.clone())),
        };
        sources.insert(name.clone(), SharedSource::new(source, readers.len(), settings));
    }
    for flow in pipeline.flows.iter().filter(|f| f.sources().count() > 1) {
        let parts = flow.sources().filter_map(|name| sources.get(name).cloned()).collect();
        let key = source_key(flow);
        let readers = pipeline.flows.iter().filter(|f| source_key(f) == key).count();
        sources.entry(key).or_insert_with(|| SharedSource::new(Box::new(SeveralSources::new(parts)), readers, settings));
    }
    sources
}

/// The columns of its source `table` that `flow` reads.
fn columns_of(flow: &Flow, table: &str) -> Vec<String> {
    let scanned = compile::scanned_columns(&flow.plan, table).into_iter();
    let left = flow.watermark.iter().filter(|_| flow.source == table);
    let right = flow.join.iter().filter(|join| join.right == table).map(|join| &join.right_watermark);
    scanned.chain(left.chain(right).map(|w| w.column.clone())).collect()
}

impl StatusSource for Engine {
    fn status(&self) -> PipelineStatus {
        let now = self.ports.clock.now();
        let flows = self.pipeline.flows.iter().filter_map(|f| self.monitors.get(&f.id)).map(|m| m.status(now)).collect();
        PipelineStatus {
            flows,
            jobs: self.scheduler.status(),
            references: self.references.status(),
            grown_topics: self.growth.status(),
            ..PipelineStatus::default()
        }
    }
}

#[async_trait]
impl CriticalLoader for Engine {
    async fn load(&self, table: &str, key: &[Value]) -> Result<Option<CriticalRow>> {
        self.critical.load(table, key).await
    }
}
