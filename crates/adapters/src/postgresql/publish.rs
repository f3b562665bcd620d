//! Publishing a report: all its rows by binary COPY, and then, in the same transaction, whatever of the table differs, the keys that
//! vanished, and the run. Readers see the report before or the report after.

use bytes::BytesMut;
use futures::{SinkExt, StreamExt};
use millstream_core::batches::BatchStream;
use millstream_core::ports::Published;
use millstream_core::{Error, Result};
use tokio_postgres::types::Type;

use super::columns::quoted;
use super::encode::{COPY_END, COPY_HEAD, cells, put_row};
use super::params::{signed, value};
use super::pool::{PostgresPool, Transaction};
use super::report::Report;
use super::report_store::{READ_COMMITTED, has_flows, lock_run};

/// The rows of a publication on their way: a table of the transaction's own.
const STAGING: &str = "pg_temp.millstream_staging";
/// A message of COPY data has about so many bytes.
const MESSAGE_BYTES: usize = 128 << 10;

/// Publishes `rows` as run number `run`.
pub(super) async fn publish(pool: &PostgresPool, report: &Report, run: u64, rows: BatchStream) -> Result<Published> {
    let transaction = pool.begin(format!("publishing report {}", report.spec.name), READ_COMMITTED).await?;
    let published = write(&transaction, report, run, rows).await;
    transaction.end(published).await
}

async fn write(transaction: &Transaction, report: &Report, run: u64, rows: BatchStream) -> Result<Published> {
    // Asked first without a lock: a publication that waits for its rows must hold up nobody.
    let before = peek_run(transaction, report).await?;
    check(report, before, run)?;
    let is_first = before.is_none() && is_empty_and_locked(transaction, report).await?;
    let published = if is_first {
        Published { rows: copy(transaction, report, &report.table, rows).await?, removed: 0 }
    } else {
        let columns = report.columns("");
        transaction
            .run(&format!(
                "CREATE TEMPORARY TABLE millstream_staging ON COMMIT DROP AS SELECT {columns} FROM {} WITH NO DATA",
                report.table
            ))
            .await?;
        let rows = copy(transaction, report, STAGING, rows).await?;
        refuse_duplicates(transaction, report).await?;
        check(report, lock_run(transaction, report).await?, run)?;
        Published { rows, removed: merge(transaction, report).await? }
    };
    if has_flows(transaction, report).await? {
        return Err(Error::invalid(format!(
            "report {} is written continuously by a flow and can't be published whole; reset it, or give the job's report another name",
            report.spec.name
        )));
    }
    let text = format!("UPDATE {} SET run = $2, rows = $3, published = now() WHERE report = $1", report.reports_table);
    let (run, rows) = (signed(run)?, signed(published.rows)?);
    transaction.execute(&text, &[(&report.spec.name, Type::TEXT), (&run, Type::INT8), (&rows, Type::INT8)]).await?;
    Ok(published)
}

fn check(report: &Report, before: Option<u64>, run: u64) -> Result<()> {
    match before {
        Some(published) if run < published => {
            Err(Error::fenced(format!("report {}: run {run} is older than the published run {published}", report.spec.name)))
        }
        _ => Ok(()),
    }
}

async fn peek_run(transaction: &Transaction, report: &Report) -> Result<Option<u64>> {
    let text = format!("SELECT run FROM {} WHERE report = $1", report.reports_table);
    let rows = transaction.query(&text, &[(&report.spec.name, Type::TEXT)]).await?;
    super::report_store::run_of(rows.first(), report)
}

/// Whether the table is empty and nobody else publishes it: then its rows need no staging.
async fn is_empty_and_locked(transaction: &Transaction, report: &Report) -> Result<bool> {
    if lock_run(transaction, report).await?.is_some() {
        return Ok(false);
    }
    Ok(transaction.query(&format!("SELECT 1 FROM {} LIMIT 1", report.table), &[]).await?.is_empty())
}

/// Copies `rows` into a table with the report's columns; returns how many they were.
async fn copy(transaction: &Transaction, report: &Report, table: &str, mut rows: BatchStream) -> Result<u64> {
    let text = format!("COPY {table} ({}) FROM STDIN (FORMAT binary)", report.columns(""));
    // The statement goes before the transaction ends: its name on the server must not outlive it.
    let (statement, sink) = transaction.copy_in(&text).await?;
    let mut sink = std::pin::pin!(sink);
    let mut message = BytesMut::with_capacity(2 * MESSAGE_BYTES);
    message.extend_from_slice(COPY_HEAD);
    let mut count = 0;
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        report.check(&batch, |_| false)?;
        let cells = cells(&batch)?;
        for row in 0..batch.num_rows() {
            put_row(&cells, row, &mut message)?;
            if message.len() >= MESSAGE_BYTES {
                transaction.patiently(sink.feed(message.split().freeze())).await?;
                message.reserve(2 * MESSAGE_BYTES);
            }
        }
        count += batch.num_rows() as u64;
    }
    message.extend_from_slice(&COPY_END);
    transaction.patiently(sink.feed(message.freeze())).await?;
    transaction.patiently(sink.finish()).await?;
    drop(statement);
    Ok(count)
}

async fn refuse_duplicates(transaction: &Transaction, report: &Report) -> Result<()> {
    let names: Vec<_> = report.key.iter().map(|i| report.spec.schema.field(*i).name().as_str()).collect();
    let texts = names.iter().map(|name| format!("{}::text", quoted(name))).collect::<Vec<_>>().join(", ");
    let key = report.key_columns("");
    // The planner has to know how many rows there are; of their values a small sample of the key will do.
    transaction.run(&format!("SET LOCAL default_statistics_target = 10; ANALYZE {STAGING} ({key})")).await?;
    let twice = format!("SELECT {texts} FROM {STAGING} GROUP BY {key} HAVING count(*) > 1 LIMIT 1");
    let Some(row) = transaction.query(&twice, &[]).await?.into_iter().next() else { return Ok(()) };
    let mut described = Vec::new();
    for (i, name) in names.iter().enumerate() {
        described.push(format!("{name} = {}", value::<Option<String>>(&row, i)?.unwrap_or_else(|| "null".to_owned())));
    }
    Err(Error::invalid(format!(
        "report {}: two rows have the primary key ({}); group by it, or make the key longer",
        report.spec.name,
        described.join(", ")
    )))
}

/// Puts the staged rows in the place of the table's, touching only what differs. Returns how many keys vanished.
async fn merge(transaction: &Transaction, report: &Report) -> Result<u64> {
    let (table, key) = (&report.table, report.key_columns(""));
    let update = match report.assignments(None) {
        none if none.is_empty() => "NOTHING".to_owned(),
        assignments => format!("UPDATE SET {assignments}"),
    };
    let first = quoted(report.spec.schema.field(report.key[0]).name());
    let insert = format!(
        "INSERT INTO {table} ({}) SELECT {} FROM {STAGING} s LEFT JOIN {table} t ON {} WHERE t.{first} IS NULL OR {} ON CONFLICT ({key}) DO {update}",
        report.columns(""),
        report.columns("s."),
        report.same_key("s", "t"),
        report.differs("s", "t"),
    );
    transaction.execute(&insert, &[]).await?;
    let delete = format!("DELETE FROM {table} t WHERE NOT EXISTS (SELECT 1 FROM {STAGING} s WHERE {})", report.same_key("s", "t"));
    transaction.execute(&delete, &[]).await
}
