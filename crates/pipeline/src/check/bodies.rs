//! The bodies of functions, each by itself: an expression over its parameters, of the type that it returns.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast::{Expr, Ident, SelectItem, SetExpr};
use datafusion::sql::sqlparser::parser::Parser;

use super::{columns, relations, tables};
use crate::diagnostic::Problem;
use crate::plan::Planner;
use crate::spark::functions;
use crate::suggest;
use crate::syntax::functions::Functions;
use crate::syntax::lexer::SparkSql;
use crate::syntax::rewrite;
use crate::syntax::statement::{Definition, WrittenQuery};

/// The name of the only column.
const RESULT: &str = "result";

/// What is wrong with `functions`; those that they call are written out already.
pub(super) fn problems(functions: &Functions) -> Vec<Problem> {
    functions.values().flat_map(|(file, definition)| body_problems(*file, definition)).collect()
}

fn body_problems(file: usize, definition: &Definition) -> Vec<Problem> {
    let name = &definition.name;
    if functions::names().contains(&name.value) {
        let message = format!("there is a function {}() already: Spark's own", name.value);
        return vec![Problem::new("millstream::duplicate_function", name.place, message).help("give this one another name")];
    }
    let Some(mut query) = body_query(definition) else {
        return vec![
            Problem::new("millstream::internal", definition.place, "the function can't be checked").help("please report it with its text"),
        ];
    };
    let known = functions::names();
    let unknown: Vec<_> = relations::named(file, &query)
        .functions
        .into_iter()
        .filter(|(function, _)| !known.contains(function))
        .map(|(function, place)| {
            let problem = Problem::new("millstream::unknown_function", place, format!("there is no function {function}()"));
            let otherwise = "the functions are those of Spark, of which some are not supported yet, and those of the pipeline";
            problem.help(suggest::did_you_mean(&function, known.iter().map(String::as_str), otherwise))
        })
        .collect();
    if !unknown.is_empty() {
        return unknown;
    }
    let rewritten = rewrite::rewrite(file, &mut query.query, &|_| false);
    if !rewritten.is_empty() {
        return rewritten;
    }
    let mut planner = Planner::new();
    let parameters: Vec<_> = definition.parameters.iter().map(|p| Field::new(&p.name.value, p.data_type.clone(), true)).collect();
    planner.add_table(&name.value, Arc::new(Schema::new(parameters)));
    let plan = planner.plan(file, &query).and_then(|plan| planner.analyze(file, &query, plan));
    let plan = match plan {
        Ok(plan) => plan,
        Err(problems) => return problems,
    };
    if makes_rows(&plan) {
        let message = "a function is an expression of one row: no aggregates, no windows, no generators";
        return vec![Problem::new("millstream::not_supported", definition.place, message).help("write that where the function is used")];
    }
    let output = match columns::outputs(file, &query, &plan) {
        Ok(outputs) => outputs.into_iter().next(),
        Err(problems) => return problems,
    };
    match (&definition.returns, output) {
        (Some(returns), Some(output)) if returns.is_nested() && *returns != output.data_type => {
            let (from, to) = (tables::sql_type(&output.data_type), tables::sql_type(returns));
            let message = format!("the function returns {to}, but its expression is {from}");
            vec![Problem::new("millstream::type_mismatch", definition.place, message).help(format!("write RETURNS {from}"))]
        }
        _ => Vec::new(),
    }
}

/// `SELECT body AS result FROM name`: the parameters are the columns of a table that is called like the function.
fn body_query(definition: &Definition) -> Option<WrittenQuery> {
    let text = format!("SELECT 1 AS {RESULT} FROM `{}`", definition.name.value);
    let mut query = Parser::new(&SparkSql).try_with_sql(&text).and_then(|mut parser| parser.parse_query()).ok()?;
    let SetExpr::Select(select) = query.body.as_mut() else { return None };
    let expr: Expr = definition.body.as_ref().clone();
    select.projection = vec![SelectItem::ExprWithAlias { expr, alias: Ident::new(RESULT) }];
    Some(WrittenQuery { query, tokens: definition.tokens.clone(), streams: Vec::new(), place: definition.place })
}

/// Whether `plan` is more than a projection of its table.
fn makes_rows(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::TableScan(_) => false,
        LogicalPlan::Projection(p) => makes_rows(&p.input),
        LogicalPlan::SubqueryAlias(a) => makes_rows(&a.input),
        _ => true,
    }
}
