//! Snapshots: one moment, whole epochs.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_core::ports::Scan;
use millstream_core::{Epoch, ErrorKind, FlowId, Version};
use tokio::task::JoinSet;

use super::{Port, store_with};
use crate::changes::{Writer, delete, insert, inserts};
use crate::check::{CaseResult, Failure, refused};
use crate::harness::Harness;
use crate::rows::{Cell, Row, collect};
use crate::tables::{self, event, event_key};
use crate::{check, check_eq};

fn rows(range: std::ops::Range<i64>, n: i32) -> Vec<Row> {
    range.map(|id| event(["EWR", "JFK", "LGA"][usize::try_from(id % 3).unwrap_or(0)], 1, id, id, n)).collect()
}

/// Later inserts, updates, deletes and drops don't show; the snapshot can be read again and again.
pub async fn a_snapshot_does_not_see_later_commits(h: &dyn Harness<Port>) -> CaseResult {
    if !h.abilities().consistent_snapshots {
        return Err(Failure::skipped("its scans are no snapshots"));
    }
    let (store, mut w) = store_with(h, &tables::events("t")).await?;
    w.commit(&*store, &inserts(Version(5), &rows(0..50, 1))).await?;
    let snapshot = store.snapshot().await?;
    let before = collect(snapshot.scan("t", &Scan::default()).await?).await?;
    let begun = snapshot.scan("t", &Scan::default()).await?;
    let mut changes = inserts(Version(6), &rows(20..90, 2));
    changes.push(delete(7, event_key("EWR", 1, 0, 0)));
    w.commit(&*store, &changes).await?;
    check_eq!(collect(begun).await?, before, "a scan that had begun goes on as it began");
    check_eq!(collect(snapshot.scan("t", &Scan::default()).await?).await?, before, "a new scan of the snapshot shows the same");
    check_eq!(snapshot.epochs("t").await?.get(&w.flow).copied(), Some(Epoch(1)), "its epochs are those of its moment");
    let later = store.snapshot().await?;
    check_eq!(collect(later.scan("t", &Scan::default()).await?).await?.len(), 89, "a later snapshot shows the later epoch");
    // A table made after the snapshot is not part of it.
    store.ensure_table(&tables::single("made_later")).await?;
    refused(snapshot.scan("made_later", &Scan::default()).await, ErrorKind::NotFound, "a scan of a table made after the snapshot")?;
    Ok(())
}

/// The committed epoch of every flow into the table.
pub async fn a_snapshot_knows_the_committed_epochs(h: &dyn Harness<Port>) -> CaseResult {
    let spec = tables::events("t");
    let (store, mut f) = store_with(h, &spec).await?;
    store.ensure_table(&tables::single("other")).await?;
    let mut g = Writer::begin(&*store, &spec, "g", 1).await?;
    f.commit(&*store, &inserts(Version(5), &rows(0..3, 1))).await?;
    f.commit(&*store, &inserts(Version(5), &rows(3..6, 1))).await?;
    g.commit(&*store, &inserts(Version(5), &rows(6..9, 1))).await?;
    let snapshot = store.snapshot().await?;
    let mut epochs = snapshot.epochs("t").await?;
    epochs.retain(|_, epoch| *epoch > Epoch(0));
    check_eq!(epochs, BTreeMap::from([(FlowId::new("f"), Epoch(2)), (FlowId::new("g"), Epoch(1))]), "two flows write into t");
    check!(snapshot.epochs("other").await?.values().all(|e| *e == Epoch(0)), "no flow has committed into the other table");
    Ok(())
}

/// Readers beside a writer: the writer's epoch n sets every row to n, so a snapshot that shows two values shows half an epoch.
pub async fn snapshots_see_whole_epochs_while_commits_run(h: &dyn Harness<Port>) -> CaseResult {
    if !(h.abilities().consistent_snapshots && h.abilities().atomic_epochs) {
        return Err(Failure::skipped("its scans are no snapshots"));
    }
    const EPOCHS: u64 = 60;
    let (store, mut w) = store_with(h, &tables::events("t")).await?;
    w.commit(&*store, &inserts(Version(1), &rows(0..90, 1))).await?;
    let mut tasks = JoinSet::new();
    let writing = store.clone();
    tasks.spawn(async move {
        for n in 2..=i32::try_from(EPOCHS).unwrap_or(0) {
            w.commit(&*writing, &inserts(Version(n.into()), &rows(0..90, n))).await?;
            tokio::task::yield_now().await;
        }
        Ok::<_, millstream_core::Error>(())
    });
    let mut last = 0;
    loop {
        let ended = tasks.try_join_next();
        let snapshot = store.snapshot().await?;
        let scan = snapshot.scan("t", &Scan { columns: Some(vec![6]), ..Scan::default() }).await?;
        let seen = collect(scan).await?;
        let epoch = snapshot.epochs("t").await?.get(&FlowId::new("f")).copied().unwrap_or_default();
        let epoch_cell = Cell::Int(i64::try_from(epoch.0).unwrap_or(0));
        check_eq!(seen.len(), 90, "a snapshot shows all rows");
        check!(
            seen.iter().all(|r| r[0] == epoch_cell),
            "a snapshot of epoch {epoch} shows that epoch whole: {:?}",
            crate::check::shortened(&seen)
        );
        check!(epoch.0 >= last, "a later snapshot never goes back (from {last} to {epoch})");
        last = epoch.0;
        if let Some(done) = ended {
            done.map_err(|e| Failure::Broken(format!("the writer ends: {e}")))??;
            check_eq!(epoch, Epoch(EPOCHS), "the last snapshot shows the last epoch");
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
}

/// One writer writes epoch n to one table, then to another: a snapshot never shows the second ahead of the first.
pub async fn a_snapshot_is_one_moment_of_all_tables(h: &dyn Harness<Port>) -> CaseResult {
    if !h.abilities().consistent_snapshots {
        return Err(Failure::skipped("its scans are no snapshots"));
    }
    let (first, second) = (tables::single("first"), tables::single("second"));
    let store = h.open().await?;
    store.ensure_table(&first).await?;
    store.ensure_table(&second).await?;
    let mut to_first = Writer::begin(&*store, &first, "f", 1).await?;
    let mut to_second = Writer::begin(&*store, &second, "g", 1).await?;
    let mut tasks = JoinSet::new();
    let writing = Arc::clone(&store);
    tasks.spawn(async move {
        for n in 1..=60_i64 {
            to_first.commit(&*writing, &[insert(n, crate::row!["a", n])]).await?;
            to_second.commit(&*writing, &[insert(n, crate::row!["a", n])]).await?;
            tokio::task::yield_now().await;
        }
        Ok::<_, millstream_core::Error>(())
    });
    loop {
        let ended = tasks.try_join_next();
        let snapshot = store.snapshot().await?;
        // Read in the order that would show the fault: what is written first is read last.
        let second = collect(snapshot.scan("second", &Scan::default()).await?).await?;
        tokio::task::yield_now().await;
        let first = collect(snapshot.scan("first", &Scan::default()).await?).await?;
        let value = |rows: &[Row]| if let Some(Cell::Int(n)) = rows.first().map(|r| r[1].clone()) { n } else { 0 };
        let ahead = value(&first) - value(&second);
        check!(ahead == 0 || ahead == 1, "both tables are of one moment: first is {ahead} epochs ahead of second");
        if let Some(done) = ended {
            done.map_err(|e| Failure::Broken(format!("the writer ends: {e}")))??;
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
}
