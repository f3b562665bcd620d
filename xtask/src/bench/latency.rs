//! `cargo xtask bench latency`: how long an event takes from the producer through the built-in endpoint and a flow to a consumer of the topic that
//! the flow writes, at a steady rate and with checkpoints, as always.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::build::{Build, number};
use crate::e2e::process::{Place, folder};

const RATE: u32 = 10_000;
const SECONDS: u32 = 120;

/// How many keys the measuring program has.
const KEYS: usize = 1_000;

struct Job {
    what: &'static str,
    pipeline: &'static str,
    /// What the measuring program is to expect.
    expects: &'static str,
    /// The 99th percentile in milliseconds that is promised: what Spark published of its real-time mode.
    promised_ms: f64,
}

const JOBS: [Job; 2] = [
    Job {
        what: "count by key, written anew at every change",
        pipeline: include_str!("latency/counts.sql"),
        expects: "counts",
        promised_ms: 14.0,
    },
    Job { what: "join with reference data", pipeline: include_str!("latency/join.sql"), expects: "rows", promised_ms: 9.0 },
];

/// Measures, and gives the text of the section.
pub fn run(build: Build) -> Result<String> {
    let mut text = format!(
        "{RATE} events a second for {SECONDS} seconds, of which the first fifth isn't counted; producer, program and consumer on the same machine.\n\n\
         | what | events | p50 | p99 | most | p99 promised |\n|---|---:|---:|---:|---:|---:|\n"
    );
    for job in &JOBS {
        let line = measure(build, job)?;
        let [events, p50, p99, most] = ["events", "p50_ms", "p99_ms", "max_ms"].map(|key| number(&line, key));
        text +=
            &format!("| {} | {} | {:.1} ms | {:.1} ms | {:.1} ms | {:.0} ms |\n", job.what, events?, p50?, p99?, most?, job.promised_ms);
    }
    Ok(text)
}

fn measure(build: Build, job: &Job) -> Result<Value> {
    let folder = folder("bench-latency")?;
    let names: String = (0..KEYS).map(|key| format!("k{key},name {key}\n")).collect();
    std::fs::write(folder.join("names.csv"), format!("k,name\n{names}"))?;
    std::fs::write(folder.join("pipeline.sql"), job.pipeline)?;
    let place = Place::new(&folder, "")?;
    let mut millstream = place.start_build(&build.program()?, &["run", &folder.join("pipeline.sql").display().to_string()])?;
    millstream.wait_until_ready(Duration::from_secs(60))?;
    let kafka = millstream.kafka.clone();
    let lines = build.example("latency", |example| {
        let (rate, events) = (RATE.to_string(), (RATE * SECONDS).to_string());
        example.args([&kafka, "latency_in", &rate, &events, "0", &format!("latency_out={}", job.expects)]);
    })?;
    millstream.must_run()?;
    lines.into_iter().next().context("no figures")
}
