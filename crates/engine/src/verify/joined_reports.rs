//! Flows that join reports: a row is compared if it was made with the report as it is published now, for what was published before is gone.

use millstream_core::{Epoch, TableSpec};
use millstream_pipeline::graph::Flow;

use super::Check;
use crate::engine::Engine;
use crate::flow::checkpoint::Header;
use crate::source::SourceState;

impl Engine {
    /// The check of a table whose flow waits for a report: there is nothing that its query could be run on.
    pub(super) fn waits_for_report(&self, spec: &TableSpec) -> Option<Check> {
        let flows = self.pipeline.flows.iter().filter(|flow| flow.target == spec.name);
        let (report, why) =
            flows.flat_map(|flow| &flow.references).find_map(|name| self.references.get(name).err().map(|why| (name, why)))?;
        let mut check = Check::of(&spec.name);
        check.note(format!("it was not compared, for its flow joins {report}: {why}"));
        Some(check)
    }

    /// From where on `flow`, as it stands `at`, has made rows with the reports that are published now, and after which epoch that is; `None`: from
    /// its beginning. To be called when its joins are up to date.
    pub(super) fn same_reports_from<'a>(&self, flow: &Flow, at: &'a Header, check: &mut Check) -> Option<(Epoch, &'a SourceState)> {
        let joined = at.reports.as_ref()?;
        let names = joined.revisions.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        if joined.revisions != self.references.runs(&flow.references) {
            check.note(format!("flow {}: {names} was published anew since its last event: its rows were not compared", flow.id));
            return Some((Epoch(u64::MAX), &at.source));
        }
        if joined.after == Epoch(0) {
            return None;
        }
        check.note(format!(
            "flow {}: what came up to epoch {} was joined with {names} as published before: that was not compared",
            flow.id, joined.after
        ));
        Some((joined.after, &joined.source))
    }
}
