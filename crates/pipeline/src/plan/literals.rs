//! What a plan fresh from the text means to Spark: whole numbers are INT where they fit, not BIGINT, and the average of decimals is a decimal.

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{AggregateFunction, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};

use crate::graph::WINDOW_FUNCTION;

/// Makes the BIGINT literals of a plan INT literals. Only for a plan fresh from the text, where each stands for a number token.
pub(super) fn narrow(plan: LogicalPlan) -> Result<LogicalPlan> {
    let narrowed = plan.transform_up_with_subqueries(|node| {
        if matches!(node, LogicalPlan::Limit(_) | LogicalPlan::Values(_)) {
            return Ok(Transformed::no(node));
        }
        let names = NamePreserver::new(&node);
        let mut schema = DFSchema::empty();
        node.inputs().into_iter().for_each(|input| schema.merge(input.schema()));
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            expr.transform_down(|expr| narrow_literal(expr, &schema))?.map_data(|expr| Ok(name.restore(expr)))
        })?
        .map_data(LogicalPlan::recompute_schema)
    })?;
    Ok(narrowed.data)
}

fn narrow_literal(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match &expr {
        // datafusion-spark's average is a DOUBLE always; DataFusion's of DECIMAL(p, s) is DECIMAL(p + 4, s + 4), as Spark's.
        Expr::AggregateFunction(function) if averages_decimals(function, schema) => {
            let func = datafusion::functions_aggregate::average::avg_udaf();
            let params = function.params.clone();
            Ok(Transformed::yes(Expr::AggregateFunction(AggregateFunction { func, params })))
        }
        Expr::Literal(ScalarValue::Int64(Some(value)), metadata) => match i32::try_from(*value) {
            Ok(small) => Ok(Transformed::yes(Expr::Literal(ScalarValue::Int32(Some(small)), metadata.clone()))),
            Err(_) => Ok(Transformed::no(expr)),
        },
        // The size of a window is a BIGINT.
        Expr::ScalarFunction(ScalarFunction { func, .. }) if func.name() == WINDOW_FUNCTION => {
            Ok(Transformed::new(expr, false, TreeNodeRecursion::Jump))
        }
        // What DataFusion makes of count(*).
        Expr::AggregateFunction(function) if matches!(function.params.args.as_slice(), [Expr::Literal(..)]) => {
            Ok(Transformed::new(expr, false, TreeNodeRecursion::Jump))
        }
        _ => Ok(Transformed::no(expr)),
    }
}

fn averages_decimals(function: &AggregateFunction, schema: &DFSchema) -> bool {
    let decimal = |argument: &Expr| argument.get_type(schema).is_ok_and(|t| t.is_decimal());
    matches!(function.func.name(), "avg" | "mean") && function.params.args.iter().any(decimal)
}
