//! What `maintain` removes, and that nobody can tell but by the space.

use std::sync::Arc;
use std::time::Duration;

use millstream_adapters::embedded::{EmbeddedStore, Maintained};
use millstream_core::ports::{ChangeFeed, Clock, CriticalStore, EventStore, FeedPosition, Publication, ReportStore, Scan};
use millstream_core::{ErrorKind, Value};
use millstream_testkit::changes::{Change, Writer, delete, insert};
use millstream_testkit::rows::{self, Row};
use millstream_testkit::{ManualClock, row, tables};
use tempfile::TempDir;

use super::open;

const DAY: Duration = Duration::from_hours(24);
const NOW: i64 = ManualClock::START.0;

fn setup() -> (TempDir, Arc<ManualClock>, Arc<EmbeddedStore>) {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Arc::new(ManualClock::default()));
    let store = open(&dir, clock.clone()).unwrap();
    (dir, clock, store)
}

async fn table(store: &EmbeddedStore, name: &str) -> Vec<Row> {
    let snapshot = store.events().snapshot().await.unwrap();
    let mut rows = rows::collect(snapshot.scan(name, &Scan::default()).await.unwrap()).await.unwrap();
    rows.sort_by_key(|r| format!("{r:?}"));
    rows
}

fn many(version: i64, count: i64) -> Vec<Change> {
    (0..count).map(|i| insert(version, row![format!("k{i}"), i])).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_rows_go_and_the_others_stay() {
    let (_dir, clock, store) = setup();
    let spec = tables::with_ttl(tables::single("t"), DAY);
    store.events().ensure_table(&spec).await.unwrap();
    let mut writer = Writer::begin(&*store.events(), &spec, "f", 1).await.unwrap();
    writer.commit(&*store.events(), &many(NOW, 10_000)).await.unwrap();
    writer.commit(&*store.events(), &[insert(NOW + 1, row!["later", 1])]).await.unwrap();
    assert_eq!(store.maintain(clock.now()).await.unwrap(), Maintained::default());
    clock.advance(DAY);
    assert_eq!(table(&store, "t").await, [row!["later", 1]]);
    let done = store.maintain(clock.now()).await.unwrap();
    assert_eq!(done, Maintained { expired_rows: 10_000, ..Maintained::default() });
    assert_eq!(table(&store, "t").await, [row!["later", 1]]);
    assert_eq!(store.maintain(clock.now()).await.unwrap(), Maintained::default(), "a second pass finds nothing");
    clock.advance(Duration::from_micros(1));
    assert_eq!(store.maintain(clock.now()).await.unwrap().expired_rows, 1);
    assert_eq!(table(&store, "t").await, Vec::<Row>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_is_remembered_for_its_grace_and_then_forgotten() {
    let (dir, clock, store) = setup();
    let spec = tables::single("t");
    store.events().ensure_table(&spec).await.unwrap();
    let mut writer = Writer::begin(&*store.events(), &spec, "f", 1).await.unwrap();
    writer.commit(&*store.events(), &[insert(5, row!["a", 1])]).await.unwrap();
    writer.commit(&*store.events(), &[delete(7, row!["a", None::<i64>])]).await.unwrap();
    clock.advance(DAY * 10 - Duration::from_micros(1));
    assert_eq!(store.maintain(clock.now()).await.unwrap().tombstones, 0);
    assert_eq!(writer.commit(&*store.events(), &[insert(6, row!["a", 1])]).await.unwrap(), 0, "an older write still loses");
    drop(store);
    let store = open(&dir, clock.clone()).unwrap();
    clock.advance(Duration::from_micros(1));
    assert_eq!(store.maintain(clock.now()).await.unwrap().tombstones, 1);
    assert_eq!(writer.commit(&*store.events(), &[insert(6, row!["a", 1])]).await.unwrap(), 1, "nobody knows of the delete");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pruned_feed_says_where_it_begins_and_goes_on_with_its_numbers() {
    let (dir, clock, store) = setup();
    let spec = tables::single("t");
    store.events().ensure_table(&spec).await.unwrap();
    let mut writer = Writer::begin(&*store.events(), &spec, "f", 1).await.unwrap();
    writer.commit(&*store.events(), &many(1, 100)).await.unwrap();
    let start = FeedPosition::default();
    let first = store.feed().read("t", 0, &start, 2).await.unwrap();
    let end = store.feed().read("t", 0, &start, 1000).await.unwrap();
    clock.advance(DAY * 7 + Duration::from_secs(1));
    writer
        .commit(
            &*store.events(),
            &many(2, 100)
                .into_iter()
                .map(|mut c| {
                    c.row[1] = (-1).into();
                    c
                })
                .collect::<Vec<_>>(),
        )
        .await
        .unwrap();
    let done = store.maintain(clock.now()).await.unwrap();
    assert_eq!(done, Maintained { feed_changes: 100, ..Maintained::default() });
    drop(store);
    let store = open(&dir, clock.clone()).unwrap();
    let pruned = store.feed().read("t", 0, &first.next, 10).await.unwrap_err();
    assert_eq!(pruned.kind(), ErrorKind::OutOfRange);
    assert!(pruned.message().contains("was pruned"), "{pruned}");
    let after_end = store.feed().read("t", 0, &end.next, 1000).await.unwrap();
    let from_start = store.feed().read("t", 0, &start, 1000).await.unwrap();
    assert_eq!(after_end.changes.offsets(), from_start.changes.offsets(), "the beginning is where the pruned part ended");
    assert_eq!(from_start.changes.position(0).offset, end.changes.len() as i64 + 1);
    clock.advance(DAY * 30);
    assert_eq!(store.maintain(clock.now()).await.unwrap().feed_changes, 100);
    drop(store);
    let store = open(&dir, clock).unwrap();
    let empty = store.feed().read("t", 0, &start, 10).await.unwrap();
    assert_eq!((empty.changes.len(), empty.pending), (0, 0));
    assert_eq!(empty.next, from_start.next, "numbers go on where they ended, though nothing is left");
    assert_eq!(table(&store, "t").await.len(), 100, "the rows stay");
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_table_gives_its_space_back_also_after_a_crash() {
    let (dir, clock, store) = setup();
    let (spec, report, critical) = (tables::single("t"), tables::report("r"), tables::critical("c", None));
    for _ in 0..3 {
        store.events().ensure_table(&spec).await.unwrap();
        store.critical().ensure_table(&critical).await.unwrap();
        store.reports().ensure_report(&report).await.unwrap();
        Writer::begin(&*store.events(), &spec, "f", 1).await.unwrap().commit(&*store.events(), &many(1, 1000)).await.unwrap();
        let row = row!["EWR", 7, 5];
        Writer::begin(&*store.critical(), &critical, "f", 1).await.unwrap().commit(&*store.critical(), &[insert(1, row)]).await.unwrap();
        let rows = rows::stream_of(&report.schema, &[row!["AA", rows::date(1), 1, 0.5]], 10).unwrap();
        store.reports().publish(Publication { report: "r".into(), run: 1, rows }).await.unwrap();
        store.events().drop_table("t").await.unwrap();
        store.critical().drop_table("c").await.unwrap();
        store.reports().drop_report("r").await.unwrap();
        let (events, critical) = (store.events(), store.critical());
        assert_eq!(events.snapshot().await.unwrap().epochs("t").await.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(critical.get("c", &[Value::Str("EWR".into()), Value::Int(7)]).await.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(store.reports().published_run("r").await.unwrap_err().kind(), ErrorKind::NotFound);
    }
    drop(store);
    let store = open(&dir, clock).unwrap();
    store.events().ensure_table(&spec).await.unwrap();
    assert_eq!(table(&store, "t").await, Vec::<Row>::new());
}
