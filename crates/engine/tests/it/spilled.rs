//! With so little memory that state goes to disk and comes back all the time: nothing else changes, through deaths, damage and a full disk.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use millstream_core::status::{FlowPhase, StatusSource as _};
use millstream_core::{Epoch, ErrorKind, FlowId};
use millstream_engine::ReplayRequest;
use millstream_engine::flow::checkpoint::Checkpoint;
use millstream_pipeline::graph::Pipeline;
use millstream_testkit::ManualClock;
use millstream_testkit::faults::Call;

use crate::damaged::damage;
use crate::events::{Reading, hourly, readings};
use crate::straight::check;
use crate::world::{PIPELINE, World, checked, comes_true, hours};
use crate::{chained, sessions, sliding};

/// The pipeline with a delay so long that no window closes, so that the state grows.
fn without_closing() -> Arc<Pipeline> {
    checked(&PIPELINE.replace("INTERVAL 1 HOUR", "INTERVAL 900 DAYS"))
}

/// Whether state has gone to disk again and again.
fn has_spilled(world: &World) -> bool {
    world.spilled().created() > 2
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_moment_changes_nothing() {
    for nth in [1, 3, 9, 14] {
        for call in [Call::Commit, Call::Put, Call::Get, Call::ReadLog] {
            let world = World::with_epochs_of(17).with_little_memory();
            let events = readings(100 + nth, 400);
            let engine = world.run_with_deaths_at(call, nth, &events).await;
            check(&engine, &events).await;
            assert!(has_spilled(&world));
            drop(engine);
            assert_eq!(world.spilled().files(), 0, "flows that have stopped leave no files");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_that_overlap_sessions_and_windows_over_windows_are_the_same() {
    for nth in [2, 7, 12] {
        let events = readings(110 + nth, 400);
        let world = sliding::world(23).with_little_memory();
        let engine = world.run_with_deaths_at(Call::Commit, nth, &events).await;
        sliding::check(&engine, &events, false).await;
        assert!(has_spilled(&world));

        let world = sessions::world("10 MINUTES", 19).with_little_memory();
        let engine = world.run_with_deaths_at(Call::Commit, nth, &events).await;
        sessions::check(&engine, &events, 600, false).await;
        assert!(has_spilled(&world));

        let world = chained::world(23).with_little_memory();
        let engine = world.run_with_deaths_at(Call::Put, nth, &events).await;
        chained::check(&engine, &events, false).await;
        assert!(has_spilled(&world));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn late_rows_are_replayed_into_state_that_is_on_disk() {
    let world = sessions::world("3 MINUTES", 7).with_little_memory();
    let events = readings(120, 400);
    drop(world.engine().await);
    world.publish(&events).await;
    let running = world.start().await;
    let engine = running.engine.clone();
    engine.caught_up().await.unwrap();
    let outcome = engine.replay_late_rows(ReplayRequest::default()).await.unwrap();
    assert!(outcome.released > 0, "{outcome:?}");
    sessions::check(&engine, &events, 180, true).await;
    running.stop().await;
    assert!(has_spilled(&world));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_waited_for() {
    let world = World::with_epochs_of(17).with_little_memory();
    let events = readings(130, 400);
    drop(world.engine().await);
    world.publish(&events).await;
    world.spilled().limit(Some(0));
    let running = world.start().await;
    let engine = running.engine.clone();
    let waits = || engine.status().flows.into_iter().find(|f| f.flow == "hourly" && f.phase == FlowPhase::Waiting);
    let waiting = loop {
        if let Some(waiting) = waits() {
            break waiting;
        }
        tokio::task::yield_now().await;
    };
    let why = waiting.last_error.unwrap().1;
    assert!(why.contains("putting state on disk") && why.contains("full"), "{why}");
    world.spilled().limit(None);
    engine.caught_up().await.unwrap();
    check(&engine, &events).await;
    running.stop().await;
}

/// Windows over a topic and, with the statement behind them, windows over the changes of a table.
fn with_windows_over_a_feed(statements: usize) -> Arc<Pipeline> {
    let text = format!(
        "{} CREATE STREAMING TABLE counted USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'hour ASC', 'output_mode' = 'update')
         AS SELECT meter, window.start AS hour, count(*) AS n FROM STREAM by_meter WATERMARK ts DELAY OF INTERVAL 900 DAYS
         GROUP BY meter, window(ts, '1 hour');",
        PIPELINE.split_inclusive(';').take(3).collect::<String>().replace("INTERVAL 1 HOUR", "INTERVAL 900 DAYS")
    );
    checked(&text.split_inclusive(';').take(statements).collect::<String>())
}

/// So much memory that the windows of `events` over the topic just fit.
async fn memory_for(events: &[Reading]) -> usize {
    for bytes in (40_000..).step_by(5_000) {
        let mut world = World::with_epochs_of(17);
        world.pipeline = with_windows_over_a_feed(3);
        world.settings.state_memory_bytes_max = bytes;
        drop(world.engine().await);
        world.publish(events).await;
        world.run().await.unwrap();
        if world.spilled().created() == 0 {
            return bytes;
        }
    }
    unreachable!("some memory is enough")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_whose_source_is_away_gives_memory_back_that_others_need() {
    let (events, hourly) = (readings(180, 600), FlowId::new("hourly"));
    let mut world = World::with_epochs_of(17);
    world.clock = Arc::new(ManualClock::at(ManualClock::START));
    world.settings.state_memory_bytes_max = memory_for(&events).await + 5_000;
    world.pipeline = with_windows_over_a_feed(4);
    drop(world.engine().await);
    world.publish(&events[..599]).await;
    let feed = world.faults.block(Call::FeedRead, 1);
    let running = world.start().await;
    let engine = running.engine.clone();
    let of = |name: &str| engine.status().flows.into_iter().find(|f| f.flow == name).unwrap();
    let has_read_all = |name: &str| of(name).lag == Some(0) && of(name).rows_in > 500;
    while !(has_read_all("hourly") && has_read_all("by_meter")) {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.spilled().created(), 0, "one of them has enough");
    world.faults.fail_from(Call::ReadLog, world.faults.calls(Call::ReadLog) + 1, ErrorKind::Unavailable);
    world.publish(&events[599..]).await;
    while of("hourly").phase != FlowPhase::Waiting {
        tokio::task::yield_now().await;
    }
    feed.release();
    while !has_read_all("counted") {
        tokio::task::yield_now().await;
    }
    // What it is to do it does while it waits; it would also try the topic again and again.
    for _ in 0..100 {
        let tried = world.faults.calls(Call::ReadLog);
        world.clock.advance(Duration::from_secs(60));
        while world.faults.calls(Call::ReadLog) == tried {
            tokio::task::yield_now().await;
        }
    }
    assert!(world.spilled().files_of(&hourly) > 0, "it has kept all of its state in memory");
    assert_eq!(of("hourly").phase, FlowPhase::Waiting);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_that_waits_for_its_sink_gives_memory_back_that_others_need() {
    let (events, hourly) = (readings(180, 600), FlowId::new("hourly"));
    let mut world = World::with_epochs_of(17);
    world.clock = Arc::new(ManualClock::at(ManualClock::START));
    world.settings.state_memory_bytes_max = memory_for(&events).await + 5_000;
    world.pipeline = with_windows_over_a_feed(4);
    drop(world.engine().await);
    world.publish(&events[..599]).await;
    let feed = world.faults.block(Call::FeedRead, 1);
    let running = world.start().await;
    let engine = running.engine.clone();
    let of = |name: &str| engine.status().flows.into_iter().find(|f| f.flow == name).unwrap();
    let has_read_all = |name: &str| of(name).lag == Some(0) && of(name).rows_in > 500;
    while !(has_read_all("hourly") && has_read_all("by_meter")) {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.spilled().created(), 0, "one of them has enough");
    // The sink answers neither of the two flows that read the last event.
    let commits = world.faults.calls(Call::Commit);
    let gates = [1, 2].map(|nth| world.faults.block(Call::Commit, commits + nth));
    world.publish(&events[599..]).await;
    for gate in &gates {
        gate.reached().await;
    }
    feed.release();
    while !has_read_all("counted") {
        tokio::task::yield_now().await;
    }
    assert!(comes_true(|| world.spilled().files_of(&hourly) > 0).await, "it has kept all of its state in memory");
    gates.iter().for_each(|gate| gate.release());
    engine.caught_up().await.unwrap();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_stops_its_flow_and_the_checkpoint_has_all() {
    let world = World::with_epochs_of(17).with_little_memory();
    let events = readings(140, 600);
    drop(world.engine().await);
    world.publish(&events[..400]).await;
    let running = world.start().await;
    running.engine.caught_up().await.unwrap();
    world.spilled().damage();
    world.publish(&events[400..]).await;
    let error = running.engine.caught_up().await.unwrap_err();
    assert!(error.to_string().contains("fails its checksum"), "{error}");
    running.stop().await;
    world.spilled().mend();
    check(&world.run().await.unwrap(), &events).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn state_that_may_not_even_be_on_disk_stops_the_flow_with_what_to_do() {
    let mut world = World::with_epochs_of(17).with_little_memory();
    world.pipeline = without_closing();
    world.settings.state_bytes_max = 7_000;
    drop(world.engine().await);
    world.publish(&readings(150, 900)).await;
    let error = world.run().await.err().unwrap();
    assert!(error.to_string().contains("over the budget of 6.8 KiB: raise engine.state_bytes_max"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_and_windows_over_windows_are_restored_from_any_epoch() {
    let events = readings(170, 600);
    // So long a delay that the open sessions take several parts.
    let (of_sessions, of_chained) = (sessions::world("4 HOURS", 7).with_little_memory(), chained::world(7).with_little_memory());
    for world in [&of_sessions, &of_chained] {
        drop(world.engine().await);
    }
    for end in (50..=events.len()).step_by(50) {
        // Each run is a restart, in the middle of whatever round there is.
        of_sessions.publish(&events[end - 50..end]).await;
        sessions::check(&of_sessions.run().await.unwrap(), &events[..end], 14_400, false).await;
        of_chained.publish(&events[end - 50..end]).await;
        chained::check(&of_chained.run().await.unwrap(), &events[..end], false).await;
    }
    assert!(has_spilled(&of_sessions) && has_spilled(&of_chained));
}

/// The checkpoints of `flow` that can be read, with their epochs.
async fn checkpoints(world: &World, flow: &str) -> Vec<(Epoch, Checkpoint)> {
    let (store, flow) = (world.ports().checkpoints, FlowId::new(flow));
    let mut all = Vec::new();
    for epoch in store.epochs(&flow).await.unwrap() {
        let bytes = store.get(&flow, epoch).await.unwrap().unwrap();
        all.extend(Checkpoint::decode(&bytes).ok().map(|checkpoint| (epoch, checkpoint)));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn full_checkpoints_are_written_in_parts_and_restored_from_any_epoch() {
    let mut world = World::with_epochs_of(10).with_little_memory();
    world.pipeline = without_closing();
    world.settings.checkpoints_kept = 1_000;
    let events = readings(160, 3_000);
    drop(world.engine().await);
    let mut bases = BTreeSet::new();
    for piece in events.chunks(500) {
        world.publish(piece).await;
        // Each run is a restart, in the middle of whatever round there is.
        let engine = world.run().await.unwrap();
        let all = hourly(&events[..usize::try_from(piece.last().unwrap().id).unwrap() + 1]);
        assert_eq!(hours(&engine, "hourly").await, all);
    }
    let written = checkpoints(&world, "hourly").await;
    for (epoch, checkpoint) in &written {
        let rows = checkpoint.state[0].num_rows();
        assert!(rows < 100, "the checkpoint of epoch {epoch} has {rows} groups");
        bases.insert(checkpoint.header.base);
    }
    assert!(bases.len() > 2 && written.len() > 250, "rounds began at {bases:?}, of {} epochs", written.len());
    let (last, newest) = written.last().unwrap();
    assert!(last.0 - newest.header.base.0 > 3, "a round takes several epochs");
    // The newest checkpoints are lost: an older one is as good.
    assert_eq!(damage(&world, "hourly", |at, of| at + 7 >= of).await, 7);
    let engine = world.run().await.unwrap();
    assert_eq!(hours(&engine, "hourly").await, hourly(&events));
    let report = engine.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report}");
    let after = checkpoints(&world, "hourly").await;
    assert!(after.iter().any(|(epoch, c)| c.header.base == *epoch && epoch > last), "after damage, all of the state is written at once");
}
