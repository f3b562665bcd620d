//! Flows that join reference data: what can still be compared of rows that were made with it as it was before, for that is gone.
//!
//! A row that its event gives whatever the reference data says has to be there, and what comes from the event has to be right. Where the reference data
//! decides which rows there are, nobody knows any more which there were: what is otherwise now is counted, and told.

use std::collections::HashSet;

use millstream_core::{Epoch, Result, RowPosition, TableSpec};
use millstream_pipeline::graph::Flow;

use super::Check;
use super::lineage::Lineage;
use crate::engine::Engine;
use crate::flow::checkpoint::Header;
use crate::source::SourceState;

/// How far a row that a flow should have written can be compared with what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sure {
    /// It was made with the reference data that there is.
    Whole,
    /// It is there, with the values that come from its event.
    OfEvent,
    /// Perhaps there was none, or another one.
    Nothing,
}

/// The rows that a flow made with reference data as it was before.
pub(super) struct Before<'a> {
    /// The last epoch of them.
    pub(super) after: Epoch,
    /// Where the flow stood in its source then.
    pub(super) source: &'a SourceState,
    /// What can be said of them: [`Sure::OfEvent`] or [`Sure::Nothing`].
    pub(super) sure: Sure,
    /// Whether the same events failed then: see [`Lineage::taken_as_it_is`].
    pub(super) same_failures: bool,
}

/// What was expected of a flow's rows.
#[derive(Default)]
pub(super) struct ExpectedRows {
    /// Whether the source still holds all events.
    pub(super) whole: bool,
    /// Whether reference data of before may have given other rows than that of now, or other failures.
    pub(super) is_doubtful: bool,
    /// Whether some rows were made with other reference data.
    pub(super) is_of_before: bool,
    /// Events that are dead letters and could be computed with the reference data of now.
    pub(super) dead: HashSet<RowPosition>,
}

/// Rows that are otherwise than the query gives them now, of which nobody knows what they should be.
#[derive(Default)]
pub(super) struct Otherwise {
    pub(super) missing: u64,
    pub(super) others: u64,
    pub(super) differing: u64,
}

impl Otherwise {
    /// Tells of them.
    pub(super) fn tell(&self, check: &mut Check) {
        let Self { missing, others, differing } = self;
        if missing + others + differing > 0 {
            check.note(format!(
                "with the reference data of now, {missing} more rows would be there, {others} would not, and {differing} would hold other values: \
                 where that was otherwise when they were made, they are right"
            ));
        }
    }
}

impl Engine {
    /// The rows of `flow`, as it stands `at`, that were made with reference data as it was before, with a note; `None`: none were, or it makes no
    /// difference. To be called when its joins are up to date.
    pub(super) fn before_change<'a>(&self, flow: &Flow, at: &'a Header, check: &mut Check) -> Result<Option<Before<'a>>> {
        let now = self.references.revisions(&flow.references);
        if now.is_empty() {
            return Ok(None);
        }
        let names = now.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let (after, source, since) = match &at.data {
            // By an earlier program.
            None => (Epoch(u64::MAX), &at.source, format!("which {names} its events were joined with is not known")),
            Some(joined) if joined.revisions != now => (Epoch(u64::MAX), &at.source, format!("{names} changed since its last event")),
            Some(joined) if joined.after == Epoch(0) => return Ok(None),
            Some(joined) => {
                (joined.after, &joined.source, format!("what came up to epoch {} was joined with {names} as before", joined.after))
            }
        };
        let lineage = Lineage::of(flow);
        let Some(target) = self.pipeline.tables.get(&flow.target) else { return Ok(None) };
        let key = target.spec.key.indices(&target.spec.schema)?;
        let of_events = lineage.rows_of_events && !key.iter().any(|column| lineage.referenced.get(*column).copied().unwrap_or(true));
        if !of_events {
            check.note(format!("flow {}: {since}, and that decides which rows there are: they were only counted", flow.id));
            return Ok(Some(Before { after, source, sure: Sure::Nothing, same_failures: false }));
        }
        let columns = target.spec.schema.fields().iter().zip(&lineage.referenced).filter(|(_, referenced)| **referenced);
        let columns: Vec<&str> = columns.map(|(field, _)| field.name().as_str()).collect();
        if columns.is_empty() && !key.is_empty() {
            return Ok(None);
        }
        let columns = if columns.is_empty() { "how many matches each event had".to_owned() } else { columns.join(", ") };
        check.note(format!("flow {}: {since}; of that, not compared: {columns}", flow.id));
        Ok(Some(Before { after, source, sure: Sure::OfEvent, same_failures: lineage.taken_as_it_is }))
    }

    /// The columns of a table in which reference data has no part, whichever flow writes a row; `None` where no flow joins any.
    pub(super) fn columns_of_events(&self, spec: &TableSpec) -> Option<Vec<usize>> {
        let flows = self.pipeline.flows.iter().filter(|f| f.target == spec.name && !self.references.revisions(&f.references).is_empty());
        let lineages: Vec<Lineage> = flows.map(Lineage::of).collect();
        let is_of_events = |column: &usize| lineages.iter().all(|lineage| lineage.referenced.get(*column) == Some(&false));
        (!lineages.is_empty()).then(|| (0..spec.schema.fields().len()).filter(is_of_events).collect())
    }
}
