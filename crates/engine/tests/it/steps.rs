//! One large step of the watermark: what it passes comes out in epochs of bounded size, and is what comes out at once, through deaths between them.

use std::sync::Arc;

use millstream_core::{ErrorKind, FlowId};
use millstream_engine::flow::checkpoint::Checkpoint;
use millstream_engine::{Engine, ReplayRequest};
use millstream_testkit::faults::Call;

use crate::events::{Reading, readings};
use crate::joins::{Event, TABLES, events, publish};
use crate::world::{World, checked, rows};

/// Behind everything else, in each partition of both topics.
fn last() -> [Event; 4] {
    let at = |id, meter| Reading { id, ts: 1_720_000_000, meter, value: Some(1) };
    [(0, at(90_000, "b")), (0, at(90_001, "c")), (1, at(90_002, "b")), (1, at(90_003, "c"))]
}

/// A pipeline of one flow whose delay is so long that nothing leaves before the last events come, and so much memory.
fn world(sql: &str, memory: usize) -> World {
    let mut world = World::with_epochs_of(40);
    world.pipeline = checked(&format!("{TABLES} {}", sql.replace("DELAY", "DELAY OF INTERVAL 60 DAYS")));
    world.settings.state_memory_bytes_max = memory;
    world.settings.checkpoints_kept = 1_000;
    world
}

async fn run(world: &World, events: &[Event]) -> Arc<Engine> {
    drop(world.engine().await);
    publish(world, events).await;
    world.run_through_deaths().await
}

/// How many epochs of a flow end where not all has come out.
async fn unfinished(world: &World, flow: &str) -> usize {
    let (store, flow) = (world.ports().checkpoints, FlowId::new(flow));
    let mut unfinished = 0;
    for epoch in store.epochs(&flow).await.unwrap() {
        let checkpoint = Checkpoint::decode(&store.get(&flow, epoch).await.unwrap().unwrap()).unwrap();
        unfinished += usize::from(checkpoint.header.emitted.is_some());
    }
    unfinished
}

/// What is in `table` is the same with much memory and with little, whatever call fails while the parts come out.
async fn is_the_same_in_parts(sql: &str, table: &str, events: &[Event], parts: usize) {
    // Not the hidden columns of a topic.
    let columns = if sql.contains("kafka") { "reading, alarm, value" } else { "*" };
    let query = format!("SELECT {columns} FROM {table}");
    let sorted = |mut rows: Vec<String>| {
        rows.sort_unstable();
        rows
    };
    let plain = world(sql, 512 << 20);
    let engine = run(&plain, events).await;
    let expected = sorted(rows(&engine, &query).await);
    assert_eq!(unfinished(&plain, table).await, 0, "{table}");
    for (call, nth) in [(Call::Commit, 1), (Call::Commit, 4), (Call::Put, 2), (Call::Put, 7)] {
        let tight = world(sql, 16_000);
        let nth = plain.faults.calls(call) + nth;
        tight.faults.fail(call, nth, ErrorKind::Internal);
        tight.faults.fail_after(call, nth + 3, ErrorKind::Internal);
        let engine = run(&tight, events).await;
        let found = sorted(rows(&engine, &query).await);
        assert!(found == expected, "{table}, {call:?} {nth}: {} of {} rows", found.len(), expected.len());
        assert!(engine.verify(&|_| {}).await.unwrap().is_clean());
        let unfinished = unfinished(&tight, table).await;
        assert!(unfinished >= parts, "{table}: {unfinished} epochs are unfinished");
    }
}

fn all_events(seed: u64) -> Vec<Event> {
    events(seed, 500).into_iter().chain(last()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_join_that_matched_nothing_come_out_in_parts() {
    for kind in ["LEFT", "FULL"] {
        let sql = format!(
            "CREATE STREAMING TABLE joined USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'reading, alarm')
             AS SELECT coalesce(r.meter, a.meter) AS meter, coalesce(r.id, -1) AS reading, coalesce(a.id, -1) AS alarm, r.value, a.ts
                FROM STREAM readings WATERMARK ts DELAY r {kind} JOIN STREAM alarms WATERMARK ts DELAY a
                ON r.meter = a.meter AND a.ts BETWEEN r.ts - INTERVAL 1 HOUR AND r.ts + INTERVAL 1 HOUR AND a.value > r.value + 90"
        );
        is_the_same_in_parts(&sql, "joined", &all_events(51), 5).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn joined_rows_are_appended_to_a_topic_once_each() {
    let sql = "CREATE STREAMING TABLE joined USING kafka TBLPROPERTIES ('topic' = 'joined', 'value.format' = 'json', 'partitions' = '1')
        AS SELECT r.id AS reading, a.id AS alarm, r.value
           FROM STREAM readings WATERMARK ts DELAY r LEFT JOIN STREAM alarms WATERMARK ts DELAY a
           ON r.meter = a.meter AND a.ts BETWEEN r.ts - INTERVAL 1 HOUR AND r.ts + INTERVAL 1 HOUR AND a.value > r.value + 90";
    is_the_same_in_parts(sql, "joined", &all_events(52), 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_over_a_join_wait_for_what_is_still_to_come_out() {
    let sql = "CREATE STREAMING TABLE counted USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'start')
        AS SELECT r.meter, window.start AS start, count(*) AS n, count(a.id) AS matched
           FROM STREAM readings WATERMARK ts DELAY r LEFT JOIN STREAM alarms WATERMARK ts DELAY a
           ON r.meter = a.meter AND a.ts BETWEEN r.ts - INTERVAL 1 HOUR AND r.ts + INTERVAL 1 HOUR AND a.value > r.value + 90
           GROUP BY r.meter, window(r.ts, '10 minutes')";
    is_the_same_in_parts(sql, "counted", &all_events(53), 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_that_close_together_come_out_in_parts() {
    let events: Vec<Event> = readings(54, 1_500).into_iter().map(|event| (0, event)).chain(last()).collect();
    let of = |query: &str| {
        format!(
            "CREATE STREAMING TABLE counted USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'start') AS {query}"
        )
    };
    let fixed = of(
        "SELECT meter, window.start AS start, count(*) AS n, sum(value) AS total FROM STREAM readings WATERMARK ts DELAY GROUP BY meter, window(ts, '20 minutes')",
    );
    is_the_same_in_parts(&fixed, "counted", &events, 5).await;
    let one = of(
        "SELECT meter, window.start AS start, id, count(*) AS n FROM STREAM readings WATERMARK ts DELAY GROUP BY meter, id, window(ts, '900 days')",
    );
    is_the_same_in_parts(&one.replace("'start'", "'start, id'"), "counted", &events, 5).await;
    let sessions = of(
        "SELECT meter, session_window.start AS start, count(*) AS n FROM STREAM readings WATERMARK ts DELAY GROUP BY meter, session_window(ts, '3 minutes')",
    );
    is_the_same_in_parts(&sessions, "counted", &events, 5).await;
    let chained = of(
        "SELECT meter, window(window_time(part), '1 hour').start AS start, max(n) AS most, count(*) AS parts
           FROM (SELECT meter, window AS part, count(*) AS n FROM STREAM readings WATERMARK ts DELAY GROUP BY meter, window(ts, '10 minutes'))
           GROUP BY meter, window(window_time(part), '1 hour')",
    );
    is_the_same_in_parts(&chained, "counted", &events, 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn between_two_parts_a_table_is_not_compared() {
    let sql = "CREATE STREAMING TABLE counted USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'start')
        AS SELECT meter, window.start AS start, count(*) AS n FROM STREAM readings WATERMARK ts DELAY GROUP BY meter, window(ts, '10 minutes')";
    let events: Vec<Event> = readings(55, 1_500).into_iter().map(|event| (0, event)).chain(last()).collect();
    let plain = world(sql, 512 << 20);
    run(&plain, &events).await;
    let tight = world(sql, 16_000);
    drop(tight.engine().await);
    publish(&tight, &events).await;
    tight.faults.fail(Call::Commit, plain.faults.calls(Call::Commit) + 3, ErrorKind::Internal);
    assert!(tight.run().await.is_err());
    let report = tight.engine().await.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean() && report.to_string().contains("still coming out"), "{report}");
    let report = tight.run().await.unwrap().verify(&|_| {}).await.unwrap();
    assert!(report.is_clean() && !report.to_string().contains("still coming out"), "{report}");
}

const DAY: i64 = 86_400;

/// Readings of two meters, one in each partition.
fn in_both(at: impl Fn(&'static str) -> Reading) -> [Event; 2] {
    ["a", "c"].map(|meter| (0, at(meter)))
}

/// A repair puts windows in place that were made without any bound, and the epoch behind it may be the one that closes them.
#[tokio::test(flavor = "multi_thread")]
async fn what_closes_in_the_epoch_behind_a_repair_comes_out_in_parts() {
    let sql = "CREATE STREAMING TABLE counted USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'start')
        AS SELECT meter, session_window.start AS start, count(*) AS n FROM STREAM readings WATERMARK ts DELAY GROUP BY meter, session_window(ts, '3 minutes')";
    let world = world(sql, 16_000);
    let start = 1_704_067_200;
    let reading = |id, ts, meter| Reading { id, ts, meter, value: Some(1) };
    drop(world.engine().await);
    publish(&world, &in_both(|meter| reading(1, start, meter))).await;
    publish(&world, &in_both(|meter| reading(2, start + 70 * DAY, meter))).await;
    // One that is late, and many whose sessions stay open.
    publish(&world, &[(0, reading(3, start + DAY, "a"))]).await;
    let open: Vec<Event> = (0..1_000).map(|n| (0, reading(10 + n, start + 70 * DAY + n * 600, "c"))).collect();
    publish(&world, &open).await;
    let running = world.start().await;
    let engine = running.engine.clone();
    engine.caught_up().await.unwrap();
    assert_eq!(unfinished(&world, "counted").await, 0, "nothing large has come out yet");
    // While an epoch is committed, both come: the command, and what closes all sessions.
    let gate = world.faults.block(Call::Commit, world.faults.calls(Call::Commit) + 1);
    publish(&world, &[(0, reading(4, start + 70 * DAY, "a"))]).await;
    gate.reached().await;
    let mut replay = std::pin::pin!(engine.replay_late_rows(ReplayRequest::default()));
    for _ in 0..100 {
        assert!(futures::poll!(&mut replay).is_pending());
        tokio::task::yield_now().await;
    }
    publish(&world, &in_both(|meter| reading(5, start + 400 * DAY, meter))).await;
    gate.release();
    assert_eq!(replay.await.unwrap().released, 1);
    engine.caught_up().await.unwrap();
    assert!(unfinished(&world, "counted").await >= 5, "{} epochs are unfinished", unfinished(&world, "counted").await);
    assert!(engine.verify(&|_| {}).await.unwrap().is_clean());
    running.stop().await;
}

/// What comes while parts come out waits, and the flow says so.
#[tokio::test(flavor = "multi_thread")]
async fn the_lag_rises_while_parts_come_out() {
    let sql = "CREATE STREAMING TABLE counted USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'start')
        AS SELECT meter, window.start AS start, count(*) AS n FROM STREAM readings WATERMARK ts DELAY GROUP BY meter, window(ts, '10 minutes')";
    let world = world(sql, 16_000);
    drop(world.engine().await);
    let events: Vec<Event> = readings(56, 1_000).into_iter().map(|event| (0, event)).collect();
    publish(&world, &events).await;
    let running = world.start().await;
    running.engine.caught_up().await.unwrap();
    let next = world.faults.calls(Call::Commit) + 1;
    // An epoch, during which comes what closes the windows; the next one; the first part, during which 30 readings come; and the fourth, when the third, which has
    // begun since, is committed.
    let [before, first, fourth] = [0, 2, 5].map(|nth| world.faults.block(Call::Commit, next + nth));
    publish(&world, &events[999..]).await;
    before.reached().await;
    publish(&world, &in_both(|meter| Reading { id: 90_000, ts: 1_720_000_000, meter, value: Some(1) })).await;
    before.release();
    first.reached().await;
    publish(&world, &events[..30]).await;
    first.release();
    fourth.reached().await;
    assert_eq!(rows(&running.engine, "SELECT lag FROM system.flows").await, ["30"]);
    fourth.release();
    running.engine.caught_up().await.unwrap();
    running.stop().await;
}
