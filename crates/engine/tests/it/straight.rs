//! Without trouble: whatever the epochs are, the tables are the same, and those that plain Rust computes.

use std::sync::Arc;

use millstream_engine::Engine;

use crate::events::{Reading, hourly, readings};
use crate::world::{World, hours, rows};

/// Checks every table against the oracle.
pub async fn check(engine: &Arc<Engine>, events: &[Reading]) {
    let mut expected: Vec<String> =
        events.iter().filter(|r| r.value.is_none_or(|v| v >= 0)).map(|r| format!("{} {}", r.meter, r.id)).collect();
    expected.sort();
    let mut stored = rows(engine, "SELECT meter, id FROM by_meter").await;
    stored.sort();
    assert_eq!(stored, expected, "by_meter");

    let mut expected: Vec<String> = events.iter().filter(|r| r.value.is_some_and(|v| v >= 90)).map(|r| r.id.to_string()).collect();
    expected.sort();
    let mut stored = rows(engine, "SELECT id FROM high").await;
    stored.sort();
    assert_eq!(stored, expected, "high");

    let all = hourly(events);
    assert_eq!(hours(engine, "hourly").await, all, "hourly");

    // Closed windows: the watermark is the lesser partition's greatest time less an hour.
    let greatest = |p| events.iter().filter(|r| r.partition() == p).map(|r| r.ts).max();
    let watermark = greatest(0).min(greatest(1)).map_or(i64::MIN, |t| t - 3_600);
    let closed = all.into_iter().filter(|((_, hour), _)| hour + 3_600 <= watermark).collect();
    assert_eq!(hours(engine, "closed").await, closed, "closed");

    let report = engine.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_large_epoch_gives_what_the_oracle_gives() {
    let world = World::new();
    let events = readings(1, 3_000);
    drop(world.engine().await);
    world.publish(&events).await;
    check(&world.run().await.unwrap(), &events).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_is_silent_for_long_holds_no_window_open() {
    let mut world = World::new();
    world.settings.idle_after_ms = 30_000;
    let events: Vec<Reading> = readings(3, 300).into_iter().filter(|r| r.partition() == 0).collect();
    drop(world.engine().await);
    world.publish(&events).await;
    let running = world.start().await;
    let watermark = events.iter().map(|r| r.ts).max().unwrap() - 3_600;
    let mut closed = hourly(&events);
    closed.retain(|(_, hour), _| hour + 3_600 <= watermark);
    // The clock skips to the moment at which the other partition is idle, when the flow has nothing to do.
    let seen = async {
        while hours(&running.engine, "closed").await != closed {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), seen).await.unwrap();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn epochs_of_any_size_give_the_same() {
    for size in [1, 2, 7, 100] {
        let world = World::with_epochs_of(size);
        let events = readings(2, 400);
        drop(world.engine().await);
        world.publish(&events).await;
        check(&world.run().await.unwrap(), &events).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_come_while_it_runs_are_processed_at_once() {
    let world = World::with_epochs_of(50);
    let events = readings(3, 600);
    let running = world.start().await;
    let engine = running.engine.clone();
    for part in events.chunks(83) {
        world.publish(part).await;
        engine.caught_up().await.unwrap();
    }
    check(&engine, &events).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicates_are_absorbed_by_key_and_counted_in_windows() {
    let world = World::with_epochs_of(64);
    let events = readings(4, 300);
    drop(world.engine().await);
    world.publish(&events).await;
    world.publish(&events[250..]).await;
    let engine = world.run().await.unwrap();
    let stored = rows(&engine, "SELECT count(*) FROM by_meter").await;
    let expected = events.iter().filter(|r| r.value.is_none_or(|v| v >= 0)).count();
    assert_eq!(stored, [expected.to_string()]);
    let counted = rows(&engine, "SELECT sum(n) FROM hourly").await;
    let late = rows(&engine, "SELECT count(*) FROM system.late_rows WHERE flow = 'hourly'").await;
    assert_eq!(counted[0].parse::<u64>().unwrap() + late[0].parse::<u64>().unwrap(), 350);
}
