//! The PostgreSQL listener's settings, as they stand under `[sql]`.

use std::time::Duration;

use millstream_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// Bounds of the PostgreSQL endpoint. Absent keys have the default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SqlSettings {
    /// Connections at one time; a further one is refused with SQLSTATE 53300.
    pub connections_max: usize,
    /// How long a statement may run, in seconds, where the client sets no `statement_timeout`; 0: without end.
    pub statement_timeout_s: u64,
    /// How long statements may go on after a shutdown began, in seconds.
    pub drain_s_max: u64,
}

impl Default for SqlSettings {
    fn default() -> Self {
        Self { connections_max: 100, statement_timeout_s: 300, drain_s_max: 5 }
    }
}

impl SqlSettings {
    /// Checks what would make the endpoint useless. [`InvalidInput`](millstream_core::ErrorKind::InvalidInput) names the setting.
    pub fn validate(&self) -> Result<()> {
        if self.connections_max == 0 {
            return Err(Error::invalid("sql.connections_max is 0; give it a positive value or leave it out"));
        }
        Ok(())
    }

    /// [`Self::statement_timeout_s`] as a duration; `None` for 0.
    #[must_use]
    pub fn statement_timeout(&self) -> Option<Duration> {
        (self.statement_timeout_s > 0).then(|| Duration::from_secs(self.statement_timeout_s))
    }
}
