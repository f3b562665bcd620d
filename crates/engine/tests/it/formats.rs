//! Events that become several rows, and events whose schemas a registry has: through crashes and outages each is in exactly one place.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use millstream_core::ports::{NewRecord, SchemaRegistry};
use millstream_core::{Error, ErrorKind, Result, TopicPartition};
use millstream_pipeline::{SourceFile, Surroundings, parse};
use millstream_testkit::faults::Call;

use crate::world::{World, checked, rows};

const EXPLODED: &str = "
CREATE TABLE readings (id BIGINT NOT NULL, items ARRAY<STRUCT<meter: STRING, value: INT>>)
USING kafka OPTIONS (subscribe 'readings', value.format 'json', partitions '2');

CREATE STREAMING TABLE by_meter USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'id ASC')
AS SELECT v.reading.meter AS meter, id, at, v.reading.value AS value, _offset AS place
   FROM STREAM readings LATERAL VIEW posexplode(items) v AS at, reading;
";

fn exploded(id: usize) -> String {
    let values: Vec<_> = (0..id % 4).map(|n| format!("{{\"meter\":\"m{}\",\"value\":{n}}}", n % 2)).collect();
    format!("{{\"id\":{id},\"items\":[{}]}}", values.join(","))
}

/// The rows of the events 0 to `n`: of one event and meter the last value stays.
fn expected(n: usize) -> Vec<String> {
    let mut all = BTreeMap::new();
    for id in 0..n {
        for value in 0..id % 4 {
            all.insert((format!("m{}", value % 2), id), value);
        }
    }
    all.into_iter().map(|((meter, id), value)| format!("{meter} {id} {value} {value}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_becomes_several_rows_does_so_once_whatever_dies() {
    let mut world = World::with_epochs_of(5);
    world.pipeline = checked(EXPLODED);
    drop(world.engine().await);
    world.publish_values((0..60).map(|id| (i32::try_from(id % 2).unwrap(), exploded(id)))).await;
    world.faults.fail(Call::Commit, 3, ErrorKind::Internal);
    world.faults.fail_after(Call::Commit, 6, ErrorKind::Internal);
    let engine = world.run_through_deaths().await;
    assert_eq!(rows(&engine, "SELECT meter, id, at, value FROM by_meter ORDER BY meter, id").await, expected(60));
    let report = engine.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report:?}");
    let figures = &report.checks.iter().find(|c| c.subject == "by_meter").unwrap().figures;
    assert_eq!((figures["events"], figures["filtered"]), (60, 15), "every fourth event has no item");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_with_one_row_that_has_no_key_is_a_dead_letter_and_nothing_else() {
    let mut world = World::new();
    world.pipeline = checked(EXPLODED);
    drop(world.engine().await);
    let events = [
        r#"{"id":1,"items":[{"meter":"a","value":1},{"meter":null,"value":2},{"value":3}]}"#,
        r#"{"id":2,"items":[{"meter":"a","value":4}]}"#,
        r#"{"id":3,"items":null}"#,
        r#"{"id":4,"items":[{"meter":"a","value":"x"}]}"#,
    ];
    world.publish_values(events.map(|e| (0, e.to_owned()))).await;
    let engine = world.run().await.unwrap();
    assert_eq!(rows(&engine, "SELECT meter, id, value FROM by_meter").await, ["a 2 4"]);
    let dead = rows(&engine, "SELECT \"offset\", reason FROM system.dead_letters ORDER BY \"offset\"").await;
    assert_eq!(dead, ["0 key column meter is null or empty", "3 column items: items[0].value \"x\" does not fit INT"]);
    assert!(engine.verify(&|_| {}).await.unwrap().is_clean());
}

/// A registry that is away at first, and then knows the schema 7.
struct Registry {
    away: AtomicUsize,
}

#[async_trait]
impl SchemaRegistry for Registry {
    async fn schema(&self, id: u32) -> Result<String> {
        let away = self.away.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        match (away, id) {
            (Err(_), 7) => {
                Ok(r#"{"type":"record","name":"R","fields":[{"name":"ID","type":"int"},{"name":"meter","type":["null","string"]}]}"#
                    .to_owned())
            }
            _ => Err(Error::unavailable("the registry does not answer")),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_waits_for_the_registry_of_its_records_schemas() {
    let sql = "CREATE TABLE readings (id BIGINT NOT NULL, meter STRING) USING kafka OPTIONS (subscribe 'readings', value.format 'avro', partitions '2');
               CREATE STREAMING TABLE by_id USING cassandra PARTITIONED BY (id) AS SELECT id, meter FROM STREAM readings;";
    let file = SourceFile { name: "pipeline.sql".to_owned(), text: sql.to_owned() };
    let surroundings = Surroundings { schema_registry: true, ..Surroundings::default() };
    let mut world = World::new();
    world.pipeline = Arc::new(parse(&[file]).unwrap().within(surroundings).check(&BTreeMap::new()).unwrap());
    world.schemas = Some(Arc::new(Registry { away: AtomicUsize::new(5) }));
    drop(world.engine().await);
    let log = world.ports().log;
    for value in [&[0, 0, 0, 0, 7, 2, 2, 2, b'a'][..], &[0, 0, 0, 0, 7, 4, 0], &[0, 0, 0, 0, 7, 4], b"{}"] {
        let record = NewRecord { value: Some(Bytes::copy_from_slice(value)), ..NewRecord::default() };
        log.append(&TopicPartition::new("readings", 0), vec![record]).await.unwrap();
    }
    let engine = world.run().await.unwrap();
    assert_eq!(rows(&engine, "SELECT id, meter FROM by_id ORDER BY id").await, ["1 a", "2 "]);
    assert_eq!(rows(&engine, "SELECT id FROM readings ORDER BY id").await, ["1", "2"]);
    assert_eq!(rows(&engine, "SELECT \"offset\" FROM system.dead_letters ORDER BY \"offset\"").await, ["2", "3"]);
    assert!(engine.verify(&|_| {}).await.unwrap().is_clean());
}
