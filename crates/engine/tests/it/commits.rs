//! Commits that take their time: the next chunk is processed meanwhile, and nothing is written out of turn.

use std::sync::Arc;

use millstream_core::ErrorKind;
use millstream_engine::ReplayRequest;
use millstream_pipeline::graph::Pipeline;
use millstream_testkit::faults::Call;
use tokio::task::JoinSet;

use crate::events::readings;
use crate::straight::check;
use crate::torn;
use crate::world::{PIPELINE, World, checked, comes_true};

/// Some of the pipeline's statements, by their numbers.
fn statements(numbers: &[usize]) -> Arc<Pipeline> {
    let all: Vec<&str> = PIPELINE.split_inclusive(';').collect();
    checked(&numbers.iter().map(|number| all[*number]).collect::<String>())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_chunk_is_processed_while_one_is_committed() {
    let mut world = World::with_epochs_of(10);
    let events = readings(38, 200);
    world.pipeline = statements(&[0, 1]);
    drop(world.engine().await);
    world.publish(&events).await;
    world.run().await.unwrap();
    // With `high`, which reads the changes of `by_meter`, and alone has something to read.
    world.pipeline = statements(&[0, 1, 4]);
    let ranges = u64::try_from(world.ports().change_feed.ranges("by_meter").await.unwrap()).unwrap();
    let (before, commits) = (world.faults.calls(Call::FeedRead), world.faults.calls(Call::Commit));
    let prepared = world.faults.block(Call::Put, world.faults.calls(Call::Put) + 1);
    let running = world.start().await;
    prepared.reached().await;
    let next_is_read = comes_true(|| world.faults.calls(Call::FeedRead) >= before + 2 * ranges).await;
    assert!(next_is_read, "the next chunk waits for the commit of the one before it");
    assert_eq!(world.faults.calls(Call::Commit), commits, "an epoch was committed before its checkpoint was prepared");
    prepared.release();
    running.engine.caught_up().await.unwrap();
    running.stop().await;
    world.pipeline = checked(PIPELINE);
    check(&world.run().await.unwrap(), &events).await;
}

/// What was processed for a commit that never came about is in the flow's state. A flow that is asked to stop then, and for something else besides, must not
/// process it once more.
#[tokio::test(flavor = "multi_thread")]
async fn a_flow_that_stops_at_a_command_does_not_write_what_it_processed_twice() {
    let mut world = World::with_epochs_of(10);
    let events = readings(38, 200);
    world.pipeline = statements(&[0, 2]);
    drop(world.engine().await);
    // The first one comes hours late.
    world.publish(events[1..100].iter().chain(&events[..1])).await;
    torn::run(&world, []).await.unwrap();
    assert!(!world.ports().system.late_rows().await.unwrap().is_empty(), "nothing to be replayed");
    world.publish(&events[100..]).await;
    let read = world.faults.block(Call::ReadLog, world.faults.calls(Call::ReadLog) + 1);
    let running = world.start_on(torn::ports(&world, [])).await;
    read.reached().await;
    let mut replay = JoinSet::new();
    replay.spawn({
        let engine = running.engine.clone();
        async move { engine.replay_late_rows(ReplayRequest::default()).await }
    });
    // The command waits when the flow has read its chunk, and is taken up while the chunk is committed, which the store doesn't let it.
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    let commits = world.faults.calls(Call::Commit);
    world.faults.fail_from(Call::Commit, commits + 1, ErrorKind::Unavailable);
    read.release();
    while world.faults.calls(Call::Commit) < commits + 2 {
        tokio::task::yield_now().await;
    }
    running.stop().await;
    assert_eq!(replay.join_next().await.unwrap().unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
    world.faults.heal();
    world.pipeline = checked(PIPELINE);
    let running = world.start_on(torn::ports(&world, [])).await;
    running.engine.caught_up().await.unwrap();
    running.engine.replay_late_rows(ReplayRequest::default()).await.unwrap();
    check(&running.engine, &events).await;
    running.stop().await;
}
