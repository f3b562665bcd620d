//! `cargo xtask tidy`: the house rules that a program can check, each a pure function from what is in the checkout to findings.
//!
//! It knows text, paths and `cargo metadata`, not Rust's grammar: a rule that needs the compiler belongs to clippy.

mod documents;
mod exceptions;
mod layering;
mod manifests;
mod sources;
mod words;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::workspace;

/// A rule that a place breaks.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule's short name, as the list of exceptions uses it.
    rule: &'static str,
    /// The file, relative to the root, or the crate.
    place: String,
    /// The line, from 1, where there is one.
    line: Option<usize>,
    /// What is wrong, and what to do.
    what: String,
}

impl Finding {
    fn new(rule: &'static str, place: impl Into<String>, what: impl Into<String>) -> Self {
        Self { rule, place: place.into(), line: None, what: what.into() }
    }

    fn at(mut self, line: usize) -> Self {
        self.line = Some(line);
        self
    }
}

/// A text file of the checkout.
pub struct Document {
    path: PathBuf,
    text: String,
}

impl Document {
    fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn extension(&self) -> &str {
        self.path.extension().and_then(|e| e.to_str()).unwrap_or_default()
    }

    fn is_rust(&self) -> bool {
        self.extension() == "rs"
    }

    /// Whether it holds only tests: a `tests.rs`, or anything under a folder `tests` or `benches`.
    fn is_test(&self) -> bool {
        self.path.file_name().is_some_and(|name| name == "tests.rs") || self.path.iter().any(|part| part == "tests" || part == "benches")
    }
}

/// Runs all rules; fails with every finding that the list of exceptions doesn't cover, and with every exception that nothing needs.
pub fn run() -> Result<()> {
    let root = workspace::root();
    let files = workspace::files()?;
    let documents: Vec<Document> = files.iter().filter_map(|path| read(&root, path).transpose()).collect::<Result<_>>()?;
    let metadata = workspace::metadata()?;
    let mut findings = layering::check(&metadata);
    findings.extend(manifests::check(&metadata, &documents));
    findings.extend(sources::check(&documents));
    findings.extend(sources::check_names(&files));
    findings.extend(words::check(&documents));
    findings.extend(documents::check(&documents, &files));
    let findings = exceptions::apply(findings);
    if findings.is_empty() {
        eprintln!("tidy: {} files in order", files.len());
        return Ok(());
    }
    for Finding { rule, place, line, what } in &findings {
        let line = line.map(|line| format!(":{line}")).unwrap_or_default();
        eprintln!("{place}{line}: {what} [{rule}]");
    }
    bail!("{} findings", findings.len())
}

/// The file as text; `None` for one that is not text (a Parquet file, a golden segment).
fn read(root: &Path, path: &Path) -> Result<Option<Document>> {
    let bytes = std::fs::read(root.join(path)).with_context(|| format!("can't read {}", path.display()))?;
    Ok(String::from_utf8(bytes).ok().map(|text| Document { path: path.to_path_buf(), text }))
}

#[cfg(test)]
mod tests;
