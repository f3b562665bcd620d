//! [`EmbeddedReportSnapshot`]: all built-in reports at one moment. Pointer and rows of each are read from one snapshot of the database.

use std::sync::Arc;

use async_trait::async_trait;
use fjall::Snapshot;
use millstream_core::Result;
use millstream_core::batches::BatchStream;
use millstream_core::ports::ReportSnapshot;

use super::database::Store;
use super::merge::Expiry;
use super::registry::Registry;
use super::report_store::{Report, read_pointer};
use super::row_codec::RowDecoder;
use super::snapshot::{Wanted, send_rows, stream};

/// The report store at one moment.
pub(super) struct EmbeddedReportSnapshot {
    store: Arc<Store>,
    snapshot: Snapshot,
    reports: Arc<Registry<Report>>,
}

impl EmbeddedReportSnapshot {
    /// As it is now.
    pub fn new(store: Arc<Store>, reports: Arc<Registry<Report>>) -> Self {
        Self { snapshot: store.snapshot(), store, reports }
    }
}

#[async_trait]
impl ReportSnapshot for EmbeddedReportSnapshot {
    async fn scan(&self, report: &str, columns: Option<Vec<usize>>) -> Result<BatchStream> {
        let (store, snapshot, report) = (self.store.clone(), self.snapshot.clone(), self.reports.get(report)?);
        // Wrong columns are found before the stream is handed out.
        RowDecoder::new(&report.keyed.rows, columns.as_deref(), false, 0)?;
        Ok(stream(move |out| {
            let pointer = read_pointer(&store, &snapshot, report.keyed.id)?;
            let expiry = Expiry { ttl: None, now: 0 };
            let wanted = Wanted { rows: &report.keyed.rows, columns: columns.as_deref(), with_version: false, expiry };
            match pointer.generation {
                0 => send_rows(&snapshot, &store.rows, &report.keyed.id.to_be_bytes(), &wanted, out),
                generation => send_rows(&snapshot, &store.reports, &report.prefix(generation), &wanted, out),
            }
        }))
    }
}
