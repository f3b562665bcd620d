//! Joins of two streams: the rows that a few lines of plain Rust make of the same events, whatever the epochs are and whatever dies.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use millstream_core::ErrorKind;
use millstream_core::ports::Quarantined;
use millstream_engine::{Engine, Ports, RepairedEvent, ReplayRequest};
use millstream_testkit::faults::Call;
use tokio_util::sync::CancellationToken;

use crate::events::{Reading, readings};
use crate::logs::AlteredLog;
use crate::world::{World, checked, rows};

pub const TABLES: &str = "
CREATE TABLE readings (id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, meter STRING NOT NULL, value INT)
USING kafka OPTIONS (subscribe 'readings', value.format 'json', partitions '2');
CREATE TABLE alarms (id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, meter STRING NOT NULL, value INT)
USING kafka OPTIONS (subscribe 'alarms', value.format 'json', partitions '2');
";

/// A join in every form. Rows match when the alarm is from 10 minutes before to 20 minutes after the reading.
const JOINS: &str = "
CREATE STREAMING TABLE inner_joined USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'reading, alarm')
AS SELECT r.meter, r.id AS reading, a.id AS alarm FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 10 MINUTES r
   JOIN STREAM alarms WATERMARK ts DELAY OF INTERVAL 5 MINUTES a
   ON r.meter = a.meter AND a.ts BETWEEN r.ts - INTERVAL 10 MINUTES AND r.ts + INTERVAL 20 MINUTES;

CREATE STREAMING TABLE left_joined USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'reading, alarm')
AS SELECT r.meter, r.id AS reading, coalesce(a.id, -1) AS alarm FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 10 MINUTES r
   LEFT JOIN STREAM alarms WATERMARK ts DELAY OF INTERVAL 5 MINUTES a
   ON r.meter = a.meter AND a.ts >= r.ts - INTERVAL 10 MINUTES AND a.ts - INTERVAL 20 MINUTES <= r.ts;

CREATE STREAMING TABLE right_joined USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'reading, alarm')
AS SELECT a.meter, coalesce(r.id, -1) AS reading, a.id AS alarm FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 10 MINUTES r
   RIGHT JOIN STREAM alarms WATERMARK ts DELAY OF INTERVAL 5 MINUTES a
   ON r.meter = a.meter AND r.ts <= a.ts + INTERVAL 10 MINUTES AND r.ts >= a.ts - INTERVAL 20 MINUTES;

CREATE STREAMING TABLE full_joined USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'reading, alarm')
AS SELECT coalesce(r.meter, a.meter) AS meter, coalesce(r.id, -1) AS reading, coalesce(a.id, -1) AS alarm
   FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 10 MINUTES r
   FULL JOIN STREAM alarms WATERMARK ts DELAY OF INTERVAL 5 MINUTES a
   ON r.meter = a.meter AND a.ts BETWEEN r.ts - INTERVAL 10 MINUTES AND r.ts + INTERVAL 20 MINUTES;

CREATE STREAMING TABLE semi_joined USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'reading')
AS SELECT r.meter, r.id AS reading FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 10 MINUTES r
   LEFT SEMI JOIN STREAM alarms WATERMARK ts DELAY OF INTERVAL 5 MINUTES a
   ON r.meter = a.meter AND a.ts BETWEEN r.ts - INTERVAL 10 MINUTES AND r.ts + INTERVAL 20 MINUTES;

CREATE STREAMING TABLE counted USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'hour')
AS SELECT r.meter, window.start AS hour, count(*) AS n, count(DISTINCT a.id) AS alarms
   FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 10 MINUTES r
   JOIN STREAM alarms WATERMARK ts DELAY OF INTERVAL 5 MINUTES a
   ON r.meter = a.meter AND a.ts BETWEEN r.ts - INTERVAL 10 MINUTES AND r.ts + INTERVAL 20 MINUTES
   GROUP BY r.meter, window(r.ts, '1 hour');

CREATE STREAMING TABLE followed USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'start')
AS SELECT r.meter, session_window.start AS start, session_window.end AS until, count(*) AS n, count(DISTINCT a.id) AS alarms
   FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 10 MINUTES r
   LEFT JOIN STREAM alarms WATERMARK ts DELAY OF INTERVAL 5 MINUTES a
   ON r.meter = a.meter AND a.ts BETWEEN r.ts - INTERVAL 10 MINUTES AND r.ts + INTERVAL 20 MINUTES
   GROUP BY r.meter, session_window(r.ts, CASE WHEN r.value > 60 THEN '10 minutes' ELSE '150 seconds' END);

CREATE STREAMING TABLE paired USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'reading, alarm')
AS SELECT x.meter, x.id AS reading, y.id AS alarm FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 10 MINUTES x
   JOIN STREAM readings WATERMARK ts DELAY OF INTERVAL 10 MINUTES y
   ON x.meter = y.meter AND y.ts BETWEEN x.ts AND x.ts + INTERVAL 15 MINUTES WHERE y.id <> x.id AND y.value > x.value;
";

/// The tables, each with its columns as text.
const COLUMNS: [(&str, &str); 8] = [
    ("inner_joined", "meter, reading, alarm"),
    ("left_joined", "meter, reading, alarm"),
    ("right_joined", "meter, reading, alarm"),
    ("full_joined", "meter, reading, alarm"),
    ("semi_joined", "meter, reading"),
    ("counted", "meter, hour, n, alarms"),
    ("followed", "meter, start, until, n, alarms"),
    ("paired", "meter, reading, alarm"),
];

const BEFORE: i64 = 600;
const AFTER: i64 = 1_200;
const DELAYS: [i64; 2] = [600, 300];

/// An event with its source: 0 a reading, 1 an alarm.
pub type Event = (usize, Reading);

/// Readings and alarms in turns.
pub fn events(seed: u64, count: i64) -> Vec<Event> {
    let alarms = readings(seed + 1_000, count).into_iter().map(|alarm| (1, alarm));
    readings(seed, count).into_iter().map(|reading| (0, reading)).zip(alarms).flat_map(|(reading, alarm)| [reading, alarm]).collect()
}

/// What is expected: the rows of each table, each as text, and how many events are late.
#[derive(Default)]
struct Expected {
    tables: BTreeMap<&'static str, BTreeSet<String>>,
    late: [usize; 2],
    late_alone: usize,
}

/// The events that are in time, and the watermark in the end.
fn in_time<'a>(events: impl Iterator<Item = &'a Event>, sources: usize) -> (Vec<&'a Event>, Vec<&'a Event>, i64) {
    let mut greatest = [[i64::MIN; 2]; 2];
    let mut watermark = i64::MIN;
    let (mut kept, mut late) = (Vec::new(), Vec::new());
    for event in events {
        let (source, reading) = event;
        if reading.ts < watermark {
            late.push(event)
        } else {
            kept.push(event)
        }
        let seen = &mut greatest[*source][usize::try_from(reading.partition()).unwrap()];
        *seen = (*seen).max(reading.ts.saturating_sub(DELAYS[*source]));
        watermark = watermark.max(*greatest.iter().take(sources).flatten().min().unwrap());
    }
    (kept, late, watermark)
}

/// Readings of a meter that follow one another, with their alarms.
struct Session {
    meter: &'static str,
    start: i64,
    until: i64,
    rows: usize,
    alarms: Vec<i64>,
}

/// The sessions of `readings`, each as many rows as it has alarms, and one where it has none.
fn sessions<'a>(readings: impl Iterator<Item = &'a Reading>, alarms: impl Fn(&Reading) -> Vec<i64>) -> Vec<Session> {
    let mut ordered: Vec<_> = readings.collect();
    ordered.sort_by_key(|r| (r.meter, r.ts));
    let mut sessions: Vec<Session> = Vec::new();
    for reading in ordered {
        let until = reading.ts + if reading.value.is_some_and(|v| v > 60) { 600 } else { 150 };
        let alarms = alarms(reading);
        let rows = alarms.len().max(1);
        match sessions.last_mut().filter(|s| s.meter == reading.meter && reading.ts <= s.until) {
            Some(session) => {
                session.until = session.until.max(until);
                session.rows += rows;
                session.alarms.extend(alarms);
            }
            None => sessions.push(Session { meter: reading.meter, start: reading.ts, until, rows, alarms }),
        }
    }
    sessions
}

fn expected(events: &[Event]) -> Expected {
    let (kept, late, watermark) = in_time(events.iter(), 2);
    let mut expected = Expected { late: [0, 1].map(|source| late.iter().filter(|e| e.0 == source).count()), ..Expected::default() };
    let of = |source: usize| kept.iter().filter(move |e| e.0 == source).map(|e| &e.1);
    let matches = |r: &Reading, a: &Reading| r.meter == a.meter && r.ts - BEFORE <= a.ts && a.ts <= r.ts + AFTER;
    let mut hours: BTreeMap<(&str, i64), Vec<i64>> = BTreeMap::new();
    let mut row = |table, text: String| {
        expected.tables.entry(table).or_default().insert(text);
    };
    for r in of(0) {
        let mut alone = true;
        for a in of(1).filter(|a| matches(r, a)) {
            alone = false;
            for table in ["inner_joined", "left_joined", "right_joined", "full_joined"] {
                row(table, format!("{} {} {}", r.meter, r.id, a.id));
            }
            row("semi_joined", format!("{} {}", r.meter, r.id));
            hours.entry((r.meter, r.ts.div_euclid(3_600) * 3_600)).or_default().push(a.id);
        }
        if alone && r.ts + AFTER < watermark {
            ["left_joined", "full_joined"].into_iter().for_each(|table| row(table, format!("{} {} -1", r.meter, r.id)));
        }
    }
    for a in of(1) {
        if !of(0).any(|r| matches(r, a)) && a.ts + BEFORE < watermark {
            ["right_joined", "full_joined"].into_iter().for_each(|table| row(table, format!("{} -1 {}", a.meter, a.id)));
        }
    }
    let text = |time: i64| chrono::DateTime::from_timestamp(time, 0).unwrap().format("%Y-%m-%dT%H:%M:%SZ");
    for session in sessions(of(0), |r| of(1).filter(|a| matches(r, a)).map(|a| a.id).collect()) {
        // A reading without an alarm that is not out yet is behind that time.
        if session.until + AFTER < watermark {
            let alarms = session.alarms.iter().collect::<BTreeSet<_>>().len();
            row("followed", format!("{} {} {} {} {alarms}", session.meter, text(session.start), text(session.until), session.rows));
        }
    }
    for ((meter, hour), alarms) in hours {
        if hour + 3_600 <= watermark - AFTER {
            let time = text(hour);
            row("counted", format!("{meter} {time} {} {}", alarms.len(), alarms.iter().collect::<BTreeSet<_>>().len()));
        }
    }
    let (kept, late, _) = in_time(events.iter().filter(|e| e.0 == 0), 1);
    for (_, x) in &kept {
        for (_, y) in &kept {
            let greater = y.value.zip(x.value).is_some_and(|(y, x)| y > x);
            if x.meter == y.meter && x.ts <= y.ts && y.ts <= x.ts + 900 && x.id != y.id && greater {
                row("paired", format!("{} {} {}", x.meter, x.id, y.id));
            }
        }
    }
    expected.late_alone = late.len();
    expected
}

pub async fn check(engine: &Arc<Engine>, events: &[Event]) {
    let expected = expected(events);
    let nothing = BTreeSet::new();
    for (table, columns) in COLUMNS {
        let rows_of = expected.tables.get(table).unwrap_or(&nothing);
        let found: BTreeSet<String> = rows(engine, &format!("SELECT {columns} FROM {table}")).await.into_iter().collect();
        let missing: Vec<_> = rows_of.difference(&found).take(5).collect();
        let surplus: Vec<_> = found.difference(rows_of).take(5).collect();
        assert!(missing.is_empty() && surplus.is_empty(), "{table}: missing {missing:?}, surplus {surplus:?}");
    }
    for flow in ["inner_joined", "full_joined", "counted", "followed"] {
        for (source, late) in ["readings", "alarms"].into_iter().zip(expected.late) {
            let query = format!("SELECT count(*) FROM system.late_rows WHERE flow = '{flow}' AND source = '{source}'");
            assert_eq!(rows(engine, &query).await, [late.to_string()], "{flow} {source}");
        }
    }
    let late = rows(engine, "SELECT count(*) FROM system.late_rows WHERE flow = 'paired'").await;
    assert_eq!(late, [expected.late_alone.to_string()]);
    let report = engine.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report}");
}

/// The pipeline of [`world`].
pub fn sql() -> String {
    format!("{TABLES}{JOINS}")
}

pub fn world(epoch_rows: usize) -> World {
    let mut world = World::with_epochs_of(epoch_rows);
    world.pipeline = checked(&sql());
    world
}

pub async fn publish(world: &World, events: &[Event]) {
    for (source, event) in events {
        world.publish_to(["readings", "alarms"][*source], [(event.partition(), event.json())]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn joined_rows_are_the_same_whatever_the_epochs_are() {
    let events = events(41, 260);
    let all = expected(&events);
    assert!(all.late.iter().all(|late| *late > 5) && all.tables.len() == 8, "{:?} {:?}", all.late, all.tables.keys());
    for size in [1, 7, 64, 1_000] {
        let world = world(size);
        drop(world.engine().await);
        publish(&world, &events).await;
        check(&world.run().await.unwrap(), &events).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_moment_changes_no_joined_row() {
    for nth in [1, 2, 4, 9, 17] {
        for call in [Call::Commit, Call::Put, Call::Begin] {
            let world = world(21);
            let events = events(95 + nth, 120);
            drop(world.engine().await);
            publish(&world, &events).await;
            world.faults.fail(call, nth, ErrorKind::Internal);
            world.faults.fail_after(call, nth + 3, ErrorKind::Internal);
            let engine = loop {
                match world.run().await {
                    Ok(engine) => break engine,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Internal, "{error}"),
                }
            };
            world.faults.heal();
            check(&engine, &events).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_come_while_the_flows_run_are_joined_with_those_of_before() {
    let world = world(30);
    let events = events(7, 200);
    let mut from = 0;
    for until in [1, 2, 90, 91, 250, events.len()] {
        drop(world.engine().await);
        publish(&world, &events[from..until]).await;
        // Restored from what the run before has kept.
        let engine = world.run().await.unwrap();
        from = until;
        if until == events.len() {
            let (found, expected) = (rows(&engine, "SELECT count(*) FROM inner_joined").await, expected(&events));
            assert_eq!(found, [expected.tables["inner_joined"].len().to_string()]);
        }
    }
}

/// A reading that has found no alarm comes out when the watermark passes it, at a time at which sessions above are closed: it may be at the very end of
/// one, and is in it.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_at_the_very_end_of_a_session_is_in_it() {
    for size in [1, 100] {
        let mut world = World::with_epochs_of(size);
        world.pipeline = checked(&format!(
            "{TABLES} CREATE STREAMING TABLE followed USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'start')
             AS SELECT r.meter, session_window.start AS start, count(*) AS n
                FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 0 SECONDS r
                LEFT JOIN STREAM alarms WATERMARK ts DELAY OF INTERVAL 0 SECONDS a
                ON r.meter = a.meter AND a.ts BETWEEN r.ts AND r.ts + INTERVAL 20 MINUTES GROUP BY r.meter, session_window(r.ts, '5 minutes');"
        ));
        drop(world.engine().await);
        let at = |id: i64, ts: i64, meter| Reading { id, ts: 1_704_067_200 + ts, meter, value: Some(1) };
        // All four partitions come to the same time, in steps.
        let all = |ts: i64| [(0, at(90, ts, "b")), (0, at(91, ts, "c")), (1, at(92, ts, "b")), (1, at(93, ts, "c"))];
        publish(&world, &[(0, at(1, 0, "a")), (0, at(2, 300, "a"))]).await;
        // The first has left, and its session would be closed at this moment.
        publish(&world, &all(1_500)).await;
        publish(&world, &all(9_000)).await;
        let engine = world.run().await.unwrap();
        assert_eq!(rows(&engine, "SELECT start, n FROM followed WHERE meter = 'a'").await, ["2024-01-01T00:00:00Z 2"], "epochs of {size}");
        let report = engine.verify(&|_| {}).await.unwrap();
        assert!(report.is_clean(), "{report}");
    }
}

/// What one source alone has seen passes nothing: the watermark is that of both.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_without_events_holds_the_watermark_until_it_is_idle() {
    let mut world = world(50);
    let events: Vec<Event> = readings(17, 200).into_iter().map(|reading| (0, reading)).collect();
    drop(world.engine().await);
    publish(&world, &events).await;
    let expected = expected(&events);
    assert_eq!(expected.tables.keys().collect::<Vec<_>>(), [&"paired"], "no alarm came, and nobody knows that none will");
    check(&world.run().await.unwrap(), &events).await;

    world.settings.idle_after_ms = 30_000;
    let running = world.start().await;
    let watermark =
        (0..2).map(|p| events.iter().filter(|(_, r)| r.partition() == p).map(|(_, r)| r.ts - DELAYS[0]).max().unwrap()).min().unwrap();
    let mut alone: Vec<String> =
        events.iter().filter(|(_, r)| r.ts + AFTER < watermark).map(|(_, r)| format!("{} {} -1", r.meter, r.id)).collect();
    alone.sort();
    assert!(!alone.is_empty());
    // The clock skips to the moment at which the alarms' partitions are idle, when the flows have nothing to do.
    let seen = async {
        for table in ["left_joined", "full_joined"] {
            loop {
                let mut found = rows(&running.engine, &format!("SELECT meter, reading, alarm FROM {table}")).await;
                found.sort();
                if found == alone {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), seen).await.unwrap();
    let report = running.engine.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_cant_be_joined_is_a_dead_letter_of_its_own_source() {
    let mut world = World::with_epochs_of(10);
    world.pipeline = checked(&format!(
        "{TABLES} CREATE STREAMING TABLE shares USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'reading, alarm')
         AS SELECT r.meter, r.id AS reading, a.id AS alarm, 100 DIV a.value AS share
            FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 1 HOUR r JOIN STREAM alarms WATERMARK ts DELAY OF INTERVAL 1 HOUR a
            ON r.meter = a.meter AND a.ts BETWEEN r.ts AND r.ts + INTERVAL 1 HOUR;"
    ));
    let at = |id: i64, ts: i64, value: i32| Reading { id, ts: 1_704_067_200 + ts, meter: "a", value: Some(value) };
    drop(world.engine().await);
    publish(&world, &[(0, at(1, 0, 1)), (1, at(5, 30, 0)), (1, at(6, 40, 7)), (0, at(2, 10, 1))]).await;
    world.publish_to("alarms", [(0, "not an event".to_owned())]).await;
    let engine = world.run().await.unwrap();
    assert_eq!(rows(&engine, "SELECT reading, alarm, share FROM shares ORDER BY reading").await, ["1 6 14", "2 6 14"]);
    // Of each pair that can't be computed, the event that came later: alarm 5 with reading 1, reading 2 with alarm 5.
    let dead = rows(&engine, "SELECT source, \"partition\", \"offset\" FROM system.dead_letters ORDER BY source, \"offset\"").await;
    assert_eq!(dead, ["alarms 0 0", "alarms 0 2", "readings 0 1"]);
    let report = engine.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report}");
}

/// A row of a join leaves when the watermark has passed it: hours may have gone since its record came, and retention may be shorter.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_whose_record_is_gone_has_no_value_and_is_not_replayed() {
    let mut world = World::with_epochs_of(10);
    world.pipeline = checked(&format!(
        "{TABLES} CREATE STREAMING TABLE shares USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'reading')
         AS SELECT r.meter, r.id AS reading, 100 DIV coalesce(a.value, 0) AS share
            FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 1 MINUTE r LEFT JOIN STREAM alarms WATERMARK ts DELAY OF INTERVAL 1 MINUTE a
            ON r.meter = a.meter AND a.ts BETWEEN r.ts AND r.ts + INTERVAL 1 HOUR;"
    ));
    let at = |id: i64, hour: i64, meter| Reading { id, ts: 1_704_067_200 + hour * 3_600, meter, value: Some(4) };
    drop(world.engine().await);
    publish(&world, &[(0, at(1, 0, "a")), (0, at(2, 0, "e")), (1, at(3, 0, "a")), (1, at(4, 0, "d"))]).await;
    world.run().await.unwrap();
    // The reading of meter e has found no alarm when the watermark passes it.
    publish(&world, &[(0, at(5, 9, "a")), (0, at(6, 9, "e")), (1, at(7, 9, "a")), (1, at(8, 9, "e"))]).await;
    let ports = world.ports();
    let log = AlteredLog::kept_from(ports.log.clone(), 1);
    let engine = world.run_on(Ports { log, ..ports }).await.unwrap();
    let dead = rows(&engine, "SELECT source, \"partition\", \"offset\", value_text, reason FROM system.dead_letters").await;
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert!(dead[0].starts_with("readings 1 0  ") && dead[0].ends_with("; the topic no longer holds the event"), "{dead:?}");
    assert_eq!(rows(&engine, "SELECT reading, share FROM shares ORDER BY reading").await, ["1 25", "5 25", "6 25"]);
    let outcome = engine.replay_dead_letters(ReplayRequest::default()).await.unwrap();
    assert_eq!((outcome.published, outcome.released), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn zeros_of_either_sign_are_one_key() {
    let mut world = World::new();
    world.pipeline = checked(
        "CREATE TABLE readings (id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, x DOUBLE)
         USING kafka OPTIONS (subscribe 'readings', value.format 'json', partitions '1');
         CREATE TABLE alarms (id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, x DOUBLE)
         USING kafka OPTIONS (subscribe 'alarms', value.format 'json', partitions '1');
         CREATE STREAMING TABLE joined USING cassandra PARTITIONED BY (reading, alarm)
         AS SELECT r.id AS reading, a.id AS alarm FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 1 HOUR r
            JOIN STREAM alarms WATERMARK ts DELAY OF INTERVAL 1 HOUR a ON r.x = a.x AND a.ts BETWEEN r.ts AND r.ts + INTERVAL 1 HOUR;",
    );
    let event = |id: i32, x: &str| (0, format!(r#"{{"id":{id},"ts":"2024-01-01T00:00:00Z","x":{x}}}"#));
    drop(world.engine().await);
    world.publish_to("readings", [event(1, "-0.0"), event(2, "null"), event(3, "1.5")]).await;
    world.publish_to("alarms", [event(4, "0.0"), event(5, "null"), event(6, "1.5")]).await;
    let engine = world.run().await.unwrap();
    assert_eq!(rows(&engine, "SELECT reading, alarm FROM joined ORDER BY reading").await, ["1 4", "3 6"]);
}

/// Two topics can have a dead letter at the same place.
#[tokio::test(flavor = "multi_thread")]
async fn a_repaired_event_goes_to_the_topic_that_it_came_from() {
    let mut world = World::new();
    world.pipeline = checked(&format!(
        "{TABLES} CREATE STREAMING TABLE joined USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'reading, alarm')
         AS SELECT r.meter, r.id AS reading, a.id AS alarm FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 1 HOUR r
            JOIN STREAM alarms WATERMARK ts DELAY OF INTERVAL 1 HOUR a
            ON r.meter = a.meter AND a.ts BETWEEN r.ts AND r.ts + INTERVAL 1 HOUR;"
    ));
    let alarm = Reading { id: 2, ts: 1_704_067_200, meter: "a", value: Some(1) };
    drop(world.engine().await);
    for topic in ["readings", "alarms"] {
        world.publish_to(topic, [(0, "{broken".to_owned())]).await;
    }
    publish(&world, &[(0, Reading { id: 1, ..alarm.clone() })]).await;
    let engine = world.run().await.unwrap();
    let repaired = |source: Option<&str>| {
        let event = RepairedEvent { flow: None, source: source.map(str::to_owned), partition: 0, offset: 0, value: alarm.json() };
        ReplayRequest { repaired: vec![event], ..ReplayRequest::default() }
    };
    let error = engine.replay_dead_letters(repaired(None)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    assert!(error.to_string().contains("name the source"), "{error}");
    let error = engine.replay_dead_letters(repaired(Some("joined"))).await.unwrap_err();
    assert!(error.to_string().contains("no dead letter of joined at partition 0 offset 0"), "{error}");
    let outcome = engine.replay_dead_letters(repaired(Some("alarms"))).await.unwrap();
    assert_eq!((outcome.published, outcome.released), (1, 1));
    let engine = world.run().await.unwrap();
    assert_eq!(rows(&engine, "SELECT reading, alarm FROM joined").await, ["1 2"]);
    assert_eq!(rows(&engine, "SELECT source FROM system.dead_letters").await, ["readings"]);
    let report = engine.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report}");
    // That the one at this place was replayed says nothing of the other.
    let system = world.ports().system;
    let dead_letters = system.dead_letters().await.unwrap();
    system.release(&Quarantined { dead_letters, late_rows: Vec::new() }).await.unwrap();
    let report = engine.verify(&|_| {}).await.unwrap().to_string();
    assert!(report.contains("the event at readings-0 offset 0 is neither a row of flow joined nor a dead letter"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn late_rows_of_a_join_are_not_replayed_and_it_is_said() {
    let world = world(40);
    let events = events(41, 150);
    let engine = world.engine().await;
    publish(&world, &events).await;
    let stop = CancellationToken::new();
    let mut running = tokio::task::JoinSet::new();
    running.spawn({
        let (engine, stop) = (engine.clone(), stop.clone());
        async move { engine.run(stop).await }
    });
    engine.caught_up().await.unwrap();
    for flow in [Some("inner_joined".to_owned()), None] {
        let error = engine.replay_late_rows(ReplayRequest { flow, ..ReplayRequest::default() }).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.to_string().contains("it joins streams") && error.to_string().contains("nothing was replayed"), "{error}");
    }
    check(&engine, &events).await;
    stop.cancel();
    running.join_all().await.into_iter().for_each(|r| r.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_whose_rows_outgrow_the_budget_stops_with_what_to_do() {
    let mut world = world(50);
    world.settings.state_bytes_max = 20_000;
    drop(world.engine().await);
    publish(&world, &events(3, 200)).await;
    let error = world.run().await.err().unwrap().to_string();
    assert!(
        error.contains("over the budget of 19.5 KiB: raise engine.state_bytes_max")
            && error.contains("bring the bounds of the join nearer together"),
        "{error}"
    );
}
