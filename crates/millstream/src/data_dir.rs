//! What lies where in a data directory, and which pipeline ran there last.

use std::path::{Path, PathBuf};

use millstream_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// The version of [`LAST_PIPELINE`]'s format.
const VERSION: u32 = 1;

/// The file that remembers the pipeline.
const LAST_PIPELINE: &str = "pipeline.json";

/// The log's folder.
pub fn log(dir: &Path) -> PathBuf {
    dir.join("log")
}

/// The store's folder.
pub fn store(dir: &Path) -> PathBuf {
    dir.join("store")
}

/// The folder of state that outgrows its memory: nothing in it is needed after a restart.
pub fn state(dir: &Path) -> PathBuf {
    dir.join("state")
}

/// The folder of tables of files.
pub fn lake(dir: &Path) -> PathBuf {
    dir.join("lake")
}

/// What ran last: so that whoever asks about a data directory need not say it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRun {
    version: u32,
    /// The pipeline's file or folder.
    pub path: PathBuf,
    /// The configuration's file, where there was one: it says where the tables are.
    #[serde(default)]
    pub config: Option<PathBuf>,
    /// Whether it was a demo, which keeps apart from a pipeline of the same configuration.
    #[serde(default)]
    pub is_demo: bool,
}

impl LastRun {
    /// The pipeline at `path`, with the configuration at `config`.
    pub fn new(path: &Path, config: Option<&Path>, is_demo: bool) -> Result<Self> {
        let absolute = |path: &Path| std::path::absolute(path).map_err(|e| Error::from(e).context(path.display()));
        Ok(Self { version: VERSION, path: absolute(path)?, config: config.map(absolute).transpose()?, is_demo })
    }

    /// Remembers it in `dir`.
    pub fn remember(&self, dir: &Path) -> Result<()> {
        let failed = |e: std::io::Error| Error::from(e).context(format!("the pipeline's place can't be noted in {}", dir.display()));
        let text = serde_json::to_vec(self)?;
        // In two steps, so that a process that dies here leaves the old note or the new one.
        let making = dir.join(format!("{LAST_PIPELINE}.new"));
        std::fs::write(&making, text).and_then(|()| std::fs::rename(&making, dir.join(LAST_PIPELINE))).map_err(failed)
    }

    /// What ran on `dir` last.
    pub fn of(dir: &Path) -> Result<Self> {
        let path = dir.join(LAST_PIPELINE);
        let text = match std::fs::read(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::not_found(format!(
                    "no pipeline has run on data directory {} yet: start one with `millstream run PATH`, or name another with --data-dir",
                    dir.display()
                )));
            }
            other => other.map_err(|e| Error::from(e).context(format!("{} can't be read", path.display())))?,
        };
        let last: Self = serde_json::from_slice(&text).map_err(|e| Error::from(e).context(path.display()))?;
        if last.version != VERSION {
            return Err(Error::unsupported(format!(
                "{} is of version {}, this program knows version {VERSION}",
                path.display(),
                last.version
            )));
        }
        Ok(last)
    }
}

#[cfg(test)]
mod tests;
