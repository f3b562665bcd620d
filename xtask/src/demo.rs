//! `cargo xtask demo`: the README's first command.

use std::process::Command;

use anyhow::Result;

use crate::{run, workspace};

/// Builds, then runs `millstream demo` with `arguments`.
pub fn run(arguments: &[String]) -> Result<()> {
    workspace::build()?;
    run::shown(Command::new(workspace::program()?).current_dir(workspace::root()).arg("demo").args(arguments))
}
