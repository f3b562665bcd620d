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

/// The pipeline that ran last.
#[derive(Debug, Serialize, Deserialize)]
struct LastPipeline {
    version: u32,
    path: PathBuf,
}

/// Remembers that the pipeline at `path` runs on `dir`.
pub fn remember_pipeline(dir: &Path, path: &Path) -> Result<()> {
    let failed = |e: std::io::Error| Error::from(e).context(format!("the pipeline's place can't be noted in {}", dir.display()));
    let path = std::path::absolute(path).map_err(failed)?;
    let text = serde_json::to_vec(&LastPipeline { version: VERSION, path })?;
    // In two steps, so that a process that dies here leaves the old note or the new one.
    let making = dir.join(format!("{LAST_PIPELINE}.new"));
    std::fs::write(&making, text).and_then(|()| std::fs::rename(&making, dir.join(LAST_PIPELINE))).map_err(failed)
}

/// The pipeline that ran on `dir` last.
pub fn last_pipeline(dir: &Path) -> Result<PathBuf> {
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
    let last: LastPipeline = serde_json::from_slice(&text).map_err(|e| Error::from(e).context(path.display()))?;
    if last.version != VERSION {
        return Err(Error::unsupported(format!("{} is of version {}, this program knows version {VERSION}", path.display(), last.version)));
    }
    Ok(last.path)
}

#[cfg(test)]
mod tests;
