//! `check`: whether a pipeline is right.

mod probe;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use millstream_core::ports::SystemClock;
use millstream_core::{Error, Result};

use super::present::stdout;
use crate::cli::CheckArgs;
use crate::config::{Config, Layers};
use crate::wiring::{Engines, Patience};
use crate::{project, runtime};

/// Checks the configuration and, where one is named, the pipeline. Diagnostics and warnings go to stderr.
pub fn run(args: &CheckArgs) -> Result<ExitCode> {
    let CheckArgs { path, config, .. } = args;
    let beside = path.as_deref().map(|path| project::folder(Some(path)));
    let effective = Layers { file: config.config.clone(), beside, data_dir: config.data_dir.clone() }.load()?;
    if let Some(file) = &effective.file {
        eprintln!("{}: no errors", file.display());
    }
    let mut code = 0;
    if args.probe {
        let tried = runtime::block_on(async { Ok(probe::all(&effective.config).await) })?;
        stdout(&probe::report(&tried))?;
        code = probe::exit_code(&tried);
    }
    let checked = match path {
        Some(path) => pipeline(path, &effective.config, args.probe && code == 0),
        None if effective.file.is_some() || args.probe => Ok(()),
        None => Err(Error::invalid("there is nothing to check: name a pipeline, or a configuration with --config")),
    };
    match checked {
        // What is wrong with the connections has been said, and may be the reason.
        Err(error) if code != 0 => eprintln!("error: {error}"),
        checked => checked?,
    }
    Ok(ExitCode::from(code))
}

/// Checks the pipeline at `path`; with `probe` also what its own tables need of the systems.
fn pipeline(path: &Path, config: &Config, probe: bool) -> Result<()> {
    let engines = Engines::new(Patience::Fail, Arc::new(SystemClock));
    let pipeline = runtime::block_on(async {
        let pipeline = project::load(path, config, &engines).await?;
        if probe {
            probe::topics(config, &pipeline).await?;
            probe::lake_tables(config, &pipeline).await?;
        }
        Ok(pipeline)
    })?;
    let count = |n: usize, of: &str| format!("{n} {of}{}", if n == 1 { "" } else { "s" });
    let parts = [count(pipeline.flows.len(), "flow"), count(pipeline.jobs.len(), "job"), count(pipeline.tables.len(), "table")];
    eprintln!("{}: {}: no errors", path.display(), parts.join(", "));
    Ok(())
}
