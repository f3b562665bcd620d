//! SIGTERM and Ctrl-C: the first asks for an orderly end, the second ends at once.

use millstream_core::{Error, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The exit code of a process that was ended by Ctrl-C (128 + SIGINT).
const INTERRUPTED: i32 = 130;

/// Cancels `shutdown` at the first signal and ends the process at the second. Runs for ever.
pub async fn follow(shutdown: CancellationToken) -> Result<()> {
    let failed = |e: std::io::Error| Error::from(e).context("signals can't be received");
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut asked = false;
    loop {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        if asked {
            tracing::warn!("ended at once, on request");
            std::process::exit(INTERRUPTED);
        }
        asked = true;
        tracing::info!("ending: each flow finishes its epoch (once more: end at once)");
        shutdown.cancel();
    }
}
