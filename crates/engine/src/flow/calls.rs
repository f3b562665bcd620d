//! Calls to ports that may not answer for a while: waited out, for as long as it takes, and told of.

use std::sync::Arc;

use millstream_core::ports::Clock;
use millstream_core::{Error, Result};
use tokio_util::sync::CancellationToken;

use super::monitor::{FlowMonitor, Part};
use crate::patience::Patience;

/// The calls of one part of a flow.
pub(super) struct Calls {
    part: Part,
    patience: Patience,
    clock: Arc<dyn Clock>,
    monitor: Arc<FlowMonitor>,
}

impl Calls {
    /// Of the `part` of a flow that logs call `who`.
    pub(super) fn new(part: Part, who: String, clock: Arc<dyn Clock>, monitor: Arc<FlowMonitor>) -> Self {
        Self { part, patience: Patience::new(who, clock.clone()), clock, monitor }
    }

    /// Calls until there is an answer, or an error that waiting can't mend. `None`: asked to stop while there was none.
    pub(super) async fn patiently<T, F: Future<Output = Result<T>>>(
        &self,
        shutdown: &CancellationToken,
        mut call: impl FnMut() -> F,
    ) -> Result<Option<T>> {
        loop {
            match call().await {
                Ok(answer) => {
                    self.answered();
                    return Ok(Some(answer));
                }
                Err(error) => {
                    if !self.wait_out(error, shutdown).await? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// A port has answered: an outage, if there was one, is over.
    pub(super) fn answered(&self) {
        if self.patience.answered() {
            self.monitor.goes_on(self.part);
        }
    }

    /// Waits before the next try, if `error` may pass. `false`: asked to stop.
    pub(super) async fn wait_out(&self, error: Error, shutdown: &CancellationToken) -> Result<bool> {
        let Some(delay) = self.patience.failed(&error) else { return Err(error) };
        self.monitor.waits(self.part, self.clock.now(), &error);
        tokio::select! {
            () = shutdown.cancelled() => Ok(false),
            () = self.clock.sleep(delay) => Ok(true),
        }
    }
}
