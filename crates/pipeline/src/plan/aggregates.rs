//! Aggregates without aliases among their expressions: names that coercion has kept by aliases are given above them.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, Result};
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, LogicalPlanBuilder};

/// `plan` with every alias of an aggregate's expressions moved into a projection above it.
pub(super) fn lift_aliases(plan: LogicalPlan) -> Result<LogicalPlan> {
    let lifted = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Aggregate(aggregate)
            if aggregate.group_expr.iter().chain(&aggregate.aggr_expr).any(|e| matches!(e, Expr::Alias(_))) =>
        {
            lift(&aggregate).map(Transformed::yes)
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(lifted.data)
}

fn lift(aggregate: &Aggregate) -> Result<LogicalPlan> {
    let bare = |expressions: &[Expr]| expressions.iter().map(|e| strip(e).clone()).collect::<Vec<_>>();
    let inner = Aggregate::try_new(Arc::clone(&aggregate.input), bare(&aggregate.group_expr), bare(&aggregate.aggr_expr))?;
    let columns: Vec<Expr> = inner
        .schema
        .iter()
        .zip(aggregate.schema.iter())
        .map(|((qualifier, field), (wanted_qualifier, wanted))| {
            let column = Expr::Column(Column::new(qualifier.cloned(), field.name()));
            let same = qualifier == wanted_qualifier && field.name() == wanted.name();
            if same { column } else { column.alias_qualified(wanted_qualifier.cloned(), wanted.name()) }
        })
        .collect();
    LogicalPlanBuilder::from(LogicalPlan::Aggregate(inner)).project(columns)?.build()
}

fn strip(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => strip(&alias.expr),
        other => other,
    }
}
