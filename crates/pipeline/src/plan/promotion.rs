//! Which type values of different types have in common: where a decimal meets a floating-point number, Spark goes on with DOUBLE
//! (DataFusion would make both decimals, and lose the range); where a text meets something else, with the other's type; where a date
//! meets a time, with the time's.
//!
//! Source: Spark 4.1, "ANSI Compliance", section Type Promotion and Precedence. Arithmetic does it by itself.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, cast};

use super::expressions;

/// Functions whose arguments have one type.
const OF_ONE_TYPE: &[&str] = &["coalesce", "greatest", "least"];

/// Casts such values to the type that they have in common, in a plan whose types are not yet coerced.
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

/// Casts those among `expressions` whose type is not the common one.
fn unify<E: AsExpr>(expressions: &mut [E], schema: &DFSchema) -> bool {
    let types: Vec<_> = expressions.iter_mut().map(|e| e.as_expr().get_type(schema).ok()).collect();
    let known: Vec<&DataType> = types.iter().flatten().filter(|t| **t != DataType::Null).collect();
    let mut changed = false;
    for (expression, data_type) in expressions.iter_mut().zip(&types) {
        if let Some(target) = data_type.as_ref().and_then(|data_type| common(data_type, &known)) {
            let inner = std::mem::take(expression.as_expr());
            *expression.as_expr() = cast(inner, target);
            changed = true;
        }
    }
    changed
}

/// The type to which a value of `data_type` is cast among values of `all` types; `None` where DataFusion's own rules do what Spark's do.
fn common(data_type: &DataType, all: &[&DataType]) -> Option<DataType> {
    let others = |of: &dyn Fn(&DataType) -> bool| all.iter().any(|t| of(t));
    match data_type {
        decimal if decimal.is_decimal() && others(&DataType::is_floating) => Some(DataType::Float64),
        DataType::Utf8 => {
            let mut rest = all.iter().filter(|t| ***t != DataType::Utf8);
            let first = *rest.next()?;
            if first.is_numeric() {
                return rest.all(|t| t.is_numeric()).then(|| {
                    let integers = all.iter().all(|t| **t == DataType::Utf8 || t.is_integer());
                    if integers { DataType::Int64 } else { DataType::Float64 }
                });
            }
            let plain = matches!(first, DataType::Boolean | DataType::Date32 | DataType::Timestamp(..));
            (plain && rest.all(|t| *t == first)).then(|| first.clone())
        }
        // A number beside a text: both are of the widest type of their kind.
        number if number.is_integer() && *number != DataType::Int64 && others(&|t| *t == DataType::Utf8) => {
            all.iter().all(|t| **t == DataType::Utf8 || t.is_integer()).then_some(DataType::Int64)
        }
        decimal if decimal.is_decimal() && others(&|t| *t == DataType::Utf8) => Some(DataType::Float64),
        DataType::Date32 | DataType::Timestamp(_, None) => {
            all.iter().find(|t| matches!(t, DataType::Timestamp(_, Some(_)))).map(|t| DataType::clone(t))
        }
        _ => None,
    }
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
