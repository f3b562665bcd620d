//! Words that must not stand in the checkout: marks of unfinished work, and what belongs to one machine only.

use super::{Document, Finding};

/// Marks of unfinished work, wherever they stand.
const MARKS: [&str; 4] = ["TODO", "FIXME", "XXX", "HACK"];

/// What unfinished work is called in comments and documentation.
const EXCUSES: [&str; 5] = ["for now", "placeholder", "simplified", "not implemented yet", "quick and dirty"];

/// Folders of one machine, and the hosts of package registries: whoever builds has registries of their own.
const MACHINE: [&str; 11] = [
    "/root/",
    "/work/",
    "crates.io",
    "pypi.org",
    "pythonhosted.org",
    "repo.maven.apache.org",
    "repo1.maven.org",
    "proxy.golang.org",
    "registry.npmjs.org",
    "artifactory",
    "index.docker.io",
];

/// This file, which has to name the words, and its tests; and the lock file, whose sources are cargo's own.
const APART: [&str; 3] = ["xtask/src/tidy/words.rs", "xtask/src/tidy/words/tests.rs", "Cargo.lock"];

/// Checks every text file.
pub fn check(documents: &[Document]) -> Vec<Finding> {
    documents.iter().filter(|document| !APART.iter().any(|apart| document.path == std::path::Path::new(apart))).flat_map(words).collect()
}

fn words(document: &Document) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in document.text.lines().enumerate() {
        let mut found = |rule, word: &str| {
            findings.push(Finding::new(rule, document.place(), format!("says {word:?}")).at(index + 1));
        };
        for mark in MARKS.iter().filter(|mark| has_word(line, mark)) {
            found("unfinished", mark);
        }
        let prose = prose(document, line).to_lowercase();
        for excuse in EXCUSES.iter().filter(|excuse| has_word(&prose, excuse)) {
            found("unfinished", excuse);
        }
        for word in MACHINE.iter().filter(|word| line.contains(*word)) {
            found("machine", word);
        }
    }
    findings
}

/// The part of a line that is written for people.
fn prose<'a>(document: &Document, line: &'a str) -> &'a str {
    let marker = match document.extension() {
        "md" => return line,
        "rs" => "//",
        "sql" => "--",
        _ => "#",
    };
    line.find(marker).map_or("", |start| line.get(start..).unwrap_or_default())
}

/// Whether `text` holds `word` with no letter or digit beside it.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(start, found)| {
        let before = text.get(..start).and_then(|t| t.chars().next_back());
        let after = text.get(start + found.len()..).and_then(|t| t.chars().next());
        let apart = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_');
        apart(before) && apart(after)
    })
}

#[cfg(test)]
mod tests;
