//! A report that is read in a loop while it is refreshed in a loop while events come in: every read is one publication, whole.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::clients;
use super::process::{Millstream, folder};
use crate::workspace;

/// Twice in one statement, so that a statement that saw two publications gives itself away.
const READ: &str = "select count(*), coalesce(sum(departures), 0) as departures, (select coalesce(sum(departures), 0) from carrier_daily) as again from carrier_daily";

/// Publishes the flights at a bounded rate, and looks at the report until all are in.
pub fn run() -> Result<()> {
    let mut millstream = Millstream::start(&folder("report")?, &["run", "examples/flights/pipeline.sql"])?;
    millstream.wait_until_ready(Duration::from_secs(30))?;
    let mut publisher = Command::new(workspace::program()?)
        .args(["publish-flights", "--rate", "40000", "--bootstrap", &millstream.kafka])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("can't start the publisher")?;
    let over = AtomicBool::new(false);
    let sql = millstream.sql.clone();
    let (reads, seen) = std::thread::scope(|scope| -> Result<_> {
        let reader = scope.spawn(|| read_until(&sql, &over));
        let refreshed = refresh_until_published(&millstream, &mut publisher);
        over.store(true, Ordering::Relaxed);
        refreshed?;
        reader.join().unwrap_or_else(|_| bail!("the reader panicked"))
    })?;
    let published = clients::psql(&millstream.sql, "select rows from system.jobs where state = 'succeeded'")?;
    let published: Vec<u64> = published.lines().map(str::parse).collect::<Result<_, _>>()?;
    for rows in seen.keys().filter(|rows| **rows > 0) {
        ensure!(published.contains(rows), "a reader saw {rows} rows, which no run published: {published:?}");
    }
    ensure!(seen.len() > 2, "only {} states were seen in {reads} reads: it proves nothing", seen.len());
    eprintln!("{reads} reads saw {} states of {} publications, all whole", seen.len(), published.len());
    Ok(())
}

fn refresh_until_published(millstream: &Millstream, publisher: &mut Child) -> Result<()> {
    while publisher.try_wait()?.is_none() {
        millstream.command(&["refresh", "carrier_daily"])?;
    }
    ensure!(publisher.wait()?.success(), "the publisher failed");
    Ok(())
}

/// Reads until `over`: how often, and the departures that were last seen with each number of rows.
fn read_until(sql: &str, over: &AtomicBool) -> Result<(u32, BTreeMap<u64, u64>)> {
    let mut seen = BTreeMap::new();
    let mut last = (0, 0);
    let mut reads = 0;
    while !over.load(Ordering::Relaxed) {
        let now = one_publication(&clients::psql(sql, READ)?)?;
        ensure!(now.0 >= last.0 && now.1 >= last.1, "the report went back from {last:?} to {now:?}");
        ensure!((now.0 == 0) == (now.1 == 0), "a publication has {} rows and {} departures", now.0, now.1);
        seen.insert(now.0, now.1);
        last = now;
        reads += 1;
    }
    Ok((reads, seen))
}

/// The rows and departures of one read; an error when the statement saw more than one publication.
fn one_publication(answer: &str) -> Result<(u64, u64)> {
    let numbers: Vec<u64> = answer.split(' ').map(str::parse).collect::<Result<_, _>>().with_context(|| format!("{READ}: {answer:?}"))?;
    let [rows, departures, again] = numbers[..] else { bail!("{READ}: {answer:?}") };
    ensure!(departures == again, "one statement saw {departures} and {again} departures");
    Ok((rows, departures))
}
