//! The built-in engines: event store, change feed, critical events, reports, checkpoints and `system.*` in one fjall database, so
//! that nothing has to be installed on one machine.
//!
//! | module | holds |
//! |---|---|
//! | `database`, `error`, `lock` | the fjall database, its durability and its errors; the lock of the data directory |
//! | `key_codec`, `row_codec`, `cells`, `feed_block` | the formats on disk, pure |
//! | `merge` | which write of a key wins, pure |
//! | `key_filter` | which keys a table surely does not hold |
//! | `registry`, `keyed_table`, `epochs` | what every table is made of |
//! | `spill_store` | files for state that outgrows its memory, beside the database |
//! | the rest | one module a port |
//!
//! It knows nothing of SQL, flows or Kafka, and no engine but fjall.

mod cells;
mod change_feed;
mod checkpoint_keyspace;
mod checkpoint_store;
mod critical_store;
mod database;
mod epochs;
mod error;
mod event_store;
mod feed_block;
mod key_codec;
mod key_filter;
mod keyed_table;
mod lock;
mod maintenance;
mod merge;
mod partition_read;
mod registry;
mod report_snapshot;
mod report_store;
mod row_codec;
#[cfg(test)]
mod seeded;
mod snapshot;
mod spill_store;
mod system_store;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use millstream_core::ports::Clock;
use millstream_core::table::is_column_type;
use millstream_core::{Error, Result, TableKind, TableSpec, Timestamp};
use serde::{Deserialize, Serialize};

pub use checkpoint_store::EmbeddedCheckpointStore;
pub use critical_store::EmbeddedCriticalStore;
pub use database::Durability;
pub use event_store::EmbeddedEventStore;
pub use lock::DataDir;
pub use maintenance::Maintained;
pub use report_store::EmbeddedReportStore;
pub use snapshot::EmbeddedSnapshot;
pub use spill_store::LocalSpillStore;
pub use system_store::EmbeddedSystemStore;

use database::{Store, blocking};
use registry::Registry;

/// Refuses a table that the built-in engines can't hold. They keep every value of every type that a column can have.
pub fn check_table(spec: &TableSpec) -> Result<()> {
    spec.validate()?;
    match spec.schema.fields().iter().find(|f| !is_column_type(f.data_type())) {
        None => Ok(()),
        Some(field) => Err(Error::unsupported(format!(
            "column {} of table {} is a {}, which no table has: CAST it",
            field.name(),
            spec.name,
            field.data_type()
        ))),
    }
}

/// The built-in change feed: the event store itself.
pub type EmbeddedChangeFeed = EmbeddedEventStore;

/// The kinds of meta keys that hang on a table's number, and go when it is dropped.
const META_KINDS_OF_A_TABLE: &[u8] = &[epochs::EPOCH, change_feed::FLOOR, report_store::POINTER];

/// How the built-in store works. The default suits a laptop: about 200 MB at most.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreSettings {
    /// What a write that returned survives.
    pub durability: Durability,
    /// Memory for blocks of files that were read, in bytes.
    pub cache_bytes: u64,
    /// The most that one of the two large keyspaces (rows, change feed) keeps in memory before it writes a file, in bytes; the others
    /// keep a part of it. Up to four such pieces of a keyspace can exist while the disk is slow.
    pub memtable_bytes: u64,
    /// The most that the journal takes on disk, in bytes (at least 64 MiB).
    pub journal_bytes: u64,
    /// Below so many free bytes on the disk nothing new is taken.
    pub free_bytes_min: u64,
    /// Memory for critical events in front of the store, in bytes.
    pub critical_front_bytes: u64,
    /// How long changes stay in the change feed.
    pub feed_retention: Duration,
    /// How long a delete is remembered, so that older writes that come later lose.
    pub tombstone_grace: Duration,
}

impl StoreSettings {
    /// The smallest journal that fjall takes.
    pub const JOURNAL_BYTES_MIN: u64 = 64 << 20;
}

impl Default for StoreSettings {
    fn default() -> Self {
        const DAY: Duration = Duration::from_hours(24);
        Self {
            durability: Durability::default(),
            cache_bytes: 64 << 20,
            memtable_bytes: 16 << 20,
            journal_bytes: 256 << 20,
            free_bytes_min: 256 << 20,
            critical_front_bytes: 16 << 20,
            feed_retention: DAY * 7,
            tombstone_grace: DAY * 10,
        }
    }
}

impl StoreSettings {
    /// Refuses what can't work.
    pub fn validate(&self) -> Result<()> {
        if self.memtable_bytes < 1 << 20 {
            return Err(Error::invalid(format!("store.memtable_bytes is {}: it must be at least 1048576 (1 MiB)", self.memtable_bytes)));
        }
        if self.journal_bytes < Self::JOURNAL_BYTES_MIN {
            return Err(Error::invalid(format!("store.journal_bytes is {}: it must be at least 67108864 (64 MiB)", self.journal_bytes)));
        }
        Ok(())
    }
}

/// All built-in engines of one data directory, over one database. Who opens it must hold the [`DataDir`].
pub struct EmbeddedStore {
    store: Arc<Store>,
    settings: StoreSettings,
    events: Arc<EmbeddedEventStore>,
    critical: Arc<EmbeddedCriticalStore>,
    reports: Arc<EmbeddedReportStore>,
    checkpoints: Arc<EmbeddedCheckpointStore>,
    system: Arc<EmbeddedSystemStore>,
}

impl EmbeddedStore {
    /// Opens the database in `dir`, or makes it: replays its journal and finishes what a crash left undone. Blocks.
    pub fn open(dir: impl AsRef<Path>, settings: StoreSettings, clock: Arc<dyn Clock>) -> Result<Arc<Self>> {
        settings.validate()?;
        let store = Arc::new(Store::open(dir.as_ref(), &settings, clock.clone())?);
        registry::sweep(&store)?;
        let changes = Arc::new(Mutex::new(()));
        let tables = Arc::new(Registry::open(store.clone(), TableKind::EventStore, changes.clone())?);
        let critical = Arc::new(Registry::open(store.clone(), TableKind::Critical, changes.clone())?);
        let reports = Arc::new(Registry::open(store.clone(), TableKind::Report, changes)?);
        let front = settings.critical_front_bytes;
        Ok(Arc::new(Self {
            events: Arc::new(EmbeddedEventStore::new(store.clone(), clock.clone(), tables)),
            critical: Arc::new(EmbeddedCriticalStore::new(store.clone(), clock.clone(), critical, front)),
            reports: Arc::new(EmbeddedReportStore::new(store.clone(), clock, reports)),
            checkpoints: Arc::new(EmbeddedCheckpointStore::new(store.clone())),
            system: Arc::new(EmbeddedSystemStore::new(store.clone())),
            store,
            settings,
        }))
    }

    /// The event store.
    #[must_use]
    pub fn events(&self) -> Arc<EmbeddedEventStore> {
        self.events.clone()
    }

    /// The change feed of the event store.
    #[must_use]
    pub fn feed(&self) -> Arc<EmbeddedChangeFeed> {
        self.events.clone()
    }

    /// The store of critical events.
    #[must_use]
    pub fn critical(&self) -> Arc<EmbeddedCriticalStore> {
        self.critical.clone()
    }

    /// The report store.
    #[must_use]
    pub fn reports(&self) -> Arc<EmbeddedReportStore> {
        self.reports.clone()
    }

    /// The checkpoint store.
    #[must_use]
    pub fn checkpoints(&self) -> Arc<EmbeddedCheckpointStore> {
        self.checkpoints.clone()
    }

    /// Dead letters, late rows, job runs and properties.
    #[must_use]
    pub fn system(&self) -> Arc<EmbeddedSystemStore> {
        self.system.clone()
    }

    /// Removes expired rows, tombstones that are old enough, and changes that the feed no longer keeps, as of `now`. To be called
    /// every few minutes; a pass reads a table only when something in it can be due. Writers wait only for one batch of it.
    pub async fn maintain(self: &Arc<Self>, now: Timestamp) -> Result<Maintained> {
        let this = self.clone();
        blocking(move || {
            let (store, grace, mut done) = (&this.store, this.settings.tombstone_grace, Maintained::default());
            for table in this.events.tables.all()? {
                gone_is_fine(maintenance::collect_rows(store, &store.rows, &table.keyed, now, grace, &mut done))?;
                gone_is_fine(maintenance::prune_feed(store, &table, now, this.settings.feed_retention, &mut done))?;
            }
            for table in this.critical.tables.all()? {
                gone_is_fine(maintenance::collect_rows(store, &store.critical, &table.keyed, now, grace, &mut done))?;
            }
            for report in this.reports.reports.all()? {
                gone_is_fine(maintenance::collect_rows(store, &store.rows, &report.keyed, now, grace, &mut done))?;
            }
            store.flush_checkpoints()?;
            Ok(done)
        })
        .await
    }

    /// Bytes that the database takes on disk.
    pub fn disk_bytes(&self) -> Result<u64> {
        self.store.disk_bytes()
    }
}

/// A table that was dropped in the middle of a pass needs none.
fn gone_is_fine(result: Result<()>) -> Result<()> {
    match result {
        Err(e) if e.kind() == millstream_core::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
