//! [`EmbeddedCheckpointStore`]: flows' checkpoints and attempts in a keyspace of their own.
//!
//! A checkpoint's key is `c`, the flow's name (escaped), the epoch (big endian); its value is a format byte, the attempt that put it
//! (u64), the CRC-32C of the payload (RFC 3720) and the payload. An attempt's key is `a` and the flow's name, its value a format byte
//! and the number.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use millstream_core::ports::CheckpointStore;
use millstream_core::{Attempt, Epoch, Error, FlowId, Result};

use super::database::{Store, blocking, lock, writing};
use super::error::During;
use super::key_codec::{put_bytes, take_bytes};

const ATTEMPT: u8 = b'a';
const CHECKPOINT: u8 = b'c';
const FORMAT: u8 = 1;
const HEADER_BYTES: usize = 1 + 8 + 4;

/// The built-in checkpoint store.
pub struct EmbeddedCheckpointStore {
    store: Arc<Store>,
    /// Held while an attempt is compared and something is written for it.
    pruned: Arc<Mutex<Pruned>>,
}

/// For each flow an epoch before which no checkpoint is left: what was removed there need not be passed over again.
type Pruned = HashMap<FlowId, Epoch>;

impl EmbeddedCheckpointStore {
    pub(super) fn new(store: Arc<Store>) -> Self {
        Self { store, pruned: Arc::default() }
    }

    async fn write<T: Send + 'static>(&self, work: impl FnOnce(&Store, &mut Pruned) -> Result<T> + Send + 'static) -> Result<T> {
        let (store, pruned) = (self.store.clone(), self.pruned.clone());
        blocking(move || {
            let mut pruned = lock(&pruned)?;
            work(&store, &mut pruned)
        })
        .await
    }

    async fn read<T: Send + 'static>(&self, work: impl FnOnce(&Store) -> Result<T> + Send + 'static) -> Result<T> {
        let store = self.store.clone();
        blocking(move || work(&store)).await
    }
}

fn key(kind: u8, flow: &FlowId) -> Vec<u8> {
    let mut key = vec![kind];
    put_bytes(flow.as_str().as_bytes(), &mut key);
    key
}

fn checkpoint_key(flow: &FlowId, epoch: Epoch) -> Vec<u8> {
    let mut key = key(CHECKPOINT, flow);
    key.extend_from_slice(&epoch.0.to_be_bytes());
    key
}

fn attempt_of(store: &Store, flow: &FlowId) -> Result<Attempt> {
    let Some(value) = store.checkpoints.get(key(ATTEMPT, flow)).during("reading a flow's attempt")? else {
        return Ok(Attempt(0));
    };
    match value.split_first() {
        Some((&FORMAT, number)) => number.try_into().ok().map(|n| Attempt(u64::from_be_bytes(n))),
        _ => None,
    }
    .ok_or_else(|| Error::corrupt(format!("the attempt of flow {flow} in the built-in checkpoint store can't be read")))
}

fn check_attempt(store: &Store, flow: &FlowId, attempt: Attempt) -> Result<()> {
    let newest = attempt_of(store, flow)?;
    if attempt < newest {
        return Err(Error::fenced(format!("attempt {attempt} of flow {flow} writes a checkpoint, and attempt {newest} has begun")));
    }
    Ok(())
}

fn encode(attempt: Attempt, payload: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(HEADER_BYTES + payload.len());
    value.push(FORMAT);
    value.extend_from_slice(&attempt.0.to_be_bytes());
    value.extend_from_slice(&crc32c::crc32c(payload).to_be_bytes());
    value.extend_from_slice(payload);
    value
}

fn decode(flow: &FlowId, epoch: Epoch, value: &[u8]) -> Result<Bytes> {
    let bad = |why: &str| Error::corrupt(format!("the checkpoint of flow {flow} at epoch {epoch} {why}; go back to an older one"));
    let (head, payload) = value.split_at_checked(HEADER_BYTES).ok_or_else(|| bad("is cut off"))?;
    if head[0] != FORMAT {
        return Err(bad(&format!("has format {}, and this build reads format {FORMAT}", head[0])));
    }
    if head[9..] != crc32c::crc32c(payload).to_be_bytes() {
        return Err(bad("fails its checksum"));
    }
    Ok(Bytes::copy_from_slice(payload))
}

/// Removes the checkpoints of `epochs`.
fn remove(store: &Store, flow: &FlowId, epochs: Range<Epoch>) -> Result<()> {
    let mut batch = store.batch(16);
    for key in store.checkpoints.range(checkpoint_key(flow, epochs.start)..checkpoint_key(flow, epochs.end)) {
        batch.remove(&store.checkpoints, key.key().during("listing checkpoints")?);
    }
    store.commit_anyway(batch)
}

fn epochs_of(store: &Store, flow: &FlowId) -> Result<Vec<Epoch>> {
    let prefix = key(CHECKPOINT, flow);
    store
        .checkpoints
        .prefix(&prefix)
        .map(|entry| {
            let key = entry.key().during("listing checkpoints")?;
            let epoch =
                key[prefix.len()..].try_into().map_err(|_| Error::corrupt(format!("a checkpoint's key of flow {flow} is cut off")))?;
            Ok(Epoch(u64::from_be_bytes(epoch)))
        })
        .collect()
}

#[async_trait]
impl CheckpointStore for EmbeddedCheckpointStore {
    async fn claim(&self, flow: &FlowId) -> Result<Attempt> {
        let flow = flow.clone();
        self.write(move |store, _| {
            let attempt = attempt_of(store, &flow)?.next();
            let mut value = [FORMAT; 9];
            value[1..].copy_from_slice(&attempt.0.to_be_bytes());
            let mut batch = store.batch(1);
            batch.insert(&store.checkpoints, key(ATTEMPT, &flow), value);
            store.commit_anyway(batch)?;
            Ok(attempt)
        })
        .await
    }

    async fn put(&self, flow: &FlowId, attempt: Attempt, epoch: Epoch, checkpoint: Bytes) -> Result<()> {
        let (flow, pruned) = (flow.clone(), self.pruned.clone());
        writing(&self.store, checkpoint.len(), move |store| {
            let mut pruned = lock(&pruned)?;
            check_attempt(store, &flow, attempt)?;
            let mut batch = store.batch(1);
            batch.insert(&store.checkpoints, checkpoint_key(&flow, epoch), encode(attempt, &checkpoint));
            pruned.entry(flow).and_modify(|before| *before = epoch.min(*before));
            store.commit(batch)
        })
        .await
    }

    async fn get(&self, flow: &FlowId, epoch: Epoch) -> Result<Option<Bytes>> {
        let flow = flow.clone();
        self.read(move |store| {
            let value = store.checkpoints.get(checkpoint_key(&flow, epoch)).during("reading a checkpoint")?;
            value.map(|v| decode(&flow, epoch, &v)).transpose()
        })
        .await
    }

    async fn epochs(&self, flow: &FlowId) -> Result<Vec<Epoch>> {
        let flow = flow.clone();
        self.read(move |store| epochs_of(store, &flow)).await
    }

    async fn prune(&self, flow: &FlowId, attempt: Attempt, keep_from: Epoch) -> Result<()> {
        let flow = flow.clone();
        self.write(move |store, pruned| {
            check_attempt(store, &flow, attempt)?;
            let from = pruned.get(&flow).copied().unwrap_or(Epoch(0));
            if from < keep_from {
                remove(store, &flow, from..keep_from)?;
                pruned.insert(flow, keep_from);
            }
            Ok(())
        })
        .await
    }

    async fn forget_after(&self, flow: &FlowId, attempt: Attempt, epoch: Epoch) -> Result<()> {
        let flow = flow.clone();
        self.write(move |store, _| {
            check_attempt(store, &flow, attempt)?;
            remove(store, &flow, epoch.next()..Epoch(u64::MAX))
        })
        .await
    }

    async fn forget(&self, flow: &FlowId) -> Result<()> {
        let flow = flow.clone();
        self.write(move |store, pruned| {
            pruned.remove(&flow);
            remove(store, &flow, Epoch(0)..Epoch(u64::MAX))
        })
        .await
    }

    async fn flows(&self) -> Result<Vec<FlowId>> {
        self.read(|store| {
            let mut flows = Vec::new();
            let mut from = vec![CHECKPOINT];
            // One seek a flow: on to the first key after all of this one's.
            while let Some(entry) = store.checkpoints.range(from.as_slice()..[CHECKPOINT + 1].as_slice()).next() {
                let key = entry.key().during("listing checkpoints")?;
                let name = take_bytes(&key[1..]).and_then(|(name, _)| String::from_utf8(name).ok());
                let flow = FlowId(name.ok_or_else(|| Error::corrupt("a checkpoint's key holds no flow's name"))?);
                from = super::key_codec::after_prefix(&self::key(CHECKPOINT, &flow)).unwrap_or_else(|| vec![CHECKPOINT + 1]);
                flows.push(flow);
            }
            Ok(flows)
        })
        .await
    }
}

#[cfg(test)]
mod tests;
