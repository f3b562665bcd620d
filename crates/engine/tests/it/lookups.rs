//! Joins of a stream with reference data.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use millstream_core::Result;
use millstream_core::ports::ReferenceSource;

use crate::world::{World, checked, rows};

/// Reference data that never changes.
pub struct Fixed(RecordBatch);

impl Fixed {
    /// Columns with their names.
    pub fn of(columns: &[(&str, ArrayRef)]) -> Arc<dyn ReferenceSource> {
        Arc::new(Self(
            RecordBatch::try_from_iter_with_nullable(columns.iter().map(|(name, column)| (*name, column.clone(), true))).unwrap(),
        ))
    }
}

#[async_trait]
impl ReferenceSource for Fixed {
    async fn schema(&self) -> Result<SchemaRef> {
        Ok(self.0.schema())
    }

    async fn revision(&self) -> Result<String> {
        Ok("1".to_owned())
    }

    async fn load(&self) -> Result<Vec<RecordBatch>> {
        Ok(vec![self.0.clone()])
    }
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
    let places = Fixed::of(&[("meter", text(["a", "b", "c", "d"])), ("area", numbers([1, 2, 3, 4]))]);
    let open: ArrayRef = Arc::new(BooleanArray::from(vec![true, false, true, true]));
    let areas = Fixed::of(&[("area", numbers([1, 2, 3, 4])), ("open", open)]);
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
    world.references = [("places".to_owned(), Fixed::of(&[("x", x), ("area", Arc::new(Int32Array::from(vec![1, 2, 3, 4])))]))].into();
    drop(world.engine().await);
    world.publish_values((1..).zip(["-0.0", "\"NaN\"", "null", "1.5"]).map(|(id, x)| (0, format!(r#"{{"id":{id},"x":{x}}}"#)))).await;
    let engine = world.run().await.unwrap();
    assert_eq!(rows(&engine, "SELECT id, area FROM placed ORDER BY id").await, ["1 1", "2 2", "4 4"]);
}
