//! Session windows: rows of a key that follow one another within a gap, in whatever order they come and whatever dies.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_engine::{Engine, ReplayRequest};
use millstream_testkit::faults::Call;

use crate::events::{Reading, readings};
use crate::world::{World, checked, rows};

const TOPIC: &str = "CREATE TABLE readings (id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, meter STRING NOT NULL, value INT)
USING kafka OPTIONS (subscribe 'readings', value.format 'json', partitions '2');\n";

/// Sessions with one gap, and with one that depends on the value.
fn pipeline(delay: &str) -> String {
    let table = |name: &str, gap: &str| {
        format!(
            "CREATE STREAMING TABLE {name} USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'began ASC')
             AS SELECT meter, session_window.start AS began, session_window.end AS ended, count(*) AS n, sum(value) AS total,
                       count(DISTINCT value) AS different
                FROM STREAM readings WATERMARK ts DELAY OF INTERVAL {delay} GROUP BY meter, session_window(ts, {gap});\n"
        )
    };
    let by_value = "CASE WHEN value > 60 THEN '9 minutes' ELSE '2 minutes' END";
    format!("{TOPIC}{}{}", table("steady", "'5 minutes'"), table("varying", by_value))
}

fn steady(_: &Reading) -> i64 {
    300
}

fn varying(r: &Reading) -> i64 {
    if r.value.is_some_and(|v| v > 60) { 540 } else { 120 }
}

/// What a few lines of plain Rust make of the same events: sessions, late rows, watermark.
struct Expected {
    sessions: Vec<String>,
    late: Vec<i64>,
    watermark: i64,
}

struct Session {
    start: i64,
    end: i64,
    members: Vec<Reading>,
}

/// Row by row; `all`: no row is late.
fn expected(events: &[Reading], delay: i64, gap: fn(&Reading) -> i64, all: bool) -> Expected {
    let mut greatest = [i64::MIN; 2];
    let (mut watermark, mut horizon, mut greatest_gap) = (i64::MIN, i64::MIN, 0);
    let mut sessions: BTreeMap<&str, Vec<Session>> = BTreeMap::new();
    let mut late = Vec::new();
    if gap(&events[0]) == 300 {
        greatest_gap = 300;
    }
    for r in events {
        let (start, end) = (r.ts, r.ts + gap(r));
        if watermark > i64::MIN {
            horizon = horizon.max(watermark - greatest_gap);
        }
        greatest_gap = greatest_gap.max(end - start);
        let of_meter = sessions.entry(r.meter).or_default();
        let (meets, apart): (Vec<Session>, Vec<Session>) =
            std::mem::take(of_meter).into_iter().partition(|s| s.start <= end && start <= s.end);
        let is_late = !all && (end <= watermark || start <= horizon || meets.iter().any(|s| s.end <= watermark));
        *of_meter = apart;
        if is_late {
            late.push(r.id);
            of_meter.extend(meets);
        } else {
            let mut whole = Session { start, end, members: vec![r.clone()] };
            for s in meets {
                whole.start = whole.start.min(s.start);
                whole.end = whole.end.max(s.end);
                whole.members.extend(s.members);
            }
            of_meter.push(whole);
        }
        let partition = usize::try_from(r.partition()).unwrap();
        greatest[partition] = greatest[partition].max(r.ts);
        watermark = watermark.max(greatest[0].min(greatest[1]).saturating_sub(delay));
    }
    let time = |t| chrono::DateTime::from_timestamp(t, 0).unwrap().format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let mut lines: Vec<String> = Vec::new();
    for (meter, all) in sessions {
        for s in all.into_iter().filter(|s| s.end <= watermark) {
            let values: Vec<i32> = s.members.iter().filter_map(|r| r.value).collect();
            let total = if values.is_empty() { String::new() } else { values.iter().map(|v| i64::from(*v)).sum::<i64>().to_string() };
            let different = values.iter().collect::<std::collections::BTreeSet<_>>().len();
            lines.push(format!("{meter} {} {} {} {total} {different}", time(s.start), time(s.end), s.members.len()));
        }
    }
    lines.sort();
    Expected { sessions: lines, late, watermark }
}

pub async fn check(engine: &Arc<Engine>, events: &[Reading], delay: i64, replayed: bool) {
    for (table, gap) in [("steady", steady as fn(&Reading) -> i64), ("varying", varying)] {
        let mut expected_now = expected(events, delay, gap, replayed);
        if replayed {
            expected_now.late.clear();
        }
        let mut found = rows(engine, &format!("SELECT meter, began, ended, n, total, different FROM {table}")).await;
        found.sort();
        assert_eq!(found, expected_now.sessions, "{table}, watermark {}", expected_now.watermark);
        let late = rows(engine, &format!("SELECT count(*) FROM system.late_rows WHERE flow = '{table}'")).await;
        assert_eq!(late, [expected_now.late.len().to_string()], "late rows of {table}");
    }
    let report = engine.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report}");
}

pub fn world(delay: &str, epoch_rows: usize) -> World {
    let mut world = World::with_epochs_of(epoch_rows);
    world.pipeline = checked(&pipeline(delay));
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_the_same_whatever_the_epochs_are() {
    let events = readings(71, 500);
    for (delay, seconds) in [("1 HOUR", 3_600), ("3 MINUTES", 180)] {
        let late = expected(&events, seconds, steady, false).late;
        assert_eq!(late.is_empty(), seconds == 3_600, "{} rows are late", late.len());
        for size in [1, 7, 50, 1_000] {
            let world = world(delay, size);
            drop(world.engine().await);
            world.publish(&events).await;
            check(&world.run().await.unwrap(), &events, seconds, false).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_moment_changes_no_session() {
    for nth in [1, 2, 4, 9, 17] {
        for call in [Call::Commit, Call::Put, Call::Begin] {
            let world = world("10 MINUTES", 19);
            let events = readings(80 + nth, 300);
            let engine = world.run_with_deaths_at(call, nth, &events).await;
            check(&engine, &events, 600, false).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replayed_late_rows_join_sessions_that_are_closed_and_open_and_the_flow_goes_on_from_there() {
    let world = world("3 MINUTES", 40);
    let events = readings(72, 500);
    drop(world.engine().await);
    world.publish(&events[..400]).await;
    let running = world.start().await;
    let engine = running.engine.clone();
    engine.caught_up().await.unwrap();
    check(&engine, &events[..400], 180, false).await;
    let outcome = engine.replay_late_rows(ReplayRequest::default()).await.unwrap();
    assert!(outcome.released > 0 && outcome.windows > 0, "{outcome:?}");
    check(&engine, &events[..400], 180, true).await;
    // What comes later may be late again; what is verified is that every event is in exactly one place.
    world.publish(&events[400..]).await;
    engine.caught_up().await.unwrap();
    let report = engine.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_without_a_gap_is_in_no_session_and_a_dead_letter() {
    let mut world = World::new();
    world.pipeline = checked(&format!(
        "{TOPIC}CREATE STREAMING TABLE s USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'began ASC')
         AS SELECT meter, session_window.start AS began, count(*) AS n FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 1 MINUTE
            GROUP BY meter, session_window(ts, CASE WHEN value = 1 THEN '1 minute' WHEN value = 2 THEN '0 minutes' WHEN value = 3 THEN 'a while' END);"
    ));
    drop(world.engine().await);
    let reading = |id, value| Reading { id, ts: 1_704_067_200 + id, meter: "a", value };
    world.publish(&[reading(1, Some(1)), reading(2, Some(2)), reading(3, Some(3)), reading(4, None), reading(5, Some(1))]).await;
    world
        .publish(&[Reading { ts: 1_704_080_000, ..reading(6, Some(1)) }, Reading { ts: 1_704_080_000, meter: "e", ..reading(7, Some(1)) }])
        .await;
    let engine = world.run().await.unwrap();
    assert_eq!(rows(&engine, "SELECT meter, began, n FROM s").await, ["a 2024-01-01T00:00:01Z 2"]);
    let dead = rows(&engine, "SELECT \"offset\" FROM system.dead_letters ORDER BY \"offset\"").await;
    assert_eq!(dead, ["1", "2", "3"]);
    let report = engine.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report}");
}
