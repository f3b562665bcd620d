//! Flows that write one table at the same moment, statement by statement: on a peer, which lets one wait where a test says so.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_adapters::cassandra::{CassandraFeed, CassandraSettings, CassandraStore, CassandraTables};
use millstream_adapters::connection::Secret;
use millstream_core::ports::{ChangeFeed, EpochSink, EpochWrite, EventStore, FeedPosition, Scan, SystemClock};
use millstream_core::{ChangeKind, ErrorKind, TableSpec};
use millstream_testkit::changes::{Change, Writer, changes_of, delete, insert, update};
use millstream_testkit::rows::{Row, collect};
use millstream_testkit::{row, tables};

use super::peer::Peer;

const LOCAL_QUORUM: u16 = 0x0006;
const LOCAL_SERIAL: u16 = 0x0009;
/// How the head of a log is read with a flow's progress: before a commit is decided.
const HEAD: &str = "SELECT attempt, epoch, first";

/// A table with a change log, and two processes that write it.
struct World {
    peer: Peer,
    f: Process,
    g: Process,
    _secrets: tempfile::TempDir,
}

/// A process with a session of its own, and its flow.
struct Process {
    store: Arc<CassandraStore>,
    writer: Writer,
}

impl Process {
    async fn start(settings: &CassandraSettings, spec: &TableSpec, flow: &str) -> Self {
        let plan = CassandraTables { feeds: [spec.name.clone()].into(), ..CassandraTables::default() };
        let store = CassandraStore::new(settings.clone(), plan, Arc::new(SystemClock)).unwrap();
        store.ensure_table(spec).await.unwrap();
        let writer = Writer::begin(&*store, spec, flow, 1).await.unwrap();
        Self { store, writer }
    }

    fn next(&self, changes: &[Change]) -> EpochWrite {
        self.writer.write(self.writer.epoch.next(), changes, 100).unwrap()
    }
}

impl World {
    async fn new() -> Self {
        let (peer, secrets) = (Peer::cassandra().await, tempfile::tempdir().unwrap());
        let password = secrets.path().join("password");
        std::fs::write(&password, "p").unwrap();
        let mut settings = CassandraSettings::new([peer.address.to_string()], "ks");
        settings.username = Some("u".to_owned());
        settings.password = Some(Secret::File(password));
        let spec = tables::single("t");
        let f = Process::start(&settings, &spec, "f").await;
        let g = Process::start(&settings, &spec, "g").await;
        peer.asked("");
        Self { peer, f, g, _secrets: secrets }
    }

    async fn feed(&self) -> Vec<Change> {
        let feed = CassandraFeed::new(self.f.store.clone());
        let mut all = Vec::new();
        for range in 0..feed.ranges("t").await.unwrap() {
            let page = feed.read("t", range, &FeedPosition::default(), 100).await.unwrap();
            assert_eq!(page.pending, 0);
            all.extend(changes_of(&page.changes).unwrap());
        }
        all
    }

    /// The table, and what the feed makes of it.
    async fn table_and_feed(&self) -> (Vec<Row>, Vec<Row>) {
        let scan = self.f.store.snapshot().await.unwrap().scan("t", &Scan::default()).await.unwrap();
        let mut table = collect(scan).await.unwrap();
        table.sort_by_key(|row| format!("{row:?}"));
        let mut folded = BTreeMap::new();
        for change in self.feed().await {
            match change.kind {
                ChangeKind::Delete => drop(folded.remove(&format!("{:?}", change.row[0]))),
                _ => drop(folded.insert(format!("{:?}", change.row[0]), change.row)),
            }
        }
        (table, folded.into_values().collect())
    }

    async fn epochs(&self) -> Vec<u64> {
        let epochs = self.f.store.snapshot().await.unwrap().epochs("t").await.unwrap();
        epochs.into_values().map(|e| e.0).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_and_a_read_of_the_feed_make_no_serial_read() {
    let mut world = World::new().await;
    let World { peer, f, .. } = &mut world;
    f.writer.commit(&*f.store, &[insert(1, row!["a", 1]), delete(1, row!["b", None::<i64>])]).await.unwrap();
    f.writer.commit(&*f.store, &[update(2, row!["a", 2])]).await.unwrap();
    f.writer.commit(&*f.store, &[update(1, row!["a", 7])]).await.unwrap();
    let asked = peer.asked("");
    assert_eq!(world.feed().await.len(), 2);
    let feed = CassandraFeed::new(world.f.store.clone());
    feed.wait("t", &<[FeedPosition; 4]>::default()).await.unwrap();
    assert_eq!(world.epochs().await, [3, 0]);
    let serial: Vec<_> = asked.into_iter().chain(world.peer.asked("")).filter(|a| a.consistency == LOCAL_SERIAL).collect();
    assert!(serial.is_empty(), "{serial:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_flow_has_decided_is_finished_and_not_overwritten() {
    let world = World::new().await;
    // g has decided, and is about to write its rows.
    let held = world.peer.hold("INSERT INTO \"ks\".\"t\" ");
    let g = world.g.store.clone();
    let epoch = world.g.next(&[insert(1, row!["a", 1]), insert(1, row!["b", 1])]);
    let committing = async { g.commit(epoch).await.unwrap() };
    let f = world.f.store.clone();
    let epoch = world.f.next(&[update(2, row!["a", 2]), insert(2, row!["c", 2])]);
    let meanwhile = async {
        held.until_it_came().await;
        assert_eq!(f.commit(epoch).await.unwrap(), 2);
        let heads = world.peer.asked(HEAD);
        let levels: Vec<u16> = heads.iter().map(|a| a.consistency).collect();
        assert_eq!(levels, [LOCAL_QUORUM, LOCAL_QUORUM, LOCAL_SERIAL], "g's, f's first, and f's after it finished g's");
        held.let_go();
    };
    tokio::join!(committing, meanwhile);
    let (table, folded) = world.table_and_feed().await;
    assert_eq!(table, [row!["a", 2], row!["b", 1], row!["c", 2]]);
    assert_eq!(folded, table);
    let feed = world.feed().await;
    assert_eq!(feed.len(), 4, "each change once: {feed:?}");
    assert_eq!(world.epochs().await, [1, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_another_came_before_is_decided_anew() {
    let world = World::new().await;
    // g has read what its row was, and is about to write to the log.
    let held = world.peer.hold("INSERT INTO \"ks\".\"t_changes\"");
    let g = world.g.store.clone();
    let epoch = world.g.next(&[insert(1, row!["a", 1])]);
    let committing = async { g.commit(epoch).await.unwrap() };
    let f = world.f.store.clone();
    let epoch = world.f.next(&[insert(2, row!["a", 2])]);
    let meanwhile = async {
        held.until_it_came().await;
        f.commit(epoch).await.unwrap();
        held.let_go();
    };
    let (changed, ()) = tokio::join!(committing, meanwhile);
    assert_eq!(changed, 0, "a greater version was there by then");
    let (table, folded) = world.table_and_feed().await;
    assert_eq!((table.as_slice(), folded.as_slice()), ([row!["a", 2]].as_slice(), [row!["a", 2]].as_slice()));
    assert_eq!(world.feed().await.len(), 1, "what was written to the log for nothing shows to nobody");
    assert_eq!(world.epochs().await, [1, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_of_a_row_that_is_not_there_is_decided_with_its_commit() {
    let world = World::new().await;
    // g has found no row and no delete, and is about to write to the log.
    let held = world.peer.hold("INSERT INTO \"ks\".\"t_changes\"");
    let g = world.g.store.clone();
    let epoch = world.g.next(&[insert(5, row!["x", 5])]);
    let committing = async { g.commit(epoch).await.unwrap() };
    let f = world.f.store.clone();
    let epoch = world.f.next(&[delete(10, row!["x", None::<i64>])]);
    let meanwhile = async {
        held.until_it_came().await;
        assert_eq!(f.commit(epoch).await.unwrap(), 0);
        held.let_go();
    };
    tokio::join!(committing, meanwhile);
    let (table, folded) = world.table_and_feed().await;
    assert!(table.is_empty() && folded.is_empty(), "the delete is greater: {table:?}, and in the feed {folded:?}");
    assert_eq!(world.epochs().await, [1, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_expired_before_they_were_applied_are_an_error() {
    let world = World::new().await;
    let held = world.peer.hold("INSERT INTO \"ks\".\"t\" ");
    let g = world.g.store.clone();
    let epoch = world.g.next(&[insert(1, row!["a", 1])]);
    let committing = async { g.commit(epoch).await };
    let f = world.f.store.clone();
    let epoch = world.f.next(&[insert(2, row!["b", 2])]);
    let meanwhile = async {
        held.until_it_came().await;
        world.peer.expire("t_changes");
        let error = f.commit(epoch).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(error.to_string().contains("epoch 1 of flow g into table t") && error.to_string().contains("1 of its changes"), "{error}");
        held.let_go();
    };
    let (committed, ()) = tokio::join!(committing, meanwhile);
    assert_eq!(committed.unwrap(), 1, "the process that has them still can finish them itself");
    assert_eq!(world.epochs().await, [0, 1]);
}
