//! Joins of streams with so little memory that their rows go to disk and come back all the time: nothing else changes, through deaths and damage.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::util::display::array_value_to_string;
use futures::TryStreamExt as _;
use millstream_core::ports::Scan;
use millstream_core::{ErrorKind, FlowId};
use millstream_engine::Engine;
use millstream_engine::flow::checkpoint::Checkpoint;
use millstream_testkit::ManualClock;
use millstream_testkit::faults::Call;

use crate::damaged::damage;
use crate::joins::{self, Event, TABLES, check, events, publish};
use crate::world::{World, checked, rows};

/// One flow that joins within so many hours, by `join`, and waits `delay` for late events.
fn world(join: &str, hours: usize, delay: &str) -> World {
    let mut world = World::with_epochs_of(17);
    world.pipeline = checked(&format!(
        "{TABLES} CREATE STREAMING TABLE joined USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'reading, alarm')
         AS SELECT coalesce(r.meter, a.meter) AS meter, coalesce(r.id, -1) AS reading, coalesce(a.id, -1) AS alarm, r.value, a.ts
            FROM STREAM readings WATERMARK ts DELAY OF INTERVAL {delay} r {join} STREAM alarms WATERMARK ts DELAY OF INTERVAL {delay} a
            ON r.meter = a.meter AND a.ts BETWEEN r.ts - INTERVAL {hours} HOURS AND r.ts + INTERVAL {hours} HOURS AND a.value > r.value"
    ));
    world
}

fn with_memory(mut world: World, bytes: usize) -> World {
    world.settings.state_memory_bytes_max = bytes;
    world
}

fn has_spilled(world: &World) {
    assert!(world.spilled().created() > 10, "{} runs", world.spilled().created());
}

/// The rows of the table with their versions.
async fn versions(world: &World) -> BTreeSet<String> {
    let scan = Scan { with_version: true, ..Scan::default() };
    let snapshot = world.ports().event_store.snapshot().await.unwrap();
    let batches: Vec<_> = snapshot.scan("joined", &scan).await.unwrap().try_collect().await.unwrap();
    let line = |batch: &arrow::array::RecordBatch, row| {
        let cells = batch.columns().iter().map(|column| array_value_to_string(column, row).unwrap());
        cells.collect::<Vec<_>>().join(" ")
    };
    batches.iter().flat_map(|batch| (0..batch.num_rows()).map(|row| line(batch, row)).collect::<Vec<_>>()).collect()
}

async fn run(world: &World, events: &[Event]) -> Arc<Engine> {
    drop(world.engine().await);
    publish(world, events).await;
    world.run().await.unwrap()
}

async fn run_through_deaths(world: &World, events: &[Event], call: Call, nth: u64) -> Arc<Engine> {
    drop(world.engine().await);
    publish(world, events).await;
    world.faults.fail(call, nth, ErrorKind::Internal);
    world.faults.fail_after(call, nth + 3, ErrorKind::Internal);
    world.run_through_deaths().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_joined_row_has_the_values_and_the_version_that_it_has_in_memory() {
    for join in ["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"] {
        let events = events(11, 220);
        // Versions are drawn from the clock: it stands still.
        let world = || {
            let mut world = world(join, 2, "10 MINUTES");
            world.clock = Arc::new(ManualClock::at(ManualClock::START));
            world
        };
        let plain = world();
        run(&plain, &events).await;
        assert_eq!(plain.spilled().created(), 0);
        let tight = with_memory(world(), 7_000);
        let engine = run(&tight, &events).await;
        has_spilled(&tight);
        let (expected, found) = (versions(&plain).await, versions(&tight).await);
        assert!(expected.len() > 500, "{} rows of {join}", expected.len());
        assert!(found == expected, "{join}: {:?}", found.symmetric_difference(&expected).take(5).collect::<Vec<_>>());
        assert!(engine.verify(&|_| {}).await.unwrap().is_clean());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_moment_changes_nothing_of_what_is_joined() {
    for nth in [1, 4, 9, 15] {
        for call in [Call::Commit, Call::Put, Call::Get] {
            let world = with_memory(joins::world(21), 40_000);
            let events = events(200 + nth, 160);
            let engine = run_through_deaths(&world, &events, call, nth).await;
            check(&engine, &events).await;
            has_spilled(&world);
            drop(engine);
            assert_eq!(world.spilled().files(), 0, "flows that have stopped leave no files");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_stops_a_join_and_the_checkpoint_has_all() {
    let events = events(7, 300);
    let plain = world("FULL JOIN", 2, "10 MINUTES");
    run(&plain, &events).await;
    let tight = with_memory(world("FULL JOIN", 2, "10 MINUTES"), 7_000);
    drop(tight.engine().await);
    publish(&tight, &events[..400]).await;
    let running = tight.start().await;
    running.engine.caught_up().await.unwrap();
    tight.spilled().damage();
    publish(&tight, &events[400..]).await;
    let error = running.engine.caught_up().await.unwrap_err();
    assert!(error.to_string().contains("fails its checksum"), "{error}");
    running.stop().await;
    tight.spilled().mend();
    let engine = tight.run().await.unwrap();
    let query = "SELECT meter, reading, alarm, value, ts FROM joined";
    let of_plain: BTreeSet<String> = rows(&plain.engine().await, query).await.into_iter().collect();
    assert!(of_plain.len() > 500);
    assert_eq!(rows(&engine, query).await.into_iter().collect::<BTreeSet<_>>(), of_plain);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_join_are_checkpointed_in_parts_and_restored_from_any_epoch() {
    // Nothing leaves, so that the state grows.
    let mut tight = with_memory(world("LEFT JOIN", 1, "900 DAYS"), 24_000);
    tight.settings.epoch_rows_max = 5;
    tight.settings.checkpoints_kept = 1_000;
    let events = events(21, 800);
    let mut plain = world("LEFT JOIN", 1, "900 DAYS");
    plain.settings.epoch_rows_max = 100;
    drop(tight.engine().await);
    drop(plain.engine().await);
    let query = "SELECT meter, reading, alarm, value, ts FROM joined";
    for piece in events.chunks(400) {
        publish(&plain, piece).await;
        publish(&tight, piece).await;
        // Each run is a restart, in the middle of whatever round there is.
        let (expected, found) = (rows(&plain.run().await.unwrap(), query).await, rows(&tight.run().await.unwrap(), query).await);
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected.into_iter().collect());
    }
    has_spilled(&tight);
    let (store, flow) = (tight.ports().checkpoints, FlowId::new("joined"));
    let mut bases = BTreeSet::new();
    let epochs = store.epochs(&flow).await.unwrap();
    for epoch in &epochs {
        let checkpoint = Checkpoint::decode(&store.get(&flow, *epoch).await.unwrap().unwrap()).unwrap();
        let rows: usize = checkpoint.state.iter().map(|side| side.num_rows()).sum();
        assert!(rows < 150, "the checkpoint of epoch {epoch} has {rows} rows");
        bases.insert(checkpoint.header.base);
    }
    assert!(bases.len() > 2 && epochs.len() > 250, "rounds began at {bases:?}, of {} epochs", epochs.len());
    // A flow that joins does no epochs again: without the newest checkpoint it stops.
    assert_eq!(damage(&tight, "joined", |at, of| at + 1 >= of).await, 1);
    let error = tight.run().await.err().unwrap();
    assert!(error.to_string().contains("millstream reset joined"), "{error}");
}
