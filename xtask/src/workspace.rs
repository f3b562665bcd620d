//! The checkout: where it is, what `cargo metadata` says of it, and the one way in which it is built.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use cargo_metadata::{Message, Metadata, MetadataCommand};

use crate::{prerequisites, run};

/// The root of the checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// `cargo`, started at the root as a person starts it there: without what `cargo run` told this program about its own package. Build scripts
/// that look at such a variable (ring's does) would run again, and everything above them would be compiled anew.
pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_of_the_running_package(&name.to_string_lossy())) {
        cargo.env_remove(name);
    }
    cargo
}

/// Whether cargo sets the variable `name` for a program that it runs, about that program's package.
fn is_of_the_running_package(name: &str) -> bool {
    name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") || name == "OUT_DIR"
}

/// The workspace's own packages, without their external dependencies' manifests.
pub fn metadata() -> Result<Metadata> {
    MetadataCommand::new().current_dir(root()).no_deps().exec().context("cargo metadata failed")
}

/// Builds every target of every crate under the one profile, as the tests do too: so the demo and the tests share all artifacts.
/// (`cargo run -p millstream` would choose other features for the dependencies, and compile DataFusion a second time.)
pub fn build() -> Result<()> {
    prerequisites::check()?;
    run::shown(cargo().args(["build", "--workspace", "--all-targets", "--locked"]))
}

/// The program with the integration tests `target` of the package in `folder`, built as `cargo xtask test` builds it.
pub fn test_program(folder: &str, target: &str) -> Result<PathBuf> {
    prerequisites::check()?;
    let mut build = cargo();
    build.args(["test", "--workspace", "--all-targets", "--locked", "--no-run", "--message-format", "json-render-diagnostics"]);
    let output = build.stderr(Stdio::inherit()).output().context("can't start cargo")?;
    ensure!(output.status.success(), "the tests do not build: {}", output.status);
    for message in Message::parse_stream(output.stdout.as_slice()) {
        if let Message::CompilerArtifact(artifact) = message?
            && artifact.target.is_test()
            && artifact.target.name == target
            && artifact.manifest_path.ends_with(Path::new(folder).join("Cargo.toml"))
            && let Some(program) = artifact.executable
        {
            return Ok(program.into_std_path_buf());
        }
    }
    bail!("{folder} has no tests called {target}")
}

/// The `millstream` program that [`build`] made.
pub fn program() -> Result<PathBuf> {
    Ok(target_dir()?.join("debug").join("millstream"))
}

/// The folder for what was built, and for logs of runs.
pub fn target_dir() -> Result<PathBuf> {
    Ok(metadata()?.target_directory.into_std_path_buf())
}

/// The checkout's files, relative to the root, in order: what git tracks, and what is new and not ignored.
pub fn files() -> Result<Vec<PathBuf>> {
    let listed = run::captured(Command::new("git").current_dir(root()).args(["ls-files", "--cached", "--others", "--exclude-standard"]))?;
    let mut files: Vec<_> = listed.lines().map(PathBuf::from).filter(|file| root().join(file).is_file()).collect();
    files.sort();
    files.dedup();
    Ok(files)
}

#[cfg(test)]
mod tests;
