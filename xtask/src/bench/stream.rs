//! `cargo xtask bench stream`: the stream engine beside Apache Spark Structured Streaming and beside a bare Kafka client, on the flights of 15
//! years.
//!
//! Needs `cargo xtask services up`, for the real Kafka. Everything runs on this one machine, one thing after the other. All jobs have the same
//! topic and the same sink; a job is its query, which Spark runs as it stands.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use toml::Table;

use super::build::{Build, json_lines, number};
use super::page::{Comparison, median, table};
use crate::ci::now;
use crate::e2e::engines::watch;
use crate::e2e::process::{Millstream, Place, folder, until};
use crate::services::{self, Site, install, kafka};
use crate::{run, workspace};

/// The year of flights is published so many times, each a year of 365 days later.
const YEARS: u64 = 15;
const EVENTS: u64 = 336_776 * YEARS;

const ROUNDS: usize = 3;
const LIMIT: Duration = Duration::from_secs(900);

const TOPIC: &str = "bench_stream";
const OUT: &str = "bench_out";

/// What Spark takes into a micro-batch. Its first one warms it up and isn't counted.
const SPARK_BATCH: &str = "1000000";
const SPARK_JARS: &str = "spark-4.1.1-kafka";
const SPARK_POM: &str = include_str!("stream/spark-pom.xml");
const PYSPARK: &str = "4.1.1";

const HEAD: &str = include_str!("stream/topic.sql");

/// A query over the topic.
struct Job {
    what: &'static str,
    query: &'static str,
    /// What Spark runs in its place.
    spark_query: Option<&'static str>,
    /// Whether it writes enough rows for its sink to count.
    to_topic: bool,
    /// How many times faster than Spark it has to be from the built-in endpoint.
    goal: f64,
    /// Whether it keeps no state, so that a bare client's consume loop is what real Kafka allows.
    stateless: bool,
}

const JOBS: [Job; 6] = [
    Job {
        what: "decode, all rows filtered out",
        query: include_str!("stream/decode.sql"),
        // Its optimizer would read the JSON anew for each comparison; its sink takes whatever comes and does nothing.
        spark_query: Some("SELECT * FROM STREAM flights"),
        to_topic: false,
        goal: 10.0,
        stateless: true,
    },
    Job {
        what: "filter and projection to a topic",
        query: include_str!("stream/filter.sql"),
        spark_query: None,
        to_topic: true,
        goal: 4.0,
        stateless: true,
    },
    Job {
        what: "hourly window by origin",
        query: include_str!("stream/hourly.sql"),
        spark_query: None,
        to_topic: false,
        goal: 10.0,
        stateless: false,
    },
    Job {
        what: "window of an hour every 15 minutes, by origin",
        query: include_str!("stream/sliding.sql"),
        spark_query: None,
        to_topic: false,
        goal: 10.0,
        stateless: false,
    },
    Job {
        what: "join with reference data to a topic",
        query: include_str!("stream/reference.sql"),
        spark_query: None,
        to_topic: true,
        goal: 4.0,
        stateless: false,
    },
    Job {
        what: "join of two streams: the next departure of the same aircraft",
        query: include_str!("stream/streams.sql"),
        spark_query: None,
        to_topic: true,
        goal: 4.0,
        stateless: false,
    },
];

/// Ours over a round.
struct Figures {
    rows_per_s: f64,
    rows_per_core_s: f64,
    peak_bytes: f64,
}

/// Measures, and gives the text of the section.
pub fn run(build: Build) -> Result<String> {
    let site = services::instance()?.context("no real systems run: start them with cargo xtask services up")?;
    let place = built_in(build)?;
    kafka::delete_topics(&site, "bench_(stream|out)")?;
    kafka::create_topic(&site, TOPIC, 4)?;
    publish(build, &site.address("kafka", "port"))?;
    let bare = bare_client(&site.address("kafka", "port"))?;
    let mut comparisons = Vec::new();
    let mut costs = String::from("| job | endpoint | rows/s a core | peak memory |\n|---|---|---:|---:|\n");
    for (number, job) in JOBS.iter().enumerate() {
        eprintln!("{}", job.what);
        let ours = rounds(&place, build, job)?;
        costs += &cost(job.what, "built in", &ours);
        let spark = spark(&site, job)?;
        comparisons.push(comparison(job.what.to_owned(), &ours, "Spark 4.1.1 from Kafka, warm", spark, Some(job.goal)));
        if job.stateless {
            let place = on_kafka(&site, number)?;
            let ours = rounds(&place, build, job)?;
            costs += &cost(job.what, "Kafka", &ours);
            let what = format!("{}, from real Kafka", job.what);
            comparisons.push(comparison(what, &ours, "kcat reading the topic and doing nothing", bare.clone(), Some(0.8)));
        }
    }
    kafka::delete_topics(&site, "bench_(stream|out)")?;
    let head = format!(
        "{EVENTS} flights as JSON in 4 partitions. Kafka 4.3.1 and Spark 4.1.1 on the same machine. Medians of {ROUNDS} rounds, with the least and the most."
    );
    Ok(format!("{head}\n\n{}\n{costs}", table(&comparisons)))
}

/// A place on built-in engines whose topic holds the events.
fn built_in(build: Build) -> Result<Place> {
    let folder = folder("bench-stream")?;
    let place = Place::new(&folder, "")?;
    write_pipeline(&folder, &JOBS[0])?;
    let mut millstream = place.start_build(&build.program()?, &["run", &pipeline(&folder)])?;
    millstream.wait_until_ready(Duration::from_secs(60))?;
    publish(build, &millstream.kafka)?;
    Ok(place)
}

/// A place whose topics are the real Kafka's.
fn on_kafka(site: &Site, number: usize) -> Result<Place> {
    let mut settings = site.table().get("kafka").and_then(toml::Value::as_table).cloned().context("no [kafka]")?;
    settings.insert("group_id_prefix".to_owned(), format!("bench-stream-{number}").into());
    let sections: Table = services::table([("kafka", settings.into())]);
    Place::new(&folder("bench-stream-kafka")?, &sections.to_string())
}

fn pipeline(folder: &Path) -> String {
    folder.join("pipeline.sql").display().to_string()
}

fn write_pipeline(folder: &Path, job: &Job) -> Result<()> {
    std::fs::copy(airlines(), folder.join("airlines.parquet"))?;
    std::fs::write(folder.join("pipeline.sql"), format!("{HEAD}{};\n", job.query.trim()))?;
    Ok(())
}

fn airlines() -> std::path::PathBuf {
    workspace::root().join("examples/flights/reference/airlines.parquet")
}

fn publish(build: Build, endpoint: &str) -> Result<()> {
    let mut publish = Command::new(build.program()?);
    run::captured(publish.args(["publish-flights", "--bootstrap", endpoint, "--topic", TOPIC, "--years", &YEARS.to_string()])).map(drop)
}

/// The job from the topic's beginning, several times.
fn rounds(place: &Place, build: Build, job: &Job) -> Result<Vec<Figures>> {
    write_pipeline(place.folder(), job)?;
    (0..ROUNDS)
        .map(|_| {
            // What stands there is of another job, or of the round before.
            if place.has_data() {
                place.run_build(&build.program()?, &["reset", "out", "--pipeline", &pipeline(place.folder())])?;
            }
            let figures = round(place, build)?;
            eprintln!("millstream: {:.0} rows/s, {:.0} a core", figures.rows_per_s, figures.rows_per_core_s);
            Ok(figures)
        })
        .collect()
}

/// Rows a second from the first committed epoch that is seen to the last.
fn round(place: &Place, build: Build) -> Result<Figures> {
    let mut millstream = place.start_build(&build.program()?, &["run", &pipeline(place.folder())])?;
    let (begun, before) = reach(&mut millstream, 1)?;
    let cpu_before = millstream.cpu_seconds()?;
    let (ended, after) = reach(&mut millstream, EVENTS)?;
    ensure!(after == EVENTS, "{after} events were processed of {EVENTS}");
    ensure!(before < EVENTS / 2, "the flow was too fast to be watched: {before} events were done when it was first seen");
    #[expect(clippy::cast_precision_loss, reason = "a number of rows, and of bytes")]
    let (rows, peak_bytes) = ((after - before) as f64, millstream.peak_memory()? as f64);
    let cpu = millstream.cpu_seconds()? - cpu_before;
    Ok(Figures { rows_per_s: rows / ended.duration_since(begun).as_secs_f64(), rows_per_core_s: rows / cpu, peak_bytes })
}

/// When `rows` were seen processed, and how many were then.
fn reach(millstream: &mut Millstream, rows: u64) -> Result<(std::time::Instant, u64)> {
    let http = millstream.http.clone();
    let mut processed = 0;
    until(LIMIT, &format!("{rows} events are processed"), || {
        millstream.must_run()?;
        processed = watch::processed(&http, "out")?;
        Ok(processed >= rows)
    })?;
    Ok((now(), processed))
}

/// The same by Spark, from the real Kafka.
fn spark(site: &Site, job: &Job) -> Result<Vec<f64>> {
    let columns = HEAD.split_once("TABLE flights (").and_then(|(_, rest)| rest.split_once("\n)")).context("the topic has no columns")?.0;
    let mut command = Command::new(install::pyspark(PYSPARK)?);
    command.arg(workspace::root().join("xtask/src/bench/stream/spark_stream.py"));
    command.arg("--jars").arg(install::jars(SPARK_JARS, SPARK_POM)?).arg("--airlines").arg(airlines());
    command.args([
        "--bootstrap",
        &site.address("kafka", "port"),
        "--topic",
        TOPIC,
        "--query",
        job.spark_query.unwrap_or(job.query),
        "--rows-per-batch",
        SPARK_BATCH,
    ]);
    // from_json takes no NOT NULL.
    command.args(["--columns", &columns.replace(" NOT NULL", "")]);
    if job.to_topic {
        command.args(["--to", OUT]);
    }
    json_lines(&mut command)?.iter().map(|line| number(line, "rows_per_s")).collect()
}

/// How fast kcat (librdkafka) reads the topic and drops what it reads, in events a second.
fn bare_client(bootstrap: &str) -> Result<Vec<f64>> {
    (0..ROUNDS)
        .map(|_| {
            let start = now();
            let arguments = ["-C", "-b", bootstrap, "-t", TOPIC, "-o", "beginning", "-e", "-q", "-f", ""];
            run::captured(Command::new("kcat").args(arguments))?;
            #[expect(clippy::cast_precision_loss, reason = "a number of rows")]
            let rate = EVENTS as f64 / start.elapsed().as_secs_f64();
            eprintln!("kcat: {rate:.0} events/s");
            Ok(rate)
        })
        .collect()
}

fn comparison(what: String, ours: &[Figures], peer: &str, theirs: Vec<f64>, goal: Option<f64>) -> Comparison {
    let ours = ours.iter().map(|figures| figures.rows_per_s).collect();
    Comparison { what, ours, peer: peer.to_owned(), theirs, unit: "rows/s", goal }
}

fn cost(what: &str, endpoint: &str, ours: &[Figures]) -> String {
    let of = |figure: fn(&Figures) -> f64| median(&ours.iter().map(figure).collect::<Vec<_>>());
    let (a_core, peak) = (of(|f| f.rows_per_core_s), of(|f| f.peak_bytes) / 1e6);
    format!("| {what} | {endpoint} | {a_core:.0} | {peak:.0} MB |\n")
}
