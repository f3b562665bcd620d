//! [`PostgresReportStore`]: relational tables in PostgreSQL, boxes 7 and 8. Any PostgreSQL client reads them.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use arrow::array::RecordBatch;
use async_trait::async_trait;
use bytes::BytesMut;
use millstream_core::ports::{EpochSink, EpochWrite, Publication, Published, ReportSnapshot, ReportStore};
use millstream_core::{Attempt, Epoch, Error, ErrorKind, FlowId, Result, TableSpec, Value};
use tokio_postgres::types::Type;

use super::columns::quoted;
use super::decode::BatchBuilder;
use super::encode::Cells;
use super::params::{Encoded, unsigned, value};
use super::pool::{Param, PostgresPool, Transaction};
use super::report::{FORMAT, Report, create_own_tables, in_schema};
use super::report_snapshot::PostgresReportSnapshot;
use super::{flows, publish};

/// Reads and writes alone, each statement on what was committed when it began.
pub(super) const READ_COMMITTED: &str = "ISOLATION LEVEL READ COMMITTED READ WRITE";

/// Reports in PostgreSQL.
pub struct PostgresReportStore {
    pool: PostgresPool,
    reports: Arc<Reports>,
}

/// The reports that were ensured.
#[derive(Default)]
pub(super) struct Reports(RwLock<HashMap<String, Arc<Report>>>);

impl Reports {
    /// The report called `name`; an error that names the database (`place`) where it is unknown.
    pub fn get(&self, name: &str, place: &str) -> Result<Arc<Report>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        known.ok_or_else(|| Error::not_found(format!("report {name} is not known in PostgreSQL ({place})")))
    }

    fn insert(&self, report: Report) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(report.spec.name.clone(), Arc::new(report));
    }

    fn remove(&self, name: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

impl PostgresReportStore {
    /// Reports in the database of `pool`, in the schema that its settings name. Opens no connection.
    #[must_use]
    pub fn new(pool: PostgresPool) -> Self {
        Self { pool, reports: Arc::default() }
    }

    fn report(&self, name: &str) -> Result<Arc<Report>> {
        self.reports.get(name, self.pool.place())
    }

    fn schema(&self) -> &str {
        &self.pool.settings().schema
    }
}

/// Makes Millstream's own tables where they are absent.
async fn ensure_own_tables(transaction: &Transaction, schema: &str) -> Result<()> {
    if own_tables_exist(transaction, schema).await? {
        return Ok(());
    }
    // Two that make them at the same time would fail, whatever IF NOT EXISTS says.
    transaction.query("SELECT pg_advisory_xact_lock(hashtext('millstream'), hashtext($1))", &[(&schema, Type::TEXT)]).await?;
    let made = transaction.query("SELECT 1 FROM pg_namespace WHERE nspname = $1", &[(&schema, Type::TEXT)]).await?;
    if made.is_empty() {
        transaction.run(&format!("CREATE SCHEMA {}", quoted(schema))).await?;
    }
    transaction.run(&create_own_tables(schema)).await
}

async fn own_tables_exist(transaction: &Transaction, schema: &str) -> Result<bool> {
    let both = ["millstream_reports", "millstream_epochs"].map(|name| in_schema(schema, name));
    let text = "SELECT to_regclass($1) IS NOT NULL AND to_regclass($2) IS NOT NULL";
    let rows = transaction.query(text, &[(&both[0], Type::TEXT), (&both[1], Type::TEXT)]).await?;
    rows.first().map_or(Ok(false), |row| value(row, 0))
}

/// Makes the report's table, or checks that it is it.
async fn ensure(transaction: &Transaction, schema: &str, report: &Report) -> Result<()> {
    ensure_own_tables(transaction, schema).await?;
    let (name, shape) = (&report.spec.name, report.spec.fingerprint());
    let insert = format!("INSERT INTO {} (report, format, shape) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", report.reports_table);
    let is_new = transaction.execute(&insert, &[(name, Type::TEXT), (&FORMAT, Type::INT2), (&shape, Type::TEXT)]).await? > 0;
    if !is_new {
        let select = format!("SELECT format, shape FROM {} WHERE report = $1 FOR UPDATE", report.reports_table);
        let rows = transaction.query(&select, &[(name, Type::TEXT)]).await?;
        let row = rows.first().ok_or_else(|| Error::unavailable(format!("report {name} was dropped in PostgreSQL at this moment")))?;
        let format: i16 = value(row, 0)?;
        if format != FORMAT {
            return Err(Error::unsupported(format!(
                "report {name} was made in PostgreSQL with format {format}; this build reads format {FORMAT}"
            )));
        }
        let present: String = value(row, 1)?;
        if present != shape {
            return Err(Error::already_exists(format!(
                "report {name} exists in PostgreSQL as\n  {present}\nand is asked for as\n  {shape}\nreset it, or give the new one another name"
            )));
        }
    }
    match report.look_up(transaction).await? {
        None if !is_new && has_flows(transaction, report).await? => Err(Error::corrupt(format!(
            "table {} is gone from PostgreSQL, and flows have written it: reset its flows, so that they write it from the beginning",
            report.table
        ))),
        None => transaction.run(&report.create()?).await,
        Some(_) if is_new => {
            let rows = transaction.query(&format!("SELECT 1 FROM {} LIMIT 1", report.table), &[]).await?;
            if rows.is_empty() {
                return Ok(());
            }
            Err(Error::already_exists(format!(
                "table {} exists in PostgreSQL with rows that Millstream did not write: empty it, or give the report another name",
                report.table
            )))
        }
        Some(_) => Ok(()),
    }
}

/// Whether a flow has begun to write the report.
pub(super) async fn has_flows(transaction: &Transaction, report: &Report) -> Result<bool> {
    let text = format!("SELECT 1 FROM {} WHERE report = $1 LIMIT 1", report.epochs_table);
    Ok(!transaction.query(&text, &[(&report.spec.name, Type::TEXT)]).await?.is_empty())
}

/// The published run, with the report locked until the transaction ends.
pub(super) async fn lock_run(transaction: &Transaction, report: &Report) -> Result<Option<u64>> {
    let text = format!("SELECT run FROM {} WHERE report = $1 FOR UPDATE", report.reports_table);
    let rows = transaction.query(&text, &[(&report.spec.name, Type::TEXT)]).await?;
    run_of(rows.first(), report)
}

/// The published run in an answer.
pub(super) fn run_of(row: Option<&tokio_postgres::Row>, report: &Report) -> Result<Option<u64>> {
    let row = row.ok_or_else(|| Error::not_found(format!("report {} was dropped in PostgreSQL", report.spec.name)))?;
    match value::<Option<i64>>(row, 0)? {
        None => Ok(None),
        Some(_) => unsigned(row, 0).map(Some),
    }
}

#[async_trait]
impl EpochSink for PostgresReportStore {
    async fn begin(&self, flow: &FlowId, attempt: Attempt, table: &str) -> Result<Epoch> {
        flows::begin(&self.pool, &*self.report(table)?, flow, attempt).await
    }

    async fn commit(&self, write: EpochWrite) -> Result<u64> {
        flows::commit(&self.pool, &*self.report(&write.table)?, &write).await
    }
}

#[async_trait]
impl ReportStore for PostgresReportStore {
    async fn ensure_report(&self, spec: &TableSpec) -> Result<()> {
        let report = Report::new(self.schema(), spec)?;
        let transaction = self.pool.begin(format!("making report {} known", spec.name), READ_COMMITTED).await?;
        let ensured = ensure(&transaction, self.schema(), &report).await;
        transaction.end(ensured).await?;
        self.reports.insert(report);
        Ok(())
    }

    async fn publish(&self, publication: Publication) -> Result<Published> {
        let report = self.report(&publication.report)?;
        publish::publish(&self.pool, &report, publication.run, publication.rows).await
    }

    async fn published_run(&self, report: &str) -> Result<Option<u64>> {
        let report = self.report(report)?;
        let text = format!("SELECT run FROM {} WHERE report = $1", report.reports_table);
        let rows = self.pool.ask("reading a report's run", &text, &[(&report.spec.name, Type::TEXT)]).await?;
        run_of(rows.first(), &report)
    }

    async fn snapshot(&self) -> Result<Arc<dyn ReportSnapshot>> {
        Ok(Arc::new(PostgresReportSnapshot::take(&self.pool, &self.reports).await?))
    }

    async fn get(&self, report: &str, key: &[Value]) -> Result<RecordBatch> {
        let report = self.report(report)?;
        let name = &report.spec.name;
        if key.len() != report.key.len() {
            return Err(Error::invalid(format!("{} values for the {} key columns of report {name}", key.len(), report.key.len())));
        }
        let mut encoded = Vec::with_capacity(key.len());
        for (value, index) in key.iter().zip(&report.key) {
            let field = report.spec.schema.field(*index);
            let array = value.to_array(field.data_type()).map_err(|e| e.context(format!("report {name}, column {}", field.name())))?;
            let mut bytes = BytesMut::new();
            match Cells::new(field.name(), &array) {
                Ok(cells) => cells.put(0, &mut bytes)?,
                // No row has a key that PostgreSQL can't hold.
                Err(e) if e.kind() == ErrorKind::InvalidInput => return Ok(RecordBatch::new_empty(report.spec.schema.clone())),
                Err(e) => return Err(e),
            }
            encoded.push((Encoded(bytes.split_off(4)), report.types[*index].0.clone()));
        }
        let params: Vec<Param<'_>> = encoded.iter().map(|(value, t)| (value as _, t.clone())).collect();
        let conditions = report.key.iter().enumerate();
        let conditions = conditions.map(|(n, index)| format!("{} = ${}", quoted(report.spec.schema.field(*index).name()), n + 1));
        let conditions = conditions.collect::<Vec<_>>().join(" AND ");
        let text = format!("SELECT {} FROM {} WHERE {conditions}", report.columns(""), report.table);
        let mut rows = BatchBuilder::new(report.spec.schema.clone(), &report.wires)?;
        for row in self.pool.ask(&format!("reading a row of report {name}"), &text, &params).await? {
            rows.push(&row)?;
        }
        rows.finish()
    }

    async fn drop_report(&self, report: &str) -> Result<()> {
        let transaction = self.pool.begin(format!("dropping report {report}"), READ_COMMITTED).await?;
        let dropped = drop_report(&transaction, self.schema(), report).await;
        transaction.end(dropped).await?;
        self.reports.remove(report);
        Ok(())
    }
}

/// Drops a report's table, if Millstream made it its own, and what is known of it.
async fn drop_report(transaction: &Transaction, schema: &str, name: &str) -> Result<()> {
    if !own_tables_exist(transaction, schema).await? {
        return Ok(());
    }
    let [reports, epochs] = ["millstream_reports", "millstream_epochs"].map(|table| in_schema(schema, table));
    let param: Param<'_> = (&name, Type::TEXT);
    if transaction.execute(&format!("DELETE FROM {reports} WHERE report = $1"), std::slice::from_ref(&param)).await? == 0 {
        return Ok(());
    }
    transaction.execute(&format!("DELETE FROM {epochs} WHERE report = $1"), std::slice::from_ref(&param)).await?;
    let deletes = in_schema(schema, &format!("millstream_deletes_{name}"));
    transaction.run(&format!("DROP TABLE IF EXISTS {}, {deletes}", in_schema(schema, name))).await
}
