//! `explain`: a pipeline's graph, and who serves each part under the configuration.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use millstream_core::Result;
use millstream_core::ports::SystemClock;
use millstream_pipeline::explain;
use millstream_pipeline::graph::Table;

use super::present::stdout;
use crate::cli::{ConfigArgs, ExplainFormat};
use crate::config::Layers;
use crate::wiring::{self, Engines, Patience};
use crate::{project, runtime};

/// Prints the graph of the pipeline at `path`.
pub fn run(path: &Path, config: &ConfigArgs, format: ExplainFormat) -> Result<ExitCode> {
    let layers = Layers { file: config.config.clone(), beside: Some(project::folder(Some(path))), data_dir: config.data_dir.clone() };
    let config = layers.load()?.config;
    let engines = Engines::new(Patience::Fail, Arc::new(SystemClock));
    let pipeline = runtime::block_on(project::load(path, &config, &engines))?;
    let served_by = |name: &str, table: &Table| wiring::served_by(&config, name, table);
    stdout(&match format {
        ExplainFormat::Text => explain::text(&pipeline, &served_by),
        ExplainFormat::Json => format!("{:#}\n", explain::json(&pipeline, &served_by)),
    })?;
    Ok(ExitCode::SUCCESS)
}
