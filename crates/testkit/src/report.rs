//! What a suite's run found, the line about it for the table of suites by systems that `cargo xtask test` ends with, and the rule for
//! systems that are absent.

use std::fmt::Write as _;
use std::io::Write as _;

use crate::check::{CaseResult, Failure};

/// The environment variable that names the file to which every suite run adds a line:
/// `suite<TAB>system<TAB>passed|failed<TAB>passed/all`. `cargo xtask test` sets it and prints the table.
pub const SUITE_LOG: &str = "MILLSTREAM_SUITE_LOG";

/// The environment variable that lists the systems which must be there: `kafka,cassandra,postgresql,mysql,redis`.
pub const REQUIRE: &str = "MILLSTREAM_REQUIRE";

/// What each case of a suite found on one system.
#[derive(Clone, Debug)]
#[must_use = "a report that nobody looks at passes silently: call assert_passed"]
pub struct SuiteReport {
    suite: &'static str,
    system: String,
    outcomes: Vec<(&'static str, CaseResult)>,
}

impl SuiteReport {
    pub(crate) fn new(suite: &'static str, system: &str) -> Self {
        Self { suite, system: system.to_owned(), outcomes: Vec::new() }
    }

    pub(crate) fn record(&mut self, case: &'static str, outcome: CaseResult) {
        self.outcomes.push((case, outcome));
    }

    /// The cases that failed, each with the expectation that was not met.
    #[must_use]
    pub fn failures(&self) -> Vec<(&'static str, &str)> {
        self.outcomes
            .iter()
            .filter_map(|(case, outcome)| match outcome {
                Err(Failure::Broken(what)) => Some((*case, what.as_str())),
                _ => None,
            })
            .collect()
    }

    /// Whether `case` failed.
    #[must_use]
    pub fn failed(&self, case: &str) -> bool {
        self.failures().iter().any(|(name, _)| *name == case)
    }

    /// The failures and skips as text, a line each; empty when every case passed.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut text = String::new();
        for (case, outcome) in &self.outcomes {
            if let Err(failure) = outcome {
                let _ = writeln!(text, "{} on {}: {case}: {failure}", self.suite, self.system);
            }
        }
        text
    }

    /// Panics with all failures if there are any; skips go to stderr. Either way adds the run to the [`SUITE_LOG`].
    #[expect(clippy::panic, reason = "this is a test's assertion")]
    pub fn assert_passed(&self) {
        self.log();
        let failures = self.failures();
        if !failures.is_empty() {
            panic!("{} of {} cases failed\n{}", failures.len(), self.outcomes.len(), self.summary());
        }
        eprint!("{}", self.summary());
    }

    fn log(&self) {
        let Some(path) = std::env::var_os(SUITE_LOG) else { return };
        let passed = self.outcomes.iter().filter(|(_, o)| o.is_ok()).count();
        let word = if self.failures().is_empty() { "passed" } else { "failed" };
        let line = format!("{}\t{}\t{word}\t{passed}/{}\n", self.suite, self.system, self.outcomes.len());
        // One write of a short line to a file in append mode: test processes that run side by side don't mix their lines.
        let written = std::fs::OpenOptions::new().create(true).append(true).open(&path).and_then(|mut f| f.write_all(line.as_bytes()));
        if let Err(error) = written {
            eprintln!("could not add to {}: {error}", path.display());
        }
    }
}

/// Whether a test that needs `system` runs: `true` if it is `present`. If it is absent, the test is skipped with a line on stderr,
/// unless [`REQUIRE`] lists it: then this panics.
#[expect(clippy::panic, reason = "this is a test's assertion")]
#[must_use]
pub fn require(system: &str, present: bool) -> bool {
    if present {
        return true;
    }
    if is_required(system, &std::env::var(REQUIRE).unwrap_or_default()) {
        panic!("{REQUIRE} lists {system}, and there is none: start it (see cargo xtask services) or take it off the list");
    }
    eprintln!("SKIPPED: there is no {system} ({REQUIRE} does not list it)");
    false
}

/// Whether `list` (separated by commas) names `system`.
fn is_required(system: &str, list: &str) -> bool {
    list.split(',').any(|name| name.trim() == system)
}

#[cfg(test)]
mod tests;
