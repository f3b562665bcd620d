//! [`Clock`]: the only way to learn the time, or to wait.

use std::time::Duration;

use async_trait::async_trait;

use crate::time::Timestamp;

/// The wall clock, and waiting by it. Tests pass a clock of their own.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// Resolves when `duration` has passed.
    async fn sleep(&self, duration: Duration);
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the port's one implementation on the machine's clock")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(crate::time::micros_of(since))
    }

    #[expect(clippy::disallowed_methods, reason = "this is the port's one implementation on the machine's clock")]
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
