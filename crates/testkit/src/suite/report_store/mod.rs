//! The contract of [`ReportStore`], with its [`EpochSink`](millstream_core::ports::EpochSink).

mod flows;
mod snapshots;

pub use flows::*;
pub use snapshots::*;

use std::sync::Arc;

use futures::StreamExt;
use millstream_core::batches::BatchStream;
use millstream_core::ports::{Publication, Published, ReportStore};
use millstream_core::{Error, ErrorKind, TableSpec, Value};

use super::suite;
use crate::changes::Writer;
use crate::check::{CaseResult, Failure, refused};
use crate::harness::Harness;
use crate::rows::{Cell, Row, collect, date, rows_of, stream_of};
use crate::tables;
use crate::{check, check_eq, row};

/// The port that the suite tests.
pub type Port = Arc<dyn ReportStore>;

suite!(
    "report store",
    Port,
    [
        a_report_is_made_once,
        unknown_reports_are_not_found,
        a_report_never_published_has_no_rows,
        a_published_report_is_read_back_in_key_order,
        columns_of_every_type_are_kept,
        a_scan_returns_the_columns_asked_for,
        a_row_is_found_by_its_primary_key,
        a_publication_replaces_all_rows,
        vanished_keys_are_counted,
        duplicate_keys_fail_and_leave_the_old_report,
        a_null_in_the_key_fails_and_leaves_the_old_report,
        a_publication_that_fails_leaves_the_old_report,
        a_dropped_publication_leaves_the_old_report,
        a_lower_run_is_fenced,
        readers_see_the_old_or_the_new_report_whole,
        a_scan_that_has_begun_stays_with_its_report,
        a_snapshot_is_of_one_moment,
        scans_of_a_snapshot_are_read_side_by_side,
        reports_survive_a_restart,
        drop_report_removes_it,
        text_that_the_system_cannot_hold_is_refused,
        a_ttl_is_unsupported,
        a_committed_epoch_is_read_back,
        upserted_columns_of_every_type_are_kept,
        epochs_are_idempotent_fenced_and_without_gaps,
        the_greater_version_wins_in_any_order_of_arrival,
        a_delete_is_remembered,
        random_epochs_leave_what_a_model_holds,
        changes_that_do_not_fit_are_refused_and_leave_nothing,
        commit_counts_the_rows_that_stand_differently,
        a_dropped_commit_happened_wholly_or_not_at_all,
        readers_see_whole_epochs,
        flows_that_write_the_same_keys_converge,
        a_report_is_published_or_upserted_not_both,
        drop_report_forgets_what_flows_wrote,
    ]
);

async fn store_with(h: &dyn Harness<Port>, spec: &TableSpec) -> CaseResult<Port> {
    let store = h.open().await?;
    store.ensure_report(spec).await?;
    Ok(store)
}

fn publication(spec: &TableSpec, run: u64, rows: &[Row]) -> CaseResult<Publication> {
    Ok(Publication { report: spec.name.clone(), run, rows: stream_of(&spec.schema, rows, if rows.len() > 1_000 { 4_096 } else { 4 })? })
}

async fn publish(store: &Port, spec: &TableSpec, run: u64, rows: &[Row]) -> CaseResult<Published> {
    Ok(store.publish(publication(spec, run, rows)?).await?)
}

async fn scan(store: &Port, report: &str) -> CaseResult<Vec<Row>> {
    Ok(collect(store.snapshot().await?.scan(report, None).await?).await?)
}

fn line(carrier: &str, day: i32, flights: i64) -> Row {
    row![carrier, date(day), flights, Some(0.5)]
}

/// `count` rows in key order, each with `flights`.
fn lines(count: i32, flights: i64) -> Vec<Row> {
    let carriers = ["", "AA", "B6", "UA", "é"];
    carriers.iter().flat_map(|c| (-1..count / 5 - 1).map(move |day| line(c, day, flights))).collect()
}

fn shuffled(mut rows: Vec<Row>) -> Vec<Row> {
    let half = rows.len() / 2;
    rows.rotate_left(half);
    rows.reverse();
    rows
}

/// Made known again without loss; another shape is refused and shown.
pub async fn a_report_is_made_once(h: &dyn Harness<Port>) -> CaseResult {
    let spec = tables::report("r");
    let store = store_with(h, &spec).await?;
    publish(&store, &spec, 1, &lines(10, 1)).await?;
    store.ensure_report(&spec).await?;
    check_eq!(scan(&store, "r").await?.len(), 10, "making it known again leaves its rows");
    let mut other = spec.clone();
    other.key.partition.pop();
    let error = refused(store.ensure_report(&other).await, ErrorKind::AlreadyExists, "another primary key")?;
    for shape in [spec.fingerprint(), other.fingerprint()] {
        check!(error.to_string().contains(&shape), "the error shows both shapes: {error} lacks {shape}");
    }
    Ok(())
}

/// Never ensured: `NotFound` in every call.
pub async fn unknown_reports_are_not_found(h: &dyn Harness<Port>) -> CaseResult {
    let spec = tables::report("r");
    let store = h.open().await?;
    refused(store.publish(publication(&spec, 1, &lines(5, 1))?).await, ErrorKind::NotFound, "publishing an unknown report")?;
    refused(store.published_run("r").await, ErrorKind::NotFound, "the run of an unknown report")?;
    refused(store.snapshot().await?.scan("r", None).await, ErrorKind::NotFound, "a scan of an unknown report")?;
    refused(store.get("r", &[Value::Str("AA".into()), Value::Date(1)]).await, ErrorKind::NotFound, "a row of an unknown report")?;
    Ok(())
}

/// Empty at first, with no run.
pub async fn a_report_never_published_has_no_rows(h: &dyn Harness<Port>) -> CaseResult {
    let store = store_with(h, &tables::report("r")).await?;
    check_eq!(scan(&store, "r").await?, Vec::<Row>::new(), "it has no rows");
    check_eq!(store.published_run("r").await?, None, "and no run");
    let none = store.get("r", &[Value::Str("AA".into()), Value::Date(1)]).await?;
    check_eq!((none.num_rows(), none.num_columns()), (0, 4), "a row of it is a batch of no rows with all columns");
    Ok(())
}

/// All rows, in the order of the primary key, and the run.
pub async fn a_published_report_is_read_back_in_key_order(h: &dyn Harness<Port>) -> CaseResult {
    let spec = tables::report("r");
    let store = store_with(h, &spec).await?;
    let published = publish(&store, &spec, 3, &shuffled(lines(100, 1))).await?;
    check_eq!(published, Published { rows: 100, removed: 0 }, "it counts its rows");
    check_eq!(scan(&store, "r").await?, lines(100, 1), "a scan returns the rows in key order");
    check_eq!(store.published_run("r").await?, Some(3), "the run is the one that was published");
    publish(&store, &spec, 4, &[]).await?;
    check_eq!(scan(&store, "r").await?, Vec::<Row>::new(), "a report may be empty");
    check_eq!(store.published_run("r").await?, Some(4), "the run of an empty report");
    Ok(())
}

/// Values of every type come back.
pub async fn columns_of_every_type_are_kept(h: &dyn Harness<Port>) -> CaseResult {
    let spec = TableSpec { kind: millstream_core::TableKind::Report, ..tables::all_types("r") };
    let store = store_with(h, &spec).await?;
    let rows = all_types_rows(h);
    publish(&store, &spec, 1, &rows).await?;
    check_eq!(scan(&store, "r").await?, rows, "every value comes back");
    let swapped: Vec<Row> = (0..rows.len()).map(|i| [&rows[i][..1], &rows[(i + 1) % rows.len()][1..]].concat()).collect();
    publish(&store, &spec, 2, &swapped).await?;
    check_eq!(scan(&store, "r").await?, swapped, "every value of the next publication comes back");
    Ok(())
}

/// Rows of the table of all types, without what the system can't hold.
fn all_types_rows(h: &dyn Harness<Port>) -> Vec<Row> {
    let mut rows = tables::all_types_rows();
    if !h.abilities().nul_in_text {
        let cells = rows.iter_mut().flatten();
        cells.for_each(|cell| {
            if let Cell::Str(text) = cell {
                text.retain(|c| c != '\0');
            }
        });
    }
    rows
}

/// Where the system has no NUL in text: refused, naming the column, and nothing is stored.
pub async fn text_that_the_system_cannot_hold_is_refused(h: &dyn Harness<Port>) -> CaseResult {
    let spec = tables::report("r");
    let store = store_with(h, &spec).await?;
    let rows = [line("a\0b", 1, 1)];
    if h.abilities().nul_in_text {
        publish(&store, &spec, 1, &rows).await?;
        check_eq!(scan(&store, "r").await?, rows, "a NUL is kept");
        return Ok(());
    }
    let error = refused(store.publish(publication(&spec, 1, &rows)?).await, ErrorKind::InvalidInput, "a NUL in a published row")?;
    check!(error.to_string().contains("carrier"), "the message names the column: {error}");
    check_eq!(store.published_run("r").await?, None, "nothing is published");
    let w = Writer::begin(&*store, &spec, "f", 1).await?;
    let write = w.write(millstream_core::Epoch(1), &[crate::changes::insert(1, rows[0].clone())], 1)?;
    refused(store.commit(write).await, ErrorKind::InvalidInput, "a NUL in an upserted row")?;
    check_eq!(scan(&store, "r").await?, Vec::<Row>::new(), "nothing is stored");
    Ok(())
}

/// Rows of a report don't expire.
pub async fn a_ttl_is_unsupported(h: &dyn Harness<Port>) -> CaseResult {
    let store = h.open().await?;
    let spec = tables::with_ttl(tables::report("r"), std::time::Duration::from_secs(60));
    refused(store.ensure_report(&spec).await, ErrorKind::Unsupported, "a report with a TTL")?;
    Ok(())
}

/// Only the columns asked for, in that order.
pub async fn a_scan_returns_the_columns_asked_for(h: &dyn Harness<Port>) -> CaseResult {
    let spec = tables::report("r");
    let store = store_with(h, &spec).await?;
    publish(&store, &spec, 1, &[line("AA", 1, 7)]).await?;
    for (columns, expected) in [(vec![2, 0], row![7, "AA"]), (vec![3], row![0.5]), (vec![1, 2, 3], row![date(1), 7, 0.5])] {
        check_eq!(collect(store.snapshot().await?.scan("r", Some(columns.clone())).await?).await?, [expected], "the columns {columns:?}");
    }
    let none = collect(store.snapshot().await?.scan("r", Some(vec![])).await?).await?;
    check_eq!(none.len(), 1, "a scan of no columns still counts its rows");
    Ok(())
}

/// A row by its primary key; at most one; values that don't fit are refused.
pub async fn a_row_is_found_by_its_primary_key(h: &dyn Harness<Port>) -> CaseResult {
    let spec = tables::report("r");
    let store = store_with(h, &spec).await?;
    publish(&store, &spec, 1, &lines(50, 1)).await?;
    for (carrier, day) in [("UA", 3), ("", -1), ("é", 0)] {
        let found = store.get("r", &[Value::Str(carrier.into()), Value::Date(day)]).await?;
        check_eq!(rows_of(&found)?, [line(carrier, day, 1)], "the row of ({carrier}, {day})");
    }
    let none = store.get("r", &[Value::Str("UA".into()), Value::Date(99)]).await?;
    check_eq!(none.num_rows(), 0, "a key that isn't there has no row");
    refused(store.get("r", &[Value::Str("UA".into())]).await, ErrorKind::InvalidInput, "half of a key")?;
    refused(store.get("r", &[Value::Int(1), Value::Date(1)]).await, ErrorKind::InvalidInput, "a key of another type")?;
    Ok(())
}

/// The new rows stand in the place of all old ones.
pub async fn a_publication_replaces_all_rows(h: &dyn Harness<Port>) -> CaseResult {
    let spec = tables::report("r");
    let store = store_with(h, &spec).await?;
    let other = tables::report("other");
    store.ensure_report(&other).await?;
    publish(&store, &other, 1, &lines(5, 9)).await?;
    publish(&store, &spec, 1, &lines(50, 1)).await?;
    let new = [line("AA", 2, 5), line("ZZ", 7, 6)];
    publish(&store, &spec, 2, &new).await?;
    check_eq!(scan(&store, "r").await?, new, "only the new rows are there");
    let gone = store.get("r", &[Value::Str("UA".into()), Value::Date(3)]).await?;
    check_eq!(gone.num_rows(), 0, "an old key is not found");
    check_eq!(scan(&store, "other").await?, lines(5, 9), "another report is left alone");
    Ok(())
}

/// `removed` counts the keys of the old report that the new one no longer has.
pub async fn vanished_keys_are_counted(h: &dyn Harness<Port>) -> CaseResult {
    let spec = tables::report("r");
    let store = store_with(h, &spec).await?;
    publish(&store, &spec, 1, &[line("A", 1, 1), line("B", 1, 1), line("C", 1, 1)]).await?;
    let published = publish(&store, &spec, 2, &[line("B", 1, 2), line("D", 1, 2)]).await?;
    check_eq!(published, Published { rows: 2, removed: 2 }, "A and C vanished");
    let published = publish(&store, &spec, 3, &[]).await?;
    check_eq!(published, Published { rows: 0, removed: 2 }, "B and D vanished");
    Ok(())
}

async fn refused_and_unchanged(store: &Port, spec: &TableSpec, rows: &[Row], what: &str) -> CaseResult<Error> {
    let error = refused(store.publish(publication(spec, 2, rows)?).await, ErrorKind::InvalidInput, what)?;
    check_eq!(scan(store, "r").await?, lines(10, 1), "after {what} the old report stays");
    check_eq!(store.published_run("r").await?, Some(1), "after {what} the old run stays");
    Ok(error)
}

/// Two rows with one primary key, in one batch or far apart: the message names the key.
pub async fn duplicate_keys_fail_and_leave_the_old_report(h: &dyn Harness<Port>) -> CaseResult {
    let spec = tables::report("r");
    let store = store_with(h, &spec).await?;
    publish(&store, &spec, 1, &lines(10, 1)).await?;
    let side_by_side = [line("AA", 1, 1), line("QQ", 7, 1), line("QQ", 7, 2)];
    let error = refused_and_unchanged(&store, &spec, &side_by_side, "two rows with one key in one batch").await?;
    check!(error.to_string().contains("QQ"), "the message names the key: {error}");
    let mut far_apart = lines(100, 2);
    far_apart.push(line("B6", 3, 9));
    let error = refused_and_unchanged(&store, &spec, &far_apart, "two rows with one key far apart").await?;
    check!(error.to_string().contains("B6"), "the message names the key: {error}");
    publish(&store, &spec, 2, &lines(15, 2)).await?;
    check_eq!(scan(&store, "r").await?, lines(15, 2), "the run can be published once it is right");
    Ok(())
}

/// A null in the primary key.
pub async fn a_null_in_the_key_fails_and_leaves_the_old_report(h: &dyn Harness<Port>) -> CaseResult {
    let spec = tables::report("r");
    let store = store_with(h, &spec).await?;
    publish(&store, &spec, 1, &lines(10, 1)).await?;
    let null = [line("AA", 1, 1), row!["UA", Cell::Null, 1, 0.5]];
    refused_and_unchanged(&store, &spec, &null, "a null in the key").await?;
    Ok(())
}

fn failing(spec: &TableSpec, rows: &[Row]) -> CaseResult<BatchStream> {
    let failure = futures::stream::iter([Err(Error::unavailable("the job's input went away"))]);
    Ok(Box::pin(stream_of(&spec.schema, rows, 4)?.chain(failure)))
}

/// Rows that end in an error: that error, and the old report.
pub async fn a_publication_that_fails_leaves_the_old_report(h: &dyn Harness<Port>) -> CaseResult {
    let spec = tables::report("r");
    let store = store_with(h, &spec).await?;
    publish(&store, &spec, 1, &lines(10, 1)).await?;
    let broken = Publication { report: "r".into(), run: 2, rows: failing(&spec, &lines(50, 2))? };
    refused(store.publish(broken).await, ErrorKind::Unavailable, "a publication whose rows end in an error")?;
    check_eq!(scan(&store, "r").await?, lines(10, 1), "the old report stays");
    check_eq!(store.published_run("r").await?, Some(1), "the old run stays");
    let store = if h.abilities().keeps_data { h.reopen(store).await? } else { store };
    store.ensure_report(&spec).await?;
    check_eq!(scan(&store, "r").await?, lines(10, 1), "also after a restart");
    publish(&store, &spec, 2, &lines(20, 2)).await?;
    check_eq!(scan(&store, "r").await?, lines(20, 2), "the same run can be tried again");
    Ok(())
}

/// A publication whose future is dropped in the middle, as the death of its process would end it.
pub async fn a_dropped_publication_leaves_the_old_report(h: &dyn Harness<Port>) -> CaseResult {
    let spec = tables::report("r");
    let store = store_with(h, &spec).await?;
    publish(&store, &spec, 1, &lines(10, 1)).await?;
    {
        let rows: BatchStream = Box::pin(stream_of(&spec.schema, &lines(50, 2), 4)?.chain(futures::stream::pending()));
        let mut publishing = store.publish(Publication { report: "r".into(), run: 2, rows });
        check!(super::ready_now(&mut publishing).await.is_none(), "a publication waits for all of its rows");
        check_eq!(scan(&store, "r").await?, lines(10, 1), "while it waits the old report is read");
    }
    check_eq!(scan(&store, "r").await?, lines(10, 1), "after it was dropped the old report is read");
    let store = if h.abilities().keeps_data { h.reopen(store).await? } else { store };
    store.ensure_report(&spec).await?;
    check_eq!(scan(&store, "r").await?, lines(10, 1), "also after a restart");
    publish(&store, &spec, 2, &lines(20, 2)).await?;
    check_eq!(scan(&store, "r").await?, lines(20, 2), "nothing of the dropped one is left in the next");
    Ok(())
}

/// A run lower than the published one is `Fenced`.
pub async fn a_lower_run_is_fenced(h: &dyn Harness<Port>) -> CaseResult {
    let spec = tables::report("r");
    let store = store_with(h, &spec).await?;
    publish(&store, &spec, 5, &lines(10, 5)).await?;
    refused(store.publish(publication(&spec, 4, &lines(20, 4))?).await, ErrorKind::Fenced, "an older run")?;
    check_eq!(scan(&store, "r").await?, lines(10, 5), "the newer run's report stays");
    let store = if h.abilities().keeps_data { h.reopen(store).await? } else { store };
    store.ensure_report(&spec).await?;
    refused(store.publish(publication(&spec, 4, &lines(20, 4))?).await, ErrorKind::Fenced, "an older run after a restart")?;
    publish(&store, &spec, 9, &lines(15, 9)).await?;
    check_eq!(store.published_run("r").await?, Some(9), "a newer run is published");
    Ok(())
}

/// Reports and runs are found by the next process.
pub async fn reports_survive_a_restart(h: &dyn Harness<Port>) -> CaseResult {
    if !h.abilities().keeps_data {
        return Err(Failure::skipped("it keeps nothing"));
    }
    let spec = tables::report("r");
    let mut store = store_with(h, &spec).await?;
    for run in 1..=3 {
        publish(&store, &spec, run, &lines(10 * i32::try_from(run).unwrap_or(1), 1)).await?;
        store = h.reopen(store).await?;
        store.ensure_report(&spec).await?;
        check_eq!(
            scan(&store, "r").await?,
            lines(10 * i32::try_from(run).unwrap_or(1), 1),
            "the rows of run {run} are there after a restart"
        );
        check_eq!(store.published_run("r").await?, Some(run), "and so is its number");
    }
    Ok(())
}

/// A dropped report takes its rows and its run with it; unknown is fine.
pub async fn drop_report_removes_it(h: &dyn Harness<Port>) -> CaseResult {
    let spec = tables::report("r");
    let store = store_with(h, &spec).await?;
    publish(&store, &spec, 7, &lines(10, 1)).await?;
    store.drop_report("r").await?;
    store.drop_report("r").await?;
    refused(store.snapshot().await?.scan("r", None).await, ErrorKind::NotFound, "a scan of a dropped report")?;
    store.ensure_report(&spec).await?;
    check_eq!(scan(&store, "r").await?, Vec::<Row>::new(), "made again it is empty");
    check_eq!(store.published_run("r").await?, None, "and has no run");
    publish(&store, &spec, 1, &lines(5, 1)).await?;
    Ok(())
}
