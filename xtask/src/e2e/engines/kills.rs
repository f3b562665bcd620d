//! Millstream is killed with SIGKILL at random points, again and again, and every table is that of a run that was never killed.
//!
//! The flights, with faults among them, come from an idempotent producer in a process of its own, which lives on.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::bed::{Bed, Mix};
use super::watch;
use crate::e2e::clients;
use crate::e2e::process::{Millstream, Place, folder, until};
use crate::services::Site;
use crate::workspace;

/// Events of a run, a fifth of the year.
const EVENTS: u64 = 70_000;

/// Events a second, so that there is time for the kills.
const RATE: &str = "12000";

/// How often Millstream is killed in a run.
const KILLS: u64 = 3;

const LIMIT: Duration = Duration::from_secs(240);

/// Tables, and what two runs must have alike in them. The columns of set-aside rows that tell when and in which epoch may differ.
const TABLES: [(&str, &str); 6] = [
    ("departures", "select * from departures"),
    ("hourly_delays", "select * from hourly_delays"),
    ("critical_delays", "select * from critical_delays"),
    ("carrier_daily", "select * from carrier_daily"),
    ("dead_letters", "select flow, source, \"partition\", \"offset\", value, reason from system.dead_letters"),
    ("late_rows", "select flow, source, \"partition\", \"offset\", value, event_time, window_end from system.late_rows"),
];

/// The tables' rows, in order.
type Content = BTreeMap<&'static str, Vec<String>>;

/// `runs` runs on `mix`, each with kills at other points.
pub fn run_all(site: &Site, mix: Mix, runs: u64) -> Result<()> {
    let expected = undisturbed()?;
    let first = std::env::var("KILLS_SEED").ok().map_or(Ok(2013), |text| text.parse()).context("KILLS_SEED is not a number")?;
    for seed in first..first + runs {
        run(site, mix, seed, &expected).with_context(|| format!("KILLS_SEED={seed}"))?;
    }
    Ok(())
}

/// What a run on built-in engines that nothing disturbs leaves in the tables.
fn undisturbed() -> Result<Content> {
    let place = Place::new(&folder("engines/undisturbed")?, "")?;
    let mut millstream = place.start(&["run", "examples/flights/pipeline.sql"])?;
    watch::wait_until_ready(&mut millstream, Duration::from_secs(30))?;
    Publisher::start(&place.kafka, "flights")?.finish()?;
    finish(&mut millstream, 1)
}

/// Runs on `mix`, killed at points that `seed` chooses, and compares with `expected`.
fn run(site: &Site, mix: Mix, seed: u64, expected: &Content) -> Result<()> {
    let mut random = StdRng::seed_from_u64(seed);
    let bed = Bed::make(site, mix, "kills")?;
    let start = || bed.start(&["run", "examples/flights/pipeline.sql"]);
    let mut millstream = start()?;
    watch::wait_until_ready(&mut millstream, LIMIT)?;
    let mut publisher = Publisher::start(&bed.bootstrap(), bed.topic())?;
    for _ in 0..KILLS {
        // Rows since its start: a Millstream that lives for a moment only, and one that gets far.
        let point = random.random_range(1..EVENTS / KILLS);
        until(LIMIT, &format!("{point} events are processed"), || {
            millstream.must_run()?;
            let all = publisher.has_ended()? && watch::caught_up(&millstream.http)?;
            Ok(all || watch::processed(&millstream.http, "departures")? >= point)
        })
        .with_context(|| millstream.log())?;
        millstream.kill()?;
        eprintln!("killed after {point} events (seed {seed})");
        millstream = start()?;
    }
    publisher.finish()?;
    let content = finish(&mut millstream, departures(expected)).with_context(|| millstream.log())?;
    differences(expected, &content)
}

/// `millstream publish-flights`, which ends with the run at the latest.
struct Publisher(Child);

impl Publisher {
    fn start(bootstrap: &str, topic: &str) -> Result<Self> {
        let mut command = Command::new(workspace::program()?);
        command.args([
            "publish-flights",
            "--faults",
            "--bootstrap",
            bootstrap,
            "--topic",
            topic,
            "--limit",
            &EVENTS.to_string(),
            "--rate",
            RATE,
        ]);
        let child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("can't start the publisher")?;
        Ok(Self(child))
    }

    fn has_ended(&mut self) -> Result<bool> {
        Ok(self.0.try_wait()?.is_some())
    }

    fn finish(mut self) -> Result<()> {
        let status = self.0.wait()?;
        ensure!(status.success(), "the publisher: {status}");
        Ok(())
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        // It has ended already when either fails.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How many rows `departures` has to have.
fn departures(expected: &Content) -> usize {
    expected.get("departures").map_or(0, Vec::len)
}

/// Waits for everything that was acknowledged, `departures` rows of that table at the least, refreshes the report, and reads all tables.
fn finish(millstream: &mut Millstream, departures: usize) -> Result<Content> {
    settle(millstream, departures)?;
    millstream.command(&["refresh", "carrier_daily"])?;
    millstream.command(&["verify"]).context("verify does not reconcile")?;
    let mut content = Content::new();
    for (table, query) in TABLES {
        let mut rows: Vec<_> = clients::psql(&millstream.sql, query)?.lines().map(str::to_owned).collect();
        rows.sort_unstable();
        content.insert(table, rows);
    }
    Ok(content)
}

/// Enough rows, no lag, and nothing more comes of it: a feed's flow may only now learn of what the flow before it has written.
fn settle(millstream: &mut Millstream, departures: usize) -> Result<()> {
    let (http, sql) = (millstream.http.clone(), millstream.sql.clone());
    let counts = || {
        let count = |(table, query): (&str, &str)| format!("select '{table}' as name, count(*) as rows from ({query}) t");
        clients::psql(&sql, &TABLES.map(count).join(" union all "))
    };
    let enough =
        |rows: &str| rows.lines().filter_map(|line| line.strip_prefix("departures ")?.parse().ok()).any(|n: usize| n >= departures);
    let mut after = String::new();
    until(LIMIT, &format!("everything is processed, {departures} departures at the least"), || {
        millstream.must_run()?;
        if !watch::caught_up(&http)? {
            return Ok(false);
        }
        let before = std::mem::replace(&mut after, counts()?);
        Ok(before == after && enough(&after))
    })
    .with_context(|| format!("rows at the end:\n{after}"))
}

fn differences(expected: &Content, found: &Content) -> Result<()> {
    let mut all = Vec::new();
    for (table, rows) in expected {
        let others = found.get(table).map_or(&[][..], Vec::as_slice);
        if rows != others {
            let only =
                |a: &[String], b: &[String]| a.iter().filter(|row| b.binary_search(row).is_err()).take(3).cloned().collect::<Vec<_>>();
            let (lost, new) = (only(rows, others), only(others, rows));
            all.push(format!("{table}: {} rows against {}; only undisturbed {lost:?}; only killed {new:?}", rows.len(), others.len()));
        }
    }
    if !all.is_empty() {
        bail!(all.join("\n"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
