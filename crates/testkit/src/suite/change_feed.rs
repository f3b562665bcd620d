//! The contract of [`ChangeFeed`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use millstream_core::ports::{ChangeFeed, EventStore, FeedPosition};
use millstream_core::{ChangeKind, Epoch, ErrorKind, FlowId, TableSpec, Timestamp};
use tokio::task::JoinSet;

use super::{ready_now, suite, woken};
use crate::changes::{Change, Writer, changes_of, delete, insert, update};
use crate::check::{CaseResult, Failure, refused};
use crate::generate::Changes;
use crate::harness::Harness;
use crate::rows::{Cell, Row, collect};
use crate::tables::{self, event, event_key};
use crate::{check, check_eq, row};

/// What the suite tests: a feed, and the store whose tables it is of.
#[derive(Clone)]
pub struct Port {
    /// The store that is written to.
    pub store: Arc<dyn EventStore>,
    /// The feed of its tables.
    pub feed: Arc<dyn ChangeFeed>,
}

suite!(
    "change feed",
    Port,
    [
        every_change_is_read_once,
        kinds_are_those_that_the_table_saw,
        versions_and_rows_are_those_after_the_change,
        a_delete_has_its_key_columns_alone,
        changes_of_a_partition_key_are_in_one_range_in_commit_order,
        positions_name_the_range_and_rise,
        what_leaves_a_row_as_it_was_is_no_change,
        refused_epochs_do_not_show,
        a_change_shows_once_its_epoch_has_committed,
        reading_resumes_at_every_position,
        positions_hold_across_restarts,
        pages_keep_their_limit_and_pending_is_zero_at_the_end,
        the_feed_adds_up_to_the_table,
        tables_have_feeds_of_their_own,
        ranges_are_fixed_for_the_tables_life,
        expiry_is_no_change,
        foreign_positions_are_out_of_range,
        unknown_tables_are_not_found,
        wait_returns_at_once_when_there_are_changes,
        wait_wakes_on_a_commit,
    ]
);

async fn open_with(h: &dyn Harness<Port>, spec: &TableSpec) -> CaseResult<(Port, Writer)> {
    let port = h.open().await?;
    port.store.ensure_table(spec).await?;
    let writer = Writer::begin(&*port.store, spec, "f", 1).await?;
    Ok((port, writer))
}

/// Changes of one range after `after`, `limit` a time, with the position after each page; until nothing is pending.
async fn read_range(
    port: &Port,
    table: &str,
    range: i32,
    after: &FeedPosition,
    limit: usize,
) -> CaseResult<(Vec<Change>, Vec<FeedPosition>)> {
    let (mut changes, mut positions, mut after) = (Vec::new(), Vec::new(), after.clone());
    loop {
        let page = port.feed.read(table, range, &after, limit).await?;
        check!(page.changes.len() <= limit, "a page has at most {limit} changes, not {}", page.changes.len());
        let some = changes_of(&page.changes)?;
        if some.is_empty() && page.pending == 0 {
            return Ok((changes, positions));
        }
        check!(page.next != after, "a page that is not the end moves the position (range {range}, {} pending)", page.pending);
        changes.extend(some);
        positions.push(page.next.clone());
        after = page.next;
    }
}

async fn ranges(port: &Port, table: &str) -> CaseResult<i32> {
    let ranges = port.feed.ranges(table).await?;
    check!(ranges >= 1, "a feed has at least one range, not {ranges}");
    Ok(ranges)
}

/// All changes of a table, range by range.
async fn read_all(port: &Port, table: &str, limit: usize) -> CaseResult<Vec<Change>> {
    let mut all = Vec::new();
    for range in 0..ranges(port, table).await? {
        all.extend(read_range(port, table, range, &FeedPosition::default(), limit).await?.0);
    }
    Ok(all)
}

/// Kind, version and row of `changes`, in their order.
fn what(changes: &[Change]) -> Vec<(ChangeKind, i64, Row)> {
    changes.iter().map(|c| (c.kind, c.version, c.row.clone())).collect()
}

fn gone(key: &str) -> Row {
    row![key, None::<i64>]
}

/// Where each range ends now.
async fn ends(port: &Port, table: &str) -> CaseResult<Vec<FeedPosition>> {
    let mut ends = Vec::new();
    for range in 0..ranges(port, table).await? {
        let (_, positions) = read_range(port, table, range, &FeedPosition::default(), 1_000).await?;
        ends.push(positions.last().cloned().unwrap_or_default());
    }
    Ok(ends)
}

/// Each committed change, exactly once.
pub async fn every_change_is_read_once(h: &dyn Harness<Port>) -> CaseResult {
    let (port, mut w) = open_with(h, &tables::single("t")).await?;
    check_eq!(read_all(&port, "t", 10).await?.len(), 0, "the feed of a new table is empty");
    for epoch in 0..10_i64 {
        let changes: Vec<_> = (0..20).map(|i| insert(1, row![format!("k{}", epoch * 20 + i), i])).collect();
        w.commit(&*port.store, &changes).await?;
    }
    for limit in [1, 7, 1_000] {
        let mut keys: Vec<_> = read_all(&port, "t", limit).await?.into_iter().map(|c| format!("{:?}", c.row[0])).collect();
        check_eq!(keys.len(), 200, "200 changes are read, {limit} a page");
        keys.sort();
        keys.dedup();
        check_eq!(keys.len(), 200, "each of them once, {limit} a page");
    }
    Ok(())
}

/// Insert, update or delete is what happened to the table, not what the writer called it.
pub async fn kinds_are_those_that_the_table_saw(h: &dyn Harness<Port>) -> CaseResult {
    let (port, mut w) = open_with(h, &tables::single("t")).await?;
    w.commit(&*port.store, &[insert(1, row!["a", 1])]).await?;
    w.commit(&*port.store, &[insert(2, row!["a", 2])]).await?;
    w.commit(&*port.store, &[delete(3, gone("a"))]).await?;
    w.commit(&*port.store, &[update(4, row!["a", 4])]).await?;
    w.commit(&*port.store, &[update(5, row!["a", 5])]).await?;
    let kinds: Vec<_> = read_all(&port, "t", 10).await?.iter().map(|c| c.kind).collect();
    use ChangeKind::{Delete, Insert, Update};
    check_eq!(kinds, [Insert, Update, Delete, Insert, Update], "kinds are those that the change had on the table");
    Ok(())
}

/// Version and row after the change.
pub async fn versions_and_rows_are_those_after_the_change(h: &dyn Harness<Port>) -> CaseResult {
    let (port, mut w) = open_with(h, &tables::all_types("t")).await?;
    let rows = tables::all_types_rows();
    w.commit(&*port.store, &[insert(7, rows[0].clone()), insert(8, rows[1].clone())]).await?;
    let mut other = rows[2].clone();
    other[0] = Cell::Int(1);
    w.commit(&*port.store, &[update(9, other.clone())]).await?;
    let mut read = what(&read_all(&port, "t", 10).await?);
    read.sort_by_key(|(_, version, _)| *version);
    let expected = vec![(ChangeKind::Insert, 7, rows[0].clone()), (ChangeKind::Insert, 8, rows[1].clone()), (ChangeKind::Update, 9, other)];
    check_eq!(read, expected, "each change has its version and the row after it");
    Ok(())
}

/// Of a delete only the key columns; the others are null.
pub async fn a_delete_has_its_key_columns_alone(h: &dyn Harness<Port>) -> CaseResult {
    let (port, mut w) = open_with(h, &tables::events("t")).await?;
    w.commit(&*port.store, &[insert(1, event("EWR", 1, 10, 1, 5))]).await?;
    // The writer's own values in the other columns mean nothing.
    w.commit(&*port.store, &[delete(2, event("EWR", 1, 10, 1, 99))]).await?;
    let read = what(&read_all(&port, "t", 10).await?);
    check_eq!(read[1..], [(ChangeKind::Delete, 2, event_key("EWR", 1, 10, 1))], "a delete has the key, its version, and nulls");
    Ok(())
}

/// All changes of a partition key are in one range, in commit order, also those of different clustering keys.
pub async fn changes_of_a_partition_key_are_in_one_range_in_commit_order(h: &dyn Harness<Port>) -> CaseResult {
    let (port, mut w) = open_with(h, &tables::events("t")).await?;
    let mut n = 0_i32;
    let mut expected: BTreeMap<String, Vec<Cell>> = BTreeMap::new();
    for epoch in 0..12_i64 {
        let mut changes = Vec::new();
        for (origin, day) in [("EWR", 1), ("JFK", 1), ("EWR", 2), ("LGA", 1), ("", 0)] {
            // Clustering keys go down while commits go on, so that an order by key is another than that of commits.
            for k in 0..3_i64 {
                n += 1;
                changes.push(insert(i64::from(n), event(origin, day, 100 - epoch * 3 - k, 1, n)));
                expected.entry(format!("{origin} {day}")).or_default().push(Cell::Int(n.into()));
            }
        }
        w.commit(&*port.store, &changes).await?;
    }
    let mut seen: BTreeMap<String, (i32, Vec<Cell>)> = BTreeMap::new();
    for range in 0..ranges(&port, "t").await? {
        for change in read_range(&port, "t", range, &FeedPosition::default(), 10).await?.0 {
            if let (Cell::Str(origin), Cell::Date(day)) = (&change.row[0], &change.row[1]) {
                let entry = seen.entry(format!("{origin} {day}")).or_insert_with(|| (range, Vec::new()));
                check_eq!(entry.0, range, "all changes of ({origin}, {day}) are in one range");
                entry.1.push(change.row[6].clone());
            }
        }
    }
    let mut in_order: BTreeMap<String, Vec<Cell>> = BTreeMap::new();
    for (key, (_, values)) in seen {
        // Within one epoch a store may show a partition's different rows in its own order; across epochs it may not.
        let mut values = values;
        values.chunks_mut(3).for_each(|epoch| epoch.sort_by_key(|c| if let Cell::Int(n) = c { *n } else { 0 }));
        in_order.insert(key, values);
    }
    check_eq!(in_order, expected, "a partition key's changes are in commit order");
    Ok(())
}

/// A change's source position is its range, and a sequence that rises within it.
pub async fn positions_name_the_range_and_rise(h: &dyn Harness<Port>) -> CaseResult {
    let (port, mut w) = open_with(h, &tables::single("t")).await?;
    for epoch in 0..5_i64 {
        w.commit(&*port.store, &(0..10).map(|i| insert(epoch, row![format!("k{i}"), epoch])).collect::<Vec<_>>()).await?;
    }
    for range in 0..ranges(&port, "t").await? {
        let positions: Vec<_> = read_range(&port, "t", range, &FeedPosition::default(), 3).await?.0.iter().map(|c| c.position).collect();
        check!(positions.iter().all(|p| p.partition == range), "the source partition is the range {range}: {positions:?}");
        check!(positions.windows(2).all(|w| w[0].offset < w[1].offset), "sequences rise within range {range}: {positions:?}");
        let again: Vec<_> = read_range(&port, "t", range, &FeedPosition::default(), 100).await?.0.iter().map(|c| c.position).collect();
        check_eq!(again, positions, "a change has the same sequence each time it is read");
    }
    Ok(())
}

/// An older version, a byte-equal replay, a delete of nothing, an epoch written again: no change.
pub async fn what_leaves_a_row_as_it_was_is_no_change(h: &dyn Harness<Port>) -> CaseResult {
    let (port, mut w) = open_with(h, &tables::single("t")).await?;
    w.commit(&*port.store, &[insert(5, row!["a", 1]), insert(5, row!["b", 1])]).await?;
    w.commit(&*port.store, &[delete(6, gone("b"))]).await?;
    let before = what(&read_all(&port, "t", 10).await?);
    check_eq!(before.len(), 3, "two inserts and a delete");
    for (why, change) in [
        ("a byte-equal replay", insert(5, row!["a", 1])),
        ("an older version", update(4, row!["a", 9])),
        ("an older delete", delete(4, gone("a"))),
        ("a write older than the delete", insert(5, row!["b", 2])),
        ("a delete of a row that never was", delete(9, gone("c"))),
        ("a delete of a row that is gone", delete(7, gone("b"))),
    ] {
        w.commit(&*port.store, &[change]).await?;
        check_eq!(what(&read_all(&port, "t", 10).await?), before, "{why} is no change");
    }
    port.store.commit(w.write(Epoch(1), &[insert(9, row!["z", 1])], 10)?).await?;
    check_eq!(what(&read_all(&port, "t", 10).await?), before, "an epoch that is committed already brings no change");
    Ok(())
}

/// Nothing shows of epochs that were fenced or left a gap.
pub async fn refused_epochs_do_not_show(h: &dyn Harness<Port>) -> CaseResult {
    let spec = tables::single("t");
    let (port, zombie) = open_with(h, &spec).await?;
    let mut owner = Writer::begin(&*port.store, &spec, "f", 2).await?;
    let fenced = zombie.write(Epoch(1), &[insert(1, row!["fenced", 1])], 10)?;
    refused(port.store.commit(fenced).await, ErrorKind::Fenced, "a commit by a lower attempt")?;
    let gap = owner.write(Epoch(2), &[insert(1, row!["gap", 1])], 10)?;
    refused(port.store.commit(gap).await, ErrorKind::InvalidInput, "an epoch that leaves a gap")?;
    check_eq!(read_all(&port, "t", 10).await?.len(), 0, "the feed shows nothing of refused epochs");
    owner.commit(&*port.store, &[insert(1, row!["a", 1])]).await?;
    check_eq!(what(&read_all(&port, "t", 10).await?), [(ChangeKind::Insert, 1, row!["a", 1])], "it shows the committed one");
    Ok(())
}

/// Beside a writer: a change that the feed shows is of an epoch that the store says is committed, and a reader that follows the
/// feed gets every change once.
pub async fn a_change_shows_once_its_epoch_has_committed(h: &dyn Harness<Port>) -> CaseResult {
    const EPOCHS: i64 = 60;
    let (port, mut w) = open_with(h, &tables::single("t")).await?;
    let store = port.store.clone();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        for epoch in 1..=EPOCHS {
            let changes: Vec<_> = (0..15).map(|k| update(epoch, row![format!("k{k}"), epoch])).collect();
            w.commit(&*store, &changes).await?;
            tokio::task::yield_now().await;
        }
        Ok::<_, millstream_core::Error>(())
    });
    let count = ranges(&port, "t").await?;
    let mut after = vec![FeedPosition::default(); usize::try_from(count).unwrap_or(0)];
    let mut seen: BTreeMap<String, i64> = BTreeMap::new();
    loop {
        let ended = tasks.try_join_next();
        for (range, after) in (0..count).zip(&mut after) {
            loop {
                let page = port.feed.read("t", range, after, 4).await?;
                let committed = port.store.snapshot().await?.epochs("t").await?.get(&FlowId::new("f")).copied().unwrap_or_default();
                for change in changes_of(&page.changes)? {
                    let (key, epoch) = (format!("{:?}", change.row[0]), change.version);
                    check!(
                        u64::try_from(epoch).unwrap_or(0) <= committed.0,
                        "a change of epoch {epoch} shows when {committed} is committed"
                    );
                    let last = seen.insert(key.clone(), epoch).unwrap_or(0);
                    check_eq!(epoch, last + 1, "{key} is seen once an epoch, in order");
                }
                *after = page.next.clone();
                if page.changes.is_empty() && page.pending == 0 {
                    break;
                }
            }
        }
        if let Some(done) = ended {
            done.map_err(|e| Failure::Broken(format!("the writer ends: {e}")))??;
            check!(seen.len() == 15 && seen.values().all(|e| *e == EPOCHS), "every key's last change is seen: {seen:?}");
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
}

/// Every position that a page returned is a place to go on from, in any order, with any limit.
pub async fn reading_resumes_at_every_position(h: &dyn Harness<Port>) -> CaseResult {
    let (port, mut w) = open_with(h, &tables::single("t")).await?;
    for epoch in 0..6_i64 {
        w.commit(&*port.store, &(0..9).map(|i| update(epoch, row![format!("k{i}"), epoch])).collect::<Vec<_>>()).await?;
    }
    for range in 0..ranges(&port, "t").await? {
        let (all, positions) = read_range(&port, "t", range, &FeedPosition::default(), 1).await?;
        let mut ahead = Vec::new();
        let mut reached = 0;
        let mut after = FeedPosition::default();
        for position in &positions {
            reached += port.feed.read("t", range, &after, 1).await?.changes.len();
            ahead.push((position.clone(), reached));
            after = position.clone();
        }
        for (position, reached) in ahead.iter().rev() {
            for limit in [1, 4, 100] {
                let rest = read_range(&port, "t", range, position, limit).await?.0;
                check_eq!(rest, all[*reached..], "range {range} goes on after {reached} changes, {limit} a page");
            }
        }
    }
    Ok(())
}

/// A position of before a restart is good after it, and nothing is lost or doubled.
pub async fn positions_hold_across_restarts(h: &dyn Harness<Port>) -> CaseResult {
    if !h.abilities().keeps_data {
        return Err(Failure::skipped("it keeps nothing"));
    }
    let spec = tables::single("t");
    let (mut port, mut w) = open_with(h, &spec).await?;
    let mut seen = Vec::new();
    let mut after = vec![FeedPosition::default(); usize::try_from(ranges(&port, "t").await?).unwrap_or(0)];
    for epoch in 1..=4_i64 {
        w.commit(&*port.store, &(0..9).map(|i| update(epoch, row![format!("k{i}"), epoch])).collect::<Vec<_>>()).await?;
        if epoch % 2 == 0 {
            // Half of what is there is read before the restart.
            for (range, after) in (0..).zip(&mut after) {
                let page = port.feed.read("t", range, after, 3).await?;
                seen.extend(changes_of(&page.changes)?);
                *after = page.next;
            }
        }
        port = h.reopen(port).await?;
        port.store.ensure_table(&spec).await?;
    }
    for (range, after) in (0..).zip(&after) {
        seen.extend(read_range(&port, "t", range, after, 5).await?.0);
    }
    let mut all: Vec<_> = seen.iter().map(|c| format!("{:?} {}", c.row[0], c.version)).collect();
    all.sort();
    check_eq!(all.len(), 36, "36 changes are read across restarts");
    all.dedup();
    check_eq!(all.len(), 36, "each of them once");
    Ok(())
}

/// At most `limit`; the end is where nothing is pending.
pub async fn pages_keep_their_limit_and_pending_is_zero_at_the_end(h: &dyn Harness<Port>) -> CaseResult {
    let (port, mut w) = open_with(h, &tables::single("t")).await?;
    w.commit(&*port.store, &(0..100_i64).map(|i| insert(1, row![format!("k{i}"), i])).collect::<Vec<_>>()).await?;
    let mut total = 0;
    for range in 0..ranges(&port, "t").await? {
        let first = port.feed.read("t", range, &FeedPosition::default(), 5).await?;
        check!(first.changes.len() <= 5, "a page has at most 5 changes");
        let (changes, positions) = read_range(&port, "t", range, &FeedPosition::default(), 5).await?;
        if changes.len() > first.changes.len() {
            check!(first.pending > 0, "range {range} says that more is pending");
        }
        if let Some(end) = positions.last() {
            let page = port.feed.read("t", range, end, 5).await?;
            check!(page.changes.is_empty() && page.pending == 0, "at its end range {range} is empty, with nothing pending");
        }
        total += changes.len();
    }
    check_eq!(total, 100, "all changes are read");
    Ok(())
}

/// Random epochs: what the feed says, applied in order, is the table; and each kind fits what came before it.
pub async fn the_feed_adds_up_to_the_table(h: &dyn Harness<Port>) -> CaseResult {
    let spec = tables::events("t");
    let (mut port, mut w) = open_with(h, &spec).await?;
    let mut random = Changes::seeded(11, 25).with_distinct_versions(!h.abilities().orders_equal_versions);
    for step in 0..40 {
        let count = random.below(20);
        let changes = random.next(count);
        w.commit(&*port.store, &changes).await?;
        if step % 13 == 12 && h.abilities().keeps_data {
            port = h.reopen(port).await?;
            port.store.ensure_table(&spec).await?;
        }
    }
    let mut folded: BTreeMap<String, Row> = BTreeMap::new();
    for change in read_all(&port, "t", 6).await? {
        let key = format!("{:?}", &change.row[..4]);
        let known = folded.contains_key(&key);
        match change.kind {
            ChangeKind::Insert => check!(!known, "an insert is of a row that was not there ({key})"),
            ChangeKind::Update => check!(known, "an update is of a row that was there ({key})"),
            ChangeKind::Delete => check!(known, "a delete is of a row that was there ({key})"),
        }
        if change.kind == ChangeKind::Delete {
            folded.remove(&key);
        } else {
            folded.insert(key, change.row);
        }
    }
    let scan = port.store.snapshot().await?.scan("t", &millstream_core::ports::Scan::default()).await?;
    let rows: BTreeMap<String, Row> = collect(scan).await?.into_iter().map(|r| (format!("{:?}", &r[..4]), r)).collect();
    check_eq!(folded, rows, "the feed, applied in order, gives the table");
    Ok(())
}

/// A change of one table is not in another's feed.
pub async fn tables_have_feeds_of_their_own(h: &dyn Harness<Port>) -> CaseResult {
    let (port, mut w) = open_with(h, &tables::single("t")).await?;
    let other = tables::single("t2");
    port.store.ensure_table(&other).await?;
    let mut w2 = Writer::begin(&*port.store, &other, "g", 1).await?;
    w.commit(&*port.store, &[insert(1, row!["a", 1])]).await?;
    w2.commit(&*port.store, &[insert(2, row!["b", 2])]).await?;
    check_eq!(what(&read_all(&port, "t", 10).await?), [(ChangeKind::Insert, 1, row!["a", 1])], "t's change alone");
    check_eq!(what(&read_all(&port, "t2", 10).await?), [(ChangeKind::Insert, 2, row!["b", 2])], "t2's change alone");
    port.store.drop_table("t").await?;
    check_eq!(read_all(&port, "t2", 10).await?.len(), 1, "dropping a table leaves the other's feed");
    port.store.ensure_table(&tables::single("t")).await?;
    check_eq!(read_all(&port, "t", 10).await?.len(), 0, "a table that was made again has a new feed");
    Ok(())
}

/// The number of ranges never changes.
pub async fn ranges_are_fixed_for_the_tables_life(h: &dyn Harness<Port>) -> CaseResult {
    let spec = tables::single("t");
    let (port, mut w) = open_with(h, &spec).await?;
    let before = ranges(&port, "t").await?;
    w.commit(&*port.store, &(0..500_i64).map(|i| insert(1, row![format!("k{i}"), i])).collect::<Vec<_>>()).await?;
    check_eq!(ranges(&port, "t").await?, before, "ranges stay when rows come");
    if h.abilities().keeps_data {
        let port = h.reopen(port).await?;
        port.store.ensure_table(&spec).await?;
        check_eq!(ranges(&port, "t").await?, before, "ranges stay across a restart");
    }
    Ok(())
}

/// A row that expires brings no change.
pub async fn expiry_is_no_change(h: &dyn Harness<Port>) -> CaseResult {
    if !h.abilities().settable_clock {
        return Err(Failure::skipped("its clock can't be set"));
    }
    let now = 1_704_067_200_000_000_i64;
    h.clock().set(Timestamp(now));
    let (port, mut w) = open_with(h, &tables::with_ttl(tables::single("t"), Duration::from_secs(10))).await?;
    w.commit(&*port.store, &[insert(now, row!["a", 1])]).await?;
    let after = ends(&port, "t").await?;
    h.clock().set(Timestamp(now + 60_000_000));
    w.commit(&*port.store, &[insert(now + 60_000_000, row!["b", 1])]).await?;
    let mut new = Vec::new();
    for (range, after) in (0..).zip(&after) {
        new.extend(read_range(&port, "t", range, after, 10).await?.0);
    }
    check_eq!(what(&new), [(ChangeKind::Insert, now + 60_000_000, row!["b", 1])], "the expired row brought no change");
    Ok(())
}

/// A position of another table, or beyond the feed's end, is `OutOfRange`.
pub async fn foreign_positions_are_out_of_range(h: &dyn Harness<Port>) -> CaseResult {
    let (port, mut w) = open_with(h, &tables::single("t")).await?;
    let other = tables::single("t2");
    port.store.ensure_table(&other).await?;
    let mut w2 = Writer::begin(&*port.store, &other, "g", 1).await?;
    let keys = |n: i64| (0..n).map(|i| insert(1, row![format!("k{i}"), i])).collect::<Vec<_>>();
    w.commit(&*port.store, &keys(64)).await?;
    w2.commit(&*port.store, &keys(64)).await?;
    let end = |range: i32, ends: &[FeedPosition]| ends[usize::try_from(range).unwrap_or(0)].clone();
    let ends = ends(&port, "t").await?;
    let Some(range) = (0..ranges(&port, "t").await?).find(|r| end(*r, &ends) != FeedPosition::default()) else {
        return Err(Failure::Broken("64 changes are in some range".to_owned()));
    };
    let end = end(range, &ends);
    refused(port.feed.read("t2", range, &end, 10).await, ErrorKind::OutOfRange, "a position of another table")?;
    port.store.drop_table("t").await?;
    port.store.ensure_table(&tables::single("t")).await?;
    refused(
        port.feed.read("t", range, &end, 10).await,
        ErrorKind::OutOfRange,
        "a position of the dropped table, beyond the new one's end",
    )?;
    Ok(())
}

/// An unknown table is `NotFound` in every call.
pub async fn unknown_tables_are_not_found(h: &dyn Harness<Port>) -> CaseResult {
    let port = h.open().await?;
    refused(port.feed.ranges("nope").await, ErrorKind::NotFound, "the ranges of an unknown table")?;
    refused(port.feed.read("nope", 0, &FeedPosition::default(), 1).await, ErrorKind::NotFound, "a read of an unknown table's feed")?;
    let wait = woken("a wait on an unknown table", port.feed.wait("nope", &[FeedPosition::default()])).await?;
    refused(wait, ErrorKind::NotFound, "a wait on an unknown table's feed")?;
    Ok(())
}

/// `wait` resolves at once when some range has changes.
pub async fn wait_returns_at_once_when_there_are_changes(h: &dyn Harness<Port>) -> CaseResult {
    let (port, mut w) = open_with(h, &tables::single("t")).await?;
    let start = vec![FeedPosition::default(); usize::try_from(ranges(&port, "t").await?).unwrap_or(0)];
    w.commit(&*port.store, &[insert(1, row!["a", 1])]).await?;
    woken("a wait with a change there", port.feed.wait("t", &start)).await??;
    Ok(())
}

/// `wait` is pending while nothing changes, and wakes on a commit that changes something, in whatever range.
pub async fn wait_wakes_on_a_commit(h: &dyn Harness<Port>) -> CaseResult {
    let (port, mut w) = open_with(h, &tables::single("t")).await?;
    let other = tables::single("t2");
    port.store.ensure_table(&other).await?;
    let mut w2 = Writer::begin(&*port.store, &other, "g", 1).await?;
    for i in 0..12_i64 {
        let seen = ends(&port, "t").await?;
        let mut wait = port.feed.wait("t", &seen);
        w2.commit(&*port.store, &[insert(1, row![format!("k{i}"), i])]).await?;
        check!(ready_now(&mut wait).await.is_none(), "a wait is pending while its table does not change");
        w.commit(&*port.store, &[insert(1, row![format!("k{i}"), i])]).await?;
        woken("a wait whose table changed", wait).await??;
    }
    Ok(())
}
