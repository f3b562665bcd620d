//! The committed epoch of each flow into each table: kept beside the rows, written in the same batch as they are.

use std::collections::BTreeMap;

use fjall::{OwnedWriteBatch, Readable, Snapshot};
use millstream_core::admission::FlowProgress;
use millstream_core::{Attempt, Epoch, Error, FlowId, Result};

use super::database::Store;
use super::error::During;
use super::keyed_table::KeyedTable;

/// The kind of these keys in the meta keyspace.
pub(super) const EPOCH: u8 = b'e';
const FORMAT: u8 = 1;

fn key(table: u32, flow: &FlowId) -> Vec<u8> {
    [&[EPOCH], table.to_be_bytes().as_slice(), flow.as_str().as_bytes()].concat()
}

/// Begins `attempt` of `flow` in `table`: fences the lower ones and returns the last committed epoch. Blocks.
pub(super) fn begin(store: &Store, table: &KeyedTable, flow: &FlowId, attempt: Attempt) -> Result<Epoch> {
    table.exclusively(|| begin_alone(store, table, flow, attempt))
}

/// The same for who holds the table already.
pub(super) fn begin_alone(store: &Store, table: &KeyedTable, flow: &FlowId, attempt: Attempt) -> Result<Epoch> {
    let before = read(store, table.id, flow)?;
    let progress = before.begin(flow, attempt, &table.spec.name)?;
    if progress != before {
        let mut batch = store.batch(1);
        put(&mut batch, store, table.id, flow, progress);
        store.commit_anyway(batch)?;
    }
    Ok(progress.epoch)
}

/// The progress of `flow` in table number `table`.
pub(super) fn read(store: &Store, table: u32, flow: &FlowId) -> Result<FlowProgress> {
    let value = store.meta.get(key(table, flow)).during("reading a flow's epoch")?;
    value.map_or(Ok(FlowProgress::default()), |v| parse(&v))
}

/// Adds the progress of `flow` in table number `table` to `batch`.
pub(super) fn put(batch: &mut OwnedWriteBatch, store: &Store, table: u32, flow: &FlowId, progress: FlowProgress) {
    let mut value = [FORMAT; 17];
    value[1..9].copy_from_slice(&progress.attempt.0.to_be_bytes());
    value[9..].copy_from_slice(&progress.epoch.0.to_be_bytes());
    batch.insert(&store.meta, key(table, flow), value);
}

/// The committed epochs of all flows into table number `table`, as of `snapshot`.
pub(super) fn all(store: &Store, snapshot: &Snapshot, table: u32) -> Result<BTreeMap<FlowId, Epoch>> {
    let prefix = key(table, &FlowId::new(""));
    let mut epochs = BTreeMap::new();
    for entry in snapshot.prefix(&store.meta, &prefix) {
        let (key, value) = entry.into_inner().during("reading a flow's epoch")?;
        let flow = std::str::from_utf8(&key[prefix.len()..]).map_err(|e| Error::corrupt("a flow's name isn't UTF-8").caused_by(e))?;
        epochs.insert(FlowId::new(flow), parse(&value)?.epoch);
    }
    Ok(epochs)
}

fn parse(value: &[u8]) -> Result<FlowProgress> {
    let number = |range: std::ops::Range<usize>| value.get(range).and_then(|b| b.try_into().ok()).map(u64::from_be_bytes);
    match (value.first(), number(1..9), number(9..17)) {
        (Some(&FORMAT), Some(attempt), Some(epoch)) => Ok(FlowProgress { attempt: Attempt(attempt), epoch: Epoch(epoch) }),
        _ => Err(Error::corrupt("a flow's epoch in the built-in store can't be read")),
    }
}
