//! State beyond memory under kill -9: what is in files at that moment is of no use afterwards, and nothing depends on it.

use std::collections::BTreeSet;
use std::net::TcpListener;

use millstream_adapters::kafka::{KafkaProducer, OutgoingRecord, ProducerSettings};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::kills::lag;
use super::process::{Place, Running};

/// Windows that close long after their rows came, and a join whose rows wait as long for others.
const PIPELINE: &str = "
CREATE TABLE readings (id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, meter STRING NOT NULL, value INT)
USING kafka OPTIONS (subscribe 'readings', value.format 'json', partitions '2');

CREATE TABLE alarms (id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, meter STRING NOT NULL, level INT)
USING kafka OPTIONS (subscribe 'alarms', value.format 'json', partitions '2');

CREATE STREAMING TABLE hourly USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'hour ASC')
AS SELECT meter, window.start AS hour, count(*) AS n, sum(value) AS total, max(value) AS most
   FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 6 HOURS GROUP BY meter, window(ts, '1 hour');

CREATE STREAMING TABLE joined USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'reading ASC, alarm ASC')
AS SELECT coalesce(r.meter, a.meter) AS meter, coalesce(r.id, -1) AS reading, coalesce(a.id, -1) AS alarm, r.value, a.level
   FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 6 HOURS r FULL JOIN STREAM alarms WATERMARK ts DELAY OF INTERVAL 6 HOURS a
   ON r.meter = a.meter AND a.ts BETWEEN r.ts - INTERVAL 2 HOURS AND r.ts + INTERVAL 2 HOURS;
";

/// The flows with state.
const FLOWS: [&str; 2] = ["hourly", "joined"];

/// So many readings, ten seconds apart, and half as many alarms.
const READINGS: u64 = 12_000;

/// How often it is killed.
const KILLS: usize = 6;

/// Small beside what is kept, ample for what tells where that is.
const MEMORY: (&str, &str) = ("MILLSTREAM_ENGINE__STATE_MEMORY_BYTES_MAX", "131072");

/// A data directory, with a port that stays the same over all restarts.
struct Site {
    place: Place,
    kafka: String,
}

impl Site {
    fn new() -> Self {
        let kafka = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        Self { place: Place::with(PIPELINE), kafka }
    }

    /// No partition becomes idle, so that what is closed in the end is that of any run.
    fn start(&self, settings: &[(&str, &str)]) -> Running {
        let all = [
            ("MILLSTREAM_LISTEN__KAFKA", self.kafka.as_str()),
            ("MILLSTREAM_ENGINE__IDLE_AFTER_MS", "100000000"),
            ("MILLSTREAM_ENGINE__EPOCH_ROWS_MAX", "200"),
        ];
        Running::start(&self.place, &[&all[..], settings].concat())
    }

    fn publishing(&self) -> JoinSet<()> {
        let kafka = self.kafka.clone();
        JoinSet::from_iter([async move { publish(&kafka).await }])
    }

    /// The flows that have state in files.
    fn on_disk(&self) -> BTreeSet<&'static str> {
        let state = self.place.data().join("state");
        let files = |flow: &&str| std::fs::read_dir(state.join(flow)).into_iter().flatten().flatten();
        FLOWS.into_iter().filter(|flow| files(flow).any(|file| file.metadata().unwrap().len() > 0)).collect()
    }
}

/// Sends readings and alarms, in the order of their times, to the meters' partitions. The producer lives on while the endpoint dies and comes back.
async fn publish(kafka: &str) {
    let producer = KafkaProducer::connect(&ProducerSettings::new(kafka)).unwrap();
    for id in 0..READINGS {
        let seconds = id * 10;
        let ts = format!("2024-01-{:02}T{:02}:{:02}:{:02}Z", 1 + seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
        let send = async |topic: &str, meter: u64, event: Value| {
            let (key, value) = (format!("m{meter}"), event.to_string());
            let record = OutgoingRecord { topic, key: Some(key.as_bytes()), value: Some(value.as_bytes()), ..OutgoingRecord::default() };
            producer.send(record).await.unwrap();
        };
        let meter = id * 7_919 % 400;
        send("readings", meter, json!({ "id": id, "ts": ts, "meter": format!("m{meter}"), "value": id % 1_000 })).await;
        if id % 2 == 0 {
            let meter = id * 104_729 % 400;
            send("alarms", meter, json!({ "id": id, "ts": ts, "meter": format!("m{meter}"), "level": id % 5 })).await;
        }
    }
    producer.flush().await.unwrap();
}

fn content(running: &Running) -> Vec<Vec<String>> {
    let sorted = |query: &str| {
        let mut rows = running.rows(query).unwrap();
        rows.sort_unstable();
        rows
    };
    ["select * from hourly", "select * from joined", "select flow, reason from system.dead_letters", "select flow from system.late_rows"]
        .map(sorted)
        .into()
}

/// Waits until everything is processed, and nothing more comes of it; a flow that fails ends the test.
fn settled(running: &Running) -> Vec<Vec<String>> {
    let unchanged = || {
        let before = lag(running).filter(|lag| *lag == 0).map(|_| content(running))?;
        Some(before).filter(|before| lag(running) == Some(0) && content(running) == *before)
    };
    let Some(content) = running.until(unchanged) else { panic!("the flows never caught up: {}", running.status()) };
    content
}

#[tokio::test(flavor = "multi_thread")]
async fn after_kills_with_state_on_disk_every_table_is_that_of_a_run_in_memory() {
    let plain = Site::new();
    let running = plain.start(&[]);
    plain.publishing().join_all().await;
    let expected = settled(&running);
    assert!(plain.on_disk().is_empty(), "there is memory for all");
    drop(running);
    assert!(expected[0].len() > 5_000 && expected[1].len() > 10_000 && expected[2].is_empty() && expected[3].is_empty());

    let site = Site::new();
    let mut running = site.start(&[MEMORY]);
    let publisher = site.publishing();
    let mut seen = BTreeSet::new();
    for kill in 1..=KILLS {
        let rows = (expected[1].len() * kill / (KILLS + 1)) as u64;
        let joined = || {
            lag(&running);
            running.rows("select count(*) from joined").unwrap()[0].parse().ok().filter(|joined: &u64| *joined >= rows)
        };
        assert!(running.until(joined).is_some(), "stuck before {rows} rows: {}", running.status());
        running.kill();
        let on_disk = site.on_disk();
        eprintln!("killed at {rows} joined rows or more, with files of {on_disk:?}");
        seen.extend(on_disk);
        running = site.start(&[MEMORY]);
    }
    assert_eq!(seen, BTreeSet::from(FLOWS), "of these flows state was on disk when the process was killed");
    publisher.join_all().await;
    let found = settled(&running);
    for (name, (expected, found)) in ["hourly", "joined", "dead letters", "late rows"].iter().zip(expected.iter().zip(&found)) {
        let only = |a: &[String], b: &[String]| a.iter().filter(|row| b.binary_search(row).is_err()).take(3).cloned().collect::<Vec<_>>();
        assert!(
            found == expected,
            "{name}: {} rows against {}; only in memory: {:?}; only killed: {:?}",
            expected.len(),
            found.len(),
            only(expected, found),
            only(found, expected)
        );
    }
}
