//! How golden files spell Spark's answers. `crates/engine/tests/it/oracle/spelling.rs` spells Millstream's the same way.
//!
//! Texts stand in double quotes with escapes, binary as `X'00FF'`, floating point as the shortest text that gives it again. A section
//! of an expression is `== EXPRESSION :: TYPES => TYPE`, then a line for each row: the arguments, `=>`, and the value, or `!` and the
//! condition of Spark's error. An expression that Spark refuses to analyse has `=> ! CONDITION` in its head and no rows. Everything
//! is separated by tabs inside of a row.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::cases::Case;

/// The section of a case with Spark's answer.
pub(super) fn section(case: &Case, answer: &Value) -> Result<String> {
    if let Some(condition) = answer["refused"].as_str() {
        return Ok(format!("== {} => ! {condition}\n", case.head()));
    }
    let data_type = answer["type"].as_str().context("an answer without a type")?;
    let mut text = format!("== {} => {data_type}\n", case.head());
    let results = answer["rows"].as_array().context("an answer without rows")?;
    if case.rows.len() != results.len() {
        bail!("Spark gives {} rows for {}", results.len(), case.rows.len());
    }
    for (row, result) in case.rows.iter().zip(results) {
        let result = match result["error"].as_str() {
            Some(condition) => format!("! {condition}"),
            None => value(&result["value"], data_type)?,
        };
        let arguments = if row.is_empty() { String::new() } else { row.join("\t") + "\t" };
        text.push_str(&format!("{arguments}=> {result}\n"));
    }
    Ok(text)
}

/// Whether a golden file has exactly this section.
pub(super) fn has_section(file: &str, section: &str) -> bool {
    let head = section.split(" => ").next().unwrap_or_default();
    file.split("\n\n").any(|found| found.split(" => ").next() == Some(head) && found.trim_end() == section.trim_end())
}

/// The rows of a query: a line of columns with their types, then the rows in the order of their text.
pub(super) fn rows(answer: &Value) -> Result<String> {
    let columns = answer["columns"].as_array().context("an answer without columns")?;
    let columns: Option<Vec<(&str, &str)>> = columns.iter().map(|c| Some((c[0].as_str()?, c[1].as_str()?))).collect();
    let columns = columns.context("columns without names")?;
    let head: Vec<_> = columns.iter().map(|(name, data_type)| format!("{name} {data_type}")).collect();
    let mut lines = Vec::new();
    for row in answer["rows"].as_array().context("an answer without rows")? {
        let cells = row.as_array().context("a row that is none")?.iter().zip(&columns);
        let cells: Result<Vec<String>> = cells.map(|(cell, (_, data_type))| value(cell, data_type)).collect();
        lines.push(cells?.join("\t"));
    }
    lines.sort();
    Ok(format!("{}\n{}\n", head.join("\t"), lines.join("\n")))
}

/// One value of a type.
fn value(value: &Value, data_type: &str) -> Result<String> {
    let Some(text) = value.as_str() else { return Ok("NULL".to_owned()) };
    Ok(match data_type {
        "STRING" => quoted(text),
        "BINARY" => format!("X'{text}'"),
        "FLOAT" => floating(text.parse::<f32>()?),
        "DOUBLE" => floating(text.parse::<f64>()?),
        _ => text.to_owned(),
    })
}

/// Rust's shortest text of a number, with Spark's names of those that are none.
fn floating(value: impl std::fmt::Debug) -> String {
    format!("{value:?}").replace("inf", "Infinity")
}

/// A text in quotes.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            '\t' => quoted.push_str("\\t"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            other if other.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(other))),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests;
