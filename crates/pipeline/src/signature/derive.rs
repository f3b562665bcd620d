//! A flow's signature, from its checked query.

use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Aggregate, Expr, Filter, Join, JoinType, LogicalPlan};
use datafusion::physical_expr::aggregate::LoweredAggregateBuilder;
use millstream_core::{SortOrder, TableSpec};

use super::expression::{Writer, digest};
use super::{FORMATS, Scope, Signature, VERSION, format};
use crate::check::shape::aggregate_of;
use crate::check::tables::sql_type;
use crate::describe;
use crate::graph::{Binding, Flow, OutputMode, ParseMode, StreamJoin, Table, Window};

/// Aggregate functions whose partial results are laid out otherwise than they once were, with the number of their layout; all others have
/// their first one.
const LAYOUTS: &[(&str, u8)] = &[("avg", 2)];

/// The signature of `flow`, whose query was `analysed` before it was optimised.
///
/// Groups and aggregates are those of the optimised plan, which state is laid out by. Conditions are those that were written: one on a group's
/// column alone may be applied before the aggregate or after it, and counts as applied before.
pub(crate) fn signature<'t>(
    flow: &Flow,
    analysed: &LogicalPlan,
    target: &TableSpec,
    table_of: &dyn Fn(&str) -> Option<&'t Table>,
) -> Signature {
    let mut signature = Signature { version: VERSION, parts: Vec::new() };
    let writer = Writer::default();
    signature.add(Scope::State, "table", table(target));
    let source = |name: &str| format!("{name}{}", table_of(name).map(source_text).unwrap_or_default());
    signature.add(Scope::State, "source", source(&flow.source));
    if let Some(watermark) = &flow.watermark {
        signature.add(Scope::State, "watermark", format!("{} delayed by {} us", watermark.column, watermark.delay.as_micros()));
    }
    let mut below = Conditions::default();
    let mut found = Found { writer: &writer, source: &flow.source, stages: Vec::new(), joins: Vec::new(), exploded: Vec::new() };
    found.walk(analysed, &mut below);
    let has_state = !found.stages.is_empty();
    let scope = if has_state { Scope::State } else { Scope::Result };
    let last = found.stages.len();
    for (number, conditions) in found.stages.iter().enumerate() {
        let name = if number == 0 { "filter".to_owned() } else { format!("filter of aggregation {}", number + 1) };
        conditions.add_to(&mut signature, Scope::State, &name);
    }
    below.add_to(&mut signature, Scope::Result, if last == 0 { "filter" } else { "having" });
    for (number, text) in found.joins.iter().enumerate() {
        signature.add(scope, format!("join {}", number + 1), text);
    }
    for (number, text) in found.exploded.iter().enumerate() {
        signature.add(scope, format!("explode {}", number + 1), text);
    }
    let windows: Vec<&Window> = flow.inner_windows.iter().chain(&flow.window).collect();
    let mut aggregates = Vec::new();
    let mut plan = aggregate_of(&flow.plan);
    while let Some(aggregate) = plan {
        aggregates.push(aggregate);
        plan = aggregate_of(&aggregate.input);
    }
    aggregates.reverse();
    for (number, (aggregate, window)) in aggregates.iter().zip(&windows).enumerate() {
        let of = if aggregates.len() == 1 { String::new() } else { format!(" of aggregation {}", number + 1) };
        add_stage(&mut signature, &writer, aggregate, window, &of);
    }
    if has_state {
        let mode = if flow.mode == OutputMode::Update { "update" } else { "append" };
        signature.add(Scope::State, "output mode", mode);
    }
    for (index, field) in analysed.schema().fields().iter().enumerate() {
        signature.add(Scope::Result, format!("column {}", field.name()), writer.column(analysed, index));
    }
    // Of a flow without state, no column that it reads is in anything that it keeps; nor is how it reads them.
    signature.add(scope, "columns read", writer.read_of(&flow.source).join(", "));
    let right = flow.join.as_ref().map(|join| join.right.as_str());
    for (part, name) in FORMATS.into_iter().zip(std::iter::once(flow.source.as_str()).chain(right)) {
        let options = table_of(name).map(format_options).filter(|options| !options.is_empty());
        options.into_iter().for_each(|options| signature.add(scope, part, options));
    }
    if let Some(join) = &flow.join {
        add_join(&mut signature, flow, join, &writer, source(&join.right));
    }
    signature
}

/// What a join of streams adds: its other side, and the query as it is planned, for the rows that it keeps are laid out by that. Whatever changes in
/// such a query, its state is made anew.
fn add_join(signature: &mut Signature, flow: &Flow, join: &StreamJoin, writer: &Writer, source: String) {
    signature.add(Scope::State, "source on the right", source);
    let watermark = format!("{} delayed by {} us", join.right_watermark.column, join.right_watermark.delay.as_micros());
    signature.add(Scope::State, "watermark on the right", watermark);
    signature.add(Scope::State, "bounds", format!("{} to {} us after", join.least_us, join.greatest_us));
    signature.add(Scope::State, "columns read on the right", writer.read_of(&join.right).join(", "));
    signature.add(Scope::State, "plan", format!("{:016x}", digest(flow.fingerprint.as_bytes())));
    signature.parts.iter_mut().for_each(|part| part.scope = Scope::State);
}

/// The columns and the key of the table that is written.
fn table(spec: &TableSpec) -> String {
    let columns: Vec<_> = spec.schema.fields().iter().map(|f| describe::column(f)).collect();
    let order = |order: SortOrder| if order == SortOrder::Desc { " DESC" } else { "" };
    let clustering: Vec<_> = spec.key.clustering.iter().map(|c| format!("{}{}", c.name, order(c.order))).collect();
    let key = format!("{}; {}", spec.key.partition.join(", "), clustering.join(", "));
    format!("{} {} ({}), key ({key})", spec.kind.as_str(), spec.name, columns.join(", "))
}

/// What beside its columns decides what is read from a table.
fn source_text(table: &Table) -> String {
    let Binding::Topic(topic) = &table.binding else { return format!(", the feed of {}", table.spec.kind.as_str()) };
    let permissive = if topic.mode == ParseMode::Permissive { ", permissive" } else { "" };
    let keys = if topic.key_columns.is_empty() { String::new() } else { format!(", key columns {}", topic.key_columns.join(", ")) };
    format!(", the topic {} in {}{permissive}{keys}", topic.name, topic.format.name())
}

fn format_options(table: &Table) -> String {
    match &table.binding {
        Binding::Topic(topic) => format::options(topic, &table.spec.schema),
        _ => String::new(),
    }
}

fn add_stage(signature: &mut Signature, writer: &Writer, aggregate: &Aggregate, window: &Window, of: &str) {
    for (index, group) in aggregate.group_expr.iter().enumerate() {
        let text = writer.expression(group, &aggregate.input);
        if index == window.group {
            signature.add(Scope::State, format!("window{of}"), format!("{text}: {}", describe::window_length(window.kind)));
        } else {
            // Numbered as a reader counts them, the window left out; its place is in the layout.
            let number = if index < window.group { index + 1 } else { index };
            signature.add(Scope::State, format!("group {number}{of}"), text);
        }
    }
    signature.add(
        Scope::State,
        format!("layout{of}"),
        format!("{} groups, the window is number {}", aggregate.group_expr.len(), window.group + 1),
    );
    for (index, expr) in aggregate.aggr_expr.iter().enumerate() {
        let text = format!("{}{}", writer.expression(expr, &aggregate.input), kept(expr, aggregate));
        signature.add(Scope::State, format!("aggregate {}{of}", index + 1), text);
    }
}

/// What is kept of an aggregate: its partial results' types, and which layout that is.
fn kept(expr: &Expr, aggregate: &Aggregate) -> String {
    let (props, planning) = (ExecutionProps::new(), PhysicalPlanningContext::default());
    let schema = aggregate.input.schema();
    let Ok(lowered) = LoweredAggregateBuilder::new(expr, schema, schema.as_arrow(), &props, &planning).build() else {
        return String::new();
    };
    let name = lowered.aggregate.fun().name().to_owned();
    let types: Vec<_> = lowered.aggregate.state_fields().unwrap_or_default().iter().map(|f| sql_type(f.data_type())).collect();
    let layout = LAYOUTS.iter().find(|(of, _)| *of == name).map_or(1, |(_, layout)| *layout);
    // Bytes that only the function itself can read: those of its library's major version.
    let library = if types.iter().any(|t| t == "BINARY") {
        format!(" of DataFusion {}", datafusion::DATAFUSION_VERSION.split('.').next().unwrap_or_default())
    } else {
        String::new()
    };
    format!(", kept as ({}) in layout {layout}{library}", types.join(", "))
}

/// Conditions that must all be true, in an order of their own.
#[derive(Default)]
struct Conditions(std::collections::BTreeSet<String>);

impl Conditions {
    fn add_to(&self, signature: &mut Signature, scope: Scope, name: &str) {
        if !self.0.is_empty() {
            signature.add(scope, name, self.0.iter().map(String::as_str).collect::<Vec<_>>().join(" AND "));
        }
    }
}

/// What a query does with the rows of its source, beside computing columns.
struct Found<'a> {
    writer: &'a Writer,
    source: &'a str,
    /// For each aggregation, the lowest first, the conditions on what goes into it.
    stages: Vec<Conditions>,
    joins: Vec<String>,
    exploded: Vec<String>,
}

impl Found<'_> {
    /// Goes down to the source. `above` are the conditions on what comes out of the uppermost aggregation.
    fn walk(&mut self, plan: &LogicalPlan, above: &mut Conditions) {
        match plan {
            LogicalPlan::Filter(filter) => {
                let mut rest = Conditions::default();
                self.walk(&filter.input, &mut rest);
                above.0.extend(rest.0);
                for condition in split_conjunction(&filter.predicate) {
                    let text = self.writer.expression(condition, &filter.input);
                    match self.stages.last_mut() {
                        Some(stage) if !reads_an_aggregate(condition, filter) => drop(stage.0.insert(text)),
                        _ => drop(above.0.insert(text)),
                    }
                }
            }
            LogicalPlan::Aggregate(aggregate) => {
                let mut conditions = Conditions::default();
                self.walk(&aggregate.input, &mut conditions);
                self.stages.push(conditions);
            }
            LogicalPlan::Join(join) => self.join(join, above),
            LogicalPlan::Unnest(unnest) => {
                self.walk(&unnest.input, above);
                let lists = unnest.list_type_columns.iter().map(|(list, _)| self.writer.column(&unnest.input, *list));
                self.exploded.extend(lists.collect::<Vec<_>>());
            }
            other => {
                for input in other.inputs() {
                    self.walk(input, above);
                }
            }
        }
    }

    fn join(&mut self, join: &Join, above: &mut Conditions) {
        let mut others = Vec::new();
        for side in [&join.left, &join.right] {
            if scans(side, self.source) { self.walk(side, above) } else { others.push(self.relation(side)) }
        }
        let kind = match join.join_type {
            JoinType::Inner => "inner".to_owned(),
            other => other.to_string().to_lowercase(),
        };
        let stream = if scans(&join.left, self.source) { "" } else { ", the stream on the right" };
        let mut conditions: Vec<String> = Vec::new();
        for (left, right) in &join.on {
            let (left, right) = (self.writer.expression(left, &join.left), self.writer.expression(right, &join.right));
            conditions.push(format!("({left} = {right})"));
        }
        let whole = LogicalPlan::Join(join.clone());
        conditions.extend(join.filter.iter().flat_map(|f| split_conjunction(f)).map(|c| self.writer.expression(c, &whole)));
        conditions.sort();
        conditions.dedup();
        self.joins.push(format!(
            "{kind}{stream} with {} on {}",
            if others.is_empty() { self.source.to_owned() } else { others.join(" and ") },
            conditions.join(" AND ")
        ));
    }

    /// A query over reference tables.
    fn relation(&self, plan: &LogicalPlan) -> String {
        let inputs: Vec<String> = plan.inputs().into_iter().map(|input| self.relation(input)).collect();
        let over = inputs.join(", ");
        let list =
            |exprs: &[Expr], input: &LogicalPlan| exprs.iter().map(|e| self.writer.expression(e, input)).collect::<Vec<_>>().join(", ");
        match plan {
            LogicalPlan::TableScan(scan) => scan.table_name.table().to_owned(),
            // Columns are told where they are used.
            LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) | LogicalPlan::Subquery(_) => over,
            LogicalPlan::Filter(f) => format!("({over} where {})", self.writer.expression(&f.predicate, &f.input)),
            LogicalPlan::Aggregate(a) => {
                format!("({over} grouped by {} to {})", list(&a.group_expr, &a.input), list(&a.aggr_expr, &a.input))
            }
            LogicalPlan::Distinct(_) => {
                let columns: Vec<_> = (0..plan.schema().fields().len()).map(|i| self.writer.column(plan, i)).collect();
                format!("(distinct {} of {over})", columns.join(", "))
            }
            other => format!("({} of {over})", other.display()),
        }
    }
}

/// Whether `plan` reads `table`.
fn scans(plan: &LogicalPlan, table: &str) -> bool {
    match plan {
        LogicalPlan::TableScan(scan) => scan.table_name.table() == table,
        other => other.inputs().into_iter().any(|input| scans(input, table)),
    }
}

/// Whether a condition depends on the result of an aggregate function of the next aggregation below: else it is one on groups.
fn reads_an_aggregate(condition: &Expr, filter: &Filter) -> bool {
    condition.column_refs().into_iter().any(|column| {
        let index = filter.input.schema().maybe_index_of_column(column);
        index.is_none_or(|index| comes_of_an_aggregate(&filter.input, index))
    })
}

fn comes_of_an_aggregate(plan: &LogicalPlan, index: usize) -> bool {
    match plan {
        LogicalPlan::Aggregate(aggregate) => index >= aggregate.group_expr.len(),
        LogicalPlan::Projection(projection) => projection.expr.get(index).is_none_or(|expr| {
            expr.column_refs().into_iter().any(|column| {
                let index = projection.input.schema().maybe_index_of_column(column);
                index.is_none_or(|index| comes_of_an_aggregate(&projection.input, index))
            })
        }),
        LogicalPlan::Filter(filter) => comes_of_an_aggregate(&filter.input, index),
        LogicalPlan::SubqueryAlias(alias) => comes_of_an_aggregate(&alias.input, index),
        _ => false,
    }
}
