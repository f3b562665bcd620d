//! Events that become several rows, aggregated in the flow that makes them: each event is in its windows as a whole, or late once, or dead.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use millstream_core::ErrorKind;
use millstream_engine::{Engine, ReplayRequest};
use millstream_testkit::faults::Call;
use millstream_testkit::generate::Changes;

use crate::world::{World, checked, rows};

/// 2024-01-01T00:00:00Z in seconds.
const START: i64 = 1_704_067_200;
const DELAY: i64 = 600;

const TOPIC: &str = "CREATE TABLE readings (id BIGINT NOT NULL, ts TIMESTAMP, items ARRAY<STRUCT<meter: STRING, value: INT>>)
USING kafka OPTIONS (subscribe 'readings', value.format 'json', partitions '2');\n";

/// Hours that are written when they are closed, and hours that overlap and are written whenever they change.
fn pipeline() -> String {
    let table = |name: &str, mode: &str, window: &str| {
        format!(
            "CREATE STREAMING TABLE {name} USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'hour ASC', 'output_mode' = '{mode}')
             AS SELECT item.meter AS meter, window.start AS hour, count(*) AS n, sum(item.value) AS total, count(DISTINCT id) AS events
                FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 10 MINUTES LATERAL VIEW explode(items) v AS item
                WHERE item.value <> 0 GROUP BY item.meter, window(ts, {window});\n"
        )
    };
    format!("{TOPIC}{}{}", table("hourly", "append", "'1 hour'"), table("sliding", "update", "'1 hour', '20 minutes'"))
}

#[derive(Clone, Debug)]
struct Event {
    id: i64,
    ts: i64,
    items: Vec<(&'static str, i32)>,
}

impl Event {
    fn partition(&self) -> i32 {
        i32::try_from(self.id % 2).unwrap()
    }

    fn json(&self) -> String {
        let items: Vec<_> = self.items.iter().map(|(meter, value)| format!("{{\"meter\":\"{meter}\",\"value\":{value}}}")).collect();
        format!("{{\"id\":{},\"ts\":\"{}\",\"items\":[{}]}}", self.id, time(self.ts), items.join(","))
    }

    /// What its rows are that the query aggregates.
    fn rows(&self) -> impl Iterator<Item = (&'static str, i64)> {
        self.items.iter().filter(|(_, value)| *value != 0).map(|(meter, value)| (*meter, i64::from(*value)))
    }
}

fn time(seconds: i64) -> String {
    chrono::DateTime::from_timestamp(seconds, 0).unwrap().format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Events of up to four items, some of them of one meter, out of order by up to one and a half hours.
fn events(seed: u64, count: i64) -> Vec<Event> {
    let mut chance = Changes::seeded(seed, 1);
    let meters = ["a", "b", "c"];
    let event = |id| {
        let early = i64::try_from(chance.below(5_400)).unwrap();
        let items = (0..chance.below(5)).map(|_| (meters[chance.below(3)], i32::try_from(chance.below(6)).unwrap())).collect();
        Event { id, ts: START + id * 97 - early, items }
    };
    (0..count).map(event).collect()
}

/// What a few lines of plain Rust make of the events: the table's lines, and which events are late.
fn expected(events: &[Event], size: i64, slide: i64, closed_only: bool, all_in_time: bool) -> (Vec<String>, Vec<i64>) {
    let mut greatest = [i64::MIN; 2];
    let mut watermark = i64::MIN;
    let mut windows: BTreeMap<(&str, i64), (u64, i64, BTreeSet<i64>)> = BTreeMap::new();
    let mut late = Vec::new();
    for event in events {
        let last = event.ts.div_euclid(slide) * slide;
        let starts: Vec<i64> = (0..size / slide).map(|n| last - n * slide).collect();
        let open: Vec<i64> = starts.iter().copied().filter(|start| all_in_time || start + size > watermark).collect();
        if open.len() < starts.len() && event.rows().next().is_some() {
            late.push(event.id);
        }
        for (meter, value) in event.rows() {
            for start in &open {
                let window = windows.entry((meter, *start)).or_default();
                window.0 += 1;
                window.1 += value;
                window.2.insert(event.id);
            }
        }
        let partition = usize::try_from(event.partition()).unwrap();
        greatest[partition] = greatest[partition].max(event.ts);
        watermark = watermark.max(greatest[0].min(greatest[1]).saturating_sub(DELAY));
    }
    let written = windows.into_iter().filter(|((_, start), _)| !closed_only || start + size <= watermark);
    let lines = written.map(|((meter, start), (n, total, ids))| format!("{meter} {} {n} {total} {}", time(start), ids.len()));
    (lines.collect(), late)
}

async fn check(engine: &Arc<Engine>, events: &[Event], replayed: bool) {
    let report = engine.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report}");
    let with_rows = events.iter().filter(|event| event.rows().next().is_some()).count();
    for (table, slide, closed_only) in [("hourly", 3_600, true), ("sliding", 1_200, false)] {
        let (lines, late) = expected(events, 3_600, slide, closed_only, replayed);
        assert_eq!(
            rows(engine, &format!("SELECT meter, hour, n, total, events FROM {table} ORDER BY meter, hour")).await,
            lines,
            "{table}"
        );
        let late = if replayed { Vec::new() } else { late };
        let of_table = format!("FROM system.late_rows WHERE flow = '{table}'");
        assert_eq!(rows(engine, &format!("SELECT count(*) {of_table}")).await, [late.len().to_string()], "late events of {table}");
        let figures = &report.checks.iter().find(|c| c.subject == table).unwrap().figures;
        assert_eq!(figures["filtered"], (events.len() - with_rows) as u64, "{table}: {figures:?}");
        if table == "hourly" {
            assert_eq!(figures["aggregated"], (with_rows - late.len()) as u64, "{table}: {figures:?}");
        }
    }
}

async fn publish(world: &World, events: &[Event]) {
    world.publish_values(events.iter().map(|event| (event.partition(), event.json()))).await;
}

fn world(epoch_rows: usize) -> World {
    let mut world = World::with_epochs_of(epoch_rows);
    world.pipeline = checked(&pipeline());
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn exploded_rows_are_in_their_windows_whatever_the_epochs_are() {
    let events = events(31, 400);
    let late = expected(&events, 3_600, 3_600, true, false).1.len();
    assert!(late > 5 && late < 200, "{late} events are late");
    for size in [1, 7, 50, 1_000] {
        let world = world(size);
        drop(world.engine().await);
        publish(&world, &events).await;
        check(&world.run().await.unwrap(), &events, false).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_moment_changes_no_window_of_exploded_rows() {
    for (seed, call) in [(41, Call::Commit), (42, Call::Put), (43, Call::Begin), (44, Call::ReadLog)] {
        let world = world(13);
        let events = events(seed, 200);
        drop(world.engine().await);
        publish(&world, &events).await;
        world.faults.fail(call, 3, ErrorKind::Internal);
        world.faults.fail_after(call, 7, ErrorKind::Internal);
        check(&world.run_through_deaths().await, &events, false).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_rows_of_a_replayed_late_event_are_in_its_windows() {
    let world = world(40);
    let events = events(51, 400);
    drop(world.engine().await);
    publish(&world, &events).await;
    let running = world.start().await;
    let engine = running.engine.clone();
    engine.caught_up().await.unwrap();
    check(&engine, &events, false).await;
    let outcome = engine.replay_late_rows(ReplayRequest::default()).await.unwrap();
    assert!(outcome.released > 0 && outcome.windows > 0, "{outcome:?}");
    check(&engine, &events, true).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_with_a_row_that_is_in_no_group_is_a_dead_letter_and_in_no_window() {
    let mut world = world(1_000);
    world.pipeline = checked(&pipeline().replace("item.value <> 0", "100 / item.value < 1000"));
    drop(world.engine().await);
    let event = |ts: &str, items: &str| (0, format!("{{\"id\":1,\"ts\":{ts},\"items\":[{items}]}}"));
    let [noon, later] = ["\"2024-01-01T12:00:00Z\"", "\"2024-01-01T12:30:00Z\""];
    let published = [
        event(noon, r#"{"meter":"a","value":1},{"meter":null,"value":2},{"value":3}"#),
        event(noon, r#"{"meter":"a","value":4},{"meter":"b","value":5}"#),
        event("null", r#"{"meter":"a","value":6},{"meter":"b","value":7}"#),
        event(later, r#"{"meter":"a","value":8},{"meter":"b","value":0}"#),
        event(later, r#"{"meter":"","value":9},{"meter":"b","value":10}"#),
    ];
    world.publish_values(published).await;
    let engine = world.run().await.unwrap();
    let sliding = rows(&engine, "SELECT DISTINCT meter, n, total, events FROM sliding ORDER BY meter").await;
    assert_eq!(sliding, ["a 1 4 1", "b 1 5 1"]);
    let dead = rows(&engine, "SELECT \"offset\" FROM system.dead_letters WHERE flow = 'sliding' ORDER BY \"offset\"").await;
    assert_eq!(dead, ["0", "2", "3", "4"], "each event once");
    let report = engine.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_late_as_a_whole_where_the_gap_of_one_row_is_too_short() {
    let mut world = World::new();
    world.pipeline = checked(&format!(
        "{TOPIC}CREATE STREAMING TABLE s USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'began ASC')
         AS SELECT item.meter AS meter, session_window.start AS began, count(*) AS n FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 10 MINUTES
            LATERAL VIEW explode(items) v AS item GROUP BY item.meter, session_window(ts, concat(item.value, ' minutes'));"
    ));
    drop(world.engine().await);
    let event = |id, minutes: i64, items: &[(&'static str, i32)]| Event { id, ts: START + minutes * 60, items: items.to_vec() };
    // Behind the watermark of minute 50, which the third meets: a gap of 5 minutes would end there, one of 30 would not.
    let [first, even] = [event(1, 60, &[("a", 30), ("b", 30)]), event(2, 60, &[("a", 30)])];
    let (both, closing) = (event(3, 40, &[("c", 30), ("d", 5)]), [event(4, 300, &[("e", 1)]), event(5, 300, &[("e", 1)])]);
    publish(&world, &[first, even, both]).await;
    publish(&world, &closing).await;
    let running = world.start().await;
    let engine = running.engine.clone();
    engine.caught_up().await.unwrap();
    let sessions = "SELECT meter, began, n FROM s ORDER BY meter";
    let closed = ["a 2024-01-01T01:00:00Z 2", "b 2024-01-01T01:00:00Z 1"];
    assert_eq!(rows(&engine, sessions).await, closed);
    assert_eq!(rows(&engine, "SELECT \"offset\", event_time, window_end FROM system.late_rows").await.len(), 1);
    assert!(engine.verify(&|_| {}).await.unwrap().is_clean());
    engine.replay_late_rows(ReplayRequest::default()).await.unwrap();
    assert_eq!(rows(&engine, sessions).await, [&closed[..], &["c 2024-01-01T00:40:00Z 1", "d 2024-01-01T00:40:00Z 1"]].concat());
    let report = engine.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report}");
    running.stop().await;
}
