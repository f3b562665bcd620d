//! `cargo xtask bench long`: whether memory and latency stay as they are while a count in windows and a join of streams run for half an hour, at half of the
//! rate that this machine reaches with them, producer and consumer included.

use std::fmt::Write as _;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::build::{Build, number};
use super::{Run, megabytes_of};
use crate::e2e::process::{Millstream, Place, folder};

/// The section of the page.
const SECTION: &str = "long";

const PIPELINE: &str = include_str!("long/pipeline.sql");
const INPUT: &str = "long_in";
const OUTPUTS: [&str; 2] = ["long_counts=counts", "long_pairs=rows"];

/// So many events are sent as fast as they go, to learn the full rate: for about a minute, so that the built-in store has to merge what it was given, and
/// for less than the topics keep them.
const PROBE_EVENTS: u64 = 10_000_000;

/// The first minutes, in which memory may still grow.
const WARM_MINUTES: usize = 3;

const PERIOD_SECONDS: u64 = 60;

/// Measures, and writes the section as it goes.
pub fn run(run: &Run) -> Result<()> {
    let full = full_rate(run.build)?;
    let rate = full / 2;
    ensure!(rate > 0, "not an event was processed");
    let minutes = run.options.minutes;
    println!("full rate: {full} events/s; {minutes} minutes at {rate}");
    let head = format!(
        "{}\n\n{rate} events a second for {minutes} minutes, half of the {full} that producer, program and consumer reach together on this machine.",
        run.head()
    );
    let (_place, mut millstream) = start(run.build)?;
    let (mut all, mut minute) = (Vec::new(), Vec::new());
    let events = rate * u64::from(minutes) * 60;
    measure(run.build, &millstream.kafka.clone(), rate, events, PERIOD_SECONDS, |line| {
        millstream.must_run()?;
        if line["of"] != "period" {
            return Ok(());
        }
        minute.push(Latency::read(&line)?);
        if let [counts, pairs] = minute.as_slice() {
            let of_minute = Minute { bytes: millstream.resident_memory()?, counts: counts.clone(), pairs: pairs.clone() };
            println!("{}", of_minute.row(all.len() + 1));
            all.push(of_minute);
            minute.clear();
            run.write(SECTION, &format!("{head}\n\n{}", text(&all)))?;
        }
        Ok(())
    })
}

/// How many events a second become visible at both outputs when they are sent as fast as they go.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate, for which the whole number does"
)]
fn full_rate(build: Build) -> Result<u64> {
    let (_place, millstream) = start(build)?;
    let mut seconds: f64 = 0.0;
    measure(build, &millstream.kafka, 0, PROBE_EVENTS, 0, |line| {
        seconds = seconds.max(number(&line, "seconds")?);
        Ok(())
    })?;
    Ok((PROBE_EVENTS as f64 / seconds) as u64)
}

/// A Millstream that runs the pipeline, on data of its own.
fn start(build: Build) -> Result<(Place, Millstream)> {
    let folder = folder("bench-long")?;
    let file = folder.join("pipeline.sql");
    std::fs::write(&file, PIPELINE)?;
    let place = Place::new(&folder, "")?;
    let mut millstream = place.start_build(&build.program()?, &["run", &file.display().to_string()])?;
    millstream.wait_until_ready(Duration::from_secs(60))?;
    Ok((place, millstream))
}

fn measure(build: Build, kafka: &str, rate: u64, events: u64, period: u64, each: impl FnMut(Value) -> Result<()>) -> Result<()> {
    let numbers = [rate, events, period].map(|number| number.to_string());
    let configure = |example: &mut Command| {
        example.args([kafka, INPUT]).args(&numbers).args(OUTPUTS);
    };
    build.example_as_it_goes("latency", configure, each)
}

/// What a minute brought.
struct Minute {
    /// Millstream's resident memory at its end.
    bytes: u64,
    counts: Latency,
    pairs: Latency,
}

/// Of one output.
#[derive(Clone)]
struct Latency {
    events: f64,
    p50_ms: f64,
    p99_ms: f64,
}

impl Latency {
    fn read(line: &Value) -> Result<Self> {
        let [events, p50, p99] = ["events", "p50_ms", "p99_ms"].map(|key| number(line, key));
        Ok(Self { events: events?, p50_ms: p50?, p99_ms: p99? })
    }
}

impl Minute {
    fn row(&self, number: usize) -> String {
        let Self { bytes, counts, pairs } = self;
        let latency = |of: &Latency| format!("{:.1} ms | {:.1} ms", of.p50_ms, of.p99_ms);
        format!("| {number} | {:.0} | {:.0} MB | {} | {} |", counts.events, megabytes_of(*bytes), latency(counts), latency(pairs))
    }
}

/// A table of the minutes, and beneath it by how much memory and latency differed once all was warm.
fn text(minutes: &[Minute]) -> String {
    let mut text =
        String::from("| minute | events | memory | count: p50 | p99 | join: p50 | p99 |\n|---:|---:|---:|---:|---:|---:|---:|\n");
    for (index, minute) in minutes.iter().enumerate() {
        // Writing to a string can't fail.
        let _ = writeln!(text, "{}", minute.row(index + 1));
    }
    let warm = minutes.get(WARM_MINUTES..).unwrap_or_default();
    if let Ok(flat) = flatness(warm) {
        let _ = write!(text, "\nAfter the first {WARM_MINUTES} minutes: {flat}.");
    }
    text
}

fn flatness(minutes: &[Minute]) -> Result<String> {
    let span = |of: &dyn Fn(&Minute) -> f64| {
        let values = minutes.iter().map(of);
        (values.clone().fold(f64::INFINITY, f64::min), values.fold(f64::NEG_INFINITY, f64::max))
    };
    let first = minutes.first().context("no minute")?;
    let [.., last] = minutes else { bail!("no minute") };
    let memory = span(&|minute| megabytes_of(minute.bytes));
    let (counts, pairs) = (span(&|minute| minute.counts.p99_ms), span(&|minute| minute.pairs.p99_ms));
    Ok(format!(
        "memory {:.0} to {:.0} MB ({:.0} at first, {:.0} at last); p99 of the count {:.1} to {:.1} ms, of the join {:.1} to {:.1} ms",
        memory.0,
        memory.1,
        megabytes_of(first.bytes),
        megabytes_of(last.bytes),
        counts.0,
        counts.1,
        pairs.0,
        pairs.1
    ))
}

#[cfg(test)]
mod tests;
