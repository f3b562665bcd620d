//! Joins of a stream with reference data.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int32Array, StringArray};
use millstream_core::ports::ReferenceSource;
use millstream_testkit::toy::FixedReferenceSource;

use crate::world::{World, checked, rows};

/// Reference data that never changes: columns with their names.
fn fixed(columns: &[(&str, ArrayRef)]) -> Arc<dyn ReferenceSource> {
    Arc::new(FixedReferenceSource::of(columns).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reference_side_may_ask_other_reference_tables() {
    let mut world = World::new();
    world.pipeline = checked(
        "CREATE TABLE readings (id BIGINT NOT NULL, meter STRING NOT NULL) USING kafka OPTIONS (subscribe 'readings', value.format 'json', partitions '1');
         CREATE TABLE places (meter STRING, area INT) USING parquet LOCATION 'places.parquet';
         CREATE TABLE areas (area INT, open BOOLEAN) USING parquet LOCATION 'areas.parquet';
         CREATE STREAMING TABLE open_places USING cassandra PARTITIONED BY (id)
         AS SELECT r.id, p.area FROM STREAM readings r
            JOIN (SELECT * FROM places WHERE area IN (SELECT area FROM areas WHERE open) AND area < (SELECT max(area) FROM areas)) p ON r.meter = p.meter;",
    );
    let text = |values: [&str; 4]| -> ArrayRef { Arc::new(StringArray::from(values.to_vec())) };
    let numbers = |values: [i32; 4]| -> ArrayRef { Arc::new(Int32Array::from(values.to_vec())) };
    let places = fixed(&[("meter", text(["a", "b", "c", "d"])), ("area", numbers([1, 2, 3, 4]))]);
    let open: ArrayRef = Arc::new(BooleanArray::from(vec![true, false, true, true]));
    let areas = fixed(&[("area", numbers([1, 2, 3, 4])), ("open", open)]);
    world.references = [("places".to_owned(), places), ("areas".to_owned(), areas)].into();
    drop(world.engine().await);
    world.publish_values((1..).zip(["a", "b", "c", "d"]).map(|(id, meter)| (0, format!(r#"{{"id":{id},"meter":"{meter}"}}"#)))).await;
    let engine = world.run().await.unwrap();
    assert_eq!(rows(&engine, "SELECT id, area FROM open_places ORDER BY id").await, ["1 1", "3 3"]);
    let report = engine.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_one_zero_and_one_nan_among_keys() {
    let mut world = World::new();
    world.pipeline = checked(
        "CREATE TABLE readings (id BIGINT NOT NULL, x DOUBLE) USING kafka OPTIONS (subscribe 'readings', value.format 'json', partitions '1');
         CREATE TABLE places (x DOUBLE, area INT) USING parquet LOCATION 'places.parquet';
         CREATE STREAMING TABLE placed USING cassandra PARTITIONED BY (id)
         AS SELECT r.id, p.area FROM STREAM readings r JOIN places p ON r.x = p.x;",
    );
    let x: ArrayRef = Arc::new(Float64Array::from(vec![Some(0.0), Some(-f64::NAN), None, Some(1.5)]));
    world.references = [("places".to_owned(), fixed(&[("x", x), ("area", Arc::new(Int32Array::from(vec![1, 2, 3, 4])))]))].into();
    drop(world.engine().await);
    world.publish_values((1..).zip(["-0.0", "\"NaN\"", "null", "1.5"]).map(|(id, x)| (0, format!(r#"{{"id":{id},"x":{x}}}"#)))).await;
    let engine = world.run().await.unwrap();
    assert_eq!(rows(&engine, "SELECT id, area FROM placed ORDER BY id").await, ["1 1", "2 2", "4 4"]);
}
