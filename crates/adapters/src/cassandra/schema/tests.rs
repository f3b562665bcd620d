#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use super::super::table::tests::spec;
use super::*;

fn departures() -> Present {
    present(&[
        ("origin", "text", "partition_key", 0, "none"),
        ("id", "bigint", "clustering", 0, "desc"),
        ("note", "text", "regular", -1, "none"),
        ("tags", "set<text>", "regular", -1, "none"),
    ])
}

#[test]
fn a_table_of_another_service_may_have_more_columns() {
    let columns = compare(&spec(None), &departures()).unwrap();
    assert_eq!(columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["origin", "id", "note"]);
    assert_eq!(version_source(&departures()), VersionSource::Columns(vec!["note".into()]), "a set has no write time");
}

#[test]
fn every_difference_is_named() {
    let mut other = departures();
    other.columns.retain(|c| c.name != "note");
    other.columns[0].cql = "int".into();
    other.columns[1].order = "asc".into();
    let differences = compare(&spec(None), &other).unwrap_err();
    for (difference, words) in differences.iter().zip(["column origin is int", "no column note", "clustering key is (id asc)"]) {
        assert!(difference.contains(words), "{difference}");
    }
    let error = other_shape(&CassandraSettings::new(["h"], "ks"), &spec(None), &other, &differences);
    assert_eq!(error.kind(), millstream_core::ErrorKind::AlreadyExists);
    assert!(error.to_string().contains(&spec(None).fingerprint()) && error.to_string().contains(&other.shape()), "{error}");
}

#[test]
fn a_keyspace_is_created_as_the_settings_say() {
    let mut settings = CassandraSettings::new(["h"], "ks");
    assert!(check_creatable(&settings).is_err());
    settings.replication = [("dc1".to_owned(), 3), ("dc2".to_owned(), 1)].into();
    check_creatable(&settings).unwrap();
    assert_eq!(
        create_keyspace(&settings),
        r#"CREATE KEYSPACE IF NOT EXISTS "ks" WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': 3, 'dc2': 1}"#
    );
}
