//! Systems that are away: at the start, in the middle, while a job runs, while the tables are verified. Everything waits, and goes on.

use millstream_core::ports::{JobRunState, SystemProperty};
use millstream_core::status::{FlowPhase, StatusSource as _};
use millstream_core::{ErrorKind, FlowId};
use millstream_engine::Engine;
use millstream_testkit::faults::Call;

use crate::events::readings;
use crate::straight::check;
use crate::world::{PIPELINE, World, checked, rows};

/// The next calls of each of `calls` fail, as many as `times`.
fn away(world: &World, calls: &[Call], times: u64) {
    for call in calls {
        let so_far = world.faults.calls(*call);
        (1..=times).for_each(|nth| world.faults.fail(*call, so_far + nth, ErrorKind::Unavailable));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_starts_when_its_systems_are_there() {
    let world = World::with_epochs_of(50);
    let events = readings(31, 200);
    away(&world, &[Call::CreateTopic, Call::EnsureTable], 3);
    drop(world.engine().await);
    world.publish(&events[..100]).await;
    world.run().await.unwrap();
    world.publish(&events[100..]).await;
    // What recovery asks for, each in its turn.
    away(&world, &[Call::Claim, Call::Begin, Call::Epochs, Call::Get, Call::ReadLog, Call::Topics, Call::Bounds, Call::FeedRanges], 3);
    check(&world.run().await.unwrap(), &events).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_that_waits_says_so_and_runs_again_without_new_events() {
    let world = World::new();
    let running = world.start().await;
    let engine = running.engine.clone();
    engine.caught_up().await.unwrap();
    let phase = |engine: &Engine, wanted: FlowPhase| engine.status().flows.iter().any(|f| f.flow == "by_meter" && f.phase == wanted);
    world.faults.fail_from(Call::ReadLog, world.faults.calls(Call::ReadLog) + 1, ErrorKind::Unavailable);
    world.publish(&readings(32, 5)).await;
    while !phase(&engine, FlowPhase::Waiting) {
        tokio::task::yield_now().await;
    }
    let unready = engine.status().unready();
    assert!(unready.iter().any(|line| line.starts_with("flow by_meter is waiting: ReadLog failed")), "{unready:?}");
    world.faults.heal();
    engine.caught_up().await.unwrap();
    while !phase(&engine, FlowPhase::Running) {
        tokio::task::yield_now().await;
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_records_of_dead_letters_are_waited_for() {
    let world = World::new();
    drop(world.engine().await);
    // A row whose group column is null is rejected by the query, so its record is read again.
    world.publish_values([(0, r#"{"id":1,"ts":"2024-01-01T00:00:00Z","meter":"","value":1}"#.to_owned())]).await;
    away(&world, &[Call::ReadLog], 6);
    let engine = world.run().await.unwrap();
    assert_eq!(rows(&engine, "SELECT count(*) FROM system.dead_letters").await, ["3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_run_and_a_verification_wait_for_the_event_store() {
    let mut world = World::new();
    world.pipeline = checked(&format!(
        "{PIPELINE} CREATE MATERIALIZED VIEW totals USING postgresql TBLPROPERTIES ('primary_key' = 'meter')
         AS SELECT meter, count(*) AS n FROM by_meter GROUP BY meter;"
    ));
    let events = readings(33, 100);
    drop(world.engine().await);
    world.publish(&events).await;
    world.run().await.unwrap();
    let engine = world.engine().await;
    away(&world, &[Call::Snapshot], 5);
    let run = engine.refresh("totals").await.unwrap();
    assert_eq!((run.state, run.run, run.error.as_deref()), (JobRunState::Succeeded, 1, None), "one run, however often it was tried");
    assert_eq!(engine.status().jobs[0].last_error, None);
    away(&world, &[Call::Snapshot, Call::ReadLog, Call::Get, Call::FeedRead], 4);
    let report = engine.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_run_on_request_gives_up_after_two_minutes_whatever_its_schedule_and_says_what_it_waited_for() {
    for schedule in ["", ", 'schedule' = '0 2 * * *'"] {
        let mut world = World::new();
        world.pipeline = checked(&format!(
            "{PIPELINE} CREATE MATERIALIZED VIEW totals USING postgresql TBLPROPERTIES ('primary_key' = 'meter'{schedule})
             AS SELECT meter, count(*) AS n FROM by_meter GROUP BY meter;"
        ));
        let engine = world.engine().await;
        world.faults.fail_from(Call::Snapshot, 1, ErrorKind::Unavailable);
        let run = engine.refresh("totals").await.unwrap();
        assert_eq!(run.state, JobRunState::Failed);
        assert!(run.error.unwrap().starts_with("Snapshot failed"));
        let waited = run.ended.unwrap().0 - run.started.0;
        assert!((120_000_000..140_000_000).contains(&waited), "two minutes and a last pause, not {waited} us");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_was_lost_is_filled_anew() {
    let world = World::with_epochs_of(10);
    let events = readings(34, 400);
    drop(world.engine().await);
    world.publish(&events[..200]).await;
    world.run().await.unwrap();
    world.ports().critical.drop_table("high").await.unwrap();
    world.publish(&events[200..]).await;
    check(&world.run().await.unwrap(), &events).await;
    // Once more: the epochs that it lost are not remembered.
    check(&world.run().await.unwrap(), &events).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_is_lost_while_its_flow_runs_is_filled_anew() {
    let world = World::with_epochs_of(10);
    let events = readings(35, 400);
    drop(world.engine().await);
    world.publish(&events[..200]).await;
    let running = world.start().await;
    let engine = running.engine.clone();
    engine.caught_up().await.unwrap();
    let critical = world.ports().critical;
    critical.drop_table("high").await.unwrap();
    critical.ensure_table(&world.pipeline.tables["high"].spec).await.unwrap();
    world.publish(&events[200..]).await;
    engine.caught_up().await.unwrap();
    check(&engine, &events).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_does_not_go_on_in_another_log_until_its_table_is_reset() {
    let world = World::with_epochs_of(10);
    let events = readings(37, 200);
    drop(world.engine().await);
    world.publish(&events).await;
    check(&world.run().await.unwrap(), &events).await;
    // As if topics had been elsewhere until now: there the same offsets were other records.
    world.ports().system.set_property(SystemProperty::Log(&FlowId::new("hourly")), "cluster-1").await.unwrap();
    let error = world.run().await.err().unwrap();
    for part in ["flow hourly", "topic readings in the log cluster-1", "in the log toy now", "millstream reset hourly"] {
        assert!(error.message().contains(part), "no {part:?} in {error}");
    }
    Engine::reset(&world.pipeline, &world.ports(), "hourly").await.unwrap();
    check(&world.run().await.unwrap(), &events).await;
    check(&world.run().await.unwrap(), &events).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_was_lost_stops_its_flow_with_the_remedy() {
    let world = World::with_epochs_of(10);
    drop(world.engine().await);
    world.publish(&readings(36, 200)).await;
    world.run().await.unwrap();
    world.ports().event_store.drop_table("hourly").await.unwrap();
    let error = world.run().await.err().unwrap();
    assert!(error.message().contains("table hourly holds epoch 0, and the flow had come to epoch"), "{error}");
    assert!(error.message().contains("millstream reset hourly"), "{error}");
}
