#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use millstream_core::table::timestamp_type;
use millstream_core::{ClusteringColumn, KeySpec, SortOrder};

use super::*;

fn table(kind: TableKind, key: KeySpec) -> TableSpec {
    let columns = [
        ("origin", DataType::Utf8),
        ("flight_date", DataType::Date32),
        ("ts", timestamp_type()),
        ("event_id", DataType::Int64),
        ("order", DataType::Int32),
        ("avg", DataType::Float64),
    ];
    let fields: Vec<Field> = columns.into_iter().map(|(name, t)| Field::new(name, t, true)).collect();
    TableSpec { name: "departures".into(), kind, schema: Arc::new(Schema::new(fields)), key, ttl: None }
}

fn departures() -> TableSpec {
    let clustering =
        [("ts", SortOrder::Desc), ("event_id", SortOrder::Asc)].map(|(name, order)| ClusteringColumn { name: name.into(), order }).to_vec();
    table(TableKind::EventStore, KeySpec { partition: vec!["origin".into(), "flight_date".into()], clustering })
}

fn read(table: &TableSpec, query: &str) -> Result<ReadRequest, Problem> {
    let pairs: Vec<(String, String)> =
        query.split('&').filter(|p| !p.is_empty()).map(|p| p.split_once('=').unwrap()).map(|(k, v)| (k.into(), v.into())).collect();
    parse(table, &pairs, &HttpSettings::default())
}

const PARTITION: &str = "origin=EWR&flight_date=2013-07-22";
const HOUR: Value = Value::Timestamp(1_374_519_600_000_000);

fn partition(query: &str) -> PartitionQuery {
    match read(&departures(), query).unwrap() {
        ReadRequest::Partition(query) => query,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_partition_is_read_with_the_default_limit() {
    let query = partition(PARTITION);
    assert_eq!(query.partition, [Value::Str("EWR".into()), Value::Date(15_908)]);
    assert_eq!((query.limit, query.reverse, query.page), (100, false, None));
}

#[test]
fn clustering_columns_are_an_equality_prefix_and_a_range_of_the_next() {
    let query = partition(&format!("{PARTITION}&ts=2013-07-22T19:00:00Z&event_id.gt=7&event_id.lte=9&limit=3&order=reverse&page=abc"));
    assert_eq!(query.prefix, [HOUR]);
    assert_eq!((query.lower, query.upper), (Bound::Excluded(vec![Value::Int(7)]), Bound::Included(vec![Value::Int(9)])));
    assert_eq!((query.limit, query.reverse, query.page), (3, true, Some(PageToken("abc".into()))));
    let query = partition(&format!("{PARTITION}&ts.gte=2013-07-22T19:00:00Z"));
    assert_eq!((query.prefix, query.lower), (vec![], Bound::Included(vec![HOUR])));
}

#[test]
fn missing_partition_columns_are_named_with_a_right_url() {
    let problem = read(&departures(), "ts=2013-07-22").unwrap_err();
    assert_eq!(problem.extension("missing").unwrap(), &serde_json::json!(["origin", "flight_date"]));
    assert_eq!(problem.extension("example").unwrap(), "/v1/tables/departures?origin=TEXT&flight_date=2013-07-22");
}

#[test]
fn the_example_of_every_kind_is_itself_a_right_url() {
    let key = || KeySpec::single(["origin", "event_id"]);
    for table in
        [departures(), table(TableKind::Report, key()), table(TableKind::Critical, key()), table(TableKind::Reference, KeySpec::default())]
    {
        let example = example(&table);
        read(&table, example.split_once('?').unwrap().1).unwrap();
    }
}

#[test]
fn unknown_parameters_are_all_named() {
    let problem = read(&departures(), &format!("{PARTITION}&colour=red&ts.like=x")).unwrap_err();
    assert_eq!(problem.extension("unknown").unwrap(), &serde_json::json!(["colour", "ts.like"]));
}

#[test]
fn what_the_key_does_not_allow_is_refused() {
    let refused = |query: &str| read(&departures(), &format!("{PARTITION}&{query}")).unwrap_err().detail().to_owned();
    assert!(refused("event_id=5").contains("event_id"), "a gap in the clustering prefix");
    assert!(refused("ts=2013-07-22T19:00:00Z&ts.gt=2013-07-22T19:00:00Z").contains("ts"), "a range of a column that is given");
    assert!(refused("order.eq=1").contains("order"), "no key column");
    assert!(refused("origin.gt=A").contains("origin"), "a range of a partition column");
    assert!(refused("ts.gt=2013-07-22T19:00:00Z&ts.gte=2013-07-22T19:00:00Z").contains("two bounds"));
    assert!(refused("limit=0").contains("from 1 to 10000"));
    assert!(refused("limit=10001").contains("from 1 to 10000"));
    assert!(refused("order=upside").contains("reverse"));
    assert!(refused("ts=soon").contains("ts: \"soon\" is not a timestamp"));
    assert!(refused("origin=JFK").contains("twice"));
    assert!(refused("limit=1&limit=2").contains("twice"));
}

#[test]
fn reports_and_critical_events_are_read_by_their_whole_key() {
    let report = table(TableKind::Report, KeySpec::single(["origin", "event_id"]));
    assert_eq!(read(&report, "event_id=7&origin=EWR").unwrap(), ReadRequest::Key(vec![Value::Str("EWR".into()), Value::Int(7)]));
    assert_eq!(read(&report, "origin=EWR").unwrap_err().extension("missing").unwrap(), &serde_json::json!(["event_id"]));
    assert!(read(&report, "event_id=7&origin=EWR&limit=3").unwrap_err().detail().contains("limit"));
    assert!(read(&report, "event_id=7&origin=EWR&ts=2013-07-22T00:00").unwrap_err().detail().contains("ts"));
}

#[test]
fn reference_data_is_read_by_equality_on_any_column() {
    let airports = table(TableKind::Reference, KeySpec::default());
    assert_eq!(
        read(&airports, "event_id=7&order.eq=2&page=40&limit=20").unwrap(),
        ReadRequest::Filter { equal: vec![(3, Value::Int(7)), (4, Value::Int(2))], limit: 20, offset: 40 }
    );
    assert!(read(&airports, "event_id.gt=7").unwrap_err().detail().contains("equality"));
    assert!(read(&airports, "page=next").unwrap_err().detail().contains("page"));
    assert!(read(&airports, "avg=1.5").unwrap_err().detail().contains("avg"));
}

#[test]
fn topics_and_system_tables_point_to_sql() {
    for kind in [TableKind::Topic, TableKind::System] {
        assert!(read(&table(kind, KeySpec::default()), "").unwrap_err().detail().contains("millstream sql"));
    }
}

#[test]
fn reads_that_differ_have_different_cache_keys() {
    let keys: Vec<String> = [
        "",
        "&limit=3",
        "&order=reverse",
        "&page=3",
        "&page=4",
        "&ts=2013-07-22T19:00:00Z",
        "&ts.gt=2013-07-22T19:00:00Z",
        "&ts.gte=2013-07-22T19:00:00Z",
        "&ts.lt=2013-07-22T19:00:00Z",
        "&ts.lte=2013-07-22T19:00:00Z",
        "&ts.gte=2013-07-22T19:00:00Z&ts.lte=2013-07-22T19:00:00Z",
        "&ts=2013-07-22T19:00:00Z&event_id=1",
        "&ts=2013-07-22T19:00:00Z&event_id.gte=1",
    ]
    .iter()
    .map(|more| partition_cache_key("departures", &partition(&format!("{PARTITION}{more}"))))
    .collect();
    let texts = [["ab", "c"], ["a", "bc"], ["1,a", "b"], ["", ""]];
    let rows = texts.iter().map(|texts| row_cache_key("departures", &texts.map(|text| Value::Str(text.into()))));
    let tables = ["departures1", "departures"].map(|table| row_cache_key(table, &[Value::Bytes(vec![1, 2])]));
    let all: Vec<String> = keys.into_iter().chain(rows).chain(tables).collect();
    assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), all.len(), "{all:?}");
    let spelt_otherwise = partition(&format!("limit=100&{PARTITION}&ts=2013-07-22 19:00:00"));
    assert_eq!(partition_cache_key("departures", &spelt_otherwise), all[5], "equal reads have one key");
}

#[test]
fn urls_keep_times_readable_and_encode_the_rest() {
    assert_eq!(encode("2013-07-22T19:00:00Z"), "2013-07-22T19:00:00Z");
    assert_eq!(encode("a b&c=é/"), "a%20b%26c%3D%C3%A9%2F");
}
