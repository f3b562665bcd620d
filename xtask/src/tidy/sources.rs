//! The form of source files: size, module docs, where tests live, reasons for silenced lints, names.

use std::path::{Path, PathBuf};

use super::{Document, Finding};

/// The longest a source file may be, without its tests.
const MAX_LINES: usize = 800;

/// Names that say nothing of what is inside.
const EMPTY_NAMES: [&str; 9] = ["common", "util", "utils", "helper", "helpers", "type", "types", "misc", "shared"];

/// Checks every Rust file.
pub fn check(documents: &[Document]) -> Vec<Finding> {
    let rust = documents.iter().filter(|document| document.is_rust());
    rust.flat_map(|document| {
        let mut findings = silenced_lints(document);
        if !document.is_test() {
            findings.extend(size(document));
            findings.extend(module_docs(document));
            findings.extend(inline_tests(document));
        }
        findings
    })
    .collect()
}

/// Checks the names of files and folders with source in them.
pub fn check_names(files: &[PathBuf]) -> Vec<Finding> {
    let rust = files.iter().filter(|file| file.extension().is_some_and(|e| e == "rs"));
    let empty = |path: &&PathBuf| path.iter().any(|part| EMPTY_NAMES.iter().any(|name| Path::new(part).file_stem() == Some(name.as_ref())));
    rust.filter(empty).map(|path| Finding::new("empty-name", path.display().to_string(), "name it after what it owns")).collect()
}

fn size(document: &Document) -> Option<Finding> {
    let lines = document.text.lines().count();
    (lines > MAX_LINES)
        .then(|| Finding::new("file-size", document.place(), format!("has {lines} lines, {MAX_LINES} are allowed: split it")))
}

/// The first line that is not an inner attribute has to be the module's documentation.
fn module_docs(document: &Document) -> Option<Finding> {
    let first = document.text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with("#!["));
    let has = first.is_some_and(|line| line.starts_with("//!"));
    (!has).then(|| Finding::new("module-docs", document.place(), "opens without //! (what it owns, what it must not know)"))
}

fn inline_tests(document: &Document) -> Vec<Finding> {
    let is_test = |line: &str| {
        let line = line.trim_start();
        line == "#[test]" || line.starts_with("#[tokio::test") || line.starts_with("mod tests {")
    };
    let lines = document.text.lines().enumerate().filter(|(_, line)| is_test(line));
    lines
        .take(1)
        .map(|(index, _)| {
            let stem = document.path.with_extension("").display().to_string();
            Finding::new("tests-apart", document.place(), format!("has tests inside: move them to {stem}/tests.rs")).at(index + 1)
        })
        .collect()
}

/// `allow` and `expect` need a reason.
fn silenced_lints(document: &Document) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (index, line) in document.text.lines().enumerate() {
        let trimmed = line.trim_start();
        let starts = ["#[allow(", "#![allow(", "#[expect(", "#![expect("].iter().any(|start| trimmed.starts_with(start));
        if starts {
            open = Some((index + 1, String::new()));
        }
        let Some((at, text)) = &mut open else { continue };
        text.push_str(trimmed);
        if text.contains(")]") {
            if !text.contains("reason =") {
                findings.push(Finding::new("lint-reason", document.place(), "silences a lint without `reason = \"...\"`").at(*at));
            }
            open = None;
        }
    }
    findings
}

#[cfg(test)]
mod tests;
