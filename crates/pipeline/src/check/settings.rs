//! `OPTIONS` and `TBLPROPERTIES`: every key is known and used once, and none says where a system is.

use std::time::Duration;

use crate::diagnostic::{Place, Problem};
use crate::suggest;
use crate::syntax::cursor::Cursor;
use crate::syntax::statement::{Head, Name, Setting, Written};
use crate::syntax::{duration, lexer};

/// The settings of one statement, of which the known ones are taken and the rest refused.
pub(super) struct Settings<'a> {
    table: &'a str,
    settings: Vec<&'a Setting>,
    known: Vec<&'static str>,
    problems: Vec<Problem>,
}

/// Words that say where a system is or how to log in to it, as parts of a key.
const CONNECTION_WORDS: &[&str] = &[
    "host",
    "port",
    "url",
    "uri",
    "user",
    "username",
    "password",
    "secret",
    "token",
    "credential",
    "credentials",
    "servers",
    "sasl",
    "ssl",
    "security",
    "jaas",
    "endpoint",
    "contact_points",
    "connection",
    "account",
    "keyspace",
    "namespace",
    "accesskey",
];

impl<'a> Settings<'a> {
    pub(super) fn new(head: &'a Head) -> Self {
        let mut settings: Vec<&Setting> = Vec::new();
        let mut problems = Vec::new();
        for setting in head.options.iter().chain(&head.properties) {
            if let Some(problem) = connection(setting) {
                problems.push(problem);
            } else if settings.iter().any(|s| s.key.value.eq_ignore_ascii_case(&setting.key.value)) {
                let message = format!("`{}` is set twice", setting.key.value);
                problems.push(Problem::new("millstream::duplicate_option", setting.key.place, message).help("keep one of them"));
            } else {
                settings.push(setting);
            }
        }
        Self { table: &head.name.value, settings, known: Vec::new(), problems }
    }

    /// The value of `key`, if it is set.
    pub(super) fn take(&mut self, key: &'static str) -> Option<&'a Name> {
        self.known.push(key);
        let at = self.settings.iter().position(|s| s.key.value.eq_ignore_ascii_case(key))?;
        Some(&self.settings.remove(at).value)
    }

    pub(super) fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// The length of time that `key` says.
    pub(super) fn duration(&mut self, key: &'static str, example: &str) -> Option<Duration> {
        let value = self.take(key)?;
        match duration::parse(&value.value) {
            Ok(duration) if duration.subsec_nanos() == 0 => Some(duration),
            Ok(_) => {
                self.bad(value, key, "it is not a whole number of seconds", example);
                None
            }
            Err(why) => {
                self.bad(value, key, &why, example);
                None
            }
        }
    }

    /// That the value of `key` can't be read.
    pub(super) fn bad(&mut self, value: &Name, key: &str, why: &str, example: &str) {
        let message = format!("'{}' is not a value of '{key}': {why}", value.value);
        self.problems.push(Problem::new("millstream::bad_option", value.place, message).help(format!("write '{key}' = '{example}'")));
    }

    /// The columns that `key` lists, in lower case unless quoted in backticks, with the place of the value.
    pub(super) fn columns(&mut self, key: &'static str) -> Option<Written<Vec<String>>> {
        let value = self.take(key)?;
        match column_list(&value.value) {
            Some(columns) => Some(Written::new(columns.into_iter().map(|(name, _)| name).collect(), value.place)),
            None => {
                self.bad(value, key, "it is not a list of columns", "column, other_column");
                None
            }
        }
    }

    /// Refuses what was not taken.
    pub(super) fn finish(mut self) -> Vec<Problem> {
        for setting in &self.settings {
            let key = &setting.key.value;
            let listed = format!("{} takes {}", self.table, suggest::list(self.known.iter().copied()));
            let problem = Problem::new("millstream::unknown_option", setting.key.place, format!("there is no option '{key}' here"))
                .help(suggest::did_you_mean(key, self.known.iter().copied(), &listed));
            self.problems.push(problem);
        }
        self.problems
    }
}

/// A list of columns, each optionally with one more word in upper case (`ts DESC`); `None` if it is none.
pub(super) fn column_list(text: &str) -> Option<Vec<(String, Option<String>)>> {
    let tokens = lexer::tokenize(0, text).ok()?;
    let mut cursor = Cursor::new(0, &tokens);
    let mut columns = Vec::new();
    loop {
        let name = cursor.identifier("a column").ok()?.value;
        let order = match cursor.peek() {
            Some(datafusion::sql::sqlparser::tokenizer::Token::Word(word)) => {
                cursor.advance();
                Some(word.value.to_uppercase())
            }
            _ => None,
        };
        columns.push((name, order));
        if !cursor.eat(&datafusion::sql::sqlparser::tokenizer::Token::Comma) {
            break;
        }
    }
    cursor.is_done().then_some(columns)
}

fn connection(setting: &Setting) -> Option<Problem> {
    let key = setting.key.value.to_lowercase();
    let words = key.split(['.', '-', '_']);
    let named = CONNECTION_WORDS.iter().any(|word| key == *word || words.clone().any(|w| w == *word));
    if named {
        return Some(in_the_sql(&format!("'{}' says where a system is or how to log in to it", setting.key.value), setting.key.place));
    }
    looks_like_connection(&setting.value.value)
        .then(|| in_the_sql(&format!("the value of '{}' says where a system is", setting.key.value), setting.value.place))
}

/// Whether a value is a URL, `host:port`, or a connection string.
pub(super) fn looks_like_connection(value: &str) -> bool {
    let host_and_port = value.split(',').any(|part| {
        part.trim().rsplit_once(':').is_some_and(|(host, port)| {
            port.len() > 1
                && port.bytes().all(|b| b.is_ascii_digit())
                && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
        })
    });
    let lower = value.to_lowercase();
    value.contains("://") || host_and_port || ["password=", "sharedaccesskey", "accountkey=", "endpoint="].iter().any(|w| lower.contains(w))
}

fn in_the_sql(message: &str, place: Place) -> Problem {
    Problem::new("millstream::connection_in_sql", place, format!("{message}; no host, port or secret stands in a pipeline"))
        .help("it belongs into millstream.toml: take it out here, and name the system there")
}

#[cfg(test)]
mod tests;
