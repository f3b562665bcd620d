//! [`Lineage`]: what of a flow's result comes from the reference data that it joins, and what from its events alone.
//!
//! It reads the shapes of [`Flow::plan`](millstream_pipeline::graph::Flow). What it doesn't know is taken to come from reference data.

use datafusion::common::DFSchema;
use datafusion::logical_expr::{Expr, Join, JoinType, LogicalPlan};
use millstream_pipeline::graph::Flow;

/// Where a query's rows and columns come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lineage {
    /// For each column, whether reference data has a part in it.
    pub(super) referenced: Vec<bool>,
    /// Whether each event gives a row or none whatever the reference data says.
    pub(super) rows_of_events: bool,
    /// Whether what comes from reference data is taken as it is. Else something is computed of it, which may fail with one value and not with
    /// another.
    pub(super) taken_as_it_is: bool,
}

impl Lineage {
    /// Of the table that `flow` writes.
    pub(super) fn of(flow: &Flow) -> Self {
        of_plan(flow, &flow.plan)
    }

    fn unknown(columns: usize) -> Self {
        Self { referenced: vec![true; columns], rows_of_events: false, taken_as_it_is: false }
    }

    /// Whether reference data has a part in `expr` over these columns, which `schema` names.
    fn has_part_in(&self, expr: &Expr, schema: &DFSchema) -> bool {
        let is_referenced = |at: Option<usize>| at.and_then(|at| self.referenced.get(at)).copied().unwrap_or(true);
        expr.column_refs().into_iter().any(|column| is_referenced(schema.maybe_index_of_column(column))) || has_query(expr)
    }
}

fn has_query(expr: &Expr) -> bool {
    use datafusion::common::tree_node::TreeNode as _;
    expr.exists(|e| Ok(matches!(e, Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) | Expr::SetComparison(_))))
        .unwrap_or(true)
}

fn of_plan(flow: &Flow, plan: &LogicalPlan) -> Lineage {
    let columns = plan.schema().fields().len();
    match plan {
        LogicalPlan::TableScan(scan) => {
            let is_stream = flow.reads(scan.table_name.table());
            Lineage { referenced: vec![!is_stream; columns], rows_of_events: true, taken_as_it_is: true }
        }
        LogicalPlan::SubqueryAlias(alias) => of_plan(flow, &alias.input),
        LogicalPlan::Projection(projection) => {
            let below = of_plan(flow, &projection.input);
            let referenced: Vec<bool> = projection.expr.iter().map(|e| below.has_part_in(e, projection.input.schema())).collect();
            let mut computed = projection.expr.iter().zip(&referenced).filter(|(e, referenced)| **referenced && !is_column(e));
            let taken_as_it_is = below.taken_as_it_is && computed.next().is_none();
            Lineage { referenced, taken_as_it_is, ..below }
        }
        LogicalPlan::Filter(filter) => {
            let below = of_plan(flow, &filter.input);
            let rows_of_events = below.rows_of_events && !below.has_part_in(&filter.predicate, filter.input.schema());
            Lineage { rows_of_events, ..below }
        }
        LogicalPlan::Unnest(unnest) => {
            let below = of_plan(flow, &unnest.input);
            let is_referenced = |at: &usize| below.referenced.get(*at).copied().unwrap_or(true);
            let rows_of_events = below.rows_of_events && !unnest.list_type_columns.iter().any(|(list, _)| is_referenced(list));
            let referenced = unnest.dependency_indices.iter().map(is_referenced).collect();
            Lineage { referenced, rows_of_events, ..below }
        }
        LogicalPlan::Join(join) => of_join(flow, join),
        LogicalPlan::Aggregate(aggregate) => {
            let below = of_plan(flow, &aggregate.input);
            let input = aggregate.input.schema();
            let groups: Vec<bool> = aggregate.group_expr.iter().map(|e| below.has_part_in(e, input)).collect();
            let rows_of_events = below.rows_of_events && !groups.contains(&true);
            let mut arguments = aggregate.aggr_expr.iter().filter(|e| below.has_part_in(e, input));
            let taken_as_it_is = below.taken_as_it_is && arguments.next().is_none();
            // An event may have had another number of matches.
            let referenced = groups.into_iter().chain(std::iter::repeat(true)).take(columns).collect();
            Lineage { referenced, rows_of_events, taken_as_it_is }
        }
        _ => Lineage::unknown(columns),
    }
}

fn of_join(flow: &Flow, join: &Join) -> Lineage {
    let columns = join.schema.fields().len();
    let (stream, key_of_stream, is_left) = match (reads_stream(flow, &join.left), reads_stream(flow, &join.right)) {
        (true, false) => (&join.left, 0, true),
        (false, true) => (&join.right, 1, false),
        _ => return Lineage::unknown(columns),
    };
    let below = of_plan(flow, stream);
    let keeps_rows = matches!((join.join_type, is_left), (JoinType::Left, true) | (JoinType::Right, false));
    let reference = columns.saturating_sub(below.referenced.len());
    let others = std::iter::repeat_n(true, reference);
    let referenced = if is_left {
        below.referenced.iter().copied().chain(others).collect()
    } else {
        others.chain(below.referenced.iter().copied()).collect()
    };
    let computes_key = join
        .on
        .iter()
        .map(|(left, right)| [left, right][key_of_stream])
        .any(|key| below.has_part_in(key, stream.schema()) && !is_column(key));
    let taken_as_it_is = below.taken_as_it_is && !computes_key && join.filter.is_none();
    Lineage { referenced, rows_of_events: below.rows_of_events && keeps_rows, taken_as_it_is }
}

fn reads_stream(flow: &Flow, plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::TableScan(scan) => flow.reads(scan.table_name.table()),
        other => other.inputs().into_iter().any(|input| reads_stream(flow, input)),
    }
}

fn is_column(expr: &Expr) -> bool {
    match expr {
        Expr::Column(_) => true,
        Expr::Alias(alias) => is_column(&alias.expr),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
