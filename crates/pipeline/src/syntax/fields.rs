//! Fields of STRUCTs in a SELECT list without `AS`: Spark calls them by the field's name, the planner by the whole path.

use datafusion::sql::sqlparser::ast::{Expr, Ident, Select, SelectItem, TableFactor, TableWithJoins};

use super::rewrite::{normalized, single_name};

/// Names the fields that `select` has without a name.
pub(super) fn name(select: &mut Select) {
    let mut relations = Vec::new();
    select.from.iter().for_each(|from| collect(from, &mut relations));
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr) = item
            && let Some(field) = field(expr, &relations)
        {
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: field };
        }
    }
}

/// The field that a path ends in; `None` where the path is that of a column.
fn field(expr: &Expr, relations: &[String]) -> Option<Ident> {
    let Expr::CompoundIdentifier(parts) = expr else { return None };
    let of_relation = parts.first().is_some_and(|first| relations.contains(&normalized(first)));
    if parts.len() > 1 + usize::from(of_relation) { parts.last().cloned() } else { None }
}

/// The names by which columns can be qualified.
fn collect(from: &TableWithJoins, names: &mut Vec<String>) {
    for factor in std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)) {
        match factor {
            TableFactor::NestedJoin { table_with_joins, alias: None } => collect(table_with_joins, names),
            TableFactor::Table { alias: Some(alias), .. }
            | TableFactor::Derived { alias: Some(alias), .. }
            | TableFactor::NestedJoin { alias: Some(alias), .. } => names.push(normalized(&alias.name)),
            TableFactor::Table { name, .. } => names.extend(single_name(name)),
            _ => {}
        }
    }
}
