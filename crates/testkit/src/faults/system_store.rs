//! [`SystemStore`] with faults.

use std::sync::Arc;

use async_trait::async_trait;
use millstream_core::ports::{DeadLetter, JobRun, LateRow, Quarantined, SystemProperty, SystemStore};
use millstream_core::{Epoch, FlowId, Result};

use super::{Call, Faults};

/// A system store that fails as its plan says.
pub struct FaultySystemStore {
    inner: Arc<dyn SystemStore>,
    faults: Arc<Faults>,
}

impl FaultySystemStore {
    /// `inner` with `faults`.
    #[must_use]
    pub fn new(inner: Arc<dyn SystemStore>, faults: Arc<Faults>) -> Self {
        Self { inner, faults }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SystemStore for FaultySystemStore {
    async fn quarantine(&self, rows: Quarantined) -> Result<()> {
        self.faults.around(Call::Quarantine, || self.inner.quarantine(rows)).await
    }

    async fn discard_after(&self, flow: &FlowId, committed: Epoch) -> Result<()> {
        self.faults.around(Call::DiscardAfter, || self.inner.discard_after(flow, committed)).await
    }

    async fn dead_letters(&self) -> Result<Vec<DeadLetter>> {
        self.faults.around(Call::DeadLetters, || self.inner.dead_letters()).await
    }

    async fn late_rows(&self) -> Result<Vec<LateRow>> {
        self.faults.around(Call::LateRows, || self.inner.late_rows()).await
    }

    async fn release(&self, rows: &Quarantined) -> Result<()> {
        self.faults.around(Call::Release, || self.inner.release(rows)).await
    }

    async fn record_run(&self, run: &JobRun) -> Result<()> {
        self.faults.around(Call::RecordRun, || self.inner.record_run(run)).await
    }

    async fn runs(&self) -> Result<Vec<JobRun>> {
        self.faults.around(Call::Runs, || self.inner.runs()).await
    }

    async fn forget(&self, flow_or_report: &str) -> Result<()> {
        self.faults.around(Call::ForgetAside, || self.inner.forget(flow_or_report)).await
    }

    async fn property(&self, property: SystemProperty<'_>) -> Result<Option<String>> {
        self.faults.around(Call::Property, || self.inner.property(property)).await
    }

    async fn set_property(&self, property: SystemProperty<'_>, value: &str) -> Result<()> {
        self.faults.around(Call::SetProperty, || self.inner.set_property(property, value)).await
    }
}
