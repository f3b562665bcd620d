//! Whether a request is sent again after an error, and how long to wait before: pure. What the driver does by itself (another node for a
//! statement that may be sent twice) comes before this.

use std::time::Duration;

use scylla::errors::ExecutionError;

use super::settings::Preset;

/// The tries of one request.
#[derive(Debug)]
pub(super) struct Retries {
    preset: Option<Preset>,
}

impl Retries {
    pub fn new(preset: Option<Preset>) -> Self {
        Self { preset }
    }

    /// How long to wait before the next try; `None`: the error is the answer. Cassandra's own errors are: a flow tries its epoch again.
    pub fn pause_after(&mut self, _error: &ExecutionError) -> Option<Duration> {
        match self.preset {
            None | Some(Preset::CosmosDb) => None,
        }
    }
}
