//! Outages: a system is paused or killed in the middle of the demo. Millstream waits, says so, goes on by itself, and its figures are
//! those of an undisturbed run.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::bed::{ALL, Bed};
use super::watch;
use crate::ci::now;
use crate::e2e::{clients, figures};
use crate::services::Site;

/// What happens to a system.
#[derive(Clone, Copy, Debug)]
pub enum Outage {
    /// SIGSTOP, and SIGCONT 20 s later: connections stay open, and nobody answers.
    Paused,
    /// SIGKILL, and started again 5 s later on the same ports and data.
    Killed,
}

impl Outage {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::Killed => "killed",
        }
    }

    fn lasts(self) -> Duration {
        match self {
            Self::Paused => Duration::from_secs(20),
            Self::Killed => Duration::from_secs(5),
        }
    }
}

/// The systems that can be taken away from the demo.
pub const SYSTEMS: [&str; 4] = ["kafka", "cassandra", "postgresql", "redis"];

/// Events a second, so that the demo has a middle: it publishes for about 14 s.
const RATE: &str = "25000";

/// Events after which the system goes away. The report is written when all are processed: PostgreSQL's outage begins late.
fn point(system: &str) -> u64 {
    if system == "postgresql" { 300_000 } else { 100_000 }
}

/// How long the demo may take with an outage, on a machine that does other work too.
const LIMIT: Duration = Duration::from_secs(400);

/// Runs the demo with all engines real, and takes `system` away.
pub fn run(site: &mut Site, system: &str, outage: Outage) -> Result<()> {
    let outcome = disturb(site, system, outage);
    // The next check needs it, whatever happened.
    match outage {
        Outage::Paused => site.resume(system)?,
        Outage::Killed if !site.runs(system) => site.start(system)?,
        Outage::Killed => {}
    }
    outcome
}

fn disturb(site: &mut Site, system: &str, outage: Outage) -> Result<()> {
    let bed = Bed::make(site, ALL, &format!("{}_{system}", outage.name()))?;
    let mut demo = bed.start(&["demo", "--rate", RATE])?;
    watch::wait_until_processed(&mut demo, point(system), LIMIT)?;
    match outage {
        Outage::Paused => site.pause(system)?,
        Outage::Killed => site.kill(system)?,
    }
    let began = now();
    watch::wait_until_away(&mut demo, system, LIMIT)?;
    eprintln!("{system} is {} and known to be away after {:.1} s", outage.name(), began.elapsed().as_secs_f64());
    if system == "redis" {
        websites_go_on(&demo.http).with_context(|| demo.log())?;
    }
    std::thread::sleep(outage.lasts().saturating_sub(began.elapsed()));
    match outage {
        Outage::Paused => site.resume(system)?,
        Outage::Killed => site.start(system)?,
    }
    let back = now();
    demo.wait_for_line(LIMIT, "psql").with_context(|| demo.log())?;
    eprintln!("the demo ended {:.1} s after {system} was back", back.elapsed().as_secs_f64());
    watch::wait_until_ready(&mut demo, Duration::from_secs(60))?;
    figures::compare(&demo.sql)?;
    eprintln!("{}", demo.command(&["verify"]).context("verify does not reconcile")?);
    Ok(())
}

/// Critical events are read from the event store, and soon without waiting for Redis. No two reads are of one key: an absent row would be
/// remembered, and nobody asked for it again.
fn websites_go_on(http: &str) -> Result<()> {
    let read = |id: u32| -> Result<Duration> {
        let began = now();
        let path = format!("/v1/tables/critical_delays?origin=EWR&flight_date=2013-07-22&ts=2013-07-22T19:00:00Z&event_id={id}");
        let answer = clients::get(http, &path)?;
        let goes_on = [200, 404].contains(&answer.status) && answer.headers.contains("fwd=bypass");
        ensure!(goes_on, "without Redis, GET {path} is {} with {}", answer.status, answer.headers);
        Ok(began.elapsed())
    };
    // More than http.critical_failures_max, each of which waits for http.critical_timeout_ms at most.
    let waited = (0..8).map(read).sum::<Result<Duration>>()?;
    let last = read(8)?;
    eprintln!("8 reads without redis took {:.1} s, the next {:.3} s", waited.as_secs_f64(), last.as_secs_f64());
    ensure!(last < Duration::from_secs(1), "a read still waits for Redis: {last:?}");
    Ok(())
}
