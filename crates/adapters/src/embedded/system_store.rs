//! [`EmbeddedSystemStore`]: what `system.*` holds, in a keyspace of its own.
//!
//! | key | value |
//! |---|---|
//! | `d` or `l`, flow (escaped), epoch, partition, offset (big endian), source | a dead letter, or a late row |
//! | `r`, report (escaped), run (big endian) | a job run |
//! | `p`, name | a property |
//!
//! A value begins with a format byte. Of a quarantined row JSON follows (its length before it, u32 little endian) and then the raw key
//! and value of the event, each as 0, or 1 with its length and its bytes; of a run JSON; of a property the text.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use fjall::{OwnedWriteBatch, Readable};
use millstream_core::ports::{DeadLetter, JobRun, LateRow, Quarantined, RUNS_KEPT, SystemProperty, SystemStore};
use millstream_core::{Epoch, Error, FlowId, Result, RowPosition};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::database::{Store, blocking, writing};
use super::error::During;
use super::key_codec::put_bytes;

const DEAD_LETTER: u8 = b'd';
const LATE_ROW: u8 = b'l';
const RUN: u8 = b'r';
const PROPERTY: u8 = b'p';
const FORMAT: u8 = 1;

/// The built-in store of dead letters, late rows, job runs and properties.
pub struct EmbeddedSystemStore {
    store: Arc<Store>,
}

impl EmbeddedSystemStore {
    pub(super) fn new(store: Arc<Store>) -> Self {
        Self { store }
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce(&Store) -> Result<T> + Send + 'static) -> Result<T> {
        let store = self.store.clone();
        blocking(move || work(&store)).await
    }
}

/// A row that was put aside: the two kinds differ in nothing that matters here.
trait Aside: Serialize + DeserializeOwned {
    const KIND: u8;
    fn place(&self) -> (&FlowId, Epoch, RowPosition, &str);
    fn raw(&mut self) -> (&mut Option<Bytes>, &mut Option<Bytes>);
}

impl Aside for DeadLetter {
    const KIND: u8 = DEAD_LETTER;

    fn place(&self) -> (&FlowId, Epoch, RowPosition, &str) {
        (&self.flow, self.epoch, self.position, &self.source)
    }

    fn raw(&mut self) -> (&mut Option<Bytes>, &mut Option<Bytes>) {
        (&mut self.key, &mut self.value)
    }
}

impl Aside for LateRow {
    const KIND: u8 = LATE_ROW;

    fn place(&self) -> (&FlowId, Epoch, RowPosition, &str) {
        (&self.flow, self.epoch, self.position, &self.source)
    }

    fn raw(&mut self) -> (&mut Option<Bytes>, &mut Option<Bytes>) {
        (&mut self.key, &mut self.value)
    }
}

fn named(kind: u8, name: &str) -> Vec<u8> {
    let mut key = vec![kind];
    put_bytes(name.as_bytes(), &mut key);
    key
}

fn property_key(property: SystemProperty<'_>) -> Vec<u8> {
    [&[PROPERTY], property.to_string().as_bytes()].concat()
}

fn aside_key<A: Aside>(row: &A) -> Vec<u8> {
    let (flow, epoch, position, source) = row.place();
    let mut key = named(A::KIND, flow.as_str());
    key.extend_from_slice(&epoch.0.to_be_bytes());
    key.extend_from_slice(&(position.partition.cast_unsigned() ^ (1 << 31)).to_be_bytes());
    key.extend_from_slice(&(position.offset.cast_unsigned() ^ (1 << 63)).to_be_bytes());
    key.extend_from_slice(source.as_bytes());
    key
}

fn encode_aside<A: Aside>(mut row: A) -> Result<Vec<u8>> {
    let (key, value) = row.raw();
    let raw = [key.take(), value.take()];
    let json = serde_json::to_vec(&row)?;
    let mut bytes = vec![FORMAT];
    put_length(json.len(), &mut bytes)?;
    bytes.extend_from_slice(&json);
    for part in raw {
        bytes.push(u8::from(part.is_some()));
        if let Some(part) = part {
            put_length(part.len(), &mut bytes)?;
            bytes.extend_from_slice(&part);
        }
    }
    Ok(bytes)
}

fn put_length(length: usize, out: &mut Vec<u8>) -> Result<()> {
    let length = u32::try_from(length).map_err(|_| Error::invalid("an event of more than 4 GiB can't be put aside"))?;
    out.extend_from_slice(&length.to_le_bytes());
    Ok(())
}

fn decode_aside<A: Aside>(bytes: &[u8]) -> Result<A> {
    let bad = || Error::corrupt("a dead letter or late row in the built-in store can't be read");
    let mut rest = body(bytes)?;
    let mut take = |length: usize| -> Result<&[u8]> {
        let (head, tail) = rest.split_at_checked(length).ok_or_else(bad)?;
        rest = tail;
        Ok(head)
    };
    let length_of = |bytes: &[u8]| bytes.try_into().map(u32::from_le_bytes).map_or(usize::MAX, |l| l as usize);
    let json = length_of(take(4)?);
    let mut row: A = serde_json::from_slice(take(json)?)?;
    let mut part = || -> Result<Option<Bytes>> {
        if take(1)?[0] == 0 {
            return Ok(None);
        }
        let length = length_of(take(4)?);
        Ok(Some(Bytes::copy_from_slice(take(length)?)))
    };
    let parts = (part()?, part()?);
    let (key, value) = row.raw();
    (*key, *value) = parts;
    Ok(row)
}

/// A value without its format byte.
fn body(bytes: &[u8]) -> Result<&[u8]> {
    match bytes.split_first() {
        Some((&FORMAT, rest)) => Ok(rest),
        Some((other, _)) => Err(Error::corrupt(format!("a value of system.* has format {other}; this build reads format {FORMAT}"))),
        None => Err(Error::corrupt("a value of system.* is empty")),
    }
}

fn with_format(rest: &[u8]) -> Vec<u8> {
    [&[FORMAT], rest].concat()
}

fn read_all<T>(store: &Store, kind: u8, decode: impl Fn(&[u8]) -> Result<T>) -> Result<Vec<T>> {
    let entries = store.snapshot().prefix(&store.system, [kind]);
    entries.map(|entry| decode(&entry.value().during("reading a table of system.*")?)).collect()
}

fn remove_prefix(batch: &mut OwnedWriteBatch, store: &Store, prefix: &[u8], gone: impl Fn(&[u8]) -> bool) -> Result<()> {
    for entry in store.snapshot().prefix(&store.system, prefix) {
        let key = entry.key().during("reading a key of system.*")?;
        if gone(&key[prefix.len()..]) {
            batch.remove(&store.system, key);
        }
    }
    Ok(())
}

#[async_trait]
impl SystemStore for EmbeddedSystemStore {
    async fn quarantine(&self, rows: Quarantined) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        self.run(move |store| {
            let mut batch = store.batch(rows.dead_letters.len() + rows.late_rows.len());
            for row in rows.dead_letters {
                batch.insert(&store.system, aside_key(&row), encode_aside(row)?);
            }
            for row in rows.late_rows {
                batch.insert(&store.system, aside_key(&row), encode_aside(row)?);
            }
            store.commit(batch)
        })
        .await
    }

    async fn discard_after(&self, flow: &FlowId, committed: Epoch) -> Result<()> {
        let flow = flow.clone();
        self.run(move |store| {
            let mut batch = store.batch(16);
            let is_after = |rest: &[u8]| rest.get(..8).is_some_and(|epoch| *epoch > committed.0.to_be_bytes()[..]);
            for kind in [DEAD_LETTER, LATE_ROW] {
                remove_prefix(&mut batch, store, &named(kind, flow.as_str()), is_after)?;
            }
            store.commit_anyway(batch)
        })
        .await
    }

    async fn dead_letters(&self) -> Result<Vec<DeadLetter>> {
        self.run(|store| read_all(store, DEAD_LETTER, decode_aside)).await
    }

    async fn late_rows(&self) -> Result<Vec<LateRow>> {
        self.run(|store| read_all(store, LATE_ROW, decode_aside)).await
    }

    async fn release(&self, rows: &Quarantined) -> Result<()> {
        let keys: Vec<_> = rows.dead_letters.iter().map(aside_key).chain(rows.late_rows.iter().map(aside_key)).collect();
        self.run(move |store| {
            let mut batch = store.batch(keys.len());
            for key in keys {
                batch.remove(&store.system, key);
            }
            store.commit_anyway(batch)
        })
        .await
    }

    async fn record_run(&self, run: &JobRun) -> Result<()> {
        let mut key = named(RUN, &run.report);
        key.extend_from_slice(&run.run.to_be_bytes());
        let mut old = named(RUN, &run.report);
        old.extend_from_slice(&run.run.saturating_sub(RUNS_KEPT).to_be_bytes());
        let value = with_format(&serde_json::to_vec(run)?);
        self.run(move |store| {
            let mut batch = store.batch(2);
            batch.remove(&store.system, old);
            batch.insert(&store.system, key, value);
            store.commit(batch)
        })
        .await
    }

    async fn runs(&self) -> Result<Vec<JobRun>> {
        self.run(|store| read_all(store, RUN, |value| Ok(serde_json::from_slice(body(value)?)?))).await
    }

    async fn forget(&self, flow_or_report: &str) -> Result<()> {
        let name = flow_or_report.to_owned();
        let properties = SystemProperty::of_flow(&FlowId::new(flow_or_report)).map(property_key);
        self.run(move |store| {
            let mut batch = store.batch(16);
            for kind in [DEAD_LETTER, LATE_ROW, RUN] {
                remove_prefix(&mut batch, store, &named(kind, &name), |_| true)?;
            }
            for key in properties {
                batch.remove(&store.system, key);
            }
            store.commit_anyway(batch)
        })
        .await
    }

    async fn property(&self, property: SystemProperty<'_>) -> Result<Option<String>> {
        let key = property_key(property);
        self.run(move |store| {
            let value = store.system.get(key).during("reading a property")?;
            value
                .map(|v| {
                    String::from_utf8(body(&v)?.to_vec())
                        .map_err(|e| Error::corrupt("a property in the built-in store isn't UTF-8").caused_by(e))
                })
                .transpose()
        })
        .await
    }

    async fn set_property(&self, property: SystemProperty<'_>, value: &str) -> Result<()> {
        let (key, value) = (property_key(property), with_format(value.as_bytes()));
        writing(&self.store, key.len() + value.len(), move |store| {
            let mut batch = store.batch(1);
            batch.insert(&store.system, key, value);
            store.commit(batch)
        })
        .await
    }
}

#[cfg(test)]
mod tests;
