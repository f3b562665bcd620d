//! Windows that overlap: a row is in several, and late for each by itself.

use std::sync::Arc;

use millstream_engine::{Engine, ReplayRequest};
use millstream_testkit::faults::Call;

use crate::events::{Hours, Reading, hourly, readings};
use crate::world::{World, checked, hours, rows};

/// Windows of an hour every 15 minutes from five past on as they change, and windows of 50 minutes every 20 when they are closed. The delay is
/// short, so that rows miss some of their windows.
const SLIDING: &str = "
CREATE TABLE readings (id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, meter STRING NOT NULL, value INT)
USING kafka OPTIONS (subscribe 'readings', value.format 'json', partitions '2');

CREATE STREAMING TABLE sliding USING cassandra PARTITIONED BY (meter)
TBLPROPERTIES ('clustering_key' = 'hour ASC', 'output_mode' = 'update')
AS SELECT meter, window.start AS hour, count(*) AS n, sum(value) AS total, max(value) AS most
   FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 5 MINUTES GROUP BY meter, window(ts, '1 hour', '15 minutes', '5 minutes');

CREATE STREAMING TABLE slid USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'hour ASC')
AS SELECT meter, window.start AS hour, count(*) AS n, sum(value) AS total, max(value) AS most
   FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 5 MINUTES GROUP BY meter, window(ts, '50 minutes', '20 minutes');
";

const DELAY: i64 = 300;

/// Which windows there are, in seconds.
#[derive(Clone, Copy)]
struct Windows {
    size: i64,
    slide: i64,
    start: i64,
}

const SLIDING_WINDOWS: Windows = Windows { size: 3_600, slide: 900, start: 300 };
const SLID_WINDOWS: Windows = Windows { size: 3_000, slide: 1_200, start: 0 };

/// What a few lines of plain Rust make of the same events.
struct Expected {
    windows: Hours,
    late: usize,
    watermark: i64,
}

impl Windows {
    fn starts(self, ts: i64) -> impl Iterator<Item = i64> {
        let last = ts - (ts - self.start).rem_euclid(self.slide);
        (0..).map(move |n| last - n * self.slide).take_while(move |start| ts < start + self.size)
    }

    /// The windows of `events`; with `all`, those that come too late are in them too.
    fn aggregate(self, events: &[Reading], all: bool) -> Expected {
        let mut greatest = [i64::MIN; 2];
        let mut expected = Expected { windows: Hours::new(), late: 0, watermark: i64::MIN };
        for r in events {
            let mut missed = false;
            for start in self.starts(r.ts) {
                if !all && start + self.size <= expected.watermark {
                    missed = true;
                    continue;
                }
                // An hour of the oracle that begins where the window does.
                let one = hourly([&Reading { ts: 0, ..r.clone() }]);
                let value = one.into_values().next().unwrap();
                let window = expected.windows.entry((r.meter.to_owned(), start)).or_insert((0, None, None));
                window.0 += value.0;
                window.1 = match (window.1, value.1) {
                    (Some(a), Some(b)) => Some(a + b),
                    (a, b) => a.or(b),
                };
                window.2 = window.2.max(value.2);
            }
            expected.late += usize::from(missed);
            let partition = usize::try_from(r.partition()).unwrap();
            greatest[partition] = greatest[partition].max(r.ts);
            let least = greatest[0].min(greatest[1]);
            expected.watermark = expected.watermark.max(least.saturating_sub(DELAY));
        }
        expected
    }
}

pub fn world(epoch_rows: usize) -> World {
    let mut world = World::with_epochs_of(epoch_rows);
    world.pipeline = checked(SLIDING);
    world
}

pub async fn check(engine: &Arc<Engine>, events: &[Reading], replayed: bool) {
    let expected = SLIDING_WINDOWS.aggregate(events, replayed);
    assert_eq!(hours(engine, "sliding").await, expected.windows, "sliding");
    let late = rows(engine, "SELECT count(*) FROM system.late_rows WHERE flow = 'sliding'").await;
    assert_eq!(late, [if replayed { 0 } else { expected.late }.to_string()]);

    let watermark = SLID_WINDOWS.aggregate(events, false).watermark;
    let mut expected = SLID_WINDOWS.aggregate(events, replayed);
    expected.windows.retain(|(_, start), _| start + SLID_WINDOWS.size <= watermark);
    assert_eq!(hours(engine, "slid").await, expected.windows, "slid");
    let late = rows(engine, "SELECT count(*) FROM system.late_rows WHERE flow = 'slid'").await;
    assert_eq!(late, [if replayed { 0 } else { expected.late }.to_string()]);

    let report = engine.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_is_in_all_its_windows_that_were_open_when_it_came_whatever_the_epochs_are() {
    let events = readings(51, 600);
    let expected = SLIDING_WINDOWS.aggregate(&events, false);
    assert!(expected.late > 20, "{} rows are late", expected.late);
    for size in [1, 7, 64, 1_000] {
        let world = world(size);
        drop(world.engine().await);
        world.publish(&events).await;
        check(&world.run().await.unwrap(), &events, false).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_moment_changes_no_sliding_window() {
    for nth in [1, 2, 4, 9, 17] {
        for call in [Call::Commit, Call::Put, Call::Begin] {
            let world = world(23);
            let events = readings(60 + nth, 300);
            let engine = world.run_with_deaths_at(call, nth, &events).await;
            check(&engine, &events, false).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replayed_late_rows_are_in_the_windows_that_they_missed_too() {
    let world = world(50);
    let events = readings(52, 400);
    drop(world.engine().await);
    world.publish(&events).await;
    let running = world.start().await;
    let engine = running.engine.clone();
    engine.caught_up().await.unwrap();
    check(&engine, &events, false).await;
    let outcome = engine.replay_late_rows(ReplayRequest::default()).await.unwrap();
    assert!(outcome.released > 0 && outcome.windows > 0, "{outcome:?}");
    check(&engine, &events, true).await;
    running.stop().await;
}
