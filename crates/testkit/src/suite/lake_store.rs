//! The contract of [`LakeStore`], with its [`EpochSink`](millstream_core::ports::EpochSink).

use std::sync::Arc;

use millstream_core::ports::LakeStore;
use millstream_core::{Attempt, Epoch, ErrorKind, TableSpec};
use tokio::task::JoinSet;

use super::suite;
use crate::changes::{Change, Writer, delete, insert, update};
use crate::check::{CaseResult, Failure, refused};
use crate::generate::Changes;
use crate::harness::Harness;
use crate::rows::{Cell, Row, collect};
use crate::tables;
use crate::{check, check_eq, row};

/// The port that the suite tests.
pub type Port = Arc<dyn LakeStore>;

suite!(
    "lake store",
    Port,
    [
        a_table_is_made_once,
        unknown_tables_are_not_found,
        committed_rows_are_scanned_in_the_order_of_their_epochs,
        rows_are_only_added,
        a_delete_is_refused_and_leaves_nothing,
        a_committed_epoch_changes_nothing_when_written_again,
        an_epoch_that_leaves_a_gap_is_refused_and_leaves_nothing,
        a_lower_attempt_is_fenced_and_leaves_nothing,
        flows_into_one_table_have_epochs_of_their_own,
        flows_that_commit_at_the_same_time_lose_nothing,
        a_dropped_commit_happened_wholly_or_not_at_all,
        every_row_is_there_once_however_often_its_writer_dies,
        a_scan_beside_commits_sees_whole_epochs,
        what_was_committed_survives_a_restart,
        drop_table_removes_rows_and_epochs,
    ]
);

/// Row `id` of epoch `epoch` of `flow`.
fn one(flow: &str, epoch: i64, id: i64) -> Row {
    row![flow, epoch, id, format!("{flow}-{epoch}-{id}")]
}

fn rows(flow: &str, epoch: i64, count: i64) -> Vec<Row> {
    (0..count).map(|id| one(flow, epoch, id)).collect()
}

fn changes(rows: &[Row]) -> Vec<Change> {
    rows.iter().map(|row| insert(1, row.clone())).collect()
}

async fn store_with(h: &dyn Harness<Port>) -> CaseResult<(Port, TableSpec, Writer)> {
    let spec = tables::lake("t");
    let store = h.open().await?;
    store.ensure_table(&spec).await?;
    let writer = Writer::begin(&*store, &spec, "f", 1).await?;
    Ok((store, spec, writer))
}

async fn restarted(h: &dyn Harness<Port>, store: Port, spec: &TableSpec) -> CaseResult<Port> {
    let store = if h.abilities().keeps_data { h.reopen(store).await? } else { store };
    store.ensure_table(spec).await?;
    Ok(store)
}

async fn scan(store: &Port) -> CaseResult<Vec<Row>> {
    Ok(collect(store.scan("t", None).await?).await?)
}

/// Made known again without loss; another shape is refused and shown.
pub async fn a_table_is_made_once(h: &dyn Harness<Port>) -> CaseResult {
    let (store, spec, mut w) = store_with(h).await?;
    check_eq!(scan(&store).await?, Vec::<Row>::new(), "a new table is empty");
    w.commit(&*store, &changes(&rows("f", 1, 3))).await?;
    store.ensure_table(&spec).await?;
    check_eq!(scan(&store).await?, rows("f", 1, 3), "making it known again leaves its rows");
    let mut other = spec.clone();
    other.schema = tables::single("t").schema;
    let error = refused(store.ensure_table(&other).await, ErrorKind::AlreadyExists, "another shape")?;
    for shape in [spec.fingerprint(), other.fingerprint()] {
        check!(error.to_string().contains(&shape), "the error shows both shapes: {error} lacks {shape}");
    }
    let store = restarted(h, store, &spec).await?;
    refused(store.ensure_table(&other).await, ErrorKind::AlreadyExists, "another shape after a restart")?;
    Ok(())
}

/// An unknown table is `NotFound` in every call.
pub async fn unknown_tables_are_not_found(h: &dyn Harness<Port>) -> CaseResult {
    let (store, _, w) = store_with(h).await?;
    refused(store.begin(&w.flow, Attempt(1), "nope").await, ErrorKind::NotFound, "begin on an unknown table")?;
    let mut write = w.write(Epoch(1), &changes(&rows("f", 1, 1)), 10)?;
    write.table = "nope".to_owned();
    refused(store.commit(write).await, ErrorKind::NotFound, "a commit to an unknown table")?;
    refused(store.scan("nope", None).await, ErrorKind::NotFound, "a scan of an unknown table")?;
    store.drop_table("nope").await?;
    Ok(())
}

/// All rows, epoch by epoch; the columns asked for, in that order.
pub async fn committed_rows_are_scanned_in_the_order_of_their_epochs(h: &dyn Harness<Port>) -> CaseResult {
    let (store, _, mut w) = store_with(h).await?;
    let mut expected = Vec::new();
    for epoch in 1..=12 {
        let some = rows("f", epoch, epoch % 4);
        let added = w.commit(&*store, &changes(&some)).await?;
        check_eq!(added, some.len() as u64, "so many rows were added by epoch {epoch} (an epoch without rows counts too)");
        expected.extend(some);
        check_eq!(scan(&store).await?, expected, "the rows of {epoch} epochs, in their order");
    }
    let some = collect(store.scan("t", Some(vec![3, 1])).await?).await?;
    let projected: Vec<Row> = expected.iter().map(|r| vec![r[3].clone(), r[1].clone()]).collect();
    check_eq!(some, projected, "the columns asked for, in that order");
    let none = collect(store.scan("t", Some(vec![])).await?).await?;
    check_eq!(none.len(), expected.len(), "a scan of no column has as many rows");
    Ok(())
}

/// Equal rows are there as often as they were written; an update is one more row; nulls are kept.
pub async fn rows_are_only_added(h: &dyn Harness<Port>) -> CaseResult {
    let (store, _, mut w) = store_with(h).await?;
    let null = row!["f", 1_i64, 0_i64, Cell::Null];
    w.commit(&*store, &changes(&[null.clone(), null.clone()])).await?;
    w.commit(&*store, &[insert(1, null.clone()), update(9, null.clone())]).await?;
    check_eq!(scan(&store).await?, vec![null; 4], "equal rows are all kept");
    Ok(())
}

/// `InvalidInput`, and nothing of the epoch shows.
pub async fn a_delete_is_refused_and_leaves_nothing(h: &dyn Harness<Port>) -> CaseResult {
    let (store, _, mut w) = store_with(h).await?;
    w.commit(&*store, &changes(&rows("f", 1, 2))).await?;
    let mixed = [insert(1, one("f", 2, 0)), delete(2, one("f", 1, 0))];
    refused(store.commit(w.write(Epoch(2), &mixed, 1)?).await, ErrorKind::InvalidInput, "an epoch with a delete")?;
    check_eq!(scan(&store).await?, rows("f", 1, 2), "nothing of the refused epoch shows");
    w.commit(&*store, &changes(&rows("f", 2, 1))).await?;
    check_eq!(scan(&store).await?.len(), 3, "the epoch can be written without it");
    Ok(())
}

/// Idempotence: an epoch that is committed already changes nothing, whatever is in the write, and succeeds.
pub async fn a_committed_epoch_changes_nothing_when_written_again(h: &dyn Harness<Port>) -> CaseResult {
    let (store, spec, mut w) = store_with(h).await?;
    w.commit(&*store, &changes(&rows("f", 1, 4))).await?;
    w.commit(&*store, &changes(&rows("f", 2, 2))).await?;
    let before = scan(&store).await?;
    for epoch in [2, 1] {
        let again = w.write(Epoch(epoch), &changes(&rows("f", 9, 30)), 10)?;
        check_eq!(store.commit(again).await?, 0, "epoch {epoch} again adds no row");
    }
    let store = restarted(h, store, &spec).await?;
    let later = Writer::begin(&*store, &spec, "f", 2).await?;
    check_eq!(later.epoch, Epoch(2), "begin returns the last committed epoch");
    let again = later.write(Epoch(2), &changes(&rows("f", 2, 2)), 10)?;
    check_eq!(store.commit(again).await?, 0, "the epoch again by a later attempt adds no row");
    check_eq!(scan(&store).await?, before, "the table is as before");
    Ok(())
}

/// `InvalidInput`, and nothing of it shows.
pub async fn an_epoch_that_leaves_a_gap_is_refused_and_leaves_nothing(h: &dyn Harness<Port>) -> CaseResult {
    let (store, _, mut w) = store_with(h).await?;
    let gap = w.write(Epoch(2), &changes(&rows("f", 2, 3)), 10)?;
    refused(store.commit(gap).await, ErrorKind::InvalidInput, "epoch 2 as the first")?;
    w.commit(&*store, &changes(&rows("f", 1, 1))).await?;
    let gap = w.write(Epoch(3), &changes(&rows("f", 3, 3)), 10)?;
    refused(store.commit(gap).await, ErrorKind::InvalidInput, "epoch 3 after 1")?;
    check_eq!(scan(&store).await?, rows("f", 1, 1), "nothing of the refused epochs shows");
    Ok(())
}

/// Once a higher attempt began, a lower one is `Fenced`, also after a restart, and nothing of it shows.
pub async fn a_lower_attempt_is_fenced_and_leaves_nothing(h: &dyn Harness<Port>) -> CaseResult {
    let (store, spec, mut zombie) = store_with(h).await?;
    zombie.commit(&*store, &changes(&rows("f", 1, 2))).await?;
    let mut owner = Writer::begin(&*store, &spec, "f", 3).await?;
    let late = || zombie.write(Epoch(2), &changes(&rows("zombie", 2, 9)), 10);
    refused(store.commit(late()?).await, ErrorKind::Fenced, "a commit by a lower attempt")?;
    // Whatever it answers, a zombie that begins again must not lift the fence.
    let _ = store.begin(&zombie.flow, Attempt(2), "t").await;
    refused(store.commit(late()?).await, ErrorKind::Fenced, "a commit by a lower attempt, after a lower one tried to begin")?;
    let store = restarted(h, store, &spec).await?;
    refused(store.commit(late()?).await, ErrorKind::Fenced, "a commit by a lower attempt, after a restart")?;
    check_eq!(scan(&store).await?, rows("f", 1, 2), "nothing of the fenced epochs shows");
    owner.commit(&*store, &changes(&rows("f", 2, 1))).await?;
    check_eq!(scan(&store).await?.len(), 3, "the owner writes the epoch");
    Ok(())
}

/// Epochs and fences are a flow's own, whatever it is called.
pub async fn flows_into_one_table_have_epochs_of_their_own(h: &dyn Harness<Port>) -> CaseResult {
    let (store, spec, mut f) = store_with(h).await?;
    let odd = "a flow / with % odd \"letters\" é";
    let mut g = Writer::begin(&*store, &spec, odd, 7).await?;
    f.commit(&*store, &changes(&rows("f", 1, 2))).await?;
    f.commit(&*store, &changes(&rows("f", 2, 2))).await?;
    g.commit(&*store, &changes(&rows("g", 1, 2))).await?;
    check_eq!(scan(&store).await?, [rows("f", 1, 2), rows("f", 2, 2), rows("g", 1, 2)].concat(), "the rows of both flows");
    let store = restarted(h, store, &spec).await?;
    check_eq!(store.begin(&f.flow, Attempt(1), "t").await?, Epoch(2), "flow f has committed two epochs");
    check_eq!(store.begin(&g.flow, Attempt(7), "t").await?, Epoch(1), "the other has committed one");
    Ok(())
}

/// Commits of several flows beside each other.
pub async fn flows_that_commit_at_the_same_time_lose_nothing(h: &dyn Harness<Port>) -> CaseResult {
    let (store, spec, _) = store_with(h).await?;
    let mut tasks = JoinSet::new();
    for flow in ["a", "b", "c"] {
        let (store, spec) = (store.clone(), spec.clone());
        tasks.spawn(async move {
            let mut w = Writer::begin(&*store, &spec, flow, 1).await?;
            for epoch in 1..=8 {
                w.commit(&*store, &changes(&rows(flow, epoch, 3))).await?;
            }
            Ok::<_, millstream_core::Error>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.map_err(|e| Failure::Broken(format!("a flow ends: {e}")))??;
    }
    let found = scan(&store).await?;
    for flow in ["a", "b", "c"] {
        let of_flow: Vec<Row> = found.iter().filter(|r| r[0] == flow.into()).cloned().collect();
        let expected: Vec<Row> = (1..=8).flat_map(|epoch| rows(flow, epoch, 3)).collect();
        check_eq!(of_flow, expected, "the rows of flow {flow}, each once, in the order of its epochs");
    }
    Ok(())
}

/// A commit whose future is dropped leaves the whole epoch, with its number, or nothing.
pub async fn a_dropped_commit_happened_wholly_or_not_at_all(h: &dyn Harness<Port>) -> CaseResult {
    let (store, spec, w) = store_with(h).await?;
    let all = rows("f", 1, 500);
    {
        let mut commit = store.commit(w.write(Epoch(1), &changes(&all), 50)?);
        let _ = futures::poll!(&mut commit);
    }
    let store = restarted(h, store, &spec).await?;
    let again = Writer::begin(&*store, &spec, "f", 2).await?;
    check!(again.epoch.0 <= 1, "the last committed epoch is 0 or 1, not {}", again.epoch);
    let there = scan(&store).await?;
    check!(there.is_empty() || there == all, "epoch {} stands with {} of 500 rows", again.epoch, there.len());
    store.commit(again.write(Epoch(1), &changes(&all), 50)?).await?;
    check_eq!(scan(&store).await?, all, "committed again, every row is there once");
    Ok(())
}

/// Commits that are given up at any point, and taken up by the next attempt, leave every row once.
pub async fn every_row_is_there_once_however_often_its_writer_dies(h: &dyn Harness<Port>) -> CaseResult {
    let (mut store, spec, mut w) = store_with(h).await?;
    let mut chance = Changes::seeded(17, 1);
    let mut attempt = 1;
    while w.epoch < Epoch(25) {
        let epoch = i64::try_from(w.epoch.0 + 1).unwrap_or(0);
        let some = changes(&rows("f", epoch, epoch % 5));
        if chance.below(2) == 0 {
            w.commit(&*store, &some).await?;
            continue;
        }
        {
            let mut commit = store.commit(w.write(w.epoch.next(), &some, 2)?);
            for _ in 0..chance.below(12) {
                if futures::poll!(&mut commit).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        if chance.below(3) == 0 {
            store = restarted(h, store, &spec).await?;
        }
        attempt += 1;
        let next = Writer::begin(&*store, &spec, "f", attempt).await?;
        let as_it_was = next.epoch == w.epoch || next.epoch == w.epoch.next();
        check!(as_it_was, "attempt {attempt} finds epoch {} after {}", next.epoch, w.epoch);
        w = next;
    }
    let expected: Vec<Row> = (1..=25).flat_map(|epoch| rows("f", epoch, epoch % 5)).collect();
    check_eq!(scan(&store).await?, expected, "every row of 25 epochs once, in {attempt} attempts");
    Ok(())
}

/// A scan sees the rows of the first so many epochs, whole.
pub async fn a_scan_beside_commits_sees_whole_epochs(h: &dyn Harness<Port>) -> CaseResult {
    let (store, _, mut w) = store_with(h).await?;
    let mut tasks = JoinSet::new();
    let writing = store.clone();
    tasks.spawn(async move {
        for epoch in 1..=40 {
            w.commit(&*writing, &changes(&rows("f", epoch, 6))).await?;
            tokio::task::yield_now().await;
        }
        Ok::<_, millstream_core::Error>(())
    });
    let expected: Vec<Row> = (1..=40).flat_map(|epoch| rows("f", epoch, 6)).collect();
    let mut seen = 0;
    loop {
        let ended = tasks.try_join_next();
        let found = scan(&store).await?;
        check!(found.len() % 6 == 0, "a scan sees whole epochs of 6 rows ({} rows)", found.len());
        check!(found.len() >= seen, "a later scan sees no less ({} rows after {seen})", found.len());
        check_eq!(found, expected.get(..found.len()).unwrap_or_default(), "a scan sees the first epochs, each row once");
        seen = found.len();
        if let Some(done) = ended {
            done.map_err(|e| Failure::Broken(format!("the writer ends: {e}")))??;
            check_eq!(scan(&store).await?, expected, "in the end all rows");
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
}

/// Rows and epochs are durable when a commit returns.
pub async fn what_was_committed_survives_a_restart(h: &dyn Harness<Port>) -> CaseResult {
    if !h.abilities().keeps_data {
        return Err(Failure::skipped("it keeps nothing"));
    }
    let (mut store, spec, mut w) = store_with(h).await?;
    for epoch in 1..=9 {
        w.commit(&*store, &changes(&rows("f", epoch, 2))).await?;
        if epoch % 3 == 0 {
            store = restarted(h, store, &spec).await?;
            let expected: Vec<Row> = (1..=epoch).flat_map(|e| rows("f", e, 2)).collect();
            check_eq!(scan(&store).await?, expected, "all rows are there after a restart");
        }
    }
    check_eq!(store.begin(&w.flow, Attempt(2), "t").await?, Epoch(9), "the epoch goes on");
    Ok(())
}

/// A dropped table takes everything with it; unknown is fine.
pub async fn drop_table_removes_rows_and_epochs(h: &dyn Harness<Port>) -> CaseResult {
    let (store, spec, mut w) = store_with(h).await?;
    for epoch in 1..=3 {
        w.commit(&*store, &changes(&rows("f", epoch, 2))).await?;
    }
    store.drop_table("t").await?;
    store.drop_table("t").await?;
    refused(store.scan("t", None).await, ErrorKind::NotFound, "a scan of a dropped table")?;
    store.ensure_table(&spec).await?;
    check_eq!(scan(&store).await?, Vec::<Row>::new(), "made again it is empty");
    let mut w = Writer::begin(&*store, &spec, "f", 1).await?;
    check_eq!(w.epoch, Epoch(0), "its flows' epochs are gone");
    w.commit(&*store, &changes(&rows("f", 1, 1))).await?;
    check_eq!(scan(&store).await?, rows("f", 1, 1), "and it takes rows again");
    Ok(())
}
