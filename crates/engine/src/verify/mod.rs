//! `verify`: every number is checked by running the queries again over what the log holds, and comparing row by row.
//!
//! Each event is a row, superseded by a newer version of its key, aggregated, filtered, expired, late or dead; each stored row is explained by
//! an event. Whatever is not so is a problem, with its position and key. Verification reads a snapshot and the checkpoint
//! that belongs to it, so it may run beside the flows.

mod aggregated;
mod critical;
mod digest;
mod feed;
mod reports;
mod stateless;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use millstream_core::{Result, TableKind};
use serde::{Deserialize, Serialize};

use crate::engine::Engine;

/// So many problems of a table are told one by one; the rest is counted.
const PROBLEMS_SHOWN: usize = 20;

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyReport {
    /// One check for each table, feed and report.
    pub checks: Vec<Check>,
}

/// What was found of one table, feed or report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// The table, or `feed of <table>`.
    pub subject: String,
    /// Figures, by name: events, rows, superseded, filtered, late, dead, expired.
    pub figures: BTreeMap<String, u64>,
    /// What could not be checked, and why.
    pub notes: Vec<String>,
    /// The first problems.
    pub problems: Vec<String>,
    /// How many problems there are.
    pub problems_total: u64,
}

/// How far a verification has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyProgress {
    /// What is being checked.
    pub subject: String,
    /// Checks done.
    pub done: usize,
    /// Checks in all.
    pub total: usize,
}

impl Check {
    fn of(subject: impl Into<String>) -> Self {
        Self { subject: subject.into(), ..Self::default() }
    }

    fn count(&mut self, figure: &str, n: u64) {
        *self.figures.entry(figure.to_owned()).or_default() += n;
    }

    fn problem(&mut self, text: impl Into<String>) {
        self.problems_total += 1;
        if self.problems.len() < PROBLEMS_SHOWN {
            self.problems.push(text.into());
        }
    }

    fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }
}

impl VerifyReport {
    /// Whether nothing is missing, doubled or unexplained.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.checks.iter().all(|c| c.problems_total == 0)
    }
}

impl fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in &self.checks {
            let verdict = if check.problems_total == 0 { "ok".to_owned() } else { format!("{} problems", check.problems_total) };
            let figures: Vec<_> = check.figures.iter().filter(|(_, n)| **n > 0).map(|(name, n)| format!("{name} {n}")).collect();
            writeln!(f, "{:<28} {verdict:<12} {}", check.subject, figures.join(", "))?;
            check.notes.iter().try_for_each(|note| writeln!(f, "    note: {note}"))?;
            check.problems.iter().try_for_each(|problem| writeln!(f, "    problem: {problem}"))?;
            let untold = check.problems_total.saturating_sub(check.problems.len() as u64);
            if untold > 0 {
                writeln!(f, "    and {untold} more")?;
            }
        }
        Ok(())
    }
}

impl Engine {
    /// Runs the flows' queries again over the log and compares log, store, feed and reports.
    pub async fn verify(self: &Arc<Self>, progress: &(dyn Fn(VerifyProgress) + Send + Sync)) -> Result<VerifyReport> {
        let mut report = VerifyReport::default();
        let tables: Vec<_> = self.pipeline.tables.values().filter(|t| self.is_checked(t.spec.kind)).map(|t| t.spec.clone()).collect();
        for (done, spec) in tables.iter().enumerate() {
            progress(VerifyProgress { subject: spec.name.clone(), done, total: tables.len() });
            match spec.kind {
                TableKind::EventStore => {
                    let windowed = self.pipeline.flows.iter().any(|f| f.target == spec.name && f.window.is_some());
                    let check = if windowed { self.verify_aggregated(spec).await? } else { self.verify_stateless(spec).await? };
                    report.checks.push(check);
                    if self.pipeline.flows.iter().any(|f| f.source == spec.name) {
                        report.checks.push(self.verify_feed(spec).await?);
                    }
                }
                TableKind::Critical => report.checks.push(self.verify_critical(spec).await?),
                _ => report.checks.push(self.verify_report(spec).await?),
            }
        }
        progress(VerifyProgress { subject: String::new(), done: tables.len(), total: tables.len() });
        Ok(report)
    }

    fn is_checked(&self, kind: TableKind) -> bool {
        matches!(kind, TableKind::EventStore | TableKind::Critical | TableKind::Report)
    }
}
