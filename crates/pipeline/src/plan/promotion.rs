//! Where a decimal meets a floating-point number, Spark goes on with DOUBLE; DataFusion would make both decimals, and lose the range.
//!
//! Source: Spark 4.1, "ANSI Compliance", section Type Promotion and Precedence. Arithmetic does it by itself.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, cast};

use super::expressions;

/// Functions whose arguments have one type.
const OF_ONE_TYPE: &[&str] = &["coalesce", "greatest", "ifnull", "least", "nullif", "nvl"];

/// Casts such decimals to DOUBLE, in a plan whose types are not yet coerced.
pub(super) fn promote(plan: LogicalPlan) -> Result<LogicalPlan> {
    expressions::rewrite(plan, &|expr, schema| expr.transform_up(|e| promote_in(e, schema)))
}

fn promote_in(mut expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let changed = match &mut expr {
        Expr::BinaryExpr(binary) if binary.op.supports_propagation() => unify(&mut [&mut binary.left, &mut binary.right], schema),
        Expr::Between(between) => unify(&mut [&mut between.expr, &mut between.low, &mut between.high], schema),
        Expr::InList(list) => {
            let mut members: Vec<&mut Expr> = std::iter::once(list.expr.as_mut()).chain(list.list.iter_mut()).collect();
            unify(&mut members, schema)
        }
        Expr::Case(case) => {
            let (conditions, mut results): (Vec<&mut Expr>, Vec<&mut Expr>) =
                case.when_then_expr.iter_mut().map(|(when, then)| (when.as_mut(), then.as_mut())).unzip();
            results.extend(case.else_expr.as_deref_mut());
            let results_changed = unify(&mut results, schema);
            let compared_changed = match case.expr.as_deref_mut() {
                Some(compared) => unify(&mut std::iter::once(compared).chain(conditions).collect::<Vec<_>>(), schema),
                None => false,
            };
            results_changed || compared_changed
        }
        Expr::ScalarFunction(function) if OF_ONE_TYPE.contains(&function.func.name()) => {
            unify(&mut function.args.iter_mut().collect::<Vec<_>>(), schema)
        }
        Expr::ScalarFunction(function) if function.func.name() == "if" => match function.args.as_mut_slice() {
            [_, then, otherwise] => unify(&mut [then, otherwise], schema),
            _ => false,
        },
        _ => false,
    };
    Ok(Transformed::new_transformed(expr, changed))
}

/// Casts the decimals among `expressions` to DOUBLE if there is a floating-point number among them.
fn unify<E: AsExpr>(expressions: &mut [E], schema: &DFSchema) -> bool {
    let types: Vec<_> = expressions.iter_mut().map(|e| e.as_expr().get_type(schema).ok()).collect();
    if !types.iter().flatten().any(DataType::is_floating) {
        return false;
    }
    let mut changed = false;
    for (expression, data_type) in expressions.iter_mut().zip(&types) {
        if data_type.as_ref().is_some_and(DataType::is_decimal) {
            let inner = std::mem::take(expression.as_expr());
            *expression.as_expr() = cast(inner, DataType::Float64);
            changed = true;
        }
    }
    changed
}

/// A place where an expression stands, boxed or not.
trait AsExpr {
    fn as_expr(&mut self) -> &mut Expr;
}

impl AsExpr for &mut Expr {
    fn as_expr(&mut self) -> &mut Expr {
        self
    }
}

impl AsExpr for &mut Box<Expr> {
    fn as_expr(&mut self) -> &mut Expr {
        self
    }
}
