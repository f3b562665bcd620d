//! `cargo xtask test` and `suites`: all tests, and the table of contract suites by systems that they leave behind.
//!
//! The suites themselves live in `crates/testkit`; each run adds a line to the file that `MILLSTREAM_SUITE_LOG` names. This module
//! only reads that file: `suite<TAB>system<TAB>passed|failed<TAB>passed/all`, and lines without a tab, which are remarks for the end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{prerequisites, run, services, workspace};

const VARIABLE: &str = "MILLSTREAM_SUITE_LOG";

/// The tests that need real systems: the package's folder, and the target.
const REAL: (&str, &str) = ("crates/adapters", "it");

fn log_file() -> Result<PathBuf> {
    Ok(workspace::target_dir()?.join("suites.log"))
}

/// Runs all tests; `arguments` go to `cargo test`. Tests of one target fail without hiding those of the next.
pub fn test(arguments: &[String]) -> Result<()> {
    prerequisites::check()?;
    let log = log_file()?;
    if log.exists() {
        std::fs::remove_file(&log).with_context(|| format!("can't remove {}", log.display()))?;
    }
    let mut cargo = workspace::cargo();
    cargo.args(["test", "--workspace", "--all-targets", "--locked", "--no-fail-fast"]).args(arguments).env(VARIABLE, &log);
    let outcome = run::shown(&mut cargo);
    if log.exists() {
        println!();
        print()?;
    }
    outcome
}

/// Runs the tests that need real systems, and only those, against the instance that runs; what they find joins what the last run of all
/// tests found, so that the table has every system. `arguments` go to the test program.
pub fn test_real(arguments: &[String]) -> Result<()> {
    let site = services::instance()?.context("no real systems run: start them with `cargo xtask services up`")?;
    let program = workspace::test_program(REAL.0, REAL.1)?;
    let mut tests = Command::new(program);
    tests.current_dir(workspace::root().join(REAL.0)).args(arguments);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MILLSTREAM_")) {
        if name != "MILLSTREAM_REQUIRE" {
            tests.env_remove(name);
        }
    }
    let outcome = run::shown(tests.env("MILLSTREAM_SERVICES", site.file()).env(VARIABLE, log_file()?));
    println!();
    print()?;
    outcome
}

/// Prints the table of the last test run.
pub fn print() -> Result<()> {
    let log = log_file()?;
    let text = std::fs::read_to_string(&log).with_context(|| format!("no suites ran yet ({}); run `cargo xtask test`", log.display()))?;
    let table = table(&text)?;
    println!("contract suites by systems (cases passed/all; - did not run)\n{table}");
    for remark in text.lines().filter(|line| is_remark(line)) {
        println!("{remark}");
    }
    Ok(())
}

/// What the differential suite says of itself: how much it compared.
fn is_remark(line: &str) -> bool {
    line.starts_with("compared with ")
}

/// A row a suite, a column a system; the last line of a suite on a system counts.
fn table(log: &str) -> Result<String> {
    let mut cells = BTreeMap::new();
    for line in log.lines().filter(|line| !is_remark(line)) {
        let &[suite, system, verdict, count] = line.split('\t').collect::<Vec<_>>().as_slice() else {
            bail!("the suite log has a line that is none: {line:?}");
        };
        let cell = if verdict == "passed" { count.to_owned() } else { format!("FAILED {count}") };
        cells.insert((suite, system), cell);
    }
    let systems: BTreeSet<_> = cells.keys().map(|(_, system)| *system).collect();
    let suites: BTreeSet<_> = cells.keys().map(|(suite, _)| *suite).collect();
    let mut rows = vec![std::iter::once("suite").chain(systems.iter().copied()).map(str::to_owned).collect::<Vec<_>>()];
    for suite in suites {
        let found = systems.iter().map(|system| cells.get(&(suite, *system)).cloned().unwrap_or_else(|| "-".to_owned()));
        rows.push(std::iter::once(suite.to_owned()).chain(found).collect());
    }
    Ok(align(&rows))
}

/// Rows of cells as text, columns padded to their widest cell.
pub fn align(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let padded: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests;
