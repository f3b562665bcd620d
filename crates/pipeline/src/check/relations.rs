//! Which tables and functions a query names, and where.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArguments, ObjectName, Query, Select, SelectItem, SetExpr, Spanned, TableFactor, Visit, Visitor,
};

use crate::diagnostic::{Place, Problem};
use crate::syntax::generators;
use crate::syntax::rewrite::{normalized, single_name};
use crate::syntax::statement::{StreamMark, WrittenQuery};

/// A relation in a FROM clause.
#[derive(Clone, Debug)]
pub(crate) struct Use {
    pub(crate) name: String,
    pub(crate) place: Place,
    pub(crate) stream: Option<StreamMark>,
}

/// What a query names.
#[derive(Debug, Default)]
pub(crate) struct Named {
    pub(crate) relations: Vec<Use>,
    /// Names of functions in lower case, with their places.
    pub(crate) functions: Vec<(String, Place)>,
    /// What can't be a relation of a pipeline.
    pub(crate) problems: Vec<Problem>,
    /// The names that WITH gives to sub-queries.
    pub(crate) subqueries: Vec<String>,
}

/// Collects what `query` names.
pub(crate) fn named(file: usize, query: &WrittenQuery) -> Named {
    let mut collector = Collector { file, query, named: Named::default() };
    let _ = Visit::visit(query.query.as_ref(), &mut collector);
    let mut named = collector.named;
    let subqueries = &named.subqueries;
    named.relations.retain(|r| r.stream.is_some() || !subqueries.contains(&r.name));
    named
}

struct Collector<'a> {
    file: usize,
    query: &'a WrittenQuery,
    named: Named,
}

fn has_arguments(function: &Function) -> bool {
    matches!(&function.args, FunctionArguments::List(list) if !list.args.is_empty())
}

impl Collector<'_> {
    fn relation(&mut self, name: &ObjectName) {
        let place = Place::new(self.file, name.span());
        match single_name(name) {
            Some(table) => {
                let stream = self.query.stream_at(name.span().start).cloned();
                self.named.relations.push(Use { name: table, place, stream });
            }
            None => self.named.problems.push(
                Problem::new("millstream::qualified_name", place, format!("a pipeline's tables have no schema, but `{name}` names one"))
                    .help("write the name of the table alone"),
            ),
        }
    }

    fn function(&mut self, function: &Function) {
        let name = match function.name.0.as_slice() {
            [part] => part.as_ident().map(normalized),
            _ => None,
        };
        let place = Place::new(self.file, function.name.span());
        match name {
            // Of a value it is one itself; without one it is the time now.
            Some(name) if name.eq_ignore_ascii_case("unix_timestamp") && has_arguments(function) => {
                self.named.functions.push(("to_unix_timestamp".to_owned(), place));
            }
            Some(name) => self.named.functions.push((name.to_lowercase(), place)),
            None => self.named.problems.push(
                Problem::new("millstream::unknown_function", place, format!("there is no function `{}`", function.name))
                    .help("functions have no schema: write the name alone"),
            ),
        }
    }
}

impl Visitor for Collector<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if let Some(with) = &query.with {
            self.named.subqueries.extend(with.cte_tables.iter().map(|t| normalized(&t.alias.name)));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table { name, args: None, .. } => self.relation(name),
            TableFactor::Derived { .. } | TableFactor::NestedJoin { .. } => {}
            other => {
                let place = Place::new(self.file, other.span());
                self.named.problems.push(
                    Problem::new("millstream::not_supported", place, "table functions are not supported")
                        .help("read a table of the pipeline"),
                );
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr {
            self.function(function);
        }
        ControlFlow::Continue(())
    }
}

/// Output columns of a query that have no name, for Spark would make one up that is no identifier; and such as have the same name.
pub(crate) fn output_problems(file: usize, query: &Query) -> Vec<Problem> {
    let Some(select) = outer_select(&query.body) else { return Vec::new() };
    let mut problems = Vec::new();
    let mut names: Vec<String> = Vec::new();
    for item in &select.projection {
        let name = match item {
            SelectItem::UnnamedExpr(Expr::Identifier(name)) | SelectItem::ExprWithAlias { alias: name, .. } => Some(name),
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => parts.last(),
            SelectItem::UnnamedExpr(Expr::Function(function)) if generators::generator(function).is_some() => None,
            SelectItem::UnnamedExpr(expr) => {
                let span = if let Expr::Function(function) = expr { function.name.span() } else { expr.span() };
                let problem =
                    Problem::new("millstream::unnamed_column", Place::new(file, span), format!("the column `{expr}` has no name"));
                problems.push(problem.help(format!("write {expr} AS name")));
                None
            }
            _ => None,
        };
        let Some(name) = name else { continue };
        if names.contains(&normalized(name)) {
            let message = format!("the query gives two columns `{}`", normalized(name));
            let problem = Problem::new("millstream::duplicate_column", Place::new(file, name.span), message);
            problems.push(problem.help("give one of them another name with AS"));
        }
        names.push(normalized(name));
    }
    problems
}

fn outer_select(body: &SetExpr) -> Option<&Select> {
    match body {
        SetExpr::Select(select) => Some(select),
        SetExpr::Query(query) => outer_select(&query.body),
        SetExpr::SetOperation { left, .. } => outer_select(left),
        _ => None,
    }
}
