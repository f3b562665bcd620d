//! How many versions epochs may have drawn whose checkpoints can't be read.
//!
//! Rows that an epoch writes again have to win over those that it wrote before, so their versions are above all that were drawn. Each checkpoint says
//! up to where that was; for one that is lost, an epoch's versions are counted instead: [`USUAL`] at most, or as many as the system store says that an epoch
//! of the flow has had. It is told before such an epoch begins to be written.

use millstream_core::ports::SystemProperty;
use millstream_core::{Epoch, Error, Result};
use tokio_util::sync::CancellationToken;

use super::runner::FlowRunner;

/// An epoch has no more versions, unless the system store says so: twice the rows that one reads by default.
pub(super) const USUAL: u64 = 1 << 16;

/// So many microseconds an epoch counts at least: versions begin at the clock, and it may have been set back since.
const EPOCH_MICROS_LEAST: u64 = 1_000_000;

/// The microseconds that versions may have gone ahead in the epochs after `after` up to `up_to`, each of `most` versions and a second at least. Pure.
pub(super) fn drawn_between(after: Epoch, up_to: Epoch, most: u64) -> i64 {
    i64::try_from(up_to.0.saturating_sub(after.0).saturating_mul(most.max(EPOCH_MICROS_LEAST))).unwrap_or(i64::MAX)
}

impl FlowRunner {
    /// Asks how many versions an epoch has had. `None`: asked to stop.
    pub(super) async fn recall_versions(&mut self, shutdown: &CancellationToken) -> Result<Option<()>> {
        let name = SystemProperty::MostVersions(&self.spec.id);
        let Some(stored) = self.patiently(shutdown, || self.ports.system.property(name)).await? else { return Ok(None) };
        if let Some(stored) = stored {
            let most: u64 =
                stored.parse().map_err(|_| Error::corrupt(format!("system property \"{name}\" is {stored:?}, and no number")))?;
            self.versions_most = self.versions_most.max(most);
        }
        Ok(Some(()))
    }

    /// Sees to it that the system store knows that an epoch has `n` versions. `None`: asked to stop.
    pub(super) async fn remember_versions(&mut self, n: usize, shutdown: &CancellationToken) -> Result<Option<()>> {
        if n as u64 <= self.versions_most {
            return Ok(Some(()));
        }
        // Not again for every epoch that has a few more.
        let most = (n as u64).next_power_of_two();
        let (name, value) = (SystemProperty::MostVersions(&self.spec.id), most.to_string());
        let told = self.patiently(shutdown, || self.ports.system.set_property(name, &value)).await?;
        if told.is_some() {
            self.versions_most = most;
        }
        Ok(told)
    }
}

#[cfg(test)]
mod tests;
