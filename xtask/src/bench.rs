//! `cargo xtask bench`: measures what the program promises, in release mode, several times, and sets it beside the promise.
//!
//! Whole runs of the program are measured here. What compares a part with the bare thing below it is an example of that part's crate, which
//! measures both in one run and prints a JSON object a line; here it is only built and started.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::ci::now;
use crate::e2e::process::{Millstream, folder};
use crate::suites::align;
use crate::{prerequisites, run, workspace};

/// A measured run: how long it took, and the peak of its memory in bytes.
struct Sample {
    took: Duration,
    memory_bytes: u64,
}

/// A benchmark by name, with what is promised of it on a quiet machine with 2 cores.
struct Bench {
    name: &'static str,
    arguments: &'static [&'static str],
    promised: Sample,
}

const RUNS: usize = 5;

const BENCHES: [Bench; 1] =
    [Bench { name: "demo", arguments: &["demo", "--exit"], promised: Sample { took: Duration::from_secs(10), memory_bytes: 600_000_000 } }];

/// A benchmark that is an example of a crate.
struct Comparison {
    name: &'static str,
    package: &'static str,
    example: &'static str,
}

/// All of them go by this name, too.
const ENGINES: &str = "engines";

const COMPARISONS: [Comparison; 1] = [Comparison { name: "cache-aside", package: "millstream-gateway", example: "cache_aside" }];

impl Comparison {
    fn run(&self) -> Result<()> {
        run::shown(workspace::cargo().args(["build", "--release", "--locked", "--package", self.package, "--example", self.example]))?;
        run::shown(&mut Command::new(workspace::target_dir()?.join("release").join("examples").join(self.example)))
    }
}

/// Runs all benchmarks, or those called `name`.
pub fn run(name: Option<&str>) -> Result<()> {
    prerequisites::check()?;
    let is_meant = |bench: &str| name.is_none_or(|name| name == bench);
    let benches: Vec<_> = BENCHES.iter().filter(|bench| is_meant(bench.name)).collect();
    let comparisons: Vec<_> = COMPARISONS.iter().filter(|comparison| is_meant(comparison.name) || is_meant(ENGINES)).collect();
    if benches.is_empty() && comparisons.is_empty() {
        let names = BENCHES.iter().map(|bench| bench.name).chain([ENGINES]).chain(COMPARISONS.iter().map(|comparison| comparison.name));
        bail!("there is no such benchmark; there are: {}", names.collect::<Vec<_>>().join(", "));
    }
    if !benches.is_empty() {
        measure(&benches)?;
    }
    comparisons.into_iter().try_for_each(Comparison::run)
}

/// Runs the program several times for each of `benches`, and prints what they took beside what is promised.
fn measure(benches: &[&Bench]) -> Result<()> {
    run::shown(workspace::cargo().args(["build", "--release", "--locked", "--package", "millstream"]))?;
    let program = workspace::target_dir()?.join("release").join("millstream");
    let mut table = vec![["benchmark", "figure", "least", "median", "most", "promised", "median/promised"].map(str::to_owned).to_vec()];
    for bench in benches {
        let mut seconds = Vec::new();
        let mut megabytes = Vec::new();
        for _ in 0..RUNS {
            let start = now();
            let (_, _, peak) =
                Millstream::start_program(&program, &folder("bench")?, bench.arguments)?.wait_for_end(Duration::from_secs(600))?;
            seconds.push(start.elapsed().as_secs_f64());
            megabytes.push(megabytes_of(peak));
        }
        table.push(row(bench.name, "seconds", &mut seconds, bench.promised.took.as_secs_f64()));
        table.push(row(bench.name, "megabytes", &mut megabytes, megabytes_of(bench.promised.memory_bytes)));
    }
    println!("{}", align(&table));
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "megabytes, for people")]
fn megabytes_of(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn row(name: &str, figure: &str, samples: &mut [f64], promised: f64) -> Vec<String> {
    samples.sort_by(f64::total_cmp);
    let at = |index: usize| samples.get(index).copied().unwrap_or(f64::NAN);
    let (least, median, most) = (at(0), at(samples.len() / 2), at(samples.len().saturating_sub(1)));
    let numbers = [least, median, most, promised].map(|number| format!("{number:.1}"));
    let mut cells = vec![name.to_owned(), figure.to_owned()];
    cells.extend(numbers);
    cells.push(format!("{:.2}", median / promised));
    cells
}

#[cfg(test)]
mod tests;
