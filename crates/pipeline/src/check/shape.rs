//! Whether a plan over a stream can run for ever: what may stand where, and the bound on its state.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, JoinType, ScalarValue};
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Aggregate, Expr, Join, LogicalPlan};
use datafusion::physical_expr::aggregate::LoweredAggregateBuilder;
use std::time::Duration;

use super::lineage::{self, Origin};
use crate::diagnostic::{Place, Problem};
use crate::graph::{FixedWindows, WINDOW_FUNCTION, Watermark, Window, WindowKind};
use crate::spark::functions::{DISTINCT_AGGREGATES, VOLATILE};
use crate::syntax::cursor::is_word;
use crate::syntax::statement::WrittenQuery;

/// What a flow's plan is checked against.
pub(super) struct StreamShape<'a> {
    pub(super) file: usize,
    pub(super) query: &'a WrittenQuery,
    /// The table that is read as a stream.
    pub(super) source: &'a str,
    pub(super) watermark: Option<&'a Watermark>,
}

/// What a plan has.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) window: Option<Window>,
    pub(super) joins: bool,
    /// Whether one event may become several rows.
    pub(super) explodes: bool,
    aggregates: usize,
}

impl StreamShape<'_> {
    /// Checks `plan` from the top down.
    pub(super) fn check(&self, plan: &LogicalPlan) -> Result<Found, Problem> {
        let mut found = Found::default();
        self.node(plan, &mut found)?;
        if found.explodes && found.aggregates > 0 {
            let help = "write the rows into a streaming table, and aggregate its feed in a flow of its own or in a batch job";
            return Err(self.refused("rows that explode() makes can't be aggregated in the same flow yet", "SELECT", help));
        }
        Ok(found)
    }

    fn node(&self, plan: &LogicalPlan, found: &mut Found) -> Result<(), Problem> {
        if !self.reads_source(plan) {
            return Ok(());
        }
        self.refuse_subqueries(plan)?;
        match plan {
            LogicalPlan::TableScan(_) => Ok(()),
            LogicalPlan::Projection(p) => self.node(&p.input, found),
            LogicalPlan::Filter(f) => self.node(&f.input, found),
            LogicalPlan::SubqueryAlias(a) => self.node(&a.input, found),
            LogicalPlan::Unnest(unnest) => {
                found.explodes = true;
                self.node(&unnest.input, found)
            }
            LogicalPlan::Join(join) => self.join(join, found),
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate, found),
            LogicalPlan::Sort(_) => {
                Err(self.refused("ORDER BY over a stream never ends", "ORDER", "leave it out; sort where the table is read"))
            }
            LogicalPlan::Limit(_) => {
                Err(self.refused("LIMIT over a stream is not supported", "LIMIT", "leave it out; limit where the table is read"))
            }
            LogicalPlan::Distinct(_) => Err(self.refused(
                "DISTINCT over a stream keeps every row for ever",
                "DISTINCT",
                "leave it out: a table with a key has one row for each key",
            )),
            LogicalPlan::Union(_) => Err(self.refused(
                "UNION over a stream is not supported yet",
                "UNION",
                "write a CREATE FLOW for each part, into the same table",
            )),
            LogicalPlan::Window(_) => {
                Err(self.refused("functions with OVER are not supported over a stream", "OVER", "group by window(ts, '1 hour') instead"))
            }
            other => Err(self.refused(&format!("{} is not supported over a stream", node_name(other)), "SELECT", "write a plain SELECT")),
        }
    }

    fn reads_source(&self, plan: &LogicalPlan) -> bool {
        count_scans(plan, self.source) > 0
    }

    fn refuse_subqueries(&self, plan: &LogicalPlan) -> Result<(), Problem> {
        let subquery = plan.expressions().iter().any(|expr| {
            expr.exists(|e| Ok(matches!(e, Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) | Expr::SetComparison(_))))
                .unwrap_or(false)
        });
        if subquery {
            let place = self.nth_select(1);
            return Err(Problem::new("millstream::not_supported", place, "sub-queries in expressions are not supported over a stream")
                .help("join the reference table instead"));
        }
        Ok(())
    }

    fn join(&self, join: &Join, found: &mut Found) -> Result<(), Problem> {
        let (left, right) = (self.reads_source(&join.left), self.reads_source(&join.right));
        if left && right {
            return Err(self.refused("a stream can't be joined with itself", "JOIN", "aggregate it in a flow of its own"));
        }
        if found.aggregates > 0 {
            // Below the aggregate: that is where joins belong.
        } else if self.has_aggregate(if left { &join.left } else { &join.right }) {
            return Err(self.refused(
                "a join above an aggregate is not supported over a stream",
                "JOIN",
                "join the reference table before aggregating, or in a batch job",
            ));
        }
        let keyword = |words: &[&str]| words.iter().find_map(|w| self.word(w));
        match join.join_type {
            JoinType::Inner => {}
            JoinType::Left if left => {}
            JoinType::Left | JoinType::Right => {
                let place = keyword(&["LEFT", "RIGHT"]).unwrap_or(self.query.place);
                let message = "an outer join keeps rows of the reference table, for which the stream has no end to wait for";
                return Err(Problem::new("millstream::unsupported_join", place, message)
                    .help("put the stream on the left: FROM STREAM events LEFT JOIN reference ON ..."));
            }
            JoinType::Full => {
                let place = keyword(&["FULL"]).unwrap_or(self.query.place);
                return Err(Problem::new("millstream::unsupported_join", place, "a full outer join is not possible over a stream")
                    .help("write LEFT JOIN with the stream on the left, or JOIN"));
            }
            other => {
                return Err(self.refused(&format!("{other} joins are not supported over a stream"), "JOIN", "write JOIN or LEFT JOIN"));
            }
        }
        if join.on.is_empty() && !has_equality(join) {
            let place = keyword(&["JOIN", "FROM"]).unwrap_or(self.query.place);
            return Err(Problem::new("millstream::unsupported_over_stream", place, "a join of a stream needs an equality of columns")
                .help("write JOIN reference ON stream.column = reference.column"));
        }
        found.joins = true;
        self.node(if left { &join.left } else { &join.right }, found)
    }

    fn has_aggregate(&self, plan: &LogicalPlan) -> bool {
        plan.exists(|n| Ok(matches!(n, LogicalPlan::Aggregate(_)))).unwrap_or(false)
    }

    fn aggregate(&self, aggregate: &Aggregate, found: &mut Found) -> Result<(), Problem> {
        found.aggregates += 1;
        if found.aggregates > 1 {
            return Err(self.refused(
                "an aggregate of an aggregate is not supported over a stream",
                "GROUP",
                "write the inner one as a streaming table, and a flow on its feed or a batch job for the outer one",
            ));
        }
        self.refuse_unusable(aggregate)?;
        let Some(watermark) = self.watermark else {
            let place = self.source_place();
            return Err(Problem::new(
                "millstream::no_watermark",
                place,
                "an aggregate over a stream without a watermark would never be done",
            )
            .help(format!("write FROM STREAM {} WATERMARK ts DELAY OF INTERVAL 1 HOUR, with its event-time column", self.source)));
        };
        let windows: Vec<_> = aggregate
            .group_expr
            .iter()
            .enumerate()
            .filter_map(|(at, e)| window_arguments(e).map(|(time, windows)| (at, time, windows)))
            .collect();
        let [(group, time, kind)] = windows.as_slice() else {
            let place = self.word("GROUP").unwrap_or(self.query.place);
            let problem = if windows.is_empty() {
                Problem::new("millstream::no_window", place, "an aggregate over a stream without a window keeps its state for ever")
            } else {
                Problem::new("millstream::no_window", place, "a stream is grouped by one window")
            };
            return Err(problem.help(format!("write GROUP BY ..., window({}, '1 hour')", watermark.column)));
        };
        let time_origin = lineage::expression(&aggregate.input, time, None);
        let expected = Origin::Column { table: self.source.to_owned(), column: watermark.column.clone() };
        if time_origin.as_ref() != Some(&expected) {
            let place = self.word(WINDOW_FUNCTION).unwrap_or(self.query.place);
            let message = format!("the window is over `{}`, but the watermark is on `{}`", short(time), watermark.column);
            return Err(Problem::new("millstream::watermark_mismatch", place, message)
                .help(format!("write window({}, ...), or put the watermark on the time of the window", watermark.column)));
        }
        found.window = Some(Window { group: *group, kind: WindowKind::Fixed(*kind) });
        self.node(&aggregate.input, found)
    }

    /// Refuses aggregate functions whose partial results can't be kept and merged.
    fn refuse_unusable(&self, aggregate: &Aggregate) -> Result<(), Problem> {
        for expr in &aggregate.aggr_expr {
            let Expr::AggregateFunction(function) = strip_alias(expr) else { continue };
            let name = function.func.name();
            if function.params.distinct && !DISTINCT_AGGREGATES.contains(&name) {
                let message = format!("{name}(DISTINCT ...) is not supported over a stream");
                return Err(self.refused(&message, "DISTINCT", "leave DISTINCT out, or aggregate in a batch job"));
            }
            if !function.params.order_by.is_empty() && name != "percentile_cont" {
                let message = format!("{name}() with an ORDER BY is not supported over a stream");
                return Err(self.refused(&message, "ORDER", "use max_by(value, key) or min_by(value, key)"));
            }
            if !usable(expr, aggregate.input.schema()) {
                let message = format!("{} can't be kept as state over a stream", written(name, function.params.distinct));
                return Err(self.refused(&message, name, "aggregate in a batch job, or use another function"));
            }
        }
        Ok(())
    }

    fn refused(&self, message: &str, word: &str, help: &str) -> Problem {
        let place = self.word(word).unwrap_or(self.query.place);
        Problem::new("millstream::unsupported_over_stream", place, message).help(help)
    }

    /// Where the query first has this word.
    fn word(&self, word: &str) -> Option<Place> {
        self.query.tokens.iter().find(|t| is_word(&t.token, word)).map(|t| Place::new(self.file, t.span))
    }

    fn nth_select(&self, n: usize) -> Place {
        let select = self.query.tokens.iter().filter(|t| is_word(&t.token, "SELECT")).nth(n);
        select.map_or(self.query.place, |t| Place::new(self.file, t.span))
    }

    fn source_place(&self) -> Place {
        self.word(self.source).unwrap_or(self.query.place)
    }
}

/// A function in `plan`, its views included, whose value differs when it is asked again.
pub(super) fn volatile_function(plan: &LogicalPlan) -> Option<String> {
    let mut found = None;
    let _ = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|e| {
                if let Expr::ScalarFunction(function) = e
                    && VOLATILE.contains(&function.func.name())
                {
                    found = Some(function.func.name().to_owned());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    found
}

/// How often `plan` scans `table`.
pub(super) fn count_scans(plan: &LogicalPlan, table: &str) -> usize {
    let mut scans = 0;
    let _ = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && scan.table_name.table() == table
        {
            scans += 1;
        }
        Ok(TreeNodeRecursion::Continue)
    });
    scans
}

/// The tables that `plan` scans, each once.
pub(super) fn scanned(plan: &LogicalPlan) -> Vec<String> {
    let mut tables: Vec<String> = Vec::new();
    let _ = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            let table = scan.table_name.table().to_owned();
            if !tables.contains(&table) {
                tables.push(table);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    });
    tables
}

/// The one aggregate of a flow's plan.
pub(super) fn aggregate_of(plan: &LogicalPlan) -> Option<&Aggregate> {
    match plan {
        LogicalPlan::Aggregate(aggregate) => Some(aggregate),
        _ => plan.inputs().into_iter().find_map(aggregate_of),
    }
}

/// Whether an aggregate function can be computed from partial results.
fn usable(expr: &Expr, input: &DFSchema) -> bool {
    let (props, planning) = (ExecutionProps::new(), PhysicalPlanningContext::default());
    let Ok(lowered) = LoweredAggregateBuilder::new(expr, input, input.as_arrow(), &props, &planning).build() else { return false };
    let function = lowered.aggregate;
    let Ok(fields) = function.state_fields() else { return false };
    let state = function.create_accumulator().and_then(|mut accumulator| accumulator.state());
    let groups = !function.groups_accumulator_supported() || function.create_groups_accumulator().is_ok();
    groups && state.is_ok_and(|state| state.len() == fields.len())
}

fn written(function: &str, distinct: bool) -> String {
    if distinct { format!("{function}(DISTINCT ...)") } else { format!("{function}()") }
}

fn strip_alias(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => strip_alias(&alias.expr),
        other => other,
    }
}

/// The time of a `window(...)` call, and which windows it means.
pub(super) fn window_arguments(expr: &Expr) -> Option<(&Expr, FixedWindows)> {
    let Expr::ScalarFunction(ScalarFunction { func, args }) = strip_alias(expr) else { return None };
    if func.name() != WINDOW_FUNCTION {
        return None;
    }
    let constant = |at: usize| match args.get(at) {
        Some(Expr::Literal(ScalarValue::Int64(Some(us)), _)) => Some(*us),
        _ => None,
    };
    let length = |us: i64| u64::try_from(us).ok().map(Duration::from_micros);
    let size = length(constant(1)?)?;
    let (slide, start_us) = if args.len() > 2 { (length(constant(2)?)?, constant(3)?) } else { (size, 0) };
    Some((args.first()?, FixedWindows { size, slide, start_us }))
}

/// Whether `plan`, its views included, has windows that overlap anywhere but, if `in_groups`, as a group of an aggregate.
pub(super) fn has_misplaced_sliding_window(plan: &LogicalPlan, in_groups: bool) -> bool {
    let overlap = |expr: &Expr| window_arguments(expr).is_some_and(|(_, windows)| windows.overlap());
    let mut found = false;
    let _ = plan.apply_with_subqueries(|node| {
        let groups = match node {
            LogicalPlan::Aggregate(aggregate) if in_groups => aggregate.group_expr.as_slice(),
            _ => &[],
        };
        node.apply_expressions(|expr| {
            let is_group = groups.contains(expr) && overlap(expr);
            found |= !is_group && expr.exists(|e| Ok(overlap(e))).unwrap_or(false);
            Ok(TreeNodeRecursion::Continue)
        })
    });
    found
}

/// Refuses windows that overlap where a row can't become several.
pub(super) fn misplaced_sliding_window(file: usize, query: &WrittenQuery) -> Problem {
    let place = query.tokens.iter().find(|t| is_word(&t.token, WINDOW_FUNCTION)).map_or(query.place, |t| Place::new(file, t.span));
    let message = "windows that overlap make several rows of one, which is supported in the GROUP BY of a stream only";
    Problem::new("millstream::not_supported", place, message)
        .help("group a stream by them: FROM STREAM ... GROUP BY window(ts, '1 hour', '15 minutes')")
}

/// Whether the condition of a join, not yet taken apart, has an equality between both sides.
fn has_equality(join: &Join) -> bool {
    let Some(filter) = &join.filter else { return false };
    datafusion::logical_expr::utils::split_conjunction(filter).iter().any(|part| match part {
        Expr::BinaryExpr(b) if b.op == datafusion::logical_expr::Operator::Eq => {
            let side = |e: &Expr| {
                let columns = e.column_refs();
                let of = |plan: &LogicalPlan| !columns.is_empty() && columns.iter().all(|c| plan.schema().has_column(c));
                (of(&join.left), of(&join.right))
            };
            matches!((side(&b.left), side(&b.right)), ((true, false), (false, true)) | ((false, true), (true, false)))
        }
        _ => false,
    })
}

fn short(expr: &Expr) -> String {
    match strip_alias(expr) {
        Expr::Column(column) => column.name.clone(),
        Expr::Cast(cast) => short(&cast.expr),
        other => other.to_string(),
    }
}

fn node_name(plan: &LogicalPlan) -> String {
    plan.display().to_string().split([':', ' ']).next().unwrap_or_default().to_owned()
}
