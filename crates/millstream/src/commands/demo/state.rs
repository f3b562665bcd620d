//! What a data directory remembers of the demo: which events it publishes, and on which systems. Another sequence could not go on where this
//! one is, and other systems hold other tables.

use std::path::{Path, PathBuf};

use millstream_core::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::flights::SequenceOptions;

/// The version of the file's format, and of the sequence that the options stand for.
const VERSION: u32 = 1;

/// A demo, as its data directory remembers it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    version: u32,
    options: SequenceOptions,
    data: Option<PathBuf>,
    /// The real systems, by their sections.
    #[serde(default)]
    systems: Vec<String>,
}

impl State {
    /// A demo of these events on these systems.
    pub fn new(options: SequenceOptions, data: Option<&Path>, systems: Vec<String>) -> Self {
        Self { version: VERSION, options, data: data.map(Path::to_owned), systems }
    }

    /// Whether `dir` holds this demo already. [`InvalidInput`](millstream_core::ErrorKind::InvalidInput) when it holds another one.
    pub fn is_begun(&self, dir: &Path) -> Result<bool> {
        let path = file(dir);
        let text = match std::fs::read(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            other => other.map_err(|e| failed(&path, e))?,
        };
        let before: Self = serde_json::from_slice(&text).map_err(|e| Error::from(e).context(path.display()))?;
        if before != *self {
            return Err(Error::invalid(format!(
                "{} holds another demo ({before}): use the same options and configuration, or another --data-dir",
                dir.display()
            )));
        }
        Ok(true)
    }

    /// Notes in `dir` that this demo has begun.
    pub fn begin(&self, dir: &Path) -> Result<()> {
        let path = file(dir);
        let making = dir.join("demo.json.new");
        std::fs::write(&making, serde_json::to_vec(self)?).and_then(|()| std::fs::rename(&making, &path)).map_err(|e| failed(&path, e))
    }
}

fn file(dir: &Path) -> PathBuf {
    dir.join("demo.json")
}

fn failed(path: &Path, error: std::io::Error) -> Error {
    Error::from(error).context(format!("the demo's state {}", path.display()))
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let faults = if self.options.faults { "with --faults" } else { "without --faults" };
        write!(f, "version {}, {faults}", self.version)?;
        if let Some(carrier) = &self.options.without_carrier {
            write!(f, ", --without-carrier {carrier}")?;
        }
        if let Some(data) = &self.data {
            write!(f, ", --data {}", data.display())?;
        }
        if self.systems.is_empty() { write!(f, ", everything built in") } else { write!(f, ", on {}", self.systems.join(", ")) }
    }
}

#[cfg(test)]
mod tests;
