//! Upkeep of the built-in store: expired rows, old tombstones and old changes of the feed give their space back.
//!
//! Nobody can tell whether it has run but by the space: what is expired is not seen by any read before.

use std::sync::Arc;
use std::time::Duration;

use millstream_adapters::embedded::EmbeddedStore;
use millstream_core::ports::Clock;
use tokio_util::sync::CancellationToken;

/// A pass every `interval` until `shutdown`. A pass that fails is logged, and the next one tries again.
pub async fn run(store: Arc<EmbeddedStore>, clock: Arc<dyn Clock>, interval: Duration, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = clock.sleep(interval) => {}
        }
        match store.maintain(clock.now()).await {
            Ok(done) => tracing::debug!(?done, "upkeep of the built-in store"),
            Err(error) => tracing::warn!(%error, "the upkeep of the built-in store failed"),
        }
    }
}
