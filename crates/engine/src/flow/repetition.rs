//! Epochs that are done again, because the checkpoint after them can't be read: the rows that they wrote come out again, and what they put
//! aside is found where it is.
//!
//! **Which flows can.** Rows that replace one another by key, and follow from their events, converge: a row of one event has the version that
//! it had, a window's row a newer one. Records appended to topics and files would be there twice, rows that reference data gave a key could
//! stay under a key that nothing gives any more, and what counts a table's changes would count them again: such flows stop.
//!
//! **Which rows are late** depends on how partitions came one after the other, and that may be otherwise now. So it isn't decided again: rows
//! that were put aside as late are late as they were, every other one is in time, unless its window was closed before. No window closes until
//! the flow has come to the end of its source once: then the watermark decides again.

use std::collections::{HashMap, HashSet};

use millstream_core::ports::{DeadLetter, LateRow, Quarantined};
use millstream_core::{Epoch, EventTime, FlowId, RowPosition};
use millstream_pipeline::graph::{Binding, Flow, Pipeline};
use serde::{Deserialize, Serialize};

use super::process::Lateness;

/// Epochs that a flow does again: what its checkpoints keep of that until it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repetition {
    /// The epoch whose state the flow went on from.
    pub after: Epoch,
    /// The last epoch that may have written rows already.
    pub up_to: Epoch,
    /// The watermark of that state: windows that it had closed stay closed.
    pub closed: Option<EventTime>,
}

/// A repetition with what is known of how the epochs went the first time.
pub struct Repeating {
    /// What is repeated.
    pub repetition: Repetition,
    dead: HashSet<RowPosition>,
    late: HashMap<RowPosition, EventTime>,
}

impl Repeating {
    /// The `repetition` of `flow`, by all rows that were put aside.
    #[must_use]
    pub fn new(repetition: Repetition, flow: &FlowId, dead_letters: &[DeadLetter], late_rows: &[LateRow]) -> Self {
        let repeated = |of: &FlowId, epoch: Epoch| of == flow && epoch > repetition.after && epoch <= repetition.up_to;
        let dead = dead_letters.iter().filter(|d| repeated(&d.flow, d.epoch)).map(|d| d.position).collect();
        let late = late_rows.iter().filter(|l| repeated(&l.flow, l.epoch)).map(|l| (l.position, l.watermark)).collect();
        Self { repetition, dead, late }
    }

    /// Who decides which rows are late meanwhile.
    #[must_use]
    pub fn lateness(&self) -> Lateness {
        Lateness::AsBefore { late: self.late.clone(), closed: self.repetition.closed }
    }

    /// Leaves out of `aside` what is put aside already.
    pub fn leave_out_known(&self, aside: &mut Quarantined) {
        aside.dead_letters.retain(|d| !self.dead.contains(&d.position));
        aside.late_rows.retain(|l| !self.late.contains_key(&l.position));
    }
}

/// Why `flow` can't do epochs again; `None`: it can.
#[must_use]
pub fn obstacle(pipeline: &Pipeline, flow: &Flow) -> Option<String> {
    let table = &flow.target;
    match pipeline.tables.get(table).map(|t| &t.binding) {
        Some(Binding::Topic(_)) => return Some(format!("records that topic {table} holds already would be appended again")),
        Some(Binding::Lake) => return Some(format!("rows that the files of {table} hold already would be appended again")),
        _ => {}
    }
    if flow.join.is_some() {
        return Some("it joins streams, and joins are not done again yet".to_owned());
    }
    if let Some(reference) = flow.references.first() {
        return Some(format!("the reference data of {reference} may have changed, so that rows could stay that nothing gives any more"));
    }
    let counts = |reader: &&Flow| {
        let appends = matches!(pipeline.tables.get(&reader.target).map(|t| &t.binding), Some(Binding::Topic(_) | Binding::Lake));
        reader.reads(table) && reader.id != flow.id && (reader.window.is_some() || appends)
    };
    let reader = pipeline.flows.iter().find(counts)?;
    Some(format!("flow {} could take changes of {table} twice", reader.id))
}

#[cfg(test)]
mod tests;
