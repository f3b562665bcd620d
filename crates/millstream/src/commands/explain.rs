//! `explain`: a pipeline's graph, and who serves each part.

use std::path::Path;
use std::process::ExitCode;

use millstream_core::Result;
use millstream_pipeline::explain;

use super::present::stdout;
use crate::cli::ExplainFormat;
use crate::{project, runtime};

/// Prints the graph of the pipeline at `path`.
pub fn run(path: &Path, format: ExplainFormat) -> Result<ExitCode> {
    let pipeline = runtime::block_on(project::load(path))?;
    stdout(&match format {
        ExplainFormat::Text => explain::text(&pipeline),
        ExplainFormat::Json => format!("{:#}\n", explain::json(&pipeline)),
    })?;
    Ok(ExitCode::SUCCESS)
}
