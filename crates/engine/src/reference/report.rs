//! [`PublishedReport`]: a report as flows join it, which is as it was published last. It knows the port [`ReportStore`], and no flow but by the
//! columns that it reads.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::LogicalPlan;
use futures::TryStreamExt as _;
use millstream_core::ports::ReportStore;
use millstream_core::{Result, TableSpec};
use millstream_pipeline::graph::Pipeline;

/// A report that flows join.
pub(super) struct PublishedReport {
    store: Arc<dyn ReportStore>,
    report: String,
    /// The columns that they read, by their places.
    columns: Vec<usize>,
}

impl PublishedReport {
    /// The report `spec`, with the columns at `columns`.
    pub(super) fn new(store: Arc<dyn ReportStore>, spec: &TableSpec, columns: Vec<usize>) -> Self {
        Self { store, report: spec.name.clone(), columns }
    }

    /// The run that published it last; `None` before the first.
    pub(super) async fn revision(&self) -> Result<Option<String>> {
        Ok(self.store.published_run(&self.report).await?.map(|run| run.to_string()))
    }

    /// Its rows, of one publication.
    pub(super) async fn load(&self) -> Result<Vec<RecordBatch>> {
        self.store.snapshot().await?.scan(&self.report, Some(self.columns.clone())).await?.try_collect().await
    }
}

/// The columns of `report` that flows of `pipeline` read, by their places: a report may be wide, and all that is loaded is held in memory.
/// `None` where no flow joins it.
pub(super) fn columns_joined(pipeline: &Pipeline, report: &TableSpec) -> Option<Vec<usize>> {
    let mut flows = pipeline.flows.iter().filter(|flow| flow.references.contains(&report.name)).peekable();
    flows.peek()?;
    let read: BTreeSet<String> = flows.flat_map(|flow| columns_read(&flow.plan, &report.name)).collect();
    let places: Vec<usize> =
        report.schema.fields().iter().enumerate().filter(|(_, field)| read.contains(field.name())).map(|(place, _)| place).collect();
    // Of a report whose rows are only counted, any column says how many there are.
    Some(if places.is_empty() { vec![0] } else { places })
}

/// The columns of `table` that `plan` and its sub-queries read.
fn columns_read(plan: &LogicalPlan, table: &str) -> BTreeSet<String> {
    let mut read = BTreeSet::new();
    let _ = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && scan.table_name.table() == table
        {
            read.extend(scan.projected_schema.fields().iter().map(|field| field.name().clone()));
            read.extend(scan.filters.iter().flat_map(|filter| filter.column_refs()).map(|column| column.name.clone()));
        }
        Ok(TreeNodeRecursion::Continue)
    });
    read
}
