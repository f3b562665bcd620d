//! Spark's aggregate functions that are written another way in DataFusion: `count_if`, `median`, `percentile`, and `first(x, true)`.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, ExactNumberInfo, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident,
    NullTreatment, ObjectName, Value, ValueWithSpan,
};
use datafusion::sql::sqlparser::tokenizer::Span;

use super::rewrite::single_name;

/// Functions of the language that only exist here.
pub(crate) const REWRITTEN: [&str; 2] = ["count_if", "percentile"];

/// Functions whose second argument says whether they pass over nulls.
const WITH_NULL_TREATMENT: [&str; 5] = ["any_value", "first", "first_value", "last", "last_value"];

/// Rewrites `function`, if it is one of these.
pub(super) fn rewrite(function: &mut Function) {
    let Some(name) = single_name(&function.name) else { return };
    match (name.as_str(), arguments(function).as_slice()) {
        ("count_if", [condition]) => {
            let condition = Expr::Nested(Box::new(condition.clone()));
            function.filter = Some(Box::new(match function.filter.take() {
                Some(filter) => {
                    Expr::BinaryOp { left: Box::new(Expr::Nested(filter)), op: BinaryOperator::And, right: Box::new(condition) }
                }
                None => condition,
            }));
            call(function, "count", vec![number("1")]);
        }
        ("median", [value]) => call(function, "percentile_cont", vec![double(value), number("0.5")]),
        ("percentile", [value, percentage]) => {
            let arguments = vec![double(value), percentage.clone()];
            call(function, "percentile_cont", arguments);
        }
        (name, [value, Expr::Value(ValueWithSpan { value: Value::Boolean(ignore), .. })]) if WITH_NULL_TREATMENT.contains(&name) => {
            let (value, ignore) = (value.clone(), *ignore);
            function.null_treatment = ignore.then_some(NullTreatment::IgnoreNulls);
            if let FunctionArguments::List(list) = &mut function.args {
                list.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(value))];
            }
        }
        _ => {}
    }
}

/// The arguments, if all are plain expressions.
fn arguments(function: &Function) -> Vec<Expr> {
    let FunctionArguments::List(list) = &function.args else { return Vec::new() };
    let plain = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    };
    list.args.iter().map(plain).collect::<Option<_>>().unwrap_or_default()
}

fn call(function: &mut Function, name: &str, arguments: Vec<Expr>) {
    let span = function.name.0.first().and_then(|part| part.as_ident()).map_or_else(Span::empty, |ident| ident.span);
    function.name = ObjectName::from(vec![Ident::with_span(span, name)]);
    if let FunctionArguments::List(list) = &mut function.args {
        list.args = arguments.into_iter().map(|expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))).collect();
    }
}

fn number(text: &str) -> Expr {
    Expr::Value(ValueWithSpan { value: Value::Number(text.to_owned(), false), span: Span::empty() })
}

fn double(value: &Expr) -> Expr {
    let data_type = DataType::Double(ExactNumberInfo::None);
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(value.clone()), data_type, array: false, format: None }
}
