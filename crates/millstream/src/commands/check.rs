//! `check`: whether a pipeline is right.

use std::path::Path;
use std::process::ExitCode;

use millstream_core::Result;

use crate::{project, runtime};

/// Checks the pipeline at `path`. Diagnostics and warnings go to stderr.
pub fn run(path: &Path) -> Result<ExitCode> {
    let pipeline = runtime::block_on(project::load(path))?;
    eprintln!(
        "{}: {} flows, {} jobs, {} tables, no errors",
        path.display(),
        pipeline.flows.len(),
        pipeline.jobs.len(),
        pipeline.tables.len()
    );
    Ok(ExitCode::SUCCESS)
}
