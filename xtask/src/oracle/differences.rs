//! The end of the reference page of SQL: what the files of cases state about differences from Spark, and the queries that are not
//! possible yet.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::name;

/// A statement below a case: `=> differs for STRING: REASON`.
struct Statement {
    expression: String,
    /// The types of arguments that it is about, where it is not about all.
    types: Option<String>,
    what: String,
    reason: String,
}

/// Both sections, from the files of cases, of queries that run as streams, and of those that aren't possible yet.
pub(super) fn page(cases: &[PathBuf], streams: &[PathBuf], not_yet: &[PathBuf]) -> Result<String> {
    let mut text = String::from(
        "\n## What differs from Spark\n\n\
         A differential suite compares Millstream with Apache Spark 4.1, value by value (`crates/engine/tests/oracle`). What is not \
         listed here gave the same type and the same value, or failed where Spark's ANSI mode fails. *refused* means that `check` says so \
         before anything runs. Each difference stands row for row in the file of its section.\n",
    );
    for path in cases {
        let found = statements(&fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?);
        if found.is_empty() {
            continue;
        }
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let _ = write!(text, "\n### {stem}\n\n[Row for row](../../crates/engine/tests/oracle/expressions/{stem}.differs).\n\n");
        text.push_str("| expression | here | why |\n|---|---|---|\n");
        for Statement { expression, types, what, reason } in found {
            let of = types.map(|types| format!(" of {types}")).unwrap_or_default();
            let _ = writeln!(text, "| `{}`{of} | {what} | {} |", expression.replace('|', "\\|"), reason.replace('|', "\\|"));
        }
    }
    text.push_str(
        "\n### streams\n\nQueries beside Structured Streaming, in micro-batches and with late rows: the same windows are closed with the same \
         rows, but for what is listed here.\n\n| query | why | row for row |\n|---|---|---|\n",
    );
    for path in streams {
        let query = fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
        if let Some(reason) = query.lines().find_map(|line| line.strip_prefix("-- @differs: ")) {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let folder = "../../crates/engine/tests/oracle/streams";
            let _ = writeln!(text, "| [`{stem}`]({folder}/{stem}.sql) | {reason} | [`{stem}.differs`]({folder}/{stem}.differs) |");
        }
    }
    text.push_str("\n## Not possible yet\n\nSpark runs these; here `check` refuses them.\n\n| query | |\n|---|---|\n");
    for path in not_yet {
        let query = fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
        let about = query.lines().next().and_then(|line| line.strip_prefix("-- ")).unwrap_or_default();
        let file = name(path);
        let _ = writeln!(text, "| {about} | [`{file}`](../../crates/engine/tests/oracle/queries/not_yet/{file}) |");
    }
    Ok(text)
}

fn statements(text: &str) -> Vec<Statement> {
    let mut expression = "";
    let mut found = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")) {
        match line.strip_prefix("=> ").map(|statement| statement.split_once(": ").unwrap_or((statement, ""))) {
            Some((head, reason)) => {
                let (what, types) = head.split_once(" for ").map_or((head, None), |(what, types)| (what, Some(types.to_owned())));
                found.push(Statement { expression: expression.to_owned(), types, what: what.to_owned(), reason: reason.to_owned() });
            }
            None => expression = line.rsplit_once(" :: ").map_or(line, |(expression, _)| expression).trim(),
        }
    }
    found
}
