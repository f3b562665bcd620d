//! Keeping the store small: expired rows, old tombstones and old blocks of the change feeds are removed.
//!
//! Nothing that a read could see is touched: an expired row is invisible already, a tombstone outlives every write that it has to
//! beat, and a feed says where it begins.

use std::sync::atomic::Ordering;
use std::time::Duration;

use fjall::{Keyspace, Readable, Snapshot, UserKey};
use millstream_core::time::micros_of;
use millstream_core::{Result, Timestamp};

use super::change_feed::{FEED_RANGES, floor_key};
use super::database::Store;
use super::error::During;
use super::event_store::EventTable;
use super::feed_block::{self, Block};
use super::keyed_table::KeyedTable;
use super::merge::Expiry;
use super::row_codec::Stored;

/// So many keys are removed in one batch: a writer waits no longer than for that.
const KEYS_A_BATCH: usize = 4096;

/// What a pass removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Maintained {
    /// Rows that had expired.
    pub expired_rows: u64,
    /// Tombstones that were old enough.
    pub tombstones: u64,
    /// Changes that had been in the feed for longer than it keeps them.
    pub feed_changes: u64,
}

/// When a stored row or tombstone can be removed, in microseconds.
fn due(stored: &Stored<'_>, expiry: Expiry, grace: i64) -> i64 {
    match stored {
        Stored::Row { version, .. } => expiry.gone_at(*version),
        // With a TTL: whatever it beats has expired by then.
        Stored::Tombstone { version, written } => written.saturating_add(grace).min(expiry.gone_at(*version)),
    }
}

/// Removes expired rows and old tombstones of a table, a batch at a time.
pub(super) fn collect_rows(
    store: &Store,
    keyspace: &Keyspace,
    table: &KeyedTable,
    now: Timestamp,
    grace: Duration,
    done: &mut Maintained,
) -> Result<()> {
    if table.garbage_due.load(Ordering::Relaxed) > now.0 {
        return Ok(());
    }
    // No commit is under way here: what a later one writes need not be in the snapshot, for it lowers the mark again.
    let snapshot = table.exclusively(|| {
        table.garbage_due.store(i64::MAX, Ordering::Relaxed);
        Ok(store.snapshot())
    })?;
    let passed = pass(store, keyspace, table, &snapshot, (table.expiry(now), micros_of(grace)), done);
    if passed.is_err() {
        table.note_garbage(i64::MIN);
    }
    passed
}

fn pass(
    store: &Store,
    keyspace: &Keyspace,
    table: &KeyedTable,
    snapshot: &Snapshot,
    (expiry, grace): (Expiry, i64),
    done: &mut Maintained,
) -> Result<()> {
    let mut prefix = Vec::new();
    table.keys.put_table(&mut prefix);
    let mut found: Vec<UserKey> = Vec::new();
    for entry in snapshot.prefix(keyspace, &prefix) {
        let (key, value) = entry.into_inner().during("looking for expired rows")?;
        let due = due(&Stored::parse(&value)?, expiry, grace);
        if due > expiry.now {
            table.note_garbage(due);
            continue;
        }
        found.push(key);
        if found.len() == KEYS_A_BATCH {
            remove(store, keyspace, table, expiry, grace, &mut found, done)?;
        }
    }
    remove(store, keyspace, table, expiry, grace, &mut found, done)
}

/// Removes those of `found` that are still old: a writer may have been there since.
fn remove(
    store: &Store,
    keyspace: &Keyspace,
    table: &KeyedTable,
    expiry: Expiry,
    grace: i64,
    found: &mut Vec<UserKey>,
    done: &mut Maintained,
) -> Result<()> {
    table.exclusively(|| {
        let mut batch = store.batch(found.len());
        for key in found.drain(..) {
            let Some(value) = keyspace.get(&key).during("looking at an expired row")? else { continue };
            let stored = Stored::parse(&value)?;
            if due(&stored, expiry, grace) > expiry.now {
                continue;
            }
            match stored {
                Stored::Row { .. } => done.expired_rows += 1,
                Stored::Tombstone { .. } => done.tombstones += 1,
            }
            batch.remove(keyspace, key);
        }
        store.commit_anyway(batch)
    })
}

/// Removes the blocks of a table's feed that were committed before `retention`, and says so in the feed's beginning.
pub(super) fn prune_feed(store: &Store, table: &EventTable, now: Timestamp, retention: Duration, done: &mut Maintained) -> Result<()> {
    let oldest = now.minus(retention).0;
    for range in 0..FEED_RANGES {
        loop {
            let mut batch = store.batch(KEYS_A_BATCH);
            let mut floor = None;
            let mut changes = 0;
            for entry in store.snapshot().prefix(&store.feed, &feed_block::key(table.keyed.id, range as u32, 0)[..8]).take(KEYS_A_BATCH) {
                let (key, value) = entry.into_inner().during("looking for old changes")?;
                let block = Block::parse(&value)?;
                if block.committed >= oldest {
                    break;
                }
                floor = Some(feed_block::last_of(&key)?);
                changes += u64::from(block.count);
                batch.remove(&store.feed, key);
            }
            let Some(floor) = floor else { break };
            let full = batch.len() == KEYS_A_BATCH;
            table.keyed.exclusively(|| {
                batch.insert(&store.meta, floor_key(table.keyed.id, range), floor.to_be_bytes());
                store.commit_anyway(batch)?;
                table.ends.send_modify(|ends| ends.floor[range] = floor);
                Ok(())
            })?;
            done.feed_changes += changes;
            if !full {
                break;
            }
        }
    }
    Ok(())
}
