//! The built-in store's settings, as they stand under `[store]`.

use std::time::Duration;

use millstream_adapters::embedded::{Durability, StoreSettings};
use millstream_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// Memory, disk and retention of the built-in store. Durability and the bound on free space are settings of the whole program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// Memory for blocks of files that were read.
    pub cache_bytes: u64,
    /// The most that a keyspace keeps in memory before it writes a file.
    pub memtable_bytes: u64,
    /// The most that the journal takes on disk.
    pub journal_bytes: u64,
    /// Memory for critical events in front of the store.
    pub critical_front_bytes: u64,
    /// How long changes stay in the change feed.
    pub feed_retention_s: u64,
    /// How long a delete is remembered.
    pub tombstone_grace_s: u64,
    /// How often what is expired gives its space back; at least 1.
    pub upkeep_interval_s: u64,
}

impl Default for StoreConfig {
    fn default() -> Self {
        let store = StoreSettings::default();
        Self {
            cache_bytes: store.cache_bytes,
            memtable_bytes: store.memtable_bytes,
            journal_bytes: store.journal_bytes,
            critical_front_bytes: store.critical_front_bytes,
            feed_retention_s: store.feed_retention.as_secs(),
            tombstone_grace_s: store.tombstone_grace.as_secs(),
            upkeep_interval_s: 300,
        }
    }
}

impl StoreConfig {
    /// What the adapter gets. It refuses writes at half of `free_bytes_min`: intake is paused long before that, so what is in can still
    /// be processed.
    pub fn to_settings(&self, durability: Durability, free_bytes_min: u64) -> StoreSettings {
        let defaults = StoreSettings::default();
        StoreSettings {
            durability,
            cache_bytes: self.cache_bytes,
            memtable_bytes: self.memtable_bytes,
            journal_bytes: self.journal_bytes,
            free_bytes_min: defaults.free_bytes_min.min(free_bytes_min / 2),
            critical_front_bytes: self.critical_front_bytes,
            feed_retention: Duration::from_secs(self.feed_retention_s),
            tombstone_grace: Duration::from_secs(self.tombstone_grace_s),
        }
    }

    pub(super) fn validate(&self) -> Result<()> {
        if self.upkeep_interval_s == 0 {
            return Err(Error::invalid("store.upkeep_interval_s is 0: set it to at least 1"));
        }
        self.to_settings(Durability::default(), 0).validate()
    }
}
