//! A flow that joins reports begins when each was published once. Its checkpoints say which publications, and which reference data, its rows were made
//! with.

use std::collections::BTreeMap;

use millstream_core::Result;
use tokio_util::sync::CancellationToken;

use super::checkpoint::JoinedTables;
use super::monitor::Part;
use super::runner::{FlowRunner, Progress};

impl FlowRunner {
    /// Waits until each report that the flow joins was published once: an event that came before would be joined with nothing, and an inner join
    /// would lose it. `None`: asked to stop before.
    pub(super) async fn await_reports(&self, shutdown: &CancellationToken) -> Result<Option<()>> {
        let references = &self.ports.references;
        for report in &self.spec.flow.references {
            let Err(error) = references.get(report) else { continue };
            tracing::warn!(flow = %self.spec.id, %error, "the flow waits for a report that it joins");
            self.monitor.waits(Part::Works, self.ports.clock.now(), &error);
            tokio::select! {
                () = shutdown.cancelled() => return Ok(None),
                published = references.until_published(report) => published?,
            }
            self.monitor.goes_on(Part::Works);
        }
        Ok(Some(()))
    }

    /// Takes note of the publications and of the reference data that the next epoch joins. To be called before they are looked up: what comes in
    /// between counts from the epoch after.
    pub(super) fn note_joined(&mut self, progress: &Progress) {
        let (references, names) = (&self.ports.references, &self.spec.flow.references);
        note(&mut self.carried.reports, references.runs(names), progress);
        note(&mut self.carried.data, references.revisions(names), progress);
    }
}

/// Notes in `joined` that from the next epoch on it is `revisions`.
fn note(joined: &mut Option<JoinedTables>, revisions: BTreeMap<String, String>, progress: &Progress) {
    if revisions.is_empty() || joined.as_ref().is_some_and(|joined| joined.revisions == revisions) {
        return;
    }
    let standing = &progress.standing;
    *joined = Some(JoinedTables { revisions, after: standing.epoch, source: standing.source.clone() });
}
