#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, Field, Schema};
use millstream_core::{ClusteringColumn, KeySpec, TableKind};

use super::*;

pub(in super::super) fn spec(ttl: Option<Duration>) -> TableSpec {
    TableSpec {
        name: "Departures".into(),
        kind: TableKind::EventStore,
        schema: Arc::new(Schema::new(vec![
            Field::new("origin", DataType::Utf8, false),
            Field::new("id", DataType::Int64, false),
            Field::new("note", DataType::Utf8, true),
        ])),
        key: KeySpec { partition: vec!["origin".into()], clustering: vec![ClusteringColumn { name: "id".into(), order: SortOrder::Desc }] },
        ttl,
    }
}

pub(in super::super) fn table(ttl: Option<Duration>) -> Table {
    let (settings, spec) = (CassandraSettings::new(["h"], "ks"), spec(ttl));
    Table {
        id: "1".into(),
        name: qualified(&settings, &spec.name),
        columns: columns_of(&settings, &spec.schema).unwrap(),
        key: spec.key.indices(&spec.schema).unwrap(),
        version: VersionSource::Hidden,
        is_read_only: false,
        is_insert_only: false,
        feed: None,
        spec,
    }
}

#[test]
fn statements_are_as_written_down() {
    let table = table(Some(Duration::from_secs(60)));
    assert_eq!(
        table.insert(),
        r#"INSERT INTO "ks"."Departures" ("origin", "id", "note", "_v") VALUES (?, ?, ?, 0) USING TIMESTAMP ? AND TTL ?"#
    );
    assert_eq!(table.delete(), r#"DELETE FROM "ks"."Departures" USING TIMESTAMP ? WHERE "origin" = ? AND "id" = ?"#);
    assert_eq!(table.select(table.clustering_columns(), true), r#"SELECT "id", WRITETIME("_v") FROM "ks"."Departures""#);
    let settings = CassandraSettings::new(["h"], "ks");
    assert_eq!(
        create(&settings, &table.spec, &table.columns).unwrap(),
        format!(
            r#"CREATE TABLE IF NOT EXISTS "ks"."Departures" ("origin" text, "id" bigint, "note" text, "_v" tinyint, PRIMARY KEY (("origin"), "id")) WITH CLUSTERING ORDER BY ("id" DESC) AND comment = 'millstream table 1: {}'"#,
            table.spec.fingerprint()
        )
    );
}

#[test]
fn the_hidden_column_is_nobody_elses() {
    let settings = CassandraSettings::new(["h"], "ks");
    let mut spec = spec(None);
    spec.schema = Arc::new(Schema::new(vec![Field::new("origin", DataType::Utf8, false), Field::new(HIDDEN, DataType::Int8, true)]));
    assert!(create(&settings, &spec, &[]).is_err());
}

#[test]
fn what_is_left_of_the_ttl_counts_from_the_version() {
    let table = table(Some(Duration::from_secs(60)));
    let version = Version(1_000_000_000);
    let left = |now: i64| table.ttl_left(version, Timestamp(now));
    assert_eq!(left(1_000_000_000), Some(60));
    assert_eq!(left(1_000_000_001), Some(60), "what is left is rounded up: reads look at the version");
    assert_eq!(left(1_059_999_999), Some(1));
    assert_eq!(left(1_060_000_000), None, "an expired row isn't written");
    assert!(table.is_expired(version, Timestamp(1_060_000_000)));
    assert!(!table.is_expired(version, Timestamp(1_059_999_999)));
    assert_eq!(left(0), Some(1_060), "a version ahead of the clock lives longer");
}

#[test]
fn the_version_is_the_latest_write_time() {
    let cell = |v: i64| v.to_be_bytes();
    let (a, b) = (cell(5), cell(7));
    assert_eq!(Table::version_of(&[Some(&a), None, Some(&b)]), Version(7));
    assert_eq!(Table::version_of(&[None]), Version(0));
    assert_eq!(Table::version_of(&[Some(&cell(-9))]), Version(-9));
}
