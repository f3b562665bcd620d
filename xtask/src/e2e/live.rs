//! The demo while it serves: every figure over psql, the topic over kcat, one new event through all boxes, two members of a group.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::process::{Millstream, folder, until};
use super::{clients, figures};
use crate::ci::now;

const EVENTS: usize = 336_776;
/// How long a new event may take to be seen everywhere.
const LATENCY: Duration = Duration::from_secs(1);

/// Starts the demo, and lets each client at it in turn.
pub fn run() -> Result<()> {
    let folder = folder("live")?;
    let mut demo = Millstream::start(&folder, &["demo"])?;
    demo.wait_for_line(Duration::from_secs(120), "psql")?;
    figures::compare(&demo.sql)?;
    psql_finds_its_way(&demo.sql)?;
    let records = clients::count(&demo.kafka, "flights")?;
    ensure!(records == EVENTS, "kcat counts {records} records on the topic");
    verify(&demo)?;
    a_new_event_is_seen_everywhere(&demo)?;
    a_group_survives_its_member(&demo.kafka, &folder)?;
    critical_events_outlive_the_cache_and_the_topic(&demo)
}

fn verify(demo: &Millstream) -> Result<()> {
    demo.command(&["verify"]).map(|said| eprintln!("{said}")).context("verify does not reconcile")
}

/// What a person types first.
fn psql_finds_its_way(sql: &str) -> Result<()> {
    for command in [r"\dt", r"\d"] {
        let page = clients::psql_page(sql, command)?;
        for table in ["departures", "hourly_delays", "critical_delays", "carrier_daily", "airlines"] {
            ensure!(page.contains(table), "{command} does not list {table}:\n{page}");
        }
    }
    let page = clients::psql_page(sql, r"\d departures")?;
    ensure!(page.contains("flight_date"), "\\d departures has no columns:\n{page}");
    let join = "select a.name, sum(c.departures) from carrier_daily c join airlines a on a.carrier = c.carrier where c.carrier = 'UA' group by a.name";
    let answer = clients::psql(sql, join)?;
    ensure!(answer == "United Air Lines Inc. 58665", "a join of carrier_daily with airlines answers {answer:?}");
    Ok(())
}

/// A departure that nobody has heard of is read as missing, then produced by hand, then there: over psql and over HTTP, and, delayed as
/// it is, among the critical ones.
fn a_new_event_is_seen_everywhere(demo: &Millstream) -> Result<()> {
    let departure = "/v1/tables/departures?origin=EWR&flight_date=2014-01-01&ts=2014-01-01T08:00:00Z&event_id=400001";
    let critical = departure.replace("departures", "critical_delays");
    for path in [departure, critical.as_str()] {
        let answer = clients::get(&demo.http, path)?;
        ensure!(!answer.body.contains("ZZ"), "{path} is there before it was sent: {answer:?}");
    }
    let event = r#"{"event_id":400001,"ts":"2014-01-01T08:00:00Z","carrier":"ZZ","flight":1,"origin":"EWR","dest":"BOS","dep_delay":150}"#;
    let sent = now();
    clients::produce(&demo.kafka, "flights", event)?;
    let acknowledged = now();
    until(Duration::from_secs(10), "the new departure is in psql", || {
        Ok(clients::psql(&demo.sql, "select carrier from departures where origin = 'EWR' and flight_date = '2014-01-01'")? == "ZZ")
    })?;
    for path in [departure, critical.as_str()] {
        until(Duration::from_secs(10), path, || Ok(clients::get(&demo.http, path)?.body.contains("ZZ")))?;
    }
    let took = acknowledged.elapsed();
    eprintln!("seen everywhere {} ms after kcat ended ({} ms after it began)", took.as_millis(), sent.elapsed().as_millis());
    ensure!(took < LATENCY * 3, "a new event took {took:?}");
    let again = clients::get(&demo.http, departure)?;
    ensure!(again.headers.contains("cache-status"), "no Cache-Status in {}", again.headers);
    Ok(())
}

/// With its cache empty, a critical event is served from the event store and cached again; and so it is after its topic is gone.
fn critical_events_outlive_the_cache_and_the_topic(demo: &Millstream) -> Result<()> {
    let worst =
        "select origin, flight_date, event_id, to_char(ts, '%Y-%m-%dT%H:%M:%SZ') from critical_delays order by dep_delay desc limit 2";
    let rows = clients::psql(&demo.sql, worst)?;
    let paths: Vec<String> = rows
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .filter_map(|fields| match fields[..] {
            [origin, date, id, ts] => Some(format!("/v1/tables/critical_delays?origin={origin}&flight_date={date}&ts={ts}&event_id={id}")),
            _ => None,
        })
        .collect();
    let [first, second] = &paths[..] else { bail!("the worst delays are {rows:?}") };
    demo.command(&["evict", "critical_delays"])?;
    served_from_the_store_once(demo, first)?;
    clients::delete_topic(&demo.kafka, "flights")?;
    served_from_the_store_once(demo, second)
}

/// The first read comes from the event store, the second from the cache.
fn served_from_the_store_once(demo: &Millstream, path: &str) -> Result<()> {
    for origin in ["fwd=miss", "hit"] {
        let answer = clients::get(&demo.http, path)?;
        ensure!(answer.status == 200 && answer.body.contains("dep_delay"), "{path}: {answer:?}");
        ensure!(answer.headers.contains(origin), "{path} does not come by {origin}: {}", answer.headers);
    }
    Ok(())
}

/// Two kcat members share the partitions of a topic; one is killed; the other reads what both would have read.
fn a_group_survives_its_member(kafka: &str, folder: &Path) -> Result<()> {
    let member = |name: &str| -> Result<Member> {
        let out = folder.join(name);
        let mut kcat = Command::new("kcat");
        let settings = ["-X", "session.timeout.ms=6000", "-X", "auto.offset.reset=latest", "-X", "heartbeat.interval.ms=500"];
        kcat.args(["-b", kafka, "-u", "-q"]).args(settings).args(["-f", "%p %s\n", "-G", "e2e-group", "flights"]);
        let child = kcat.stdout(std::fs::File::create(&out)?).stderr(Stdio::null()).spawn().context("can't start kcat")?;
        Ok(Member { child, out })
    };
    let first = member("member-1")?;
    let second = member("member-2")?;
    let partitions = [0, 1, 2, 3];
    let send = |round: u32| -> Result<()> {
        for partition in partitions {
            let event = format!(
                r#"{{"event_id":{},"ts":"2014-01-02T08:00:00Z","carrier":"ZZ","origin":"JFK","flight":{round}}}"#,
                500_000 + round * 10 + partition
            );
            let mut kcat = Command::new("kcat");
            kcat.args(["-P", "-b", kafka, "-t", "flights", "-p", &partition.to_string()]);
            let mut child = kcat.stdin(Stdio::piped()).spawn().context("can't start kcat")?;
            std::io::Write::write_all(&mut child.stdin.take().context("no stdin")?, event.as_bytes())?;
            ensure!(child.wait()?.success(), "kcat -P failed");
        }
        Ok(())
    };
    let mut round = 0;
    until(Duration::from_secs(60), "both members read", || {
        round += 1;
        send(round)?;
        Ok(!first.partitions()?.is_empty() && !second.partitions()?.is_empty())
    })?;
    drop(first);
    let before = second.partitions()?;
    until(Duration::from_secs(60), "the second member reads all partitions", || {
        round += 1;
        send(round)?;
        Ok(second.partitions()?.len() == partitions.len())
    })?;
    eprintln!("the second member read partitions {before:?}, and all four after the first was killed");
    Ok(())
}

/// A kcat in a group; killed when dropped.
struct Member {
    child: Child,
    out: std::path::PathBuf,
}

impl Member {
    /// The partitions that it has read from.
    fn partitions(&self) -> Result<std::collections::BTreeSet<String>> {
        let text = std::fs::read_to_string(&self.out)?;
        Ok(text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect())
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
