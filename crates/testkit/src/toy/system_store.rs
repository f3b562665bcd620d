//! [`SystemStore`] in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use millstream_core::ports::{DeadLetter, JobRun, LateRow, Quarantined, RUNS_KEPT, SystemProperty, SystemStore};
use millstream_core::{Epoch, FlowId, Result, RowPosition};

use super::{Defect, Disk};

/// (flow, epoch, source, position), and a number that is 0 unless the disk has a defect.
type Place = (FlowId, Epoch, RowPosition, String, usize);

/// Everything that the store holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Contents {
    dead_letters: BTreeMap<Place, DeadLetter>,
    late_rows: BTreeMap<Place, LateRow>,
    runs: BTreeMap<(String, u64), JobRun>,
    properties: BTreeMap<String, String>,
}

/// System tables in memory.
#[derive(Debug)]
pub struct ToySystemStore {
    disk: Arc<Disk>,
}

impl ToySystemStore {
    /// The system tables on `disk`.
    #[must_use]
    pub fn open(disk: Arc<Disk>) -> Self {
        disk.opening(&disk.system);
        Self { disk }
    }
}

fn of_letter(letter: &DeadLetter) -> Place {
    (letter.flow.clone(), letter.epoch, letter.position, letter.source.clone(), 0)
}

fn of_late(row: &LateRow) -> Place {
    (row.flow.clone(), row.epoch, row.position, row.source.clone(), 0)
}

#[async_trait]
impl SystemStore for ToySystemStore {
    async fn quarantine(&self, rows: Quarantined) -> Result<()> {
        let mut all = self.disk.system.lock();
        let doubles = self.disk.has(Defect::DoublesQuarantined);
        for letter in rows.dead_letters {
            let mut place = of_letter(&letter);
            place.4 = if doubles { all.dead_letters.len() } else { 0 };
            all.dead_letters.insert(place, letter);
        }
        for row in rows.late_rows {
            let mut place = of_late(&row);
            place.4 = if doubles { all.late_rows.len() } else { 0 };
            all.late_rows.insert(place, row);
        }
        Ok(())
    }

    async fn discard_after(&self, flow: &FlowId, committed: Epoch) -> Result<()> {
        if !self.disk.has(Defect::KeepsUncommitted) {
            let mut all = self.disk.system.lock();
            all.dead_letters.retain(|(f, epoch, ..), _| f != flow || *epoch <= committed);
            all.late_rows.retain(|(f, epoch, ..), _| f != flow || *epoch <= committed);
        }
        Ok(())
    }

    async fn dead_letters(&self) -> Result<Vec<DeadLetter>> {
        Ok(self.disk.system.lock().dead_letters.values().cloned().collect())
    }

    async fn late_rows(&self) -> Result<Vec<LateRow>> {
        Ok(self.disk.system.lock().late_rows.values().cloned().collect())
    }

    async fn release(&self, rows: &Quarantined) -> Result<()> {
        let mut all = self.disk.system.lock();
        for letter in &rows.dead_letters {
            if self.disk.has(Defect::ReleasesTooMuch) {
                all.dead_letters.retain(|(flow, ..), _| *flow != letter.flow);
            }
            all.dead_letters.remove(&of_letter(letter));
        }
        for row in &rows.late_rows {
            all.late_rows.remove(&of_late(row));
        }
        Ok(())
    }

    async fn record_run(&self, run: &JobRun) -> Result<()> {
        let mut all = self.disk.system.lock();
        all.runs.remove(&(run.report.clone(), run.run.saturating_sub(RUNS_KEPT)));
        all.runs.insert((run.report.clone(), run.run), run.clone());
        Ok(())
    }

    async fn runs(&self) -> Result<Vec<JobRun>> {
        Ok(self.disk.system.lock().runs.values().cloned().collect())
    }

    async fn forget(&self, flow_or_report: &str) -> Result<()> {
        let mut all = self.disk.system.lock();
        all.dead_letters.retain(|(flow, ..), _| flow.as_str() != flow_or_report);
        all.late_rows.retain(|(flow, ..), _| flow.as_str() != flow_or_report);
        all.runs.retain(|(report, _), _| report != flow_or_report);
        if !self.disk.has(Defect::KeepsProperties) {
            for property in SystemProperty::of_flow(&FlowId::new(flow_or_report)) {
                all.properties.remove(&property.to_string());
            }
        }
        Ok(())
    }

    async fn property(&self, property: SystemProperty<'_>) -> Result<Option<String>> {
        Ok(self.disk.system.lock().properties.get(&property.to_string()).cloned())
    }

    async fn set_property(&self, property: SystemProperty<'_>, value: &str) -> Result<()> {
        self.disk.system.lock().properties.insert(property.to_string(), value.to_owned());
        Ok(())
    }
}
