#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
use std::collections::BTreeMap;

use arrow::datatypes::{DataType, Field, Schema};
use millstream_pipeline::{SourceFile, parse};

use super::*;

/// Of the flow `SELECT ...` over readings, with places to join.
fn lineage(query: &str) -> Lineage {
    lineage_of("", query)
}

/// The same of a table with `properties`.
fn lineage_of(properties: &str, query: &str) -> Lineage {
    let text = format!(
        "CREATE TABLE readings (id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, meter STRING, value INT)
         USING kafka OPTIONS (subscribe 'readings', value.format 'json', partitions '1');
         CREATE TABLE places (meter STRING, area INT, hint STRING) USING parquet LOCATION 'places.parquet';
         CREATE STREAMING TABLE t USING cassandra PARTITIONED BY (k) {properties} AS {query};"
    );
    let field = |name, data_type| Field::new(name, data_type, true);
    let places = Schema::new(vec![field("meter", DataType::Utf8), field("area", DataType::Int32), field("hint", DataType::Utf8)]);
    let schemas = BTreeMap::from([("places".to_owned(), Ok(std::sync::Arc::new(places)))]);
    let parsed = parse(&[SourceFile { name: "pipeline.sql".to_owned(), text }]).unwrap();
    let pipeline = parsed.check(&schemas).unwrap_or_else(|errors| panic!("{errors:?}"));
    Lineage::of(&pipeline.flows[0])
}

fn found(referenced: &[bool], rows_of_events: bool, taken_as_it_is: bool) -> Lineage {
    Lineage { referenced: referenced.to_vec(), rows_of_events, taken_as_it_is }
}

#[test]
fn a_left_join_keeps_the_events_and_adds_columns() {
    let query = "SELECT r.id AS k, p.area, r.value + 1 AS more FROM STREAM readings r LEFT JOIN places p ON r.meter = p.meter";
    assert_eq!(lineage(query), found(&[false, true, false], true, true));
    let query = "SELECT r.id AS k, coalesce(p.hint, r.meter) AS hint FROM STREAM readings r LEFT JOIN places p ON r.meter = p.meter WHERE r.value > 1";
    assert_eq!(lineage(query), found(&[false, true], true, false));
}

#[test]
fn an_inner_join_and_a_condition_decide_on_rows() {
    assert_eq!(lineage("SELECT r.id AS k FROM STREAM readings r JOIN places p ON r.meter = p.meter"), found(&[false], false, true));
    let query = "SELECT r.id AS k FROM STREAM readings r LEFT JOIN places p ON r.meter = p.meter WHERE p.area IS NULL OR r.value > p.area";
    assert!(!lineage(query).rows_of_events);
}

#[test]
fn what_is_counted_may_have_had_other_matches() {
    let windows = |key: &str, column: &str, group: &str| {
        let query = format!(
            "SELECT window.start AS k, {column} FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 1 HOUR r LEFT JOIN places p ON r.meter = p.meter
             GROUP BY {group}window(r.ts, '1 hour')"
        );
        lineage_of(&format!("TBLPROPERTIES ({key}'output_mode' = 'update')"), &query)
    };
    assert_eq!(windows("", "count(*) AS n", ""), found(&[false, true], true, true));
    assert!(!windows("'clustering_key' = 'area', ", "p.area AS area", "p.area, ").rows_of_events);
}

#[test]
fn a_query_without_reference_data_is_of_its_events() {
    assert_eq!(lineage("SELECT id AS k, value FROM STREAM readings WHERE value > 2"), found(&[false, false], true, true));
}
