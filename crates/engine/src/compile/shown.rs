//! Expressions for people: what a dead letter says of the one that could not be computed.

use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, CastExpr, Column, Literal};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::scalar::ScalarValue;
use millstream_pipeline::{Operation, sql_type};

/// So many characters of an expression are shown.
const LENGTH_MAX: usize = 200;

/// What went wrong, and where: in the column `name` of a query, where it is one that the query names, and in which expression.
pub(super) fn blamed(reason: &str, name: Option<&str>, expression: &dyn PhysicalExpr) -> String {
    let column = name.filter(|name| is_written(name)).map(|name| format!("column {name}: ")).unwrap_or_default();
    format!("{column}{reason}, in {}", shortened(&shown(expression)))
}

/// Whether somebody has written this name: planners make up others, with signs in them or two underscores before them.
fn is_written(name: &str) -> bool {
    !name.starts_with("__") && name.chars().all(|c| c.is_alphanumeric() || c == '_')
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LENGTH_MAX) {
        Some((end, _)) => format!("{} ...", &text[..end]),
        None => text.to_owned(),
    }
}

/// The expression in the pipeline's language, as far as it has words for it.
fn shown(expression: &dyn PhysicalExpr) -> String {
    if let Some(column) = expression.downcast_ref::<Column>() {
        return column.name().to_owned();
    }
    if let Some(literal) = expression.downcast_ref::<Literal>() {
        return match literal.value() {
            ScalarValue::Utf8(Some(text)) => format!("'{text}'"),
            value => value.to_string(),
        };
    }
    if let Some(cast) = expression.downcast_ref::<CastExpr>() {
        return format!("CAST({} AS {})", shown(cast.expr().as_ref()), sql_type(cast.cast_type()));
    }
    if let Some(binary) = expression.downcast_ref::<BinaryExpr>() {
        let operator = match binary.op() {
            Operator::NotEq => "<>".to_owned(),
            other => other.to_string(),
        };
        return format!("({} {operator} {})", shown(binary.left().as_ref()), shown(binary.right().as_ref()));
    }
    if let Some(call) = expression.downcast_ref::<ScalarFunctionExpr>() {
        let arguments: Vec<_> = call.args().iter().map(|argument| shown(argument.as_ref())).collect();
        return match (Operation::of_function(call.name()), arguments.as_slice()) {
            (Some(operation), [left, right]) => format!("({left} {} {right})", operation.symbol()),
            _ => format!("{}({})", call.name(), arguments.join(", ")),
        };
    }
    datafusion::physical_expr_common::physical_expr::fmt_sql(expression).to_string()
}

#[cfg(test)]
mod tests;
