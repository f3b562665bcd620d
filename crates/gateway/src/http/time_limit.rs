//! Waiting for something no longer than allowed, by core's clock.

use std::future::Future;
use std::time::Duration;

use millstream_core::ports::Clock;

/// What `work` gives within `limit`. The clock is asked only when the work has to wait: most reads are answered from memory, and a timer
/// for each would cost more than the read.
pub(crate) async fn within<T>(limit: Duration, clock: &dyn Clock, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        done = work => Some(done),
        () = async { clock.sleep(limit).await } => None,
    }
}
