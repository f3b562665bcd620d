//! `check`: whether a pipeline is right.

use std::path::Path;
use std::process::ExitCode;

use millstream_core::Result;

use crate::{project, runtime};

/// Checks the pipeline at `path`. Diagnostics and warnings go to stderr.
pub fn run(path: &Path) -> Result<ExitCode> {
    let pipeline = runtime::block_on(project::load(path))?;
    let count = |n: usize, of: &str| format!("{n} {of}{}", if n == 1 { "" } else { "s" });
    let parts = [count(pipeline.flows.len(), "flow"), count(pipeline.jobs.len(), "job"), count(pipeline.tables.len(), "table")];
    eprintln!("{}: {}: no errors", path.display(), parts.join(", "));
    Ok(ExitCode::SUCCESS)
}
