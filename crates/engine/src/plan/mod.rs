//! What a pipeline means for the data that is there: for each flow and table whether it goes on, begins, or has to be rebuilt, and why. Decided
//! before anything happens, by `millstream plan` and whenever a pipeline is opened.
//!
//! [`facts`] looks and changes nothing; [`decide`] is pure. A pipeline may grow and shrink freely: what is new begins at the beginning of its
//! source, what is gone stays where it is. Only what would mix rows of two meanings in one state or table is refused.

mod decide;
pub mod facts;
mod show;

use millstream_core::{Epoch, Error, Result};
use millstream_pipeline::graph::Pipeline;
use millstream_pipeline::signature::Change;
use serde::Serialize;

pub use decide::decide;
pub use facts::Facts;

use crate::engine::Ports;
use crate::identity;

/// What becomes of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FlowVerdict {
    /// It goes on where it is.
    Kept,
    /// It has not run here yet, and begins at the beginning of its source.
    New,
    /// Its table has to be rebuilt from the beginning of its source.
    Rebuilt,
    /// It can't go on, and its source no longer holds all that a rebuilt table would be made of.
    Refused,
    /// It is no longer in the pipeline. Its checkpoints stay, and are taken up when it comes back.
    Removed,
}

/// What becomes of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TableVerdict {
    /// It is as it was.
    Kept,
    /// It is not there yet.
    New,
    /// It is only read, and its flows say what its change means.
    Changed,
    /// It has other columns, another key or another expiry than its rows that are there.
    Rebuilt,
    /// It is no longer in the pipeline. Its rows stay where they are.
    Removed,
}

/// What becomes of one flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FlowPlan {
    /// Its name.
    pub flow: String,
    /// The table that it writes; `None` where it is gone.
    pub table: Option<String>,
    /// What becomes of it.
    pub verdict: FlowVerdict,
    /// The epoch of its newest checkpoint that can be read.
    pub epoch: Option<Epoch>,
    /// Where it goes on or begins, in words.
    pub position: Option<String>,
    /// What is different in its query.
    pub changes: Vec<Change>,
    /// Why it can't go on, and what else is worth to know.
    pub reasons: Vec<String>,
    /// What rebuilds its table.
    pub command: Option<String>,
}

/// What becomes of one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TablePlan {
    /// Its name.
    pub table: String,
    /// What becomes of it.
    pub verdict: TableVerdict,
    /// What it was, where that is different.
    pub was: Option<String>,
    /// What it is, where that is different.
    pub is: Option<String>,
    /// What rebuilds it.
    pub command: Option<String>,
}

/// What a pipeline means for the data that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ChangePlan {
    /// Its flows, in the order of the pipeline; then those that are gone.
    pub flows: Vec<FlowPlan>,
    /// Its tables, by name, and those that are gone.
    pub tables: Vec<TablePlan>,
    /// Whether nothing that is there is in the pipeline: it is likely another one's data.
    pub is_another_pipeline: bool,
}

impl ChangePlan {
    /// Whether the pipeline can run as it is, and everything that is there goes on.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        let flows = self.flows.iter().all(|f| !matches!(f.verdict, FlowVerdict::Rebuilt | FlowVerdict::Refused));
        flows && !self.is_another_pipeline && self.tables.iter().all(|t| t.verdict != TableVerdict::Rebuilt)
    }

    /// The commands that rebuild what has to be, each once.
    #[must_use]
    pub fn commands(&self) -> Vec<&str> {
        let tables = self.tables.iter().filter_map(|t| t.command.as_deref());
        let mut commands: Vec<&str> = tables.chain(self.flows.iter().filter_map(|f| f.command.as_deref())).collect();
        commands.sort_unstable();
        commands.dedup();
        commands
    }
}

/// Takes `pipeline` as the one whose data is there; refuses one that would mix its data with another's, with all that is different.
pub async fn claim(pipeline: &Pipeline, ports: &Ports) -> Result<()> {
    let mut facts = Facts::of_state(ports).await?;
    // A flow that has lost its checkpoints stops by itself, and takes no other down.
    facts.flows.retain(|_, flow| flow.newest.is_some());
    let plan = decide(pipeline, &facts);
    if plan.is_another_pipeline {
        return Err(Error::invalid(
            "this data directory holds another pipeline's data, of which nothing is in this one: take another directory (--data-dir)",
        ));
    }
    if !plan.is_kept() {
        return Err(Error::invalid(format!("the pipeline has changed in what its data was made by:\n{}", plan.obstacles())));
    }
    identity::remember(ports.system.as_ref(), pipeline, facts.tables).await
}

#[cfg(test)]
mod tests;
