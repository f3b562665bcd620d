//! Commands that ask something of a pipeline: of the process that runs on the data directory, or, where none does, of the data itself.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use millstream_adapters::embedded::DataDir;
use millstream_core::ports::SystemClock;
use millstream_core::{Error, Result};
use millstream_engine::Engine;

use super::demo::place;
use super::present::Presenter;
use crate::cli::{PlaceArgs, SqlArgs};
use crate::config::{Config, Effective, Layers};
use crate::control::client::ControlClient;
use crate::control::{Answer, Request};
use crate::data_dir::LastRun;
use crate::wiring::{self, Engines, Patience};
use crate::{project, requests, runtime};

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
    let effective = layers.load()?;
    let code = runtime::block_on(async move {
        let mut presenter = Presenter::default();
        match ControlClient::connect(&effective.config.data_dir).await? {
            Some(client) => client.call(request, |frame| presenter.show(frame)).await,
            None => at_rest(effective, place.pipeline.as_deref(), request, &mut presenter).await,
        }
    })?;
    Ok(ExitCode::from(code))
}

/// The pipeline that ran on the data directory last, and its configuration, unless another one is named: that says where its tables are.
fn as_it_ran(effective: Effective) -> Result<(Config, PathBuf)> {
    let dir = effective.config.data_dir.clone();
    let last = LastRun::of(&dir)?;
    let config = match (effective.file, last.config) {
        (None, Some(file)) => Layers { file: Some(file), beside: None, data_dir: Some(dir) }.load()?.config,
        _ => effective.config,
    };
    Ok((if last.is_demo { place::of_the_demo(config) } else { config }, last.path))
}

/// Answers from the data directory, on which nothing runs: without listeners, without flows.
async fn at_rest(effective: Effective, pipeline: Option<&Path>, request: Request, presenter: &mut Presenter) -> Result<u8> {
    let dir = &effective.config.data_dir;
    if !dir.is_dir() {
        // In full: most likely it was looked for from another folder.
        let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.clone());
        return Err(Error::unavailable(format!(
            "there is no data directory {}: start a pipeline with `millstream run PATH`, or name another directory with --data-dir",
            dir.display()
        )));
    }
    let Some(lock) = DataDir::try_lock(dir)? else {
        return Err(Error::unavailable(format!(
            "the pipeline on data directory {} is not open yet, or is ending: the log and /readyz of its HTTP address say what it waits for",
            dir.display()
        )));
    };
    if request == Request::Status {
        return Err(Error::unavailable(format!(
            "no pipeline runs on data directory {}: start one with `millstream run PATH`, or name another with --data-dir",
            dir.display()
        )));
    }
    let (config, path) = match pipeline {
        Some(path) => (effective.config, path.to_owned()),
        None => as_it_ran(effective)?,
    };
    let engines = Engines::new(Patience::Fail, Arc::new(SystemClock));
    let pipeline = Arc::new(project::load(&path, &config, &engines).await?);
    let ports = wiring::open_ports(&config, &pipeline, lock, &engines).await?;
    if let Request::Reset { name } = request {
        Engine::reset(&pipeline, &ports.ports, &name).await?;
        let on_demand = pipeline.jobs.iter().any(|job| job.report == name && job.schedule.is_none());
        let again = if on_demand { format!("`millstream refresh {name}`") } else { "the next `millstream run`".to_owned() };
        eprintln!("{name} is reset: {again} builds it again from the start");
        return Ok(0);
    }
    let opened = wiring::open(config, pipeline, ports, &engines).await?;
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
