//! The registry: which tables exist, with their numbers and shapes, kept in the meta keyspace.
//!
//! A table's number is the head of all its keys and is never given twice, so that dropping a table is one small atomic write: its
//! rows can no longer be reached, and are swept out afterwards (also after a crash, from the list of dropped numbers).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use fjall::Readable;
use millstream_core::batches::{from_ipc, to_ipc};
use millstream_core::{Error, KeySpec, Result, TableKind, TableSpec};
use serde::{Deserialize, Serialize};

use super::database::{Store, lock};
use super::error::During;
use super::key_codec::KEY_FORMAT;
use super::row_codec::ROW_FORMAT;

const ENTRY_FORMAT: u8 = 1;
const NEXT_ID: &[u8] = b"n";
const TABLE: u8 = b't';
const DROPPED: u8 = b'x';

/// The part of an entry that is JSON; the schema follows it in Arrow's IPC format.
#[derive(Serialize, Deserialize)]
struct Entry {
    id: u32,
    name: String,
    kind: TableKind,
    key: KeySpec,
    ttl: Option<Duration>,
    fingerprint: String,
    key_format: u8,
    row_format: u8,
}

/// Tables of one kind by name, each as the `T` that its store works with.
pub(super) struct Registry<T> {
    store: Arc<Store>,
    kind: TableKind,
    tables: RwLock<HashMap<String, Arc<T>>>,
    /// Serialises changes of the registry; shared by the registries of one store, for they draw from one sequence of numbers.
    changes: Arc<Mutex<()>>,
}

/// What a registry keeps of each table.
pub(super) trait Registered: Sized {
    /// Opens table number `id`.
    fn open(store: &Arc<Store>, id: u32, spec: TableSpec) -> Result<Self>;
    /// Its shape.
    fn spec(&self) -> &TableSpec;
    /// Its number.
    fn id(&self) -> u32;
}

impl<T: Registered> Registry<T> {
    /// Opens all tables of `kind` that exist.
    pub fn open(store: Arc<Store>, kind: TableKind, changes: Arc<Mutex<()>>) -> Result<Self> {
        let mut tables = HashMap::new();
        let snapshot = store.snapshot();
        for entry in snapshot.prefix(&store.meta, [TABLE, kind_code(kind)]) {
            let (id, spec) = parse(&entry.value().during("reading the table registry")?)?;
            let table = T::open(&store, id, spec)?;
            tables.insert(table.spec().name.clone(), Arc::new(table));
        }
        Ok(Self { store, kind, tables: RwLock::new(tables), changes })
    }

    /// The table called `name`.
    pub fn get(&self, name: &str) -> Result<Arc<T>> {
        let tables = self.tables.read().map_err(|_| poisoned())?;
        tables.get(name).cloned().ok_or_else(|| {
            let known = tables.len();
            Error::not_found(format!("the built-in store has no {} table {name} (it has {known} of them)", self.kind.as_str()))
        })
    }

    /// All tables.
    pub fn all(&self) -> Result<Vec<Arc<T>>> {
        Ok(self.tables.read().map_err(|_| poisoned())?.values().cloned().collect())
    }

    /// All tables by name, as they are now.
    pub fn by_name(&self) -> Result<HashMap<String, Arc<T>>> {
        Ok(self.tables.read().map_err(|_| poisoned())?.clone())
    }

    /// Makes a table known. Blocks.
    pub fn ensure(&self, spec: &TableSpec) -> Result<()> {
        spec.validate()?;
        if spec.kind != self.kind {
            return Err(Error::invalid(format!(
                "table {} is a {} table and can't be made as a {} table",
                spec.name,
                spec.kind.as_str(),
                self.kind.as_str()
            )));
        }
        let _changes = lock(&self.changes)?;
        if let Some(existing) = self.tables.read().map_err(|_| poisoned())?.get(&spec.name) {
            let (old, new) = (existing.spec().fingerprint(), spec.fingerprint());
            if old == new {
                return Ok(());
            }
            return Err(Error::already_exists(format!(
                "table {} exists in the built-in store as\n  {old}\nand is asked for as\n  {new}\nreset it, or give the new one another name",
                spec.name
            )));
        }
        let id = match self.store.meta.get(NEXT_ID).during("reading the table registry")? {
            Some(bytes) => u32::from_be_bytes(bytes.as_ref().try_into().map_err(|_| damaged("the next table number"))?),
            None => 1,
        };
        let table = T::open(&self.store, id, spec.clone())?;
        let mut batch = self.store.batch(2);
        batch.insert(&self.store.meta, NEXT_ID, (id + 1).to_be_bytes());
        batch.insert(&self.store.meta, self.entry_key(&spec.name), encode(id, spec)?);
        self.store.commit(batch)?;
        self.tables.write().map_err(|_| poisoned())?.insert(spec.name.clone(), Arc::new(table));
        Ok(())
    }

    /// Forgets a table and runs `close` before anybody can make it again. `None`: there was none. Blocks.
    /// Its rows are unreachable afterwards; [`sweep`] removes them.
    pub fn remove(&self, name: &str, close: impl FnOnce(&T) -> Result<()>) -> Result<Option<Arc<T>>> {
        let _changes = lock(&self.changes)?;
        let Some(table) = self.tables.read().map_err(|_| poisoned())?.get(name).cloned() else { return Ok(None) };
        let mut batch = self.store.batch(2);
        batch.remove(&self.store.meta, self.entry_key(name));
        batch.insert(&self.store.meta, dropped_key(table.id()), [kind_code(self.kind)]);
        self.store.commit_anyway(batch)?;
        self.tables.write().map_err(|_| poisoned())?.remove(name);
        close(&table)?;
        Ok(Some(table))
    }

    fn entry_key(&self, name: &str) -> Vec<u8> {
        [&[TABLE, kind_code(self.kind)], name.as_bytes()].concat()
    }
}

/// Removes what dropped tables left behind. Blocks; may run at any time, and again after a crash.
pub(super) fn sweep(store: &Store) -> Result<()> {
    let dropped: Vec<_> =
        store.meta.prefix([DROPPED]).map(|e| e.key()).collect::<fjall::Result<_>>().during("reading the table registry")?;
    for key in dropped {
        let id = &key[1..];
        for keyspace in [&store.rows, &store.feed, &store.critical, &store.reports] {
            store.remove_prefix(keyspace, id)?;
        }
        for kind in super::META_KINDS_OF_A_TABLE {
            store.remove_prefix(&store.meta, &[&[*kind], id].concat())?;
        }
        let mut batch = store.batch(1);
        batch.remove(&store.meta, key);
        store.commit_anyway(batch)?;
    }
    Ok(())
}

fn dropped_key(id: u32) -> Vec<u8> {
    [&[DROPPED], id.to_be_bytes().as_slice()].concat()
}

fn kind_code(kind: TableKind) -> u8 {
    match kind {
        TableKind::Topic => b't',
        TableKind::EventStore => b'e',
        TableKind::Critical => b'c',
        TableKind::Reference => b'f',
        TableKind::Report => b'r',
        TableKind::Lake => b'l',
        TableKind::System => b's',
    }
}

/// Format (1 byte), length of the JSON (u32, little endian), JSON, schema in Arrow's IPC format.
fn encode(id: u32, spec: &TableSpec) -> Result<Vec<u8>> {
    let entry = Entry {
        id,
        name: spec.name.clone(),
        kind: spec.kind,
        key: spec.key.clone(),
        ttl: spec.ttl,
        fingerprint: spec.fingerprint(),
        key_format: KEY_FORMAT,
        row_format: ROW_FORMAT,
    };
    let json = serde_json::to_vec(&entry)?;
    let length = u32::try_from(json.len()).map_err(|_| Error::invalid("a table description of more than 4 GiB"))?;
    let schema = to_ipc(&spec.schema, &[])?;
    Ok([&[ENTRY_FORMAT], length.to_le_bytes().as_slice(), &json, &schema].concat())
}

fn parse(value: &[u8]) -> Result<(u32, TableSpec)> {
    let bad = || damaged("a table's entry");
    let (head, rest) = value.split_at_checked(5).ok_or_else(bad)?;
    if head[0] != ENTRY_FORMAT {
        return Err(Error::corrupt(format!("a table's entry has format {}; this build reads format {ENTRY_FORMAT}", head[0])));
    }
    let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]);
    let (json, schema) = rest.split_at_checked(usize::try_from(length).unwrap_or(usize::MAX)).ok_or_else(bad)?;
    let entry: Entry = serde_json::from_slice(json)?;
    if entry.key_format != KEY_FORMAT || entry.row_format != ROW_FORMAT {
        return Err(Error::unsupported(format!(
            "table {} was written with key format {} and row format {}; this build reads {KEY_FORMAT} and {ROW_FORMAT}",
            entry.name, entry.key_format, entry.row_format
        )));
    }
    let (schema, _) = from_ipc(schema)?;
    Ok((entry.id, TableSpec { name: entry.name, kind: entry.kind, schema, key: entry.key, ttl: entry.ttl }))
}

fn damaged(what: &str) -> Error {
    Error::corrupt(format!("{what} in the built-in store's registry can't be read"))
}

fn poisoned() -> Error {
    Error::internal("a task of the built-in store ended while it changed the table registry; restart the process")
}

#[cfg(test)]
mod tests;
