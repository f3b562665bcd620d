//! Nothing is lost and nothing is doubled: after any number of kill -9 the tables are those of a run that was never killed.
//!
//! The flights go in through an idempotent producer in a process of its own, which lives on while `millstream run` is killed and started
//! again below it. `KILLS_SEED` chooses other points.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::{Child, Stdio};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;

use super::process::{Place, Running, millstream};

/// How often it is killed.
const KILLS: usize = 20;

/// Flights in the input.
const FLIGHTS: u64 = 336_776;

/// The tables' rows, sorted: what two runs must have alike.
type Content = BTreeMap<&'static str, Vec<String>>;

/// What is compared. The columns of set-aside rows that tell when and in which epoch are left out: they may differ between valid runs.
const TABLES: &[(&str, &str)] = &[
    ("departures", "select * from departures"),
    ("hourly_delays", "select * from hourly_delays"),
    ("critical_delays", "select * from critical_delays"),
    ("carrier_daily", "select * from carrier_daily"),
    ("dead_letters", "select flow, source, \"partition\", \"offset\", value, reason from system.dead_letters"),
    ("late_rows", "select flow, source, \"partition\", \"offset\", value, event_time, window_end from system.late_rows"),
];

/// The flights example in a folder of its own, with a port that stays the same over all restarts.
struct Site {
    place: Place,
    kafka: String,
}

impl Site {
    fn new() -> Self {
        let example = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/flights");
        let place = Place::with(&std::fs::read_to_string(example.join("pipeline.sql")).unwrap());
        std::fs::create_dir(place.dir().join("reference")).unwrap();
        for name in ["airlines.parquet", "airports.parquet", "planes.parquet"] {
            std::fs::copy(example.join("reference").join(name), place.dir().join("reference").join(name)).unwrap();
        }
        let kafka = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        Self { place, kafka }
    }

    fn start(&self, settings: &[(&str, &str)]) -> Running {
        let mut all = vec![("MILLSTREAM_LISTEN__KAFKA", self.kafka.as_str())];
        all.extend_from_slice(settings);
        Running::start(&self.place, &all)
    }

    /// The producer, with faults among the flights.
    fn publish(&self, late: bool) -> Child {
        let mut command = millstream();
        command.args(["publish-flights", "--faults", "--bootstrap", &self.kafka]).stdout(Stdio::null());
        if late {
            command.arg("--late-events");
        }
        command.spawn().unwrap()
    }
}

/// Source rows that wait, over all flows; `None` while a flow has not begun, or has read nothing yet.
pub fn lag(running: &Running) -> Option<u64> {
    let status = running.status();
    let flows = status["pipeline"]["flows"].as_array().unwrap().clone();
    let failed: Vec<_> = flows.iter().filter(|f| f["phase"] == "failed").collect();
    assert!(failed.is_empty(), "{failed:?}");
    flows.iter().map(|f| f["lag"].as_u64().filter(|_| f["phase"] == "running")).sum()
}

/// Waits until everything that was acknowledged is processed: no lag, and nothing more comes of it.
fn settle(running: &Running) {
    let rows = |query: &str| running.rows(query).unwrap();
    let everything = || TABLES.iter().map(|(_, query)| rows(&format!("select count(*) from ({query}) t"))).collect::<Vec<_>>();
    loop {
        assert!(running.until(|| lag(running).filter(|lag| *lag == 0)).is_some(), "the flows never caught up: {}", running.status());
        // A feed's flow may only now learn of what the flow before it has written.
        let before = everything();
        if lag(running) == Some(0) && everything() == before {
            return;
        }
    }
}

/// Sends the late events, waits for all, refreshes the report and reads everything.
fn finish(site: &Site, running: &Running) -> Content {
    settle(running);
    assert!(site.publish(true).wait().unwrap().success());
    settle(running);
    running.call(&json!({ "command": "refresh", "name": "carrier_daily" })).unwrap();
    TABLES
        .iter()
        .map(|(table, query)| {
            let mut rows = running.rows(query).unwrap();
            rows.sort_unstable();
            (*table, rows)
        })
        .collect()
}

fn undisturbed() -> Content {
    let site = Site::new();
    let running = site.start(&[]);
    assert!(site.publish(false).wait().unwrap().success());
    finish(&site, &running)
}

/// The first difference between two runs.
fn difference(undisturbed: &Content, killed: &Content) -> Option<String> {
    TABLES.iter().find_map(|(table, _)| {
        let (a, b) = (&undisturbed[table], &killed[table]);
        if a == b {
            return None;
        }
        let only = |a: &[String], b: &[String]| a.iter().filter(|row| b.binary_search(row).is_err()).take(3).cloned().collect::<Vec<_>>();
        Some(format!("{table}: {} rows against {}; only undisturbed: {:?}; only killed: {:?}", a.len(), b.len(), only(a, b), only(b, a)))
    })
}

fn seed() -> u64 {
    let seed = std::env::var("KILLS_SEED").ok().map_or(2013, |text| text.parse().unwrap());
    eprintln!("KILLS_SEED={seed}");
    seed
}

/// So many flights are in the event store.
fn departed(running: &Running) -> u64 {
    running.rows("select count(*) from departures").unwrap()[0].parse().unwrap()
}

#[test]
fn after_twenty_kills_every_table_is_that_of_an_undisturbed_run() {
    let mut rng = StdRng::seed_from_u64(seed());
    let mut points: Vec<u64> = (0..KILLS).map(|_| rng.random_range(FLIGHTS / 20..FLIGHTS / 20 * 19)).collect();
    points.sort_unstable();
    eprintln!("killed when departures holds {points:?} rows");
    let site = Site::new();
    let mut running = site.start(&[]);
    let mut publisher = site.publish(false);
    for point in points {
        assert!(
            running.until(|| Some(departed(&running)).filter(|rows| *rows >= point)).is_some(),
            "stuck before {point}: {}",
            running.status()
        );
        running.kill();
        running = site.start(&[]);
    }
    assert!(publisher.wait().unwrap().success());
    let killed = finish(&site, &running);
    assert_eq!(difference(&undisturbed(), &killed), None);
}

/// Runs with the engine told to die at `fault`, then with `defect` alone, and reads everything.
fn after_fault(fault: &str, defect: &str) -> (bool, Content) {
    let site = Site::new();
    let running = site.start(&[("MILLSTREAM_ENGINE__FAULT", &format!("{fault},{defect}"))]);
    let mut publisher = site.publish(false);
    let (status, _) = running.ended();
    let died = status.code().is_none();
    let running = site.start(&[("MILLSTREAM_ENGINE__FAULT", defect)]);
    assert!(publisher.wait().unwrap().success());
    (died, finish(&site, &running))
}

#[test]
fn a_death_between_a_sinks_write_and_the_commit_loses_and_doubles_nothing() {
    let expected = undisturbed();
    for place in ["prepared", "quarantined", "committed"] {
        for flow in ["departures", "hourly_delays", "critical_delays"] {
            let (died, content) = after_fault(&format!("abort:{place}:{flow}:3"), "none");
            assert!(died, "{place} {flow}: it did not die");
            assert_eq!(difference(&expected, &content), None, "{place} {flow}");
        }
    }
}

#[test]
fn a_build_that_commits_before_the_sink_acknowledged_is_noticed() {
    // The epoch that was lost leaves a gap, which the sink refuses: the flow fails, and with it this test's wait for it.
    let outcome = std::panic::catch_unwind(|| after_fault("abort:prepared:departures:3", "mutant:commit-before-ack"));
    match outcome {
        Ok((died, content)) => {
            assert!(died);
            assert!(difference(&undisturbed(), &content).is_some(), "the mutant went unnoticed");
        }
        Err(panic) => {
            let told = panic.downcast_ref::<String>().map(String::as_str).unwrap_or_default();
            assert!(told.contains("departures") && told.contains("failed"), "something else went wrong: {told}");
        }
    }
}
