//! What flows write: whole epochs, fenced and idempotent; the greater version wins; one table is published or upserted, not both.

use std::collections::BTreeMap;

use millstream_core::{Attempt, ChangeKind, Epoch, ErrorKind, FlowId, KeySpec, TableKind, TableSpec, Value};
use tokio::task::JoinSet;

use super::{Port, line, lines, publication, publish, scan, store_with};
use crate::changes::{Change, Writer, delete, insert, update};
use crate::check::{CaseResult, Failure, refused};
use crate::generate::Changes;
use crate::harness::Harness;
use crate::rows::{Cell, Row, date, rows_of};
use crate::tables;
use crate::{check, check_eq, row};

/// A store with the report `r`, and a writer (flow `f`, attempt 1) into it.
async fn upserted(h: &dyn Harness<Port>) -> CaseResult<(Port, TableSpec, Writer)> {
    let spec = tables::report("r");
    let store = store_with(h, &spec).await?;
    let writer = Writer::begin(&*store, &spec, "f", 1).await?;
    Ok((store, spec, writer))
}

async fn restarted(h: &dyn Harness<Port>, store: Port, spec: &TableSpec) -> CaseResult<Port> {
    let store = h.reopen(store).await?;
    store.ensure_report(spec).await?;
    Ok(store)
}

/// The key of a line, other columns null.
fn gone(carrier: &str, day: i32) -> Row {
    row![carrier, date(day), Cell::Null, Cell::Null]
}

fn inserts(version: i64, rows: &[Row]) -> Vec<Change> {
    rows.iter().map(|r| insert(version, r.clone())).collect()
}

/// What was committed is scanned in key order and found by its key; the next epoch adds to it and replaces.
pub async fn a_committed_epoch_is_read_back(h: &dyn Harness<Port>) -> CaseResult {
    let (store, _, mut w) = upserted(h).await?;
    check_eq!(scan(&store, "r").await?, Vec::<Row>::new(), "a table that a flow has begun is empty");
    let mut rows = lines(60, 1);
    rows.reverse();
    check_eq!(w.commit(&*store, &inserts(5, &rows)).await?, 60, "so many rows stand differently");
    check_eq!(scan(&store, "r").await?, lines(60, 1), "a scan returns the rows in key order");
    let found = store.get("r", &[Value::Str("UA".into()), Value::Date(3)]).await?;
    check_eq!(rows_of(&found)?, [line("UA", 3, 1)], "a row is found by its key");
    w.commit(&*store, &[update(6, line("UA", 3, 2)), delete(6, gone("UA", 4)), insert(6, line("ZZ", 0, 1))]).await?;
    check_eq!(rows_of(&store.get("r", &[Value::Str("UA".into()), Value::Date(3)]).await?)?, [line("UA", 3, 2)], "the row was replaced");
    check_eq!(store.get("r", &[Value::Str("UA".into()), Value::Date(4)]).await?.num_rows(), 0, "a deleted row is not found");
    check_eq!(scan(&store, "r").await?.len(), 60, "one row more, one less");
    check_eq!(store.published_run("r").await?, None, "what a flow writes has no run");
    Ok(())
}

/// Values of every type come back; also those of a second write.
pub async fn upserted_columns_of_every_type_are_kept(h: &dyn Harness<Port>) -> CaseResult {
    let spec = TableSpec { kind: TableKind::Report, ..tables::all_types("r") };
    let store = store_with(h, &spec).await?;
    let mut w = Writer::begin(&*store, &spec, "f", 1).await?;
    let rows = super::all_types_rows(h);
    w.commit(&*store, &inserts(1, &rows)).await?;
    check_eq!(scan(&store, "r").await?, rows, "every value comes back");
    let swapped: Vec<Row> = (0..rows.len()).map(|i| [&rows[i][..1], &rows[(i + 1) % rows.len()][1..]].concat()).collect();
    w.commit(&*store, &inserts(2, &swapped)).await?;
    check_eq!(scan(&store, "r").await?, swapped, "every value of the second write comes back");
    Ok(())
}

/// Replays change nothing, lower attempts are fenced, gaps refused, nothing of a refused epoch shows; flows have epochs of their own.
pub async fn epochs_are_idempotent_fenced_and_without_gaps(h: &dyn Harness<Port>) -> CaseResult {
    let (mut store, spec, mut zombie) = upserted(h).await?;
    zombie.commit(&*store, &inserts(5, &lines(5, 1))).await?;
    let again = zombie.write(Epoch(1), &inserts(9, &lines(20, 9)), 10)?;
    check_eq!(store.commit(again).await?, 0, "an epoch that is committed already changes nothing");
    let gap = zombie.write(Epoch(3), &inserts(9, &lines(20, 9)), 10)?;
    refused(store.commit(gap).await, ErrorKind::InvalidInput, "an epoch that leaves a gap")?;
    if h.abilities().keeps_data {
        store = restarted(h, store, &spec).await?;
    }
    let mut owner = Writer::begin(&*store, &spec, "f", 3).await?;
    check_eq!(owner.epoch, Epoch(1), "begin returns the last committed epoch");
    let late = || zombie.write(Epoch(2), &inserts(9, &lines(20, 9)), 10);
    refused(store.commit(late()?).await, ErrorKind::Fenced, "a commit by a lower attempt")?;
    // Whatever it answers, a zombie that begins again must not lift the fence.
    let _ = store.begin(&FlowId::new("f"), Attempt(2), "r").await;
    refused(store.commit(late()?).await, ErrorKind::Fenced, "a commit by a lower attempt, after a lower one tried to begin")?;
    check_eq!(scan(&store, "r").await?, lines(5, 1), "nothing of the refused epochs shows");
    check_eq!(owner.commit(&*store, &[]).await?, 0, "an empty epoch changes nothing");
    owner.commit(&*store, &[update(6, line("AA", -1, 2))]).await?;
    check_eq!(owner.epoch, Epoch(3), "the owner's epochs are committed");
    let mut other = Writer::begin(&*store, &spec, "g", 1).await?;
    check_eq!(other.epoch, Epoch(0), "another flow has committed nothing");
    other.commit(&*store, &[insert(6, line("ZZ", 1, 1))]).await?;
    if h.abilities().keeps_data {
        store = restarted(h, store, &spec).await?;
        refused(store.commit(late()?).await, ErrorKind::Fenced, "a commit by a lower attempt, after a restart")?;
    }
    check_eq!(store.begin(&owner.flow, Attempt(4), "r").await?, Epoch(3), "flow f has committed three epochs");
    check_eq!(store.begin(&other.flow, Attempt(2), "r").await?, Epoch(1), "flow g has committed one");
    check_eq!(scan(&store, "r").await?.len(), 6, "the rows of both flows are there");
    Ok(())
}

/// A greater version wins, in whichever order the writes arrive: in epochs of their own or in one.
pub async fn the_greater_version_wins_in_any_order_of_arrival(h: &dyn Harness<Port>) -> CaseResult {
    let (store, _, mut w) = upserted(h).await?;
    let orders = [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]];
    for (day, order) in (0..).zip(orders) {
        for n in order {
            w.commit(&*store, &[update(n, line("epochs", day, n))]).await?;
        }
        w.commit(&*store, &order.map(|n| insert(n, line("one epoch", day, n)))).await?;
    }
    for row in scan(&store, "r").await? {
        check_eq!(row[2], Cell::Int(3), "version 3 wins for {row:?}");
    }
    check_eq!(scan(&store, "r").await?.len(), 12, "every key has one row");
    w.commit(&*store, &[insert(5, line("A", 1, 1)), insert(5, line("A", 1, 2))]).await?;
    w.commit(&*store, &[insert(5, line("A", 1, 3))]).await?;
    check_eq!(scan(&store, "r").await?[0], line("A", 1, 3), "of equal versions the later write wins");
    Ok(())
}

/// A delete wins over lower versions, also over those that arrive after it, also after a restart.
pub async fn a_delete_is_remembered(h: &dyn Harness<Port>) -> CaseResult {
    let (mut store, spec, mut w) = upserted(h).await?;
    w.commit(&*store, &[insert(3, line("A", 1, 1)), insert(9, line("B", 1, 1))]).await?;
    w.commit(&*store, &[delete(5, gone("A", 1)), delete(5, gone("B", 1)), delete(5, gone("C", 1))]).await?;
    check_eq!(scan(&store, "r").await?, [line("B", 1, 1)], "a delete removes the lower version and leaves the higher one");
    w.commit(&*store, &[insert(4, line("A", 1, 2)), insert(4, line("C", 1, 2))]).await?;
    check_eq!(scan(&store, "r").await?, [line("B", 1, 1)], "a lower version that arrives after the delete does not show");
    if h.abilities().keeps_data {
        store = restarted(h, store, &spec).await?;
    }
    w.commit(&*store, &[delete(4, gone("A", 1)), insert(4, line("A", 1, 3)), insert(4, line("C", 1, 3))]).await?;
    check_eq!(scan(&store, "r").await?, [line("B", 1, 1)], "nor in the next epoch, nor after an older delete");
    w.commit(&*store, &[insert(5, line("A", 1, 4)), update(6, line("C", 1, 4))]).await?;
    check_eq!(scan(&store, "r").await?.len(), 3, "a write of the same version after it shows, and so does a higher one");
    Ok(())
}

/// What the contract says of versions, written down as a map.
#[derive(Default)]
struct Model(BTreeMap<String, (i64, Option<Row>)>);

impl Model {
    fn apply(&mut self, change: &Change) {
        let key = format!("{:?}", &change.row[..4]);
        if self.0.get(&key).is_none_or(|(version, _)| *version <= change.version) {
            self.0.insert(key, (change.version, (change.kind != ChangeKind::Delete).then(|| change.row.clone())));
        }
    }

    fn rows(&self) -> Vec<Row> {
        sorted(self.0.values().filter_map(|(_, row)| row.clone()).collect())
    }
}

fn sorted(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort_by_cached_key(|row| format!("{row:?}"));
    rows
}

/// Seeded random epochs of inserts, updates and deletes over few keys, with restarts and replays in between, against the model.
pub async fn random_epochs_leave_what_a_model_holds(h: &dyn Harness<Port>) -> CaseResult {
    let spec = TableSpec { kind: TableKind::Report, key: KeySpec::single(["origin", "day", "ts", "id"]), ..tables::events("t") };
    let mut store = store_with(h, &spec).await?;
    let mut writer = Writer::begin(&*store, &spec, "f", 1).await?;
    let (mut model, mut random) = (Model::default(), Changes::seeded(1, 30));
    for step in 0..40 {
        let count = random.below(25);
        let changes = random.next(count);
        let write = writer.write(writer.epoch.next(), &changes, 1 + random.below(9))?;
        store.commit(write.clone()).await?;
        writer.epoch = writer.epoch.next();
        changes.iter().for_each(|c| model.apply(c));
        match random.below(10) {
            0 if h.abilities().keeps_data => store = restarted(h, store, &spec).await?,
            1 | 2 => drop(store.commit(write).await?),
            _ => {}
        }
        check_eq!(sorted(scan(&store, "t").await?), model.rows(), "step {step}: the table holds what the model holds");
    }
    Ok(())
}

/// A null in the key, or rows of other columns: refused, and nothing of the epoch shows.
pub async fn changes_that_do_not_fit_are_refused_and_leave_nothing(h: &dyn Harness<Port>) -> CaseResult {
    let (store, spec, w) = upserted(h).await?;
    let null = w.write(Epoch(1), &[insert(1, line("AA", 1, 1)), insert(1, row!["UA", Cell::Null, 1, 0.5])], 1)?;
    refused(store.commit(null).await, ErrorKind::InvalidInput, "a null in the key")?;
    let other = TableSpec { schema: tables::single("r").schema, ..spec };
    let foreign = Writer::begin(&*store, &other, "f", 1).await?.write(Epoch(1), &[insert(1, row!["a", 1])], 1)?;
    refused(store.commit(foreign).await, ErrorKind::InvalidInput, "rows of other columns")?;
    check_eq!(scan(&store, "r").await?, Vec::<Row>::new(), "nothing of the refused epochs shows");
    check_eq!(store.begin(&w.flow, Attempt(1), "r").await?, Epoch(0), "and no epoch is committed");
    Ok(())
}

/// The count is of rows that now stand differently, not of changes.
pub async fn commit_counts_the_rows_that_stand_differently(h: &dyn Harness<Port>) -> CaseResult {
    let (store, _, mut w) = upserted(h).await?;
    check_eq!(w.commit(&*store, &[insert(5, line("A", 1, 1)), insert(5, line("B", 1, 1))]).await?, 2, "two new rows");
    check_eq!(w.commit(&*store, &[insert(5, line("A", 1, 1))]).await?, 0, "the same row again");
    check_eq!(w.commit(&*store, &[update(4, line("A", 1, 9))]).await?, 0, "an older version");
    check_eq!(w.commit(&*store, &[update(6, line("A", 1, 2)), delete(6, gone("B", 1))]).await?, 2, "an update and a delete");
    check_eq!(w.commit(&*store, &[delete(7, gone("X", 1))]).await?, 0, "a delete of a row that isn't there");
    Ok(())
}

/// A commit whose future is dropped leaves the whole epoch, with its number, or nothing.
pub async fn a_dropped_commit_happened_wholly_or_not_at_all(h: &dyn Harness<Port>) -> CaseResult {
    let (store, spec, w) = upserted(h).await?;
    {
        let mut commit = store.commit(w.write(Epoch(1), &inserts(5, &lines(500, 1)), 50)?);
        let _ = futures::poll!(&mut commit);
    }
    let store = if h.abilities().keeps_data { restarted(h, store, &spec).await? } else { store };
    let again = Writer::begin(&*store, &spec, "f", 2).await?;
    let then = scan(&store, "r").await?.len();
    let whole = if again.epoch == Epoch(1) { then == 500 } else { then == 0 };
    check!(whole, "epoch {} stands with {then} of 500 rows", again.epoch);
    store.commit(again.write(Epoch(1), &inserts(5, &lines(500, 1)), 50)?).await?;
    check_eq!(scan(&store, "r").await?.len(), 500, "after the epoch was written again all its rows are there");
    Ok(())
}

/// Readers beside commits: epoch n sets every row to n, so two values in one scan are half an epoch.
pub async fn readers_see_whole_epochs(h: &dyn Harness<Port>) -> CaseResult {
    const EPOCHS: i64 = 20;
    let (store, _, mut w) = upserted(h).await?;
    w.commit(&*store, &inserts(1, &lines(100, 1))).await?;
    let writing = store.clone();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        for n in 2..=EPOCHS {
            w.commit(&*writing, &inserts(n, &lines(100, n))).await?;
            tokio::task::yield_now().await;
        }
        Ok::<_, Failure>(())
    });
    loop {
        let ended = tasks.try_join_next();
        let rows = scan(&store, "r").await?;
        let n = rows.first().map(|r| r[2].clone());
        check!(rows.iter().all(|r| Some(&r[2]) == n.as_ref()), "a scan shows one epoch: {}", crate::check::shortened(&rows));
        check_eq!(rows.len(), 100, "and all of its rows");
        if let Some(done) = ended {
            done.map_err(|e| Failure::Broken(format!("the writer ends: {e}")))??;
            check_eq!(n, Some(Cell::Int(EPOCHS)), "the last epoch is read at last");
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
}

/// Two flows into one table at the same time, with the same keys: for each the greater version stands.
pub async fn flows_that_write_the_same_keys_converge(h: &dyn Harness<Port>) -> CaseResult {
    const ROUNDS: i64 = 15;
    let (store, spec, _) = upserted(h).await?;
    let mut tasks = JoinSet::new();
    for (flow, odd) in [("f", 1), ("g", 0)] {
        let mut w = Writer::begin(&*store, &spec, flow, 1).await?;
        let writing = store.clone();
        tasks.spawn(async move {
            for n in 1..=ROUNDS {
                let version = 2 * n + odd;
                let mut changes = inserts(version, &lines(50, version));
                changes.extend(
                    (0..5).map(|day| if n % 2 == odd { delete(version, gone("ZZ", day)) } else { insert(version, line("ZZ", day, n)) }),
                );
                if odd == 1 {
                    changes.reverse();
                }
                w.commit(&*writing, &changes).await?;
            }
            Ok::<_, Failure>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.map_err(|e| Failure::Broken(format!("a writer ends: {e}")))??;
    }
    // The greatest version is flow f's last, which is odd: it deleted the rows of ZZ.
    check_eq!(scan(&store, "r").await?, lines(50, 2 * ROUNDS + 1), "the greatest version stands, and its deletes");
    Ok(())
}

/// What was published takes no epochs, what a flow has begun is not published, until it is dropped.
pub async fn a_report_is_published_or_upserted_not_both(h: &dyn Harness<Port>) -> CaseResult {
    let (store, spec, mut w) = upserted(h).await?;
    let published = TableSpec { name: "p".into(), ..spec.clone() };
    store.ensure_report(&published).await?;
    publish(&store, &published, 1, &lines(10, 1)).await?;
    w.commit(&*store, &inserts(1, &lines(5, 1))).await?;
    refused(store.publish(publication(&spec, 1, &lines(20, 2))?).await, ErrorKind::InvalidInput, "publishing what a flow writes")?;
    check_eq!(scan(&store, "r").await?, lines(5, 1), "the flow's rows stay");
    refused(store.begin(&w.flow, Attempt(1), "p").await, ErrorKind::InvalidInput, "a flow into a published report")?;
    check_eq!(scan(&store, "p").await?, lines(10, 1), "the report stays");
    for report in ["r", "p"] {
        store.drop_report(report).await?;
    }
    store.ensure_report(&spec).await?;
    store.ensure_report(&published).await?;
    publish(&store, &spec, 1, &lines(20, 2)).await?;
    let mut w = Writer::begin(&*store, &published, "f", 1).await?;
    check_eq!(w.epoch, Epoch(0), "dropping a report removes its flows' epochs");
    w.commit(&*store, &inserts(1, &lines(5, 1))).await?;
    check_eq!(scan(&store, "p").await?, lines(5, 1), "after it was dropped it may be the other");
    Ok(())
}

/// Rows, deletes and the flow's progress are gone with a dropped table.
pub async fn drop_report_forgets_what_flows_wrote(h: &dyn Harness<Port>) -> CaseResult {
    let (store, spec, mut w) = upserted(h).await?;
    w.commit(&*store, &[insert(5, line("A", 1, 1)), delete(9, gone("B", 1))]).await?;
    store.drop_report("r").await?;
    refused(store.begin(&w.flow, Attempt(1), "r").await, ErrorKind::NotFound, "begin on a dropped report")?;
    refused(store.commit(w.write(Epoch(2), &[], 1)?).await, ErrorKind::NotFound, "a commit to a dropped report")?;
    store.ensure_report(&spec).await?;
    let mut w = Writer::begin(&*store, &spec, "f", 1).await?;
    check_eq!(w.epoch, Epoch(0), "its flows' epochs are gone");
    w.commit(&*store, &[insert(5, line("B", 1, 1))]).await?;
    check_eq!(scan(&store, "r").await?, [line("B", 1, 1)], "a delete of the dropped table does not hide a new row");
    Ok(())
}
