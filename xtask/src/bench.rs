//! `cargo xtask bench`: the benchmarks of `examples/benches`, each a small program of its own crate's `benches/` target.

use anyhow::{Result, bail};

use crate::{prerequisites, run, workspace};

/// Runs all benchmarks, or the one called `name`, under the release profile.
pub fn run(name: Option<&str>) -> Result<()> {
    prerequisites::check()?;
    let metadata = workspace::metadata()?;
    let targets = metadata.packages.iter().flat_map(|p| p.targets.iter().filter(|t| t.is_bench()).map(move |t| (&p.name, &t.name)));
    let chosen: Vec<_> = targets.filter(|(_, target)| name.is_none_or(|name| name == target.as_str())).collect();
    if chosen.is_empty() {
        bail!("there is no benchmark{}", name.map(|name| format!(" called {name}")).unwrap_or_default());
    }
    for (package, target) in chosen {
        run::shown(workspace::cargo().args(["bench", "--locked", "--package", package.as_str(), "--bench", target]))?;
    }
    Ok(())
}
