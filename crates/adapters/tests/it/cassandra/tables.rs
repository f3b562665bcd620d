//! What other services see of Millstream's tables, and what Millstream sees of theirs.

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, TimeUnit};
use millstream_adapters::cassandra::CassandraTables;
use millstream_core::ports::{Bound, EpochSink, EventStore, PartitionQuery, Scan};
use millstream_core::table::timestamp_type;
use millstream_core::{ClusteringColumn, ErrorKind, KeySpec, SortOrder, TableKind, TableSpec, Value, Version};
use millstream_testkit::changes::{Writer, insert, inserts, update};
use millstream_testkit::rows::{Cell, Row, collect, rows_of, time};
use millstream_testkit::tables::{self, event, schema};
use millstream_testkit::{ManualClock, row};

use super::world::{World, with_feed, without_feed};

fn clustered(name: &str, order: SortOrder) -> ClusteringColumn {
    ClusteringColumn { name: name.to_owned(), order }
}

#[tokio::test(flavor = "multi_thread")]
async fn others_read_rows_with_their_version_and_what_is_left_of_their_ttl() {
    let Some(world) = World::find() else { return };
    let place = world.place(without_feed());
    let clock = Arc::new(ManualClock::default());
    let store = place.open(clock.clone());
    let spec = tables::with_ttl(tables::events("t"), Duration::from_secs(10_000));
    store.ensure_table(&spec).await.unwrap();
    let mut writer = Writer::begin(&*store, &spec, "f", 1).await.unwrap();
    let now = millstream_core::ports::Clock::now(&*clock).micros();
    let changes = [
        insert(now, event("EWR", 1, 10, 1, 1)),
        insert(now - 4_000_000_000, event("EWR", 1, 10, 2, 1)),
        insert(now - 10_000_000_000, event("EWR", 1, 10, 3, 1)),
    ];
    writer.commit(&*store, &changes).await.unwrap();
    let session = world.session().await;
    let cql = format!("SELECT id, n, WRITETIME(n), TTL(n) FROM {}.t WHERE origin = 'EWR' AND day = '1970-01-02'", place.settings.keyspace);
    let rows = session.query_unpaged(cql, ()).await.unwrap().into_rows_result().unwrap();
    let rows: Vec<(i64, i32, i64, i32)> = rows.rows().unwrap().map(Result::unwrap).collect();
    assert_eq!(rows.iter().map(|r| (r.0, r.1, r.2)).collect::<Vec<_>>(), [(1, 1, now), (2, 1, now - 4_000_000_000)]);
    assert!((9_900..=10_000).contains(&rows[0].3) && (5_900..=6_000).contains(&rows[1].3), "{rows:?}");
    world.clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn single_compound_and_composite_keys_are_those_of_the_table() {
    let Some(world) = World::find() else { return };
    let place = world.place(without_feed());
    let store = place.open(Arc::new(ManualClock::default()));
    for spec in [tables::single("single"), tables::clustered_by("compound", DataType::Int32, SortOrder::Desc), tables::events("composite")]
    {
        store.ensure_table(&spec).await.unwrap();
    }
    let session = world.session().await;
    let cql = format!(
        "SELECT table_name, column_name, kind, clustering_order FROM system_schema.columns WHERE keyspace_name = '{}'",
        place.settings.keyspace
    );
    let rows = session.query_unpaged(cql, ()).await.unwrap().into_rows_result().unwrap();
    let keys: Vec<_> = rows
        .rows::<(String, String, String, String)>()
        .unwrap()
        .map(Result::unwrap)
        .filter(|(table, _, kind, _)| !table.starts_with("millstream") && kind != "regular")
        .map(|(table, column, kind, order)| format!("{table}.{column} {kind} {order}"))
        .collect();
    assert_eq!(
        keys,
        [
            "composite.day partition_key none",
            "composite.id clustering asc",
            "composite.origin partition_key none",
            "composite.ts clustering desc",
            "compound.c clustering desc",
            "compound.p partition_key none",
            "single.k partition_key none",
        ]
    );
    world.clean().await;
}

/// A table of another service, with types that Millstream doesn't create.
fn theirs() -> TableSpec {
    TableSpec {
        name: "theirs".into(),
        kind: TableKind::EventStore,
        schema: schema(&[
            ("device", DataType::Utf8, false),
            ("at", timestamp_type(), false),
            ("local", DataType::Timestamp(TimeUnit::Microsecond, None), true),
            ("count", DataType::Int64, true),
            ("price", DataType::Decimal128(10, 2), true),
        ]),
        key: KeySpec { partition: vec!["device".into()], clustering: vec![clustered("at", SortOrder::Desc)] },
        ttl: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_another_service_is_bound_and_read() {
    let Some(world) = World::find() else { return };
    let place = world.place(without_feed());
    let store = place.open(Arc::new(ManualClock::default()));
    store.ensure_table(&tables::single("ours")).await.unwrap();
    let (session, keyspace) = (world.session().await, &place.settings.keyspace);
    let run = async |cql: String| session.query_unpaged(cql, ()).await.unwrap();
    assert_eq!(store.bind_table(&theirs()).await.unwrap_err().kind(), ErrorKind::NotFound);
    run(format!(
        "CREATE TABLE {keyspace}.theirs (device uuid, at timestamp, local timestamp, count int, price decimal, tags set<text>, \
         owner text static, PRIMARY KEY (device, at)) WITH CLUSTERING ORDER BY (at DESC)"
    ))
    .await;
    let device = "00112233-4455-6677-8899-aabbccddeeff";
    run(format!(
        "INSERT INTO {keyspace}.theirs (device, at, local, count, price, tags, owner) \
         VALUES ({device}, '2024-01-01T00:00:00.123Z', 7, -3, 1.5, {{'x'}}, 'o') USING TIMESTAMP 99"
    ))
    .await;
    run(format!("INSERT INTO {keyspace}.theirs (device, at) VALUES ({device}, '2023-01-01T00:00:00Z') USING TIMESTAMP 98")).await;
    store.bind_table(&theirs()).await.unwrap();
    let query = PartitionQuery { partition: vec![Value::Str(device.into())], ..PartitionQuery::default() };
    let page = store.read_partition("theirs", &query).await.unwrap();
    let (first, second) = (1_704_067_200_123_000_i64, 1_672_531_200_000_000_i64);
    let expected: Vec<Row> = vec![
        row![device, time(first), time(7_000), -3_i64, Cell::Decimal(150), 99_i64],
        // Without a column that has a write time, the version isn't known.
        row![device, time(second), Cell::Null, Cell::Null, Cell::Null, 0_i64],
    ];
    assert_eq!(rows_of(&page.rows).unwrap(), expected);
    let above = PartitionQuery { lower: Bound::Included(vec![Value::Timestamp(first)]), ..query };
    assert_eq!(store.read_partition("theirs", &above).await.unwrap().rows.num_rows(), 1);
    let scan = store.snapshot().await.unwrap().scan("theirs", &Scan { columns: Some(vec![4]), ..Scan::default() }).await.unwrap();
    assert_eq!(collect(scan).await.unwrap().len(), 2);

    let error = store.begin(&millstream_core::FlowId::new("f"), millstream_core::Attempt(1), "theirs").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "it is not Millstream's to write: {error}");
    let mut other = theirs();
    other.key.clustering[0].order = SortOrder::Asc;
    let error = store.bind_table(&other).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert!(error.to_string().contains("\n  - clustering key (at DESC)\n  + clustering key (at ASC)"), "{error}");
    let error = store.ensure_table(&theirs()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists, "an INT column can't take every BIGINT: {error}");
    store.drop_table("theirs").await.unwrap();
    run(format!("SELECT * FROM {keyspace}.theirs")).await;
    world.clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_was_made_by_hand_is_written_as_it_is() {
    let Some(world) = World::find() else { return };
    let place = world.place(without_feed());
    let store = place.open(Arc::new(ManualClock::default()));
    store.ensure_table(&tables::single("ours")).await.unwrap();
    let (session, keyspace) = (world.session().await, &place.settings.keyspace);
    let cql = format!(
        "CREATE TABLE {keyspace}.t (origin text, day date, ts timestamp, id bigint, note text, amount double, n int, \
         PRIMARY KEY ((origin, day), ts, id)) WITH CLUSTERING ORDER BY (ts DESC, id ASC)"
    );
    session.query_unpaged(cql, ()).await.unwrap();
    let spec = tables::events("t");
    store.ensure_table(&spec).await.unwrap();
    let mut writer = Writer::begin(&*store, &spec, "f", 1).await.unwrap();
    writer.commit(&*store, &[insert(5, event("EWR", 1, 2_000, 1, 4))]).await.unwrap();
    let scan = Scan { with_version: true, ..Scan::default() };
    let read = async || collect(store.snapshot().await.unwrap().scan("t", &scan).await.unwrap()).await.unwrap();
    let mut expected = event("EWR", 1, 2_000, 1, 4);
    expected.push(5_i64.into());
    assert_eq!(read().await, [expected.clone()]);
    let finer = writer.write(writer.epoch.next(), &[insert(6, event("EWR", 1, 2_001, 1, 4))], 10).unwrap();
    assert_eq!(store.commit(finer).await.unwrap_err().kind(), ErrorKind::InvalidInput, "a millisecond column doesn't take microseconds");
    assert_eq!(read().await, [expected]);
    assert_eq!(store.drop_table("t").await.unwrap_err().kind(), ErrorKind::Unsupported, "what others made stays");
    world.clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_longer_than_a_page_leave_a_scan_whole() {
    let Some(world) = World::find() else { return };
    let place = world.place(without_feed());
    let store = place.open(Arc::new(ManualClock::default()));
    let spec = tables::clustered_by("t", DataType::Int64, SortOrder::Desc);
    store.ensure_table(&spec).await.unwrap();
    let mut writer = Writer::begin(&*store, &spec, "f", 1).await.unwrap();
    let long = (0..3).flat_map(|p| (0..9_000_i64).map(move |c| row![p, c, c]));
    let short = (3..300).flat_map(|p| (0..20_i64).map(move |c| row![p, c, c]));
    let rows: Vec<Row> = long.chain(short).collect();
    writer.commit(&*store, &inserts(Version(1), &rows)).await.unwrap();
    let scanned = collect(store.snapshot().await.unwrap().scan("t", &Scan::default()).await.unwrap()).await.unwrap();
    assert_eq!(scanned.len(), rows.len());
    let mut partitions = std::collections::BTreeSet::new();
    for run in scanned.chunk_by(|a, b| a[0] == b[0]) {
        assert!(partitions.insert(format!("{:?}", run[0][0])), "partition {:?} comes twice", run[0][0]);
        let order: Vec<i64> = run.iter().map(|r| if let Cell::Int(c) = r[1] { -c } else { 0 }).collect();
        assert!(order.is_sorted(), "partition {:?} is in clustering order", run[0][0]);
    }
    assert_eq!(partitions.len(), 300);
    world.clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_null_deletes_an_older_value_and_is_left_unset_where_no_older_one_can_be() {
    let Some(world) = World::find() else { return };
    let insert_only = CassandraTables { insert_only: ["once".to_owned()].into(), ..CassandraTables::default() };
    let place = world.place(insert_only);
    let store = place.open(Arc::new(ManualClock::default()));
    let mut found = Vec::new();
    for name in ["often", "once"] {
        let spec = tables::single(name);
        store.ensure_table(&spec).await.unwrap();
        let mut writer = Writer::begin(&*store, &spec, "f", 1).await.unwrap();
        writer.commit(&*store, &[update(1, row!["a", 1])]).await.unwrap();
        writer.commit(&*store, &[update(2, row!["a", None::<i64>])]).await.unwrap();
        let scan = store.snapshot().await.unwrap().scan(name, &Scan { columns: Some(vec![1]), ..Scan::default() }).await.unwrap();
        found.extend(collect(scan).await.unwrap());
    }
    assert_eq!(found, [row![None::<i64>], row![1_i64]], "no tombstone where the pipeline says that rows never change");
    world.clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_feed_a_null_is_left_unset_where_the_row_was_not_there() {
    let Some(world) = World::find() else { return };
    let place = world.place(with_feed());
    let store = place.open(Arc::new(ManualClock::default()));
    let spec = tables::single("t");
    store.ensure_table(&spec).await.unwrap();
    let mut writer = Writer::begin(&*store, &spec, "f", 1).await.unwrap();
    writer.commit(&*store, &[update(1, row!["a", None::<i64>]), update(1, row!["b", 1])]).await.unwrap();
    writer.commit(&*store, &[update(2, row!["b", None::<i64>])]).await.unwrap();
    // A value that is older than the rows shows where its column was left unset, and is hidden by a tombstone: both are seen so.
    let session = world.session().await;
    for key in ["a", "b"] {
        let cql = format!("UPDATE {}.t USING TIMESTAMP 0 SET v = 7 WHERE k = '{key}'", place.settings.keyspace);
        session.query_unpaged(cql, ()).await.unwrap();
    }
    let scan = store.snapshot().await.unwrap().scan("t", &Scan::default()).await.unwrap();
    let mut found = collect(scan).await.unwrap();
    found.sort_by_key(|row| format!("{:?}", row[0]));
    assert_eq!(found, [row!["a", 7], row!["b", None::<i64>]]);
    world.clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_differs_is_refused_with_the_difference_and_left_as_it_is() {
    let Some(world) = World::find() else { return };
    let place = world.place(without_feed());
    let store = place.open(Arc::new(ManualClock::default()));
    store.ensure_table(&tables::single("ours")).await.unwrap();
    let (session, keyspace) = (world.session().await, &place.settings.keyspace);
    let cql = format!("CREATE TABLE {keyspace}.t (k text, c int, v int, PRIMARY KEY (k, c)) WITH CLUSTERING ORDER BY (c DESC)");
    session.query_unpaged(cql, ()).await.unwrap();
    let error = store.ensure_table(&tables::single("t")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    let diff = "\n  - v int\n  + v bigint\n  - clustering key (c DESC)\n  + clustering key ()\n";
    assert!(error.to_string().contains(diff), "{error}");
    let columns = format!("SELECT column_name FROM system_schema.columns WHERE keyspace_name = '{keyspace}' AND table_name = 't'");
    let rows = session.query_unpaged(columns, ()).await.unwrap().into_rows_result().unwrap();
    assert_eq!(rows.rows_num(), 3, "nothing was altered");
    world.clean().await;
}
