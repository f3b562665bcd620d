//! Rewrites of a query's syntax tree into what DataFusion plans: `window(...)` and its fields, number literals, `*` over topics.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, CastKind, DataType, ExceptSelectItem, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident,
    ObjectName, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, Spanned, TableFactor, UnaryOperator, Value, ValueWithSpan,
    VisitMut, VisitorMut, visit_expressions_mut,
};
use datafusion::sql::sqlparser::tokenizer::Span;

use super::{duration, idioms};
use crate::diagnostic::{Place, Problem};
use crate::graph::{TOPIC_METADATA, WINDOW_FUNCTION};

/// Rewrites `query`; `is_topic` says whether a relation of this name is a topic, whose metadata columns are not part of `*`.
pub(crate) fn rewrite(file: usize, query: &mut Query, is_topic: &dyn Fn(&str) -> bool) -> Vec<Problem> {
    let mut rewriter = Rewriter { file, is_topic, problems: Vec::new() };
    let _ = VisitMut::visit(query, &mut rewriter);
    rewriter.problems
}

struct Rewriter<'a> {
    file: usize,
    is_topic: &'a dyn Fn(&str) -> bool,
    problems: Vec<Problem>,
}

impl VisitorMut for Rewriter<'_> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        hide_metadata(select, self.is_topic);
        if let Some(call) = window_call(select) {
            expand_window(select, &call);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function) if is_window(function) => {
                if let Err(problem) = fix_window(self.file, function) {
                    self.problems.push(problem);
                }
            }
            Expr::UnaryOp { op: op @ UnaryOperator::BangNot, .. } => *op = UnaryOperator::Not,
            Expr::CompoundFieldAccess { access_chain, .. } => {
                for access in access_chain {
                    if let AccessExpr::Dot(Expr::Identifier(field)) = access {
                        *access = AccessExpr::Dot(field_name(field));
                    }
                }
            }
            Expr::Function(function) if COUNTING.iter().any(|name| is_named(function, name)) => count_in_int(function),
            Expr::Function(function) if is_named(function, "regexp_replace") => replace_all_matches(function),
            Expr::Value(ValueWithSpan { value: Value::Number(number, long), span }) => {
                let target = if number.contains(['e', 'E']) {
                    DataType::Double(datafusion::sql::sqlparser::ast::ExactNumberInfo::None)
                } else if *long {
                    DataType::BigInt(None)
                } else {
                    return ControlFlow::Continue(());
                };
                let text = Value::SingleQuotedString(number.clone());
                let inner = Box::new(Expr::Value(ValueWithSpan { value: text, span: *span }));
                *expr = Expr::Cast { kind: CastKind::Cast, expr: inner, data_type: target, array: false, format: None };
            }
            _ => {}
        }
        let span = expr.span();
        if let Err((message, help)) = idioms::rewrite(expr) {
            self.problems.push(Problem::new("millstream::not_supported", Place::new(self.file, span), message).help(help));
        }
        ControlFlow::Continue(())
    }
}

fn is_window(function: &Function) -> bool {
    is_named(function, WINDOW_FUNCTION)
}

pub(super) fn is_named(function: &Function, name: &str) -> bool {
    matches!(function.name.0.as_slice(), [part] if part.as_ident().is_some_and(|i| i.value.eq_ignore_ascii_case(name)))
}

/// Functions that take a count of days or months as an INT, but not as the BIGINT that a number is to DataFusion.
const COUNTING: [&str; 4] = ["add_months", "date_add", "dateadd", "date_sub"];

fn count_in_int(function: &mut Function) {
    if let FunctionArguments::List(list) = &mut function.args
        && let [_, FunctionArg::Unnamed(FunctionArgExpr::Expr(count))] = list.args.as_mut_slice()
    {
        let inner = Box::new(count.clone());
        *count = Expr::Cast { kind: CastKind::Cast, expr: inner, data_type: DataType::Int(None), array: false, format: None };
    }
}

/// Spark's `regexp_replace` replaces every match; DataFusion's the first, unless a flag says otherwise.
fn replace_all_matches(function: &mut Function) {
    if let FunctionArguments::List(list) = &mut function.args
        && list.args.len() == 3
    {
        let flag = ValueWithSpan { value: Value::SingleQuotedString("g".to_owned()), span: Span::empty() };
        list.args.push(FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(flag))));
    }
}

/// The `window(...)` by which a SELECT groups, or which it selects.
fn window_call(select: &Select) -> Option<Expr> {
    let grouped = match &select.group_by {
        GroupByExpr::Expressions(expressions, _) => expressions.as_slice(),
        GroupByExpr::All(_) => &[],
    };
    let selected = select.projection.iter().filter_map(|item| match item {
        SelectItem::UnnamedExpr(e) | SelectItem::ExprWithAlias { expr: e, .. } => Some(e),
        _ => None,
    });
    grouped.iter().chain(selected).find(|e| matches!(e, Expr::Function(f) if is_window(f))).cloned()
}

/// Puts the call in the place of `window`, `window.start` and `window.end`.
fn expand_window(select: &mut Select, call: &Expr) {
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr) = item
            && let Some(name) = window_name(expr)
        {
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: name };
        }
    }
    let expand = |expr: &mut Expr| {
        match expr {
            Expr::Identifier(ident) if is_window_ident(ident) => *expr = call.clone(),
            Expr::CompoundIdentifier(parts) => {
                if let [ident, field] = parts.as_slice()
                    && is_window_ident(ident)
                {
                    let access_chain = vec![AccessExpr::Dot(field_name(field))];
                    *expr = Expr::CompoundFieldAccess { root: Box::new(call.clone()), access_chain };
                }
            }
            _ => {}
        }
        ControlFlow::<()>::Continue(())
    };
    let _ = visit_expressions_mut(&mut select.projection, expand);
    let _ = visit_expressions_mut(&mut select.having, expand);
    let _ = visit_expressions_mut(&mut select.group_by, expand);
}

/// The name of a struct's field as DataFusion's planner takes it: a text.
fn field_name(field: &Ident) -> Expr {
    Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(normalized(field)), span: field.span })
}

fn is_window_ident(ident: &Ident) -> bool {
    ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case(WINDOW_FUNCTION)
}

/// The name that Spark gives to `window`, `window(...)`, `window.start`.
fn window_name(expr: &Expr) -> Option<Ident> {
    match expr {
        Expr::Identifier(ident) if is_window_ident(ident) => Some(Ident::new(WINDOW_FUNCTION)),
        Expr::Function(function) if is_window(function) => Some(Ident::new(WINDOW_FUNCTION)),
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [ident, field] if is_window_ident(ident) => Some(Ident::with_quote('`', field.value.to_lowercase())),
            _ => None,
        },
        _ => None,
    }
}

/// Brings `window(ts, '1 hour')` to `window(ts, 3600000000)`.
fn fix_window(file: usize, function: &mut Function) -> Result<(), Problem> {
    let place = Place::new(file, function.name.span());
    let help = "write window(ts, '1 hour')";
    let FunctionArguments::List(list) = &mut function.args else {
        return Err(Problem::new("millstream::bad_window", place, "window() needs a time and a size").help(help));
    };
    match list.args.as_mut_slice() {
        [_, FunctionArg::Unnamed(FunctionArgExpr::Expr(size))] => {
            let place = Place::new(file, size.span());
            let text = match size {
                Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) => text.clone(),
                // Already rewritten: the call was copied to where its fields are read.
                Expr::Value(ValueWithSpan { value: Value::Number(..), span }) if *span == Span::empty() => return Ok(()),
                _ => return Err(Problem::new("millstream::bad_window", place, "the size of a window is a text").help(help)),
            };
            let duration = duration::parse(&text).map_err(|why| {
                Problem::new("millstream::bad_window", place, format!("the size of the window can't be read: {why}")).help(help)
            })?;
            let number = Value::Number(duration.as_micros().to_string(), false);
            *size = Expr::Value(ValueWithSpan { value: number, span: Span::empty() });
            Ok(())
        }
        [_, _, _] | [_, _, _, _] => {
            Err(Problem::new("millstream::not_supported", place, "sliding windows and windows with an offset are not supported yet")
                .help("write a tumbling window: window(ts, '1 hour')"))
        }
        _ => Err(Problem::new("millstream::bad_window", place, "window() needs a time and a size").help(help)),
    }
}

/// Leaves the metadata columns of topics out of `*`.
fn hide_metadata(select: &mut Select, is_topic: &dyn Fn(&str) -> bool) {
    let mut topics: Vec<String> = Vec::new();
    for from in &select.from {
        for factor in std::iter::once(&from.relation).chain(from.joins.iter().map(|j| &j.relation)) {
            if let TableFactor::Table { name, alias, .. } = factor
                && let Some(table) = single_name(name)
                && is_topic(&table)
            {
                topics.push(alias.as_ref().map_or(table, |a| normalized(&a.name)));
            }
        }
    }
    if topics.is_empty() {
        return;
    }
    for item in &mut select.projection {
        let options = match item {
            SelectItem::Wildcard(options) => options,
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options)
                if single_name(name).is_some_and(|n| topics.contains(&n)) =>
            {
                options
            }
            _ => continue,
        };
        let hidden: Vec<_> = TOPIC_METADATA.iter().map(|name| Ident::new(*name)).collect();
        match &mut options.opt_except {
            Some(except) => except.additional_elements.extend(hidden),
            None => {
                let mut hidden = hidden.into_iter();
                options.opt_except =
                    hidden.next().map(|first_element| ExceptSelectItem { first_element, additional_elements: hidden.collect() });
            }
        }
    }
}

/// The name of a relation that has one part.
pub(crate) fn single_name(name: &ObjectName) -> Option<String> {
    match name.0.as_slice() {
        [part] => part.as_ident().map(normalized),
        _ => None,
    }
}

/// An identifier in lower case unless it is quoted.
pub(crate) fn normalized(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}
