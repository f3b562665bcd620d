//! SIGTERM and Ctrl-C: the first asks for an orderly end, the second ends at once.

use millstream_core::{Error, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The exit code of a process that was ended by Ctrl-C (128 + SIGINT).
const INTERRUPTED: i32 = 130;

/// Both signals, received from now on.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Begins to receive them, in place of their usual effect. Called on the runtime.
    pub fn receive() -> Result<Self> {
        let failed = |e: std::io::Error| Error::from(e).context("signals can't be received");
        let terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        Ok(Self { terminate, interrupt })
    }

    /// Cancels `shutdown` at the first signal and ends the process at the second. Runs for ever.
    pub async fn follow(mut self, shutdown: CancellationToken) {
        self.next().await;
        tracing::info!("ending: each flow finishes its epoch (once more: end at once)");
        shutdown.cancel();
        self.next().await;
        tracing::warn!("ended at once, on request");
        std::process::exit(INTERRUPTED);
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
