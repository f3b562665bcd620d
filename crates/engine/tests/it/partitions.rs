//! Topics that get partitions between two runs, as `kafka-topics --alter` does it: nothing that the new ones hold is lost, and what was there is as it was.

use std::sync::Arc;

use millstream_core::ErrorKind;
use millstream_core::ports::TopicSpec;
use millstream_engine::{Engine, Facts, ReplayRequest, plan};
use millstream_testkit::faults::Call;

use crate::events::{Reading, hourly, readings};
use crate::joins::{self, TABLES};
use crate::world::{PIPELINE, World, checked, hours, rows};

/// Readings to four partitions, by their meters: one that came to partition 0 or 1 before may come to another now.
fn to_four(events: &[Reading]) -> impl Iterator<Item = (i32, String)> {
    events.iter().map(|r| (i32::from(r.meter.as_bytes()[0] - b'a') % 4, r.json()))
}

/// The topic `readings` gets partitions, and the pipeline says so.
fn grow(world: &mut World, sql: &str) {
    world.set_partitions("readings", 4);
    world.pipeline = checked(&sql.replacen("partitions '2'", "partitions '4'", 1));
}

/// Everything but what is late: each reading is in its row, and in its hour.
async fn check_all(engine: &Arc<Engine>, events: &[Reading]) {
    let kept = events.iter().filter(|r| r.value.is_none_or(|v| v >= 0)).count();
    assert_eq!(rows(engine, "SELECT count(*) FROM by_meter").await, [kept.to_string()]);
    assert_eq!(hours(engine, "hourly").await, hourly(events));
    let report = engine.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_new_partitions_hold_is_read_from_its_beginning() {
    let mut world = World::with_epochs_of(40);
    let events = readings(300, 600);
    drop(world.engine().await);
    world.publish(&events[..300]).await;
    world.run().await.unwrap();
    grow(&mut world, PIPELINE);
    world.publish_values(to_four(&events[300..400])).await;
    let told = plan::decide(&world.pipeline, &Facts::of(&world.ports()).await.unwrap());
    assert!(told.is_kept(), "{told}");
    assert!(told.to_string().contains("topic readings has 4 partitions, of which it knows 2"), "{told}");
    // Before a flow has gone on, what the new partitions hold is of no account.
    let report = world.engine().await.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report}");
    check_all(&world.run().await.unwrap(), &events[..400]).await;
    // From here on they are partitions like the others.
    world.publish_values(to_four(&events[400..])).await;
    check_all(&world.run().await.unwrap(), &events).await;
}

/// Deaths in the first epochs with new partitions: some checkpoints know them, and the committed one may not.
#[tokio::test(flavor = "multi_thread")]
async fn a_death_soon_after_loses_nothing() {
    for call in [Call::Commit, Call::Put] {
        for nth in [1, 2, 5, 9] {
            let mut world = World::with_epochs_of(30);
            let events = readings(310 + nth, 300);
            drop(world.engine().await);
            world.publish(&events[..150]).await;
            world.run().await.unwrap();
            grow(&mut world, PIPELINE);
            world.publish_values(to_four(&events[150..])).await;
            world.faults.fail(call, nth, ErrorKind::Internal);
            world.faults.fail_after(call, nth + 3, ErrorKind::Internal);
            check_all(&world.run_through_deaths().await, &events).await;
        }
    }
}

/// A query that changes in what follows its state when its topic gets partitions: what is compared begins where it did, in each partition.
#[tokio::test(flavor = "multi_thread")]
async fn a_query_may_change_with_its_topic() {
    let mut world = World::with_epochs_of(40);
    let events = readings(320, 400);
    drop(world.engine().await);
    world.publish(&events[..200]).await;
    world.run().await.unwrap();
    grow(&mut world, &PIPELINE.replace("value IS NULL OR value >= 0", "value IS NULL OR value >= -100"));
    world.publish_values(to_four(&events[200..])).await;
    let engine = world.run().await.unwrap();
    let kept = events[..200].iter().filter(|r| r.value.is_none_or(|v| v >= 0)).count() + 200;
    assert_eq!(rows(&engine, "SELECT count(*) FROM by_meter").await, [kept.to_string()]);
    let report = engine.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report}");
}

/// A reading of meter `a` at this time of the first day.
fn at(id: i64, hour: i64, minute: i64) -> String {
    Reading { id, ts: 1_704_067_200 + hour * 3_600 + minute * 60, meter: "a", value: Some(1) }.json()
}

/// The watermark is where it was: a new partition holds it there until it has brought an event, and takes it nowhere else.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_partition_holds_the_watermark_where_it_is() {
    for size in [1, 100] {
        let mut world = World::with_epochs_of(size);
        drop(world.engine().await);
        world.publish_values([(0, at(1, 10, 30)), (1, at(2, 10, 30))]).await;
        world.run().await.unwrap();
        grow(&mut world, PIPELINE);
        // The others go far ahead, and of the new ones one has an event in time and one late: its window was closed before.
        world.publish_values([(0, at(3, 30, 0)), (1, at(4, 30, 0)), (2, at(5, 9, 48)), (3, at(6, 3, 0))]).await;
        world.run().await.unwrap();
        world.publish_values([(2, at(7, 30, 0)), (3, at(8, 30, 0))]).await;
        let engine = world.run().await.unwrap();
        let late = "SELECT flow, partition, value_text LIKE '%\"id\":6,%' FROM system.late_rows ORDER BY flow";
        assert_eq!(rows(&engine, late).await, ["closed 3 true", "hourly 3 true"], "epochs of {size}");
        assert_eq!(rows(&engine, "SELECT n FROM closed ORDER BY hour").await, ["1", "2"], "epochs of {size}");
        let report = engine.verify(&|_| {}).await.unwrap();
        assert!(report.is_clean(), "{report}");
        // What was late there can be taken back.
        let running = world.start().await;
        running.engine.caught_up().await.unwrap();
        running.engine.replay_late_rows(ReplayRequest::default()).await.unwrap();
        let report = running.engine.verify(&|_| {}).await.unwrap();
        assert!(report.is_clean(), "{report}");
        assert_eq!(rows(&running.engine, "SELECT n FROM closed ORDER BY hour").await, ["1", "1", "2"], "epochs of {size}");
        running.stop().await;
    }
}

/// A new partition that gets nothing is idle in time, as an empty one is at a flow's first start.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_partition_that_stays_empty_holds_no_window_open() {
    let mut world = World::with_epochs_of(40);
    world.settings.idle_after_ms = 30_000;
    drop(world.engine().await);
    world.publish_values([(0, at(1, 10, 30)), (1, at(2, 10, 30))]).await;
    world.run().await.unwrap();
    grow(&mut world, PIPELINE);
    world.publish_values([(0, at(3, 30, 0)), (1, at(4, 30, 0))]).await;
    let running = world.start().await;
    let seen = async {
        while rows(&running.engine, "SELECT n FROM closed").await != ["2"] {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), seen).await.unwrap();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_of_a_join_stay_what_they_are() {
    let mut world = joins::world(21);
    let events = joins::events(330, 200);
    drop(world.engine().await);
    joins::publish(&world, &events[..200]).await;
    world.run().await.unwrap();
    grow(&mut world, &joins::sql());
    for (source, event) in &events[200..] {
        let partition = if *source == 0 { i32::from(event.meter.as_bytes()[0] - b'a') % 4 } else { event.partition() };
        world.publish_to(["readings", "alarms"][*source], [(partition, event.json())]).await;
    }
    let engine = world.run().await.unwrap();
    // Which rows are late depends on the partitions; each event is late or joined, and the streams joined again give the same.
    let report = engine.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report}");
    for flow in ["full_joined", "inner_joined"] {
        let count = |table: &str, of: &str| format!("SELECT count(DISTINCT {of}) FROM {table}");
        let found = rows(&engine, &count(flow, "alarm")).await;
        assert!(found[0].parse::<usize>().unwrap() > 50, "{flow} {found:?}");
    }
}

/// Where the rows of a join came from is kept with them: what they are blamed for is at their event's place, whatever the number of its partition was.
#[tokio::test(flavor = "multi_thread")]
async fn a_kept_row_of_a_join_knows_its_partition() {
    let sql = format!(
        "{TABLES} CREATE STREAMING TABLE answered USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'alarm')
         AS SELECT a.meter, a.id AS alarm, 100 DIV coalesce(r.id, 0) AS share FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 0 SECONDS r
            RIGHT JOIN STREAM alarms WATERMARK ts DELAY OF INTERVAL 0 SECONDS a
            ON r.meter = a.meter AND a.ts BETWEEN r.ts AND r.ts + INTERVAL 20 MINUTES;"
    );
    let mut world = World::with_epochs_of(10);
    world.pipeline = checked(&sql);
    drop(world.engine().await);
    // An alarm that no reading explains: its row can't be computed when it comes out, behind the watermark.
    world.publish_to("alarms", [(1, at(1, 9, 0)), (1, at(2, 10, 0))]).await;
    world.run().await.unwrap();
    grow(&mut world, &sql);
    for partition in 0..4 {
        world.publish_to("readings", [(partition, at(10 + i64::from(partition), 10, 12))]).await;
    }
    world.publish_to("alarms", [(0, at(3, 10, 12)), (1, at(4, 10, 12))]).await;
    let engine = world.run().await.unwrap();
    let dead = rows(&engine, "SELECT source, partition, \"offset\" FROM system.dead_letters ORDER BY \"offset\"").await;
    assert_eq!(dead, ["alarms 1 0", "alarms 1 1"]);
    let report = engine.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_with_fewer_partitions_is_another_one() {
    let mut world = World::with_epochs_of(40);
    drop(world.engine().await);
    world.publish(&readings(340, 100)).await;
    world.run().await.unwrap();
    let log = world.ports().log;
    log.delete_topic("readings").await.unwrap();
    log.create_topic(&TopicSpec { name: "readings".to_owned(), partitions: 1, retention: None }).await.unwrap();
    world.pipeline = checked(&PIPELINE.replacen("partitions '2'", "partitions '1'", 1));
    let told = plan::decide(&world.pipeline, &Facts::of(&world.ports()).await.unwrap());
    assert!(!told.is_kept() && told.to_string().contains("it stands in 2 partitions of topic readings, which has 1 now"), "{told}");
    let error = world.run().await.err().unwrap();
    for part in ["in 2 partitions of topic readings, which has 1 now", "millstream reset by_meter"] {
        assert!(error.message().contains(part), "no {part:?} in {error}");
    }
}
