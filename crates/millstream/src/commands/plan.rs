//! `plan`: what a changed pipeline means for the data that is there, whether its pipeline runs or not.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use millstream_adapters::embedded::DataDir;
use millstream_core::Result;
use millstream_core::ports::SystemClock;
use millstream_engine::Facts;
use millstream_engine::plan::decide;
use millstream_pipeline::graph::Pipeline;

use super::present::stdout;
use crate::cli::{ConfigArgs, PlanFormat};
use crate::config::{Config, Layers};
use crate::control::client::ControlClient;
use crate::control::{Frame, Request};
use crate::wiring::{self, Engines, Patience};
use crate::{data_dir, project, runtime};

/// The exit code when something has to be rebuilt before the pipeline can run.
const NOT_KEPT: u8 = 2;

/// Compares the pipeline at `path` with the data that is there.
pub fn run(path: &Path, config: &ConfigArgs, format: PlanFormat) -> Result<ExitCode> {
    let layers = Layers { file: config.config.clone(), beside: Some(project::folder(Some(path))), data_dir: config.data_dir.clone() };
    let config = layers.load()?.config;
    let plan = runtime::block_on(async {
        let engines = Engines::new(Patience::Fail, Arc::new(SystemClock));
        let pipeline = project::load(path, &config, &engines).await?;
        Ok(decide(&pipeline, &facts(&config, &pipeline, &engines).await?))
    })?;
    stdout(&match format {
        PlanFormat::Text => plan.to_string(),
        PlanFormat::Json => format!("{}\n", serde_json::to_string_pretty(&plan)?),
    })?;
    Ok(if plan.is_kept() { ExitCode::SUCCESS } else { ExitCode::from(NOT_KEPT) })
}

/// What is there: by the process that runs on the data directory, else by looking. A directory that is not there yet is not made.
async fn facts(config: &Config, pipeline: &Pipeline, engines: &Arc<Engines>) -> Result<Facts> {
    if let Some(client) = ControlClient::connect(&config.data_dir).await? {
        let mut text = String::new();
        let gather = |frame| {
            if let Frame::Data { text: part } = frame {
                text.push_str(&part);
            }
            Ok(())
        };
        client.call(Request::Facts, gather).await?;
        return Ok(serde_json::from_str(&text)?);
    }
    if !data_dir::store(&config.data_dir).is_dir() {
        return Ok(Facts::default());
    }
    let lock = DataDir::lock(&config.data_dir)?;
    let ports = wiring::open_ports(config, pipeline, lock, engines).await?;
    Facts::of(&ports.ports).await
}
