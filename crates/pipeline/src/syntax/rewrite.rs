//! Rewrites of a query's syntax tree into what DataFusion plans: `window(...)` and its fields, number literals, `*` over topics.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, CastKind, DataType, ExceptSelectItem, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, GroupByExpr, Ident, ObjectName, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, Spanned, TableFactor,
    UnaryOperator, Value, ValueWithSpan, VisitMut, VisitorMut, WildcardAdditionalOptions,
};
use datafusion::sql::sqlparser::tokenizer::Span;

use super::{aggregates, duration, fields, generators, idioms};
use crate::diagnostic::{Place, Problem};
use crate::graph::{SESSION_FUNCTION, TOPIC_METADATA, WINDOW_FUNCTION};
use crate::spark::json;

/// Rewrites `query`; `is_topic` says whether a relation of this name is a topic, whose metadata columns are not part of `*`.
pub(crate) fn rewrite(file: usize, query: &mut Query, is_topic: &dyn Fn(&str) -> bool) -> Vec<Problem> {
    let mut rewriter = Rewriter { file, is_topic, problems: Vec::new(), is_told: false };
    let _ = VisitMut::visit(query, &mut rewriter);
    rewriter.problems
}

struct Rewriter<'a> {
    file: usize,
    is_topic: &'a dyn Fn(&str) -> bool,
    problems: Vec<Problem>,
    /// Whether a generator that is left was a problem already.
    is_told: bool,
}

impl VisitorMut for Rewriter<'_> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        if !generators::is_made(select) {
            hide_metadata(select, self.is_topic);
        }
        if let Err(problem) = generators::expand(self.file, select) {
            self.problems.push(problem);
            self.is_told = true;
        }
        for function in [WINDOW_FUNCTION, SESSION_FUNCTION] {
            if let Some(call) = window_call(select, function) {
                expand_window(select, &call, function);
            }
        }
        fields::name(select);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr
            && json::WITH_OPTIONS.iter().any(|name| is_named(function, name))
        {
            spread_options(function);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr {
            aggregates::rewrite(function);
        }
        match expr {
            Expr::Function(function) if is_named(function, WINDOW_FUNCTION) || is_named(function, SESSION_FUNCTION) => {
                let is_session = is_named(function, SESSION_FUNCTION);
                let fixed = if is_session { fix_session(self.file, function) } else { fix_window(self.file, function) };
                if let Err(problem) = fixed {
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
            Expr::Function(function) if generators::generator(function).is_some() && !self.is_told => {
                let name = generators::generator(function).unwrap_or_default();
                let place = Place::new(self.file, function.name.span());
                let message = format!("{name}() makes rows, so it stands alone in the SELECT list, or behind LATERAL VIEW");
                let help = format!("write FROM t LATERAL VIEW {name}(...) v AS item");
                self.problems.push(Problem::new("millstream::not_supported", place, message).help(help));
            }
            Expr::Function(function) if is_named(function, "map") => keys_and_values(function),
            Expr::Struct { values, fields } if fields.is_empty() => *expr = named_struct(std::mem::take(values)),
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

/// `from_json(x, schema, map('a', 'b'))` to `from_json(x, schema, 'a', 'b')`.
fn spread_options(function: &mut Function) {
    if let FunctionArguments::List(list) = &mut function.args
        && let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Function(options)))) = list.args.last()
        && is_named(options, "map")
        && let FunctionArguments::List(options) = &options.args
    {
        let options = options.args.clone();
        list.args.pop();
        list.args.extend(options);
    }
}

/// `struct(a, b + 1, c AS x)` as `named_struct('a', a, 'col2', b + 1, 'x', c)`: the names that Spark gives.
fn named_struct(values: Vec<Expr>) -> Expr {
    let mut args = Vec::with_capacity(values.len() * 2);
    for (at, value) in values.into_iter().enumerate() {
        let (name, value) = match value {
            Expr::Named { expr, name } => (normalized(&name), *expr),
            Expr::Identifier(ident) => (normalized(&ident), Expr::Identifier(ident)),
            Expr::CompoundIdentifier(parts) => (parts.last().map(normalized).unwrap_or_default(), Expr::CompoundIdentifier(parts)),
            other => (format!("col{}", at + 1), other),
        };
        let name = ValueWithSpan { value: Value::SingleQuotedString(name), span: Span::empty() };
        args.extend([Expr::Value(name), value].map(|e| FunctionArg::Unnamed(FunctionArgExpr::Expr(e))));
    }
    call("named_struct", args)
}

/// `map(a, b, c, d)` as `map(array(a, c), array(b, d))`, which DataFusion's function takes.
fn keys_and_values(function: &mut Function) {
    if let FunctionArguments::List(list) = &mut function.args
        && !list.args.is_empty()
        && list.args.len() % 2 == 0
    {
        let (keys, values): (Vec<_>, Vec<_>) = list.args.drain(..).enumerate().partition(|(at, _)| at % 2 == 0);
        let array = |part: Vec<(usize, FunctionArg)>| {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(call("array", part.into_iter().map(|(_, argument)| argument).collect())))
        };
        list.args = vec![array(keys), array(values)];
    }
}

fn call(name: &str, args: Vec<FunctionArg>) -> Expr {
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// The call of `function` by which a SELECT groups, or which it selects.
fn window_call(select: &Select, function: &str) -> Option<Expr> {
    let grouped = match &select.group_by {
        GroupByExpr::Expressions(expressions, _) => expressions.as_slice(),
        GroupByExpr::All(_) => &[],
    };
    let selected = select.projection.iter().filter_map(|item| match item {
        SelectItem::UnnamedExpr(e) | SelectItem::ExprWithAlias { expr: e, .. } => Some(e),
        _ => None,
    });
    grouped.iter().chain(selected).find(|e| matches!(e, Expr::Function(f) if is_named(f, function))).cloned()
}

/// Puts the call of `function` in the place of `window`, `window.start` and `window.end`.
fn expand_window(select: &mut Select, call: &Expr, function: &str) {
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr) = item
            && let Some(name) = window_name(expr, function)
        {
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: name };
        }
    }
    let mut expander = Expander { call, function, inside: 0 };
    let _ = VisitMut::visit(&mut select.projection, &mut expander);
    let _ = VisitMut::visit(&mut select.having, &mut expander);
    let _ = VisitMut::visit(&mut select.group_by, &mut expander);
}

struct Expander<'a> {
    call: &'a Expr,
    function: &'a str,
    /// How many calls of the function we are in: what these name is a column, as in `window(window_time(window), '1 hour')`.
    inside: usize,
}

impl Expander<'_> {
    fn is_call(&self, expr: &Expr) -> bool {
        matches!(expr, Expr::Function(function) if is_named(function, self.function))
    }
}

impl VisitorMut for Expander<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        self.inside += usize::from(self.is_call(expr));
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        self.inside -= usize::from(self.is_call(expr));
        if self.inside > 0 {
            return ControlFlow::Continue(());
        }
        match expr {
            Expr::Identifier(ident) if is_ident(ident, self.function) => *expr = self.call.clone(),
            Expr::CompoundIdentifier(parts) => {
                if let [ident, field] = parts.as_slice()
                    && is_ident(ident, self.function)
                {
                    let access_chain = vec![AccessExpr::Dot(field_name(field))];
                    *expr = Expr::CompoundFieldAccess { root: Box::new(self.call.clone()), access_chain };
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// The name of a struct's field as DataFusion's planner takes it: a text.
fn field_name(field: &Ident) -> Expr {
    Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(normalized(field)), span: field.span })
}

fn is_ident(ident: &Ident, name: &str) -> bool {
    ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case(name)
}

/// The name that Spark gives to `window`, `window(...)`, `window.start`.
fn window_name(expr: &Expr, function: &str) -> Option<Ident> {
    match expr {
        Expr::Identifier(ident) if is_ident(ident, function) => Some(Ident::new(function)),
        Expr::Function(call) if is_named(call, function) => Some(Ident::new(function)),
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [ident, field] if is_ident(ident, function) => Some(Ident::with_quote('`', field.value.to_lowercase())),
            _ => None,
        },
        _ => None,
    }
}

/// Brings `window(ts, '1 hour')` to `window(ts, 3600000000)`, and windows that overlap or begin elsewhere to
/// `window(ts, size, slide, start)`, all in microseconds.
fn fix_window(file: usize, function: &mut Function) -> Result<(), Problem> {
    let place = Place::new(file, function.name.span());
    let wrong = |place, message: String, help: &str| Err(Problem::new("millstream::bad_window", place, message).help(help));
    let FunctionArguments::List(list) = &mut function.args else {
        return wrong(place, "window() needs a time and a size".to_owned(), WINDOW_HELP);
    };
    let lengths = match list.args.as_slice() {
        [_, lengths @ ..] if (1..=3).contains(&lengths.len()) => lengths,
        _ => return wrong(place, "window() needs a time and a size".to_owned(), WINDOW_HELP),
    };
    if lengths.iter().all(is_rewritten) {
        // The call was copied to where its fields are read.
        return Ok(());
    }
    let mut read = Vec::with_capacity(3);
    for (length, name) in lengths.iter().zip(["size of the window", "slide of the windows", "start of the windows"]) {
        read.push((window_length(file, place, length, name)?, Place::new(file, length.span())));
    }
    let (size, at_size) = read[0];
    let (slide, at_slide) = read.get(1).copied().unwrap_or((size, at_size));
    let (start, at_start) = read.get(2).copied().unwrap_or((0, at_size));
    if size <= 0 {
        return wrong(at_size, "the size of the window can't be read: it must be longer than nothing".to_owned(), WINDOW_HELP);
    }
    if slide <= 0 || slide > size {
        let help = "write window(ts, '1 hour', '15 minutes'): a window of an hour, every 15 minutes";
        let message = if slide <= 0 {
            "the slide of the windows must be longer than nothing"
        } else {
            "events between windows would be lost: the slide is longer than the size"
        };
        return wrong(at_slide, message.to_owned(), help);
    }
    if start.unsigned_abs() >= slide.unsigned_abs() {
        let help = "write window(ts, '1 hour', '15 minutes', '5 minutes'): windows begin 5 minutes after each quarter of an hour";
        return wrong(at_start, "the start of the windows must be less than their slide".to_owned(), help);
    }
    let kept: &[i64] = if slide == size && start == 0 { &[size] } else { &[size, slide, start] };
    list.args.truncate(1);
    list.args.extend(kept.iter().map(|us| {
        let number = Value::Number(us.to_string(), false);
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(ValueWithSpan { value: number, span: Span::empty() })))
    }));
    Ok(())
}

/// Brings `session_window(ts, '10 minutes')` to `session_window(ts, 600000000)`. A gap that differs by row stays as it is.
fn fix_session(file: usize, function: &mut Function) -> Result<(), Problem> {
    let place = Place::new(file, function.name.span());
    let help = "write session_window(ts, '10 minutes')";
    let FunctionArguments::List(list) = &mut function.args else {
        return Err(Problem::new("millstream::bad_window", place, "session_window() needs a time and a gap").help(help));
    };
    let [_, gap] = list.args.as_mut_slice() else {
        return Err(Problem::new("millstream::bad_window", place, "session_window() needs a time and a gap").help(help));
    };
    let at = Place::new(file, gap.span());
    match gap {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(ValueWithSpan { value: value @ Value::SingleQuotedString(_), span }))) => {
            let Value::SingleQuotedString(text) = &*value else { return Ok(()) };
            let gap = duration::parse(text).map_err(|why| {
                Problem::new("millstream::bad_window", at, format!("the gap of the sessions can't be read: {why}")).help(help)
            })?;
            (*value, *span) = (Value::Number(gap.as_micros().to_string(), false), Span::empty());
            Ok(())
        }
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(ValueWithSpan { value: Value::Number(..), span })))
            if *span != Span::empty() =>
        {
            Err(Problem::new("millstream::bad_window", at, "the gap of sessions is a text, not a number: Spark takes no other").help(help))
        }
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Interval(_))) => {
            Err(Problem::new("millstream::bad_window", place, "the gap of sessions is a text, not an INTERVAL: Spark takes no other")
                .help(help))
        }
        _ => Ok(()),
    }
}

const WINDOW_HELP: &str = "write window(ts, '1 hour')";

/// Whether a length of a window is one that [`fix_window`] wrote.
fn is_rewritten(length: &FunctionArg) -> bool {
    matches!(length, FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(ValueWithSpan { value: Value::Number(..), span })))
        if *span == Span::empty())
}

/// A length of a window in microseconds: a text, or a number of microseconds, as Spark takes them.
fn window_length(file: usize, call: Place, length: &FunctionArg, name: &str) -> Result<i64, Problem> {
    let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = length else {
        return Err(Problem::new("millstream::bad_window", call, "window() takes its arguments without names").help(WINDOW_HELP));
    };
    let place = Place::new(file, expr.span());
    let wrong = |message: String| Problem::new("millstream::bad_window", place, message).help(WINDOW_HELP);
    match expr {
        Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) => {
            duration::signed_us(text).map_err(|why| wrong(format!("the {name} can't be read: {why}")))
        }
        Expr::Value(ValueWithSpan { value: Value::Number(us, _), .. }) => {
            us.parse().map_err(|_| wrong(format!("the {name} can't be read: `{us}` is not a whole number of microseconds")))
        }
        Expr::Interval(_) => {
            Err(Problem::new("millstream::bad_window", call, format!("the {name} is a text, not an INTERVAL: Spark takes no other"))
                .help(WINDOW_HELP))
        }
        _ => Err(wrong(format!("the {name} is a text"))),
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
        leave_out(options, TOPIC_METADATA.iter().map(|name| Ident::new(*name)).collect());
    }
}

/// Leaves `columns` out of a `*`.
pub(super) fn leave_out(options: &mut WildcardAdditionalOptions, columns: Vec<Ident>) {
    match &mut options.opt_except {
        Some(except) => except.additional_elements.extend(columns),
        None => {
            let mut columns = columns.into_iter();
            options.opt_except =
                columns.next().map(|first_element| ExceptSelectItem { first_element, additional_elements: columns.collect() });
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
