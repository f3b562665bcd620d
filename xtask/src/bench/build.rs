//! Which build is measured, and what its measuring programs print.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::{run, workspace};

/// The build that is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// The demo's and the tests' as it is, to try a benchmark: its figures say little.
    Tests,
    /// The demo's and the tests' build with our own crates as they are packaged, but for what is optimised across crates: minutes where that build is warm.
    Own,
    /// What is packaged: everything at the highest level, optimised across crates. An hour on 2 cores.
    Release,
}

/// Our crates whose code the benchmarks run.
const OWN: [&str; 7] = ["adapters", "broker", "core", "engine", "gateway", "pipeline", "testkit"];

impl Build {
    /// What to write beside the figures.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tests => "the tests'",
            Self::Own => {
                "own crates at level 3 without debug assertions, dependencies as in the demo's build, no optimisation across crates"
            }
            Self::Release => "release",
        }
    }

    /// Builds the program and the measuring programs.
    pub fn make(self) -> Result<()> {
        // All at once, so that every dependency is built with one set of features.
        let mut build = workspace::cargo();
        build.args(["build", "--locked", "--workspace", "--bins", "--examples"]);
        match self {
            Self::Tests => &mut build,
            // Incremental builds cut crates into more parts than are optimised well.
            Self::Own => build.args(OWN.iter().flat_map(|name| as_packaged(name))).env("CARGO_INCREMENTAL", "0"),
            Self::Release => build.arg("--release"),
        };
        run::shown(&mut build)
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

    /// Runs the example `name`, and hands each of its lines that are JSON to `each` when it comes; an error of `each` ends the example.
    pub fn example_as_it_goes(
        self,
        name: &str,
        configure: impl FnOnce(&mut Command),
        mut each: impl FnMut(Value) -> Result<()>,
    ) -> Result<()> {
        let mut command = Command::new(self.folder()?.join("examples").join(name));
        configure(&mut command);
        let mut example = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().with_context(|| format!("can't start {name}"))?;
        let stdout = BufReader::new(example.stdout.take().context("no stdout")?);
        let outcome = stdout.lines().try_for_each(|line| match line? {
            line if line.starts_with('{') => each(serde_json::from_str(&line)?),
            _ => Ok(()),
        });
        if outcome.is_err() {
            // It has ended already when this fails.
            let _ = example.kill();
        }
        let status = example.wait()?;
        outcome?;
        ensure!(status.success(), "{name}: {status}");
        Ok(())
    }

    /// Of an `Own` build it is the one that tests use, too: their next build puts its own programs there again.
    fn folder(self) -> Result<PathBuf> {
        let profile = if self == Self::Release { "release" } else { "debug" };
        Ok(workspace::target_dir()?.join(profile))
    }
}

/// Arguments for cargo that build one of our crates with the release profile's settings.
fn as_packaged(name: &str) -> [String; 6] {
    let set = |setting: &str| format!("profile.dev.package.millstream-{name}.{setting}");
    let config = || String::from("--config");
    [config(), set("opt-level=3"), config(), set("debug-assertions=false"), config(), set("overflow-checks=false")]
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
