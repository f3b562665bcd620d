//! Rows that were read, in memory, for as long as nobody changes them: Redis tells of every change under the prefix (client tracking in
//! broadcast mode, RESP3), and this process's own writes say so themselves.
//!
//! A row is filed under the count of its key that stood *before* Redis was asked, and is found only under the count that stands now; a
//! change counts up. So an answer that was overtaken by a change is never found. Should Redis fall silent, a row's age is bounded.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use millstream_core::Timestamp;
use millstream_core::ports::{Clock, CriticalRow};
use moka::sync::Cache;
use redis::{PushInfo, PushKind, Value};

/// How many counts there are. Two keys that share one make each other's rows invalid, which costs a read and is never wrong.
const COUNTS: usize = 1 << 14;

/// Memory that a row takes beside its key and columns, in bytes.
const ROW_OVERHEAD: usize = 160;

/// The rows.
pub(super) struct Front {
    rows: Cache<Vec<u8>, Held>,
    counts: Box<[AtomicU64]>,
    /// Whether the server tells of changes. Else nothing is found here.
    told: AtomicBool,
    age_max: Duration,
    clock: Arc<dyn Clock>,
}

#[derive(Clone)]
struct Held {
    count: u64,
    until: Timestamp,
    row: CriticalRow,
}

impl Front {
    /// At most `bytes` of rows, each for `age_max` at the longest.
    pub fn new(bytes: u64, age_max: Duration, clock: Arc<dyn Clock>) -> Self {
        let weigh =
            |key: &Vec<u8>, held: &Held| u32::try_from(ROW_OVERHEAD + key.len() + held.row.row.get_array_memory_size()).unwrap_or(u32::MAX);
        let rows = Cache::builder().max_capacity(bytes).weigher(weigh).build();
        let counts = (0..COUNTS).map(|_| AtomicU64::new(0)).collect();
        Self { rows, counts, told: AtomicBool::new(false), age_max, clock }
    }

    /// The count of `key`: to be read before Redis is asked.
    pub fn count(&self, key: &[u8]) -> u64 {
        self.count_of(key).load(Ordering::SeqCst)
    }

    /// The row of `key`, if it is here and stands.
    pub fn get(&self, key: &[u8]) -> Option<CriticalRow> {
        if !self.told.load(Ordering::SeqCst) {
            return None;
        }
        let held = self.rows.get(key)?;
        (held.count == self.count(key) && self.clock.now() < held.until).then_some(held.row)
    }

    /// Keeps a row that was read after `count` was.
    pub fn keep(&self, key: Vec<u8>, count: u64, row: CriticalRow) {
        if self.told.load(Ordering::SeqCst) && count == self.count(&key) {
            let until = self.clock.now().plus(self.age_max);
            self.rows.insert(key, Held { count, until, row });
        }
    }

    /// What is here of `key` no longer stands.
    pub fn changed(&self, key: &[u8]) {
        self.count_of(key).fetch_add(1, Ordering::SeqCst);
    }

    /// Nothing here stands.
    pub fn changed_all(&self) {
        for count in &self.counts {
            count.fetch_add(1, Ordering::SeqCst);
        }
        self.rows.invalidate_all();
    }

    /// A connection was made, on which the server tells of changes, or not.
    pub fn connected(&self, told: bool) {
        // What changed since the connection before broke was told to nobody.
        self.changed_all();
        self.told.store(told, Ordering::SeqCst);
    }

    /// What the server said without being asked.
    pub fn hear(&self, said: &PushInfo) {
        match (&said.kind, said.data.first()) {
            (PushKind::Invalidate, Some(Value::Array(keys))) => {
                for key in keys {
                    match key {
                        Value::BulkString(key) => self.changed(key),
                        Value::SimpleString(key) => self.changed(key.as_bytes()),
                        _ => self.changed_all(),
                    }
                }
            }
            // No keys: the server was flushed.
            (PushKind::Invalidate | PushKind::Disconnection, _) => self.changed_all(),
            _ => {}
        }
    }

    fn count_of(&self, key: &[u8]) -> &AtomicU64 {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let slot = hasher.finish() % self.counts.len() as u64;
        // The remainder is below the number of counts, so the conversion can't fail.
        &self.counts[usize::try_from(slot).unwrap_or_default()]
    }
}

/// Counts keys up when it is dropped: at the end of the write that holds it, however that ended.
pub(super) struct ChangedWhenDone<'a> {
    front: Option<&'a Front>,
    keys: Vec<&'a [u8]>,
}

impl<'a> ChangedWhenDone<'a> {
    /// For a write to `keys`.
    pub fn new(front: Option<&'a Front>, keys: impl Iterator<Item = &'a [u8]>) -> Self {
        Self { keys: if front.is_some() { keys.collect() } else { Vec::new() }, front }
    }
}

impl Drop for ChangedWhenDone<'_> {
    fn drop(&mut self) {
        if let Some(front) = self.front {
            self.keys.iter().for_each(|key| front.changed(key));
        }
    }
}

#[cfg(test)]
mod tests;
