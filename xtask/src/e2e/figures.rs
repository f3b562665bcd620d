//! The table of `examples/flights/FIGURES.md`: what another program found in the data, and the query that asks Millstream for it.

use anyhow::{Context, Result, bail};

use super::clients;
use crate::workspace;

/// A figure.
#[derive(Debug, PartialEq, Eq)]
pub struct Figure {
    /// What it is called.
    pub name: String,
    /// What psql has to answer.
    pub value: String,
    /// The query.
    pub query: String,
}

/// All figures.
pub fn read() -> Result<Vec<Figure>> {
    let file = workspace::root().join("examples/flights/FIGURES.md");
    let text = std::fs::read_to_string(&file).with_context(|| format!("can't read {}", file.display()))?;
    let figures = parse(&text);
    if figures.is_empty() {
        bail!("{} has no table of figures", file.display());
    }
    Ok(figures)
}

fn parse(text: &str) -> Vec<Figure> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    rows.filter_map(|row| {
        let mut cells = row.splitn(3, " | ");
        let (name, value, query) = (cells.next()?, cells.next()?, cells.next()?);
        let query = query.strip_prefix('`')?.strip_suffix('`')?;
        Some(Figure { name: name.to_owned(), value: value.to_owned(), query: query.to_owned() })
    })
    .collect()
}

/// Asks for every figure over psql; an error lists all that differ.
pub fn compare(sql: &str) -> Result<()> {
    let mut differing = Vec::new();
    for Figure { name, value, query } in read()? {
        let found = clients::psql(sql, &query).unwrap_or_else(|error| format!("an error: {error:#}"));
        eprintln!("{:8} {name}: {found}", if found == value { "ok" } else { "DIFFERS" });
        if found != value {
            differing.push(format!("{name}: expected {value}, found {found}"));
        }
    }
    if !differing.is_empty() {
        bail!("{} figures differ: {}", differing.len(), differing.join("; "));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
