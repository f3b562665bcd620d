//! Whether a plan over a stream can run for ever: what may stand where, and the bound on its state.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, DataFusionError, JoinType, ScalarValue};
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Aggregate, Expr, Join, LogicalPlan};
use datafusion::physical_expr::aggregate::{AggregateFunctionExpr, LoweredAggregateBuilder};
use std::time::Duration;

use super::lineage::{self, Origin};
use crate::diagnostic::{Place, Problem};
use crate::graph::{FixedWindows, SESSION_FUNCTION, WINDOW_FUNCTION, WINDOW_TIME_FUNCTION, Watermark, Window, WindowKind};
use crate::spark::functions::{DISTINCT_AGGREGATES, VOLATILE};
use crate::syntax::cursor::is_word;
use crate::syntax::statement::WrittenQuery;

/// What a flow's plan is checked against.
pub(super) struct StreamShape<'a> {
    pub(super) file: usize,
    pub(super) query: &'a WrittenQuery,
    /// What is read as a stream: one table, or two that are joined.
    pub(super) streams: &'a [Stream],
}

/// A table that a flow reads as a stream.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub(super) table: String,
    pub(super) watermark: Option<Watermark>,
    pub(super) place: Place,
}

/// What a plan has.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The windows of the aggregates, the lowest first.
    pub(super) windows: Vec<Window>,
    pub(super) joins: bool,
    /// Whether two streams are joined.
    pub(super) joins_streams: bool,
    /// Whether one event may become several rows.
    pub(super) explodes: bool,
    aggregates: usize,
}

impl Stream {
    /// The column of its event time.
    pub(super) fn time(&self) -> Option<Origin> {
        self.watermark.as_ref().map(|watermark| Origin::Column { table: self.table.clone(), column: watermark.column.clone() })
    }
}

impl StreamShape<'_> {
    /// Checks `plan` from the top down.
    pub(super) fn check(&self, plan: &LogicalPlan) -> Result<Found, Problem> {
        let mut found = Found::default();
        self.node(plan, &mut found)?;
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
            LogicalPlan::Aggregate(_) if found.explodes => Err(self.explode_above_aggregate()),
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
        self.streams.iter().any(|stream| count_scans(plan, &stream.table) > 0)
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
            return self.join_of_streams(join, found);
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

    /// Checks what stands around a join of two streams; what its condition has to bound, `streams` looks at.
    fn join_of_streams(&self, join: &Join, found: &mut Found) -> Result<(), Problem> {
        if found.explodes || explodes(&join.left) || explodes(&join.right) {
            let help = "write the rows into a streaming table, and join its feed in a flow of its own";
            return Err(self.refused("rows that explode() makes and a join of streams are not supported in one flow yet", "LATERAL", help));
        }
        if self.has_aggregate(&join.left) || self.has_aggregate(&join.right) {
            let help = "join the streams and group what the join gives, or join in a batch job";
            return Err(self.refused("a join of streams above an aggregate is not supported yet", "JOIN", help));
        }
        if !matches!(join.join_type, JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full | JoinType::LeftSemi) {
            let message = format!("{} joins are not supported over streams", join.join_type);
            return Err(self.refused(&message, "JOIN", "write JOIN, LEFT JOIN, RIGHT JOIN, FULL JOIN or LEFT SEMI JOIN"));
        }
        (found.joins, found.joins_streams) = (true, true);
        self.node(&join.left, found)?;
        self.node(&join.right, found)
    }

    fn has_aggregate(&self, plan: &LogicalPlan) -> bool {
        plan.exists(|n| Ok(matches!(n, LogicalPlan::Aggregate(_)))).unwrap_or(false)
    }

    fn aggregate(&self, aggregate: &Aggregate, found: &mut Found) -> Result<(), Problem> {
        found.aggregates += 1;
        self.refuse_unusable(aggregate)?;
        let Some(watermark) = self.streams.first().and_then(|stream| stream.watermark.as_ref()) else {
            let place = self.source_place();
            let source = self.streams.first().map_or("events", |stream| stream.table.as_str());
            return Err(Problem::new(
                "millstream::no_watermark",
                place,
                "an aggregate over a stream without a watermark would never be done",
            )
            .help(format!("write FROM STREAM {source} WATERMARK ts DELAY OF INTERVAL 1 HOUR, with its event-time column")));
        };
        let below = aggregate_of(&aggregate.input).filter(|below| self.reads_source(&below.input));
        let calls = aggregate.group_expr.iter().enumerate().filter_map(|(at, e)| window_arguments(e).map(|(time, kind)| (at, time, kind)));
        let calls: Vec<_> = calls.collect();
        let window = match (calls.as_slice(), below) {
            ([(group, time, kind)], None) => {
                self.check_time(aggregate, time, watermark)?;
                Window { group: *group, kind: *kind }
            }
            ([(group, time, kind)], Some(below)) => {
                self.check_time_of_window(aggregate, time, *kind, below)?;
                Window { group: *group, kind: *kind }
            }
            (more, _) if more.len() > 1 => {
                return Err(self.no_window("a stream is grouped by one window", format!("window({}, '1 hour')", watermark.column)));
            }
            (_, None) => {
                let message = "an aggregate over a stream without a window keeps its state for ever";
                return Err(self.no_window(message, format!("window({}, '1 hour')", watermark.column)));
            }
            (_, Some(below)) => match same_window(aggregate, below) {
                Some(group) => Window { group, kind: WindowKind::Same },
                None => {
                    let message = "an aggregate over the results of windows is grouped by their window, or by windows of their time";
                    return Err(self.no_window(message, "window, or window(window_time(window), '1 day')".to_owned()));
                }
            },
        };
        if matches!(window.kind, WindowKind::Session { .. }) && aggregate.group_expr.len() == 1 {
            let message = "sessions are of something: a stream can't be grouped by session_window() alone, and Spark refuses it too";
            return Err(self.refused(
                message,
                SESSION_FUNCTION,
                "group by a key beside it: GROUP BY user, session_window(ts, '10 minutes')",
            ));
        }
        self.node(&aggregate.input, found)?;
        found.windows.push(window);
        Ok(())
    }

    fn no_window(&self, message: &str, groups: String) -> Problem {
        let place = self.word("GROUP").unwrap_or(self.query.place);
        Problem::new("millstream::no_window", place, message).help(format!("write GROUP BY ..., {groups}"))
    }

    /// Checks that windows are over the time of the watermark.
    fn check_time(&self, aggregate: &Aggregate, time: &Expr, watermark: &Watermark) -> Result<(), Problem> {
        let origin = lineage::expression(&aggregate.input, time, None);
        if self.streams.iter().any(|stream| origin.is_some() && stream.time() == origin) {
            return Ok(());
        }
        let place = self.word(WINDOW_FUNCTION).or_else(|| self.word(SESSION_FUNCTION)).unwrap_or(self.query.place);
        let message = format!("the window is over `{}`, but the watermark is on `{}`", short(time), watermark.column);
        Err(Problem::new("millstream::watermark_mismatch", place, message)
            .help(format!("write window({}, ...), or put the watermark on the time of the window", watermark.column)))
    }

    /// Checks that windows over the results of windows are over the time of these.
    fn check_time_of_window(&self, aggregate: &Aggregate, time: &Expr, kind: WindowKind, below: &Aggregate) -> Result<(), Problem> {
        if matches!(kind, WindowKind::Session { .. }) {
            let message = "sessions over the results of windows are not supported yet";
            return Err(self.refused(message, SESSION_FUNCTION, "group by window(window_time(window), '1 hour')"));
        }
        let of_window = match strip_alias(time) {
            Expr::ScalarFunction(ScalarFunction { func, args }) if func.name() == WINDOW_TIME_FUNCTION => {
                args.first().is_some_and(|window| is_window_of(aggregate, window, below))
            }
            _ => false,
        };
        if of_window {
            return Ok(());
        }
        let place = self.word(WINDOW_FUNCTION).unwrap_or(self.query.place);
        let message = format!("the windows are over `{}`, but what is aggregated are results of windows", short(time));
        Err(Problem::new("millstream::watermark_mismatch", place, message)
            .help("write window(window_time(window), '1 day'), and select `window` in the inner query"))
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
            if !function.params.order_by.is_empty() {
                let message = format!("{name}() with an ORDER BY is not supported over a stream");
                return Err(self.refused(&message, "ORDER", "use max_by(value, key) or min_by(value, key)"));
            }
            if let Some(message) = misused(expr, aggregate.input.schema()) {
                let place = self.word(name).unwrap_or(self.query.place);
                return Err(Problem::new("millstream::bad_argument", place, message).help(CONSTANTS_HELP));
            }
            if !usable(expr, aggregate.input.schema()) {
                let message = format!("{} can't be kept as state over a stream", written(name, function.params.distinct));
                return Err(self.refused(&message, name, "aggregate in a batch job, or use another function"));
            }
        }
        Ok(())
    }

    fn explode_above_aggregate(&self) -> Problem {
        let word = if self.word("LATERAL").is_some() { "LATERAL" } else { "SELECT" };
        let help = "write the results into a streaming table, and explode what its feed has in a flow of its own or in a batch job";
        self.refused("the results of an aggregate can't be exploded in the same flow yet", word, help)
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
        self.streams.first().map_or(self.query.place, |stream| self.word(&stream.table).unwrap_or(self.query.place))
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

/// Whether `plan` makes several rows of one.
pub(super) fn explodes(plan: &LogicalPlan) -> bool {
    plan.exists(|n| Ok(matches!(n, LogicalPlan::Unnest(_)))).unwrap_or(false)
}

/// The one aggregate of a flow's plan.
pub(crate) fn aggregate_of(plan: &LogicalPlan) -> Option<&Aggregate> {
    match plan {
        LogicalPlan::Aggregate(aggregate) => Some(aggregate),
        _ => plan.inputs().into_iter().find_map(aggregate_of),
    }
}

/// `expr` as DataFusion runs it.
fn lowered(expr: &Expr, input: &DFSchema) -> Option<AggregateFunctionExpr> {
    let (props, planning) = (ExecutionProps::new(), PhysicalPlanningContext::default());
    let lowered = LoweredAggregateBuilder::new(expr, input, input.as_arrow(), &props, &planning).build().ok()?;
    Some(lowered.aggregate.as_ref().clone())
}

/// Whether an aggregate function can be computed from partial results.
fn usable(expr: &Expr, input: &DFSchema) -> bool {
    let Some(function) = lowered(expr, input) else { return false };
    let Ok(fields) = function.state_fields() else { return false };
    let state = function.create_accumulator().and_then(|mut accumulator| accumulator.state());
    let groups = !function.groups_accumulator_supported() || function.create_groups_accumulator().is_ok();
    groups && state.is_ok_and(|state| state.len() == fields.len())
}

const CONSTANTS_HELP: &str = "write constants behind the value, such as percentile(delay, 0.9)";

/// What an aggregate function says against its arguments when it is to begin.
fn misused(expr: &Expr, input: &DFSchema) -> Option<String> {
    match lowered(expr, input)?.create_accumulator().err()?.find_root() {
        DataFusionError::Plan(message) => Some(message.clone()),
        _ => None,
    }
}

/// The first aggregate of a batch query that can't begin, refused.
pub(super) fn misused_aggregate(file: usize, query: &WrittenQuery, plan: &LogicalPlan) -> Option<Problem> {
    let mut found = None;
    let _ = plan.apply_with_subqueries(|node| {
        let LogicalPlan::Aggregate(aggregate) = node else { return Ok(TreeNodeRecursion::Continue) };
        for expr in &aggregate.aggr_expr {
            if let (Expr::AggregateFunction(function), None) = (strip_alias(expr), &found) {
                found = misused(expr, aggregate.input.schema()).map(|message| (message, function.func.name().to_owned()));
            }
        }
        Ok(if found.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    let (message, function) = found?;
    let call = query.tokens.iter().find(|t| is_word(&t.token, &function)).map(|t| Place::new(file, t.span));
    Some(Problem::new("millstream::bad_argument", call.unwrap_or(query.place), message).help(CONSTANTS_HELP))
}

fn written(function: &str, distinct: bool) -> String {
    if distinct { format!("{function}(DISTINCT ...)") } else { format!("{function}()") }
}

/// Whether `expr`, over the input of `aggregate`, is the window of the aggregate `below`.
fn is_window_of(aggregate: &Aggregate, expr: &Expr, below: &Aggregate) -> bool {
    match lineage::expression(&aggregate.input, expr, None) {
        Some(Origin::Group { index, field: None }) => match below.group_expr.get(index).map(strip_alias) {
            Some(Expr::ScalarFunction(call)) => [WINDOW_FUNCTION, SESSION_FUNCTION].contains(&call.func.name()),
            // The window of one below that.
            Some(group) => aggregate_of(&below.input).is_some_and(|next| is_window_of(below, group, next)),
            None => false,
        },
        _ => false,
    }
}

/// The place of the group of `aggregate` that is the window of the aggregate `below`.
fn same_window(aggregate: &Aggregate, below: &Aggregate) -> Option<usize> {
    aggregate.group_expr.iter().position(|group| is_window_of(aggregate, strip_alias(group), below))
}

/// The windows of the aggregates of an optimised plan, the lowest first; `kinds` are theirs in this order.
pub(super) fn windows_of(plan: &LogicalPlan, kinds: &[WindowKind]) -> Option<Vec<Window>> {
    let Some((kind, lower)) = kinds.split_last() else { return Some(Vec::new()) };
    let aggregate = aggregate_of(plan)?;
    let group = match kind {
        WindowKind::Same => same_window(aggregate, aggregate_of(&aggregate.input)?)?,
        // An alias would hide the call from the engine: `graph` promises the call itself.
        WindowKind::Fixed(_) | WindowKind::Session { .. } => aggregate
            .group_expr
            .iter()
            .position(|e| matches!(e, Expr::ScalarFunction(call) if [WINDOW_FUNCTION, SESSION_FUNCTION].contains(&call.func.name())))?,
    };
    let mut windows = windows_of(&aggregate.input, lower)?;
    windows.push(Window { group, kind: *kind });
    Some(windows)
}

fn strip_alias(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => strip_alias(&alias.expr),
        other => other,
    }
}

/// The time of a `window(...)` or `session_window(...)` call, and which windows it means.
pub(super) fn window_arguments(expr: &Expr) -> Option<(&Expr, WindowKind)> {
    let Expr::ScalarFunction(ScalarFunction { func, args }) = strip_alias(expr) else { return None };
    let constant = |at: usize| match args.get(at) {
        Some(Expr::Literal(ScalarValue::Int64(Some(us)), _)) => Some(*us),
        _ => None,
    };
    let length = |us: i64| u64::try_from(us).ok().map(Duration::from_micros);
    let kind = match func.name() {
        WINDOW_FUNCTION => {
            let size = length(constant(1)?)?;
            let (slide, start_us) = if args.len() > 2 { (length(constant(2)?)?, constant(3)?) } else { (size, 0) };
            WindowKind::Fixed(FixedWindows { size, slide, start_us })
        }
        SESSION_FUNCTION => WindowKind::Session { gap: constant(1).and_then(length) },
        _ => return None,
    };
    Some((args.first()?, kind))
}

/// Whether `expr` is a call of windows that mean something only as a group: those that overlap, and sessions.
fn groups_only(expr: &Expr) -> bool {
    window_arguments(expr).is_some_and(|(_, kind)| match kind {
        WindowKind::Fixed(windows) => windows.overlap(),
        WindowKind::Session { .. } => true,
        WindowKind::Same => false,
    })
}

/// Whether `plan`, its views included, has windows that overlap, or sessions, anywhere but as a group of an aggregate.
pub(super) fn has_misplaced_window(plan: &LogicalPlan) -> bool {
    let mut found = false;
    let _ = plan.apply_with_subqueries(|node| {
        let groups = match node {
            LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.as_slice(),
            _ => &[],
        };
        node.apply_expressions(|expr| {
            let is_group = groups.contains(expr) && groups_only(expr);
            found |= !is_group && expr.exists(|e| Ok(groups_only(e))).unwrap_or(false);
            Ok(TreeNodeRecursion::Continue)
        })
    });
    found
}

/// Refuses such windows where they stand elsewhere.
pub(super) fn misplaced_window(file: usize, query: &WrittenQuery) -> Problem {
    let call = |word: &str| query.tokens.iter().find(|t| is_word(&t.token, word)).map(|t| Place::new(file, t.span));
    let place = call(SESSION_FUNCTION).or_else(|| call(WINDOW_FUNCTION)).unwrap_or(query.place);
    let message = "windows that overlap, and sessions, are supported as a group only";
    Problem::new("millstream::not_supported", place, message).help("group by them: GROUP BY window(ts, '1 hour', '15 minutes')")
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
