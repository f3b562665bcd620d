//! `explode` and its like, in a SELECT list and as `LATERAL VIEW`, as sub-queries that DataFusion plans:
//!
//! ```sql
//! SELECT id, x FROM t LATERAL VIEW explode(items) v AS x
//! SELECT id, x FROM (SELECT * EXCEPT (__entry), __entry.c0 AS x FROM (SELECT *, unnest(spark_explode(items, 1)) AS __entry FROM t)) AS t
//! ```

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, LateralView, ObjectName, Query, Select, SelectItem, SetExpr,
    Spanned, TableFactor, visit_expressions_mut,
};
use datafusion::sql::sqlparser::parser::Parser;

use super::lexer::SparkSql;
use super::rewrite::{normalized, single_name};
use crate::diagnostic::{Place, Problem};
use crate::spark::generators::{NAMES, PREFIX};

/// The column of the rows that a generator makes, before it is taken apart.
const ENTRY: &str = "__entry";

/// The name of the lateral view that a generator in a SELECT list becomes.
const SELECTED: &str = "__selected";

/// The generator that a call is, if it is one.
pub(crate) fn generator(function: &Function) -> Option<&'static str> {
    let name = single_name(&function.name)?;
    NAMES.into_iter().find(|known| known.eq_ignore_ascii_case(&name))
}

/// Whether `select` was made here, over a relation whose columns are all wanted.
pub(super) fn is_made(select: &Select) -> bool {
    select.projection.iter().any(|item| matches!(item, SelectItem::ExprWithAlias { alias, .. } if alias.value == ENTRY))
}

/// Puts sub-queries in the place of the generators of `select`.
pub(super) fn expand(file: usize, select: &mut Select) -> Result<(), Problem> {
    lift_selected(file, select)?;
    if select.lateral_views.is_empty() {
        return Ok(());
    }
    let place = Place::new(file, select.lateral_views.first().map_or_else(|| select.span(), |v| v.lateral_view.span()));
    let [from] = select.from.as_mut_slice() else { return Err(one_table(place)) };
    if !from.joins.is_empty() {
        return Err(one_table(place));
    }
    let alias = match &from.relation {
        TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => alias.name.clone(),
        TableFactor::Table { name, alias: None, .. } => match single_name(name) {
            Some(name) => Ident::with_quote('`', name),
            None => return Err(one_table(place)),
        },
        _ => return Err(one_table(place)),
    };
    let mut views: Vec<String> = Vec::new();
    for mut view in std::mem::take(&mut select.lateral_views) {
        unqualify(&mut view.lateral_view, &views);
        views.extend(single_name(&view.lateral_view_name));
        let relation = from.relation.clone();
        from.relation = derived(file, view, relation, &alias)?;
    }
    let mut plain = |expr: &mut Expr| {
        unqualify_one(expr, &views);
        ControlFlow::<()>::Continue(())
    };
    let _ = visit_expressions_mut(&mut select.projection, &mut plain);
    let _ = visit_expressions_mut(&mut select.selection, &mut plain);
    let _ = visit_expressions_mut(&mut select.group_by, &mut plain);
    let _ = visit_expressions_mut(&mut select.having, &mut plain);
    Ok(())
}

fn one_table(place: Place) -> Problem {
    Problem::new("millstream::not_supported", place, "rows can be made of the arrays of one table at a time")
        .help("put what is joined into a sub-query: FROM (SELECT ... FROM a JOIN b ON ...) t LATERAL VIEW explode(t.items) v AS item")
}

/// A generator in the SELECT list becomes a lateral view.
fn lift_selected(file: usize, select: &mut Select) -> Result<(), Problem> {
    let mut found: Option<Place> = None;
    for at in 0..select.projection.len() {
        let (expr, alias) = match &select.projection[at] {
            SelectItem::UnnamedExpr(expr) => (expr, None),
            SelectItem::ExprWithAlias { expr, alias } => (expr, Some(alias.clone())),
            _ => continue,
        };
        let Expr::Function(function) = expr else { continue };
        let Some(name) = generator(function) else { continue };
        let place = Place::new(file, function.name.span());
        if found.replace(place).is_some() {
            let message = "a SELECT list has one generator of rows";
            return Err(Problem::new("millstream::not_supported", place, message).help("write a LATERAL VIEW for each"));
        }
        let columns = match (name.starts_with("pos"), alias) {
            (false, alias) => vec![alias.unwrap_or_else(|| Ident::new("col"))],
            (true, None) => vec![Ident::new("pos"), Ident::new("col")],
            (true, Some(_)) => {
                let message = format!("{name}() gives two columns, and has one name here");
                return Err(
                    Problem::new("millstream::bad_argument", place, message).help(format!("write LATERAL VIEW {name}(...) v AS pos, col"))
                );
            }
        };
        select.lateral_views.push(LateralView {
            lateral_view: expr.clone(),
            lateral_view_name: ObjectName::from(vec![Ident::new(SELECTED)]),
            lateral_col_alias: columns.clone(),
            outer: false,
        });
        let items = columns.into_iter().map(|column| SelectItem::UnnamedExpr(Expr::Identifier(column)));
        select.projection.splice(at..=at, items);
    }
    Ok(())
}

/// `relation` with the columns of `view`, under the name that it had.
fn derived(file: usize, view: LateralView, relation: TableFactor, alias: &Ident) -> Result<TableFactor, Problem> {
    let place = Place::new(file, view.lateral_view.span());
    let (name, argument) = match &view.lateral_view {
        Expr::Function(function) => match (generator(function), &function.args) {
            (Some(name), FunctionArguments::List(list)) => match list.args.as_slice() {
                [FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))] => (name, argument.clone()),
                _ => {
                    let message = format!("{name}() takes 1 argument, not {}", list.args.len());
                    return Err(Problem::new("millstream::bad_argument", place, message).help("give it an array or a map"));
                }
            },
            _ => return Err(no_generator(place)),
        },
        _ => return Err(no_generator(place)),
    };
    let columns: Vec<String> = match (view.lateral_col_alias.as_slice(), name.starts_with("pos")) {
        ([], false) => vec!["col".to_owned()],
        ([], true) => vec!["pos".to_owned(), "col".to_owned()],
        (named, _) => named.iter().map(normalized).collect(),
    };
    let outer = if view.outer && !name.ends_with("_outer") { "_outer" } else { "" };
    let taken: Vec<String> = columns.iter().enumerate().map(|(at, column)| format!("{ENTRY}.c{at} AS `{column}`")).collect();
    let text = format!(
        "SELECT 1 FROM (SELECT * EXCEPT ({ENTRY}), {} FROM (SELECT *, unnest({PREFIX}{name}{outer}(a, {})) AS {ENTRY} FROM r) AS e) AS t",
        taken.join(", "),
        columns.len()
    );
    let defect = |what: &str| {
        Problem::new("millstream::internal", place, format!("rows can't be made here: {what}")).help("please report it with the query")
    };
    let parsed = Parser::new(&SparkSql).try_with_sql(&text).and_then(|mut parser| parser.parse_query());
    let mut template = parsed.map_err(|e| defect(&e.to_string()))?;
    let factor = select_of(&mut template).and_then(|select| select.from.pop()).map(|from| from.relation);
    let mut factor = factor.ok_or_else(|| defect("the template has no table"))?;
    if let TableFactor::Derived { alias: Some(known), .. } = &mut factor {
        known.name = alias.clone();
    }
    let inner = sub_select(&mut factor).and_then(|select| select.from.first_mut()).and_then(|from| sub_select(&mut from.relation));
    let inner = inner.ok_or_else(|| defect("the template has no sub-query"))?;
    if let Some(from) = inner.from.first_mut() {
        from.relation = relation;
    }
    let _ = visit_expressions_mut(&mut inner.projection, |expr| {
        if matches!(expr, Expr::Identifier(ident) if ident.value == "a") {
            *expr = argument.clone();
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    Ok(factor)
}

fn sub_select(factor: &mut TableFactor) -> Option<&mut Select> {
    match factor {
        TableFactor::Derived { subquery, .. } => select_of(subquery),
        _ => None,
    }
}

fn no_generator(place: Place) -> Problem {
    Problem::new("millstream::bad_argument", place, "LATERAL VIEW takes a function that makes rows")
        .help(format!("the functions are {}", crate::suggest::list(NAMES)))
}

fn select_of(query: &mut Query) -> Option<&mut Select> {
    match query.body.as_mut() {
        SetExpr::Select(select) => Some(select),
        _ => None,
    }
}

/// Takes the names of lateral views away from columns: `v.item` is `item`.
fn unqualify(expr: &mut Expr, views: &[String]) {
    let _ = visit_expressions_mut(expr, |expr| {
        unqualify_one(expr, views);
        ControlFlow::<()>::Continue(())
    });
}

fn unqualify_one(expr: &mut Expr, views: &[String]) {
    if let Expr::CompoundIdentifier(parts) = expr
        && parts.len() > 1
        && views.contains(&normalized(&parts[0]))
    {
        parts.remove(0);
        if let [one] = parts.as_slice() {
            *expr = Expr::Identifier(one.clone());
        }
    }
}
