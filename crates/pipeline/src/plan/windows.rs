//! The windows of batch queries, in terms of what DataFusion runs: a group of windows that overlap becomes one row for each of them, a
//! group of sessions becomes window functions that number the sessions of each key. In a stream both are the engine's own.
//!
//! As in Spark, a row without a time is in no window.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, Result, ScalarValue, UnnestOptions, plan_err};
use datafusion::functions_aggregate::min_max::{max_udaf, min_udaf};
use datafusion::logical_expr::expr::{AggregateFunction, ScalarFunction, WindowFunction};
use datafusion::logical_expr::{
    Aggregate, Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, WindowFrame, WindowFrameBound, WindowFrameUnits,
    WindowFunctionDefinition, lit, when,
};

use crate::graph::{SESSION_FUNCTION, WINDOW_FUNCTION};
use crate::spark::{session, spans, sum};

/// The list of a row's windows, then one of them.
const WINDOWS: &str = "spark_windows";
/// The span of a row of a session.
const SPAN: &str = "spark_span";
/// Whether a row begins a session: 1, else 0.
const BEGINS: &str = "spark_begins";

/// `plan`, whose types are coerced, with every group of windows in terms of other operators.
pub(super) fn expand(plan: LogicalPlan) -> Result<LogicalPlan> {
    let expanded = plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::Aggregate(aggregate) = &node else { return Ok(Transformed::no(node)) };
        let call = aggregate.group_expr.iter().enumerate().find_map(|(at, e)| Some((at, call_of(e)?.clone())));
        match call {
            Some((group, call)) if call.func.name() == SESSION_FUNCTION => sessions(aggregate, group, call).map(Transformed::yes),
            Some((group, call)) => fixed(aggregate, group, &call).map(Transformed::yes),
            None => Ok(Transformed::no(node)),
        }
    })?;
    Ok(expanded.data)
}

/// The call of `window()` or `session_window()` that a group is.
fn call_of(group: &Expr) -> Option<&ScalarFunction> {
    match group {
        Expr::Alias(alias) => call_of(&alias.expr),
        Expr::ScalarFunction(call) if [WINDOW_FUNCTION, SESSION_FUNCTION].contains(&call.func.name()) => Some(call),
        _ => None,
    }
}

/// A column of a plan, whatever its name is.
fn column(plan: &LogicalPlan, at: usize) -> Expr {
    let (qualifier, field) = plan.schema().qualified_field(at);
    Expr::Column(Column::new(qualifier.cloned(), field.name()))
}

/// All columns of a plan, and one more.
fn with_column(plan: LogicalPlan, expr: Expr, name: &str) -> Result<LogicalPlan> {
    let columns = (0..plan.schema().fields().len()).map(|at| column(&plan, at)).collect::<Vec<_>>();
    LogicalPlanBuilder::from(plan).project(columns.into_iter().chain([expr.alias(name)]))?.build()
}

/// `aggregate` over another input, with another group in the place of the windows, under its columns' names.
fn regrouped(aggregate: &Aggregate, group: usize, input: LogicalPlan, window: Expr) -> Result<LogicalPlan> {
    let mut groups = aggregate.group_expr.clone();
    groups[group] = window;
    let inner = LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(input), groups, aggregate.aggr_expr.clone())?);
    let columns = (0..aggregate.schema.fields().len()).map(|at| column(&inner, at)).collect();
    renamed(aggregate, inner, columns)
}

/// `columns` of `plan` under the names that the columns of `aggregate` have.
fn renamed(aggregate: &Aggregate, plan: LogicalPlan, columns: Vec<Expr>) -> Result<LogicalPlan> {
    let names = aggregate.schema.iter();
    let columns = columns.into_iter().zip(names).map(|(column, (qualifier, field))| match &column {
        Expr::Column(same) if same.relation.as_ref() == qualifier && same.name == *field.name() => column,
        _ => column.alias_qualified(qualifier.cloned(), field.name()),
    });
    LogicalPlanBuilder::from(plan).project(columns.collect::<Vec<_>>())?.build()
}

fn fixed(aggregate: &Aggregate, group: usize, call: &ScalarFunction) -> Result<LogicalPlan> {
    let [time, lengths @ ..] = call.args.as_slice() else { return plan_err!("window() needs a time") };
    let input = LogicalPlanBuilder::from(aggregate.input.as_ref().clone()).filter(time.clone().is_not_null())?.build()?;
    let [size, slide, _] = lengths else {
        return Ok(LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(input), aggregate.group_expr.clone(), aggregate.aggr_expr.clone())?));
    };
    if size == slide {
        return Ok(LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(input), aggregate.group_expr.clone(), aggregate.aggr_expr.clone())?));
    }
    let lists = Expr::ScalarFunction(ScalarFunction::new_udf(spans::windows(), call.args.clone()));
    let input = with_column(input, lists, WINDOWS)?;
    let options = UnnestOptions::new().with_preserve_nulls(false);
    let input = LogicalPlanBuilder::from(input).unnest_column_with_options(Column::from_name(WINDOWS), options)?.build()?;
    regrouped(aggregate, group, input, Expr::Column(Column::from_name(WINDOWS)))
}

/// A row begins a session if its span begins behind the end of all before it; the sessions of a key are numbered by their beginnings.
fn sessions(aggregate: &Aggregate, group: usize, call: ScalarFunction) -> Result<LogicalPlan> {
    if aggregate.group_expr.iter().any(|e| matches!(e, Expr::GroupingSet(_))) {
        return plan_err!("session_window() can't be one of several grouping sets");
    }
    let keys: Vec<Expr> = aggregate.group_expr.iter().enumerate().filter(|(at, _)| *at != group).map(|(_, e)| bare(e)).collect();
    let span = Expr::ScalarFunction(ScalarFunction::new_udf(session::in_batch(), call.args));
    let input = with_column(aggregate.input.as_ref().clone(), span, SPAN)?;
    let input = LogicalPlanBuilder::from(input).filter(Expr::Column(Column::from_name(SPAN)).is_not_null())?.build()?;
    let bound = |name: &str| {
        let span = Expr::Column(Column::from_name(SPAN));
        datafusion::functions::core::get_field().call(vec![span, lit(name)])
    };
    let (start, end) = (bound("start"), bound("end"));
    let over = |function: WindowFunction, frame: WindowFrame| {
        let order = start.clone().sort(true, true);
        Expr::from(function).partition_by(keys.clone()).order_by(vec![order]).window_frame(frame).build()
    };
    let all_before = WindowFrame::new_bounds(
        WindowFrameUnits::Rows,
        WindowFrameBound::Preceding(ScalarValue::UInt64(None)),
        WindowFrameBound::Preceding(ScalarValue::UInt64(Some(1))),
    );
    let greatest = WindowFunction::new(WindowFunctionDefinition::AggregateUDF(max_udaf()), vec![end.clone()]);
    let reached = LogicalPlanBuilder::from(input).window([over(greatest, all_before)?])?.build()?;
    let known = column(&reached, reached.schema().fields().len() - 1);
    let continues = known.gt_eq(start.clone());
    let begins = with_column(reached, when(continues, lit(0_i64)).otherwise(lit(1_i64))?, BEGINS)?;
    // Rows of one time are one session: the frame ends behind all of them.
    let up_to_here = WindowFrame::new(Some(true));
    let count = WindowFunction::new(WindowFunctionDefinition::AggregateUDF(sum::function()), vec![Expr::Column(Column::from_name(BEGINS))]);
    let numbered = LogicalPlanBuilder::from(begins).window([over(count, up_to_here)?])?.build()?;
    let number = column(&numbered, numbered.schema().fields().len() - 1);

    let mut groups: Vec<Expr> = aggregate.group_expr.iter().map(bare).collect();
    groups[group] = number;
    let extreme =
        |function, argument: Expr| Expr::AggregateFunction(AggregateFunction::new_udf(function, vec![argument], false, None, vec![], None));
    let bounds = [extreme(min_udaf(), start), extreme(max_udaf(), end)];
    let functions: Vec<Expr> = aggregate.aggr_expr.iter().map(bare).chain(bounds).collect();
    let inner = LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(numbered), groups, functions)?);
    let n = aggregate.schema.fields().len();
    let session = Expr::ScalarFunction(ScalarFunction::new_udf(spans::window(), vec![column(&inner, n), column(&inner, n + 1)]));
    let columns = (0..n).map(|at| if at == group { session.clone() } else { column(&inner, at) }).collect();
    renamed(aggregate, inner, columns)
}

/// Without the alias by which coercion keeps a name.
fn bare(expr: &Expr) -> Expr {
    match expr {
        Expr::Alias(alias) => bare(&alias.expr),
        other => other.clone(),
    }
}
