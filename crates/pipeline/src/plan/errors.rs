//! DataFusion's planning errors as ours: located, and in the language's words.

use datafusion::common::{Column, DataFusionError, SchemaError, Span as PlanSpan};
use datafusion::sql::sqlparser::tokenizer::{Location, Span, Token};

use crate::diagnostic::{Place, Problem};
use crate::graph::{SESSION_FUNCTION, TOPIC_METADATA, WINDOW_FUNCTION};
use crate::suggest;
use crate::syntax::statement::WrittenQuery;

/// All problems that `error` consists of.
pub(super) fn problems(file: usize, query: &WrittenQuery, error: &DataFusionError) -> Vec<Problem> {
    let mut found = Vec::new();
    collect(file, query, error, None, &mut found);
    found
}

/// Whether `error` is that two columns have one name.
pub(super) fn is_duplicate_name(error: &DataFusionError) -> bool {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => is_duplicate_name(inner),
        DataFusionError::SchemaError(schema, _) => matches!(schema.as_ref(), SchemaError::DuplicateUnqualifiedField { .. }),
        _ => false,
    }
}

fn collect(file: usize, query: &WrittenQuery, error: &DataFusionError, place: Option<Place>, found: &mut Vec<Problem>) {
    match error {
        DataFusionError::Collection(errors) => errors.iter().for_each(|e| collect(file, query, e, place, found)),
        DataFusionError::Context(_, inner) => collect(file, query, inner, place, found),
        DataFusionError::Shared(inner) => collect(file, query, inner, place, found),
        DataFusionError::Diagnostic(diagnostic, inner) => {
            let place = diagnostic.span.map(|s| Place::new(file, span(s))).or(place);
            if matches!(inner.as_ref(), DataFusionError::SchemaError(..)) || inner.diagnostic().is_some() {
                collect(file, query, inner, place, found);
                return;
            }
            let message = plain(&inner.strip_backtrace());
            found.push(located(file, query, place, &message));
        }
        DataFusionError::SchemaError(schema_error, _) => found.push(name_problem(file, query, place, schema_error)),
        other => found.push(located(file, query, place, &plain(&other.strip_backtrace()))),
    }
}

fn name_problem(file: usize, query: &WrittenQuery, place: Option<Place>, error: &SchemaError) -> Problem {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let place = place.or_else(|| column_place(file, query, field)).unwrap_or(query.place);
            let valid: Vec<&str> = valid_fields.iter().map(|c| c.name.as_str()).filter(|n| !TOPIC_METADATA.contains(n)).collect();
            let listed = if valid.is_empty() {
                "nothing that has columns is in reach".to_owned()
            } else {
                format!("the columns are {}", suggest::list(valid.iter().copied()))
            };
            let candidates = valid.iter().copied().chain(TOPIC_METADATA);
            Problem::new("millstream::unknown_column", place, format!("there is no column `{}`", field.flat_name()))
                .help(suggest::did_you_mean(&field.name, candidates, &listed))
        }
        SchemaError::AmbiguousReference { field } => {
            let place = place.or_else(|| column_place(file, query, field)).unwrap_or(query.place);
            Problem::new("millstream::ambiguous_column", place, format!("several tables have a column `{}`", field.name))
                .help(format!("write the table before it: t.{}", field.name))
        }
        SchemaError::DuplicateQualifiedField { name, .. } | SchemaError::DuplicateUnqualifiedField { name } => {
            let place = place.or_else(|| word_place(file, query, name)).unwrap_or(query.place);
            Problem::new("millstream::duplicate_column", place, format!("the query has two columns `{name}`"))
                .help("give one of them another name with AS")
        }
    }
}

/// A problem whose place is where the error says, or where a name that the message quotes stands.
fn located(file: usize, query: &WrittenQuery, place: Option<Place>, message: &str) -> Problem {
    let at = |name: &str| call_place(file, query, name).or_else(|| word_place(file, query, name));
    let place = place.or_else(|| quoted(message).find_map(at)).unwrap_or(query.place);
    if message.contains("must appear in the GROUP BY clause") || message.contains("must be in GROUP BY") {
        let column = quoted(message).next().unwrap_or("a column");
        return Problem::new("millstream::not_grouped", place, format!("`{column}` is neither grouped by nor aggregated"))
            .help(format!("write it into GROUP BY, or an aggregate such as max({column})"));
    }
    if message.starts_with("window() needs") {
        let place = call_place(file, query, WINDOW_FUNCTION).unwrap_or(place);
        return Problem::new("millstream::bad_window", place, "window() needs a TIMESTAMP")
            .help("write window(ts, '1 hour') with the event time");
    }
    if message.starts_with("session_window() needs") {
        let place = call_place(file, query, SESSION_FUNCTION).unwrap_or(place);
        return Problem::new("millstream::bad_window", place, "session_window() needs a TIMESTAMP and a gap")
            .help("write session_window(ts, '10 minutes') with the event time; a gap that differs by row is a text too");
    }
    if message.starts_with("window_time() needs") {
        return Problem::new("millstream::bad_window", place, "window_time() needs a window")
            .help("select `window` in a query that groups by window(ts, '1 hour'), and take its time outside of that query");
    }
    // Our own functions begin what they say with their name.
    if let Some((function, _)) = message.split_once("() ")
        && let Some(place) = call_place(file, query, function)
    {
        return Problem::new("millstream::bad_argument", place, message).help("see the functions in docs/language.md for what it takes");
    }
    if let Some((function, types)) = refused_arguments(message) {
        return Problem::new("millstream::bad_argument", place, format!("{function}() does not take ({types})"))
            .help("give it other arguments, or cast them: CAST(x AS STRING)");
    }
    if let Some((function, takes, has)) = wrong_count(message) {
        let arguments = if takes == "1" { "argument" } else { "arguments" };
        return Problem::new("millstream::bad_argument", place, format!("{function}() takes {takes} {arguments}, not {has}"))
            .help("write as many arguments as the function takes");
    }
    Problem::new("millstream::invalid_query", place, lower_first(message))
}

/// Function, how many arguments it takes and how many it has.
fn wrong_count(message: &str) -> Option<(&str, &str, &str)> {
    // `Function 'f' expects 1 arguments`, and of some `The function 'f' expected 1 arguments`.
    let (function, rest) = message.split_once("unction '")?.1.split_once("' expect")?;
    let (takes, rest) = rest.split_once(' ')?.1.split_once(" arguments but received ")?;
    Some((function, takes, rest.split('.').next()?))
}

/// The function and the types of its arguments, in a message that says that they don't fit.
fn refused_arguments(message: &str) -> Option<(&str, String)> {
    let rest = message.split_once("Failed to coerce arguments to satisfy a call to '")?.1;
    let (function, rest) = rest.split_once("' function: coercion from ")?;
    let (types, _) = rest.split_once(" to the signature")?;
    let spelled = [("Utf8", "STRING"), ("Int64", "BIGINT"), ("Int32", "INT"), ("Int16", "SMALLINT"), ("Int8", "TINYINT")]
        .into_iter()
        .chain([
            ("Float64", "DOUBLE"),
            ("Float32", "FLOAT"),
            ("Boolean", "BOOLEAN"),
            ("Date32", "DATE"),
            ("Timestamp(µs, \"UTC\")", "TIMESTAMP"),
        ])
        .fold(types.to_owned(), |text, (arrow, sql)| text.replace(arrow, sql));
    Some((function, spelled))
}

/// Where the query first calls `function`.
fn call_place(file: usize, query: &WrittenQuery, function: &str) -> Option<Place> {
    let call = query.tokens.windows(2).find(|pair| match pair {
        [name, next] => next.token == Token::LParen && matches!(&name.token, Token::Word(w) if w.value.eq_ignore_ascii_case(function)),
        _ => false,
    });
    call.and_then(<[_]>::first).map(|t| Place::new(file, t.span))
}

fn column_place(file: usize, query: &WrittenQuery, column: &Column) -> Option<Place> {
    column.spans.first().map(|s| Place::new(file, span(s))).or_else(|| word_place(file, query, &column.name))
}

/// Where the query first has `word`.
pub(crate) fn word_place(file: usize, query: &WrittenQuery, word: &str) -> Option<Place> {
    let token = query.tokens.iter().find(|t| matches!(&t.token, Token::Word(w) if w.value.eq_ignore_ascii_case(word)))?;
    Some(Place::new(file, token.span))
}

/// The names in quotes in a message.
fn quoted(message: &str) -> impl Iterator<Item = &str> {
    message
        .split(['\'', '"', '`'])
        .skip(1)
        .step_by(2)
        .flat_map(|part| part.rsplit('.'))
        .chain(message.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| w.len() > 3))
}

fn span(span: PlanSpan) -> Span {
    Span::new(Location::new(span.start.line, span.start.column), Location::new(span.end.line, span.end.column))
}

/// A message without the words with which DataFusion introduces and ends it.
fn plain(message: &str) -> String {
    let mut text = message.trim();
    if let Some((_, reason)) = text.split_once("user-defined coercion failed with: ") {
        // What follows is the function's own sentence, said again in DataFusion's types.
        text = reason.split(" No function matches the given name").next().unwrap_or(reason);
    }
    let prefixes = [
        "type_coercion\ncaused by\n",
        "Error during planning: ",
        "Schema error: ",
        "This feature is not implemented: ",
        "Internal error: ",
        "Execution error: ",
        "Arrow error: ",
        "SQL error: ",
        "External error: ",
    ];
    while let Some(rest) = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix)) {
        text = rest.trim_start();
    }
    let text = text.split(".\nThis issue was likely caused by a bug").next().unwrap_or(text);
    text.lines().map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>().join("; ")
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        // An acronym or a quoted name stays as it is.
        (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => first.to_lowercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}
