//! Epochs: atomic, fenced, idempotent, without gaps; and the tables that they are written into.

use millstream_core::ports::{Isolation, Scan};
use millstream_core::{Attempt, Epoch, ErrorKind, FlowId};

use super::{Port, events_of, pages, restarted, store_with, table, with_version};
use crate::changes::{Writer, delete, insert, inserts, update};
use crate::check::{CaseResult, Failure, refused};
use crate::harness::Harness;
use crate::rows::{Row, batch, rows_of};
use crate::tables::{self, event};
use crate::{check, check_eq, row};

fn rows(range: std::ops::Range<i64>) -> Vec<Row> {
    range.map(|id| event(if id % 2 == 0 { "EWR" } else { "JFK" }, 1, id * 1_000, id, 1)).collect()
}

/// A table is made known again without loss; another shape is refused and shown.
pub async fn tables_are_made_once(h: &dyn Harness<Port>) -> CaseResult {
    let spec = tables::events("t");
    let (store, mut writer) = store_with(h, &spec).await?;
    writer.commit(&*store, &inserts(millstream_core::Version(5), &rows(0..3))).await?;
    store.ensure_table(&spec).await?;
    check_eq!(table(&store, "t").await?, with_version(&rows(0..3), 5), "making it known again leaves its rows");
    let mut other = spec.clone();
    other.key.clustering.pop();
    let error = refused(store.ensure_table(&other).await, ErrorKind::AlreadyExists, "another clustering key")?;
    for shape in [spec.fingerprint(), other.fingerprint()] {
        check!(error.to_string().contains(&shape), "the error shows both shapes: {error} lacks {shape}");
    }
    let ttl = tables::with_ttl(spec.clone(), std::time::Duration::from_secs(5));
    refused(store.ensure_table(&ttl).await, ErrorKind::AlreadyExists, "another TTL")?;
    if h.abilities().keeps_data {
        let store = h.reopen(store).await?;
        refused(store.ensure_table(&other).await, ErrorKind::AlreadyExists, "another shape after a restart")?;
        store.ensure_table(&spec).await?;
    }
    Ok(())
}

/// An unknown table is `NotFound` in every call.
pub async fn unknown_tables_are_not_found(h: &dyn Harness<Port>) -> CaseResult {
    let (store, writer) = store_with(h, &tables::events("t")).await?;
    refused(store.begin(&writer.flow, Attempt(1), "nope").await, ErrorKind::NotFound, "begin on an unknown table")?;
    let mut write = writer.write(Epoch(1), &inserts(millstream_core::Version(1), &rows(0..1)), 10)?;
    write.table = "nope".to_owned();
    refused(store.commit(write).await, ErrorKind::NotFound, "a commit to an unknown table")?;
    refused(store.read_partition("nope", &events_of("EWR", 1)).await, ErrorKind::NotFound, "a read of an unknown table")?;
    let snapshot = store.snapshot().await?;
    refused(snapshot.epochs("nope").await, ErrorKind::NotFound, "the epochs of an unknown table")?;
    refused(snapshot.scan("nope", &Scan::default()).await, ErrorKind::NotFound, "a scan of an unknown table")?;
    Ok(())
}

/// What was committed is read.
pub async fn a_committed_epoch_is_read_back(h: &dyn Harness<Port>) -> CaseResult {
    let (store, mut writer) = store_with(h, &tables::events("t")).await?;
    check_eq!(table(&store, "t").await?, Vec::<Row>::new(), "a new table is empty");
    writer.commit(&*store, &inserts(millstream_core::Version(7), &rows(0..20))).await?;
    check_eq!(table(&store, "t").await?, with_version(&rows(0..20), 7), "a scan returns the rows with their version");
    let page = store.read_partition("t", &events_of("JFK", 1)).await?;
    let odd: Vec<Row> = rows(0..20).into_iter().rev().filter(|r| r[0] == "JFK".into()).collect();
    let odd: Vec<Row> = odd
        .into_iter()
        .map(|mut r| {
            r.push(7_i64.into());
            r
        })
        .collect();
    check_eq!(rows_of(&page.rows)?, odd, "a read of a partition returns its rows with their version");
    writer.commit(&*store, &inserts(millstream_core::Version(8), &rows(20..25))).await?;
    check_eq!(table(&store, "t").await?.len(), 25, "the next epoch adds to it");
    Ok(())
}

/// Values of every type, extreme ones and nulls, come back as they were written, also after a restart.
pub async fn columns_of_every_type_are_kept(h: &dyn Harness<Port>) -> CaseResult {
    let spec = tables::all_types("t");
    let (store, mut writer) = store_with(h, &spec).await?;
    writer.commit(&*store, &inserts(millstream_core::Version(1), &tables::all_types_rows())).await?;
    let expected = with_version(&tables::all_types_rows(), 1);
    check_eq!(table(&store, "t").await?, expected, "every value comes back");
    let page = store.read_partition("t", &super::partition_of([millstream_core::Value::Int(1)])).await?;
    check_eq!(page.rows.schema().fields()[..14], spec.schema.fields()[..14], "a page has the table's columns");
    let store = if h.abilities().keeps_data { restarted(h, store, &spec).await? } else { store };
    check_eq!(table(&store, "t").await?, expected, "every value comes back after a restart");
    Ok(())
}

/// 0 before the first, then the last committed one.
pub async fn begin_returns_the_last_committed_epoch(h: &dyn Harness<Port>) -> CaseResult {
    let spec = tables::events("t");
    let (mut store, mut writer) = store_with(h, &spec).await?;
    check_eq!(writer.epoch, Epoch(0), "before the first commit it is 0");
    for epoch in 1..=3 {
        writer.commit(&*store, &inserts(millstream_core::Version(1), &rows(epoch..epoch + 1))).await?;
        let last = store.begin(&writer.flow, Attempt(1), "t").await?;
        check_eq!(last, Epoch(u64::try_from(epoch).unwrap_or(0)), "begin by the same attempt returns the last committed epoch");
    }
    check_eq!(store.begin(&writer.flow, Attempt(4), "t").await?, Epoch(3), "begin by a later attempt returns it too");
    if h.abilities().keeps_data {
        store = restarted(h, store, &spec).await?;
        check_eq!(store.begin(&writer.flow, Attempt(5), "t").await?, Epoch(3), "begin after a restart returns it too");
    }
    check_eq!(store.begin(&FlowId::new("other"), Attempt(1), "t").await?, Epoch(0), "another flow has committed nothing");
    Ok(())
}

/// Idempotence: an epoch that is committed already changes nothing, whatever is in the write, and succeeds.
pub async fn a_committed_epoch_changes_nothing_when_written_again(h: &dyn Harness<Port>) -> CaseResult {
    let spec = tables::events("t");
    let (store, mut writer) = store_with(h, &spec).await?;
    writer.commit(&*store, &inserts(millstream_core::Version(5), &rows(0..4))).await?;
    writer.commit(&*store, &inserts(millstream_core::Version(5), &rows(4..6))).await?;
    let before = table(&store, "t").await?;
    for epoch in [2, 1] {
        let again = writer.write(Epoch(epoch), &inserts(millstream_core::Version(9), &rows(0..30)), 10)?;
        check_eq!(store.commit(again).await?, 0, "epoch {epoch} again changes no row");
    }
    let later = Writer::begin(&*store, &spec, "f", 2).await?;
    let again = later.write(Epoch(2), &inserts(millstream_core::Version(9), &rows(0..30)), 10)?;
    check_eq!(store.commit(again).await?, 0, "the epoch again by a later attempt changes no row");
    check_eq!(table(&store, "t").await?, before, "the table is as before");
    check_eq!(store.begin(&later.flow, Attempt(2), "t").await?, Epoch(2), "the last committed epoch is as before");
    Ok(())
}

/// An epoch that leaves a gap is `InvalidInput`, and nothing of it shows.
pub async fn an_epoch_that_leaves_a_gap_is_refused_and_leaves_nothing(h: &dyn Harness<Port>) -> CaseResult {
    let spec = tables::events("t");
    let (store, mut writer) = store_with(h, &spec).await?;
    let gap = writer.write(Epoch(2), &inserts(millstream_core::Version(9), &rows(0..3)), 10)?;
    refused(store.commit(gap).await, ErrorKind::InvalidInput, "epoch 2 as the first")?;
    writer.commit(&*store, &inserts(millstream_core::Version(5), &rows(0..1))).await?;
    let gap = writer.write(Epoch(3), &inserts(millstream_core::Version(9), &rows(0..3)), 10)?;
    refused(store.commit(gap).await, ErrorKind::InvalidInput, "epoch 3 after 1")?;
    check_eq!(table(&store, "t").await?, with_version(&rows(0..1), 5), "nothing of the refused epochs shows");
    writer.commit(&*store, &inserts(millstream_core::Version(5), &rows(1..2))).await?;
    check_eq!(writer.epoch, Epoch(2), "the epoch that was due is accepted");
    Ok(())
}

/// Once a higher attempt began, a lower one is `Fenced`, and nothing of it shows.
pub async fn a_lower_attempt_is_fenced_and_leaves_nothing(h: &dyn Harness<Port>) -> CaseResult {
    let spec = tables::events("t");
    let (store, mut zombie) = store_with(h, &spec).await?;
    zombie.commit(&*store, &inserts(millstream_core::Version(5), &rows(0..1))).await?;
    let mut owner = Writer::begin(&*store, &spec, "f", 3).await?;
    let late = || zombie.write(Epoch(2), &inserts(millstream_core::Version(9), &rows(0..9)), 10);
    refused(store.commit(late()?).await, ErrorKind::Fenced, "a commit by a lower attempt")?;
    // Whatever it answers, a zombie that begins again must not lift the fence.
    let _ = store.begin(&FlowId::new("f"), Attempt(2), "t").await;
    refused(store.commit(late()?).await, ErrorKind::Fenced, "a commit by a lower attempt, after a lower one tried to begin")?;
    check_eq!(table(&store, "t").await?, with_version(&rows(0..1), 5), "nothing of the fenced epoch shows");
    owner.commit(&*store, &inserts(millstream_core::Version(6), &rows(1..2))).await?;
    check_eq!(owner.epoch, Epoch(2), "the owner writes the epoch");
    let mut other = Writer::begin(&*store, &spec, "g", 1).await?;
    other.commit(&*store, &inserts(millstream_core::Version(6), &rows(2..3))).await?;
    Ok(())
}

/// The highest attempt that began is remembered by the next process.
pub async fn a_fence_survives_a_restart(h: &dyn Harness<Port>) -> CaseResult {
    if !h.abilities().keeps_data {
        return Err(Failure::skipped("it keeps nothing"));
    }
    let spec = tables::events("t");
    let (store, zombie) = store_with(h, &spec).await?;
    store.begin(&zombie.flow, Attempt(2), "t").await?;
    let store = restarted(h, store, &spec).await?;
    let late = zombie.write(Epoch(1), &inserts(millstream_core::Version(9), &rows(0..3)), 10)?;
    refused(store.commit(late).await, ErrorKind::Fenced, "a commit by a lower attempt, after a restart")?;
    check_eq!(table(&store, "t").await?, Vec::<Row>::new(), "nothing of it shows");
    Ok(())
}

/// Epochs and fences are a flow's own.
pub async fn flows_into_one_table_have_epochs_of_their_own(h: &dyn Harness<Port>) -> CaseResult {
    let spec = tables::events("t");
    let (store, mut f) = store_with(h, &spec).await?;
    let mut g = Writer::begin(&*store, &spec, "g", 1).await?;
    f.commit(&*store, &inserts(millstream_core::Version(1), &rows(0..2))).await?;
    f.commit(&*store, &inserts(millstream_core::Version(1), &rows(2..4))).await?;
    g.commit(&*store, &inserts(millstream_core::Version(1), &rows(4..6))).await?;
    check_eq!(table(&store, "t").await?.len(), 6, "the rows of both flows are there");
    check_eq!(store.begin(&f.flow, Attempt(1), "t").await?, Epoch(2), "flow f has committed two epochs");
    check_eq!(store.begin(&g.flow, Attempt(1), "t").await?, Epoch(1), "flow g has committed one");
    Ok(())
}

/// A commit whose future is dropped leaves the whole epoch, with its number, or nothing.
pub async fn a_dropped_commit_happened_wholly_or_not_at_all(h: &dyn Harness<Port>) -> CaseResult {
    let spec = tables::events("t");
    let (store, writer) = store_with(h, &spec).await?;
    {
        let mut commit = store.commit(writer.write(Epoch(1), &inserts(millstream_core::Version(5), &rows(0..500)), 50)?);
        let _ = futures::poll!(&mut commit);
    }
    let store = if h.abilities().keeps_data { restarted(h, store, &spec).await? } else { store };
    // Committing it again must do whatever the dropped one left undone, and no more.
    let mut again = Writer::begin(&*store, &spec, "f", 2).await?;
    check!(again.epoch.0 <= 1, "the last committed epoch is 0 or 1, not {}", again.epoch);
    let rows_then = table(&store, "t").await?.len();
    // Where rows show before their epoch, some of them may: writing the epoch again completes them.
    let part = store.isolation() == Isolation::Row && rows_then < 500;
    let whole = if again.epoch == Epoch(1) { rows_then == 500 } else { rows_then == 0 || rows_then == 500 || part };
    check!(whole, "epoch {} stands with {rows_then} of 500 rows", again.epoch);
    store.commit(again.write(Epoch(1), &inserts(millstream_core::Version(5), &rows(0..500)), 50)?).await?;
    check_eq!(table(&store, "t").await?.len(), 500, "after the epoch was written again all its rows are there");
    again = Writer::begin(&*store, &spec, "f", 2).await?;
    check_eq!(again.epoch, Epoch(1), "and it is committed");
    Ok(())
}

/// Epochs without changes count.
pub async fn an_empty_epoch_is_committed(h: &dyn Harness<Port>) -> CaseResult {
    let (store, mut writer) = store_with(h, &tables::events("t")).await?;
    check_eq!(writer.commit(&*store, &[]).await?, 0, "an empty epoch changes no row");
    check_eq!(store.begin(&writer.flow, Attempt(1), "t").await?, Epoch(1), "an empty epoch is committed");
    writer.commit(&*store, &inserts(millstream_core::Version(5), &rows(0..1))).await?;
    check_eq!(table(&store, "t").await?.len(), 1, "the next one follows it");
    Ok(())
}

/// The count is of rows that now stand differently, not of changes; where the system can't tell, of changes.
pub async fn commit_counts_the_rows_that_stand_differently(h: &dyn Harness<Port>) -> CaseResult {
    let (store, mut w) = store_with(h, &tables::single("t")).await?;
    if !h.abilities().counts_changes {
        let twice = [insert(5, row!["a", 1]), insert(6, row!["a", 1])];
        check_eq!(w.commit(&*store, &twice).await?, 2, "it counts what it was given");
        return Ok(());
    }
    check_eq!(w.commit(&*store, &[insert(5, row!["a", 1]), insert(5, row!["b", 1])]).await?, 2, "two new rows");
    check_eq!(w.commit(&*store, &[insert(5, row!["a", 1])]).await?, 0, "the same row again");
    check_eq!(w.commit(&*store, &[update(4, row!["a", 9])]).await?, 0, "an older version");
    check_eq!(w.commit(&*store, &[update(6, row!["a", 2]), delete(6, row!["b", None::<i64>])]).await?, 2, "an update and a delete");
    check_eq!(w.commit(&*store, &[delete(7, row!["nobody", None::<i64>])]).await?, 0, "a delete of a row that isn't there");
    Ok(())
}

/// Rows and epochs are found by the next process.
pub async fn what_was_committed_survives_a_restart(h: &dyn Harness<Port>) -> CaseResult {
    if !h.abilities().keeps_data {
        return Err(Failure::skipped("it keeps nothing"));
    }
    let spec = tables::events("t");
    let (mut store, _) = store_with(h, &spec).await?;
    for round in 0..3_i64 {
        let mut writer = Writer::begin(&*store, &spec, "f", u64::try_from(round).unwrap_or(0) + 1).await?;
        check_eq!(writer.epoch.0, u64::try_from(round).unwrap_or(0), "the epoch goes on after a restart");
        writer.commit(&*store, &inserts(millstream_core::Version(5), &rows(round * 10..round * 10 + 10))).await?;
        store = restarted(h, store, &spec).await?;
        check_eq!(table(&store, "t").await?, with_version(&rows(0..round * 10 + 10), 5), "all rows are there after a restart");
    }
    check_eq!(pages(&store, "t", &events_of("EWR", 1)).await?.len(), 15, "a partition is read after a restart");
    Ok(())
}

/// A dropped table takes everything with it; unknown is fine.
pub async fn drop_table_removes_rows_and_epochs(h: &dyn Harness<Port>) -> CaseResult {
    let spec = tables::events("t");
    let (store, mut writer) = store_with(h, &spec).await?;
    let other = tables::events("t2");
    store.ensure_table(&other).await?;
    let mut other_writer = Writer::begin(&*store, &other, "f2", 1).await?;
    writer.commit(&*store, &inserts(millstream_core::Version(5), &rows(0..5))).await?;
    other_writer.commit(&*store, &inserts(millstream_core::Version(5), &rows(0..7))).await?;
    store.drop_table("t").await?;
    store.drop_table("t").await?;
    store.drop_table("never there").await?;
    refused(store.read_partition("t", &events_of("EWR", 1)).await, ErrorKind::NotFound, "a read of a dropped table")?;
    // Another shape is fine now, and the table begins anew.
    let spec = tables::single("t");
    store.ensure_table(&spec).await?;
    check_eq!(table(&store, "t").await?, Vec::<Row>::new(), "its rows don't come back");
    let mut writer = Writer::begin(&*store, &spec, "f", 1).await?;
    check_eq!(writer.epoch, Epoch(0), "its flows' epochs are gone");
    writer.commit(&*store, &[insert(1, row!["a", 1])]).await?;
    check_eq!(table(&store, "t2").await?.len(), 7, "another table is left alone");
    // A batch of the old table's columns doesn't fit the new one.
    let mut wrong = writer.write(Epoch(2), &[], 1)?;
    let old_rows = batch(&other.schema, &rows(0..1))?;
    wrong.changes = vec![millstream_core::ChangeBatch::inserts(old_rows, millstream_core::Version(1))?];
    check!(store.commit(wrong).await.is_err(), "rows of other columns than the table's are refused");
    Ok(())
}
