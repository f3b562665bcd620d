//! Reference data that changes after flows have joined it: `verify` raises no false alarm, and finds what is lost all the same. So it does where the rows
//! expire; and a cached one is gone when it has.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use futures::TryStreamExt as _;
use millstream_core::ports::{CriticalLoader as _, ReferenceSource, Scan};
use millstream_core::{ChangeKind, Result, Value};
use millstream_engine::{Check, VerifyReport};
use millstream_testkit::ManualClock;
use millstream_testkit::faults::Call;
use tokio::task::JoinSet;

use crate::verification::tamper;
use crate::world::{World, checked, rows};

const PIPELINE: &str = "
CREATE TABLE readings (id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, meter STRING NOT NULL, value INT)
USING kafka OPTIONS (subscribe 'readings', value.format 'json', partitions '2');
CREATE TABLE places (meter STRING, area INT) USING parquet LOCATION 'places.parquet';

CREATE STREAMING TABLE placed USING cassandra PARTITIONED BY (id)
AS SELECT r.id, r.value, p.area FROM STREAM readings r LEFT JOIN places p ON r.meter = p.meter;
CREATE STREAMING TABLE known USING cassandra PARTITIONED BY (id)
AS SELECT r.id, p.area FROM STREAM readings r JOIN places p ON r.meter = p.meter;
CREATE STREAMING TABLE hourly USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'hour', 'output_mode' = 'update')
AS SELECT r.meter, window.start AS hour, sum(p.area) AS areas FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 1 HOUR r
   LEFT JOIN places p ON r.meter = p.meter GROUP BY r.meter, window(r.ts, '1 hour');
CREATE STREAMING TABLE copies USING kafka TBLPROPERTIES ('topic' = 'copies', 'value.format' = 'json')
AS SELECT r.id, p.area FROM STREAM readings r LEFT JOIN places p ON r.meter = p.meter;
CREATE STREAMING TABLE base USING cassandra PARTITIONED BY (id) AS SELECT id, meter, value FROM STREAM readings;
CREATE STREAMING TABLE watched USING redis TBLPROPERTIES ('key' = 'id')
AS SELECT b.id, b.value, p.area FROM STREAM base b LEFT JOIN places p ON b.meter = p.meter;
";

/// Reference data as it is in one revision.
struct Places {
    revision: &'static str,
    rows: RecordBatch,
}

#[async_trait]
impl ReferenceSource for Places {
    async fn schema(&self) -> Result<SchemaRef> {
        Ok(self.rows.schema())
    }

    async fn revision(&self) -> Result<String> {
        Ok(self.revision.to_owned())
    }

    async fn load(&self) -> Result<Vec<RecordBatch>> {
        Ok(vec![self.rows.clone()])
    }
}

fn set(world: &mut World, revision: &'static str, places: &[(&str, i32)]) {
    let meters: ArrayRef = Arc::new(StringArray::from_iter_values(places.iter().map(|(meter, _)| meter)));
    let areas: ArrayRef = Arc::new(Int32Array::from_iter_values(places.iter().map(|(_, area)| *area)));
    let rows = RecordBatch::try_from_iter_with_nullable([("meter", meters, true), ("area", areas, true)]).unwrap();
    world.references = [("places".to_owned(), Arc::new(Places { revision, rows }) as Arc<dyn ReferenceSource>)].into();
}

/// Publishes readings, the value of each being ten times its number.
async fn publish(world: &World, readings: &[(i64, &str)]) {
    let json = |(id, meter): &(i64, &str)| {
        let partition = i32::try_from(id % 2).unwrap();
        (partition, format!(r#"{{"id":{id},"ts":"2024-01-01T00:00:00Z","meter":"{meter}","value":{}}}"#, id * 10))
    };
    world.publish_values(readings.iter().map(json)).await;
}

/// A world in which meters a, b and c have sent something; then a moved, b was forgotten, and d came.
async fn changed() -> World {
    let mut world = World::new();
    world.pipeline = checked(PIPELINE);
    set(&mut world, "1", &[("a", 1), ("b", 2)]);
    drop(world.engine().await);
    publish(&world, &[(1, "a"), (2, "b"), (3, "c"), (4, "d")]).await;
    let report = world.run().await.unwrap().verify(&|_| {}).await.unwrap();
    assert!(report.is_clean() && report.checks.iter().all(|check| check.notes.is_empty()), "{report}");
    set(&mut world, "2", &[("a", 10), ("d", 4)]);
    world
}

async fn verify(world: &World) -> VerifyReport {
    world.engine().await.verify(&|_| {}).await.unwrap()
}

fn check<'a>(report: &'a VerifyReport, subject: &str) -> &'a Check {
    report.checks.iter().find(|check| check.subject == subject).unwrap()
}

/// The stored row of `table` with this number; the table's only row where it has none.
async fn stored(world: &World, table: &str, id: i64) -> RecordBatch {
    let snapshot = world.ports().event_store.snapshot().await.unwrap();
    let all: Vec<_> = snapshot.scan(table, &Scan::default()).await.unwrap().try_collect().await.unwrap();
    let all = concat_batches(&all[0].schema(), &all).unwrap();
    let ids = all.column_by_name("id").map(|ids| ids.as_any().downcast_ref::<Int64Array>().unwrap().clone());
    let row = ids.map_or(0, |ids| ids.values().iter().position(|n| *n == id).unwrap());
    take_record_batch(&all, &UInt32Array::from(vec![u32::try_from(row).unwrap()])).unwrap()
}

/// `row` with `value` in the INT column `column`.
fn with(row: &RecordBatch, column: &str, value: i32) -> RecordBatch {
    let index = row.schema().index_of(column).unwrap();
    let mut columns = row.columns().to_vec();
    columns[index] = Arc::new(Int32Array::from(vec![value]));
    RecordBatch::try_new(row.schema(), columns).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn reference_data_that_has_changed_is_a_note_and_no_problem() {
    let world = changed().await;
    let report = verify(&world).await;
    assert!(report.is_clean(), "{report}");
    let since = "places changed since its last event";
    for table in ["placed", "copies", "watched"] {
        let notes = &check(&report, table).notes;
        assert_eq!(notes, &[format!("flow {table}: {since}; of that, not compared: area")], "{table}");
    }
    assert_eq!(check(&report, "hourly").notes, [format!("flow hourly: {since}; of that, not compared: areas")]);
    let notes = &check(&report, "known").notes;
    assert_eq!(notes[0], format!("flow known: {since}, and that decides which rows there are: they were only counted"));
    assert!(notes[1].starts_with("with the reference data of now, 1 more rows would be there, 1 would not, and 1 would hold other values"));

    // Later events are compared again, and the same is said after a restart.
    let engine = {
        publish(&world, &[(5, "a"), (6, "b"), (7, "d")]).await;
        world.run().await.unwrap()
    };
    let areas = rows(&engine, "SELECT id, area FROM placed ORDER BY id").await;
    assert_eq!(areas, ["1 1", "2 2", "3 ", "4 ", "5 10", "6 ", "7 4"]);
    assert_eq!(rows(&engine, "SELECT id FROM known ORDER BY id").await, ["1", "2", "5", "7"]);
    let report = engine.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report}");
    let notes = &check(&report, "placed").notes;
    assert!(
        notes[0].starts_with("flow placed: what came up to epoch ") && notes[0].contains("was joined with places as before"),
        "{notes:?}"
    );
    assert_eq!(check(&report, "placed").figures["events"], 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_lost_before_a_change_is_found() {
    let world = changed().await;
    for (table, id) in [("placed", 2), ("hourly", 0)] {
        tamper(&world, table, stored(&world, table, id).await, ChangeKind::Delete).await;
    }
    let report = verify(&world).await;
    let problems = &check(&report, "placed").problems;
    assert!(problems.len() == 1 && problems[0].starts_with("a row is missing: its event is at partition 0 offset 0"), "{report}");
    let problems = &check(&report, "hourly").problems;
    assert!(problems.len() == 1 && problems[0].starts_with("window ") && problems[0].ends_with(" is missing"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_from_an_event_is_compared_and_so_is_all_that_was_joined_since() {
    let world = changed().await;
    publish(&world, &[(5, "a"), (7, "d")]).await;
    world.run().await.unwrap();
    let old = stored(&world, "placed", 1).await;
    tamper(&world, "placed", with(&old, "value", 77), ChangeKind::Update).await;
    let report = verify(&world).await;
    let problems = &check(&report, "placed").problems;
    assert!(problems.len() == 1 && problems[0].starts_with("row id=1 ") && problems[0].contains("holds other values"), "{report}");

    let world = changed().await;
    publish(&world, &[(5, "a"), (7, "d")]).await;
    world.run().await.unwrap();
    let new = stored(&world, "placed", 5).await;
    tamper(&world, "placed", with(&new, "area", 77), ChangeKind::Update).await;
    tamper_known(&world).await;
    let report = verify(&world).await;
    let problems = &check(&report, "placed").problems;
    assert!(problems.len() == 1 && problems[0].starts_with("row id=5 ") && problems[0].contains("holds other values"), "{report}");
    let problems = &check(&report, "known").problems;
    assert!(problems.len() == 1 && problems[0].starts_with("a row is missing: its event is at partition 1 offset 3"), "{report}");
}

/// Deletes a row of the inner join that was made with the reference data of now.
async fn tamper_known(world: &World) {
    tamper(world, "known", stored(world, "known", 7).await, ChangeKind::Delete).await;
}

/// Rows that expire, in the event store and in the cache.
const EXPIRING: &str = "
CREATE TABLE readings (id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, meter STRING NOT NULL, value INT)
USING kafka OPTIONS (subscribe 'readings', value.format 'json', partitions '2');
CREATE TABLE places (meter STRING, area INT) USING parquet LOCATION 'places.parquet';
CREATE STREAMING TABLE base USING cassandra PARTITIONED BY (id) AS SELECT id, meter, value FROM STREAM readings;
";

const RECENT: &str = "
CREATE STREAMING TABLE recent USING cassandra PARTITIONED BY (id) TBLPROPERTIES ('ttl' = '1 day')
AS SELECT r.id, p.area FROM STREAM readings r LEFT JOIN places p ON r.meter = p.meter;
";

const WATCHED: &str = "
CREATE STREAMING TABLE watched USING redis TBLPROPERTIES ('key' = 'id', 'ttl' = '1 hour')
AS SELECT b.id, b.value, p.area FROM STREAM base b LEFT JOIN places p ON b.meter = p.meter WHERE b.value < 1000;
";

const HOUR: Duration = Duration::from_secs(3_600);

/// A world of rows that expire, with two places of meter a. Its time goes on when a test says so.
async fn expiring(tables: &str) -> World {
    let mut world = World::new();
    world.clock = Arc::new(ManualClock::default());
    world.pipeline = checked(&format!("{EXPIRING} {tables}"));
    set(&mut world, "1", &[("a", 1), ("a", 2)]);
    drop(world.engine().await);
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_was_lost_before_its_time_is_found() {
    let world = expiring(RECENT).await;
    publish(&world, &[(1, "a")]).await;
    world.run().await.unwrap();
    world.clock.advance(48 * HOUR);
    publish(&world, &[(2, "b"), (3, "c")]).await;
    world.run().await.unwrap();
    let report = verify(&world).await;
    assert!(report.is_clean(), "{report}");
    tamper(&world, "recent", stored(&world, "recent", 2).await, ChangeKind::Delete).await;
    let report = verify(&world).await;
    let found = check(&report, "recent");
    assert!(
        found.problems.len() == 1 && found.problems[0].starts_with("a row is missing: its event is at partition 0 offset 0"),
        "{report}"
    );
    assert_eq!(found.figures["expired"], 1, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cached_row_is_not_loaded_again_when_its_time_is_over() {
    let world = expiring(WATCHED).await;
    publish(&world, &[(1, "a")]).await;
    let engine = world.run().await.unwrap();
    let (critical, key) = (world.ports().critical, [Value::Int(1)]);
    let written = critical.get("watched", &key).await.unwrap().unwrap();
    world.clock.advance(HOUR / 2);
    let loaded = engine.load("watched", &key).await.unwrap().unwrap();
    assert_eq!(loaded.row.columns(), written.row.columns(), "of two matches the last one stays");
    assert!(loaded.version <= written.version && loaded.expires <= written.expires, "{loaded:?} in place of {written:?}");
    world.clock.advance(HOUR / 2 + Duration::from_secs(1));
    assert!(critical.get("watched", &key).await.unwrap().is_none());
    assert!(engine.load("watched", &key).await.unwrap().is_none());
    let report = verify(&world).await;
    assert!(report.is_clean() && check(&report, "watched").figures["expired"] == 1, "{report}");
}

/// The flow draws its rows' versions when it makes them, so they live from then on.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_a_flow_has_written_late_is_no_problem() {
    let mut world = expiring("").await;
    publish(&world, &[(1, "a")]).await;
    world.run().await.unwrap();
    world.clock.advance(2 * HOUR);
    world.pipeline = checked(&format!("{EXPIRING} {WATCHED}"));
    let engine = world.run().await.unwrap();
    assert_eq!(rows(&engine, "SELECT id, area FROM watched").await, ["1 2"]);
    let report = verify(&world).await;
    assert!(report.is_clean(), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_evicted_is_not_lost() {
    let world = expiring(WATCHED).await;
    publish(&world, &[(1, "a"), (2, "b")]).await;
    let engine = world.run().await.unwrap();
    world.clock.advance(Duration::from_secs(1));
    engine.evict("watched").await.unwrap();
    let loaded = engine.load("watched", &[Value::Int(1)]).await.unwrap().unwrap();
    world.ports().critical.fill("watched", &loaded).await.unwrap();
    let report = verify(&world).await;
    assert!(report.is_clean() && check(&report, "watched").figures["evicted"] == 1, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_deleted_while_it_is_loaded_does_not_come_back() {
    let world = expiring(WATCHED).await;
    publish(&world, &[(1, "a")]).await;
    let running = world.start().await;
    let (engine, critical, key) = (running.engine.clone(), world.ports().critical, [Value::Int(1)]);
    engine.caught_up().await.unwrap();
    assert!(critical.get("watched", &key).await.unwrap().is_some());
    let gate = world.faults.block_after(Call::ReadPartition, world.faults.calls(Call::ReadPartition) + 1);
    let mut loading = JoinSet::new();
    loading.spawn({
        let (engine, key) = (engine.clone(), key.clone());
        async move { engine.load("watched", &key).await }
    });
    gate.reached().await;
    // It leaves the filter, which deletes it.
    world.publish_values([(1, r#"{"id":1,"ts":"2024-01-01T00:00:00Z","meter":"a","value":5000}"#.to_owned())]).await;
    engine.caught_up().await.unwrap();
    assert!(critical.get("watched", &key).await.unwrap().is_none());
    world.clock.advance(Duration::from_secs(1));
    gate.release();
    let loaded = loading.join_next().await.unwrap().unwrap().unwrap().expect("what the store had when it was read");
    critical.fill("watched", &loaded).await.unwrap();
    assert!(critical.get("watched", &key).await.unwrap().is_none(), "{loaded:?}");
    running.stop().await;
}
