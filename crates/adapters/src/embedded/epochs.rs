//! The committed epoch of each flow into each table: kept beside the rows, written in the same batch as they are.

use std::collections::BTreeMap;

use fjall::{OwnedWriteBatch, Readable, Snapshot};
use millstream_core::ports::EpochWrite;
use millstream_core::{Attempt, Epoch, Error, FlowId, Result};

use super::database::Store;
use super::error::During;
use super::keyed_table::KeyedTable;

/// The kind of these keys in the meta keyspace.
pub(super) const EPOCH: u8 = b'e';
const FORMAT: u8 = 1;

/// How far a flow has come in a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// The highest attempt that began.
    pub attempt: Attempt,
    /// The last committed epoch; 0 before the first.
    pub epoch: Epoch,
}

/// What to do with an epoch that is to be committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It is the next one.
    Write,
    /// It is committed already.
    Done,
}

impl Progress {
    /// The progress after `attempt` began.
    pub fn begin(self, flow: &FlowId, table: &str, attempt: Attempt) -> Result<Self> {
        if attempt < self.attempt {
            return Err(fenced(flow, table, attempt, self.attempt));
        }
        Ok(Self { attempt, ..self })
    }

    /// Whether `write` may be committed.
    pub fn admit(self, write: &EpochWrite) -> Result<Admission> {
        if write.attempt < self.attempt {
            return Err(fenced(&write.flow, &write.table, write.attempt, self.attempt));
        }
        if write.epoch <= self.epoch {
            return Ok(Admission::Done);
        }
        if write.epoch != self.epoch.next() {
            return Err(Error::invalid(format!(
                "flow {} writes epoch {} to table {}, whose last committed epoch is {}: there is a gap",
                write.flow, write.epoch, write.table, self.epoch
            )));
        }
        Ok(Admission::Write)
    }
}

fn fenced(flow: &FlowId, table: &str, attempt: Attempt, newer: Attempt) -> Error {
    Error::fenced(format!("attempt {attempt} of flow {flow} writes to table {table}, where attempt {newer} has begun"))
}

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
    let progress = before.begin(flow, &table.spec.name, attempt)?;
    if progress != before {
        let mut batch = store.batch(1);
        put(&mut batch, store, table.id, flow, progress);
        store.commit_anyway(batch)?;
    }
    Ok(progress.epoch)
}

/// The progress of `flow` in table number `table`.
pub(super) fn read(store: &Store, table: u32, flow: &FlowId) -> Result<Progress> {
    let value = store.meta.get(key(table, flow)).during("reading a flow's epoch")?;
    value.map_or(Ok(Progress::default()), |v| parse(&v))
}

/// Adds the progress of `flow` in table number `table` to `batch`.
pub(super) fn put(batch: &mut OwnedWriteBatch, store: &Store, table: u32, flow: &FlowId, progress: Progress) {
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

fn parse(value: &[u8]) -> Result<Progress> {
    let number = |range: std::ops::Range<usize>| value.get(range).and_then(|b| b.try_into().ok()).map(u64::from_be_bytes);
    match (value.first(), number(1..9), number(9..17)) {
        (Some(&FORMAT), Some(attempt), Some(epoch)) => Ok(Progress { attempt: Attempt(attempt), epoch: Epoch(epoch) }),
        _ => Err(Error::corrupt("a flow's epoch in the built-in store can't be read")),
    }
}
