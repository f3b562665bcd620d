//! The contract of [`CriticalStore`], with its [`EpochSink`](millstream_core::ports::EpochSink).

use std::sync::Arc;
use std::time::Duration;

use millstream_core::ports::{CriticalRow, CriticalStore};
use millstream_core::{Attempt, Epoch, ErrorKind, TableSpec, Timestamp, Value, Version};

use super::suite;
use crate::changes::{Writer, delete, insert, update};
use crate::check::{CaseResult, Failure, refused};
use crate::harness::Harness;
use crate::rows::{Row, batch, collect, rows_of};
use crate::tables;
use crate::{check, check_eq, row};

/// The port that the suite tests.
pub type Port = Arc<dyn CriticalStore>;

suite!(
    "critical store",
    Port,
    [
        a_table_is_made_once,
        unknown_tables_are_not_found,
        a_committed_row_is_found_by_its_key,
        keys_that_do_not_fit_are_refused,
        epochs_are_idempotent_fenced_and_without_gaps,
        the_greater_version_wins_in_any_order_of_arrival,
        a_fill_puts_what_was_missing,
        a_fill_never_overwrites_the_same_or_a_greater_version,
        a_fill_never_brings_back_a_deleted_row,
        a_write_after_a_fill_wins_by_version,
        rows_expire_by_version_and_ttl,
        writing_or_filling_again_does_not_extend_a_rows_life,
        a_scan_returns_living_rows_in_key_order,
        evict_all_forgets_rows_and_keeps_epochs,
        rows_and_deletes_survive_a_restart,
        drop_table_removes_rows_and_epochs,
    ]
);

const HOUR: i64 = 3_600_000_000;
/// 2100-01-01: in the future of every machine, so that a system which removes expired rows by a clock of its own leaves it to the suite's.
const NOW: i64 = 4_102_444_800_000_000;

/// A store whose clock stands at [`NOW`], with the table `t` of rows that live for an hour, and a writer into it.
async fn store_with(h: &dyn Harness<Port>) -> CaseResult<(Port, TableSpec, Writer)> {
    h.clock().set(Timestamp(NOW));
    let spec = tables::critical("t", Some(Duration::from_secs(3_600)));
    let store = h.open().await?;
    store.ensure_table(&spec).await?;
    let writer = Writer::begin(&*store, &spec, "f", 1).await?;
    Ok((store, spec, writer))
}

fn key(origin: &str, id: i64) -> [Value; 2] {
    [Value::Str(origin.to_owned()), Value::Int(id)]
}

fn gone(origin: &str, id: i64) -> Row {
    row![origin, id, None::<i32>]
}

fn filled(spec: &TableSpec, version: i64, row: Row) -> CaseResult<CriticalRow> {
    let row = batch(&spec.schema, &[row])?;
    Ok(CriticalRow { row, version: Version(version), expires: spec.ttl.map(|ttl| Timestamp(Version(version).plus(ttl).0)) })
}

/// The row with this key, and its version.
async fn get(store: &Port, origin: &str, id: i64) -> CaseResult<Option<(Row, i64)>> {
    let Some(found) = store.get("t", &key(origin, id)).await? else { return Ok(None) };
    let rows = rows_of(&found.row)?;
    check_eq!(rows.len(), 1, "a row is a batch of one row");
    Ok(Some((rows[0].clone(), found.version.0)))
}

async fn scan(store: &Port) -> CaseResult<Vec<Row>> {
    Ok(collect(store.scan("t", None).await?).await?)
}

/// Made known again without loss; another shape is refused and shown.
pub async fn a_table_is_made_once(h: &dyn Harness<Port>) -> CaseResult {
    let (store, spec, mut w) = store_with(h).await?;
    w.commit(&*store, &[insert(NOW, row!["EWR", 1, 130])]).await?;
    store.ensure_table(&spec).await?;
    check_eq!(scan(&store).await?.len(), 1, "making it known again leaves its rows");
    let other = tables::critical("t", None);
    let error = refused(store.ensure_table(&other).await, ErrorKind::AlreadyExists, "another TTL")?;
    for shape in [spec.fingerprint(), other.fingerprint()] {
        check!(error.to_string().contains(&shape), "the error shows both shapes: {error} lacks {shape}");
    }
    Ok(())
}

/// An unknown table is `NotFound` in every call.
pub async fn unknown_tables_are_not_found(h: &dyn Harness<Port>) -> CaseResult {
    let (store, spec, w) = store_with(h).await?;
    let row = filled(&spec, NOW, row!["EWR", 1, 130])?;
    refused(store.begin(&w.flow, Attempt(1), "nope").await, ErrorKind::NotFound, "begin on an unknown table")?;
    let mut write = w.write(Epoch(1), &[insert(NOW, row!["EWR", 1, 130])], 10)?;
    write.table = "nope".to_owned();
    refused(store.commit(write).await, ErrorKind::NotFound, "a commit to an unknown table")?;
    refused(store.get("nope", &key("EWR", 1)).await, ErrorKind::NotFound, "a row of an unknown table")?;
    refused(store.fill("nope", &row).await, ErrorKind::NotFound, "a fill of an unknown table")?;
    refused(store.scan("nope", None).await, ErrorKind::NotFound, "a scan of an unknown table")?;
    refused(store.evict_all("nope").await, ErrorKind::NotFound, "evicting an unknown table")?;
    Ok(())
}

/// The row, its version, and the instant at which it expires.
pub async fn a_committed_row_is_found_by_its_key(h: &dyn Harness<Port>) -> CaseResult {
    let (store, _, mut w) = store_with(h).await?;
    let changed = w.commit(&*store, &[insert(NOW, row!["EWR", 1, 130]), insert(NOW + 5, row!["EWR", 2, None::<i32>])]).await?;
    check_eq!(changed, 2, "two rows stand differently");
    check_eq!(get(&store, "EWR", 1).await?, Some((row!["EWR", 1, 130], NOW)), "the row and its version");
    check_eq!(get(&store, "EWR", 2).await?, Some((row!["EWR", 2, None::<i32>], NOW + 5)), "another row and its version");
    let found = store.get("t", &key("EWR", 2)).await?;
    check_eq!(found.and_then(|r| r.expires), Some(Timestamp(NOW + 5 + HOUR)), "it expires at its version plus the TTL");
    check_eq!(get(&store, "JFK", 1).await?, None, "a key that isn't there has no row");
    Ok(())
}

/// Keys of too few values, or of another type.
pub async fn keys_that_do_not_fit_are_refused(h: &dyn Harness<Port>) -> CaseResult {
    let (store, _, _) = store_with(h).await?;
    refused(store.get("t", &key("EWR", 1)[..1]).await, ErrorKind::InvalidInput, "half of a key")?;
    refused(store.get("t", &[Value::Int(1), Value::Int(1)]).await, ErrorKind::InvalidInput, "a key of another type")?;
    Ok(())
}

/// The sink's contract: replays change nothing, lower attempts are fenced, gaps refused, nothing of a refused epoch shows.
pub async fn epochs_are_idempotent_fenced_and_without_gaps(h: &dyn Harness<Port>) -> CaseResult {
    let (store, spec, mut zombie) = store_with(h).await?;
    zombie.commit(&*store, &[insert(NOW, row!["EWR", 1, 130])]).await?;
    let again = zombie.write(Epoch(1), &[insert(NOW + 9, row!["EWR", 1, 999])], 10)?;
    check_eq!(store.commit(again).await?, 0, "an epoch that is committed already changes nothing");
    let gap = zombie.write(Epoch(3), &[insert(NOW + 9, row!["EWR", 1, 999])], 10)?;
    refused(store.commit(gap).await, ErrorKind::InvalidInput, "an epoch that leaves a gap")?;
    let mut owner = Writer::begin(&*store, &spec, "f", 2).await?;
    check_eq!(owner.epoch, Epoch(1), "begin returns the last committed epoch");
    let late = zombie.write(Epoch(2), &[insert(NOW + 9, row!["EWR", 1, 999])], 10)?;
    refused(store.commit(late).await, ErrorKind::Fenced, "a commit by a lower attempt")?;
    check_eq!(scan(&store).await?, [row!["EWR", 1, 130]], "nothing of the refused epochs shows");
    owner.commit(&*store, &[update(NOW + 1, row!["EWR", 1, 131])]).await?;
    check_eq!(scan(&store).await?, [row!["EWR", 1, 131]], "the owner's epoch shows");
    Ok(())
}

/// A greater version wins, in whichever order writes and deletes arrive.
pub async fn the_greater_version_wins_in_any_order_of_arrival(h: &dyn Harness<Port>) -> CaseResult {
    let (store, _, mut w) = store_with(h).await?;
    let orders = [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]];
    for (id, order) in (0_i64..).zip(orders) {
        for n in order {
            w.commit(&*store, &[update(NOW + i64::from(n), row!["EWR", id, n])]).await?;
            let change = if n == 3 { delete(NOW + 3, gone("JFK", id)) } else { insert(NOW + i64::from(n), row!["JFK", id, n]) };
            w.commit(&*store, &[change]).await?;
        }
        check_eq!(get(&store, "EWR", id).await?, Some((row!["EWR", id, 3], NOW + 3)), "version 3 wins in the order {order:?}");
        check_eq!(get(&store, "JFK", id).await?, None, "the delete of version 3 wins in the order {order:?}");
    }
    Ok(())
}

/// After a miss a fill puts the row.
pub async fn a_fill_puts_what_was_missing(h: &dyn Harness<Port>) -> CaseResult {
    let (store, spec, _) = store_with(h).await?;
    store.fill("t", &filled(&spec, NOW, row!["EWR", 1, 130])?).await?;
    check_eq!(get(&store, "EWR", 1).await?, Some((row!["EWR", 1, 130], NOW)), "the filled row is found");
    check_eq!(scan(&store).await?.len(), 1, "and scanned");
    Ok(())
}

/// Unless the store has this version or a greater one.
pub async fn a_fill_never_overwrites_the_same_or_a_greater_version(h: &dyn Harness<Port>) -> CaseResult {
    let (store, spec, mut w) = store_with(h).await?;
    w.commit(&*store, &[insert(NOW + 5, row!["EWR", 1, 130])]).await?;
    for version in [NOW + 4, NOW + 5] {
        store.fill("t", &filled(&spec, version, row!["EWR", 1, 999])?).await?;
        check_eq!(get(&store, "EWR", 1).await?, Some((row!["EWR", 1, 130], NOW + 5)), "a fill of version {version} leaves {}", NOW + 5);
    }
    store.fill("t", &filled(&spec, NOW + 6, row!["EWR", 1, 140])?).await?;
    check_eq!(get(&store, "EWR", 1).await?, Some((row!["EWR", 1, 140], NOW + 6)), "a fill of a greater version is put");
    Ok(())
}

/// Unless the store has a delete of this version or a greater one, also of a row that it never held.
pub async fn a_fill_never_brings_back_a_deleted_row(h: &dyn Harness<Port>) -> CaseResult {
    let (store, spec, mut w) = store_with(h).await?;
    w.commit(&*store, &[insert(NOW, row!["EWR", 1, 130])]).await?;
    w.commit(&*store, &[delete(NOW + 5, gone("EWR", 1)), delete(NOW + 5, gone("EWR", 2))]).await?;
    for id in [1, 2] {
        for version in [NOW, NOW + 4, NOW + 5] {
            store.fill("t", &filled(&spec, version, row!["EWR", id, 130])?).await?;
            check_eq!(get(&store, "EWR", id).await?, None, "a fill of version {version} does not bring row {id} back");
        }
    }
    store.fill("t", &filled(&spec, NOW + 6, row!["EWR", 1, 140])?).await?;
    check_eq!(get(&store, "EWR", 1).await?, Some((row!["EWR", 1, 140], NOW + 6)), "a fill of a greater version is put");
    Ok(())
}

/// Writes, deletes and fills all compare by version.
pub async fn a_write_after_a_fill_wins_by_version(h: &dyn Harness<Port>) -> CaseResult {
    let (store, spec, mut w) = store_with(h).await?;
    store.fill("t", &filled(&spec, NOW + 5, row!["EWR", 1, 130])?).await?;
    w.commit(&*store, &[update(NOW + 4, row!["EWR", 1, 999])]).await?;
    check_eq!(get(&store, "EWR", 1).await?, Some((row!["EWR", 1, 130], NOW + 5)), "an older write leaves the filled row");
    w.commit(&*store, &[delete(NOW + 4, gone("EWR", 1))]).await?;
    check_eq!(get(&store, "EWR", 1).await?, Some((row!["EWR", 1, 130], NOW + 5)), "an older delete leaves the filled row");
    w.commit(&*store, &[update(NOW + 6, row!["EWR", 1, 140])]).await?;
    check_eq!(get(&store, "EWR", 1).await?, Some((row!["EWR", 1, 140], NOW + 6)), "a newer write replaces it");
    w.commit(&*store, &[delete(NOW + 7, gone("EWR", 1))]).await?;
    check_eq!(get(&store, "EWR", 1).await?, None, "a newer delete removes it");
    Ok(())
}

fn needs_clock(h: &dyn Harness<Port>) -> CaseResult {
    if h.abilities().settable_clock { Ok(()) } else { Err(Failure::skipped("its clock can't be set")) }
}

/// An expired row, written or filled, is not seen by any read.
pub async fn rows_expire_by_version_and_ttl(h: &dyn Harness<Port>) -> CaseResult {
    needs_clock(h)?;
    let (store, spec, mut w) = store_with(h).await?;
    w.commit(&*store, &[insert(NOW, row!["EWR", 1, 130]), insert(NOW - HOUR, row!["EWR", 2, 130])]).await?;
    store.fill("t", &filled(&spec, NOW + 10, row!["JFK", 1, 130])?).await?;
    store.fill("t", &filled(&spec, NOW - HOUR - 1, row!["JFK", 2, 130])?).await?;
    let ids = async |expected: &[Row], when: &str| -> CaseResult {
        check_eq!(scan(&store).await?, expected, "{when}: a scan");
        for (origin, id) in [("EWR", 1), ("EWR", 2), ("JFK", 1), ("JFK", 2)] {
            let there = expected.iter().any(|r| r[..2] == row![origin, id]);
            check_eq!(get(&store, origin, id).await?.is_some(), there, "{when}: the row ({origin}, {id})");
        }
        Ok(())
    };
    let both = [row!["EWR", 1, 130], row!["JFK", 1, 130]];
    ids(&both, "at once (two were too old when they came)").await?;
    h.clock().set(Timestamp(NOW + HOUR - 1));
    ids(&both, "a microsecond before the first expires").await?;
    h.clock().set(Timestamp(NOW + HOUR));
    ids(&both[1..], "when version plus TTL is now").await?;
    h.clock().set(Timestamp(NOW + HOUR + 10));
    ids(&[], "after the last one expired").await?;
    Ok(())
}

/// Expiry is absolute.
pub async fn writing_or_filling_again_does_not_extend_a_rows_life(h: &dyn Harness<Port>) -> CaseResult {
    needs_clock(h)?;
    let (store, spec, mut w) = store_with(h).await?;
    w.commit(&*store, &[insert(NOW, row!["EWR", 1, 130]), insert(NOW, row!["EWR", 2, 130])]).await?;
    h.clock().set(Timestamp(NOW + HOUR / 2));
    w.commit(&*store, &[insert(NOW, row!["EWR", 1, 130])]).await?;
    store.fill("t", &filled(&spec, NOW, row!["EWR", 2, 130])?).await?;
    store.fill("t", &filled(&spec, NOW, row!["EWR", 3, 130])?).await?;
    h.clock().set(Timestamp(NOW + HOUR));
    check_eq!(scan(&store).await?, Vec::<Row>::new(), "all rows expire an hour after their version");
    w.commit(&*store, &[insert(NOW, row!["EWR", 1, 130])]).await?;
    store.fill("t", &filled(&spec, NOW, row!["EWR", 2, 130])?).await?;
    check_eq!(scan(&store).await?, Vec::<Row>::new(), "writing or filling an expired row does not bring it back");
    Ok(())
}

/// In key order, the columns asked for.
pub async fn a_scan_returns_living_rows_in_key_order(h: &dyn Harness<Port>) -> CaseResult {
    let (store, spec, mut w) = store_with(h).await?;
    let rows = [row!["", 5, 1], row!["EWR", -1, 2], row!["EWR", 7, 3], row!["EWR", 300, 4], row!["JFK", 0, 5]];
    let changes: Vec<_> = rows.iter().rev().map(|r| insert(NOW, r.clone())).collect();
    w.commit(&*store, &changes[..3]).await?;
    w.commit(&*store, &changes[3..4]).await?;
    store.fill("t", &filled(&spec, NOW, rows[0].clone())?).await?;
    w.commit(&*store, &[insert(NOW, row!["EWR", 8, 9])]).await?;
    w.commit(&*store, &[delete(NOW + 1, gone("EWR", 8))]).await?;
    check_eq!(scan(&store).await?, rows, "living rows in key order");
    let some = collect(store.scan("t", Some(vec![2, 0])).await?).await?;
    check_eq!(some, rows.map(|r| vec![r[2].clone(), r[0].clone()]), "the columns asked for, in that order");
    Ok(())
}

/// What losing the cache does: rows are gone, epochs stay, fills work again.
pub async fn evict_all_forgets_rows_and_keeps_epochs(h: &dyn Harness<Port>) -> CaseResult {
    let (store, spec, mut w) = store_with(h).await?;
    let other = tables::critical("other", None);
    store.ensure_table(&other).await?;
    let mut to_other = Writer::begin(&*store, &other, "g", 1).await?;
    to_other.commit(&*store, &[insert(NOW, row!["EWR", 1, 130])]).await?;
    w.commit(&*store, &[insert(NOW, row!["EWR", 1, 130]), insert(NOW, row!["EWR", 2, 130])]).await?;
    store.evict_all("t").await?;
    check_eq!(scan(&store).await?, Vec::<Row>::new(), "no row is left");
    check_eq!(get(&store, "EWR", 1).await?, None, "no row is found");
    check_eq!(store.begin(&w.flow, Attempt(1), "t").await?, Epoch(1), "the committed epoch stays");
    check_eq!(collect(store.scan("other", None).await?).await?.len(), 1, "another table is left alone");
    store.fill("t", &filled(&spec, NOW, row!["EWR", 1, 130])?).await?;
    w.commit(&*store, &[insert(NOW + 1, row!["EWR", 3, 130])]).await?;
    check_eq!(scan(&store).await?, [row!["EWR", 1, 130], row!["EWR", 3, 130]], "fills and writes go on");
    Ok(())
}

/// The table is durable: rows, deletes and epochs.
pub async fn rows_and_deletes_survive_a_restart(h: &dyn Harness<Port>) -> CaseResult {
    if !h.abilities().keeps_data {
        return Err(Failure::skipped("it keeps nothing"));
    }
    let (store, spec, mut w) = store_with(h).await?;
    w.commit(&*store, &[insert(NOW, row!["EWR", 1, 130]), insert(NOW, row!["EWR", 2, 130])]).await?;
    w.commit(&*store, &[delete(NOW + 5, gone("EWR", 2))]).await?;
    let store = h.reopen(store).await?;
    store.ensure_table(&spec).await?;
    check_eq!(scan(&store).await?, [row!["EWR", 1, 130]], "the rows are there after a restart");
    store.fill("t", &filled(&spec, NOW + 4, row!["EWR", 2, 130])?).await?;
    check_eq!(get(&store, "EWR", 2).await?, None, "the delete is remembered after a restart");
    check_eq!(store.begin(&w.flow, Attempt(2), "t").await?, Epoch(2), "the epoch goes on after a restart");
    let zombie = w.write(Epoch(3), &[insert(NOW, row!["EWR", 9, 1])], 10)?;
    refused(store.commit(zombie).await, ErrorKind::Fenced, "a commit by the attempt before the restart")?;
    Ok(())
}

/// A dropped table takes everything with it; unknown is fine.
pub async fn drop_table_removes_rows_and_epochs(h: &dyn Harness<Port>) -> CaseResult {
    let (store, spec, mut w) = store_with(h).await?;
    w.commit(&*store, &[insert(NOW, row!["EWR", 1, 130]), delete(NOW + 9, gone("EWR", 2))]).await?;
    store.drop_table("t").await?;
    store.drop_table("t").await?;
    refused(store.get("t", &key("EWR", 1)).await, ErrorKind::NotFound, "a row of a dropped table")?;
    store.ensure_table(&spec).await?;
    check_eq!(scan(&store).await?, Vec::<Row>::new(), "made again it is empty");
    let mut w = Writer::begin(&*store, &spec, "f", 1).await?;
    check_eq!(w.epoch, Epoch(0), "its flows' epochs are gone");
    w.commit(&*store, &[insert(NOW, row!["EWR", 2, 1])]).await?;
    check_eq!(scan(&store).await?.len(), 1, "a delete of the dropped table does not hide a new row");
    Ok(())
}
