#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::collections::BTreeSet;

use futures::TryStreamExt;
use millstream_core::ErrorKind;
use millstream_testkit::changes::{Writer, insert};
use millstream_testkit::rows::collect;
use millstream_testkit::{ManualClock, Row, row, tables};
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;

use super::*;

fn settings() -> LakeSettings {
    LakeSettings { roll_bytes: 1 << 20, cleanup_grace_s: 60, ..LakeSettings::default() }
}

/// One process on a lake in memory.
fn process(lake: &Arc<InMemory>, settings: LakeSettings, clock: &Arc<ManualClock>) -> LakeTableStore {
    let root = LakeLocation::parse("s3://memory/lake").unwrap();
    LakeTableStore::in_store(lake.clone(), Arc::new(settings), root, clock.clone()).unwrap()
}

fn rows(flow: &str, epoch: u64) -> Vec<Row> {
    (0..3_i64).map(|id| row![flow, i64::try_from(epoch).unwrap(), id, "x"]).collect()
}

async fn commit(store: &LakeTableStore, writer: &mut Writer) -> Result<u64> {
    let changes: Vec<_> = rows(writer.flow.as_str(), writer.epoch.next().0).into_iter().map(|r| insert(1, r)).collect();
    writer.commit(store, &changes).await
}

async fn scan(store: &LakeTableStore) -> Vec<Row> {
    collect(store.scan("t", None).await.unwrap()).await.unwrap()
}

async fn objects(lake: &InMemory) -> BTreeSet<String> {
    lake.list(None).map_ok(|o| o.location.to_string()).try_collect().await.unwrap()
}

fn count(objects: &BTreeSet<String>, part: &str) -> usize {
    objects.iter().filter(|o| o.contains(part)).count()
}

#[tokio::test]
async fn staged_rows_are_rolled_by_time_into_files_that_others_can_read() {
    let (lake, clock) = (Arc::new(InMemory::new()), Arc::new(ManualClock::default()));
    let store = process(&lake, settings(), &clock);
    let spec = tables::lake("t");
    store.ensure_table(&spec).await.unwrap();
    let mut writer = Writer::begin(&store, &spec, "f", 1).await.unwrap();
    for _ in 0..4 {
        commit(&store, &mut writer).await.unwrap();
    }
    let expected: Vec<Row> = (1..=4).flat_map(|e| rows("f", e)).collect();
    assert_eq!(store.maintain().await.unwrap(), Maintained::default(), "nothing is due");
    assert_eq!(count(&objects(&lake).await, "/data/"), 0, "nobody sees staged rows who knows no manifest");
    clock.advance(Duration::from_secs(300));
    assert_eq!(store.maintain().await.unwrap(), Maintained { rolled_files: 1, rolled_rows: 12, removed: 0 });
    assert_eq!(scan(&store).await, expected);
    let there = objects(&lake).await;
    assert_eq!((count(&there, "/data/"), count(&there, "/_staging/")), (1, 4), "older scans still find the staged files");
    clock.advance(Duration::from_secs(60));
    assert_eq!(store.maintain().await.unwrap().removed, 4);
    assert_eq!(count(&objects(&lake).await, "/_staging/"), 0);
    assert_eq!(scan(&store).await, expected);
}

#[tokio::test]
async fn many_epochs_are_rolled_by_size_without_anybody_asking() {
    let (lake, clock) = (Arc::new(InMemory::new()), Arc::new(ManualClock::default()));
    let store = process(&lake, LakeSettings { roll_bytes: 3_000, ..settings() }, &clock);
    let spec = tables::lake("t");
    store.ensure_table(&spec).await.unwrap();
    let mut writer = Writer::begin(&store, &spec, "f", 1).await.unwrap();
    for _ in 0..30 {
        commit(&store, &mut writer).await.unwrap();
    }
    assert!(count(&objects(&lake).await, "/data/") >= 2);
    assert_eq!(scan(&store).await, (1..=30).flat_map(|e| rows("f", e)).collect::<Vec<_>>());
}

#[tokio::test]
async fn two_processes_write_to_one_table_and_see_each_others_rows() {
    let (lake, clock) = (Arc::new(InMemory::new()), Arc::new(ManualClock::default()));
    let (a, b) = (process(&lake, settings(), &clock), process(&lake, settings(), &clock));
    let spec = tables::lake("t");
    a.ensure_table(&spec).await.unwrap();
    b.ensure_table(&spec).await.unwrap();
    let mut f = Writer::begin(&a, &spec, "f", 1).await.unwrap();
    let mut g = Writer::begin(&b, &spec, "g", 1).await.unwrap();
    for _ in 0..5 {
        assert_eq!(commit(&a, &mut f).await.unwrap(), 3);
        assert_eq!(commit(&b, &mut g).await.unwrap(), 3);
    }
    assert_eq!(scan(&a).await.len(), 30);
    assert_eq!(scan(&b).await, scan(&a).await);
    clock.advance(Duration::from_secs(300));
    let (x, y) = tokio::join!(a.maintain(), b.maintain());
    assert!(x.is_ok() && y.is_ok(), "{x:?} {y:?}");
    assert_eq!(scan(&a).await.len(), 30);
    assert_eq!(count(&objects(&lake).await, "/data/"), 1, "one data file, whoever made it");
}

#[tokio::test]
async fn a_flow_that_moved_to_another_process_is_fenced_in_the_old_one() {
    let (lake, clock) = (Arc::new(InMemory::new()), Arc::new(ManualClock::default()));
    let (old, new) = (process(&lake, settings(), &clock), process(&lake, settings(), &clock));
    let spec = tables::lake("t");
    old.ensure_table(&spec).await.unwrap();
    new.ensure_table(&spec).await.unwrap();
    let mut zombie = Writer::begin(&old, &spec, "f", 1).await.unwrap();
    commit(&old, &mut zombie).await.unwrap();
    let mut owner = Writer::begin(&new, &spec, "f", 2).await.unwrap();
    assert_eq!(commit(&old, &mut zombie).await.unwrap_err().kind(), ErrorKind::Fenced);
    commit(&new, &mut owner).await.unwrap();
    assert_eq!(scan(&old).await, [rows("f", 1), rows("f", 2)].concat());
}

/// What a plain compare-and-swap on numbered objects gets wrong once old ones are removed.
#[tokio::test]
async fn a_process_that_was_paused_until_its_manifest_was_removed_loses_nothing() {
    let (lake, clock) = (Arc::new(InMemory::new()), Arc::new(ManualClock::default()));
    let (paused, busy) = (process(&lake, settings(), &clock), process(&lake, settings(), &clock));
    let spec = tables::lake("t");
    paused.ensure_table(&spec).await.unwrap();
    busy.ensure_table(&spec).await.unwrap();
    let mut f = Writer::begin(&paused, &spec, "f", 1).await.unwrap();
    commit(&paused, &mut f).await.unwrap();
    let mut g = Writer::begin(&busy, &spec, "g", 1).await.unwrap();
    for _ in 0..40 {
        commit(&busy, &mut g).await.unwrap();
    }
    clock.advance(Duration::from_secs(300));
    busy.maintain().await.unwrap();
    assert!(!objects(&lake).await.iter().any(|o| o.ends_with("/00000000000000000003.json")), "the number after the paused one's is free");
    assert_eq!(commit(&paused, &mut f).await.unwrap(), 3);
    commit(&paused, &mut f).await.unwrap();
    let found = scan(&busy).await;
    let of_f: Vec<Row> = found.iter().filter(|r| r[0] == "f".into()).cloned().collect();
    assert_eq!(of_f, [rows("f", 1), rows("f", 2), rows("f", 3)].concat());
    assert_eq!(found.len(), 43 * 3);
}

#[tokio::test]
async fn a_roll_that_was_interrupted_at_any_point_is_finished_by_the_next_process() {
    let spec = tables::lake("t");
    for polls in 0..60 {
        let (lake, clock) = (Arc::new(InMemory::new()), Arc::new(ManualClock::default()));
        let store = process(&lake, settings(), &clock);
        store.ensure_table(&spec).await.unwrap();
        let mut writer = Writer::begin(&store, &spec, "f", 1).await.unwrap();
        for _ in 0..3 {
            commit(&store, &mut writer).await.unwrap();
        }
        clock.advance(Duration::from_secs(300));
        {
            let mut rolling = std::pin::pin!(store.maintain());
            for _ in 0..polls {
                if futures::poll!(&mut rolling).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        let next = process(&lake, settings(), &clock);
        next.ensure_table(&spec).await.unwrap();
        let mut writer = Writer::begin(&next, &spec, "f", 2).await.unwrap();
        commit(&next, &mut writer).await.unwrap();
        let expected: Vec<Row> = (1..=4).flat_map(|e| rows("f", e)).collect();
        assert_eq!(scan(&next).await, expected, "after {polls} polls");
        clock.advance(Duration::from_secs(300));
        next.maintain().await.unwrap();
        assert_eq!(scan(&next).await, expected, "after {polls} polls, and the next roll");
        let there = objects(&lake).await;
        assert!((1..=2).contains(&count(&there, "/data/")), "{there:?}");
    }
}

#[tokio::test]
async fn files_of_epochs_that_never_committed_are_ignored_and_removed_once_their_attempt_is_fenced() {
    let (lake, clock) = (Arc::new(InMemory::new()), Arc::new(ManualClock::default()));
    let store = process(&lake, settings(), &clock);
    let spec = tables::lake("t");
    store.ensure_table(&spec).await.unwrap();
    let mut writer = Writer::begin(&store, &spec, "f", 1).await.unwrap();
    commit(&store, &mut writer).await.unwrap();
    let table = store.table("t").unwrap();
    let orphan = writer.write(Epoch(2), &[insert(1, rows("f", 2)[0].clone())], 1).unwrap();
    let bytes = parquet::encode(spec.schema.clone(), table.rows_of(&orphan).unwrap()).await.unwrap();
    table.stage(&orphan, 1, bytes, clock.as_ref()).await.unwrap();
    assert_eq!(scan(&store).await, rows("f", 1));
    for _ in 0..2 {
        clock.advance(Duration::from_secs(61));
        assert_eq!(store.maintain().await.unwrap().removed, 0, "its writer may still commit it, however old it is");
    }
    let mut writer = Writer::begin(&store, &spec, "f", 2).await.unwrap();
    store.maintain().await.unwrap();
    clock.advance(Duration::from_secs(61));
    assert_eq!(store.maintain().await.unwrap().removed, 1);
    commit(&store, &mut writer).await.unwrap();
    assert_eq!(scan(&store).await, [rows("f", 1), rows("f", 2)].concat());
}

#[tokio::test]
async fn a_torn_or_lost_file_is_named_and_not_read_around() {
    let (lake, clock) = (Arc::new(InMemory::new()), Arc::new(ManualClock::default()));
    let store = process(&lake, settings(), &clock);
    let spec = tables::lake("t");
    store.ensure_table(&spec).await.unwrap();
    let mut writer = Writer::begin(&store, &spec, "f", 1).await.unwrap();
    commit(&store, &mut writer).await.unwrap();
    let staged = objects(&lake).await.into_iter().find(|o| o.contains("/_staging/")).unwrap();
    let whole = lake.get(&staged.as_str().into()).await.unwrap().bytes().await.unwrap();
    lake.put(&staged.as_str().into(), whole.slice(..whole.len() / 2).into()).await.unwrap();
    let error = store.scan("t", None).await.unwrap().try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains(&staged), "{error}");
    lake.put(&staged.as_str().into(), whole.into()).await.unwrap();
    clock.advance(Duration::from_secs(300));
    store.maintain().await.unwrap();
    let data = objects(&lake).await.into_iter().find(|o| o.contains("/data/")).unwrap();
    lake.delete(&data.as_str().into()).await.unwrap();
    let error = store.scan("t", None).await.unwrap().try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn a_folder_of_somebody_elses_files_is_left_alone() {
    let (lake, clock) = (Arc::new(InMemory::new()), Arc::new(ManualClock::default()));
    let store = process(&lake, settings(), &clock);
    lake.put(&"lake/t/data/theirs.parquet".into(), "x".into()).await.unwrap();
    let error = store.ensure_table(&tables::lake("t")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert!(error.to_string().contains("theirs.parquet"), "{error}");
    store.drop_table("t").await.unwrap();
    assert_eq!(objects(&lake).await.len(), 1);
}
