//! Replays of dead letters that die at every step, and others that ask for something else come after them: each event is published once for each flow that it is dead for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use millstream_core::ports::{DeadLetter, Quarantined, SystemProperty};
use millstream_core::{Epoch, ErrorKind, FlowId, Offset, RowPosition, Timestamp, TopicPartition};
use millstream_engine::{Engine, Ports, RepairedEvent, ReplayOutcome, ReplayRequest};
use millstream_pipeline::graph::Pipeline;
use millstream_testkit::faults::Call;
use tokio::task::JoinSet;

use crate::logs::AlteredLog;
use crate::world::{World, checked, rows};

/// Two topics, two flows on each.
const PIPELINE: &str = "
CREATE TABLE orders (id BIGINT NOT NULL) USING kafka OPTIONS (subscribe 'orders', value.format 'json', partitions '2');
CREATE TABLE refunds (id BIGINT NOT NULL) USING kafka OPTIONS (subscribe 'refunds', value.format 'json', partitions '1');
CREATE STREAMING TABLE ordered USING cassandra PARTITIONED BY (id) AS SELECT id FROM STREAM orders;
CREATE STREAMING TABLE shipped USING cassandra PARTITIONED BY (id) AS SELECT id FROM STREAM orders;
CREATE STREAMING TABLE refunded USING cassandra PARTITIONED BY (id) AS SELECT id FROM STREAM refunds;
CREATE STREAMING TABLE booked USING cassandra PARTITIONED BY (id) AS SELECT id FROM STREAM refunds;
";

/// A table, the partition and offset of an event in its topic, and a flow.
type Dead = (String, i32, i64, String);

/// A world in which two events of each topic are dead for both of its flows.
async fn world() -> World {
    let mut world = World::new();
    world.pipeline = checked(PIPELINE);
    drop(world.engine().await);
    world.publish_to("orders", [(0, r#"{"id":1}"#.to_owned()), (0, "{broken".to_owned()), (1, "{torn".to_owned())]).await;
    world.publish_to("refunds", [(0, "{broken".to_owned()), (0, "{torn".to_owned())]).await;
    world.run().await.unwrap();
    assert_eq!(dead(&world).await.len(), 8);
    world
}

/// The same before any flow has run: the dead letters are put there.
async fn prepared(pipeline: &Arc<Pipeline>) -> World {
    let mut world = World::new();
    world.pipeline = pipeline.clone();
    drop(world.engine().await);
    let letter = |flow: &str, source: &str, partition: i32, offset: i64| DeadLetter {
        flow: FlowId::new(flow),
        epoch: Epoch(1),
        source: source.to_owned(),
        position: RowPosition { partition, offset },
        timestamp: Timestamp(0),
        key: None,
        value: Some(Bytes::from_static(b"{broken")),
        reason: "malformed".to_owned(),
        at: Timestamp(0),
    };
    let of = |flow: &str, source: &str, places: [(i32, i64); 2]| places.map(|(partition, offset)| letter(flow, source, partition, offset));
    let (orders, refunds) = ([(0, 1), (1, 0)], [(0, 0), (0, 1)]);
    let all = [
        of("ordered", "orders", orders),
        of("shipped", "orders", orders),
        of("refunded", "refunds", refunds),
        of("booked", "refunds", refunds),
    ];
    let dead_letters = all.into_iter().flatten().collect();
    world.ports().system.quarantine(Quarantined { dead_letters, late_rows: Vec::new() }).await.unwrap();
    world
}

async fn dead(world: &World) -> BTreeSet<Dead> {
    let letters = world.ports().system.dead_letters().await.unwrap().into_iter();
    letters.map(|l| (l.source, l.position.partition, l.position.offset, l.flow.0)).collect()
}

/// How often each event was published again for each flow, as the topics have it.
async fn published(world: &World) -> BTreeMap<Dead, usize> {
    let log = world.ports().log;
    let mut published = BTreeMap::new();
    for topic in log.topics().await.unwrap() {
        for partition in 0..topic.partitions {
            let read = log.read(&TopicPartition::new(&topic.name, partition), Offset(0), usize::MAX).await.unwrap();
            for record in read.records {
                let header = |name: &str| {
                    let (_, value) = record.headers.iter().find(|(n, _)| n == name)?;
                    Some(String::from_utf8(value.as_ref()?.to_vec()).unwrap())
                };
                let Some(of) = header("millstream-replay-of") else { continue };
                let (of_partition, offset) = of.split_once('/').unwrap();
                for flow in header("millstream-flows").unwrap().split(',') {
                    let of = (topic.name.clone(), of_partition.parse().unwrap(), offset.parse().unwrap(), flow.to_owned());
                    *published.entry(of).or_default() += 1;
                }
            }
        }
    }
    published
}

/// A replay by a process of its own.
async fn replay(world: &World, request: ReplayRequest) -> millstream_core::Result<ReplayOutcome> {
    world.engine().await.replay_dead_letters(request).await
}

fn of_flow(flow: &str) -> ReplayRequest {
    ReplayRequest { flow: Some(flow.to_owned()), ..ReplayRequest::default() }
}

fn repaired(source: &str, partition: i32, offset: i64, value: &str) -> ReplayRequest {
    let event = RepairedEvent { flow: None, source: Some(source.to_owned()), partition, offset, value: value.to_owned() };
    ReplayRequest { repaired: vec![event], ..ReplayRequest::default() }
}

/// The steps at which a replay can die; the calls of the next replay are counted from 1.
const DEATHS: [(Call, u64, bool); 10] = [
    // The note is not written; it is written, and nothing is published.
    (Call::SetProperty, 1, false),
    (Call::SetProperty, 1, true),
    // An event is published, or is not.
    (Call::Append, 1, true),
    (Call::Append, 2, false),
    (Call::Append, 2, true),
    // One flow's dead letter is remembered, the other's isn't.
    (Call::SetProperty, 3, false),
    // All are remembered, and none is released, or all are.
    (Call::Release, 1, false),
    (Call::Release, 1, true),
    (Call::Release, 2, false),
    (Call::Release, 2, true),
];

/// Lets the next replay die there.
fn die_at(world: &World, (call, nth, after): (Call, u64, bool)) {
    let nth = world.faults.calls(call) + nth;
    if after { world.faults.fail_after(call, nth, ErrorKind::Internal) } else { world.faults.fail(call, nth, ErrorKind::Internal) }
}

/// A first replay dies, a second one that is asked for less comes to its end or dies too, a third one is asked for everything.
#[tokio::test(flavor = "multi_thread")]
async fn each_event_is_published_once_for_each_flow_whatever_dies_and_whatever_is_asked_for() {
    let firsts = [ReplayRequest::default(), of_flow("refunded")];
    let limited = ReplayRequest { limit: Some(1), ..ReplayRequest::default() };
    let pipeline = checked(PIPELINE);
    let seconds = [of_flow("booked"), limited, repaired("refunds", 0, 1, r#"{"id":7}"#), ReplayRequest::default()];
    for first in &firsts {
        for second in &seconds {
            for death in DEATHS {
                for second_death in [None, Some((Call::Append, 1, true))] {
                    let what = format!("{first:?} dies at {death:?}, then {second:?} dies at {second_death:?}");
                    let world = prepared(&pipeline).await;
                    let all = dead(&world).await;
                    die_at(&world, death);
                    // Where it dies after what it has to do.
                    let _ = replay(&world, first.clone()).await;
                    world.faults.heal();
                    if let Some(death) = second_death {
                        die_at(&world, death);
                    }
                    let _ = replay(&world, second.clone()).await;
                    world.faults.heal();
                    replay(&world, ReplayRequest::default()).await.unwrap();
                    assert_eq!(dead(&world).await, BTreeSet::new(), "{what}");
                    let once: BTreeMap<_, _> = all.into_iter().map(|dead| (dead, 1)).collect();
                    assert_eq!(published(&world).await, once, "{what}");
                }
            }
        }
    }
}

/// What was published and what was released agree with what the flows make of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_died_is_finished_by_the_next_and_verified() {
    let world = world().await;
    die_at(&world, (Call::Release, 1, false));
    replay(&world, repaired("orders", 0, 1, r#"{"id":2}"#)).await.unwrap_err();
    // Between the two the flows take what was published.
    world.run().await.unwrap();
    let outcome = replay(&world, ReplayRequest { limit: Some(0), ..ReplayRequest::default() }).await.unwrap();
    assert_eq!((outcome.published, outcome.released), (0, 2));
    let engine = world.run().await.unwrap();
    for table in ["ordered", "shipped"] {
        assert_eq!(rows(&engine, &format!("SELECT id FROM {table} ORDER BY id")).await, ["1", "2"]);
    }
    let report = engine.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_value_for_an_event_that_was_published_is_refused_and_the_same_one_is_not() {
    for (value, refused) in [(r#"{"id":3}"#, true), (r#"{"id":2}"#, false)] {
        let world = world().await;
        die_at(&world, (Call::Append, 1, true));
        replay(&world, repaired("orders", 0, 1, r#"{"id":2}"#)).await.unwrap_err();
        world.faults.heal();
        let again = replay(&world, repaired("orders", 0, 1, value)).await;
        if refused {
            let error = again.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
            assert!(error.message().contains("offset 1 of topic orders to flow ordered already, with another value"), "{error}");
        } else {
            let outcome = again.unwrap();
            assert_eq!((outcome.published, outcome.released), (0, 2));
        }
        let engine = world.run().await.unwrap();
        assert_eq!(rows(&engine, "SELECT id FROM ordered ORDER BY id").await, ["1", "2"]);
        assert_eq!(dead(&world).await.len(), 6);
    }
}

/// The second one waits: else both would publish what both have found.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_replays_at_once_one_follows_the_other() {
    let world = world().await;
    let engine = world.engine().await;
    let gate = world.faults.block(Call::Append, world.faults.calls(Call::Append) + 1);
    let mut first = JoinSet::new();
    first.spawn({
        let engine = engine.clone();
        async move { engine.replay_dead_letters(ReplayRequest::default()).await }
    });
    gate.reached().await;
    let second = engine.replay_dead_letters(ReplayRequest::default());
    tokio::pin!(second);
    // The ports of a test answer at once, so that it has done all that it does by itself.
    let before = futures::poll!(&mut second);
    gate.release();
    let first = first.join_next().await.unwrap().unwrap().unwrap();
    let second = match before {
        Poll::Ready(outcome) => outcome.unwrap(),
        Poll::Pending => second.await.unwrap(),
    };
    assert!(published(&world).await.values().all(|times| *times == 1), "{:?}", published(&world).await);
    assert_eq!((first.published, first.released, second.published, second.released), (4, 8, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_goes_on_in_a_topic_that_no_longer_keeps_what_was_noted() {
    let world = world().await;
    die_at(&world, (Call::Append, 1, false));
    replay(&world, ReplayRequest::default()).await.unwrap_err();
    world.faults.heal();
    world.publish_to("orders", (2..9).map(|id| (0, format!(r#"{{"id":{id}}}"#)))).await;
    let ports = world.ports();
    let log = AlteredLog::kept_from(ports.log.clone(), 5);
    let engine = Engine::open(world.pipeline.clone(), Ports { log, ..ports }, world.settings.clone()).await.unwrap();
    let outcome = engine.replay_dead_letters(ReplayRequest::default()).await.unwrap();
    assert_eq!((outcome.published, outcome.released), (4, 8));
}

/// A flow that was reset meets its events again: what became of them before says nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_that_is_lost_after_a_reset_is_missed() {
    let world = world().await;
    replay(&world, ReplayRequest::default()).await.unwrap();
    world.run().await.unwrap();
    Engine::reset(&world.pipeline, &world.ports(), "ordered").await.unwrap();
    let engine = world.run().await.unwrap();
    let report = engine.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report}");
    let lost = |l: &DeadLetter| l.flow.as_str() == "ordered" && l.position.offset == 1 && l.position.partition == 0;
    let system = world.ports().system;
    let dead_letters: Vec<_> = system.dead_letters().await.unwrap().into_iter().filter(lost).collect();
    assert_eq!(dead_letters.len(), 1);
    system.release(&Quarantined { dead_letters, late_rows: Vec::new() }).await.unwrap();
    let report = engine.verify(&|_| {}).await.unwrap().to_string();
    assert!(report.contains("the event at orders-0 offset 1 is neither a row of flow ordered nor a dead letter"), "{report}");
    assert!(system.property(SystemProperty::Replayed(&FlowId::new("shipped"))).await.unwrap().is_some(), "another flow's stay");
}

/// Rows that a reset has written anew were not evicted.
#[tokio::test(flavor = "multi_thread")]
async fn a_reset_redis_table_was_not_emptied_on_request() {
    let world = World::new();
    let engine = world.engine().await;
    engine.evict("high").await.unwrap();
    let evicted = || async { world.ports().system.property(SystemProperty::Evicted("high")).await.unwrap() };
    assert!(evicted().await.is_some_and(|at| at.parse::<i64>().is_ok()));
    Engine::reset(&world.pipeline, &world.ports(), "high").await.unwrap();
    assert!(evicted().await.is_none_or(|at| at.is_empty()));
}
