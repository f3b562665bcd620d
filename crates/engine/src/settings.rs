//! The engine's settings: data only, checked by [`EngineSettings::validate`].

use std::time::Duration;

use millstream_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// How flows and jobs run. Section `[engine]` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EngineSettings {
    /// At most so many source rows an epoch.
    pub epoch_rows_max: usize,
    /// About so many bytes are read from a partition at a time; an epoch takes at most eight times as many.
    pub epoch_bytes_max: usize,
    /// Decoded rows that flows of one source share are kept up to so many bytes; a flow that falls further behind reads for itself.
    pub shared_window_bytes_max: usize,
    /// The state of all flows together is kept in memory up to so many bytes; beyond that, it is kept on disk.
    pub state_memory_bytes_max: usize,
    /// A flow whose state, in memory and on disk, outgrows so many bytes stops with an error.
    pub state_bytes_max: u64,
    /// A partition that is read to its end and silent for so long no longer holds the watermark back.
    pub idle_after_ms: u64,
    /// How many restore points a flow keeps: full checkpoints with all that follows them; at least 2.
    pub checkpoints_kept: u64,
    /// Where to die, and which defect to have: see [`crate::flow::fault`].
    #[cfg(feature = "fault-injection")]
    pub fault: Option<String>,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            epoch_rows_max: 32_768,
            epoch_bytes_max: 2 << 20,
            shared_window_bytes_max: 64 << 20,
            state_memory_bytes_max: 512 << 20,
            state_bytes_max: 16 << 30,
            idle_after_ms: 10_000,
            checkpoints_kept: 2,
            #[cfg(feature = "fault-injection")]
            fault: None,
        }
    }
}

impl EngineSettings {
    /// Refuses values that can't work, naming the setting.
    pub fn validate(&self) -> Result<()> {
        let positive = [
            ("epoch_rows_max", self.epoch_rows_max as u64),
            ("epoch_bytes_max", self.epoch_bytes_max as u64),
            ("shared_window_bytes_max", self.shared_window_bytes_max as u64),
            ("state_memory_bytes_max", self.state_memory_bytes_max as u64),
            ("state_bytes_max", self.state_bytes_max),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(Error::invalid(format!("engine.{name} is 0: set it to at least 1")));
        }
        if self.checkpoints_kept < 2 {
            return Err(Error::invalid("engine.checkpoints_kept is below 2: recovery needs the checkpoint before the last one"));
        }
        Ok(())
    }

    /// The faults to inject, where that is built in.
    #[must_use]
    pub fn faults(&self) -> Option<&str> {
        #[cfg(feature = "fault-injection")]
        return self.fault.as_deref();
        #[cfg(not(feature = "fault-injection"))]
        None
    }

    /// [`Self::idle_after_ms`] as a duration.
    #[must_use]
    pub fn idle_after(&self) -> Duration {
        Duration::from_millis(self.idle_after_ms)
    }
}
