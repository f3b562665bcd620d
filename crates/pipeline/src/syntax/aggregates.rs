//! Spark's aggregate functions that are written another way here: `count_if`, `median`, `first(x, true)`, and those `WITHIN GROUP`, whose
//! order becomes an argument.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArguments, Ident, NullTreatment, ObjectName, Value, ValueWithSpan,
};
use datafusion::sql::sqlparser::tokenizer::Span;

use super::rewrite::single_name;
use crate::spark::value_counts::SORTED_TEXT;

/// Functions of the language that only exist here.
pub(crate) const REWRITTEN: [&str; 1] = ["count_if"];

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
        ("median", [value]) => call(function, "percentile", vec![value.clone(), number("0.5")]),
        (name @ ("percentile_cont" | "percentile_disc"), [percentage]) => {
            if let Some((value, descending)) = only_order(function) {
                let arguments = vec![value, percentage.clone(), boolean(descending)];
                call(function, name, arguments);
            }
        }
        ("mode", []) => {
            if let Some((value, descending)) = only_order(function) {
                call(function, "mode", vec![value, boolean(descending)]);
            }
        }
        // Of equally frequent values the least, whether that is asked for or any would do.
        ("mode", [value] | [value, Expr::Value(ValueWithSpan { value: Value::Boolean(_), .. })]) => {
            call(function, "mode", vec![value.clone(), boolean(false)]);
        }
        ("listagg" | "string_agg", [value, rest @ ..]) if rest.len() < 2 => list_text(function, value, rest.first()),
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

/// The one expression that a function orders its group by, and whether it is descending.
fn only_order(function: &mut Function) -> Option<(Expr, bool)> {
    let [order] = function.within_group.as_slice() else { return None };
    if order.options.nulls_first.is_some() {
        return None;
    }
    let found = (order.expr.clone(), order.options.asc == Some(false));
    function.within_group.clear();
    Some(found)
}

/// `listagg(value[, delimiter])`: what has the order of its own values, or the order of which nobody cares, is [`SORTED_TEXT`].
fn list_text(function: &mut Function, value: &Expr, delimiter: Option<&Expr>) {
    let delimiter = delimiter.cloned().unwrap_or_else(|| text(""));
    let is_distinct = matches!(
        &function.args,
        FunctionArguments::List(list) if list.duplicate_treatment == Some(DuplicateTreatment::Distinct) && list.clauses.is_empty()
    );
    let ordered_by_itself = matches!(function.within_group.as_slice(), [order] if order.expr == *value);
    if ordered_by_itself || (is_distinct && function.within_group.is_empty()) {
        let descending = only_order(function).is_some_and(|(_, descending)| descending);
        call(function, SORTED_TEXT, vec![string(value), delimiter, boolean(descending)]);
        return;
    }
    let order = std::mem::take(&mut function.within_group);
    call(function, "string_agg", vec![value.clone(), delimiter]);
    if !order.is_empty()
        && let FunctionArguments::List(list) = &mut function.args
    {
        list.clauses.push(FunctionArgumentClause::OrderBy(order));
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

fn boolean(value: bool) -> Expr {
    Expr::Value(ValueWithSpan { value: Value::Boolean(value), span: Span::empty() })
}

fn text(value: &str) -> Expr {
    Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(value.to_owned()), span: Span::empty() })
}

fn string(value: &Expr) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(value.clone()), data_type: DataType::String(None), array: false, format: None }
}
