//! Checkpoints that can't be read: a flow goes on from an older one and makes the same tables, or stops and says what to run.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use futures::TryStreamExt as _;
use millstream_core::ports::{NewRecord, Scan};
use millstream_core::{Epoch, ErrorKind, FlowId, Timestamp, TopicPartition};
use millstream_engine::flow::checkpoint::Checkpoint;
use millstream_engine::{Engine, Ports};
use millstream_testkit::ManualClock;
use millstream_testkit::faults::Call;

use crate::events::{Reading, readings};
use crate::logs::AlteredLog;
use crate::straight::check;
use crate::world::{World, checked, rows};
use crate::{chained, sessions, sliding, torn};

/// Damages the checkpoints of `flow` that `which` picks, of its epochs in order.
pub async fn damage(world: &World, flow: &str, which: impl Fn(usize, usize) -> bool) -> usize {
    let (store, flow) = (world.ports().checkpoints, FlowId::new(flow));
    let epochs = store.epochs(&flow).await.unwrap();
    let attempt = store.claim(&flow).await.unwrap();
    let mut damaged = 0;
    for (at, epoch) in epochs.iter().enumerate().filter(|(at, _)| which(*at, epochs.len())) {
        let mut bytes = store.get(&flow, *epoch).await.unwrap().unwrap().to_vec();
        let middle = (bytes.len() * (at + 1)) / (epochs.len() + 1);
        bytes[middle] ^= 0x20;
        store.put(&flow, attempt, *epoch, Bytes::from(bytes)).await.unwrap();
        damaged += 1;
    }
    damaged
}

/// A world whose flows have processed `events`, in epochs of `rows` events.
async fn processed(events: &[Reading], rows: usize) -> World {
    let world = World::with_epochs_of(rows);
    drop(world.engine().await);
    world.publish(events).await;
    world.run().await.unwrap();
    world
}

/// Flips bits of one byte of the newest checkpoint of `flow`, `part` of `parts` on its way.
async fn flip(world: &World, flow: &str, part: usize, parts: usize) {
    let (store, flow) = (world.ports().checkpoints, FlowId::new(flow));
    let newest = *store.epochs(&flow).await.unwrap().last().unwrap();
    let attempt = store.claim(&flow).await.unwrap();
    let mut bytes = store.get(&flow, newest).await.unwrap().unwrap().to_vec();
    let at = bytes.len() * part / parts;
    bytes[at] ^= 1 << (part % 8);
    store.put(&flow, attempt, newest, Bytes::from(bytes)).await.unwrap();
}

async fn fell_back_to(engine: &Arc<Engine>, flow: &str) -> String {
    rows(engine, &format!("SELECT fell_back_to FROM system.flows WHERE flow = '{flow}'")).await.concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_whose_newest_checkpoints_are_damaged_goes_on_from_an_older_one() {
    for seed in 0..4 {
        let events = readings(60 + seed, 900);
        let (before, after) = events.split_at(600);
        // Many epochs, so that restore points are deltas on deltas.
        let world = processed(before, 11).await;
        for flow in ["hourly", "closed", "high"] {
            // A flow without windows keeps no more checkpoints than it was asked to.
            let lost = if flow == "high" { 1 } else { 1 + usize::try_from(seed).unwrap() * 3 };
            assert!(damage(&world, flow, |at, of| at + lost >= of).await > 0);
        }
        world.publish(after).await;
        let engine = world.run().await.unwrap();
        check(&engine, &events).await;
        for flow in ["hourly", "closed", "high"] {
            assert_ne!(fell_back_to(&engine, flow).await, "", "{flow} says so");
        }
        let report = engine.verify(&|_| {}).await.unwrap();
        assert!(report.is_clean(), "{report}");
        // Once is enough: its new checkpoints can be read.
        let engine = world.run().await.unwrap();
        assert_eq!(fell_back_to(&engine, "hourly").await, "");
        check(&engine, &events).await;
    }
}

/// Its checksum holds, and what it says of windows that are still to come out does not.
#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_does_not_say_what_has_come_out_is_passed_over() {
    for unreadable in ["zz", "00"] {
        let events = readings(66, 500);
        let world = processed(&events[..400], 11).await;
        let (store, flow) = (world.ports().checkpoints, FlowId::new("closed"));
        let newest = *store.epochs(&flow).await.unwrap().last().unwrap();
        let mut checkpoint = Checkpoint::decode(&store.get(&flow, newest).await.unwrap().unwrap()).unwrap();
        checkpoint.header.emitted = serde_json::from_str(&format!(r#"{{"sides":[null,null],"windows":["{unreadable}"]}}"#)).unwrap();
        let attempt = store.claim(&flow).await.unwrap();
        store.put(&flow, attempt, newest, checkpoint.encode().unwrap()).await.unwrap();
        world.publish(&events[400..]).await;
        let engine = world.run().await.unwrap();
        assert_ne!(fell_back_to(&engine, "closed").await, "", "{unreadable}");
        check(&engine, &events).await;
    }
}

/// Else no window would close, and no checkpoint go, for as long as somebody publishes.
#[tokio::test(flavor = "multi_thread")]
async fn epochs_are_done_again_only_until_the_flow_has_read_all_though_the_publisher_never_pauses() {
    let events = readings(75, 1_000);
    let (before, after) = events.split_at(300);
    let world = processed(before, 11).await;
    for flow in ["hourly", "closed"] {
        damage(&world, flow, |at, of| at + 3 >= of).await;
    }
    let ports = world.ports();
    let log = AlteredLog::steadily(ports.log.clone(), after);
    let engine = world.run_on(Ports { log, ..ports }).await.unwrap();
    for flow in ["hourly", "closed"] {
        let fell_back_to: u64 = fell_back_to(&engine, flow).await.parse().unwrap();
        let kept = world.ports().checkpoints.epochs(&FlowId::new(flow)).await.unwrap();
        assert!(kept[0] > Epoch(fell_back_to), "{flow}: what it went on from has gone, and epochs from {} are kept", kept[0]);
        assert!(kept.last().unwrap().0 > fell_back_to + 50, "{flow} took many epochs: {kept:?}");
    }
    // The other flows had caught up with what there was at first, and may have been stopped before the last events.
    check(&world.run().await.unwrap(), &events).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delta_in_the_middle_takes_the_later_ones_with_it() {
    let events = readings(70, 800);
    let world = processed(&events[..700], 9).await;
    for flow in ["hourly", "closed"] {
        assert_eq!(damage(&world, flow, |at, of| at == of - 5).await, 1);
    }
    world.publish(&events[700..]).await;
    let engine = world.run().await.unwrap();
    check(&engine, &events).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_while_epochs_are_done_again_changes_nothing() {
    for nth in 1..8 {
        let events = readings(80 + nth, 700);
        let world = processed(&events[..600], 13).await;
        for flow in ["hourly", "closed", "high"] {
            let lost = if flow == "high" { 1 } else { 6 };
            damage(&world, flow, |at, of| at + lost >= of).await;
        }
        world.publish(&events[600..]).await;
        world.faults.fail(Call::Commit, nth, ErrorKind::Internal);
        world.faults.fail_after(Call::Commit, nth + 3, ErrorKind::Internal);
        world.faults.fail_after(Call::Put, nth + 1, ErrorKind::Internal);
        let mut lives = 0;
        let engine = loop {
            match world.run().await {
                Ok(engine) => break engine,
                Err(error) => assert!(lives < 20, "{error}"),
            }
            lives += 1;
        };
        world.faults.heal();
        check(&engine, &events).await;
        let report = engine.verify(&|_| {}).await.unwrap();
        assert!(report.is_clean(), "{report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_byte_is_flipped_the_tables_are_the_same() {
    const PARTS: usize = 40;
    let events = readings(95, 1_000);
    let world = processed(&events[..600], 17).await;
    for part in 0..PARTS {
        for flow in ["by_meter", "hourly", "closed", "high"] {
            flip(&world, flow, part, PARTS).await;
        }
        let so_far = 600 + (part + 1) * 10;
        world.publish(&events[so_far - 10..so_far]).await;
        check(&world.run().await.unwrap(), &events[..so_far]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_that_was_torn_and_whose_checkpoint_is_lost_is_done_again() {
    for seed in 0..5 {
        let world = World::with_epochs_of(23);
        let events = readings(110 + seed, 400);
        drop(world.engine().await);
        world.publish(&events).await;
        torn::run(&world, [20 + seed]).await.err().unwrap();
        for flow in ["hourly", "closed"] {
            damage(&world, flow, |at, of| at > 0 && at + 1 == of).await;
        }
        let engine = torn::run(&world, []).await.unwrap();
        check(&engine, &events).await;
        let report = engine.verify(&|_| {}).await.unwrap();
        assert!(report.is_clean(), "{report}");
    }
}

/// Rows that come too late, before and after the damage, are each in one place.
#[tokio::test(flavor = "multi_thread")]
async fn late_rows_and_dead_letters_are_not_put_aside_twice() {
    let world = World::with_epochs_of(16);
    let events = readings(90, 1_200);
    let late: Vec<Reading> =
        (0..20).map(|i| Reading { id: 9_000 + i, value: Some(5), ..events[usize::try_from(i).unwrap()].clone() }).collect();
    drop(world.engine().await);
    world.publish(&events[..1_000]).await;
    world.publish(&late).await;
    world.publish_values([(0, "{broken".to_owned())]).await;
    world.publish(&events[1_000..]).await;
    let engine = world.run().await.unwrap();
    let aside =
        "SELECT flow, partition, \"offset\" FROM system.late_rows UNION ALL SELECT flow, partition, \"offset\" FROM system.dead_letters";
    let mut expected = rows(&engine, aside).await;
    assert!(expected.len() > 20);
    drop(engine);
    for flow in ["hourly", "closed"] {
        damage(&world, flow, |at, of| at + 30 >= of).await;
    }
    let engine = world.run().await.unwrap();
    assert_ne!(fell_back_to(&engine, "closed").await, "");
    let mut found = rows(&engine, aside).await;
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
    let report = engine.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_that_overlap_sessions_and_windows_over_windows_are_the_same() {
    for seed in 0..3 {
        let events = readings(180 + seed, 500);
        let lost = 1 + usize::try_from(seed).unwrap() * 4;
        let worlds = [
            (sliding::world(17), ["sliding", "slid"]),
            (sessions::world("3 MINUTES", 17), ["steady", "varying"]),
            (chained::world(17), ["busiest", "busy"]),
        ];
        for (world, flows) in worlds {
            drop(world.engine().await);
            world.publish(&events[..300]).await;
            world.run().await.unwrap();
            for flow in flows {
                assert!(damage(&world, flow, |at, of| at + lost >= of).await > 0);
            }
            // While epochs are done again nothing new is late, so what is new comes after that.
            for all in [300, 500] {
                let engine = world.run().await.unwrap();
                match flows[0] {
                    "sliding" => sliding::check(&engine, &events[..all], false).await,
                    "steady" => sessions::check(&engine, &events[..all], 180, false).await,
                    _ => chained::check(&engine, &events[..all], false).await,
                }
                assert_eq!(fell_back_to(&engine, flows[0]).await.is_empty(), all > 300);
                world.publish(&events[all..]).await;
            }
        }
    }
}

/// It was late because its session was closed. Now it comes before that session begins, for its record's time is the older one.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_was_late_for_a_session_is_late_again_in_whatever_order_rows_come_now() {
    let world = sessions::world("3 MINUTES", 1);
    let append = async |partition: i32, at_ms: i64, meter: &'static str, seconds: i64| {
        let reading = Reading { id: at_ms, ts: 1_704_067_200 + seconds, meter, value: Some(1) };
        let timestamp = Some(Timestamp(at_ms * 1_000));
        let record = NewRecord { timestamp, value: Some(Bytes::from(reading.json())), ..NewRecord::default() };
        world.ports().log.append(&TopicPartition::new("readings", partition), vec![record]).await.unwrap();
    };
    drop(world.engine().await);
    append(0, 1, "c", 0).await;
    append(0, 2, "c", 600).await;
    append(1, 3, "a", 0).await;
    append(1, 4, "b", 600).await;
    world.run().await.unwrap();
    append(0, 2, "a", 240).await;
    let engine = world.run().await.unwrap();
    let late = "SELECT count(*) FROM system.late_rows WHERE flow = 'steady'";
    assert_eq!(rows(&engine, late).await, ["1"]);
    damage(&world, "steady", |at, _| at > 0).await;
    append(0, 5, "c", 2_000).await;
    append(1, 6, "b", 2_000).await;
    let engine = world.run().await.unwrap();
    assert_eq!(fell_back_to(&engine, "steady").await, "1");
    assert_eq!(rows(&engine, "SELECT n FROM steady WHERE meter = 'a'").await, ["1"]);
    assert_eq!(rows(&engine, late).await, ["1"]);
    let report = engine.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report}");
}

/// Its store shows no part of an epoch: what the epoch put aside goes as its rows have gone, and comes again with them, in whatever epoch.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_uncommitted_epoch_put_aside_whose_checkpoint_is_lost_is_put_aside_once() {
    let mut world = World::with_epochs_of(50);
    world.pipeline = checked(
        "CREATE TABLE readings (id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, meter STRING NOT NULL, value INT)
         USING kafka OPTIONS (subscribe 'readings', value.format 'json', partitions '2');
         CREATE STREAMING TABLE by_id USING cassandra PARTITIONED BY (id) AS SELECT id, meter FROM STREAM readings;",
    );
    let events = readings(97, 60);
    drop(world.engine().await);
    world.publish(&events[..20]).await;
    world.run().await.unwrap();
    world.publish(&events[20..40]).await;
    world.publish_values([(0, "{broken".to_owned())]).await;
    world.publish(&events[40..]).await;
    world.faults.fail(Call::Commit, world.faults.calls(Call::Commit) + 1, ErrorKind::Internal);
    world.run().await.err().unwrap();
    damage(&world, "by_id", |at, of| at + 1 == of).await;
    world.settings.epoch_rows_max = 5;
    let engine = world.run().await.unwrap();
    assert_eq!(rows(&engine, "SELECT count(*) FROM system.dead_letters").await, ["1"]);
    assert_eq!(rows(&engine, "SELECT count(*) FROM by_id").await, ["60"]);
    let report = engine.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report}");
}

/// The versions of a table's rows.
async fn versions(world: &World, table: &str) -> Vec<i64> {
    let scan = Scan { with_version: true, ..Scan::default() };
    let snapshot = world.ports().event_store.snapshot().await.unwrap();
    let batches: Vec<_> = snapshot.scan(table, &scan).await.unwrap().try_collect().await.unwrap();
    batches.iter().flat_map(|batch| batch.columns().last().unwrap().as_primitive::<Int64Type>().values().to_vec()).collect()
}

/// Each reading is in 3,600 windows, so that the lost epoch has drawn far more versions than time has passed.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_again_wins_over_what_was_written_however_many_rows_an_epoch_has() {
    let mut world = World::new();
    world.clock = Arc::new(ManualClock::at(ManualClock::START));
    world.pipeline = checked(
        "CREATE TABLE readings (id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, meter STRING NOT NULL, value INT)
         USING kafka OPTIONS (subscribe 'readings', value.format 'json', partitions '2');
         CREATE STREAMING TABLE sliding USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'second ASC', 'output_mode' = 'update')
         AS SELECT meter, window.start AS second, count(*) AS n
            FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 900 DAYS GROUP BY meter, window(ts, '1 hour', '1 second');",
    );
    let events: Vec<Reading> = (0..24).map(|id| Reading { id, ts: 1_704_067_200 + id * 7_200, meter: "a", value: Some(1) }).collect();
    drop(world.engine().await);
    world.publish(&events[..1]).await;
    world.run().await.unwrap();
    world.publish(&events[1..]).await;
    let before = versions(&world, "sliding").await;
    world.run().await.unwrap();
    let last = versions(&world, "sliding").await.into_iter().max().unwrap();
    assert!(last > world.now().0 + 80_000, "versions are ahead of the clock");
    assert_eq!(damage(&world, "sliding", |at, of| at + 1 == of).await, 1);
    let engine = world.run().await.unwrap();
    assert_ne!(fell_back_to(&engine, "sliding").await, "");
    let after = versions(&world, "sliding").await;
    assert_eq!(after.len(), 24 * 3_600);
    let again = after.iter().filter(|version| **version > last).count();
    assert_eq!((again, after.len() - again), (23 * 3_600, before.len()), "the rows that are written again have newer versions");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_into_a_topic_stops_and_names_the_command() {
    let mut world = World::with_epochs_of(10);
    world.pipeline = checked(
        "CREATE TABLE readings (id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, meter STRING NOT NULL, value INT)
         USING kafka OPTIONS (subscribe 'readings', value.format 'json', partitions '2');
         CREATE STREAMING TABLE copies USING kafka TBLPROPERTIES ('topic' = 'copies', 'value.format' = 'json') AS SELECT id, meter FROM STREAM readings;",
    );
    drop(world.engine().await);
    world.publish(&readings(91, 100)).await;
    world.run().await.unwrap();
    damage(&world, "copies", |at, of| at + 1 == of).await;
    let error = world.run().await.err().unwrap().to_string();
    for part in ["would be appended again", "millstream reset copies"] {
        assert!(error.contains(part), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_without_any_readable_checkpoint_stops_and_names_the_command() {
    let world = processed(&readings(92, 100), 10).await;
    damage(&world, "hourly", |_, _| true).await;
    let error = world.run().await.err().unwrap().to_string();
    assert!(error.contains("flow hourly") && error.contains("millstream reset hourly"), "{error}");
}

/// Whole restore points are kept, as many as the setting says.
#[tokio::test(flavor = "multi_thread")]
async fn as_many_restore_points_are_kept_as_the_setting_says() {
    let events = readings(93, 1_500);
    let world = processed(&events, 5).await;
    let epochs = world.ports().checkpoints.epochs(&FlowId::new("hourly")).await.unwrap();
    let (first, last) = (epochs[0], *epochs.last().unwrap());
    assert!(last > Epoch(200), "{last}");
    assert!(first > Epoch(1), "old ones go");
    assert!(last.0 - first.0 >= 64, "the last restore point, and the one before it: {first} to {last}");
    assert_eq!(epochs.len() as u64, last.0 - first.0 + 1, "whole ones");
}
