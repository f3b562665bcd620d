//! All event-store tables of a query from one snapshot: [`SnapshotCell`] holds it, and [`OneSnapshot`] hands one cell to all scans of a
//! query.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{LogicalPlan, TableScan};
use datafusion::optimizer::AnalyzerRule;
use millstream_core::Result;
use millstream_core::ports::{EventStore, StoreSnapshot};
use tokio::sync::OnceCell;

use super::port_table::PortTable;

/// A snapshot, taken when the first scan needs it.
pub(super) struct SnapshotCell {
    store: Arc<dyn EventStore>,
    snapshot: OnceCell<Arc<dyn StoreSnapshot>>,
}

impl SnapshotCell {
    pub(super) fn new(store: Arc<dyn EventStore>) -> Self {
        Self { store, snapshot: OnceCell::new() }
    }

    pub(super) fn taken(store: Arc<dyn EventStore>, snapshot: Arc<dyn StoreSnapshot>) -> Self {
        Self { store, snapshot: OnceCell::new_with(Some(snapshot)) }
    }

    pub(super) async fn get(&self) -> Result<Arc<dyn StoreSnapshot>> {
        self.snapshot.get_or_try_init(|| self.store.snapshot()).await.cloned()
    }
}

/// Gives all event-store scans of a plan one new [`SnapshotCell`].
///
/// It is an analyzer rule because analysis is what happens exactly once for each execution, over the whole query with its
/// sub-queries. A plan that was analysed before (a prepared statement's) gets a new cell too, so it never reads old data again.
#[derive(Clone)]
pub(super) struct OneSnapshot {
    store: Arc<dyn EventStore>,
}

impl OneSnapshot {
    pub(super) fn new(store: Arc<dyn EventStore>) -> Self {
        Self { store }
    }
}

impl std::fmt::Debug for OneSnapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OneSnapshot")
    }
}

impl AnalyzerRule for OneSnapshot {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> DataFusionResult<LogicalPlan> {
        let cell = Arc::new(SnapshotCell::new(self.store.clone()));
        let pinned = plan.transform_up_with_subqueries(|node| {
            let LogicalPlan::TableScan(scan) = node else { return Ok(Transformed::no(node)) };
            let provider: Option<Arc<dyn TableProvider>> = source_as_provider(&scan.source).ok();
            match provider.and_then(|p| PortTable::pinned(p.as_ref(), &cell)) {
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
        "one_snapshot"
    }
}
