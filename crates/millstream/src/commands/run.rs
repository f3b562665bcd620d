//! `run`: a pipeline, until it is told to end.

use std::process::ExitCode;
use std::sync::Arc;

use millstream_adapters::embedded::DataDir;
use millstream_core::Result;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::cli::RunArgs;
use crate::config::{Effective, Layers};
use crate::data_dir::LastRun;
use crate::service::{Addresses, Front, Service};
use crate::signals::Signals;
use crate::{project, runtime, service, wiring};

/// Runs the pipeline at the path that `args` names.
pub fn run(args: RunArgs) -> Result<ExitCode> {
    let layers = Layers {
        file: args.config.config.clone(),
        beside: Some(project::folder(Some(&args.path))),
        data_dir: args.config.data_dir.clone(),
    };
    let effective = layers.load()?;
    runtime::block_on(async move {
        let shutdown = CancellationToken::new();
        let mut signals = JoinSet::new();
        signals.spawn(Signals::receive()?.follow(shutdown.clone()));
        // Opening recovers logs, loads data and waits for what is away, which can take a while: Ctrl-C ends it.
        let service = tokio::select! {
            service = open(effective, &args, &shutdown) => service?,
            () = shutdown.cancelled() => return Ok(()),
        };
        announce(&args, &service);
        service.run(shutdown).await
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn open(effective: Effective, args: &RunArgs, shutdown: &CancellationToken) -> Result<Service> {
    let Effective { config, file, .. } = effective;
    // First, because a process that has it most likely has the ports too, and is the better explanation.
    if config.data_dir.is_dir() {
        drop(DataDir::lock(&config.data_dir)?);
    }
    service::refuse_taken_ports(&config)?;
    let front = Front::open(&config, project::name(&args.path), shutdown).await?;
    let engines = front.engines.clone();
    let pipeline = Arc::new(engines.until_there(async || project::load(&args.path, &config, &engines).await).await?);
    let dir = config.data_dir.clone();
    let lock = DataDir::lock(&dir)?;
    let ports = wiring::open_ports(&config, &pipeline, lock, &engines).await?;
    let opened = Arc::new(wiring::open(config, pipeline, ports, &engines).await?);
    LastRun::new(&args.path, file.as_deref(), false)?.remember(&dir)?;
    Service::bind(front, opened, &dir).await
}

fn announce(args: &RunArgs, service: &Service) {
    let Addresses { http, kafka, sql } = service.addresses();
    let kafka = kafka.map_or_else(|| "elsewhere".to_owned(), |address| address.to_string());
    tracing::info!(pipeline = %args.path.display(), %kafka, %sql, http = %format!("http://{http}/"), "running");
}
