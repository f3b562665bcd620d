//! `cargo xtask bench`: measures what the program promises, several times, and sets it beside the promise or beside a peer that did the same
//! in the same run. The figures go to `docs/benchmarks.md`.
//!
//! Only whole programs are measured: `millstream`, the crates' measuring examples, and peers. It knows no crate's inside.

mod build;
mod engines;
mod latency;
mod long;
mod page;
mod stream;
mod watched;

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

/// What is measured, and how
#[derive(clap::Args)]
pub struct Options {
    /// Only this one: demo, engines (real engines and endpoints beside the bare client or handler below them, and beside Spark), stream (the stream
    /// engine beside Spark, Flink and a bare client), latency, or long (memory and latency over half an hour), which only runs when it is named
    name: Option<String>,
    /// Measure a release build, which takes an hour to make, in place of the demo's with our own crates at the highest level
    #[arg(long)]
    release: bool,
    /// Measure the tests' build as it is, to try whether all runs; prints, and leaves the page as it is
    #[arg(long, conflicts_with = "release")]
    trial: bool,
    /// Of stream: only these jobs, such as hourly,q5; what the page has of the others stays
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    jobs: Vec<String>,
    /// Of stream: so many events of each input, in place of some million
    #[arg(long)]
    events: Option<u64>,
    /// Of stream: Spark and Flink are ended at a job after so many seconds, and what they reached until then counts
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    peer_seconds: u64,
    /// Of long: how many minutes
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=45))]
    minutes: u32,
    /// Print the figures, and leave docs/benchmarks.md as it is
    #[arg(long)]
    print_only: bool,
}

/// A run of `cargo xtask bench`.
pub struct Run {
    build: Build,
    options: Options,
}

impl Run {
    /// What a section begins with: the machine and the build.
    fn head(&self) -> String {
        format!("{}. Build: {}.", page::machine(), self.build.name())
    }

    /// Puts `text` into the section of the benchmark `name`, if the page is to be written.
    fn write(&self, name: &str, text: &str) -> Result<()> {
        if self.options.print_only || self.options.trial { Ok(()) } else { page::write(name, text) }
    }
}

/// A benchmark: its name, and what measures.
type Bench = (&'static str, Measure);

/// How a benchmark measures.
enum Measure {
    /// It gives the text of its section when it is done.
    AtOnce(fn(Build) -> Result<String>),
    /// It writes its section as it goes.
    AsItGoes(fn(&Run) -> Result<()>),
}

const BENCHES: [Bench; 5] = [
    ("demo", Measure::AtOnce(demo)),
    ("engines", Measure::AtOnce(engines::run)),
    ("stream", Measure::AsItGoes(stream::run)),
    ("latency", Measure::AtOnce(latency::run)),
    (LONG, Measure::AsItGoes(long::run)),
];

/// The one that takes so long that it has to be named.
const LONG: &str = "long";

/// Runs all benchmarks, or the one that the options name.
pub fn run(options: Options) -> Result<()> {
    prerequisites::check()?;
    let name = options.name.as_deref();
    let chosen: Vec<_> = BENCHES.iter().filter(|bench| name.map_or(bench.0 != LONG, |name| name == bench.0)).collect();
    if chosen.is_empty() {
        bail!("there is no such benchmark; there are: {}", BENCHES.map(|bench| bench.0).join(", "));
    }
    let build = match &options {
        Options { release: true, .. } => Build::Release,
        Options { trial: true, .. } => Build::Tests,
        _ => Build::Own,
    };
    build.make()?;
    let run = Run { build, options };
    for (name, measure) in chosen {
        match measure {
            Measure::AtOnce(measure) => {
                let text = format!("{}\n\n{}", run.head(), measure(build)?);
                println!("{text}");
                run.write(name, &text)?;
            }
            Measure::AsItGoes(measure) => measure(&run)?,
        }
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
