//! What documents say about the checkout: links and paths that exist, a code map that names every crate, a changelog that is open.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::{Document, Finding};

const CODE_MAP: &str = "docs/ARCHITECTURE.md";
const CHANGELOG: &str = "CHANGELOG.md";

/// Checks every Markdown file, given the paths of all files.
pub fn check(documents: &[Document], files: &[PathBuf]) -> Vec<Finding> {
    let present = with_folders(files);
    let mut findings = Vec::new();
    for document in documents.iter().filter(|document| document.extension() == "md") {
        findings.extend(dead_links(document, &present));
        findings.extend(dead_paths(document, &present));
    }
    findings.extend(code_map(documents, &present));
    findings.extend(changelog(documents));
    findings
}

fn with_folders(files: &[PathBuf]) -> BTreeSet<PathBuf> {
    files.iter().flat_map(|file| file.ancestors()).map(Path::to_path_buf).collect()
}

/// Relative links, `[text](path)`, have to lead somewhere.
fn dead_links(document: &Document, present: &BTreeSet<PathBuf>) -> Vec<Finding> {
    let folder = document.path.parent().unwrap_or(Path::new(""));
    let mut findings = Vec::new();
    for (index, line) in document.text.lines().enumerate() {
        for rest in line.split("](").skip(1) {
            let target = rest.split([')', '#']).next().unwrap_or_default();
            if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            if !present.contains(&normal(&folder.join(target))) {
                findings.push(Finding::new("dead-link", document.place(), format!("links to {target}, which is not there")).at(index + 1));
            }
        }
    }
    findings
}

/// Paths in backticks that begin with a folder of the root have to exist.
fn dead_paths(document: &Document, present: &BTreeSet<PathBuf>) -> Vec<Finding> {
    const ROOTS: [&str; 5] = ["crates/", "docs/", "examples/", "xtask/", ".ci/"];
    let mut findings = Vec::new();
    for (index, line) in document.text.lines().enumerate() {
        for quoted in line.split('`').skip(1).step_by(2) {
            let is_path = ROOTS.iter().any(|root| quoted.starts_with(root)) && !quoted.contains([' ', '*', '<', '{', '$', '…']);
            let is_built = quoted.starts_with("docs/reference");
            if is_path && !is_built && !present.contains(&normal(Path::new(quoted))) {
                findings.push(Finding::new("dead-path", document.place(), format!("names {quoted}, which is not there")).at(index + 1));
            }
        }
    }
    findings
}

/// Every crate, and every module folder or file right below a crate's `src`, stands in the code map.
fn code_map(documents: &[Document], present: &BTreeSet<PathBuf>) -> Vec<Finding> {
    let Some(map) = documents.iter().find(|document| document.path == Path::new(CODE_MAP)) else {
        return vec![Finding::new("code-map", CODE_MAP, "is missing")];
    };
    let crates = present.iter().filter(|path| path.parent() == Some(Path::new("crates")));
    let missing = crates.filter(|path| !map.text.contains(&format!("`{}`", path.display())));
    missing.map(|path| Finding::new("code-map", CODE_MAP, format!("does not name `{}`", path.display()))).collect()
}

fn changelog(documents: &[Document]) -> Option<Finding> {
    let changelog = documents.iter().find(|document| document.path == Path::new(CHANGELOG));
    let open = changelog.is_some_and(|changelog| changelog.text.contains("## [Unreleased]"));
    (!open).then(|| Finding::new("changelog", CHANGELOG, "needs a section `## [Unreleased]`"))
}

/// The path without `.` and `..`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                normal.pop();
            }
            Component::CurDir => {}
            other => normal.push(other),
        }
    }
    normal
}

#[cfg(test)]
mod tests;
