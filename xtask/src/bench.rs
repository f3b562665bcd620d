//! `cargo xtask bench`: measures what the program promises, several times, and sets it beside the promise or beside a peer that did the same
//! in the same run. The figures go to `docs/benchmarks.md`.
//!
//! Only whole programs are measured: `millstream`, the crates' measuring examples, and peers. It knows no crate's inside.

mod build;
mod engines;
mod latency;
mod page;
mod stream;

use std::time::Duration;

use anyhow::{Result, bail};

pub use self::build::Build;
use crate::ci::now;
use crate::e2e::process::{Millstream, folder};
use crate::prerequisites;
use crate::suites::align;

const RUNS: usize = 5;

/// What the demo promises on a quiet machine with 2 cores.
const DEMO_SECONDS: f64 = 10.0;
const DEMO_MEGABYTES: f64 = 600.0;

/// A benchmark: its name, and what measures and gives the text of its section.
type Bench = (&'static str, fn(Build) -> Result<String>);

const BENCHES: [Bench; 4] = [("demo", demo), ("engines", engines::run), ("stream", stream::run), ("latency", latency::run)];

/// Runs all benchmarks, or the one called `name`.
pub fn run(name: Option<&str>, build: Build) -> Result<()> {
    prerequisites::check()?;
    let chosen: Vec<_> = BENCHES.iter().filter(|bench| name.is_none_or(|name| name == bench.0)).collect();
    if chosen.is_empty() {
        bail!("there is no such benchmark; there are: {}", BENCHES.map(|bench| bench.0).join(", "));
    }
    build.make()?;
    for (name, measure) in chosen {
        let text = format!("{}. Build: {}.\n\n{}", page::machine(), build.name(), measure(build)?);
        println!("{text}");
        page::write(name, &text)?;
    }
    Ok(())
}

/// `millstream demo --exit` on built-in engines: wall time from start to end, and the peak of its resident memory, publisher included.
fn demo(build: Build) -> Result<String> {
    let mut seconds = Vec::new();
    let mut megabytes = Vec::new();
    for _ in 0..RUNS {
        let start = now();
        let demo = Millstream::start_program(&build.program()?, &folder("bench")?, &["demo", "--exit"])?;
        let (_, _, peak) = demo.wait_for_end(Duration::from_secs(600))?;
        seconds.push(start.elapsed().as_secs_f64());
        megabytes.push(megabytes_of(peak));
    }
    let mut table = vec![["figure", "least", "median", "most", "promised", "median/promised"].map(str::to_owned).to_vec()];
    table.push(row("seconds", &mut seconds, DEMO_SECONDS));
    table.push(row("megabytes", &mut megabytes, DEMO_MEGABYTES));
    Ok(format!("```text\n{}\n```", align(&table).trim_end()))
}

#[expect(clippy::cast_precision_loss, reason = "megabytes, for people")]
fn megabytes_of(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn row(figure: &str, samples: &mut [f64], promised: f64) -> Vec<String> {
    samples.sort_by(f64::total_cmp);
    let at = |index: usize| samples.get(index).copied().unwrap_or(f64::NAN);
    let (least, median, most) = (at(0), at(samples.len() / 2), at(samples.len().saturating_sub(1)));
    let mut cells = vec![figure.to_owned()];
    cells.extend([least, median, most, promised].map(|number| format!("{number:.1}")));
    cells.push(format!("{:.2}", median / promised));
    cells
}

#[cfg(test)]
mod tests;
