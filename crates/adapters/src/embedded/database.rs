//! The fjall database under all built-in engines: its keyspaces, how durable a write is, and how blocking work leaves the runtime.
//!
//! It knows keys and values, and nothing of tables, rows or epochs.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use fjall::{AbstractTree, Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode, Snapshot};
use millstream_core::brief::Brief;
use millstream_core::ports::Clock;
use millstream_core::{Error, Result, Size};

use super::error::During;
use super::{StoreSettings, checkpoint_keyspace};

/// How much a write survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// A write that returned is with the operating system: it survives the death of the process (kill -9), not a power loss.
    #[default]
    Process,
    /// A write that returned is on the disk (`fsync`).
    Fsync,
}

/// The open database. Dropping the last handle ends fjall's own threads.
pub(super) struct Store {
    db: Database,
    path: PathBuf,
    brief: Brief,
    durability: Durability,
    free_bytes_min: u64,
    /// Table registry, epochs, report pointers, numbers: small and read at start.
    pub meta: Keyspace,
    /// Rows of event-store tables, and of relational tables that flows write.
    pub rows: Keyspace,
    /// Blocks of the change feeds.
    pub feed: Keyspace,
    /// Critical events.
    pub critical: Keyspace,
    /// Rows of reports that were published, by generation.
    pub reports: Keyspace,
    /// Checkpoints of flows, and their attempts.
    pub checkpoints: Keyspace,
    /// Dead letters, late rows, job runs, properties.
    pub system: Keyspace,
    /// Each of them with the most that it keeps in memory before it writes a file, in bytes.
    memtables: Vec<(Keyspace, u64)>,
    /// Held while files are begun.
    rotating: Mutex<()>,
}

impl Store {
    /// Opens the database in `path`, or makes it. Blocks: replays the journal.
    pub fn open(path: &Path, settings: &StoreSettings, clock: Arc<dyn Clock>) -> Result<Self> {
        let db = Database::builder(path)
            .cache_size(settings.cache_bytes)
            // One worker: of several the first hands compactions round and round while it waits for flushes, at the cost of a core.
            .worker_threads(1)
            .max_journaling_size(settings.journal_bytes.max(StoreSettings::JOURNAL_BYTES_MIN))
            .open()
            .during("opening it")
            .map_err(|e| e.context(path.display()))?;
        let mut memtables = Vec::new();
        let mut keyspace = |name: &str, options: KeyspaceCreateOptions, memtable: u64| -> Result<Keyspace> {
            // Never full for fjall: see `rotate_full`.
            let options = || options.max_memtable_size(u64::MAX);
            let opened = db.keyspace(name, options).during("opening a keyspace").map_err(|e| e.context(name))?;
            memtables.push((opened.clone(), memtable));
            Ok(opened)
        };
        let plain = KeyspaceCreateOptions::default;
        let large = settings.memtable_bytes;
        let small = (large / 8).max(1 << 20);
        let store = Self {
            meta: keyspace("meta", plain(), small)?,
            rows: keyspace("rows", plain(), large)?,
            feed: keyspace("feed", plain(), large)?,
            critical: keyspace("critical", plain(), large / 2)?,
            reports: keyspace("reports", plain(), large / 2)?,
            checkpoints: keyspace(checkpoint_keyspace::NAME, checkpoint_keyspace::options(), large / 2)?,
            system: keyspace("system", plain(), small)?,
            memtables,
            rotating: Mutex::default(),
            path: path.to_owned(),
            brief: Brief::new(clock),
            durability: settings.durability,
            free_bytes_min: settings.free_bytes_min,
            db,
        };
        checkpoint_keyspace::take_over(&store.db, &store)?;
        Ok(store)
    }

    /// A batch: all its writes become visible, and survive, together or not at all.
    pub fn batch(&self, writes: usize) -> OwnedWriteBatch {
        let mode = match self.durability {
            Durability::Process => PersistMode::Buffer,
            Durability::Fsync => PersistMode::SyncAll,
        };
        OwnedWriteBatch::with_capacity(self.db.clone(), writes).durability(Some(mode))
    }

    /// Commits a batch that brings new data. [`Exhausted`](millstream_core::ErrorKind::Exhausted), and nothing written, when the disk
    /// is nearly full: fjall stops for good at the first write that fails, so the bound is watched before it is met.
    pub fn commit(&self, batch: OwnedWriteBatch) -> Result<()> {
        self.check_room()?;
        self.commit_anyway(batch)
    }

    /// Commits a batch that frees space, or that is needed to stop in good order, however full the disk is.
    pub fn commit_anyway(&self, batch: OwnedWriteBatch) -> Result<()> {
        batch.commit().during("writing a batch")?;
        self.rotate_full();
        Ok(())
    }

    /// Begins files for keyspaces that keep as much in memory as they may. Fjall would leave that to its worker, with a message a commit: while a long merge keeps it busy,
    /// memory grows, and the messages fill its queue; and what it then wants to tell itself it could not, and would wait for itself for good.
    fn rotate_full(&self) {
        let is_full = |(keyspace, bytes_max): &&(Keyspace, u64)| keyspace.tree.active_memtable().size() > *bytes_max;
        if !self.memtables.iter().any(|memtable| is_full(&memtable)) {
            return;
        }
        // Another thread is at it.
        let Ok(_turn) = self.rotating.try_lock() else { return };
        for (keyspace, _) in self.memtables.iter().filter(is_full) {
            if let Err(error) = keyspace.rotate_memtable() {
                // What was written is written; the next commit tries again.
                tracing::warn!(%error, keyspace = &**keyspace.name(), "the built-in store can't begin a file");
            }
        }
    }

    fn check_room(&self) -> Result<()> {
        let Ok(disk) = rustix::fs::statvfs(&self.path) else { return Ok(()) };
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free < self.free_bytes_min {
            return Err(Error::exhausted(format!(
                "the disk of {} has {} left and the built-in store keeps {} free; make room on it",
                self.path.display(),
                Size(free),
                Size(self.free_bytes_min)
            )));
        }
        Ok(())
    }

    /// A view of all keyspaces at one moment, in which each batch is whole or absent.
    pub fn snapshot(&self) -> Snapshot {
        self.db.snapshot()
    }

    /// Has what was written of checkpoints merged, also where hardly any are written: what was removed gives its space back then. Doesn't wait for it.
    /// Not on a disk that is nearly full: a file has to be written first.
    pub fn flush_checkpoints(&self) -> Result<()> {
        if self.check_room().is_err() {
            return Ok(());
        }
        self.checkpoints.rotate_memtable().during("flushing checkpoints")?;
        Ok(())
    }

    /// Bytes on disk.
    pub fn disk_bytes(&self) -> Result<u64> {
        self.db.disk_space().during("measuring it")
    }

    /// Removes every key of `keyspace` that begins with `prefix`, in batches. Not atomic: only for what nobody can reach any more.
    pub fn remove_prefix(&self, keyspace: &Keyspace, prefix: &[u8]) -> Result<u64> {
        const KEYS_A_BATCH: usize = 10_000;
        let mut removed = 0;
        loop {
            let mut batch = self.batch(KEYS_A_BATCH);
            for entry in keyspace.prefix(prefix).take(KEYS_A_BATCH) {
                batch.remove(keyspace, entry.key().during("reading a key")?);
            }
            let found = batch.len();
            self.commit_anyway(batch)?;
            removed += found as u64;
            if found < KEYS_A_BATCH {
                return Ok(removed);
            }
        }
    }
}

/// Runs work that writes about `bytes` to the store: a little where it is asked for, unless each write waits for the disk; else as [`blocking`] does.
pub(super) async fn writing<T: Send + 'static>(
    store: &Arc<Store>,
    bytes: usize,
    work: impl FnOnce(&Store) -> Result<T> + Send + 'static,
) -> Result<T> {
    let owned = store.clone();
    let cost = match store.durability {
        Durability::Process => bytes,
        Durability::Fsync => usize::MAX,
    };
    store.brief.work(cost, move || work(&owned)).await?
}

/// Runs blocking work outside of the runtime's threads. It runs to its end even if the future is dropped.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(ended) => Err(Error::internal("a task of the built-in store ended abnormally").caused_by(ended)),
    }
}

/// Locks a mutex. One that was poisoned guards a state that nobody knows: the caller must not go on.
pub(super) fn lock<T>(mutex: &std::sync::Mutex<T>) -> Result<std::sync::MutexGuard<'_, T>> {
    mutex.lock().map_err(|_| Error::internal("a task of the built-in store ended in the middle of a write; restart the process"))
}

#[cfg(test)]
mod tests;
