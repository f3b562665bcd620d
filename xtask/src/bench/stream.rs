//! `cargo xtask bench stream`: the stream engine beside Apache Spark Structured Streaming, Apache Flink SQL and a bare Kafka client, on the flights
//! of some years and on the events of the Nexmark benchmark.
//!
//! Needs `cargo xtask services up`, for the real Kafka. Everything runs on this one machine, one thing after the other. A job is its query
//! ([`jobs`]), which Spark runs as it stands. The page is written anew with each figure, so that it has what was measured whatever comes after.

mod flink;
mod input;
mod jobs;
mod nexmark;
mod ours;
mod peer;
mod spark;
mod table;

use std::collections::HashMap;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use self::input::Input;
use self::jobs::{JOBS, Job};
use self::ours::ROUNDS;
use self::peer::Reached;
use self::table::{Line, Table};
use super::page::{grouped, median};
use super::{Run, page};
use crate::ci::now;
use crate::e2e::process::Place;
use crate::run;
use crate::services::{self, Site, kafka};

/// The section of the page.
const SECTION: &str = "stream";

/// Every topic of the real Kafka that this makes.
const TOPICS: &str = "bench_stream_.*";

/// How many partitions a topic has.
const PARTITIONS: u32 = 4;

/// What a bare client's consume loop allows: Millstream is to reach this share of it.
const SHARE_OF_BARE: f64 = 0.8;

/// Measures the jobs that were asked for, and writes the section as it goes.
pub fn run(run: &Run) -> Result<()> {
    let site = services::instance()?.context("no real systems run: start them with cargo xtask services up")?;
    run::captured(Command::new("kcat").arg("-V")).context("kcat is the bare client: apt-get install kcat")?;
    let chosen = jobs::chosen(&run.options.jobs)?;
    let mut bench = Bench::new(run, &site, &chosen)?;
    let mut failed = Vec::new();
    for input in Input::ALL {
        let of_input: Vec<_> = chosen.iter().filter(|job| job.input == input).collect();
        if of_input.is_empty() {
            continue;
        }
        let place = bench.prepare(input)?;
        for job in of_input {
            eprintln!("{}: {}", job.name, job.what);
            if let Err(error) = bench.measure(&place, job) {
                eprintln!("{}: {error:#}", job.name);
                failed.push(job.name);
            }
        }
        // What the next ones write needs the space.
        std::fs::remove_dir_all(place.folder())?;
        kafka::delete_topics(&site, TOPICS)?;
    }
    ensure!(failed.is_empty(), "these jobs failed, in part or as a whole: {}", failed.join(", "));
    Ok(())
}

/// A run: where it measures, and what it has found.
struct Bench<'a> {
    run: &'a Run,
    site: &'a Site,
    head: String,
    table: Table,
    /// What a bare client reads of a topic, in events a second, once it was measured.
    bare: HashMap<&'static str, Vec<f64>>,
}

impl<'a> Bench<'a> {
    fn new(run: &'a Run, site: &'a Site, chosen: &[&Job]) -> Result<Self> {
        let [flights, nexmark] = Input::ALL.map(|input| run.options.events.unwrap_or_else(|| input.usual_events()));
        Input::ALL.iter().zip([flights, nexmark]).try_for_each(|(input, events)| input.check(events))?;
        #[expect(clippy::cast_precision_loss, reason = "a number of events")]
        let [flights, nexmark] = [flights, nexmark].map(|events| grouped(events as f64));
        let head = format!(
            "{}\n\n{flights} flights, {nexmark} events of Nexmark, as JSON in topics of {PARTITIONS} partitions. Kafka 4.3.1, Spark 4.1.1 and Flink 2.0.1 on \
             the same machine. Millstream's rows/s are medians of {ROUNDS} rounds, with the least and the most; from the built-in endpoint if nothing else is said.",
            run.head()
        );
        let measured: Vec<_> = chosen.iter().map(|job| job.what).collect();
        let table = Table::new(JOBS.iter().map(|job| job.what).collect(), &measured, &head, &page::read(SECTION)?);
        Ok(Self { run, site, head, table, bare: HashMap::new() })
    }

    fn events(&self, input: Input) -> u64 {
        self.run.options.events.unwrap_or_else(|| input.usual_events())
    }

    fn bootstrap(&self) -> String {
        self.site.address("kafka", "port")
    }

    /// Publishes an input's events to the real Kafka and to the built-in endpoint of the place that it gives.
    fn prepare(&self, input: Input) -> Result<Place> {
        kafka::delete_topics(self.site, TOPICS)?;
        for topic in input.topics() {
            kafka::create_topic(self.site, &topic.topic, PARTITIONS)?;
        }
        let kafka = self.bootstrap();
        eprintln!("publishing {} events of {}", self.events(input), input.name());
        ours::built_in(self.run.build, input, |built_in| input.publish(self.run.build, &[built_in, &kafka], self.events(input)))
    }

    /// Everybody at one job. A program that fails leaves the others their turn.
    fn measure(&mut self, place: &Place, job: &'static Job) -> Result<()> {
        let rows = job.rows(self.events(job.input));
        let ours = ours::rounds(place, self.run.build, job, rows, "bench_stream_out")?;
        self.add(job, &ours.line("**Millstream**"))?;
        let mut errors = Vec::new();
        let rate = ours.rate();
        errors.extend(self.spark(job, rate).err());
        if let Some(query) = job.flink_query {
            errors.extend(self.flink(job, query, rate).err());
        }
        if job.stateless {
            errors.extend(self.on_kafka(job, rows).err());
        }
        match errors.is_empty() {
            true => Ok(()),
            false => bail!(errors.iter().map(|error| format!("{error:#}")).collect::<Vec<_>>().join("\n")),
        }
    }

    fn spark(&mut self, job: &'static Job, ours: f64) -> Result<()> {
        let (limit, to) = (self.peer_limit(), self.topic_of_peer(job, "spark")?);
        let watched = spark::run(&self.bootstrap(), job, self.events(job.input), to.as_deref(), limit)?;
        self.delete(to.as_deref())?;
        let line = Reached::read(&watched.lines)?.line(spark::NAME, &watched, ours, Some(job.goal()), limit);
        self.add(job, &line)
    }

    fn flink(&mut self, job: &'static Job, query: &str, ours: f64) -> Result<()> {
        let (limit, to) = (self.peer_limit(), self.topic_of_peer(job, "flink")?);
        let watched = flink::run(&self.bootstrap(), job, query, self.events(job.input), to.as_deref(), limit)?;
        self.delete(to.as_deref())?;
        let line = Reached::read(&watched.lines)?.line(flink::NAME, &watched, ours, None, limit);
        self.add(job, &line)
    }

    /// Millstream from the real Kafka, beside a client that reads the topic and does nothing.
    fn on_kafka(&mut self, job: &'static Job, rows: u64) -> Result<()> {
        let place = ours::on_kafka(self.site, job)?;
        let out = format!("bench_stream_out_{}", job.name);
        let ours = ours::rounds(&place, self.run.build, job, rows, &out)?;
        kafka::delete_topics(self.site, &out)?;
        self.add(job, &ours.line("**Millstream**, from Kafka"))?;
        let [table] = job.reads else { bail!("{} reads several topics", job.name) };
        let rates = match self.bare.get(table) {
            Some(rates) => rates.clone(),
            None => bare_client(&self.bootstrap(), &job.input.topic(table)?.topic, rows)?,
        };
        self.bare.insert(table, rates.clone());
        let ratio = Some(ours.rate() / median(&rates));
        let program = "kcat reading the topic, beside Millstream from Kafka".to_owned();
        self.add(job, &Line { program, rates, ratio, goal: Some(SHARE_OF_BARE), ..Line::default() })
    }

    fn peer_limit(&self) -> Duration {
        Duration::from_secs(self.run.options.peer_seconds)
    }

    /// An empty topic for what `peer` writes, if the job writes to one.
    fn topic_of_peer(&self, job: &Job, peer: &str) -> Result<Option<String>> {
        let topic = format!("bench_stream_{}_{peer}", job.name);
        if !job.to_topic {
            return Ok(None);
        }
        kafka::create_topic(self.site, &topic, PARTITIONS)?;
        Ok(Some(topic))
    }

    /// What was written there needs the space.
    fn delete(&self, topic: Option<&str>) -> Result<()> {
        topic.map_or(Ok(()), |topic| kafka::delete_topics(self.site, topic))
    }

    /// Shows a figure, and writes the page with it.
    fn add(&mut self, job: &Job, line: &Line) -> Result<()> {
        let text = self.table.add(job.what, line).context("a job without a place in the table")?;
        println!("{text}");
        self.run.write(SECTION, &format!("{}\n\n{}", self.head, self.table.text()))
    }
}

/// How fast kcat (librdkafka) reads the topic and drops what it reads, in events a second.
fn bare_client(bootstrap: &str, topic: &str, rows: u64) -> Result<Vec<f64>> {
    (0..ROUNDS)
        .map(|_| {
            let start = now();
            run::captured(Command::new("kcat").args(["-C", "-b", bootstrap, "-t", topic, "-o", "beginning", "-e", "-q", "-f", ""]))?;
            #[expect(clippy::cast_precision_loss, reason = "a number of rows")]
            let rate = rows as f64 / start.elapsed().as_secs_f64();
            eprintln!("kcat: {rate:.0} events/s");
            Ok(rate)
        })
        .collect()
}
