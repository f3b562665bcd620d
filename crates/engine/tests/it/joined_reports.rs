//! Joins of a stream with a report: which publication an event meets, and what happens before there is one. Apache Spark's answers say nothing of
//! this: the oracle's queries run on a stream and on reference data that never changes.

use std::sync::Arc;

use arrow::compute::concat_batches;
use futures::TryStreamExt as _;
use millstream_core::ports::{CriticalLoader as _, JobRunState, Scan};
use millstream_core::status::{FlowPhase, FlowStatus, StatusSource as _};
use millstream_core::{ChangeKind, ErrorKind, Value};
use millstream_engine::{Check, Engine};
use millstream_testkit::ManualClock;

use crate::verification::tamper;
use crate::world::{World, checked, rows};

const PIPELINE: &str = "
CREATE TABLE readings (id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, meter STRING NOT NULL, value INT)
USING kafka OPTIONS (subscribe 'readings', value.format 'json', partitions '1');
CREATE STREAMING TABLE by_meter USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'id')
AS SELECT meter, id, value FROM STREAM readings;
CREATE MATERIALIZED VIEW usual USING postgresql TBLPROPERTIES ('primary_key' = 'meter')
AS SELECT meter, min(value) AS least, max(value) AS most, count(*) AS n FROM by_meter GROUP BY meter;

CREATE STREAMING TABLE judged USING cassandra PARTITIONED BY (id)
AS SELECT r.id, r.value, u.most FROM STREAM readings r LEFT JOIN usual u ON r.meter = u.meter;
CREATE STREAMING TABLE known USING cassandra PARTITIONED BY (id)
AS SELECT r.id, u.n FROM STREAM readings r JOIN usual u ON r.meter = u.meter AND r.value <= u.most;
CREATE STREAMING TABLE hourly USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'hour', 'output_mode' = 'update')
AS SELECT r.meter, window.start AS hour, sum(u.n) AS total FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 1 HOUR r
   JOIN usual u ON r.meter = u.meter GROUP BY r.meter, window(r.ts, '1 hour');
CREATE STREAMING TABLE watched USING redis TBLPROPERTIES ('key' = 'meter, id')
AS SELECT b.meter, b.id, u.most FROM STREAM by_meter b LEFT JOIN usual u ON b.meter = u.meter;
";

/// Those that join the report.
const JOINING: [&str; 4] = ["judged", "known", "hourly", "watched"];

/// A world whose time stands still: nothing looks at a report by itself.
async fn still() -> World {
    let mut world = World::new();
    world.clock = Arc::new(ManualClock::default());
    world.pipeline = checked(PIPELINE);
    drop(world.engine().await);
    world
}

/// Publishes readings: id, meter and value.
async fn publish(world: &World, readings: &[(i64, &str, i32)]) {
    let json =
        |(id, meter, value): &(i64, &str, i32)| format!(r#"{{"id":{id},"ts":"2024-01-01T00:00:00Z","meter":"{meter}","value":{value}}}"#);
    world.publish_values(readings.iter().map(|reading| (0, json(reading)))).await;
}

/// Runs the view's job.
async fn refresh(engine: &Arc<Engine>) {
    let run = engine.refresh("usual").await.unwrap();
    assert_eq!((run.state, run.error), (JobRunState::Succeeded, None));
}

fn status(engine: &Engine, flow: &str) -> FlowStatus {
    engine.status().flows.into_iter().find(|f| f.flow == flow).unwrap()
}

/// Until `flow` has this phase.
async fn until(engine: &Engine, flow: &str, phase: FlowPhase) -> FlowStatus {
    loop {
        let status = status(engine, flow);
        if status.phase == phase {
            return status;
        }
        tokio::task::yield_now().await;
    }
}

/// Until the view has so many rows to be made of.
async fn until_stored(engine: &Arc<Engine>, readings: usize) {
    while rows(engine, "SELECT id FROM by_meter").await.len() < readings {
        tokio::task::yield_now().await;
    }
}

async fn checks(engine: &Arc<Engine>) -> Vec<Check> {
    let report = engine.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report}");
    report.checks.into_iter().filter(|check| JOINING.contains(&check.subject.as_str())).collect()
}

const JUDGED: &str = "SELECT id, most FROM judged ORDER BY id";
const KNOWN: &str = "SELECT id, n FROM known ORDER BY id";

#[tokio::test(flavor = "multi_thread")]
async fn events_wait_for_the_first_report_and_meet_the_last_one() {
    let world = still().await;
    publish(&world, &[(1, "a", 10), (2, "b", 5)]).await;
    let running = world.start().await;
    let engine = running.engine.clone();
    for flow in JOINING {
        let status = until(&engine, flow, FlowPhase::Waiting).await;
        let why = status.last_error.unwrap().1;
        assert!(why.contains("report usual was never published: `millstream refresh usual`"), "{why}");
    }
    // Other flows go on.
    until_stored(&engine, 2).await;
    assert_eq!(rows(&engine, JUDGED).await, [""; 0]);
    let looked = "SELECT rows, generation, last_error FROM system.reference_data";
    assert!(rows(&engine, looked).await[0].starts_with("0 0 report usual was never published"));
    let key = [Value::Str("a".to_owned()), Value::Int(1)];
    assert_eq!(engine.load("watched", &key).await.unwrap_err().kind(), ErrorKind::Unavailable, "no row is made of half of what it needs");

    refresh(&engine).await;
    engine.caught_up().await.unwrap();
    assert_eq!(rows(&engine, JUDGED).await, ["1 10", "2 5"]);
    assert_eq!(rows(&engine, KNOWN).await, ["1 1", "2 1"], "an inner join has lost no event that came before the report");
    assert_eq!(rows(&engine, looked).await, ["2 1 "]);
    assert!(engine.load("watched", &key).await.unwrap().is_some());
    let found = checks(&engine).await;
    assert_eq!(found.iter().map(|c| c.figures.get("events").copied()).collect::<Vec<_>>(), [Some(2), Some(2), Some(2), None]);
    assert!(found.iter().filter(|c| c.subject != "watched").all(|c| c.notes.is_empty()), "{found:?}");

    // The report is as it was published, whatever has come into its table since then.
    publish(&world, &[(3, "a", 50), (4, "c", 7)]).await;
    engine.caught_up().await.unwrap();
    assert_eq!(rows(&engine, JUDGED).await[2..], ["3 10", "4 "]);
    assert_eq!(rows(&engine, KNOWN).await, ["1 1", "2 1"], "50 is more than 10, and of c nothing was known");

    refresh(&engine).await;
    let found = checks(&engine).await;
    assert!(
        found.iter().all(|c| c.subject == "watched" || c.notes.iter().any(|n| n.contains("published anew since its last event"))),
        "{found:?}"
    );
    publish(&world, &[(5, "a", 1), (6, "c", 1)]).await;
    engine.caught_up().await.unwrap();
    assert_eq!(rows(&engine, JUDGED).await, ["1 10", "2 5", "3 10", "4 ", "5 50", "6 7"]);
    assert_eq!(rows(&engine, KNOWN).await[2..], ["5 2", "6 1"]);
    let found = checks(&engine).await;
    assert!(found.iter().all(|c| c.subject == "watched" || c.notes.iter().any(|n| n.contains("as published before"))), "{found:?}");
    assert_eq!(found.iter().find(|c| c.subject == "judged").unwrap().figures["events"], 2, "those since the last publication are compared");
    running.stop().await;

    // What was published is there after a restart, and nobody waits again.
    publish(&world, &[(7, "c", 2)]).await;
    let engine = world.run().await.unwrap();
    assert_eq!(rows(&engine, JUDGED).await[6..], ["7 7"]);
    let found = checks(&engine).await;
    assert_eq!(found.iter().find(|c| c.subject == "judged").unwrap().figures["events"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_columns_that_flows_read_are_held() {
    let world = still().await;
    publish(&world, &[(1, "a", 10)]).await;
    let running = world.start().await;
    until_stored(&running.engine, 1).await;
    refresh(&running.engine).await;
    let held = running.engine.reference_rows("usual");
    let names: Vec<_> = held[0].schema().fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(names, ["meter", "most", "n"]);
    assert_eq!(rows(&running.engine, "SELECT * FROM usual").await, ["a 10 10 1"]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_joined_with_the_last_report_is_verified() {
    let world = still().await;
    publish(&world, &[(1, "a", 10)]).await;
    let running = world.start().await;
    until_stored(&running.engine, 1).await;
    refresh(&running.engine).await;
    running.engine.caught_up().await.unwrap();
    publish(&world, &[(2, "a", 20)]).await;
    running.engine.caught_up().await.unwrap();
    refresh(&running.engine).await;
    publish(&world, &[(3, "a", 30)]).await;
    running.engine.caught_up().await.unwrap();
    running.stop().await;
    let snapshot = world.ports().event_store.snapshot().await.unwrap();
    let judged: Vec<_> = snapshot.scan("judged", &Scan::default()).await.unwrap().try_collect().await.unwrap();
    let judged = concat_batches(&judged[0].schema(), &judged).unwrap();
    assert_eq!(judged.num_rows(), 3);
    tamper(&world, "judged", judged, ChangeKind::Delete).await;
    let report = world.engine().await.verify(&|_| {}).await.unwrap();
    let check = report.checks.iter().find(|c| c.subject == "judged").unwrap();
    assert_eq!(check.problems_total, 1, "{report}");
    assert!(check.problems[0].contains("a row is missing: its event is at partition 0 offset 2"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_is_rebuilt_is_waited_for_again() {
    let world = still().await;
    publish(&world, &[(1, "a", 10)]).await;
    let running = world.start().await;
    until_stored(&running.engine, 1).await;
    refresh(&running.engine).await;
    running.engine.caught_up().await.unwrap();
    running.stop().await;
    Engine::reset(&world.pipeline, &world.ports(), "usual").await.unwrap();
    publish(&world, &[(2, "a", 20)]).await;
    let running = world.start().await;
    until(&running.engine, "judged", FlowPhase::Waiting).await;
    let found = checks(&running.engine).await;
    assert!(found.iter().all(|c| c.notes.iter().any(|n| n.contains("joins usual: report usual was never published"))), "{found:?}");
    until_stored(&running.engine, 2).await;
    refresh(&running.engine).await;
    running.engine.caught_up().await.unwrap();
    assert_eq!(rows(&running.engine, JUDGED).await, ["1 10", "2 20"]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_that_waits_for_a_report_can_be_stopped() {
    let world = still().await;
    let running = world.start().await;
    until(&running.engine, "judged", FlowPhase::Waiting).await;
    let engine = running.engine.clone();
    running.stop().await;
    assert_eq!(status(&engine, "judged").phase, FlowPhase::Stopped);
}
