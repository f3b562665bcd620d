//! What a plan fresh from the text means to Spark: whole numbers are INT where they fit, not BIGINT, and windows of windows are of their
//! times.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};

use super::expressions;
use crate::graph::{SESSION_FUNCTION, WINDOW_FUNCTION};
use crate::spark::window_time;

/// Makes the BIGINT literals of a plan INT literals. Only for a plan fresh from the text, where each stands for a number token.
pub(super) fn narrow(plan: LogicalPlan) -> Result<LogicalPlan> {
    expressions::rewrite(plan, &|expr, schema| expr.transform_down(|e| narrow_literal(e, schema)))
}

fn narrow_literal(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match &expr {
        Expr::AggregateFunction(function) if function.func.name() == "percentile_cont" => {
            let Some(share) = function.params.args.get(1).and_then(percentage) else { return Ok(Transformed::no(expr)) };
            let mut function = function.clone();
            function.params.args[1] = Expr::Literal(ScalarValue::Float64(Some(share)), None);
            Ok(Transformed::yes(Expr::AggregateFunction(function)))
        }
        Expr::Literal(ScalarValue::Int64(Some(value)), metadata) => match i32::try_from(*value) {
            Ok(small) => Ok(Transformed::yes(Expr::Literal(ScalarValue::Int32(Some(small)), metadata.clone()))),
            Err(_) => Ok(Transformed::no(expr)),
        },
        // The size of a window is a BIGINT. A window of windows is of their times.
        Expr::ScalarFunction(ScalarFunction { func, args }) if func.name() == WINDOW_FUNCTION => {
            let of_windows = args.first().is_some_and(|time| time.get_type(schema).is_ok_and(|t| window_time::is_window(&t)));
            if !of_windows {
                return Ok(Transformed::new(expr, false, TreeNodeRecursion::Jump));
            }
            let mut args = args.clone();
            args[0] = Expr::ScalarFunction(ScalarFunction::new_udf(window_time::function(), vec![args[0].clone()]));
            let call = Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(func), args));
            Ok(Transformed::new(call, true, TreeNodeRecursion::Jump))
        }
        // So is a gap that is the same for all rows.
        Expr::ScalarFunction(ScalarFunction { func, args })
            if func.name() == SESSION_FUNCTION && matches!(args.as_slice(), [_, Expr::Literal(..)]) =>
        {
            Ok(Transformed::new(expr, false, TreeNodeRecursion::Jump))
        }
        // What DataFusion makes of count(*).
        Expr::AggregateFunction(function) if matches!(function.params.args.as_slice(), [Expr::Literal(..)]) => {
            Ok(Transformed::new(expr, false, TreeNodeRecursion::Jump))
        }
        _ => Ok(Transformed::no(expr)),
    }
}

/// The percentage of `percentile_cont(value, percentage)` as the DOUBLE literal that DataFusion asks for.
fn percentage(expr: &Expr) -> Option<f64> {
    match expr {
        Expr::Literal(ScalarValue::Decimal128(Some(unscaled), _, scale), _) => format!("{unscaled}e{}", -i32::from(*scale)).parse().ok(),
        Expr::Literal(ScalarValue::Int64(Some(whole @ (0 | 1))), _) => Some(if *whole == 0 { 0.0 } else { 1.0 }),
        _ => None,
    }
}
