//! With trouble: calls that fail before or after they took effect, restarts, zombies. The tables are those of a quiet run.

use millstream_core::ErrorKind;
use millstream_testkit::faults::Call;

use crate::events::readings;
use crate::straight::check;
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_death_before_or_after_any_write_changes_nothing() {
    for nth in [1, 2, 3, 5, 9, 14] {
        for call in [Call::Commit, Call::Put, Call::Begin, Call::Claim, Call::ReadLog, Call::FeedRead] {
            let world = World::with_epochs_of(37);
            let events = readings(nth, 200);
            let engine = world.run_with_deaths_at(call, nth, &events).await;
            check(&engine, &events).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn systems_that_do_not_answer_for_a_while_are_waited_for() {
    let world = World::with_epochs_of(20);
    let events = readings(7, 200);
    drop(world.engine().await);
    world.publish(&events).await;
    for nth in 2..8 {
        world.faults.fail(Call::Commit, nth, ErrorKind::Unavailable);
        world.faults.fail_after(Call::Put, nth * 2, ErrorKind::Exhausted);
        world.faults.fail(Call::ReadLog, nth, ErrorKind::Unavailable);
    }
    // Not one restart.
    check(&world.run().await.unwrap(), &events).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_engine_on_the_same_stores_fences_the_first() {
    let world = World::with_epochs_of(10);
    let events = readings(8, 300);
    drop(world.engine().await);
    world.publish(&events[..150]).await;
    let gate = world.faults.block(Call::Commit, 4);
    let running = world.start().await;
    let zombie = running.engine.clone();
    gate.reached().await;
    world.publish(&events[150..]).await;
    let engine = world.run().await.unwrap();
    gate.release();
    assert!(zombie.caught_up().await.is_err(), "at least the flow that was held is fenced");
    running.stop().await;
    check(&engine, &events).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_sink_stops_its_source_so_that_memory_stays_bounded() {
    let mut world = World::with_epochs_of(10);
    // One flow, so that nobody else reads.
    world.pipeline = crate::world::checked(
        "CREATE TABLE readings (id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, meter STRING NOT NULL, value INT)
         USING kafka OPTIONS (subscribe 'readings', value.format 'json', partitions '2');
         CREATE STREAMING TABLE all_readings USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'id ASC')
         AS SELECT meter, id, value FROM STREAM readings;",
    );
    let events = readings(9, 500);
    drop(world.engine().await);
    world.publish(&events).await;
    let gate = world.faults.block(Call::Commit, 3);
    let running = world.start().await;
    let engine = running.engine.clone();
    gate.reached().await;
    let reads = world.faults.calls(Call::ReadLog);
    world.publish(&events).await;
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.faults.calls(Call::ReadLog), reads, "nothing is read ahead of a sink that does not answer");
    gate.release();
    engine.caught_up().await.unwrap();
    assert!(world.faults.calls(Call::ReadLog) > reads);
    running.stop().await;
}
