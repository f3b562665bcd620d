//! What the key of a sink must have, given the query that fills it.

use datafusion::logical_expr::{Expr, LogicalPlan};
use millstream_core::{TableKind, TableSpec};

use super::lineage::{self, Origin};
use super::shape;
use super::targets::Target;
use crate::diagnostic::{Place, Problem};
use crate::graph::{OutputMode, Window, WindowKind};
use crate::suggest;

/// Checks that rows of different groups have different keys; and, in update mode, that a group's rows have the same key.
pub(super) fn window_key(plan: &LogicalPlan, window: &Window, target: &Target, spec: &TableSpec) -> Vec<Problem> {
    // Where nothing is overwritten a key only places a record, and there may be none.
    let overwrites = !target.only_appends() && (target.kind != TableKind::Topic || target.mode == OutputMode::Update);
    if !overwrites {
        return Vec::new();
    }
    let Some(aggregate) = shape::aggregate_of(plan) else { return Vec::new() };
    let mut covered = vec![false; aggregate.group_expr.len()];
    let mut foreign: Vec<&str> = Vec::new();
    for column in spec.key.columns() {
        let Ok(index) = spec.schema.index_of(column) else { continue };
        match lineage::origin(plan, index) {
            Some(Origin::Group { index, .. }) if index < covered.len() => covered[index] = true,
            _ => foreign.push(column),
        }
    }
    let missing: Vec<String> = aggregate
        .group_expr
        .iter()
        .enumerate()
        .filter(|(at, _)| !covered.get(*at).copied().unwrap_or(false))
        .map(|(at, expr)| if at == window.group { window_start(window.kind).to_owned() } else { plain_name(expr) })
        .collect();
    let mut problems = Vec::new();
    if !missing.is_empty() {
        let listed = suggest::list(missing.iter().map(String::as_str));
        let message =
            format!("the key of `{}` does not have {listed}, by which the query groups: groups would overwrite each other", spec.name);
        problems.push(
            Problem::new("millstream::key_not_covering", target.key_place, message)
                .help(format!("select {listed} as a column of its own, and put it into the key")),
        );
    }
    if target.mode == OutputMode::Update && !foreign.is_empty() {
        let listed = suggest::list(foreign.iter().copied());
        let message =
            format!("in update mode the key is the grouping key, but {listed} is not grouped by: an update would leave the old row behind");
        problems.push(
            Problem::new("millstream::key_not_grouping", target.key_place, message)
                .help(format!("take {listed} out of the key, or group by it, or take 'output_mode' out")),
        );
    }
    problems
}

/// Checks that the key of a redis table contains the key of the event-store table whose feed fills it.
pub(super) fn base_key(plan: &LogicalPlan, base: &TableSpec, spec: &TableSpec, place: Place) -> Result<(), Problem> {
    let carried = carried(plan, base);
    let in_key = |output: usize| spec.schema.fields().get(output).is_some_and(|f| spec.key.contains(f.name()));
    let missing: Vec<&str> =
        base.key.columns().filter(|column| !carried.iter().any(|(output, from)| from == column && in_key(*output))).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if shape::explodes(plan) {
        let message = format!(
            "a row of `{}` becomes several of `{}`, whose key can't tell which of them a missing row would be",
            base.name, spec.name
        );
        return Err(Problem::new("millstream::key_lacks_base_key", place, message).help(
            "explode in a streaming table `USING cassandra` between them, whose key has the exploded value, and read that one here",
        ));
    }
    let listed = suggest::list(missing.iter().copied());
    let message = format!(
        "the key of `{}` lacks {listed} of the primary key of `{}`, so a missing row could not be found there",
        spec.name, base.name
    );
    let all: Vec<_> = base.key.columns().collect();
    Err(Problem::new("millstream::key_lacks_base_key", place, message)
        .help(format!("select these columns unchanged, and write 'key' = '{}'", all.join(", "))))
}

/// For each column of the base table's key, in order, the place of its value in the key of the redis table.
pub(super) fn base_positions(plan: &LogicalPlan, base: &TableSpec, spec: &TableSpec) -> Option<Vec<usize>> {
    let carried = carried(plan, base);
    let position = |column: &str| {
        spec.key
            .columns()
            .position(|key| carried.iter().any(|(output, from)| from == column && spec.schema.index_of(key).ok() == Some(*output)))
    };
    base.key.columns().map(position).collect()
}

/// The outputs that are columns of `base`, unchanged; none where a row of `base` becomes several, which its key doesn't tell apart.
fn carried(plan: &LogicalPlan, base: &TableSpec) -> Vec<(usize, String)> {
    if shape::explodes(plan) {
        return Vec::new();
    }
    (0..plan.schema().fields().len())
        .filter_map(|output| match lineage::origin(plan, output) {
            Some(Origin::Column { table, column }) if table == base.name => Some((output, column)),
            _ => None,
        })
        .collect()
}

/// How the start of a window is written.
fn window_start(kind: WindowKind) -> &'static str {
    match kind {
        WindowKind::Fixed(_) | WindowKind::Same => "window.start",
        WindowKind::Session { .. } => "session_window.start",
    }
}

fn plain_name(expr: &Expr) -> String {
    match expr {
        Expr::Column(column) => column.name.clone(),
        Expr::Alias(alias) => alias.name.clone(),
        other => other.to_string(),
    }
}
