//! [`PostgresReportSnapshot`]: all reports in PostgreSQL at one moment.
//!
//! A transaction that only reads keeps the moment, and the first scan goes through it. Further scans have transactions of their own, each
//! joined to the moment by its exported snapshot (PostgreSQL's documentation, "Snapshot Synchronization Functions"): so a slow reader of one
//! holds back no other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use millstream_core::batches::BatchStream;
use millstream_core::ports::ReportSnapshot;
use millstream_core::table::project_schema;
use millstream_core::{Error, Result};

use super::columns::quoted;
use super::decode::{BatchBuilder, Wire};
use super::params::value;
use super::pool::{PostgresPool, ReadTransaction};
use super::report_store::Reports;
use super::scan;

/// The reports at one moment.
pub(super) struct PostgresReportSnapshot {
    pool: PostgresPool,
    reports: Arc<Reports>,
    keeper: Arc<ReadTransaction>,
    /// The exported snapshot's name: digits and dashes.
    id: String,
    is_scanned: AtomicBool,
}

impl PostgresReportSnapshot {
    /// As they are now.
    pub async fn take(pool: &PostgresPool, reports: &Arc<Reports>) -> Result<Self> {
        let keeper = pool.begin_read("taking a snapshot of the reports").await?;
        let rows = keeper.get()?.query("SELECT pg_export_snapshot()", &[]).await?;
        let row = rows.first().ok_or_else(|| Error::internal("PostgreSQL exported no snapshot"))?;
        let id: String = value(row, 0)?;
        if !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err(Error::internal(format!("PostgreSQL calls a snapshot {id:?}")));
        }
        Ok(Self { pool: pool.clone(), reports: reports.clone(), keeper: Arc::new(keeper), id, is_scanned: AtomicBool::new(false) })
    }

    /// A transaction at this moment that no other scan uses.
    async fn transaction(&self, report: &str) -> Result<Arc<ReadTransaction>> {
        if !self.is_scanned.swap(true, Ordering::Relaxed) {
            return Ok(self.keeper.clone());
        }
        let transaction = self.pool.begin_read(format!("scanning report {report}")).await?;
        transaction.get()?.run(&format!("SET TRANSACTION SNAPSHOT '{}'", self.id)).await?;
        Ok(Arc::new(transaction))
    }
}

#[async_trait]
impl ReportSnapshot for PostgresReportSnapshot {
    async fn scan(&self, report: &str, columns: Option<Vec<usize>>) -> Result<BatchStream> {
        let report = self.reports.get(report, self.pool.place())?;
        let schema = project_schema(&report.spec.schema, columns.as_deref())?;
        let wires: Vec<Wire> = match &columns {
            None => report.wires.clone(),
            Some(columns) => columns.iter().map(|i| report.wires[*i]).collect(),
        };
        let names: Vec<_> = schema.fields().iter().map(|f| quoted(f.name())).collect();
        let names = if names.is_empty() { "1".to_owned() } else { names.join(", ") };
        let text = format!("SELECT {names} FROM {} ORDER BY {}", report.table, report.order());
        let builder = BatchBuilder::new(schema, &wires)?;
        scan::scan(self.transaction(&report.spec.name).await?, &text, builder).await
    }
}
