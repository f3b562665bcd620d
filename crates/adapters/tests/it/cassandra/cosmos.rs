//! Cosmos DB for Apache Cassandra: what differs from Cassandra, on a peer that answers as the service is documented to. These tests need no
//! real system, and show nothing about one.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use millstream_adapters::cassandra::{CassandraFeed, CassandraSettings, CassandraStore, CassandraTables, Preset, probe};
use millstream_adapters::connection::Secret;
use millstream_core::ports::{ChangeFeed, Clock, EpochSink, EventStore, FeedPosition, PartitionQuery, Scan, SystemClock};
use millstream_core::{Attempt, ChangeKind, ErrorKind, FlowId, TableSpec, Value};
use millstream_testkit::changes::{Change, Writer, changes_of, delete, insert, update};
use millstream_testkit::rows::{collect, rows_of};
use millstream_testkit::{row, tables};

use super::peer::{Bound, INVALID, Peer};

/// Consistency levels of the protocol that Cosmos DB doesn't have.
const SERIAL: [u16; 2] = [0x0008, 0x0009];
const RATE: &str = "Request rate is large: ActivityID=1f, RetryAfterMs=20, Additional details='Error=3200'";

/// A store on a peer.
struct World {
    peer: Peer,
    settings: CassandraSettings,
    _secrets: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let (peer, secrets) = (Peer::cosmos_db().await, tempfile::tempdir().unwrap());
        let key: PathBuf = secrets.path().join("key");
        std::fs::write(&key, "the-key").unwrap();
        let mut settings = CassandraSettings::new([peer.address.to_string()], "ks");
        settings.preset = Some(Preset::CosmosDb);
        settings.encrypted = Some(false);
        settings.username = Some("account".to_owned());
        settings.password = Some(Secret::File(key));
        Self { peer, settings, _secrets: secrets }
    }

    fn store(&self) -> Arc<CassandraStore> {
        self.store_with(CassandraTables::default())
    }

    fn store_with(&self, plan: CassandraTables) -> Arc<CassandraStore> {
        CassandraStore::new(self.settings.clone(), plan, Arc::new(SystemClock)).unwrap()
    }

    /// A store that knows `spec`'s table, and a flow that has begun to write it.
    async fn with_table(&self, spec: &TableSpec) -> (Arc<CassandraStore>, Writer) {
        let store = self.store();
        store.ensure_table(spec).await.unwrap();
        let writer = Writer::begin(&*store, spec, "f", 1).await.unwrap();
        (store, writer)
    }
}

fn of_partition(key: &str) -> PartitionQuery {
    PartitionQuery { partition: vec![Value::Str(key.into())], ..PartitionQuery::default() }
}

/// Everything in the feed of `table` after `after`, and where it ends.
async fn all(feed: &CassandraFeed, table: &str, after: &FeedPosition, limit: usize) -> (Vec<Change>, FeedPosition) {
    let (mut changes, mut position) = (Vec::new(), after.clone());
    loop {
        let page = feed.read(table, 0, &position, limit).await.unwrap();
        assert!(page.changes.len() <= limit);
        changes.extend(changes_of(&page.changes).unwrap());
        position = page.next;
        if page.pending == 0 {
            return (changes, position);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_preset_logs_in_and_makes_tables_with_their_throughput() {
    let mut world = World::new().await;
    world.settings.autoscale_max_throughput = Some(4_000);
    let line = probe(&world.settings).await.unwrap();
    assert!(line.starts_with("Cosmos DB") && line.contains("keyspace ks"), "{line}");
    world.with_table(&tables::single("t")).await;
    assert!(world.peer.logins().iter().all(|login| login == b"\0account\0the-key"));
    for table in ["t", "millstream_epochs"] {
        let options = world.peer.options(table).unwrap();
        for option in ["cosmosdb_autoscale_max_throughput = 4000", "cosmosdb_cell_level_timestamp = true"] {
            assert!(options.contains(option), "{table}: {options}");
        }
    }
    assert!(world.peer.options("t_changes").is_none(), "the service keeps the change feed itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_epochs_and_fences_need_no_serial_consistency() {
    let world = World::new().await;
    let spec = tables::single("t");
    let (store, mut writer) = world.with_table(&spec).await;
    writer.commit(&*store, &[insert(7, row!["a", 1]), insert(7, row!["b", None::<i64>])]).await.unwrap();
    writer.commit(&*store, &[update(9, row!["a", 2]), delete(9, row!["b", None::<i64>])]).await.unwrap();
    writer.commit(&*store, &[update(8, row!["a", 3]), insert(8, row!["b", 3])]).await.unwrap();
    let page = store.read_partition("t", &of_partition("a")).await.unwrap();
    assert_eq!(rows_of(&page.rows).unwrap(), [row!["a", 2, 9_i64]], "the greater version stands");
    let scan = Scan { with_version: true, ..Scan::default() };
    let scanned = collect(store.snapshot().await.unwrap().scan("t", &scan).await.unwrap()).await.unwrap();
    assert_eq!(scanned, [row!["a", 2, 9_i64]], "what was deleted with a greater version stays away");

    let again = world.store();
    again.ensure_table(&spec).await.unwrap();
    assert_eq!(again.begin(&FlowId::new("f"), Attempt(2), "t").await.unwrap().0, 3);
    let error = writer.commit(&*store, &[insert(10, row!["c", 1])]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
    let asked = world.peer.asked("");
    let serial = asked.iter().find(|a| SERIAL.contains(&a.consistency) || a.serial_consistency.is_some());
    assert!(serial.is_none(), "{serial:?}");
    again.drop_table("t").await.unwrap();
    assert!(world.peer.options("t").is_none());
    again.ensure_table(&spec).await.unwrap();
    assert_eq!(again.begin(&FlowId::new("f"), Attempt(1), "t").await.unwrap().0, 0, "a table that is made again begins anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_lives_as_long_as_is_left_of_its_ttl() {
    let world = World::new().await;
    let spec = tables::with_ttl(tables::single("t"), Duration::from_secs(100));
    let (store, mut writer) = world.with_table(&spec).await;
    let now = SystemClock.now().micros();
    writer.commit(&*store, &[insert(now - 40_000_000, row!["a", 1])]).await.unwrap();
    let written = world.peer.asked("INSERT INTO \"ks\".\"t\"");
    assert!(written[0].cql.ends_with("USING TIMESTAMP ? AND TTL ?"), "{}", written[0].cql);
    let ttl = i32::from_be_bytes(written[0].values.last().unwrap().bytes().unwrap().try_into().unwrap());
    assert!((50..=60).contains(&ttl), "{ttl}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_for_its_rate_is_sent_again_when_the_service_says_so() {
    let world = World::new().await;
    let (store, mut writer) = world.with_table(&tables::single("t")).await;
    world.peer.refuse("INSERT INTO \"ks\".\"t\"", 3, RATE);
    world.peer.refuse("IF attempt", 1, RATE);
    let began = SystemClock.now().micros();
    writer.commit(&*store, &[insert(1, row!["a", 1])]).await.unwrap();
    let took = SystemClock.now().micros() - began;
    assert!(took >= 80_000, "four waits of at least 20 ms: {took} µs");
    assert_eq!(store.refused_requests(), 4);
    assert_eq!(world.peer.asked("INSERT INTO \"ks\".\"t\"").len(), 4, "the driver sends nothing again by itself");
    world.peer.refuse("SELECT \"k\"", 1, RATE);
    assert_eq!(store.read_partition("t", &of_partition("a")).await.unwrap().rows.num_rows(), 1);
}

/// On one thread, whose recorder is the test's own.
#[tokio::test]
async fn refused_requests_are_counted_on_metrics_also_the_one_that_is_given_up() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _here = metrics::set_default_local_recorder(&recorder);
    let counted = || {
        let page = recorder.handle().render();
        let line = page.lines().find_map(|line| line.strip_prefix("millstream_cassandra_refused_requests_total "));
        line.map(|count| count.parse::<u64>().unwrap())
    };
    let mut world = World::new().await;
    world.settings.request_timeout_ms = Some(1_000);
    let (store, mut writer) = world.with_table(&tables::single("t")).await;
    assert_eq!(counted(), Some(0), "it is there before the first");
    world.peer.refuse("INSERT INTO \"ks\".\"t\"", 2, RATE);
    writer.commit(&*store, &[insert(1, row!["a", 1])]).await.unwrap();
    assert_eq!(counted(), Some(2));
    world.peer.refuse("INSERT INTO \"ks\".\"t\"", 1, "RetryAfterMs=5000");
    writer.commit(&*store, &[insert(2, row!["a", 2])]).await.unwrap_err();
    assert_eq!((counted(), store.refused_requests()), (Some(3), 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_refused_is_sent_again_whole() {
    let world = World::new().await;
    let spec = tables::clustered_by("t", arrow::datatypes::DataType::Int64, millstream_core::SortOrder::Asc);
    let (store, mut writer) = world.with_table(&spec).await;
    world.peer.refuse("BATCH", 2, RATE);
    let rows: Vec<Change> = (0..20).map(|c| insert(1, row![1, i64::from(c), 1])).collect();
    writer.commit(&*store, &rows).await.unwrap();
    assert_eq!(world.peer.asked("BATCH").len(), 3);
    let scanned = collect(store.snapshot().await.unwrap().scan("t", &Scan::default()).await.unwrap()).await.unwrap();
    assert_eq!(scanned.len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_given_up_when_its_time_is_over() {
    let mut world = World::new().await;
    world.settings.request_timeout_ms = Some(1_000);
    let (store, mut writer) = world.with_table(&tables::single("t")).await;
    world.peer.refuse("INSERT INTO \"ks\".\"t\"", 1_000, "RetryAfterMs=300");
    let began = SystemClock.now().micros();
    let error = writer.commit(&*store, &[insert(1, row!["a", 1])]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("writing to table t"), "{error}");
    assert!(SystemClock.now().micros() - began < 1_500_000, "no wait begins that would end too late");

    world.peer.refuse("SELECT \"k\"", 1, RATE);
    world.peer.stay_silent("SELECT \"k\"");
    let began = SystemClock.now().micros();
    let error = store.read_partition("t", &of_partition("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("took too long"), "{error}");
    assert!(SystemClock.now().micros() - began < 1_500_000, "the tries of a request share its time");
}

/// The driver itself would wait for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_is_never_prepared_is_given_up_and_prepared_over_another_session() {
    let mut world = World::new().await;
    world.settings.request_timeout_ms = Some(500);
    let (store, mut writer) = world.with_table(&tables::single("t")).await;
    writer.commit(&*store, &[insert(1, row!["a", 1])]).await.unwrap();
    let logins = world.peer.logins().len();
    world.peer.never_prepare("SELECT \"k\"");
    let error = store.read_partition("t", &of_partition("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("was given up after 1s"), "{error}");
    assert_eq!(store.read_partition("t", &of_partition("a")).await.unwrap().rows.num_rows(), 1);
    assert!(world.peer.logins().len() > logins, "another session was opened");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_goes_on_by_paging_state_and_never_pages_by_itself() {
    let world = World::new().await;
    let (store, mut writer) = world.with_table(&tables::single("t")).await;
    let rows: Vec<Change> = (0..7_i64).map(|n| insert(n + 1, row![format!("k{n}"), n])).collect();
    writer.commit(&*store, &rows).await.unwrap();
    let feed = CassandraFeed::new(store);
    assert_eq!(feed.ranges("t").await.unwrap(), 1);
    let first = feed.read("t", 0, &FeedPosition::default(), 3).await.unwrap();
    assert_eq!(first.changes.len(), 3);
    let asked = world.peer.asked("COSMOS_CHANGEFEED");
    assert_eq!(asked.len(), 1, "one page a read");
    assert_eq!((asked[0].page_size, asked[0].paging_state.clone(), asked[0].is_prepared), (Some(3), None, false));
    let second = feed.read("t", 0, &first.next, 3).await.unwrap();
    assert_eq!(world.peer.asked("COSMOS_CHANGEFEED")[0].paging_state, Some(3_u64.to_be_bytes().to_vec()));
    let (rest, end) = all(&feed, "t", &second.next, 3).await;
    let mut changes = changes_of(&first.changes).unwrap();
    changes.extend(changes_of(&second.changes).unwrap());
    changes.extend(rest);
    assert_eq!(changes.iter().map(|c| c.position.offset).collect::<Vec<_>>(), (1..=7).collect::<Vec<i64>>());
    assert!(changes.iter().all(|c| c.kind == ChangeKind::Update), "what was there before, the feed doesn't say");
    let mut found: Vec<_> = changes.iter().map(|c| (format!("{:?}", c.row), c.version)).collect();
    found.sort();
    let mut written: Vec<_> = rows.iter().map(|c| (format!("{:?}", c.row), c.version)).collect();
    written.sort();
    assert_eq!(found, written, "each with the version that it was written with");
    assert_eq!(all(&feed, "t", &end, 3).await, (Vec::new(), end), "a reader at the end keeps its place");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_page_is_not_taken_for_the_end() {
    let world = World::new().await;
    let (store, mut writer) = world.with_table(&tables::single("t")).await;
    writer.commit(&*store, &[insert(1, row!["a", 1])]).await.unwrap();
    let feed = CassandraFeed::new(store);
    world.peer.empty_pages(2);
    let page = feed.read("t", 0, &FeedPosition::default(), 10).await.unwrap();
    assert_eq!(page.changes.len(), 1, "the rate was limited, and nothing is skipped");
    assert_eq!(world.peer.asked("COSMOS_CHANGEFEED").len(), 3);
    world.peer.empty_pages(3);
    let page = feed.read("t", 0, &FeedPosition::default(), 10).await.unwrap();
    assert_eq!((page.changes.len(), page.pending, page.next.clone()), (0, 0, FeedPosition::default()));
    assert_eq!(feed.read("t", 0, &page.next, 10).await.unwrap().changes.len(), 1, "it comes all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_has_the_latest_version_of_rows_and_no_deletes() {
    let world = World::new().await;
    let plan = CassandraTables { insert_only: ["once".to_owned()].into(), ..CassandraTables::default() };
    let store = world.store_with(plan);
    for name in ["t", "once"] {
        let spec = tables::single(name);
        store.ensure_table(&spec).await.unwrap();
        let mut writer = Writer::begin(&*store, &spec, "f", 1).await.unwrap();
        writer.commit(&*store, &[insert(1, row!["a", 1]), insert(1, row!["b", 1])]).await.unwrap();
        if name == "t" {
            writer.commit(&*store, &[update(2, row!["a", 2]), delete(2, row!["b", None::<i64>])]).await.unwrap();
        }
    }
    let feed = CassandraFeed::new(store);
    let (changes, _) = all(&feed, "t", &FeedPosition::default(), 10).await;
    assert_eq!(changes.iter().map(|c| (c.kind, c.version, c.row.clone())).collect::<Vec<_>>(), [(ChangeKind::Update, 2, row!["a", 2])]);
    let (changes, _) = all(&feed, "once", &FeedPosition::default(), 10).await;
    assert_eq!(changes.iter().map(|c| c.kind).collect::<Vec<_>>(), [ChangeKind::Insert; 2], "rows that never change are inserts");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_waits_for_what_another_service_writes() {
    let world = World::new().await;
    world.peer.run("CREATE TABLE IF NOT EXISTS ks.t (k text, v bigint, tags text, PRIMARY KEY ((k))) WITH comment = ''", &[]);
    let store = world.store();
    store.bind_table(&tables::single("t")).await.unwrap();
    let feed = CassandraFeed::new(store);
    let before = SystemClock.now().micros();
    let seen = [FeedPosition::default()];
    let waiting = feed.wait("t", &seen);
    let writing = async {
        // The peer is asked at least once in vain.
        while world.peer.asked("COSMOS_CHANGEFEED").is_empty() {
            tokio::task::yield_now().await;
        }
        let text = |text: &str| Bound::Bytes(text.as_bytes().to_vec());
        let v = Bound::Bytes(5_i64.to_be_bytes().to_vec());
        world.peer.run("INSERT INTO ks.t (k, v, tags) VALUES (?, ?, ?)", &[text("a"), v, text("x")]);
    };
    let (waited, ()) = tokio::time::timeout(Duration::from_secs(20), async { tokio::join!(waiting, writing) }).await.unwrap();
    waited.unwrap();
    let (changes, _) = all(&feed, "t", &FeedPosition::default(), 10).await;
    assert_eq!(changes.len(), 1);
    assert_eq!((changes[0].kind, changes[0].row.clone()), (ChangeKind::Update, row!["a", 5]));
    assert!(changes[0].version >= before, "its version is the time at which it was read");
    assert_eq!(feed.read("t", 1, &FeedPosition::default(), 1).await.unwrap_err().kind(), ErrorKind::OutOfRange);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_continuation_that_the_service_refuses_is_out_of_range() {
    let world = World::new().await;
    let (store, mut writer) = world.with_table(&tables::single("t")).await;
    writer.commit(&*store, &[insert(1, row!["a", 1])]).await.unwrap();
    let feed = CassandraFeed::new(store.clone());
    let (_, end) = all(&feed, "t", &FeedPosition::default(), 10).await;
    world.peer.fail("COSMOS_CHANGEFEED", INVALID, "the continuation is of another collection");
    let error = feed.read("t", 0, &end, 10).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfRange, "{error}");
    store.drop_table("t").await.unwrap();
    store.ensure_table(&tables::single("t")).await.unwrap();
    let error = feed.read("t", 0, &end, 10).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfRange, "a table that is made again has another id: {error}");
}
