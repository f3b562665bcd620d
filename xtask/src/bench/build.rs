//! Which build is measured, and what its measuring programs print.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::{run, workspace};

/// The build that is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// What is packaged: everything at the highest level, optimised across crates.
    Release,
    /// What the demo and the tests run: dependencies at the highest level, our crates on the events' way at level 2.
    Dev,
}

impl Build {
    /// What to write beside the figures.
    pub fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Dev => "dev (the demo's and the tests' build, without optimisation across crates)",
        }
    }

    /// Builds the program and the measuring programs.
    pub fn make(self) -> Result<()> {
        match self {
            // All at once, so that every dependency is built with one set of features.
            Self::Release => run::shown(workspace::cargo().args(["build", "--release", "--locked", "--workspace", "--bins", "--examples"])),
            Self::Dev => workspace::build(),
        }
    }

    /// The `millstream` of this build.
    pub fn program(self) -> Result<PathBuf> {
        Ok(self.folder()?.join("millstream"))
    }

    /// Runs the example `name`, shows what it prints, and gives those of its lines that are JSON.
    pub fn example(self, name: &str, configure: impl FnOnce(&mut Command)) -> Result<Vec<Value>> {
        let mut example = Command::new(self.folder()?.join("examples").join(name));
        configure(&mut example);
        json_lines(&mut example)
    }

    fn folder(self) -> Result<PathBuf> {
        let profile = if self == Self::Release { "release" } else { "debug" };
        Ok(workspace::target_dir()?.join(profile))
    }
}

/// Runs `command`, shows its output, and gives those of its lines that are JSON.
pub fn json_lines(command: &mut Command) -> Result<Vec<Value>> {
    let name = command.get_program().to_string_lossy().into_owned();
    eprintln!("$ {name}");
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().with_context(|| format!("can't start {name}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    eprint!("{text}");
    if !output.status.success() {
        bail!("{name}: {}", output.status);
    }
    let lines: Vec<Value> = text.lines().filter(|line| line.starts_with('{')).map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(!lines.is_empty(), "{name} printed no figures");
    Ok(lines)
}

/// The number `key` of a line.
pub fn number(line: &Value, key: &str) -> Result<f64> {
    line.get(key).and_then(Value::as_f64).with_context(|| format!("there is no {key} in {line}"))
}
