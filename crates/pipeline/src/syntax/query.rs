//! Queries: `STREAM` and `WATERMARK` are cut out of the tokens into a side table, sqlparser reads the rest.

use std::time::Duration;

use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan};

use super::cursor::{Cursor, is_word};
use super::duration;
use super::lexer::SparkSql;
use super::statement::{Name, StreamMark, WatermarkClause, Written, WrittenQuery};
use crate::diagnostic::{Place, Problem};

/// How deep expressions and sub-queries may be nested.
pub(super) const MAX_DEPTH: usize = 40;
/// How many operators a query may have: each is a level of the tree where they follow one another.
const MAX_OPERATORS: usize = 500;

/// Reads the query that the rest of a statement is.
pub(crate) fn parse(cursor: &mut Cursor) -> Result<WrittenQuery, Problem> {
    let tokens = cursor.rest();
    let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else {
        return Err(cursor.expected("a query"));
    };
    let file = cursor.file();
    let place = Place::new(file, first.span.union(&last.span));
    refuse_too_many_operators(file, tokens)?;
    let (kept, streams) = cut_streams(file, tokens)?;
    let last_span = last.span;
    let mut parser = Parser::new(&SparkSql).with_recursion_limit(MAX_DEPTH).with_tokens_with_locations(kept);
    let query = parser.parse_query().map_err(|error| syntax_error(file, tokens, last_span, &error))?;
    let next = parser.peek_token();
    if next.token != Token::EOF {
        let problem = Problem::new("millstream::syntax", Place::new(file, next.span), format!("`{}` is not expected here", next.token));
        return Err(match &next.token {
            Token::Word(w) if w.value.eq_ignore_ascii_case("create") => problem.help("write `;` before the next statement"),
            _ => problem.help("the query before it is complete; take it out, or write what connects it"),
        });
    }
    Ok(WrittenQuery { query, tokens: tokens.to_vec(), streams, place })
}

pub(super) fn refuse_too_many_operators(file: usize, tokens: &[TokenWithSpan]) -> Result<(), Problem> {
    let is_operator = |token: &Token| match token {
        Token::Word(w) => ["and", "or", "not", "div", "is", "union", "join"].iter().any(|o| w.value.eq_ignore_ascii_case(o)),
        Token::Number(..) | Token::SingleQuotedString(_) | Token::Comma | Token::Period | Token::LParen | Token::RParen => false,
        _ => true,
    };
    match tokens.iter().filter(|t| is_operator(&t.token)).nth(MAX_OPERATORS) {
        None => Ok(()),
        Some(token) => Err(Problem::new(
            "millstream::too_complex",
            Place::new(file, token.span),
            format!("the query has more than {MAX_OPERATORS} operators"),
        )
        .help("split it with CREATE TEMPORARY VIEW, or use IN for a list of values")),
    }
}

/// The clause of a SELECT in which a token stands, for `STREAM` is a word of the FROM clause alone.
#[derive(Clone, Copy, PartialEq)]
enum Clause {
    From,
    Other,
}

/// The tokens without `STREAM` and `WATERMARK ...`, and what they said.
fn cut_streams(file: usize, tokens: &[TokenWithSpan]) -> Result<(Vec<TokenWithSpan>, Vec<StreamMark>), Problem> {
    let mut kept = Vec::with_capacity(tokens.len());
    let mut streams: Vec<StreamMark> = Vec::new();
    let mut clauses = vec![Clause::Other];
    let mut at = 0;
    let mut after_stream = false;
    while let Some(token) = tokens.get(at) {
        let in_from = clauses.last() == Some(&Clause::From);
        let begins_relation = in_from && kept.last().is_some_and(|t: &TokenWithSpan| begins_relation(&t.token));
        if begins_relation && is_word(&token.token, "STREAM") {
            let (name, next) = stream_name(file, tokens, at)?;
            let Some(first) = name.first() else { return Err(expected_name(file, token)) };
            streams.push(StreamMark { location: first.span.start, watermark: None });
            kept.extend(name);
            at = next;
            after_stream = true;
            continue;
        }
        if in_from && is_word(&token.token, "WATERMARK") && !begins_relation && is_clause(tokens, at) {
            let (watermark, next) = watermark(file, tokens, at)?;
            match streams.last_mut() {
                Some(stream) if after_stream => stream.watermark = Some(watermark),
                _ => return Err(misplaced_watermark(watermark.place)),
            }
            at = next;
            after_stream = false;
            continue;
        }
        after_stream = false;
        enter(&mut clauses, &token.token);
        kept.push(token.clone());
        at += 1;
    }
    Ok((kept, streams))
}

fn begins_relation(token: &Token) -> bool {
    matches!(token, Token::Comma | Token::LParen) || ["FROM", "JOIN", "LATERAL"].iter().any(|word| is_word(token, word))
}

fn enter(clauses: &mut Vec<Clause>, token: &Token) {
    match token {
        // A parenthesis in a FROM clause encloses relations, or a sub-query that says its own SELECT.
        Token::LParen => clauses.push(clauses.last().copied().unwrap_or(Clause::Other)),
        Token::RParen if clauses.len() > 1 => {
            clauses.pop();
        }
        Token::Word(word) if word.quote_style.is_none() => {
            let clause = match word.value.to_ascii_uppercase().as_str() {
                "FROM" | "JOIN" => Clause::From,
                "SELECT" | "WHERE" | "GROUP" | "HAVING" | "ORDER" | "LIMIT" | "UNION" | "EXCEPT" | "INTERSECT" | "ON" | "USING" => {
                    Clause::Other
                }
                _ => return,
            };
            if let Some(last) = clauses.last_mut() {
                *last = clause;
            }
        }
        _ => {}
    }
}

/// Whether `WATERMARK` at `at` is the clause, not an alias of that name: a column and `DELAY`, `OF` or `INTERVAL` come near.
fn is_clause(tokens: &[TokenWithSpan], at: usize) -> bool {
    let near = tokens.get(at + 1..).unwrap_or_default();
    near.iter().take(5).any(|t| ["DELAY", "OF", "INTERVAL"].iter().any(|word| is_word(&t.token, word)))
}

fn misplaced_watermark(place: Place) -> Problem {
    Problem::new("millstream::misplaced_watermark", place, "WATERMARK does not follow a stream")
        .help("write it behind the stream and before its alias: FROM STREAM events WATERMARK ts DELAY OF INTERVAL 1 HOUR e")
}

fn expected_name(file: usize, at: &TokenWithSpan) -> Problem {
    Problem::new("millstream::syntax", Place::new(file, at.span), "STREAM is not followed by a table").help("write FROM STREAM table")
}

/// The tokens of the name in `STREAM name` or `STREAM(name)`, and where it goes on.
fn stream_name(file: usize, tokens: &[TokenWithSpan], at: usize) -> Result<(Vec<TokenWithSpan>, usize), Problem> {
    let stream = tokens.get(at).map_or_else(|| TokenWithSpan::wrap(Token::EOF), Clone::clone);
    let mut next = at + 1;
    let enclosed = tokens.get(next).is_some_and(|t| t.token == Token::LParen);
    next += usize::from(enclosed);
    let mut name = Vec::new();
    loop {
        match tokens.get(next) {
            Some(token) if matches!(&token.token, Token::Word(w) if w.quote_style.is_some() || !is_reserved(&w.value)) => {
                name.push(token.clone());
                next += 1;
            }
            _ => return Err(expected_name(file, &stream)),
        }
        match tokens.get(next) {
            Some(period) if period.token == Token::Period => {
                name.push(period.clone());
                next += 1;
            }
            _ => break,
        }
    }
    if enclosed {
        match tokens.get(next) {
            Some(token) if token.token == Token::RParen => next += 1,
            other => {
                let place = Place::new(file, other.unwrap_or(&stream).span);
                return Err(Problem::new("millstream::syntax", place, "expected `)` after STREAM( and a table").help("write STREAM(table)"));
            }
        }
    }
    Ok((name, next))
}

fn is_reserved(word: &str) -> bool {
    ["WHERE", "GROUP", "ORDER", "HAVING", "JOIN", "ON", "SELECT", "FROM", "UNION", "LIMIT", "WATERMARK", "AS", "LEFT", "RIGHT", "INNER"]
        .iter()
        .any(|reserved| word.eq_ignore_ascii_case(reserved))
}

/// `WATERMARK column DELAY OF INTERVAL ...`, and where it goes on.
fn watermark(file: usize, tokens: &[TokenWithSpan], at: usize) -> Result<(WatermarkClause, usize), Problem> {
    let help = "write WATERMARK ts DELAY OF INTERVAL 1 HOUR";
    let rest = tokens.get(at..).unwrap_or_default();
    let mut cursor = Cursor::new(file, rest);
    let begin = cursor.place();
    cursor.advance();
    let column = cursor.identifier("the event-time column after WATERMARK").map_err(|p| p.help(help))?;
    if !cursor.at_words(&["DELAY"])
        && matches!(cursor.peek(), Some(Token::LParen | Token::Period) | Some(Token::Word(_)))
        && !cursor.at_words(&["OF"])
    {
        return Err(Problem::new(
            "millstream::not_supported",
            cursor.place(),
            "WATERMARK takes a column, not an expression, for the time being",
        )
        .help(help));
    }
    cursor.expect_words(&["DELAY", "OF"], "after the column of WATERMARK").map_err(|p| p.help(help))?;
    let delay = interval(&mut cursor).map_err(|p| if p.help.is_some() { p } else { p.help(help) })?;
    let place = begin.to(cursor.previous_place());
    Ok((WatermarkClause { column, delay, place }, at + rest.len() - cursor.rest().len()))
}

/// `INTERVAL 2 HOURS`, `INTERVAL '2' HOURS`, `INTERVAL '2 hours'`, `INTERVAL 1 HOUR 30 MINUTES`.
fn interval(cursor: &mut Cursor) -> Result<Duration, Problem> {
    cursor.expect_words(&["INTERVAL"], "after DELAY OF")?;
    let begin = cursor.place();
    let mut text = String::new();
    loop {
        let number: Name = match cursor.peek() {
            Some(Token::Number(number, _)) => Written::new(number.clone(), cursor.place()),
            Some(Token::SingleQuotedString(number)) => Written::new(number.clone(), cursor.place()),
            _ if text.is_empty() => return Err(cursor.expected("a number after INTERVAL")),
            _ => break,
        };
        cursor.advance();
        text.push(' ');
        text.push_str(&number.value);
        let has_unit = number.value.trim().contains(' ');
        match cursor.peek() {
            Some(Token::Word(unit)) if !has_unit && (duration::unit_us(&unit.value).is_some() || !is_reserved(&unit.value)) => {
                text.push(' ');
                text.push_str(&unit.value);
                cursor.advance();
            }
            _ if has_unit => {}
            _ => return Err(cursor.expected("a unit of time (HOURS, MINUTES, ...) after the number")),
        }
    }
    let place = begin.to(cursor.previous_place());
    let parsed = if text.split_whitespace().next() == Some("0") && text.split_whitespace().count() == 2 {
        Ok(Duration::ZERO)
    } else {
        duration::parse(&text)
    };
    parsed.map_err(|why| {
        Problem::new("millstream::bad_duration", place, format!("the delay of the watermark can't be read: {why}"))
            .help("write for example INTERVAL 2 HOURS")
    })
}

/// sqlparser's message without its location, at its place.
pub(super) fn syntax_error(file: usize, tokens: &[TokenWithSpan], last: Span, error: &ParserError) -> Problem {
    let text = match error {
        ParserError::ParserError(text) | ParserError::TokenizerError(text) => text.as_str(),
        ParserError::RecursionLimitExceeded => {
            return Problem::new("millstream::too_complex", Place::new(file, last), "the query is nested too deeply")
                .help("split it with CREATE TEMPORARY VIEW");
        }
    };
    let (message, location) = match text.rfind(" at Line: ") {
        Some(at) => (&text[..at], location(&text[at..])),
        None => (text, None),
    };
    let message = message.strip_prefix("sql parser error: ").unwrap_or(message);
    let (message, found) = match message.split_once(", found: ") {
        Some((expected, "EOF")) => (format!("{}, but the statement ends", expected_words(expected)), None),
        Some((expected, found)) => (format!("{}, but found `{found}`", expected_words(expected)), Some(found)),
        None => (lower_first(message), None),
    };
    let span = location.map_or(last, |at| found_span(tokens, at, found));
    Problem::new("millstream::syntax", Place::new(file, span), message)
}

fn expected_words(expected: &str) -> String {
    lower_first(&expected.replacen("Expected: ", "expected ", 1))
}

/// The token that was found: sqlparser sometimes says where the one behind it stands.
fn found_span(tokens: &[TokenWithSpan], at: Location, found: Option<&str>) -> Span {
    let before = tokens.iter().rev().skip_while(|t| t.span.start > at);
    let named = before.take(3).find(|t| found.is_none_or(|f| t.token.to_string() == f));
    named.map_or_else(|| Span::new(at, Location::new(at.line, at.column + 1)), |t| t.span)
}

fn location(text: &str) -> Option<Location> {
    let rest = text.strip_prefix(" at Line: ")?;
    let (line, column) = rest.split_once(", Column: ")?;
    let column: String = column.chars().take_while(char::is_ascii_digit).collect();
    Some(Location::new(line.parse().ok()?, column.parse().ok()?))
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}
