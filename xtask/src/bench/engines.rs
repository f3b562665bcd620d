//! `cargo xtask bench engines`: Millstream on real engines beside each engine's own client doing nothing but the work, and beside Spark.
//!
//! Needs `cargo xtask services up`. Everything runs on this one machine, the engines too, one thing after the other.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use toml::Table;

use super::build::{Build, json_lines, number};
use super::page::{Comparison, table};
use crate::ci::now;
use crate::e2e::engines::watch;
use crate::e2e::process::{Place, folder, until};
use crate::services::{self, Site, cassandra, install, kafka};
use crate::{run, workspace};

const ROUNDS: usize = 3;

/// The flights of the year.
const EVENTS: u64 = 336_776;

const TOPIC: &str = "bench_flights";
const LIMIT: Duration = Duration::from_secs(300);

const PIPELINE: &str = "xtask/src/bench/engines/departures.sql";
const SPARK_POM: &str = include_str!("engines/spark-pom.xml");
const SPARK_JARS: &str = "spark-3.5.0-cassandra-3.5.1";
const PYSPARK: &str = "3.5.0";

/// Measures, and gives the text of the section.
pub fn run(build: Build) -> Result<String> {
    let site = services::instance()?.context("no real systems run: start them with cargo xtask services up")?;
    let mut comparisons = into_cassandra(&site, build)?;
    comparisons.extend(reports(&site, build)?);
    comparisons.extend(cache_aside(build)?);
    let versions = "Kafka 4.3.1, Cassandra 5.0.8, PostgreSQL of this machine's Debian, Spark 3.5.0; all on the same machine";
    Ok(format!("{versions}. Medians of {ROUNDS} rounds, with the least and the most.\n\n{}", table(&comparisons)))
}

/// The flights as JSON from Kafka into Cassandra: ours, the driver with the same rows from memory, and Spark.
fn into_cassandra(site: &Site, build: Build) -> Result<Vec<Comparison>> {
    kafka::delete_topics(site, TOPIC)?;
    kafka::create_topic(site, TOPIC, 4)?;
    let mut publish = Command::new(build.program()?);
    run::captured(publish.args(["publish-flights", "--bootstrap", &site.address("kafka", "port"), "--topic", TOPIC]))?;
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let keyspace = format!("bench_{round}");
        cassandra::query(site, &format!("DROP KEYSPACE IF EXISTS {keyspace}"))?;
        let rate = millstream(site, build, &keyspace)?;
        eprintln!("millstream: {rate:.0} rows/s");
        let lines = build.example("cassandra_copy", |copy| {
            copy.args([&keyspace, "departures", "1"]).env("MILLSTREAM_SERVICES", site.file());
        })?;
        // The cluster warms up in the first round: its first rows are slow for everybody.
        if round > 0 {
            ours.push(rate);
            bare.push(first(&lines, "rows_per_s")?);
        }
    }
    let spark = spark(site, &format!("bench_{ROUNDS}"))?;
    for round in 0..=ROUNDS {
        cassandra::query(site, &format!("DROP KEYSPACE bench_{round}"))?;
    }
    kafka::delete_topics(site, TOPIC)?;
    let what = "flights as JSON from Kafka into Cassandra";
    let comparison = |peer: &str, theirs, goal| Comparison {
        what: what.to_owned(),
        ours: ours.clone(),
        peer: peer.to_owned(),
        theirs,
        unit: "rows/s",
        goal: Some(goal),
    };
    Ok(vec![
        comparison("the scylla driver alone, the same rows from memory, unlogged batches of 50", bare, 0.8),
        comparison("Spark 3.5 with the Cassandra connector, warm", spark, 3.0),
    ])
}

/// Rows a second from the first committed epoch that is seen to the last.
fn millstream(site: &Site, build: Build, keyspace: &str) -> Result<f64> {
    let mut sections = Table::new();
    for (section, setting, value) in [("kafka", "group_id_prefix", keyspace), ("cassandra", "keyspace", keyspace)] {
        let mut settings = site.table().get(section).and_then(toml::Value::as_table).cloned().with_context(|| format!("no [{section}]"))?;
        settings.insert(setting.to_owned(), value.into());
        sections.insert(section.to_owned(), settings.into());
    }
    sections.insert("tables".to_owned(), services::table([("flights", services::table([("subscribe", TOPIC.into())]).into())]).into());
    let place = Place::new(&folder(&format!("bench-{keyspace}"))?, &sections.to_string())?;
    let mut millstream = place.start_build(&build.program()?, &["run", PIPELINE])?;
    let http = millstream.http.clone();
    let mut processed = 0;
    let mut beyond = |rows: u64| {
        until(LIMIT, &format!("{rows} events are processed"), || {
            millstream.must_run()?;
            processed = watch::processed(&http, "departures")?;
            Ok(processed >= rows)
        })
        .map(|()| (now(), processed))
    };
    let (begun, before) = beyond(1)?;
    let (ended, after) = beyond(EVENTS)?;
    ensure!(after == EVENTS, "{after} events were processed of {EVENTS}");
    ensure!(before < EVENTS / 2, "the flow was too fast to be watched: {before} events were done when it was first seen");
    #[expect(clippy::cast_precision_loss, reason = "a number of rows")]
    let rows = (after - before) as f64;
    Ok(rows / ended.duration_since(begun).as_secs_f64())
}

/// The same by Spark, into the table that Millstream made. The first run warms it up.
fn spark(site: &Site, keyspace: &str) -> Result<Vec<f64>> {
    let jars = install::jars(SPARK_JARS, SPARK_POM)?;
    let python = install::pyspark(PYSPARK)?;
    let address = site.address("cassandra", "port");
    let (host, port) = address.split_once(':').context("Cassandra's address has no port")?;
    let mut command = Command::new(python);
    command.arg(workspace::root().join("xtask/src/bench/engines/spark_cassandra.py"));
    command.arg("--jars").arg(jars).arg("--password-file").arg(site.secret_file("cassandra"));
    command.args(["--bootstrap", &site.address("kafka", "port"), "--topic", TOPIC, "--host", host, "--port", port, "--user", "cassandra"]);
    command.args(["--keyspace", keyspace, "--rounds", &(ROUNDS + 1).to_string()]);
    let lines = json_lines(&mut command)?;
    lines.iter().skip(1).map(|line| number(line, "rows_per_s")).collect()
}

/// A report into PostgreSQL, beside a binary COPY of the same rows into an empty table with the same key.
fn reports(site: &Site, build: Build) -> Result<Vec<Comparison>> {
    let (mut bare, mut first_time, mut again) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let lines = build.example("postgres_throughput", |example| {
            example.env("MILLSTREAM_SERVICES", site.file());
        })?;
        bare.push(first(&lines, "bare_rows_per_s")?);
        first_time.push(first(&lines, "first_rows_per_s")?);
        again.push(first(&lines, "again_rows_per_s")?);
    }
    let comparison = |what: &str, ours, goal| Comparison {
        what: what.to_owned(),
        ours,
        peer: "binary COPY into an empty table".to_owned(),
        theirs: bare.clone(),
        unit: "rows/s",
        goal,
    };
    Ok(vec![
        comparison("a report into PostgreSQL, the first time", first_time, Some(0.8)),
        comparison("a report into PostgreSQL again, one row in a hundred differs", again, None),
    ])
}

/// Cached reads over HTTP, beside a bare handler of the same HTTP server that gives the same bytes.
fn cache_aside(build: Build) -> Result<Vec<Comparison>> {
    let lines = build.example("cache_aside", |_| {})?;
    [("memory", "from the gateway's memory"), ("critical-store", "from the critical store's memory")]
        .map(|(hit, from)| {
            let side = |of: &str| {
                let line = lines
                    .iter()
                    .find(|line| line["hit"] == hit && line["of"] == of)
                    .with_context(|| format!("no figures of {of}, {hit}"))?;
                let latency = format!("p50 {:.0} us, p99 {:.0} us", number(line, "p50_us")?, number(line, "p99_us")?);
                anyhow::Ok((number(line, "requests_per_s")?, latency))
            };
            let ((ours, our_latency), (theirs, their_latency)) = (side("gateway")?, side("bare")?);
            Ok(Comparison {
                what: format!("a cached read over HTTP, {from} ({our_latency})"),
                ours: vec![ours],
                peer: format!("a bare handler of the same server ({their_latency})"),
                theirs: vec![theirs],
                unit: "reads/s",
                goal: Some(0.8),
            })
        })
        .into_iter()
        .collect()
}

fn first(lines: &[Value], key: &str) -> Result<f64> {
    number(lines.first().context("no figures")?, key)
}
