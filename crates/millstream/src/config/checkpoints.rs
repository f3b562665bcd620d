//! Where flows' checkpoints are, as it stands under `[checkpoints]`.

use millstream_adapters::lake::LakeLocation;
use millstream_core::{Error, Result};
use serde::{Deserialize, Serialize};

use super::Durability;

/// Where flows' checkpoints are. Section `[checkpoints]`; who we are there, `[lake]` says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointsConfig {
    /// A folder of an object store or of this machine; not set: the built-in store.
    pub location: Option<String>,
}

impl CheckpointsConfig {
    /// Refuses what is no folder, and one that can't keep what is promised.
    pub(super) fn validate(&self, durability: Durability) -> Result<()> {
        let Some(location) = &self.location else { return Ok(()) };
        let folder = LakeLocation::parse(location).map_err(|e| e.context("checkpoints.location"))?;
        if durability == Durability::Fsync && folder.local_path().is_some() {
            return Err(Error::unsupported(format!(
                "checkpoints.location = {location} is on this machine, where files of checkpoints are not synced, and durability is fsync: leave it out, \
                 the built-in store syncs them; or name an object store"
            )));
        }
        Ok(())
    }
}
