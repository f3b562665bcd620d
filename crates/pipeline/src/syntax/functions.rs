//! `CREATE FUNCTION`: expressions with parameters, written out wherever they are called before anything is planned. So a function costs nothing when
//! a flow runs, and what a checkpoint knows of a flow is what the flow computes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use arrow::datatypes::DataType;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, CastKind, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, Query, Spanned, Value,
    ValueWithSpan, VisitMut, VisitorMut, visit_expressions_mut,
};
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use super::lexer::SparkSql;
use super::query::{MAX_DEPTH, refuse_too_many_operators, syntax_error};
use super::rewrite::{normalized, single_name};
use super::statement::{Definition, Statement};
use super::{heads, type_names};
use crate::check::tables::sql_type;
use crate::diagnostic::{Place, Problem};

/// The functions of a pipeline by name, each with the index of its file.
pub(crate) type Functions = BTreeMap<String, (usize, Definition)>;

/// Reads what follows `CREATE FUNCTION`.
pub(super) fn function(cursor: &mut Cursor) -> Result<Statement, Problem> {
    cursor.eat_words(&["IF", "NOT", "EXISTS"]);
    let name = cursor.identifier("a name")?;
    let no_parameters = cursor.peek() == Some(&Token::LParen) && cursor.peek_at(1) == Some(&Token::RParen);
    let parameters = if no_parameters {
        cursor.advance();
        cursor.advance();
        Vec::new()
    } else {
        heads::columns(cursor)?
    };
    let returns = if cursor.eat_words(&["RETURNS"]) {
        if cursor.at_words(&["TABLE"]) {
            return Err(Problem::new("millstream::not_supported", cursor.place(), "functions that return tables are not supported yet")
                .help("write a CREATE TEMPORARY VIEW"));
        }
        Some(type_names::data_type(cursor, &name)?)
    } else {
        None
    };
    loop {
        let characteristic = ["DETERMINISTIC", "LANGUAGE SQL", "CONTAINS SQL", "SQL SECURITY DEFINER", "SQL SECURITY INVOKER"]
            .into_iter()
            .find(|words| cursor.at_words(&words.split(' ').collect::<Vec<_>>()));
        if let Some(words) = characteristic {
            cursor.eat_words(&words.split(' ').collect::<Vec<_>>());
        } else if cursor.eat_words(&["COMMENT"]) {
            cursor.string("the comment")?;
        } else {
            break;
        }
    }
    cursor.expect_words(&["RETURN"], "and an expression")?;
    let tokens = cursor.rest();
    let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else { return Err(cursor.expected("an expression after RETURN")) };
    let place = Place::new(cursor.file(), first.span.union(&last.span));
    refuse_too_many_operators(cursor.file(), tokens)?;
    if tokens.iter().any(|t| super::cursor::is_word(&t.token, "SELECT")) {
        return Err(Problem::new(
            "millstream::not_supported",
            place,
            "a function returns an expression, not the result of a query, for the time being",
        )
        .help("join the table where the function is used"));
    }
    let mut parser = Parser::new(&SparkSql).with_recursion_limit(MAX_DEPTH).with_tokens_with_locations(tokens.to_vec());
    let body = parser.parse_expr().map_err(|error| syntax_error(cursor.file(), tokens, last.span, &error))?;
    let next = parser.peek_token();
    if next.token != Token::EOF {
        let place = Place::new(cursor.file(), next.span);
        return Err(Problem::new("millstream::syntax", place, format!("`{}` is not expected here", next.token))
            .help("the expression before it is complete; take it out, or write `;` before the next statement"));
    }
    Ok(Statement::Function(Definition { name, parameters, returns, body: Box::new(body), tokens: tokens.to_vec(), place }))
}

/// Takes the functions out of `statements`, and writes them out wherever they are called, in one another too.
pub(crate) fn write_out(statements: &mut Vec<(usize, Statement)>, problems: &mut Vec<Problem>) -> Functions {
    let mut functions = Functions::new();
    statements.retain(|(file, statement)| {
        let Statement::Function(definition) = statement else { return true };
        let name = &definition.name;
        if functions.insert(name.value.clone(), (*file, definition.clone())).is_some() {
            let message = format!("function `{}` is created twice", name.value);
            problems.push(Problem::new("millstream::duplicate_function", name.place, message).help("give one of them another name"));
        }
        false
    });
    if functions.is_empty() {
        return functions;
    }
    let functions = in_one_another(&functions, problems);
    for (file, statement) in statements {
        let query = match statement {
            Statement::StreamingTable(_, Some(query)) | Statement::MaterializedView(_, query) | Statement::View(_, query) => query,
            Statement::Flow { query, .. } => query,
            _ => continue,
        };
        problems.extend(in_query(*file, &mut query.query, &functions));
    }
    functions
}

/// The functions with those that they call written out; a function that calls itself is a problem, and left out.
fn in_one_another(functions: &Functions, problems: &mut Vec<Problem>) -> Functions {
    let mut done = Functions::new();
    let mut waiting: BTreeMap<String, BTreeSet<String>> =
        functions.iter().map(|(name, (_, definition))| (name.clone(), called(&definition.body, functions))).collect();
    while let Some(name) = waiting.iter().find(|(_, calls)| calls.iter().all(|c| done.contains_key(c))).map(|(name, _)| name.clone()) {
        waiting.remove(&name);
        if let Some((file, definition)) = functions.get(&name) {
            let mut definition = definition.clone();
            let mut writer = Writer { file: *file, functions: &done, problems: Vec::new() };
            let _ = VisitMut::visit(definition.body.as_mut(), &mut writer);
            problems.extend(writer.problems);
            done.insert(name, (*file, definition));
        }
    }
    // What is left waits for itself; a function that only calls such a one has no fault of its own.
    for (name, calls) in &waiting {
        if let Some((_, definition)) = functions.get(name).filter(|_| reaches(name, calls, &waiting)) {
            let message = format!("function `{name}` calls itself");
            let problem = Problem::new("millstream::recursive_function", definition.name.place, message);
            problems.push(problem.help("write it without calling itself: a function is written out where it is used"));
        }
    }
    done
}

/// Whether `name` is among `calls`, or what these call.
fn reaches(name: &str, calls: &BTreeSet<String>, all: &BTreeMap<String, BTreeSet<String>>) -> bool {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut next: Vec<&str> = calls.iter().map(String::as_str).collect();
    while let Some(call) = next.pop() {
        if call == name {
            return true;
        }
        if seen.insert(call) {
            next.extend(all.get(call).into_iter().flatten().map(String::as_str));
        }
    }
    false
}

fn called(body: &Expr, functions: &Functions) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut body = body.clone();
    let _ = visit_expressions_mut(&mut body, |expr| {
        if let Expr::Function(function) = expr {
            names.extend(single_name(&function.name).map(|n| n.to_lowercase()).filter(|n| functions.contains_key(n)));
        }
        ControlFlow::<()>::Continue(())
    });
    names
}

fn in_query(file: usize, query: &mut Query, functions: &Functions) -> Vec<Problem> {
    let mut writer = Writer { file, functions, problems: Vec::new() };
    let _ = VisitMut::visit(query, &mut writer);
    writer.problems
}

/// Puts the bodies of functions in the place of their calls.
struct Writer<'f> {
    file: usize,
    functions: &'f Functions,
    problems: Vec<Problem>,
}

impl VisitorMut for Writer<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let Expr::Function(call) = expr else { return ControlFlow::Continue(()) };
        let Some(name) = single_name(&call.name).map(|n| n.to_lowercase()) else { return ControlFlow::Continue(()) };
        let Some((_, definition)) = self.functions.get(&name) else { return ControlFlow::Continue(()) };
        match written(definition, call) {
            Ok(body) => *expr = body,
            Err(message) => {
                let place = Place::new(self.file, call.name.span());
                let form: Vec<_> = definition.parameters.iter().map(|p| format!("{} {}", p.name.value, sql_type(&p.data_type))).collect();
                self.problems
                    .push(Problem::new("millstream::bad_argument", place, message).help(format!("call it as {name}({})", form.join(", "))));
            }
        }
        ControlFlow::Continue(())
    }
}

/// The body of a function with the arguments of `call` for its parameters.
fn written(definition: &Definition, call: &Function) -> Result<Expr, String> {
    let name = &definition.name.value;
    let arguments: Vec<&Expr> = match &call.args {
        FunctionArguments::None => Vec::new(),
        FunctionArguments::List(list) if list.duplicate_treatment.is_none() && list.clauses.is_empty() => {
            let plain = list.args.iter().map(|a| if let FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) = a { Some(e) } else { None });
            plain.collect::<Option<_>>().ok_or_else(|| format!("{name}() takes plain arguments, without names and *"))?
        }
        _ => return Err(format!("{name}() takes plain arguments")),
    };
    if arguments.len() != definition.parameters.len() {
        let (takes, has) = (definition.parameters.len(), arguments.len());
        return Err(format!("{name}() takes {takes} argument{}, not {has}", if takes == 1 { "" } else { "s" }));
    }
    let values: BTreeMap<&str, Expr> = definition
        .parameters
        .iter()
        .zip(arguments)
        .map(|(parameter, argument)| (parameter.name.value.as_str(), cast(argument.clone(), &parameter.data_type)))
        .collect();
    let mut body = definition.body.as_ref().clone();
    let mut placer = Placer { function: name, values: &values, call: call.name.span() };
    let _ = VisitMut::visit(&mut body, &mut placer);
    let body = Expr::Nested(Box::new(body));
    Ok(match &definition.returns {
        Some(data_type) => cast(body, data_type),
        None => body,
    })
}

/// Puts arguments in the place of parameters. What was an argument is not looked into again.
struct Placer<'v> {
    function: &'v str,
    values: &'v BTreeMap<&'v str, Expr>,
    /// Where the call stands: errors about the functions within the body are shown there.
    call: datafusion::sql::sqlparser::tokenizer::Span,
}

impl VisitorMut for Placer<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(ident) => {
                if let Some(value) = self.values.get(normalized(ident).as_str()) {
                    *expr = value.clone();
                }
            }
            Expr::CompoundIdentifier(parts) => {
                let qualified = parts.first().is_some_and(|p| normalized(p) == self.function) && parts.len() > 1;
                let parts = &parts[usize::from(qualified)..];
                if let Some((first, fields)) = parts.split_first()
                    && let Some(value) = self.values.get(normalized(first).as_str())
                {
                    let field = |f: &Ident| {
                        let name = Value::SingleQuotedString(normalized(f));
                        AccessExpr::Dot(Expr::Value(ValueWithSpan { value: name, span: f.span }))
                    };
                    let access_chain: Vec<_> = fields.iter().map(field).collect();
                    *expr = match access_chain.is_empty() {
                        true => value.clone(),
                        false => Expr::CompoundFieldAccess { root: Box::new(value.clone()), access_chain },
                    };
                }
            }
            Expr::Function(function) => {
                if let Some(name) = single_name(&function.name) {
                    function.name = ObjectName::from(vec![Ident::with_span(self.call, name)]);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// `expr` as a value of `data_type`; a nested one stays what it is.
fn cast(expr: Expr, data_type: &DataType) -> Expr {
    let named = Parser::new(&SparkSql).try_with_sql(&sql_type(data_type)).and_then(|mut parser| parser.parse_data_type());
    match named {
        Ok(sql_type) if !data_type.is_nested() => {
            Expr::Cast { kind: CastKind::Cast, expr: Box::new(expr), data_type: sql_type, array: false, format: None }
        }
        _ => Expr::Nested(Box::new(expr)),
    }
}
