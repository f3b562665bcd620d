#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use millstream_core::{KeySpec, TableKind};

use super::*;

fn spec(name: &str) -> TableSpec {
    let schema = Schema::new(vec![
        Field::new("carrier", DataType::Utf8, true),
        Field::new("day", DataType::Date32, false),
        Field::new("avg\"delay", DataType::Decimal128(10, 2), true),
    ]);
    TableSpec { name: name.into(), kind: TableKind::Report, schema: Arc::new(schema), key: KeySpec::single(["day", "carrier"]), ttl: None }
}

#[test]
fn a_table_is_made_of_the_types_that_hold_its_values_exactly() {
    let report = Report::new("flights", &spec("daily")).unwrap();
    assert_eq!(
        report.create().unwrap(),
        "CREATE TABLE \"flights\".\"daily\" (\"carrier\" text COLLATE \"C\" NOT NULL, \"day\" date NOT NULL, \
         \"avg\"\"delay\" numeric(10,2), PRIMARY KEY (\"day\", \"carrier\"))"
    );
    assert_eq!(report.order(), "\"day\", \"carrier\" COLLATE \"C\"");
    assert_eq!(report.differs("s", "t"), "(s.\"avg\"\"delay\") IS DISTINCT FROM (t.\"avg\"\"delay\")");
}

#[test]
fn millstreams_own_tables_have_the_shape_of_format_1() {
    assert_eq!(FORMAT, 1, "another format needs a migration, and a test of its own");
    assert_eq!(
        create_own_tables("s"),
        "CREATE TABLE IF NOT EXISTS \"s\".\"millstream_reports\" (report text COLLATE \"C\" PRIMARY KEY, format smallint NOT NULL, \
         shape text NOT NULL, run bigint, rows bigint, published timestamptz); \
         CREATE TABLE IF NOT EXISTS \"s\".\"millstream_epochs\" (report text COLLATE \"C\" NOT NULL, flow text COLLATE \"C\" NOT NULL, \
         attempt bigint NOT NULL, epoch bigint NOT NULL, committed timestamptz, PRIMARY KEY (report, flow))"
    );
    assert_eq!(
        Report::new("s", &spec("daily")).unwrap().create_for_flows().unwrap(),
        "ALTER TABLE \"s\".\"daily\" ADD COLUMN IF NOT EXISTS \"_version\" bigint; \
         CREATE TABLE IF NOT EXISTS \"s\".\"millstream_deletes_daily\" (\"day\" date NOT NULL, \"carrier\" text COLLATE \"C\" NOT NULL, \
         \"_version\" bigint NOT NULL, written timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (\"day\", \"carrier\"))"
    );
}

#[test]
fn names_that_can_not_be_are_refused() {
    let refusal = |name: &str| Report::new("s", &spec(name)).err().expect("it is refused").to_string();
    assert!(refusal("millstream_epochs").contains("Millstream's own"));
    assert!(refusal(&"x".repeat(64)).contains("63 bytes"));
    let long = Report::new("s", &spec(&"x".repeat(50))).unwrap();
    assert!(long.create_for_flows().unwrap_err().to_string().contains("44 bytes"));
}
