//! The contract of [`EventStore`], with its [`EpochSink`](millstream_core::ports::EpochSink) and
//! [`StoreSnapshot`](millstream_core::ports::StoreSnapshot).

mod epochs;
mod reads;
mod snapshots;
mod versions;

pub use epochs::*;
pub use reads::*;
pub use snapshots::*;
pub use versions::*;

use std::sync::Arc;

use millstream_core::ports::{EventStore, PageToken, PartitionQuery, Scan};
use millstream_core::{TableSpec, Value};

use super::suite;
use crate::changes::Writer;
use crate::check::CaseResult;
use crate::harness::Harness;
use crate::rows::{Row, collect, rows_of};
use crate::{check, check_eq};

/// The port that the suite tests.
pub type Port = Arc<dyn EventStore>;

suite!(
    "event store",
    Port,
    [
        tables_are_made_once,
        unknown_tables_are_not_found,
        a_committed_epoch_is_read_back,
        columns_of_every_type_are_kept,
        begin_returns_the_last_committed_epoch,
        a_committed_epoch_changes_nothing_when_written_again,
        an_epoch_that_leaves_a_gap_is_refused_and_leaves_nothing,
        a_lower_attempt_is_fenced_and_leaves_nothing,
        a_fence_survives_a_restart,
        flows_into_one_table_have_epochs_of_their_own,
        a_dropped_commit_happened_wholly_or_not_at_all,
        an_empty_epoch_is_committed,
        commit_counts_the_rows_that_stand_differently,
        what_was_committed_survives_a_restart,
        drop_table_removes_rows_and_epochs,
        the_greater_version_wins_in_any_order_of_arrival,
        of_equal_versions_the_later_write_wins,
        a_delete_wins_over_lower_versions,
        keys_may_repeat_within_an_epoch,
        random_epochs_leave_what_a_model_holds,
        rows_expire_by_version_and_ttl,
        writing_a_row_again_does_not_extend_its_life,
        clustering_order_is_that_of_the_table,
        every_key_type_orders_as_its_values_do,
        partitions_with_similar_keys_are_separate,
        a_prefix_selects_the_rows_that_begin_with_it,
        bounds_are_by_value_whatever_the_direction,
        pages_of_any_size_add_up_to_the_whole,
        pages_stay_in_step_when_rows_are_written_between_them,
        values_that_do_not_fit_the_key_are_refused,
        an_absent_partition_is_an_empty_page,
        a_scan_returns_every_row_once_partition_by_partition,
        a_scan_returns_the_columns_asked_for,
        a_scan_of_one_partition_returns_its_rows_alone,
        a_snapshot_does_not_see_later_commits,
        a_snapshot_knows_the_committed_epochs,
        snapshots_see_whole_epochs_while_commits_run,
        a_snapshot_is_one_moment_of_all_tables,
    ]
);

/// A store that knows the table of `spec`, and a writer (flow `f`, attempt 1) into it.
async fn store_with(h: &dyn Harness<Port>, spec: &TableSpec) -> CaseResult<(Port, Writer)> {
    let store = h.open().await?;
    store.ensure_table(spec).await?;
    let writer = Writer::begin(&*store, spec, "f", 1).await?;
    Ok((store, writer))
}

/// The port on the same data after a restart, with the table of `spec` made known again.
async fn restarted(h: &dyn Harness<Port>, store: Port, spec: &TableSpec) -> CaseResult<Port> {
    let store = h.reopen(store).await?;
    store.ensure_table(spec).await?;
    Ok(store)
}

/// All rows of a table with their versions as the last cell, sorted by their text so that partitions may come in any order.
async fn table(store: &Port, table: &str) -> CaseResult<Vec<Row>> {
    let scan = Scan { with_version: true, ..Scan::default() };
    let mut rows = collect(store.snapshot().await?.scan(table, &scan).await?).await?;
    sort(&mut rows);
    Ok(rows)
}

fn sort(rows: &mut [Row]) {
    rows.sort_by_cached_key(|row| format!("{row:?}"));
}

/// `rows`, each with `version` as its last cell, in the order of [`table`].
fn with_version(rows: &[Row], version: i64) -> Vec<Row> {
    let mut rows: Vec<Row> = rows.iter().map(|row| row.iter().cloned().chain([version.into()]).collect()).collect();
    sort(&mut rows);
    rows
}

fn partition_of(values: impl IntoIterator<Item = Value>) -> PartitionQuery {
    PartitionQuery { partition: values.into_iter().collect(), ..PartitionQuery::default() }
}

/// The partition (`origin`, `day`) of the table [`events`](crate::tables::events).
fn events_of(origin: &str, day: i32) -> PartitionQuery {
    partition_of([Value::Str(origin.to_owned()), Value::Date(day)])
}

/// All rows of a query, page by page as it asks, without the version column. Checks what each page promises.
async fn pages(store: &Port, table: &str, query: &PartitionQuery) -> CaseResult<Vec<Row>> {
    let mut all = Vec::new();
    let mut page: Option<PageToken> = None;
    loop {
        let answer = store.read_partition(table, &PartitionQuery { page: page.clone(), ..query.clone() }).await?;
        let rows = rows_of(&answer.rows)?;
        check!(query.limit == 0 || rows.len() <= query.limit, "a page has at most {} rows, not {}", query.limit, rows.len());
        let name = answer.rows.schema().fields().last().map(|f| f.name().clone());
        check_eq!(name.as_deref(), Some(millstream_core::ports::VERSION_COLUMN), "the version is a page's last column");
        all.extend(rows.into_iter().map(|mut row| {
            row.pop();
            row
        }));
        match answer.next {
            None => return Ok(all),
            next => {
                check!(next != page, "the next page's token differs from this one's");
                page = next;
            }
        }
    }
}
