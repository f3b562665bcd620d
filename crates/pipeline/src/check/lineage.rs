//! Where a column of a plan comes from: followed down to the scan, or to the group of an aggregate.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{Expr, LogicalPlan};

/// Where a column comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A column of a table, unchanged.
    Column { table: String, column: String },
    /// A group expression of an aggregate, unchanged; `field` is the part of the window that was taken.
    Group { index: usize, field: Option<String> },
}

/// The origin of the output column `index` of `plan`; `None` if it is computed. Stops at an aggregate.
pub(super) fn origin(plan: &LogicalPlan, index: usize) -> Option<Origin> {
    follow(plan, index, None)
}

fn follow(plan: &LogicalPlan, index: usize, field: Option<String>) -> Option<Origin> {
    match plan {
        LogicalPlan::Projection(projection) => expression(&projection.input, projection.expr.get(index)?, field),
        LogicalPlan::Filter(filter) => follow(&filter.input, index, field),
        LogicalPlan::SubqueryAlias(alias) => follow(&alias.input, index, field),
        LogicalPlan::Sort(sort) => follow(&sort.input, index, field),
        LogicalPlan::Join(join) => {
            let left = join.left.schema().fields().len();
            if index < left { follow(&join.left, index, field) } else { follow(&join.right, index - left, field) }
        }
        // An item of a list is computed; beside it, each row has what its event has.
        LogicalPlan::Unnest(unnest) => {
            let from = *unnest.dependency_indices.get(index)?;
            let is_list = unnest.list_type_columns.iter().any(|(list, _)| *list == from);
            if is_list { None } else { follow(&unnest.input, from, field) }
        }
        LogicalPlan::Aggregate(aggregate) if index < aggregate.group_expr.len() => Some(Origin::Group { index, field }),
        LogicalPlan::TableScan(scan) if field.is_none() => {
            let column = scan.projected_schema.fields().get(index)?.name().clone();
            Some(Origin::Column { table: scan.table_name.table().to_owned(), column })
        }
        _ => None,
    }
}

/// The origin of an expression over `input`.
pub(super) fn expression(input: &LogicalPlan, expr: &Expr, field: Option<String>) -> Option<Origin> {
    match expr {
        Expr::Alias(alias) => expression(input, &alias.expr, field),
        Expr::Column(column) => follow(input, input.schema().maybe_index_of_column(column)?, field),
        Expr::ScalarFunction(ScalarFunction { func, args }) if func.name() == "get_field" && field.is_none() => match args.as_slice() {
            [inner, Expr::Literal(ScalarValue::Utf8(Some(name)), _)] => expression(input, inner, Some(name.clone())),
            _ => None,
        },
        _ => None,
    }
}
