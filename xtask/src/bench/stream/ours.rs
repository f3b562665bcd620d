//! Millstream at a job: from a topic's beginning to its end, several times, on the built-in endpoint or on the real Kafka.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use toml::Table;

use super::input::{Input, write_pipeline};
use super::jobs::Job;
use super::table::Line;
use crate::bench::Build;
use crate::bench::page::median;
use crate::ci::now;
use crate::e2e::engines::watch;
use crate::e2e::process::{Millstream, Place, folder, until};
use crate::services::{self, Site};

/// How many times each job is done.
pub const ROUNDS: usize = 3;

/// A round may take this long.
const LIMIT: Duration = Duration::from_secs(900);

/// A query that reads no row of an input to its end, for the time in which its topics are filled.
const IDLE: [&str; 2] = ["SELECT event_id FROM STREAM flights WHERE event_id < 0", "SELECT auction FROM STREAM bid WHERE auction < 0"];

/// What came of a job's rounds.
pub struct Rounds(Vec<Figures>);

/// What came of one.
struct Figures {
    rows_per_s: f64,
    rows_per_core_s: f64,
    peak_bytes: f64,
    /// Whether the rows were too few to be watched, so that the time since the start counts.
    with_start: bool,
}

impl Rounds {
    /// The median of the rows a second.
    pub fn rate(&self) -> f64 {
        self.median(|figures| figures.rows_per_s)
    }

    fn median(&self, of: fn(&Figures) -> f64) -> f64 {
        median(&self.0.iter().map(of).collect::<Vec<_>>())
    }

    /// The line of the page.
    pub fn line(&self, program: &str) -> Line {
        Line {
            program: program.to_owned(),
            rates: self.0.iter().map(|figures| figures.rows_per_s).collect(),
            remark: self.0.iter().any(|figures| figures.with_start).then(|| "start-up included".to_owned()),
            rate_per_core: Some(self.median(|figures| figures.rows_per_core_s)),
            peak_bytes: Some(self.median(|figures| figures.peak_bytes)),
            ..Line::default()
        }
    }
}

/// A place on built-in engines whose topics hold what `publish` gives to the endpoint that it is handed.
pub fn built_in(build: Build, input: Input, publish: impl FnOnce(&str) -> Result<()>) -> Result<Place> {
    let folder = folder(&format!("bench-stream-{}", input.name()))?;
    let place = Place::new(&folder, "")?;
    let idle = IDLE.get(input as usize).context("an input without a query")?;
    write_pipeline(&folder, input, "bench_stream_out", idle)?;
    let mut millstream = place.start_build(&build.program()?, &["run", &pipeline(&folder)])?;
    millstream.wait_until_ready(Duration::from_secs(60))?;
    publish(&millstream.kafka)?;
    millstream.must_run()?;
    Ok(place)
}

/// A place whose topics are the real Kafka's.
pub fn on_kafka(site: &Site, job: &Job) -> Result<Place> {
    let mut settings = site.table().get("kafka").and_then(toml::Value::as_table).cloned().context("no [kafka]")?;
    settings.insert("group_id_prefix".to_owned(), format!("bench-stream-{}", job.name).into());
    let sections: Table = services::table([("kafka", settings.into())]);
    Place::new(&folder("bench-stream-kafka")?, &sections.to_string())
}

fn pipeline(folder: &Path) -> String {
    folder.join("pipeline.sql").display().to_string()
}

/// The job over `rows` rows from the topics' beginning, several times; what it writes goes to the topic `out`.
pub fn rounds(place: &Place, build: Build, job: &Job, rows: u64, out: &str) -> Result<Rounds> {
    write_pipeline(place.folder(), job.input, out, job.query)?;
    let rounds = (0..ROUNDS).map(|_| {
        // What stands there is of another job, or of the round before.
        if place.has_data() {
            place.run_build(&build.program()?, &["reset", "out", "--pipeline", &pipeline(place.folder())])?;
        }
        let figures = round(place, build, rows)?;
        eprintln!(
            "millstream: {:.0} rows/s, {:.0} a core, {:.0} MB",
            figures.rows_per_s,
            figures.rows_per_core_s,
            figures.peak_bytes / 1e6
        );
        Ok(figures)
    });
    rounds.collect::<Result<_>>().map(Rounds)
}

/// Rows a second from the first committed epoch that is seen to the last.
fn round(place: &Place, build: Build, rows: u64) -> Result<Figures> {
    let started = now();
    let mut millstream = place.start_build(&build.program()?, &["run", &pipeline(place.folder())])?;
    let (mut begun, mut before) = reach(&mut millstream, 1)?;
    let mut cpu_before = millstream.cpu_seconds()?;
    let (ended, after) = reach(&mut millstream, rows)?;
    ensure!(after == rows, "{after} events were processed of {rows}");
    let with_start = before > rows / 2;
    if with_start {
        (begun, before, cpu_before) = (started, 0, 0.0);
    }
    let cpu = millstream.cpu_seconds()? - cpu_before;
    #[expect(clippy::cast_precision_loss, reason = "a number of rows, and of bytes")]
    let (rows, peak_bytes) = ((after - before) as f64, millstream.peak_memory()? as f64);
    Ok(Figures { rows_per_s: rows / ended.duration_since(begun).as_secs_f64(), rows_per_core_s: rows / cpu, peak_bytes, with_start })
}

/// When `rows` were seen processed, and how many were then.
fn reach(millstream: &mut Millstream, rows: u64) -> Result<(Instant, u64)> {
    let http = millstream.http.clone();
    let mut processed = 0;
    until(LIMIT, &format!("{rows} events are processed"), || {
        millstream.must_run()?;
        processed = watch::processed(&http, "out")?;
        Ok(processed >= rows)
    })
    .with_context(|| millstream.log())?;
    Ok((now(), processed))
}
