//! The keyspace of checkpoints, whose values are large and soon removed (ADR 0004).
//!
//! It knows how they lie on disk, and of what is in them no more than that the attempt comes first.

use std::sync::Arc;

use fjall::compaction::Leveled;
use fjall::{Database, KeyspaceCreateOptions, KvSeparationOptions, PersistMode};
use millstream_core::Result;

use super::database::Store;
use super::error::During;

pub(super) const NAME: &str = "flow_checkpoints";

/// Where earlier programs kept them, with the values among the keys.
const FORMER: &str = "checkpoints";

/// Values of so many bytes are kept in files of their own, beside the keys.
const APART_MIN: u32 = 16 << 10;

/// Such a file is ended at so many bytes. It is removed when nothing in it is left, so that a checkpoint that is kept holds no more than that of removed ones.
const FILE_BYTES: u64 = 1 << 20;

/// Keys, and values that are kept among them, are in one level up to so many bytes. There a key meets its removal at the next merge; further levels would part them.
const LEVEL_BYTES: u64 = 256 << 20;

/// More than the whole of a file: fjall never writes what is left of one into another.
const NEVER: f32 = 2.0;

/// A batch of what is taken over ends at so many bytes.
const BATCH_BYTES: usize = 4 << 20;

/// All values begin with a format byte and the attempt that put them, eight bytes, big endian.
const ATTEMPT_ENDS: usize = 9;

/// How the keyspace is made.
pub(super) fn options() -> KeyspaceCreateOptions {
    let apart = KvSeparationOptions::default().separation_threshold(APART_MIN).file_target_size(FILE_BYTES).staleness_threshold(NEVER);
    // What is written is merged at once: there is little of it.
    let merged = Leveled::default().with_l0_threshold(1).with_table_target_size(LEVEL_BYTES);
    KeyspaceCreateOptions::default().with_kv_separation(Some(apart)).compaction_strategy(Arc::new(merged))
}

/// Takes over what an earlier program has left, and removes it there. To be called before anything else writes; what a crash interrupts, the next start does again.
pub(super) fn take_over(db: &Database, store: &Store) -> Result<()> {
    if !db.keyspace_exists(FORMER) {
        return Ok(());
    }
    let former = db.keyspace(FORMER, KeyspaceCreateOptions::default).during("opening a keyspace").map_err(|e| e.context(FORMER))?;
    let (mut batch, mut bytes) = (store.batch(16), 0);
    for entry in former.iter() {
        let (key, value) = entry.into_inner().during("reading a checkpoint of an earlier program")?;
        // The earlier program may have run again after a part was taken over. Of two values of a key the one of the later attempt is the newer one.
        let there = store.checkpoints.get(&key).during("looking for a checkpoint")?;
        if there.is_some_and(|there| there.get(..ATTEMPT_ENDS) >= value.get(..ATTEMPT_ENDS)) {
            continue;
        }
        bytes += value.len();
        batch.insert(&store.checkpoints, key, value);
        if bytes >= BATCH_BYTES {
            store.commit(std::mem::replace(&mut batch, store.batch(16)))?;
            bytes = 0;
        }
    }
    store.commit(batch)?;
    db.persist(PersistMode::SyncAll).during("syncing checkpoints")?;
    db.delete_keyspace(former).during("removing the keyspace of an earlier program")
}

#[cfg(test)]
mod tests;
