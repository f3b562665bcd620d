//! A flow that joins reports: it begins when each was published once, and its checkpoints say which publication its rows were made with.

use millstream_core::Result;
use tokio_util::sync::CancellationToken;

use super::checkpoint::JoinedReports;
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

    /// Takes note of the publications that the next epoch joins. To be called before they are looked up: one that comes in between counts from
    /// the epoch after.
    pub(super) fn note_reports(&mut self, progress: &Progress) {
        let runs = self.ports.references.runs(&self.spec.flow.references);
        if runs.is_empty() || self.carried.reports.as_ref().is_some_and(|reports| reports.runs == runs) {
            return;
        }
        let standing = &progress.standing;
        self.carried.reports = Some(JoinedReports { runs, after: standing.epoch, source: standing.source.clone() });
    }
}
