//! Commands that ask something of a pipeline: of the process that runs on the data directory, or, where none does, of the data itself.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use millstream_adapters::embedded::DataDir;
use millstream_core::{Error, Result};
use millstream_engine::Engine;

use super::present::Presenter;
use crate::cli::{PlaceArgs, SqlArgs};
use crate::config::{Config, Layers};
use crate::control::client::ControlClient;
use crate::control::{Answer, Request};
use crate::{data_dir, project, requests, runtime, wiring};

/// `sql`: a query.
pub fn sql(args: SqlArgs) -> Result<ExitCode> {
    let place = PlaceArgs { pipeline: args.path, config: args.config };
    run(&place, Request::Sql { query: args.query, format: args.format })
}

/// Sends `request` to whoever can answer it, and prints the answer.
pub fn run(place: &PlaceArgs, request: Request) -> Result<ExitCode> {
    let layers = Layers {
        file: place.config.config.clone(),
        beside: Some(project::folder(place.pipeline.as_deref())),
        data_dir: place.config.data_dir.clone(),
    };
    let config = layers.load()?.config;
    let code = runtime::block_on(async move {
        let mut presenter = Presenter::default();
        match ControlClient::connect(&config.data_dir).await? {
            Some(client) => client.call(request, |frame| presenter.show(frame)).await,
            None => at_rest(config, place.pipeline.as_deref(), request, &mut presenter).await,
        }
    })?;
    Ok(ExitCode::from(code))
}

/// Answers from the data directory, on which nothing runs: without listeners, without flows.
async fn at_rest(config: Config, pipeline: Option<&Path>, request: Request, presenter: &mut Presenter) -> Result<u8> {
    let dir = &config.data_dir;
    if request == Request::Status || !dir.is_dir() {
        return Err(Error::unavailable(format!(
            "no pipeline runs on data directory {}: start one with `millstream run PATH`, or name another with --data-dir",
            dir.display()
        )));
    }
    let path = pipeline.map_or_else(|| data_dir::last_pipeline(dir), |path| Ok(path.to_owned()))?;
    let lock = DataDir::lock(dir)?;
    let pipeline = Arc::new(project::load(&path).await?);
    if let Request::Reset { name } = request {
        let open = wiring::open_ports(&config, &pipeline, lock).await?;
        Engine::reset(&pipeline, &open.ports, &name).await?;
        eprintln!("{name} is reset: the next `millstream run` builds it again from the start");
        return Ok(0);
    }
    let opened = wiring::open(config, pipeline, lock).await?;
    let (answer, mut frames) = Answer::channel();
    let work = async {
        let outcome = requests::carry_out(&opened, None, request, &answer).await;
        drop(answer);
        outcome
    };
    let show = async {
        while let Some(frame) = frames.recv().await {
            presenter.show(frame)?;
        }
        Ok(())
    };
    let (outcome, shown) = tokio::join!(work, show);
    shown.and(outcome)
}
