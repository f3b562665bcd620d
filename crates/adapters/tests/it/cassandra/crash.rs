//! A process that dies in the middle of a commit, and flows that commit to one table side by side.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use millstream_adapters::cassandra::{CassandraFeed, CassandraStore};
use millstream_core::ports::{ChangeFeed, EpochSink, EventStore, FeedPosition, Scan};
use millstream_core::{ChangeKind, ErrorKind, TableSpec};
use millstream_testkit::changes::{Change, Writer, changes_of, delete, update};
use millstream_testkit::rows::{Cell, Row, collect};
use millstream_testkit::{ManualClock, row, tables};

use super::world::{World, with_feed};

async fn feed_of(store: &Arc<CassandraStore>, table: &str) -> Vec<Change> {
    let feed = CassandraFeed::new(store.clone());
    let mut all = Vec::new();
    for range in 0..feed.ranges(table).await.unwrap() {
        let mut after = FeedPosition::default();
        loop {
            let page = feed.read(table, range, &after, 7).await.unwrap();
            all.extend(changes_of(&page.changes).unwrap());
            if page.pending == 0 {
                break;
            }
            after = page.next;
        }
    }
    all
}

/// The table by key, and what the feed makes of it; checks that each kind fits what came before.
async fn table_and_feed(store: &Arc<CassandraStore>, spec: &TableSpec) -> (BTreeMap<String, Row>, BTreeMap<String, Row>) {
    let scan = store.snapshot().await.unwrap().scan(&spec.name, &Scan::default()).await.unwrap();
    let table = collect(scan).await.unwrap().into_iter().map(|r| (format!("{:?}", r[0]), r)).collect();
    let mut folded = BTreeMap::new();
    for change in feed_of(store, &spec.name).await {
        let key = format!("{:?}", change.row[0]);
        assert_eq!(folded.contains_key(&key), change.kind != ChangeKind::Insert, "{:?} of {key}, version {}", change.kind, change.version);
        match change.kind {
            ChangeKind::Delete => drop(folded.remove(&key)),
            _ => drop(folded.insert(key, change.row)),
        }
    }
    (table, folded)
}

/// What epoch `n` does: it updates some keys, and deletes one.
fn epoch(n: i64) -> Vec<Change> {
    let mut changes: Vec<_> = (0..40).map(|k| update(n, row![format!("k{}", (k + n) % 60), n])).collect();
    changes.push(delete(n, row![format!("k{}", (n + 50) % 60), None::<i64>]));
    changes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_is_dropped_anywhere_neither_loses_nor_doubles_changes() {
    let Some(world) = World::find() else { return };
    let place = world.place(with_feed());
    let spec = tables::single("t");
    let mut store = place.open(Arc::new(ManualClock::default()));
    store.ensure_table(&spec).await.unwrap();
    let (mut attempt, mut dropped) = (1, 0);
    let mut writer = Writer::begin(&*store, &spec, "f", attempt).await.unwrap();
    for n in 1..=40_i64 {
        let write = writer.write(writer.epoch.next(), &epoch(n), 100).unwrap();
        // Each time a little later: before the log is written, before the commit is decided, while rows are applied, before it is published.
        let limit = Duration::from_micros(u64::try_from(n).unwrap() * 700);
        if tokio::time::timeout(limit, store.commit(write)).await.is_err() {
            dropped += 1;
            attempt += 1;
            store = store.restarted();
            store.ensure_table(&spec).await.unwrap();
        }
        let again = Writer::begin(&*store, &spec, "f", attempt).await.unwrap();
        if again.epoch == writer.epoch {
            store.commit(again.write(again.epoch.next(), &epoch(n), 100).unwrap()).await.unwrap();
        }
        writer = Writer::begin(&*store, &spec, "f", attempt).await.unwrap();
        assert_eq!(writer.epoch.0, u64::try_from(n).unwrap());
    }
    assert!(dropped > 0, "no commit was dropped: the test shows nothing");
    let (table, folded) = table_and_feed(&store, &spec).await;
    assert_eq!(folded, table);
    assert_eq!(table.len(), 49, "the last deletes of 60 keys stand");
    world.clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_was_decided_is_finished_by_whoever_comes_next() {
    let Some(world) = World::find() else { return };
    let place = world.place(with_feed());
    let spec = tables::single("t");
    let store = place.open(Arc::new(ManualClock::default()));
    store.ensure_table(&spec).await.unwrap();
    let mut f = Writer::begin(&*store, &spec, "f", 1).await.unwrap();
    let mut g = Writer::begin(&*store, &spec, "g", 1).await.unwrap();
    f.commit(&*store, &[update(1, row!["a", 1]), update(1, row!["b", 1])]).await.unwrap();
    f.commit(&*store, &[update(2, row!["a", 2]), delete(2, row!["b", None::<i64>]), update(2, row!["c", 2])]).await.unwrap();

    // Back to where epoch 2 is decided and nothing of it is applied: as a kill -9 right behind the decision leaves it.
    let session = world.session().await;
    let run = async |cql: String| session.query_unpaged(cql, ()).await.unwrap();
    let keyspace = &place.settings.keyspace;
    let first: i64 = session
        .query_unpaged(format!("SELECT first FROM {keyspace}.millstream_epochs LIMIT 1"), ())
        .await
        .unwrap()
        .into_rows_result()
        .unwrap()
        .single_row::<(i64,)>()
        .unwrap()
        .0;
    let (table_name, table_id): (String, String) = session
        .query_unpaged(format!("SELECT table_name, table_id FROM {keyspace}.millstream_epochs LIMIT 1"), ())
        .await
        .unwrap()
        .into_rows_result()
        .unwrap()
        .single_row()
        .unwrap();
    let totals_of_1: Vec<i64> = {
        let mut totals = vec![0; 4];
        for change in feed_of(&store, "t").await.iter().filter(|c| c.version == 1) {
            totals[usize::try_from(change.position.partition).unwrap()] += 1;
        }
        totals
    };
    run(format!("TRUNCATE {keyspace}.t")).await;
    run(format!("TRUNCATE {keyspace}.t_deletes")).await;
    for key in ["a", "b"] {
        run(format!("INSERT INTO {keyspace}.t (k, v, \"_v\") VALUES ('{key}', 1, 0) USING TIMESTAMP 1")).await;
    }
    run(format!(
        "UPDATE {keyspace}.millstream_epochs SET epoch = 1, published = {first}, totals = {totals_of_1:?} \
         WHERE table_name = '{table_name}' AND table_id = '{table_id}' AND flow = 'f' IF epoch = 2"
    ))
    .await;
    let restarted = store.restarted();
    restarted.ensure_table(&spec).await.unwrap();
    assert_eq!(feed_of(&restarted, "t").await.len(), 2, "what is decided and not applied does not show");

    // Another flow comes first: it finishes epoch 2, then commits its own.
    g.commit(&*restarted, &[update(3, row!["c", 3])]).await.unwrap();
    let (table, folded) = table_and_feed(&restarted, &spec).await;
    assert_eq!(table.into_values().collect::<Vec<_>>(), [row!["a", 2], row!["c", 3]]);
    assert_eq!(folded.into_values().collect::<Vec<_>>(), [row!["a", 2], row!["c", 3]]);
    assert_eq!(feed_of(&restarted, "t").await.len(), 6, "each change once");
    assert_eq!(restarted.begin(&f.flow, millstream_core::Attempt(2), "t").await.unwrap().0, 2, "the flow goes on behind it");
    // What was deleted by the finished epoch stays deleted.
    let mut f = Writer::begin(&*restarted, &spec, "f", 2).await.unwrap();
    f.commit(&*restarted, &[update(1, row!["b", 9])]).await.unwrap();
    assert_eq!(feed_of(&restarted, "t").await.len(), 6, "a write older than the delete is no change");
    world.clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_commit_to_one_table_side_by_side_give_one_feed() {
    let Some(world) = World::find() else { return };
    let place = world.place(with_feed());
    let spec = tables::single("t");
    let store = place.open(Arc::new(ManualClock::default()));
    store.ensure_table(&spec).await.unwrap();
    // Each store has turns of its own, as another process has: only the conditional writes keep them apart.
    let mut tasks = tokio::task::JoinSet::new();
    for (i, flow) in ["f", "g"].into_iter().enumerate() {
        let (store, spec) = (store.restarted(), spec.clone());
        tasks.spawn(async move {
            store.ensure_table(&spec).await.unwrap();
            let mut writer = Writer::begin(&*store, &spec, flow, 1).await.unwrap();
            for n in 0..12_i64 {
                let version = n * 2 + i64::try_from(i).unwrap();
                let mut changes: Vec<_> = (0..10).map(|k| update(version, row![format!("k{k}"), version])).collect();
                // One flow deletes what isn't there, the other writes it with a lower version: whichever is decided first, it stays away.
                changes.push(if flow == "f" {
                    delete(1_000, row![format!("gone{n}"), None::<i64>])
                } else {
                    update(version, row![format!("gone{n}"), version])
                });
                // Two conditional writes at the same moment: Cassandra may say that it doesn't know, and a flow tries its epoch again.
                while let Err(error) = writer.commit(&*store, &changes).await {
                    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
                }
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    let (table, folded) = table_and_feed(&store, &spec).await;
    assert_eq!(folded, table);
    assert!(table.values().all(|r| r[1] == Cell::Int(23)), "the greatest version stands: {table:?}");
    assert_eq!(table.len(), 10, "what was deleted is gone: {table:?}");
    let epochs = store.snapshot().await.unwrap().epochs("t").await.unwrap();
    assert_eq!(epochs.into_values().map(|e| e.0).collect::<Vec<_>>(), [12, 12], "no flow's commit was taken for another's");
    world.clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_of_a_row_that_is_not_there_takes_effect_with_its_commit() {
    let Some(world) = World::find() else { return };
    let place = world.place(with_feed());
    let spec = tables::single("t");
    let store = place.open(Arc::new(ManualClock::default()));
    store.ensure_table(&spec).await.unwrap();
    let mut f = Writer::begin(&*store, &spec, "f", 1).await.unwrap();
    let mut g = Writer::begin(&*store, &spec, "g", 1).await.unwrap();
    assert_eq!(f.commit(&*store, &[delete(10, row!["x", None::<i64>])]).await.unwrap(), 0, "nothing stands differently");
    assert!(feed_of(&store, "t").await.is_empty(), "and nothing shows");

    // Back to where it is decided and nothing of it is applied.
    let session = world.session().await;
    let keyspace = &place.settings.keyspace;
    let run = async |cql: String| session.query_unpaged(cql, ()).await.unwrap();
    for table in ["t", "t_deletes"] {
        run(format!("TRUNCATE {keyspace}.{table}")).await;
    }
    let (name, id): (String, String) = run(format!("SELECT table_name, table_id FROM {keyspace}.millstream_epochs LIMIT 1"))
        .await
        .into_rows_result()
        .unwrap()
        .single_row()
        .unwrap();
    run(format!(
        "UPDATE {keyspace}.millstream_epochs SET epoch = 0, published = null \
         WHERE table_name = '{name}' AND table_id = '{id}' AND flow = 'f' IF epoch = 1"
    ))
    .await;
    let restarted = store.restarted();
    restarted.ensure_table(&spec).await.unwrap();
    g.commit(&*restarted, &[update(5, row!["x", 5]), update(5, row!["y", 5])]).await.unwrap();
    let (table, folded) = table_and_feed(&restarted, &spec).await;
    assert_eq!(folded, table);
    assert_eq!(table.into_values().collect::<Vec<_>>(), [row!["y", 5]], "the delete was decided first, and is greater");
    assert_eq!(restarted.begin(&f.flow, millstream_core::Attempt(2), "t").await.unwrap().0, 1, "it was finished, not overwritten");
    world.clean().await;
}
