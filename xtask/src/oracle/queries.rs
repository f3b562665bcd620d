//! Queries, `queries/*.sql`: a pipeline each, whose table `result` is what is compared. Spark runs its SELECTs as batch queries over
//! the whole input, so `STREAM` and the `WATERMARK` clause, which only a streaming query has, are left out; nothing else is changed.
//!
//! Queries in `streams/*.sql` are run as streams, too: by Structured Streaming, in micro-batches of as many events as a comment behind an
//! `@` says (`@batches of 40`), with the watermark that the query has, in append mode.
//!
//! `tables.sql` has the tables that all queries may read. The rows of a table are the lines of `events/TABLE.jsonl`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The name, columns and file of a table.
pub(super) type Source = (String, String, PathBuf);

/// A query as Spark gets it.
pub(super) struct Query {
    pub(super) tables: Vec<Source>,
    /// Statements that make the views below the result.
    pub(super) views: Vec<String>,
    pub(super) result: String,
    /// For a query that is run as a stream.
    pub(super) stream: Option<Stream>,
}

/// How a query is run as a stream.
pub(super) struct Stream {
    /// How many events a micro-batch has.
    pub(super) batch: usize,
    pub(super) watermark: Watermark,
}

/// What a query's `WATERMARK` clause says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Watermark {
    pub(super) column: String,
    /// Such as `10 MINUTES`.
    pub(super) delay: String,
}

/// The tables of `tables.sql`.
pub(super) fn shared(folder: &Path) -> Result<Vec<Source>> {
    let path = folder.join("tables.sql");
    let text = std::fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))?;
    statements(&text).iter().map(|statement| source(statement)).collect()
}

impl Query {
    /// Reads a query; of the shared tables it keeps those that the text names.
    pub(super) fn read(path: &Path, shared: &[Source]) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
        let statements = statements(&text);
        let words: Vec<_> = statements.iter().flat_map(|s| s.split(|c: char| !c.is_alphanumeric() && c != '_')).collect();
        let tables = shared.iter().filter(|(name, _, _)| words.contains(&name.as_str())).cloned().collect();
        let views: Result<Vec<String>> = statements.iter().map(|statement| view(statement)).collect();
        let batch = text.lines().find_map(|line| line.strip_prefix("-- @batches of "));
        let stream = match batch {
            Some(batch) => Some(Stream {
                batch: batch.parse().with_context(|| format!("{}: no size of batches: {batch}", path.display()))?,
                watermark: watermark(&statements.join(" ")).with_context(|| format!("{} has no watermark", path.display()))?,
            }),
            None => None,
        };
        Ok(Self { tables, views: views?, result: "SELECT * FROM result".to_owned(), stream })
    }
}

/// The statements of a text, without comments, each on one line.
fn statements(text: &str) -> Vec<String> {
    let without_comments: Vec<_> = text.lines().map(|line| line.split("--").next().unwrap_or_default()).collect();
    let joined = without_comments.join(" ");
    joined.split(';').map(|s| s.split_whitespace().collect::<Vec<_>>().join(" ")).filter(|s| !s.is_empty()).collect()
}

/// `CREATE TABLE name (columns) ...` as the schema and file that Spark reads.
fn source(statement: &str) -> Result<Source> {
    let rest = statement.strip_prefix("CREATE TABLE ").with_context(|| format!("not a table: {statement}"))?;
    let (name, rest) = rest.split_once(" (").with_context(|| format!("no columns: {statement}"))?;
    let (columns, _) = rest.split_once(") USING").with_context(|| format!("no format: {statement}"))?;
    let file = PathBuf::from("events").join(name).with_extension("jsonl");
    Ok((name.to_owned(), columns.replace(" NOT NULL", ""), file))
}

/// A statement that makes a table by a query, as one that makes a view in Spark.
fn view(statement: &str) -> Result<String> {
    if let Some(function) = statement.strip_prefix("CREATE FUNCTION ") {
        return Ok(format!("CREATE OR REPLACE TEMPORARY FUNCTION {function}"));
    }
    let made = ["CREATE STREAMING TABLE ", "CREATE MATERIALIZED VIEW ", "CREATE TEMPORARY VIEW "];
    let Some(rest) = made.iter().find_map(|head| statement.strip_prefix(head)) else { bail!("Spark has no batch form of: {statement}") };
    let name = rest.split(' ').next().unwrap_or_default();
    let query = ["AS SELECT ", "AS WITH "].iter().filter_map(|word| rest.find(word)).min();
    let query = query.and_then(|at| rest.get(at..)).with_context(|| format!("no query: {statement}"))?;
    Ok(format!("CREATE OR REPLACE TEMPORARY VIEW {name} {}", batch(query)))
}

/// The first `WATERMARK column DELAY OF INTERVAL number unit`.
fn watermark(text: &str) -> Option<Watermark> {
    let mut words = text.split_once(" WATERMARK ")?.1.split(' ');
    let column = words.next()?.to_owned();
    let (number, unit) = (words.nth(3)?, words.next()?.trim_end_matches([')', ',', ';']));
    Some(Watermark { column, delay: format!("{number} {unit}") })
}

/// A query without what only streams have.
fn batch(query: &str) -> String {
    let mut words: Vec<&str> = Vec::new();
    let mut rest = query.split(' ');
    while let Some(word) = rest.next() {
        match word {
            "STREAM" if words.last().is_some_and(|before| ["FROM", "JOIN"].contains(before)) => {}
            // WATERMARK column DELAY OF INTERVAL number unit; a parenthesis may close behind it.
            "WATERMARK" => {
                let unit = rest.by_ref().take(6).last().unwrap_or_default();
                if let Some(at) = unit.find([')', ',']) {
                    words.push(unit.get(at..).unwrap_or_default());
                }
            }
            other => words.push(other),
        }
    }
    words.join(" ")
}

#[cfg(test)]
mod tests;
