//! `demo`: the flights example, from a Kafka client over the socket to the report, with a summary of what became of every event.

mod state;
mod summary;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use millstream_adapters::embedded::DataDir;
use millstream_core::ports::{Clock, EventLog, SystemClock};
use millstream_core::{Error, Result, TopicPartition};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::present;
use crate::cli::DemoArgs;
use crate::config::{Config, Layers};
use crate::flights::{self, Flights, Sequence, SequenceOptions};
use crate::publisher::{Published, Publisher};
use crate::service::{self, Addresses, Service};
use crate::signals::Signals;
use crate::wiring::{self, Opened};
use crate::{data_dir, project, runtime};

/// The report that the demo waits for.
const REPORT: &str = "carrier_daily";

/// Runs the demo.
pub fn run(args: DemoArgs) -> Result<ExitCode> {
    let config = configuration(&args)?;
    let clean = runtime::block_on(async move {
        let shutdown = CancellationToken::new();
        let mut signals = JoinSet::new();
        signals.spawn(Signals::receive()?.follow(shutdown.clone()));
        let started = SystemClock.now().micros();
        let demo = tokio::select! {
            demo = Demo::open(config, &args, started) => demo?,
            () = shutdown.cancelled() => return Err(ended_early()),
        };
        demo.run(shutdown).await
    })?;
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The demo's settings: those of `run`, with a folder of its own, and free ports where the usual ones are taken.
fn configuration(args: &DemoArgs) -> Result<Config> {
    let layers = Layers { file: args.config.config.clone(), beside: None, data_dir: args.config.data_dir.clone() };
    let mut effective = layers.load()?;
    let chosen = effective.figment.find_metadata("data_dir").is_some_and(|m| crate::config::print::origin(m, "data_dir") != "default");
    if !chosen {
        effective.config.data_dir = effective.config.data_dir.join("demo");
    }
    effective.config.listen = service::avoid_taken_ports(effective.config.listen);
    Ok(effective.config)
}

/// A demo whose listeners are bound.
struct Demo {
    args: DemoArgs,
    opened: Arc<Opened>,
    service: Service,
    started_micros: i64,
}

impl Demo {
    async fn open(config: Config, args: &DemoArgs, started_micros: i64) -> Result<Self> {
        let dir = config.data_dir.clone();
        let lock = DataDir::lock(&dir)?;
        state::claim(&dir, &options(args), args.data.as_deref())?;
        let pipeline = unpack(&dir)?;
        let checked = Arc::new(project::load(&pipeline).await?);
        let metrics = runtime::record_metrics()?;
        let opened = Arc::new(wiring::open(config, checked, lock).await?);
        data_dir::remember_pipeline(&dir, &pipeline)?;
        let service = Service::bind(opened.clone(), "flights".to_owned(), metrics, &dir).await?;
        Ok(Self { args: args.clone(), opened, service, started_micros })
    }

    /// Serves, publishes, sums up, and serves on unless `--exit` says otherwise. Returns whether every check was clean.
    async fn run(self, shutdown: CancellationToken) -> Result<bool> {
        let Self { args, opened, service, started_micros } = self;
        let addresses = service.addresses();
        tell_addresses(addresses, &opened.config.data_dir);
        let mut serving = JoinSet::new();
        serving.spawn(service.run(shutdown.clone()));
        let story = tell(&args, &opened, addresses, started_micros);
        let clean = tokio::select! {
            clean = story => clean,
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

/// Publishes, waits, refreshes, verifies and prints.
async fn tell(args: &DemoArgs, opened: &Arc<Opened>, addresses: Addresses, started_micros: i64) -> Result<bool> {
    let published = publish(args, opened, addresses).await?;
    catch_up(opened).await?;
    let caught_up_micros = SystemClock.now().micros();
    opened.engine.refresh(REPORT).await?;
    let bar = present::bar("verifying {msg}");
    let report = opened.engine.verify(&|p| bar.set_message(p.subject)).await?;
    bar.finish_and_clear();
    let clean = report.is_clean();
    let times = summary::Times { started_micros, caught_up_micros };
    present::stdout(&summary::text(opened, &published, &report, times).await?)?;
    if !args.exit {
        present::stdout(&summary::next_steps(addresses, &opened.config.data_dir))?;
    }
    Ok(clean)
}

/// Waits until every flow has processed everything, and shows how much is left.
async fn catch_up(opened: &Opened) -> Result<()> {
    let bar = present::bar("processing, {msg} events behind");
    let show = async {
        loop {
            let flows = opened.status.status().flows;
            let lag = flows.iter().map(|f| f.lag).max().unwrap_or(0);
            bar.set_message(indicatif::HumanCount(lag).to_string());
            SystemClock.sleep(Duration::from_millis(100)).await;
        }
    };
    let done = tokio::select! {
        done = opened.engine.caught_up() => done,
        () = show => Ok(()),
    };
    bar.finish_and_clear();
    done
}

/// Publishes what the topic does not hold yet; late events only when every flow has passed all others.
async fn publish(args: &DemoArgs, opened: &Arc<Opened>, addresses: Addresses) -> Result<Published> {
    let held = held(opened.log.as_ref()).await?;
    let flights = Flights::open(flights::data(args.data.as_deref())?)?;
    let total = flights.total();
    let sequence = Sequence::new(flights, options(args)).after(&held);
    let bar = present::bar("publishing {bar:40} {human_pos}/{human_len} events, {per_sec}, {eta} left");
    bar.set_length(total);
    let publisher = Publisher::connect(&addresses.kafka.to_string(), flights::TOPIC, args.rate)?;
    let published = publisher.publish(sequence, u64::MAX, &bar, async || catch_up(opened).await.map(|()| true)).await;
    bar.finish_and_clear();
    published
}

/// How many records each partition of the topic holds.
async fn held(log: &dyn EventLog) -> Result<Vec<u64>> {
    let mut held = Vec::new();
    for partition in 0..flights::PARTITIONS {
        let bounds = log.bounds(&TopicPartition::new(flights::TOPIC, partition)).await?;
        if bounds.start.0 != 0 {
            return Err(Error::out_of_range(format!(
                "partition {partition} of topic {} no longer holds its first events: begin anew with another --data-dir",
                flights::TOPIC
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

fn tell_addresses(addresses: Addresses, dir: &Path) {
    let Addresses { http, kafka, sql } = addresses;
    eprintln!("millstream demo on {}: Kafka {kafka}, PostgreSQL {sql}, HTTP http://{http}/", dir.display());
}

fn ended_early() -> Error {
    Error::unavailable("the demo was ended before its summary: the next `millstream demo` goes on where it was")
}
