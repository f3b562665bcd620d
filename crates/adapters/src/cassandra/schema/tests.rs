#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use super::super::compare::tests::departures;
use super::super::table::tests::spec;
use super::*;

#[test]
fn a_set_and_a_counter_have_no_write_time() {
    assert_eq!(version_source(&departures()), VersionSource::Columns(vec!["note".into()]));
}

#[test]
fn an_error_shows_both_shapes_and_the_difference() {
    let settings = CassandraSettings::new(["h"], "ks");
    let created = columns_of(&settings, &spec(None).schema).unwrap();
    let mut other = departures();
    other.columns[1].order = "asc".into();
    let difference = compare(&spec(None), &other, &created, Access::Read).unwrap_err();
    let error = other_shape(&settings, &spec(None), &other, &difference);
    assert_eq!(error.kind(), millstream_core::ErrorKind::AlreadyExists);
    let text = error.to_string();
    assert!(text.contains(&spec(None).fingerprint()) && text.contains(&other.shape()), "{text}");
    assert!(text.contains("\n  - clustering key (id ASC)\n  + clustering key (id DESC)\n"), "{text}");
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
