//! `config print`: the settings that count.

use std::path::Path;
use std::process::ExitCode;

use millstream_core::Result;

use super::present::stdout;
use crate::cli::ConfigArgs;
use crate::config::{Layers, print as page};
use crate::project;

/// Prints the effective configuration as TOML, with each value's origin.
pub fn print(path: Option<&Path>, config: &ConfigArgs) -> Result<ExitCode> {
    let layers = Layers { file: config.config.clone(), beside: Some(project::folder(path)), data_dir: config.data_dir.clone() };
    let effective = layers.load()?;
    if let Some(file) = &effective.file {
        eprintln!("configuration file: {}", file.display());
    }
    stdout(&page::effective(&effective))?;
    Ok(ExitCode::SUCCESS)
}
