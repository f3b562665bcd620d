//! A position in the tokens of one statement, for the hand-written statement heads.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::statement::{Name, Written};
use crate::diagnostic::{Place, Problem};

pub(crate) struct Cursor<'a> {
    file: usize,
    tokens: &'a [TokenWithSpan],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// At the start of `tokens`, which are not empty.
    pub(crate) fn new(file: usize, tokens: &'a [TokenWithSpan]) -> Self {
        Self { file, tokens, at: 0 }
    }

    pub(crate) fn file(&self) -> usize {
        self.file
    }

    pub(crate) fn peek(&self) -> Option<&'a Token> {
        self.peek_at(0)
    }

    pub(crate) fn peek_at(&self, ahead: usize) -> Option<&'a Token> {
        self.tokens.get(self.at + ahead).map(|t| &t.token)
    }

    pub(crate) fn is_done(&self) -> bool {
        self.at >= self.tokens.len()
    }

    pub(crate) fn advance(&mut self) {
        self.at += 1;
    }

    /// All tokens from here on.
    pub(crate) fn rest(&self) -> &'a [TokenWithSpan] {
        self.tokens.get(self.at..).unwrap_or_default()
    }

    /// The place of the next token; of the last one at the end.
    pub(crate) fn place(&self) -> Place {
        let token = self.tokens.get(self.at).or(self.tokens.last());
        Place::new(self.file, token.map_or_else(datafusion::sql::sqlparser::tokenizer::Span::empty, |t| t.span))
    }

    pub(crate) fn previous_place(&self) -> Place {
        let token = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        token.map_or_else(|| self.place(), |t| Place::new(self.file, t.span))
    }

    /// Whether the next words are these, unquoted.
    pub(crate) fn at_words(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(ahead, word)| self.peek_at(ahead).is_some_and(|t| is_word(t, word)))
    }

    /// Steps over these words if they come next.
    pub(crate) fn eat_words(&mut self, words: &[&str]) -> bool {
        let found = self.at_words(words);
        if found {
            self.at += words.len();
        }
        found
    }

    pub(crate) fn eat(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        if found {
            self.at += 1;
        }
        found
    }

    pub(crate) fn expect(&mut self, token: &Token, after: &str) -> Result<Place, Problem> {
        let place = self.place();
        if self.eat(token) { Ok(place) } else { Err(self.expected(&format!("`{token}` {after}"))) }
    }

    pub(crate) fn expect_words(&mut self, words: &[&str], after: &str) -> Result<(), Problem> {
        if self.eat_words(words) { Ok(()) } else { Err(self.expected(&format!("`{}` {after}", words.join(" ")))) }
    }

    /// An identifier: in lower case unless it is quoted.
    pub(crate) fn identifier(&mut self, what: &str) -> Result<Name, Problem> {
        let place = self.place();
        match self.peek() {
            Some(Token::Word(word)) => {
                self.at += 1;
                let value = if word.quote_style.is_some() { word.value.clone() } else { word.value.to_lowercase() };
                Ok(Written::new(value, place))
            }
            _ => Err(self.expected(what)),
        }
    }

    pub(crate) fn string(&mut self, what: &str) -> Result<Name, Problem> {
        let place = self.place();
        match self.peek() {
            Some(Token::SingleQuotedString(value)) => {
                self.at += 1;
                Ok(Written::new(value.clone(), place))
            }
            _ => Err(self.expected(what)),
        }
    }

    /// That `what` should stand here, and what does.
    pub(crate) fn expected(&self, what: &str) -> Problem {
        let found = self.peek().map_or_else(|| "the statement ends".to_owned(), |t| format!("found `{t}`"));
        Problem::new("millstream::syntax", self.place(), format!("expected {what}, but {found}"))
    }
}

pub(crate) fn is_word(token: &Token, word: &str) -> bool {
    matches!(token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word))
}
