//! `verify`: every number is checked by running the queries again over what the log holds, and comparing row by row.
//!
//! Each event is a row, superseded by a newer version of its key, aggregated, filtered, expired, late, dead or replayed; each stored row is explained by
//! an event. Whatever is not so is a problem, with its position and key. Verification reads a snapshot and the checkpoint
//! that belongs to it, so it may run beside the flows.

mod aggregated;
mod appended;
mod critical;
mod digest;
mod feed;
mod joined;
mod joined_data;
mod joined_reports;
mod lineage;
mod reports;
mod stateless;
mod stored;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use millstream_core::{Epoch, Error, FlowId, Result, TableSpec, TopicPartition};
use millstream_pipeline::graph::{Binding, Flow, OutputMode, Table};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::engine::Engine;
use crate::patience::Patience;
use stored::Stored;

/// So many problems of a table are told one by one; the rest is counted.
const PROBLEMS_SHOWN: usize = 20;

/// So many tables are checked side by side: each takes a core, and memory for a table's keys.
const SIDE_BY_SIDE: usize = 2;

/// So often a table is looked at that moves on while it is read.
const LOOKS_MAX: usize = 3;

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
    /// Figures, by name: events, rows, superseded, filtered, late, dead, replayed, expired.
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
    /// Runs the flows' queries again over the log and compares log, store, feed and reports. A system that does not answer is waited for.
    pub async fn verify(self: &Arc<Self>, progress: &(dyn Fn(VerifyProgress) + Send + Sync)) -> Result<VerifyReport> {
        let tables: Vec<_> = self.pipeline.tables.values().filter(|t| is_checked(&t.binding)).cloned().collect();
        let total = tables.len();
        let mut found: BTreeMap<usize, Vec<Check>> = BTreeMap::new();
        let mut waiting = tables.into_iter().enumerate();
        let mut checks = JoinSet::new();
        loop {
            while checks.len() < SIDE_BY_SIDE
                && let Some((number, table)) = waiting.next()
            {
                progress(VerifyProgress { subject: table.spec.name.clone(), done: found.len(), total });
                let engine = self.clone();
                checks.spawn(async move { (number, engine.verify_patiently(&table).await) });
            }
            let Some(done) = checks.join_next().await else { break };
            let (number, checked) = done.map_err(|e| Error::internal("a check ended early").caused_by(e))?;
            found.insert(number, checked?);
        }
        progress(VerifyProgress { subject: String::new(), done: total, total });
        Ok(VerifyReport { checks: found.into_values().flatten().collect() })
    }

    /// Checks a table. Reading is all that happens, so a check that meets a system that doesn't answer begins anew.
    async fn verify_patiently(self: &Arc<Self>, table: &Table) -> Result<Vec<Check>> {
        let patience = Patience::new(format!("verification of {}", table.spec.name), self.ports.clock.clone());
        patience.until_answered(|| self.verify_table(table)).await
    }

    async fn verify_table(self: &Arc<Self>, table: &Table) -> Result<Vec<Check>> {
        let spec = &table.spec;
        if let Some(check) = self.waits_for_report(spec) {
            return Ok(vec![check]);
        }
        let written = self.pipeline.flows.iter().any(|f| f.target == spec.name);
        match &table.binding {
            Binding::Critical(_) => Ok(vec![self.verify_critical(spec).await?]),
            _ if !written => Ok(vec![self.verify_report(spec).await?]),
            _ => {
                let mut checks = vec![self.verify_written(table).await?];
                if matches!(table.binding, Binding::EventStore) && self.pipeline.flows.iter().any(|f| f.reads(&spec.name)) {
                    checks.push(self.verify_feed(spec).await?);
                }
                Ok(checks)
            }
        }
    }

    /// Checks a table that flows write. One that moves on while it is read is looked at again.
    async fn verify_written(&self, table: &Table) -> Result<Check> {
        let mut looks = 0;
        loop {
            looks += 1;
            let before = self.prepared(&table.spec).await?;
            let check = self.look_at(table).await?;
            if check.problems_total == 0 || before == self.prepared(&table.spec).await? {
                return Ok(check);
            }
            if looks == LOOKS_MAX {
                let mut check = check;
                check.note("the table moved on while it was read: verify again when its flows are quiet");
                return Ok(check);
            }
        }
    }

    /// The last prepared epoch of each flow into a table.
    async fn prepared(&self, spec: &TableSpec) -> Result<BTreeMap<FlowId, Epoch>> {
        let mut last = BTreeMap::new();
        for flow in self.pipeline.flows.iter().filter(|f| f.target == spec.name) {
            if let Some(epoch) = self.ports.checkpoints.epochs(&flow.id).await?.last() {
                last.insert(flow.id.clone(), *epoch);
            }
        }
        Ok(last)
    }

    /// Checks a table that flows write, once. Where who holds it doesn't say what it committed, that is the last prepared epoch or the one
    /// before it: the table has to fit one of them.
    async fn look_at(&self, table: &Table) -> Result<Check> {
        let mut first = None;
        for back in 0..2 {
            let stored = Stored::open(self, table, back).await?;
            let says_its_epochs = stored.says_its_epochs();
            let mut check = self.compare_with_flows(table, &stored).await?;
            self.note_flows_without_epoch(table, &stored, &mut check).await?;
            if check.problems_total == 0 || says_its_epochs {
                return Ok(check);
            }
            first.get_or_insert(check);
        }
        Ok(first.unwrap_or_default())
    }

    async fn compare_with_flows(&self, table: &Table, stored: &Stored) -> Result<Check> {
        let flows = || self.pipeline.flows.iter().filter(|f| f.target == table.spec.name);
        for flow in flows().filter(|f| f.join.is_some() || f.window.is_some()) {
            let state = self.committed_state(&flow.id, stored.epochs.get(&flow.id)).await?;
            if state.is_some_and(|checkpoint| checkpoint.header.emitted.is_some()) {
                let mut check = Check::of(&table.spec.name);
                check.note(format!(
                    "flow {}: what its watermark has passed is still coming out, so the table was not compared: verify again when the flow has caught up",
                    flow.id
                ));
                return Ok(check);
            }
        }
        if stored.only_appended() {
            self.verify_appended(&table.spec, stored).await
        } else if flows().any(|f| f.join.is_some() && f.window.is_none()) {
            self.verify_joined(&table.spec, stored).await
        } else if flows().any(|f| f.window.is_some()) {
            self.verify_aggregated(&table.spec, stored).await
        } else {
            self.verify_stateless(&table.spec, stored).await
        }
    }

    /// Says which flows into `table` have committed nothing although events wait for them: of these nothing was compared.
    async fn note_flows_without_epoch(&self, table: &Table, stored: &Stored, check: &mut Check) -> Result<()> {
        let has_committed = |flow: &Flow| stored.epochs.get(&flow.id).is_some_and(|epoch| epoch.0 > 0);
        for flow in self.pipeline.flows.iter().filter(|f| f.target == table.spec.name && !has_committed(f)) {
            let mut waiting = 0;
            for topic in flow.sources().filter_map(|source| self.topic_of(source)) {
                let topics = self.ports.log.topics().await?;
                for partition in 0..topics.iter().find(|t| t.name == topic).map_or(0, |t| t.partitions) {
                    let bounds = self.ports.log.bounds(&TopicPartition::new(topic.clone(), partition)).await?;
                    waiting += bounds.end.0 - bounds.start.0;
                }
            }
            if waiting > 0 {
                check.note(format!(
                    "flow {} has committed nothing yet: {waiting} records that wait for it are accounted for by nothing",
                    flow.id
                ));
            }
        }
        Ok(())
    }

    /// Whether rows of `table`, once written, may be replaced or deleted.
    fn is_updated(&self, table: &str) -> bool {
        let mut flows = self.pipeline.flows.iter().filter(|f| f.target == table);
        flows.any(|f| {
            // Only rows that never change are joined: a flow of two streams has none.
            let source = self.pipeline.tables.get(&f.source).map(|t| &t.binding);
            (f.window.is_some() && f.mode == OutputMode::Update)
                || matches!(source, Some(Binding::Topic(topic)) if topic.output.is_none() && !topic.key_columns.is_empty())
                || matches!(source, Some(Binding::ExistingTable))
                || (f.source != table && self.is_updated(&f.source))
        })
    }
}

fn is_checked(binding: &Binding) -> bool {
    match binding {
        Binding::EventStore | Binding::Critical(_) | Binding::Report | Binding::Lake => true,
        Binding::Topic(topic) => topic.output.is_some(),
        Binding::ExistingTable | Binding::Reference(_) => false,
    }
}
