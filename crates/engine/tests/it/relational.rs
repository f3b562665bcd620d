//! Flows into relational tables: upserts by primary key, verified as event-store tables are.

use millstream_testkit::faults::Call;

use crate::events::{hourly, readings};
use crate::world::{PIPELINE, World, checked, hours, rows};

const RELATIONAL: &str = "
CREATE STREAMING TABLE current USING postgresql TBLPROPERTIES ('primary_key' = 'meter, hour', 'output_mode' = 'update')
AS SELECT meter, window.start AS hour, count(*) AS n, sum(value) AS total, max(value) AS most
   FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 1 HOUR GROUP BY meter, window(ts, '1 hour');
CREATE STREAMING TABLE strong USING postgresql TBLPROPERTIES ('primary_key' = 'meter, id') AS SELECT meter, id, value FROM STREAM by_meter WHERE value >= 90;
";

#[tokio::test(flavor = "multi_thread")]
async fn a_relational_table_holds_what_an_event_store_table_would() {
    let mut world = World::with_epochs_of(31);
    world.pipeline = checked(&format!("{PIPELINE}{RELATIONAL}"));
    let events = readings(51, 400);
    drop(world.engine().await);
    world.publish(&events).await;
    world.faults.fail(Call::Put, 9, millstream_core::ErrorKind::Internal);
    let engine = world.run_through_deaths().await;
    assert_eq!(hours(&engine, "current").await, hourly(&events));
    assert_eq!(rows(&engine, "SELECT count(*) FROM strong").await, rows(&engine, "SELECT count(*) FROM by_meter WHERE value >= 90").await);
    let report = engine.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report}");
    assert!(report.checks.iter().any(|c| c.subject == "current" && c.figures["rows"] > 0), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relational_table_can_be_rebuilt() {
    let mut world = World::new();
    world.pipeline = checked(&format!("{PIPELINE}{RELATIONAL}"));
    let events = readings(52, 100);
    drop(world.engine().await);
    world.publish(&events).await;
    world.run().await.unwrap();
    millstream_engine::Engine::reset(&world.pipeline, &world.ports(), "current").await.unwrap();
    let engine = world.run().await.unwrap();
    assert_eq!(hours(&engine, "current").await, hourly(&events));
}
