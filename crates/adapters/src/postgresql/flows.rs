//! What flows write: each epoch in one transaction with its number. Of two writes of a key the greater version wins; a row's version
//! is in its column `_version`, that of a key that was deleted in the table of deletes.
//!
//! An epoch's changes are folded to one a key, and go to the server as arrays: one statement for what is written, one for what is
//! deleted. Writers of a table take turns (they lock its row in `millstream_reports`), or a delete and an older write of one key could
//! pass each other unseen.

use std::collections::HashMap;

use arrow::array::Int64Array;
use arrow::row::{RowConverter, SortField};
use millstream_core::admission::{Admission, FlowProgress};
use millstream_core::ports::{EpochWrite, VERSION_COLUMN};
use millstream_core::{Attempt, ChangeBatch, ChangeKind, Epoch, Error, FlowId, Result};
use tokio_postgres::types::Type;

use super::columns::{list, quoted};
use super::encode::{Cells, array_of, cells};
use super::params::{Encoded, signed, unsigned};
use super::pool::{Param, PostgresPool, Transaction};
use super::report::Report;
use super::report_store::{READ_COMMITTED, lock_run};

/// A statement has at most so many rows: its parameters are in memory on both sides.
const ROWS_A_STATEMENT: usize = 20_000;

/// Begins `attempt` of `flow` into `report`: fences lower ones, and returns the last committed epoch.
pub(super) async fn begin(pool: &PostgresPool, report: &Report, flow: &FlowId, attempt: Attempt) -> Result<Epoch> {
    let operation = format!("beginning attempt {attempt} of flow {flow} into {}", report.spec.name);
    let transaction = pool.begin(operation, READ_COMMITTED).await?;
    let delete_memory_s = pool.settings().delete_memory_s;
    let begun = begin_in(&transaction, report, flow, attempt, delete_memory_s).await;
    transaction.end(begun).await
}

async fn begin_in(transaction: &Transaction, report: &Report, flow: &FlowId, attempt: Attempt, delete_memory_s: u64) -> Result<Epoch> {
    if let Some(run) = lock_run(transaction, report).await? {
        return Err(Error::invalid(format!(
            "report {0} was published whole by a job (run {run}) and can't be written by flow {flow}; reset it, or give the flow's table another name",
            report.spec.name
        )));
    }
    if report.look_up(transaction).await? != Some(true) {
        transaction.run(&report.create_for_flows()?).await?;
    }
    let text = format!(
        "INSERT INTO {} AS e (report, flow, attempt, epoch) VALUES ($1, $2, $3, 0) ON CONFLICT (report, flow) DO UPDATE \
         SET attempt = greatest(e.attempt, excluded.attempt) RETURNING attempt, epoch",
        report.epochs_table
    );
    let number = signed(attempt.0)?;
    let params: [Param<'_>; 3] = [(&report.spec.name, Type::TEXT), (&flow.as_str(), Type::TEXT), (&number, Type::INT8)];
    let rows = transaction.query(&text, &params).await?;
    let row = rows.first().ok_or_else(|| Error::internal("a flow's attempt was not noted in PostgreSQL"))?;
    let reached = FlowProgress { attempt: Attempt(unsigned(row, 0)?), epoch: Epoch(unsigned(row, 1)?) };
    reached.check_attempt(flow, attempt, &report.spec.name).map_err(|e| e.context("PostgreSQL"))?;
    let age = signed(delete_memory_s)?;
    let old = format!("DELETE FROM {} WHERE written < now() - make_interval(secs => $1)", report.deletes);
    #[expect(clippy::cast_precision_loss, reason = "seconds of some days")]
    transaction.execute(&old, &[(&(age as f64), Type::FLOAT8)]).await?;
    Ok(reached.epoch)
}

/// Commits an epoch; returns how many rows now stand differently.
pub(super) async fn commit(pool: &PostgresPool, report: &Report, write: &EpochWrite) -> Result<u64> {
    let changes = ChangeBatch::concat(&report.spec.schema, check(report, write)?)?;
    let operation = format!("writing epoch {} of flow {} into {}", write.epoch, write.flow, report.spec.name);
    let transaction = pool.begin(operation, READ_COMMITTED).await?;
    let committed = commit_in(&transaction, report, write, &changes).await;
    transaction.end(committed).await
}

fn check<'a>(report: &Report, write: &'a EpochWrite) -> Result<&'a [ChangeBatch]> {
    for batch in &write.changes {
        report.check(batch.rows(), |row| batch.kind(row) == ChangeKind::Delete)?;
    }
    Ok(&write.changes)
}

async fn commit_in(transaction: &Transaction, report: &Report, write: &EpochWrite, changes: &ChangeBatch) -> Result<u64> {
    let text = format!(
        "SELECT e.attempt, e.epoch FROM {} r JOIN {} e ON e.report = r.report WHERE r.report = $1 AND e.flow = $2 FOR UPDATE",
        report.reports_table, report.epochs_table
    );
    let (name, flow) = (&report.spec.name, write.flow.as_str());
    let rows = transaction.query(&text, &[(name, Type::TEXT), (&flow, Type::TEXT)]).await?;
    let row = rows.first().ok_or_else(|| Error::invalid(format!("flow {flow} writes to {name} and has not begun to")))?;
    let reached = FlowProgress { attempt: Attempt(unsigned(row, 0)?), epoch: Epoch(unsigned(row, 1)?) };
    if reached.admit(write).map_err(|e| e.context("PostgreSQL"))? == Admission::Done {
        return Ok(0);
    }
    let differ = apply(transaction, report, changes).await?;
    let text = format!("UPDATE {} SET attempt = $3, epoch = $4, committed = now() WHERE report = $1 AND flow = $2", report.epochs_table);
    let (attempt, number) = (signed(write.attempt.0)?, signed(write.epoch.0)?);
    let params: [Param<'_>; 4] = [(name, Type::TEXT), (&flow, Type::TEXT), (&attempt, Type::INT8), (&number, Type::INT8)];
    transaction.execute(&text, &params).await?;
    Ok(differ)
}

async fn apply(transaction: &Transaction, report: &Report, changes: &ChangeBatch) -> Result<u64> {
    let (written, deleted) = fold(report, changes)?;
    let mut differ = 0;
    // Of a delete only the key columns mean anything: the others may hold what PostgreSQL can't.
    let keys: Vec<Cells<'_>> =
        report.key.iter().map(|i| Cells::new(report.spec.schema.field(*i).name(), changes.rows().column(*i))).collect::<Result<_>>()?;
    let upsert = upsert_text(report);
    for rows in written.chunks(ROWS_A_STATEMENT) {
        let indices = arrow::array::UInt32Array::from_iter_values(rows.iter().map(|r| *r as u32));
        let taken = changes.take(&indices)?;
        let columns = cells(taken.rows())?;
        let all: Vec<usize> = (0..rows.len()).collect();
        let types = report.types.iter();
        differ += run(transaction, &upsert, columns.iter().zip(types), taken.versions(), &all).await?;
    }
    let delete = delete_text(report);
    for rows in deleted.chunks(ROWS_A_STATEMENT) {
        let types = report.key.iter().map(|i| &report.types[*i]);
        differ += run(transaction, &delete, keys.iter().zip(types), changes.versions(), rows).await?;
    }
    Ok(differ)
}

/// Runs a statement over the rows at `rows` of `columns` and their versions; returns the number that it answers.
async fn run<'a>(
    transaction: &Transaction,
    text: &str,
    columns: impl Iterator<Item = (&'a Cells<'a>, &'a (Type, Type))>,
    versions: &Int64Array,
    rows: &[usize],
) -> Result<u64> {
    let versions = Cells::Int64(versions);
    let mut arrays = columns
        .map(|(cells, (element, array))| Ok((Encoded(array_of(cells, rows, element)?), array.clone())))
        .collect::<Result<Vec<_>>>()?;
    arrays.push((Encoded(array_of(&versions, rows, &Type::INT8)?), Type::INT8_ARRAY));
    let params: Vec<Param<'_>> = arrays.iter().map(|(value, t)| (value as _, t.clone())).collect();
    let answer = transaction.query(text, &params).await?;
    answer.first().map_or(Ok(0), |row| unsigned(row, 0))
}

/// The rows that have the last word on their keys: those that write, and those that delete.
fn fold(report: &Report, changes: &ChangeBatch) -> Result<(Vec<usize>, Vec<usize>)> {
    let keys: Vec<_> = report.key.iter().map(|i| changes.rows().column(*i).clone()).collect();
    let converter = RowConverter::new(keys.iter().map(|k| SortField::new(k.data_type().clone())).collect())?;
    let keys = converter.convert_columns(&keys)?;
    let mut last: HashMap<&[u8], usize> = HashMap::with_capacity(changes.len());
    for row in 0..changes.len() {
        let standing = last.entry(keys.row(row).data()).or_insert(row);
        if changes.version(*standing) <= changes.version(row) {
            *standing = row;
        }
    }
    let mut rows: Vec<usize> = last.into_values().collect();
    rows.sort_unstable();
    Ok(rows.into_iter().partition(|row| changes.kind(*row) != ChangeKind::Delete))
}

/// `$1, $2, ...`
fn bind_parameters(count: usize) -> String {
    (1..=count).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ")
}

/// Writes rows that no greater version stands against, and forgets the deletes that they follow. Answers how many now stand differently.
fn upsert_text(report: &Report) -> String {
    let version = quoted(VERSION_COLUMN);
    let names = format!("{}, {version}", report.columns(""));
    let first = quoted(report.spec.schema.field(report.key[0]).name());
    let count = report.spec.schema.fields().len() + 1;
    format!(
        "WITH given AS (SELECT * FROM unnest({places}) AS g({names})), \
         n AS MATERIALIZED (SELECT * FROM given g WHERE NOT EXISTS \
         (SELECT 1 FROM {deletes} d WHERE {d_is_g} AND d.{version} > g.{version})), \
         differ AS (SELECT count(*) AS c FROM n LEFT JOIN {table} t ON {t_is_n} \
         WHERE t.{first} IS NULL OR (t.{version} <= n.{version} AND {t_not_n})), \
         written AS (INSERT INTO {table} AS t ({names}) SELECT {names} FROM n ON CONFLICT ({key}) DO UPDATE SET {assignments} \
         WHERE t.{version} < excluded.{version} OR (t.{version} = excluded.{version} AND {t_not_excluded})), \
         forgotten AS (DELETE FROM {deletes} d USING n WHERE {d_is_n}) \
         SELECT c FROM differ",
        places = bind_parameters(count),
        deletes = report.deletes,
        table = report.table,
        d_is_g = report.same_key("d", "g"),
        d_is_n = report.same_key("d", "n"),
        t_is_n = report.same_key("t", "n"),
        t_not_n = report.differs("t", "n"),
        t_not_excluded = report.differs("t", "excluded"),
        key = report.key_columns(""),
        assignments = report.assignments(Some(VERSION_COLUMN)),
    )
}

/// Deletes rows of no greater version, and remembers the deletes. Answers how many rows went.
fn delete_text(report: &Report) -> String {
    let version = quoted(VERSION_COLUMN);
    let keys = list("", report.key.iter().map(|i| report.spec.schema.field(*i).name().as_str()));
    format!(
        "WITH n AS MATERIALIZED (SELECT * FROM unnest({places}) AS g({keys}, {version})), \
         gone AS (DELETE FROM {table} t USING n WHERE {t_is_n} AND t.{version} <= n.{version} RETURNING 1), \
         remembered AS (INSERT INTO {deletes} AS d ({keys}, {version}) SELECT {keys}, {version} FROM n WHERE NOT EXISTS \
         (SELECT 1 FROM {table} t WHERE {t_is_n} AND t.{version} > n.{version}) \
         ON CONFLICT ({keys}) DO UPDATE SET {version} = excluded.{version}, written = now() WHERE d.{version} < excluded.{version}) \
         SELECT count(*) FROM gone",
        places = bind_parameters(report.key.len() + 1),
        table = report.table,
        deletes = report.deletes,
        t_is_n = report.same_key("t", "n"),
    )
}
