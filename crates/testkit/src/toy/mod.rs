//! Toys: every port in memory, as simply as its contract allows, written from core's public API alone. They show that the ports can be
//! implemented, they check the suites, and they stand in for real adapters in the tests of others.
//!
//! A [`Disk`] is what survives a restart: open a toy on it, drop it, open it again. A disk can have a [`Defect`]: then the toys on it
//! break their contract in that one way, and the suite has to notice.

mod checkpoint_store;
mod critical_store;
mod defect;
mod event_log;
mod event_store;
mod lake_store;
mod reference_source;
mod report_store;
mod spill_store;
mod system_store;
mod tables;
mod topic_sink;

pub use checkpoint_store::ToyCheckpointStore;
pub use critical_store::ToyCriticalStore;
pub use defect::Defect;
pub use event_log::ToyEventLog;
pub use event_store::ToyEventStore;
pub use lake_store::ToyLakeStore;
pub use reference_source::{FixedReferenceSource, ToyReferenceSource};
pub use report_store::ToyReportStore;
pub use spill_store::ToySpillStore;
pub use system_store::ToySystemStore;
pub use topic_sink::ToyTopicSink;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// What a toy keeps between two openings.
#[derive(Debug, Default)]
pub struct Disk {
    defect: Option<Defect>,
    opened: AtomicBool,
    log: Shelf<event_log::Topics>,
    store: Shelf<Arc<event_store::Tables>>,
    reports: Shelf<Arc<report_store::Reports>>,
    critical: Shelf<critical_store::Rows>,
    lake: Shelf<lake_store::Tables>,
    spilled: Shelf<spill_store::Files>,
    checkpoints: Shelf<checkpoint_store::Flows>,
    system: Shelf<system_store::Contents>,
    reference: Shelf<reference_source::File>,
    outputs: Shelf<topic_sink::Tables>,
}

impl Disk {
    /// An empty disk on which the toys misbehave in one way.
    #[must_use]
    pub fn with_defect(defect: Defect) -> Self {
        Self { defect: Some(defect), ..Self::default() }
    }

    /// Whether the toys on this disk have `defect`.
    fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    /// Called by every toy when it is opened: empties `shelf` if the disk forgets and this is not its first opening.
    fn opening<T: Default>(&self, shelf: &Shelf<T>) {
        if self.opened.swap(true, Ordering::SeqCst) && self.has(Defect::ForgetsOnReopen) {
            *shelf.lock() = T::default();
        }
    }
}

/// State behind a lock, and a bell that rings when it changed.
#[derive(Debug, Default)]
struct Shelf<T> {
    state: Mutex<T>,
    bell: watch::Sender<u64>,
}

impl<T> Shelf<T> {
    fn lock(&self) -> MutexGuard<'_, T> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self) {
        self.bell.send_modify(|n| *n += 1);
    }

    /// Resolves when `ready` says something of the state: asked now, and whenever the bell rings.
    async fn when<R>(&self, ready: impl Fn(&T) -> Option<R> + Send) -> R {
        let mut bell = self.bell.subscribe();
        loop {
            bell.borrow_and_update();
            if let Some(found) = ready(&self.lock()) {
                return found;
            }
            // The sender lives as long as `self`.
            let _ = bell.changed().await;
        }
    }
}

#[cfg(test)]
mod tests;
