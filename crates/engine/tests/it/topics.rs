//! Flows into topics: what they append, whatever dies in between, is there once, and can be the source of other flows.

use millstream_core::ErrorKind;
use millstream_engine::Engine;
use millstream_testkit::faults::Call;

use crate::events::readings;
use crate::world::{World, checked, rows};

/// A topic of the high readings, keyed by meter; a table of what is in it; and a topic of closed windows.
const PIPELINE: &str = "
CREATE TABLE readings (id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, meter STRING NOT NULL, value INT)
USING kafka OPTIONS (subscribe 'readings', value.format 'json', partitions '2');

CREATE STREAMING TABLE high USING kafka
TBLPROPERTIES ('topic' = 'high-readings', 'value.format' = 'json', 'partitions' = '3')
AS SELECT id, meter, value FROM STREAM readings WHERE value >= 90;

CREATE STREAMING TABLE by_meter USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'id ASC')
AS SELECT meter, id, value FROM STREAM high;

CREATE STREAMING TABLE closed USING kafka TBLPROPERTIES ('topic' = 'closed-windows', 'value.format' = 'csv')
AS SELECT meter, window.start AS hour, count(*) AS n
   FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 1 HOUR GROUP BY meter, window(ts, '1 hour');
";

fn world() -> World {
    let mut world = World::with_epochs_of(23);
    world.pipeline = checked(PIPELINE);
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_has_each_row_of_its_flow_once_through_deaths_and_feeds_another_flow() {
    for nth in [2, 5, 9] {
        for call in [Call::Put, Call::Claim, Call::ReadLog] {
            let world = world();
            let events = readings(nth, 300);
            let engine = world.run_with_deaths_at(call, nth, &events).await;
            let high = || events.iter().filter_map(|r| r.value.filter(|v| *v >= 90).map(|v| (r, v)));
            let mut expected: Vec<String> = high().map(|(r, v)| format!("{} {} {v}", r.id, r.meter)).collect();
            expected.sort();
            for table in ["high", "by_meter"] {
                let mut there = rows(&engine, &format!("SELECT id, meter, value FROM {table}")).await;
                there.sort();
                assert_eq!(there, expected, "{table}, {call:?} {nth}");
            }
            let report = engine.verify(&|_| {}).await.unwrap();
            assert!(report.is_clean(), "{report}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_reset_is_written_anew_with_all_that_reads_it() {
    let world = world();
    let events = readings(4, 200);
    drop(world.engine().await);
    world.publish(&events).await;
    let before = rows(&world.run().await.unwrap(), "SELECT id FROM high ORDER BY id").await;
    assert!(!before.is_empty());
    Engine::reset(&world.pipeline, &world.ports(), "high").await.unwrap();
    let engine = world.run().await.unwrap();
    for table in ["high", "by_meter"] {
        assert_eq!(rows(&engine, &format!("SELECT id FROM {table} ORDER BY id")).await, before, "{table}");
    }
    let refused = Engine::reset(&world.pipeline, &world.ports(), "readings").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{refused}");
}
