//! A table of rows by key, with a version each: what event-store tables and tables of critical events have in common.
//!
//! An epoch's changes are encoded column by column, sorted by key, and folded key by key over what is stored, by the rules of
//! [`merge`](super::merge). It knows keys and rows; which keyspace they lie in, and what else is written with them, is the caller's.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use fjall::{Keyspace, OwnedWriteBatch};
use millstream_core::time::micros_of;
use millstream_core::{ChangeBatch, ChangeKind, Error, Result, TableSpec, Timestamp};

use super::database::{Store, lock};
use super::error::During;
use super::key_codec::KeyCodec;
use super::key_filter::KeyFilter;
use super::merge::{Expiry, KeyState, net_change};
use super::row_codec::{EncodedRows, RowCodec, Stored, tombstone};

/// A table's shape, how its keys and rows are written, and who may write them.
pub(super) struct KeyedTable {
    pub id: u32,
    pub spec: TableSpec,
    pub keys: KeyCodec,
    pub rows: RowCodec,
    /// Before this time (microseconds) a maintenance pass finds nothing to remove.
    pub garbage_due: AtomicI64,
    /// Keys that the table surely doesn't hold.
    filter: Mutex<KeyFilter>,
    /// Held by whoever changes rows; `true` once the table was dropped.
    writer: Mutex<bool>,
}

impl KeyedTable {
    /// Table number `id`.
    pub fn new(id: u32, spec: TableSpec) -> Result<Self> {
        let indices = spec.key.indices(&spec.schema)?;
        let rows = RowCodec::new(spec.schema.clone(), &indices)?;
        let keys = KeyCodec::new(id, &spec)?;
        Ok(Self { id, keys, rows, spec, garbage_due: AtomicI64::new(i64::MIN), filter: Mutex::default(), writer: Mutex::new(false) })
    }

    /// Runs `work` while nobody else writes to the table. [`NotFound`](millstream_core::ErrorKind::NotFound) when it was dropped.
    pub fn exclusively<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let dropped = lock(&self.writer)?;
        if *dropped {
            return Err(self.dropped());
        }
        work()
    }

    /// Ends all writing: afterwards [`exclusively`](Self::exclusively) fails. Waits for the write that is under way.
    pub fn close(&self) -> Result<()> {
        *lock(&self.writer)? = true;
        Ok(())
    }

    /// The error of those who still hold the table.
    pub fn dropped(&self) -> Error {
        Error::not_found(format!("{} table {} was dropped from the built-in store", self.spec.kind.as_str(), self.spec.name))
    }

    /// Notes a key that is written outside of [`EncodedChanges::fold_into`].
    pub fn note_key(&self, key: &[u8]) -> Result<()> {
        lock(&self.filter)?.add(key);
        Ok(())
    }

    /// Notes that something can be removed at `due` (microseconds).
    pub fn note_garbage(&self, due: i64) {
        self.garbage_due.fetch_min(due, Ordering::Relaxed);
    }

    /// When rows of the table are gone, by the clock's `now`.
    pub fn expiry(&self, now: Timestamp) -> Expiry {
        Expiry { ttl: self.spec.ttl.map(micros_of), now: now.0 }
    }
}

/// The changes of an epoch, encoded.
pub(super) struct EncodedChanges {
    keys: Vec<u8>,
    key_starts: Vec<usize>,
    /// Of each key the length of its head: the table and the partition columns.
    heads: Vec<usize>,
    rows: Vec<EncodedRows>,
    /// Of each change its batch and its row in it.
    places: Vec<(usize, usize)>,
    kinds: Vec<ChangeKind>,
    /// The changes in the order of their keys; of equal keys in the order of their arrival.
    order: Vec<u32>,
}

/// A change that a reader sees, once the epoch has committed.
#[derive(Clone, Copy, Debug)]
pub(super) struct NetChange {
    /// The number of the change in the epoch that had the last word on its key.
    pub index: usize,
    /// What it does to the table.
    pub kind: ChangeKind,
}

impl EncodedChanges {
    /// Encodes `changes` to `table`. Rows of another shape, a null key, or a key that is too long are
    /// [`InvalidInput`](millstream_core::ErrorKind::InvalidInput).
    pub fn encode(table: &KeyedTable, changes: &[ChangeBatch]) -> Result<Self> {
        let total = changes.iter().map(ChangeBatch::len).sum();
        let count = u32::try_from(total).map_err(|_| Error::invalid("an epoch of more than 4 billion changes"))?;
        let mut this = Self {
            keys: Vec::with_capacity(total * 32),
            key_starts: Vec::with_capacity(total + 1),
            heads: Vec::with_capacity(total),
            rows: Vec::with_capacity(changes.len()),
            places: Vec::with_capacity(total),
            kinds: Vec::with_capacity(total),
            order: (0..count).collect(),
        };
        for (number, batch) in changes.iter().enumerate() {
            let kinds = batch.kinds().values();
            table.rows.check(&table.spec.name, batch.rows(), kinds)?;
            this.rows.push(table.rows.encode(batch.rows(), batch.versions().values(), kinds)?);
            let cells = table.keys.cells(batch.rows())?;
            for row in 0..batch.len() {
                this.key_starts.push(this.keys.len());
                this.heads.push(cells.put(row, &mut this.keys)?);
                this.places.push((number, row));
                this.kinds.push(batch.kind(row));
            }
        }
        this.key_starts.push(this.keys.len());
        let mut order = std::mem::take(&mut this.order);
        if !order.is_sorted_by_key(|i| this.key_of(*i)) {
            order.sort_by(|a, b| this.key_of(*a).cmp(this.key_of(*b)));
        }
        this.order = order;
        Ok(this)
    }

    /// How many changes.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    fn key_of(&self, index: u32) -> &[u8] {
        self.key(index as usize)
    }

    fn key(&self, index: usize) -> &[u8] {
        &self.keys[self.key_starts[index]..self.key_starts[index + 1]]
    }

    /// The table and the partition columns of a change's key.
    pub fn head(&self, index: usize) -> &[u8] {
        &self.keys[self.key_starts[index]..self.key_starts[index] + self.heads[index]]
    }

    /// A change's row as it is stored; of a delete its key columns.
    pub fn row(&self, index: usize) -> &[u8] {
        let (batch, row) = self.places[index];
        self.rows[batch].row(row)
    }

    /// Adds what the changes write to `batch`, given what `keyspace` holds, and returns what a reader will see happen, in the
    /// order of the changes. Nobody else may write to the table meanwhile.
    pub fn fold_into(
        &self,
        batch: &mut OwnedWriteBatch,
        store: &Store,
        keyspace: &Keyspace,
        table: &KeyedTable,
        expiry: Expiry,
    ) -> Result<Vec<NetChange>> {
        let mut filter = lock(&table.filter)?;
        filter.prepare(store, keyspace, &table.id.to_be_bytes())?;
        let mut due = i64::MAX;
        let mut net = Vec::with_capacity(self.len());
        for group in self.order.chunk_by(|a, b| self.key_of(*a) == self.key_of(*b)) {
            let key = self.key_of(group[0]);
            let stored =
                if filter.is_surely_new(key) { None } else { keyspace.get(key).during("reading the row that a change replaces")? };
            let before = match &stored {
                Some(value) => Stored::parse(value)?.into(),
                None => KeyState::Absent,
            };
            let (mut after, mut last) = (before, None);
            for index in group.iter().map(|i| *i as usize) {
                let Stored::Row { version, cells } = Stored::parse(self.row(index))? else {
                    return Err(Error::internal("a change was encoded as a tombstone"));
                };
                let write = (self.kinds[index] != ChangeKind::Delete).then_some(cells);
                if let Some(next) = after.after(version, write) {
                    (after, last) = (next, Some(index));
                }
            }
            let Some(index) = last else { continue };
            if after == before {
                continue;
            }
            if stored.is_none() {
                filter.add(key);
            }
            match after {
                KeyState::Row { version, .. } => {
                    due = due.min(expiry.gone_at(version));
                    batch.insert(keyspace, key, self.row(index));
                }
                KeyState::Deleted { version } => {
                    due = i64::MIN;
                    batch.insert(keyspace, key, tombstone(version, expiry.now));
                }
                KeyState::Absent => {}
            }
            if let Some(kind) = net_change(before, after, expiry) {
                net.push(NetChange { index, kind });
            }
        }
        table.note_garbage(due);
        net.sort_unstable_by_key(|n| n.index);
        Ok(net)
    }

    /// The keys that the changes name, each once, in order.
    pub fn distinct_keys(&self) -> impl Iterator<Item = &[u8]> {
        self.order.chunk_by(|a, b| self.key_of(*a) == self.key_of(*b)).map(|group| self.key_of(group[0]))
    }
}
