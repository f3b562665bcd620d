#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use super::super::settings::CassandraSettings;
use super::super::table::columns_of;
use super::super::table::tests::spec;
use super::*;

/// A table as `system_schema` has it.
pub(in super::super) fn present(columns: &[(&str, &str, &str, i32, &str)]) -> Present {
    let column = |(name, cql, kind, position, order): &(&str, &str, &str, i32, &str)| PresentColumn {
        name: (*name).to_owned(),
        cql: (*cql).to_owned(),
        kind: (*kind).to_owned(),
        position: *position,
        order: (*order).to_owned(),
    };
    Present { id: "id".into(), comment: String::new(), columns: columns.iter().map(column).collect() }
}

pub(in super::super) fn departures() -> Present {
    present(&[
        ("origin", "text", "partition_key", 0, "none"),
        ("id", "bigint", "clustering", 0, "desc"),
        ("note", "text", "regular", -1, "none"),
        ("tags", "set<text>", "regular", -1, "none"),
    ])
}

fn compared(present: &Present, access: Access) -> Result<Vec<Column>, String> {
    let created = columns_of(&CassandraSettings::new(["h"], "ks"), &spec(None).schema).unwrap();
    compare(&spec(None), present, &created, access).map_err(|diff| diff.to_string())
}

#[test]
fn a_table_may_have_more_columns() {
    for access in [Access::Read, Access::Written] {
        let columns = compared(&departures(), access).unwrap();
        assert_eq!(columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["origin", "id", "note"]);
    }
}

#[test]
fn every_column_key_and_order_that_differs_is_a_pair_of_lines() {
    let mut other = departures();
    other.columns.retain(|c| c.name != "note");
    other.columns[0].cql = "int".into();
    other.columns[1].order = "asc".into();
    other.columns.push(PresentColumn {
        name: "day".into(),
        cql: "date".into(),
        kind: "partition_key".into(),
        position: 1,
        order: "none".into(),
    });
    assert_eq!(
        compared(&other, Access::Written).unwrap_err(),
        "  - origin int
  + origin text
  + note text
  - partition key (origin, day)
  + partition key (origin)
  - clustering key (id ASC)
  + clustering key (id DESC)"
    );
}

#[test]
fn what_only_reads_takes_narrower_columns_and_those_of_the_partition() {
    let mut other = departures();
    other.columns[1].cql = "int".into();
    other.columns[2].kind = "static".into();
    compared(&other, Access::Read).unwrap();
    let diff = "  - id int
  + id bigint
  - note text static
  + note text";
    assert_eq!(compared(&other, Access::Written).unwrap_err(), diff);
}

#[test]
fn fingerprints_differ_in_columns_and_ttl() {
    let is = "event store (id Int64 NOT NULL, price Decimal128(10, 2)); partition key (id); clustering (); ttl none";
    let wanted = "event store (id Int64, price Decimal128(12, 2)); partition key (id); clustering (); ttl 5s";
    let diff = "  - id Int64 NOT NULL
  - price Decimal128(10, 2)
  - ttl none
  + id Int64
  + price Decimal128(12, 2)
  + ttl 5s";
    assert_eq!(Diff::of_fingerprints(is, wanted).to_string(), diff);
    assert!(Diff::of_fingerprints(is, is).is_empty());
}

#[test]
fn a_table_of_millstreams_own_has_exactly_its_columns() {
    let own = [("flow".to_owned(), "text".to_owned(), "clustering"), ("epoch".to_owned(), "bigint".to_owned(), "regular")];
    let same = present(&[("epoch", "bigint", "regular", -1, "none"), ("flow", "text", "clustering", 0, "asc")]);
    assert!(Diff::of_own(&same, &own).is_empty());
    let other = present(&[("epoch", "int", "regular", -1, "none"), ("flow", "text", "clustering", 0, "asc")]);
    assert_eq!(Diff::of_own(&other, &own).to_string(), "  - epoch int regular\n  + epoch bigint regular");
}
