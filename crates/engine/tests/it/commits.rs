//! Commits that take their time: the next chunk is processed meanwhile, and nothing is written out of turn.

use std::sync::Arc;

use millstream_pipeline::graph::Pipeline;
use millstream_testkit::faults::Call;

use crate::events::readings;
use crate::straight::check;
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
