//! Windows over the results of windows, in one flow.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use millstream_engine::{Engine, ReplayRequest};
use millstream_testkit::faults::Call;

use crate::events::{Reading, hourly, readings};
use crate::world::{World, checked, hours, rows};

/// The busiest quarter of an hour of each hour, over all meters; and how many meters had more than two readings in a quarter of an hour.
const CHAINED: &str = "
CREATE TABLE readings (id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, meter STRING NOT NULL, value INT)
USING kafka OPTIONS (subscribe 'readings', value.format 'json', partitions '2');

CREATE STREAMING TABLE busiest USING cassandra PARTITIONED BY (hour)
AS SELECT window(window_time(quarter), '1 hour').start AS hour, max(n) AS most, sum(total) AS total, count(*) AS parts
   FROM (SELECT meter, window AS quarter, count(*) AS n, sum(value) AS total
         FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 5 MINUTES GROUP BY meter, window(ts, '15 minutes'))
   GROUP BY window(window_time(quarter), '1 hour');

CREATE STREAMING TABLE busy USING cassandra PARTITIONED BY (quarter)
AS SELECT window.start AS quarter, count(*) AS meters, sum(n) AS n
   FROM (SELECT meter, window, count(*) AS n
         FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 5 MINUTES GROUP BY meter, window(ts, '15 minutes') HAVING count(*) > 2)
   GROUP BY window;
";

const QUARTER: i64 = 900;
const DELAY: i64 = 300;

/// What a few lines of plain Rust make of the same events: the lines of both tables, and the late events.
struct Expected {
    busiest: BTreeSet<String>,
    busy: BTreeSet<String>,
    late: usize,
}

fn expected(events: &[Reading], all: bool) -> Expected {
    let mut greatest = [i64::MIN; 2];
    let (mut watermark, mut late) = (i64::MIN, 0);
    let mut quarters: BTreeMap<(i64, &str), (i64, Option<i64>)> = BTreeMap::new();
    for r in events {
        let start = r.ts.div_euclid(QUARTER) * QUARTER;
        if all || start + QUARTER > watermark {
            let quarter = quarters.entry((start, r.meter)).or_insert((0, None));
            quarter.0 += 1;
            if let Some(v) = r.value {
                quarter.1 = Some(quarter.1.unwrap_or(0) + i64::from(v));
            }
        } else {
            late += 1;
        }
        let partition = usize::try_from(r.partition()).unwrap();
        greatest[partition] = greatest[partition].max(r.ts);
        watermark = watermark.max(greatest[0].min(greatest[1]).saturating_sub(DELAY));
    }
    let mut hours: BTreeMap<i64, (i64, Option<i64>, i64)> = BTreeMap::new();
    let mut busy: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
    for ((start, _), (n, total)) in quarters {
        let hour = hours.entry(start.div_euclid(3_600) * 3_600).or_insert((0, None, 0));
        hour.0 = hour.0.max(n);
        hour.1 = match (hour.1, total) {
            (Some(a), Some(b)) => Some(a + b),
            (a, b) => a.or(b),
        };
        hour.2 += 1;
        if n > 2 {
            let quarter = busy.entry(start).or_insert((0, 0));
            *quarter = (quarter.0 + 1, quarter.1 + n);
        }
    }
    let time = |t| chrono::DateTime::from_timestamp(t, 0).unwrap().format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let text = |v: Option<i64>| v.map_or_else(String::new, |v| v.to_string());
    let closed = |end: i64| end <= watermark;
    let hours = hours.into_iter().filter(|(start, _)| closed(start + 3_600));
    let busy = busy.into_iter().filter(|(start, _)| closed(start + QUARTER));
    Expected {
        busiest: hours.map(|(start, (most, total, parts))| format!("{} {most} {} {parts}", time(start), text(total))).collect(),
        busy: busy.map(|(start, (meters, n))| format!("{} {meters} {n}", time(start))).collect(),
        late,
    }
}

pub async fn check(engine: &Arc<Engine>, events: &[Reading], replayed: bool) {
    let expected = expected(events, replayed);
    let found: BTreeSet<String> = rows(engine, "SELECT hour, most, total, parts FROM busiest").await.into_iter().collect();
    assert_eq!(found, expected.busiest, "busiest");
    let found: BTreeSet<String> = rows(engine, "SELECT quarter, meters, n FROM busy").await.into_iter().collect();
    assert_eq!(found, expected.busy, "busy");
    let late = rows(engine, "SELECT count(*) FROM system.late_rows WHERE flow = 'busiest'").await;
    assert_eq!(late, [if replayed { 0 } else { expected.late }.to_string()]);
    let report = engine.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report}");
}

pub fn world(epoch_rows: usize) -> World {
    let mut world = World::with_epochs_of(epoch_rows);
    world.pipeline = checked(CHAINED);
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_over_windows_are_the_same_whatever_the_epochs_are() {
    let events = readings(91, 600);
    let all = expected(&events, false);
    assert!(all.late > 10 && all.busy.len() > 10 && all.busiest.len() > 5, "{} {} {}", all.late, all.busy.len(), all.busiest.len());
    for size in [1, 7, 64, 1_000] {
        let world = world(size);
        drop(world.engine().await);
        world.publish(&events).await;
        check(&world.run().await.unwrap(), &events, false).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_moment_changes_no_window_over_windows() {
    for nth in [1, 2, 4, 9, 17] {
        for call in [Call::Commit, Call::Put, Call::Begin] {
            let world = world(21);
            let events = readings(95 + nth, 300);
            let engine = world.run_with_deaths_at(call, nth, &events).await;
            check(&engine, &events, false).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replayed_late_rows_reach_the_windows_above_theirs_closed_and_open() {
    let world = world(40);
    let events = readings(92, 500);
    drop(world.engine().await);
    world.publish(&events[..450]).await;
    let running = world.start().await;
    let engine = running.engine.clone();
    engine.caught_up().await.unwrap();
    check(&engine, &events[..450], false).await;
    let outcome = engine.replay_late_rows(ReplayRequest::default()).await.unwrap();
    assert!(outcome.released > 0 && outcome.windows > 0, "{outcome:?}");
    check(&engine, &events[..450], true).await;
    world.publish(&events[450..]).await;
    engine.caught_up().await.unwrap();
    let report = engine.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicates_are_grouped_away_before_they_count() {
    let mut world = World::with_epochs_of(13);
    world.pipeline = checked(
        "CREATE TABLE readings (id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, meter STRING NOT NULL, value INT)
         USING kafka OPTIONS (subscribe 'readings', value.format 'json', partitions '2');
         CREATE STREAMING TABLE counted USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'hour ASC')
         AS SELECT meter, window.start AS hour, count(*) AS n, sum(value) AS total, max(value) AS most
            FROM (SELECT id, meter, window, min_by(value, ts) AS value
                  FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 1 HOUR GROUP BY id, meter, window(ts, '1 hour'))
            GROUP BY meter, window;",
    );
    let events = readings(99, 400);
    drop(world.engine().await);
    for part in events.chunks(20) {
        world.publish(part).await;
        world.publish(&part[5..]).await;
    }
    let engine = world.run().await.unwrap();
    let greatest = |partition| events.iter().filter(|r| r.partition() == partition).map(|r| r.ts).max();
    let watermark = greatest(0).min(greatest(1)).unwrap() - 3_600;
    let mut expected = hourly(&events);
    expected.retain(|(_, hour), _| hour + 3_600 <= watermark);
    assert!(!expected.is_empty());
    assert_eq!(hours(&engine, "counted").await, expected);
    let report = engine.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report}");
}
