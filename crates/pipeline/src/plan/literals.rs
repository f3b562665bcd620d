//! Whole numbers are INT in Spark where they fit, not BIGINT.

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan};

use crate::graph::WINDOW_FUNCTION;

/// Makes the BIGINT literals of a plan INT literals. Only for a plan fresh from the text, where each stands for a number token.
pub(super) fn narrow(plan: LogicalPlan) -> Result<LogicalPlan> {
    let narrowed = plan.transform_up_with_subqueries(|node| {
        if matches!(node, LogicalPlan::Limit(_) | LogicalPlan::Values(_)) {
            return Ok(Transformed::no(node));
        }
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            expr.transform_down(narrow_literal)?.map_data(|expr| Ok(name.restore(expr)))
        })?
        .map_data(LogicalPlan::recompute_schema)
    })?;
    Ok(narrowed.data)
}

fn narrow_literal(expr: Expr) -> Result<Transformed<Expr>> {
    match &expr {
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
