//! Pipelines that change between two runs on the same data.

use millstream_core::{Error, ErrorKind};
use millstream_engine::{ChangePlan, Engine, Facts};
use millstream_pipeline::graph::Pipeline;

use crate::events::{hourly, readings};
use crate::straight::check;
use crate::world::{PIPELINE, World, checked, hours, rows};

async fn plan(world: &World, pipeline: &Pipeline) -> ChangePlan {
    millstream_engine::plan::decide(pipeline, &Facts::of(&world.ports()).await.unwrap())
}

/// The error of opening the pipeline, which is `part` of it.
async fn refused(world: &World) -> Error {
    let opened = Engine::open(world.pipeline.clone(), world.ports(), world.settings.clone()).await;
    opened.err().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_grows_and_shrinks_on_the_same_data() {
    let mut world = World::with_epochs_of(40);
    let events = readings(100, 500);
    let more = "CREATE STREAMING TABLE quarters USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'quarter ASC')
        AS SELECT meter, window.start AS quarter, count(*) AS n
           FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 1 HOUR GROUP BY meter, window(ts, '15 minutes');";
    drop(world.engine().await);
    world.publish(&events[..200]).await;
    world.run().await.unwrap();
    // Something is added: it begins at the beginning, the rest goes on.
    world.pipeline = checked(&format!("{PIPELINE}{more}"));
    assert!(plan(&world, &world.pipeline).await.is_kept());
    world.publish(&events[200..400]).await;
    let engine = world.run().await.unwrap();
    check(&engine, &events[..400]).await;
    let quarters = "SELECT count(*), sum(n) FROM quarters";
    let counted = rows(&engine, quarters).await;
    // Something is left out, and comes back.
    drop(engine);
    world.pipeline = checked(PIPELINE.split("CREATE STREAMING TABLE high").next().unwrap());
    world.publish(&events[400..450]).await;
    world.run().await.unwrap();
    world.pipeline = checked(&format!("{PIPELINE}{more}"));
    world.publish(&events[450..]).await;
    let engine = world.run().await.unwrap();
    check(&engine, &events).await;
    assert_ne!(rows(&engine, quarters).await, counted);
    let report = engine.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_state_is_refused_before_anything_runs_and_rebuilt_on_request() {
    let mut world = World::with_epochs_of(40);
    let events = readings(101, 300);
    drop(world.engine().await);
    world.publish(&events[..250]).await;
    world.run().await.unwrap();
    world.pipeline =
        checked(&PIPELINE.replacen("sum(value) AS total, max(value) AS most", "sum(value) AS total, max(value + 0) AS most", 1));
    let error = refused(&world).await;
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    for part in ["aggregate 3", "max(readings.value)", "millstream reset hourly", "the beginning of readings"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    assert_eq!(plan(&world, &world.pipeline).await.commands(), ["millstream reset hourly --pipeline PATH"]);
    Engine::reset(&world.pipeline, &world.ports(), "hourly").await.unwrap();
    assert!(plan(&world, &world.pipeline).await.is_kept());
    world.publish(&events[250..]).await;
    let engine = world.run().await.unwrap();
    check(&engine, &events).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_behind_the_state_keeps_it() {
    let mut world = World::with_epochs_of(40);
    let events = readings(102, 600);
    drop(world.engine().await);
    world.publish(&events[..300]).await;
    world.run().await.unwrap();
    world.pipeline = checked(&PIPELINE.replace("max(value) AS most", "max(value) + 1 AS most"));
    assert!(plan(&world, &world.pipeline).await.is_kept());
    world.publish(&events[300..]).await;
    let engine = world.run().await.unwrap();
    // No event is lost or counted twice; what was closed before has the result of the query before.
    let (found, expected) = (hours(&engine, "closed").await, hourly(&events));
    let (mut before, mut after) = (0, 0);
    for (window, (n, total, most)) in &found {
        let (should_n, should_total, should_most) = expected[window];
        assert_eq!((*n, *total), (should_n, should_total));
        if *most == should_most {
            before += 1
        } else {
            after += 1
        }
        assert!(*most == should_most || *most == should_most.map(|m| m + 1), "{window:?}");
    }
    assert!(before > 0 && after > 0, "{before} and {after}");
    let report = engine.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report}");
    let notes: Vec<_> = report.checks.iter().filter(|c| c.subject == "closed").flat_map(|c| c.notes.clone()).collect();
    assert!(notes.iter().any(|n| n.contains("an earlier query")), "{notes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_filter_of_a_flow_without_state_is_for_later_events() {
    let mut world = World::with_epochs_of(40);
    let events = readings(103, 400);
    // Without the cache that reads its feed.
    let pipeline = PIPELINE.split("CREATE STREAMING TABLE high").next().unwrap();
    world.pipeline = checked(pipeline);
    drop(world.engine().await);
    world.publish(&events[..200]).await;
    world.run().await.unwrap();
    world.pipeline = checked(&pipeline.replace("value >= 0", "value >= 50"));
    world.publish(&events[200..]).await;
    let engine = world.run().await.unwrap();
    let kept = |least: i32| move |r: &&crate::events::Reading| r.value.is_none_or(|v| v >= least);
    let expected = events[..200].iter().filter(kept(0)).count() + events[200..].iter().filter(kept(50)).count();
    assert_eq!(rows(&engine, "SELECT count(*) FROM by_meter").await, [expected.to_string()]);
    let report = engine.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_pipelines_data_is_not_taken_over() {
    let mut world = World::new();
    drop(world.engine().await);
    world.publish(&readings(104, 20)).await;
    world.run().await.unwrap();
    world.pipeline = checked(
        "CREATE TABLE events (id BIGINT NOT NULL) USING kafka OPTIONS (subscribe 'events', value.format 'json');
         CREATE STREAMING TABLE ids USING cassandra PARTITIONED BY (id) AS SELECT id FROM STREAM events;",
    );
    let error = refused(&world).await;
    assert!(error.to_string().contains("another pipeline's data"), "{error}");
}
