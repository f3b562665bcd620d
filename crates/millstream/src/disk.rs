//! The watch over the disk: with too little free space, intake is paused until there is enough again. What is in is still processed.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use millstream_core::Size;
use millstream_core::ports::Clock;
use tokio_util::sync::CancellationToken;

use crate::config::DiskSettings;

/// Whether intake is open, and if not, why. Shared by the watch and by whoever reports it.
#[derive(Debug, Default)]
pub struct Intake {
    paused: Mutex<Option<String>>,
}

impl Intake {
    /// Why intake is paused, if it is.
    pub fn paused(&self) -> Option<String> {
        self.paused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, why: Option<String>) {
        *self.paused.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }
}

/// What one look at the disk leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Decision {
    /// As before.
    Keep,
    /// Stop taking records, for this reason.
    Pause(String),
    /// Take records again.
    Resume,
}

/// Pauses below the bound, resumes a tenth above it, so that it doesn't flap.
fn decide(free: u64, settings: &DiskSettings, paused: bool) -> Decision {
    let min = settings.free_bytes_min;
    if free < min && !paused {
        return Decision::Pause(format!(
            "the disk has {} free, less than disk.free_bytes_min ({}): make room, then it goes on by itself",
            Size(free),
            Size(min)
        ));
    }
    if paused && free >= min.saturating_add(min / 10) {
        return Decision::Resume;
    }
    Decision::Keep
}

/// Looks at the disk until `shutdown`, and calls `apply` with the reason when intake is to be paused, with `None` when it is to resume.
pub async fn watch(
    dir: PathBuf,
    settings: DiskSettings,
    clock: Arc<dyn Clock>,
    intake: Arc<Intake>,
    apply: impl Fn(Option<&str>) + Send + Sync,
    shutdown: CancellationToken,
) {
    watch_with(&|| free_bytes(&dir), &settings, clock.as_ref(), &intake, &apply, shutdown).await;
}

async fn watch_with(
    free: &(dyn Fn() -> std::io::Result<u64> + Sync),
    settings: &DiskSettings,
    clock: &dyn Clock,
    intake: &Intake,
    apply: &(impl Fn(Option<&str>) + Sync),
    shutdown: CancellationToken,
) {
    loop {
        match free() {
            Ok(free) => match decide(free, settings, intake.paused().is_some()) {
                Decision::Keep => {}
                Decision::Pause(why) => {
                    tracing::warn!("intake is paused: {why}");
                    apply(Some(&why));
                    intake.set(Some(why));
                }
                Decision::Resume => {
                    tracing::info!("the disk has room again: intake goes on");
                    apply(None);
                    intake.set(None);
                }
            },
            Err(e) => tracing::warn!("the free space of the data directory can't be read: {e}"),
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = clock.sleep(Duration::from_millis(settings.check_interval_ms)) => {}
        }
    }
}

/// Bytes that an ordinary user can still write to the file system of `dir`.
fn free_bytes(dir: &Path) -> std::io::Result<u64> {
    let stat = rustix::fs::statvfs(dir)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests;
