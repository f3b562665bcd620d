//! `cargo xtask ci`: what CI checks beside the tests. Every check runs, also after one that failed; the end is a table.

use std::time::Duration;

use anyhow::{Result, bail};

use crate::run;
use crate::suites::align;
use crate::workspace::{self, cargo};
use crate::{docs, tidy};

/// Runs the checks, the cheap ones first.
pub fn run() -> Result<()> {
    let mut report = Report::default();
    report.add("format", || run::shown(cargo().args(["fmt", "--all", "--check"])));
    report.add("tidy", tidy::run);
    report.add("generated docs", || docs::run(true));
    report.add("clippy", clippy);
    report.finish()
}

/// Clippy over every target. The length of functions is not among its defaults, and is a rule of this house.
fn clippy() -> Result<()> {
    let arguments = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings", "-D", "clippy::too_many_lines"];
    run::shown(workspace::cargo().args(arguments))
}

/// Checks, with how long they took and what came of them.
#[derive(Default)]
pub struct Report {
    rows: Vec<(String, Duration, Outcome)>,
}

enum Outcome {
    Passed,
    Failed(String),
    Skipped(String),
}

impl Report {
    /// Runs a check and keeps what came of it.
    pub fn add(&mut self, name: &str, check: impl FnOnce() -> Result<()>) {
        eprintln!("\n== {name}");
        let start = now();
        let outcome = match check() {
            Ok(()) => Outcome::Passed,
            Err(error) => {
                eprintln!("error: {error:#}");
                Outcome::Failed(format!("{error:#}"))
            }
        };
        self.rows.push((name.to_owned(), start.elapsed(), outcome));
    }

    /// Keeps that a check did not run, and why.
    pub fn skip(&mut self, name: &str, why: &str) {
        eprintln!("\n== {name}\nskipped: {why}");
        self.rows.push((name.to_owned(), Duration::ZERO, Outcome::Skipped(why.to_owned())));
    }

    /// Prints the table; fails when a check did.
    pub fn finish(self) -> Result<()> {
        let failed = self.rows.iter().filter(|(_, _, outcome)| matches!(outcome, Outcome::Failed(_))).count();
        let mut table = vec![vec!["check".to_owned(), "time".to_owned(), "outcome".to_owned()]];
        for (name, took, outcome) in &self.rows {
            let outcome = match outcome {
                Outcome::Passed => "passed".to_owned(),
                Outcome::Failed(error) => format!("FAILED: {}", error.lines().next().unwrap_or_default()),
                Outcome::Skipped(why) => format!("skipped: {why}"),
            };
            table.push(vec![name.clone(), format!("{:.1} s", took.as_secs_f64()), outcome]);
        }
        println!("\n{}", align(&table));
        if failed > 0 {
            bail!("{failed} of {} checks failed", self.rows.len());
        }
        Ok(())
    }
}

/// The time, for measuring how long a check takes.
#[expect(clippy::disallowed_methods, reason = "a developer's tool has no Clock port to take the time from")]
pub fn now() -> std::time::Instant {
    std::time::Instant::now()
}
