//! `demo`: the flights example, from a Kafka client over the socket to the report, with a summary of what became of every event.

pub(super) mod place;
mod state;
mod summary;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use millstream_adapters::embedded::DataDir;
use millstream_core::ports::{Clock, LogBounds, SystemClock};
use millstream_core::retry::Backoff;
use millstream_core::status::StatusSource;
use millstream_core::{Error, Result, TopicPartition};
use millstream_engine::Ports;
use millstream_pipeline::graph::Binding;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::state::State;
use super::present;
use crate::cli::DemoArgs;
use crate::config::{Effective, Layers};
use crate::data_dir::LastRun;
use crate::flights::{self, Flights, Sequence, SequenceOptions};
use crate::publisher::{Published, Publisher};
use crate::service::{self, Addresses, Front, Service};
use crate::signals::Signals;
use crate::wiring::{self, Opened};
use crate::{project, runtime};

/// The report that the demo waits for.
const REPORT: &str = "carrier_daily";

/// Runs the demo.
pub fn run(args: DemoArgs) -> Result<ExitCode> {
    let effective = configuration(&args)?;
    let clean = runtime::block_on(async move {
        let shutdown = CancellationToken::new();
        let mut signals = JoinSet::new();
        signals.spawn(Signals::receive()?.follow(shutdown.clone()));
        let started = SystemClock.now().micros();
        let demo = tokio::select! {
            demo = Demo::open(effective, &args, started, &shutdown) => demo?,
            () = shutdown.cancelled() => return Err(ended_early()),
        };
        demo.run(shutdown).await
    })?;
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The demo's settings: those of `run`, with a folder of its own, and free ports where the usual ones are taken.
fn configuration(args: &DemoArgs) -> Result<Effective> {
    let layers = Layers { file: args.config.config.clone(), beside: None, data_dir: args.config.data_dir.clone() };
    let mut effective = layers.load()?;
    if effective.origin("data_dir").is_none() {
        effective.config.data_dir = effective.config.data_dir.join("demo");
    }
    effective.config.listen = service::avoid_taken_ports(effective.config.listen);
    effective.config = place::of_the_demo(effective.config);
    Ok(effective)
}

/// A demo whose listeners are bound.
struct Demo {
    args: DemoArgs,
    opened: Arc<Opened>,
    service: Service,
    started_micros: i64,
}

impl Demo {
    async fn open(effective: Effective, args: &DemoArgs, started_micros: i64, shutdown: &CancellationToken) -> Result<Self> {
        let Effective { config, file, .. } = effective;
        let dir = config.data_dir.clone();
        let lock = DataDir::lock(&dir)?;
        let systems = config.real_engines().into_iter().map(str::to_owned).collect();
        let state = State::new(options(args), args.data.as_deref(), systems);
        let is_begun = state.is_begun(&dir)?;
        let path = unpack(&dir)?;
        let front = Front::open(&config, "flights".to_owned(), shutdown).await?;
        let engines = front.engines.clone();
        let pipeline = Arc::new(engines.until_there(async || project::load(&path, &config, &engines).await).await?);
        let ports = wiring::open_ports(&config, &pipeline, lock, &engines).await?;
        if !is_begun {
            engines.until_there(async || place::clear(&config, &pipeline, &ports.ports).await).await?;
            state.begin(&dir)?;
        }
        let opened = Arc::new(wiring::open(config, pipeline, ports, &engines).await?);
        LastRun::new(&path, file.as_deref(), true)?.remember(&dir)?;
        let service = Service::bind(front, opened.clone(), &dir).await?;
        Ok(Self { args: args.clone(), opened, service, started_micros })
    }

    /// Serves, publishes, sums up, and serves on unless `--exit` says otherwise. Returns whether every check was clean.
    async fn run(self, shutdown: CancellationToken) -> Result<bool> {
        let Self { args, opened, service, started_micros } = self;
        let addresses = service.addresses();
        let status = service.status();
        tell_addresses(addresses, status.as_ref(), &opened.config.data_dir);
        let mut serving = JoinSet::new();
        serving.spawn(service.run(shutdown.clone()));
        let story = Story { args: &args, opened: &opened, status: status.as_ref(), addresses, started_micros };
        let clean = tokio::select! {
            clean = story.tell() => clean,
            // It ends before the story does only when a part failed, or on request.
            ended = serving.join_next() => match ended {
                Some(Ok(Err(error))) => Err(error),
                _ => Err(ended_early()),
            },
        };
        if args.exit || clean.is_err() {
            shutdown.cancel();
        }
        while let Some(ended) = serving.join_next().await {
            ended.map_err(|e| Error::internal("the service ended early").caused_by(e))??;
        }
        clean
    }
}

/// What the demo does while it serves.
struct Story<'a> {
    args: &'a DemoArgs,
    opened: &'a Arc<Opened>,
    status: &'a dyn StatusSource,
    addresses: Addresses,
    started_micros: i64,
}

impl Story<'_> {
    /// Publishes, waits, refreshes, verifies and prints. Whether every check was clean.
    async fn tell(&self) -> Result<bool> {
        let Self { args, opened, addresses, started_micros, .. } = *self;
        let published = self.publish().await?;
        self.catch_up().await?;
        let caught_up_micros = SystemClock.now().micros();
        opened.engine.refresh(REPORT).await?;
        let bar = present::bar("verifying {msg}");
        let report = opened.engine.verify(&|p| bar.set_message(p.subject)).await?;
        bar.finish_and_clear();
        let clean = report.is_clean();
        let times = summary::Times { started_micros, caught_up_micros };
        present::stdout(&summary::text(opened, &published, &report, times).await?)?;
        if !args.exit {
            present::stdout(&summary::next_steps(addresses, self.topic()?, &self.bootstrap(), &opened.config.data_dir))?;
        }
        Ok(clean)
    }

    /// Waits until every flow has processed everything, and shows how much is left.
    async fn catch_up(&self) -> Result<()> {
        let bar = present::bar("processing, {msg} events behind");
        let show = async {
            loop {
                let flows = self.status.status().flows;
                let lag = flows.iter().filter_map(|f| f.lag).max().unwrap_or(0);
                bar.set_message(indicatif::HumanCount(lag).to_string());
                SystemClock.sleep(Duration::from_millis(100)).await;
            }
        };
        let done = tokio::select! {
            done = self.opened.engine.caught_up() => done,
            () = show => Ok(()),
        };
        bar.finish_and_clear();
        done
    }

    /// Publishes what the topic does not hold yet; late events only when every flow has passed all others.
    async fn publish(&self) -> Result<Published> {
        let topic = self.topic()?;
        let held = held(&self.opened.ports, topic).await?;
        let flights = Flights::open(flights::data(self.args.data.as_deref())?)?;
        let total = flights.total();
        let sequence = Sequence::new(flights, options(self.args)).after(&held);
        let bar = present::bar("publishing {bar:40} {human_pos}/{human_len} events, {per_sec}, {eta} left");
        bar.set_length(total);
        let publisher = match &self.opened.config.kafka {
            Some(cluster) => Publisher::connect_to(cluster, topic, self.args.rate)?,
            None => Publisher::connect(&self.bootstrap(), topic, self.args.rate)?,
        };
        let published = publisher.publish(sequence, u64::MAX, &bar, async || self.catch_up().await.map(|()| true)).await;
        bar.finish_and_clear();
        published
    }

    /// The topic that the pipeline reads, by its name on the broker.
    fn topic(&self) -> Result<&str> {
        match self.opened.pipeline.tables.get(flights::TOPIC).map(|table| &table.binding) {
            Some(Binding::Topic(topic)) => Ok(&topic.name),
            _ => Err(Error::internal("the example has no topic")),
        }
    }

    /// Where the topic is.
    fn bootstrap(&self) -> String {
        let elsewhere = self.opened.config.kafka.as_ref().map(|kafka| kafka.bootstrap_servers.clone());
        elsewhere.or(self.addresses.kafka.map(|address| address.to_string())).unwrap_or_default()
    }
}

/// How many records each partition of the topic holds.
async fn held(ports: &Ports, topic: &str) -> Result<Vec<u64>> {
    let mut held = Vec::new();
    for partition in 0..flights::PARTITIONS {
        let bounds = bounds_once_led(ports, &TopicPartition::new(topic, partition)).await?;
        if bounds.start.0 != 0 {
            return Err(Error::out_of_range(format!(
                "partition {partition} of topic {topic} no longer holds its first events: begin anew with another --data-dir"
            )));
        }
        held.push(u64::try_from(bounds.end.0).unwrap_or(0));
    }
    Ok(held)
}

fn options(args: &DemoArgs) -> SequenceOptions {
    SequenceOptions { faults: args.faults, without_carrier: args.without_carrier.clone() }
}

fn unpack(dir: &Path) -> Result<PathBuf> {
    let example = dir.join("example");
    flights::unpack(&example)?;
    Ok(example.join("pipeline.sql"))
}

/// Who serves what, and where.
fn tell_addresses(addresses: Addresses, status: &dyn StatusSource, dir: &Path) {
    let Addresses { http, kafka, sql } = addresses;
    let kafka = kafka.map(|address| format!("Kafka {address}, ")).unwrap_or_default();
    eprintln!("millstream demo on {}: {kafka}PostgreSQL {sql}, HTTP http://{http}/", dir.display());
    for engine in status.status().engines.iter().filter(|engine| engine.system != wiring::BUILT_IN) {
        eprintln!("  {}: {} at {}", engine.serves, engine.system, engine.place);
    }
}

fn ended_early() -> Error {
    Error::unavailable("the demo was ended before its summary: the next `millstream demo` goes on where it was")
}

/// A cluster may take a moment to elect the leaders of a topic that was just made.
async fn bounds_once_led(ports: &Ports, partition: &TopicPartition) -> Result<LogBounds> {
    const TRIES: u32 = 8;
    let mut failures = 0;
    loop {
        match ports.log.bounds(partition).await {
            Err(error) if error.kind().is_transient() && failures < TRIES => {
                failures += 1;
                ports.clock.sleep(Backoff::DEFAULT.delay(failures)).await;
            }
            other => return other,
        }
    }
}
