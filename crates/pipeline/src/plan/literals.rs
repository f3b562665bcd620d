//! What a plan fresh from the text means to Spark: whole numbers are INT where they fit, not BIGINT, and the average of decimals is a decimal.

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{AggregateFunction, ScalarFunction};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};

use super::expressions;
use crate::graph::WINDOW_FUNCTION;

/// Makes the BIGINT literals of a plan INT literals. Only for a plan fresh from the text, where each stands for a number token.
pub(super) fn narrow(plan: LogicalPlan) -> Result<LogicalPlan> {
    expressions::rewrite(plan, &|expr, schema| expr.transform_down(|e| narrow_literal(e, schema)))
}

fn narrow_literal(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match &expr {
        // datafusion-spark's average is a DOUBLE always and knows no DISTINCT; DataFusion's of DECIMAL(p, s) is DECIMAL(p + 4, s + 4), as Spark's.
        Expr::AggregateFunction(function) if averages_otherwise(function, schema) => {
            let func = datafusion::functions_aggregate::average::avg_udaf();
            let params = function.params.clone();
            Ok(Transformed::yes(Expr::AggregateFunction(AggregateFunction { func, params })))
        }
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

fn averages_otherwise(function: &AggregateFunction, schema: &DFSchema) -> bool {
    let decimal = |argument: &Expr| argument.get_type(schema).is_ok_and(|t| t.is_decimal());
    let differs = function.params.distinct || function.params.args.iter().any(decimal);
    matches!(function.func.name(), "avg" | "mean")
        && function.func.as_ref() != datafusion::functions_aggregate::average::avg_udaf().as_ref()
        && differs
}

/// The percentage of `percentile_cont(value, percentage)` as the DOUBLE literal that DataFusion asks for.
fn percentage(expr: &Expr) -> Option<f64> {
    match expr {
        Expr::Literal(ScalarValue::Decimal128(Some(unscaled), _, scale), _) => format!("{unscaled}e{}", -i32::from(*scale)).parse().ok(),
        Expr::Literal(ScalarValue::Int64(Some(whole @ (0 | 1))), _) => Some(if *whole == 0 { 0.0 } else { 1.0 }),
        _ => None,
    }
}
