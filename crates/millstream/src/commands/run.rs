//! `run`: a pipeline, until it is told to end.

use std::process::ExitCode;
use std::sync::Arc;

use millstream_adapters::embedded::DataDir;
use millstream_core::Result;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::cli::RunArgs;
use crate::config::{Config, Layers};
use crate::service::{Addresses, Service};
use crate::signals::Signals;
use crate::{data_dir, project, runtime, service, wiring};

/// Runs the pipeline at the path that `args` names.
pub fn run(args: RunArgs) -> Result<ExitCode> {
    let layers = Layers {
        file: args.config.config.clone(),
        beside: Some(project::folder(Some(&args.path))),
        data_dir: args.config.data_dir.clone(),
    };
    let config = layers.load()?.config;
    runtime::block_on(async move {
        let shutdown = CancellationToken::new();
        let mut signals = JoinSet::new();
        signals.spawn(Signals::receive()?.follow(shutdown.clone()));
        // Opening recovers logs and loads data, which can take a while: Ctrl-C ends it.
        let service = tokio::select! {
            service = open(config, &args) => service?,
            () = shutdown.cancelled() => return Ok(()),
        };
        announce(&args, service.addresses());
        service.run(shutdown).await
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn open(config: Config, args: &RunArgs) -> Result<Service> {
    let pipeline = Arc::new(project::load(&args.path).await?);
    service::refuse_taken_ports(&config.listen)?;
    let dir = config.data_dir.clone();
    let lock = DataDir::lock(&dir)?;
    let metrics = runtime::record_metrics()?;
    let opened = Arc::new(wiring::open(config, pipeline, lock).await?);
    data_dir::remember_pipeline(&dir, &args.path)?;
    Service::bind(opened, project::name(&args.path), metrics, &dir).await
}

fn announce(args: &RunArgs, addresses: Addresses) {
    let Addresses { http, kafka, sql } = addresses;
    tracing::info!(pipeline = %args.path.display(), %kafka, %sql, http = %format!("http://{http}/"), "running");
}
