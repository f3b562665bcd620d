//! All tables of a query that can be read from snapshots, from one each: [`Moment`] holds the snapshots, and [`OneMoment`] hands one
//! moment to all scans of a query.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{LogicalPlan, TableScan};
use datafusion::optimizer::AnalyzerRule;
use millstream_core::Result;
use millstream_core::ports::{EventStore, ReportSnapshot, ReportStore, StoreSnapshot};
use tokio::sync::OnceCell;

use super::port_table::PortTable;
use crate::engine::Ports;

/// The snapshots of a query, each taken when the first scan needs it.
pub(super) struct Moment {
    events: Arc<dyn EventStore>,
    reports: Arc<dyn ReportStore>,
    of_events: OnceCell<Arc<dyn StoreSnapshot>>,
    of_reports: OnceCell<Arc<dyn ReportSnapshot>>,
}

impl Moment {
    /// One that is still to come.
    pub(super) fn new(ports: &Ports) -> Self {
        Self::of(ports.event_store.clone(), ports.reports.clone())
    }

    /// With the event store as in `snapshot`.
    pub(super) fn with_events(ports: &Ports, snapshot: Arc<dyn StoreSnapshot>) -> Self {
        Self { of_events: OnceCell::new_with(Some(snapshot)), ..Self::new(ports) }
    }

    fn of(events: Arc<dyn EventStore>, reports: Arc<dyn ReportStore>) -> Self {
        Self { events, reports, of_events: OnceCell::new(), of_reports: OnceCell::new() }
    }

    /// All event-store tables.
    pub(super) async fn events(&self) -> Result<Arc<dyn StoreSnapshot>> {
        self.of_events.get_or_try_init(|| self.events.snapshot()).await.cloned()
    }

    /// All reports.
    pub(super) async fn reports(&self) -> Result<Arc<dyn ReportSnapshot>> {
        self.of_reports.get_or_try_init(|| self.reports.snapshot()).await.cloned()
    }
}

/// Gives all scans of a plan that read from snapshots one new [`Moment`].
///
/// It is an analyzer rule because analysis is what happens exactly once for each execution, over the whole query with its
/// sub-queries. A plan that was analysed before (a prepared statement's) gets a new moment too, so it never reads old data again.
#[derive(Clone)]
pub(super) struct OneMoment {
    events: Arc<dyn EventStore>,
    reports: Arc<dyn ReportStore>,
}

impl OneMoment {
    pub(super) fn new(ports: &Ports) -> Self {
        Self { events: ports.event_store.clone(), reports: ports.reports.clone() }
    }
}

impl std::fmt::Debug for OneMoment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OneMoment")
    }
}

impl AnalyzerRule for OneMoment {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> DataFusionResult<LogicalPlan> {
        let moment = Arc::new(Moment::of(self.events.clone(), self.reports.clone()));
        let pinned = plan.transform_up_with_subqueries(|node| {
            let LogicalPlan::TableScan(scan) = node else { return Ok(Transformed::no(node)) };
            let provider: Option<Arc<dyn TableProvider>> = source_as_provider(&scan.source).ok();
            match provider.and_then(|p| PortTable::pinned(p.as_ref(), &moment)) {
                Some(table) => {
                    let source = provider_as_source(Arc::new(table));
                    Ok(Transformed::yes(LogicalPlan::TableScan(TableScan { source, ..scan })))
                }
                None => Ok(Transformed::no(LogicalPlan::TableScan(scan))),
            }
        })?;
        Ok(pinned.data)
    }

    fn name(&self) -> &str {
        "one_moment"
    }
}
