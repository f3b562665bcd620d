//! What a data directory remembers of the demo: which events it publishes. Another sequence could not go on where this one is.

use std::path::{Path, PathBuf};

use millstream_core::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::flights::SequenceOptions;

/// The version of the file's format, and of the sequence that the options stand for.
const VERSION: u32 = 1;

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    version: u32,
    options: SequenceOptions,
    data: Option<PathBuf>,
}

/// Notes in `dir` which sequence is published. [`InvalidInput`](millstream_core::ErrorKind::InvalidInput) when it is another one than before.
pub fn claim(dir: &Path, options: &SequenceOptions, data: Option<&Path>) -> Result<()> {
    let path = dir.join("demo.json");
    let failed = |e: std::io::Error| Error::from(e).context(format!("the demo's state {}", path.display()));
    let now = State { version: VERSION, options: options.clone(), data: data.map(Path::to_owned) };
    match std::fs::read(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(failed(e)),
        Ok(text) => {
            let before: State = serde_json::from_slice(&text).map_err(|e| Error::from(e).context(path.display()))?;
            if before != now {
                return Err(Error::invalid(format!(
                    "{} holds a demo with other events ({}): use the same options, or another --data-dir",
                    dir.display(),
                    describe(&before)
                )));
            }
            return Ok(());
        }
    }
    let making = dir.join("demo.json.new");
    std::fs::write(&making, serde_json::to_vec(&now)?).and_then(|()| std::fs::rename(&making, &path)).map_err(failed)
}

fn describe(state: &State) -> String {
    let faults = if state.options.faults { "with --faults" } else { "without --faults" };
    let carrier = state.options.without_carrier.as_deref().map(|c| format!(", --without-carrier {c}")).unwrap_or_default();
    let data = state.data.as_deref().map(|d| format!(", --data {}", d.display())).unwrap_or_default();
    format!("version {}, {faults}{carrier}{data}", state.version)
}

#[cfg(test)]
mod tests;
