//! Tokens of Spark SQL with their places, and the dialect under which sqlparser reads them.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr};
use datafusion::sql::sqlparser::dialect::{Dialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer};

use crate::diagnostic::{Place, Problem};

/// Spark's dialect: backticks quote identifiers, `'..'` and `".."` are strings, `DIV` is an operator.
#[derive(Debug)]
pub(crate) struct SparkSql;

impl Dialect for SparkSql {
    // Double quotes too: the lexer turns what they enclose into strings afterwards.
    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        matches!(ch, '`' | '"')
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        ch.is_alphabetic() || ch == '_'
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        ch.is_alphanumeric() || ch == '_'
    }

    fn supports_string_literal_backslash_escape(&self) -> bool {
        true
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn supports_group_by_expr(&self) -> bool {
        true
    }

    fn supports_select_wildcard_except(&self) -> bool {
        true
    }

    fn supports_struct_literal(&self) -> bool {
        true
    }

    fn supports_nested_comments(&self) -> bool {
        true
    }

    fn supports_long_type_as_bigint(&self) -> bool {
        true
    }

    fn supports_values_as_table_factor(&self) -> bool {
        true
    }

    fn require_interval_qualifier(&self) -> bool {
        true
    }

    fn supports_bang_not_operator(&self) -> bool {
        true
    }

    fn parse_infix(&self, parser: &mut Parser, left: &Expr, _precedence: u8) -> Option<Result<Expr, ParserError>> {
        if !parser.parse_keyword(Keyword::DIV) {
            return None;
        }
        let right = parser.parse_subexpr(self.prec_value(Precedence::MulDivModOp));
        Some(right.map(|right| Expr::BinaryOp {
            left: Box::new(left.clone()),
            op: BinaryOperator::MyIntegerDivide,
            right: Box::new(right),
        }))
    }
}

/// The tokens of `text` without white space and comments.
pub(crate) fn tokenize(file: usize, text: &str) -> Result<Vec<TokenWithSpan>, Problem> {
    let tokens = Tokenizer::new(&SparkSql, text).tokenize_with_location().map_err(|error| {
        let end = Location::new(error.location.line, error.location.column + 1);
        let place = Place::new(file, Span::new(error.location, end));
        let message = error.message.to_lowercase();
        if message.contains("unterminated") {
            Problem::new("millstream::unterminated", place, message).help("close the quote or the comment that begins here")
        } else {
            Problem::new("millstream::syntax", place, message)
        }
    })?;
    let tokens = typed_numbers(tokens);
    let mut kept: Vec<_> = tokens.into_iter().filter(|t| !matches!(t.token, Token::Whitespace(_) | Token::EOF)).collect();
    for token in &mut kept {
        if let Token::Word(word) = &token.token
            && word.quote_style == Some('"')
        {
            token.token = Token::SingleQuotedString(unescaped(&word.value));
        }
    }
    Ok(kept)
}

/// Numbers with a letter for their type, `7S` or `1.5D`, as casts: `CAST('7' AS SMALLINT)`, all of it where the number stands.
fn typed_numbers(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut typed: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    for token in tokens {
        let data_type = match &token.token {
            Token::Word(word) if word.quote_style.is_none() => match word.value.to_uppercase().as_str() {
                "Y" => Some("TINYINT"),
                "S" => Some("SMALLINT"),
                "F" => Some("FLOAT"),
                "D" => Some("DOUBLE"),
                "BD" => Some(""),
                _ => None,
            },
            _ => None,
        };
        let number = typed.last().and_then(|last| match &last.token {
            Token::Number(number, false) if last.span.end == token.span.start => Some((number.clone(), last.span)),
            _ => None,
        });
        let (Some(data_type), Some((number, span))) = (data_type, number) else {
            typed.push(token);
            continue;
        };
        // A number with a point is a decimal already.
        if data_type.is_empty() {
            continue;
        }
        typed.pop();
        let words = [
            Token::make_keyword("CAST"),
            Token::LParen,
            Token::SingleQuotedString(number),
            Token::make_keyword("AS"),
            Token::make_keyword(data_type),
            Token::RParen,
        ];
        typed.extend(words.map(|token| TokenWithSpan::new(token, span)));
    }
    typed
}

/// Splits tokens at semicolons; empty statements are left out.
pub(crate) fn split_statements(tokens: Vec<TokenWithSpan>) -> Vec<Vec<TokenWithSpan>> {
    tokens.split(|t| t.token == Token::SemiColon).filter(|statement| !statement.is_empty()).map(<[_]>::to_vec).collect()
}

/// A string with Spark's backslash escapes resolved, as sqlparser does between single quotes.
fn unescaped(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            result.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => result.push('\n'),
            Some('t') => result.push('\t'),
            Some('r') => result.push('\r'),
            Some('0') => result.push('\0'),
            Some(other) => result.push(other),
            None => result.push('\\'),
        }
    }
    result
}
