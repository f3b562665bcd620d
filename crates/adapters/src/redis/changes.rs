//! An epoch's changes, folded: of each key the one change that counts, so that the order in which they are sent doesn't matter. Pure.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use millstream_core::ports::CriticalRow;
use millstream_core::{ChangeBatch, ChangeKind, Error, Result, TableSpec, Timestamp, Version};
use redis::Cmd;
use redis::cluster_routing::Slot;

use super::key::KeyNames;
use super::row::RowShape;
use super::settings::RedisSettings;

/// A call of a script carries about so many bytes at most (one row at least): Redis does nothing else while it takes them in.
const BYTES_A_CALL: usize = 1 << 20;

/// A table that is known.
pub(super) struct Table {
    pub spec: TableSpec,
    pub keys: KeyNames,
    pub rows: RowShape,
    tombstone: Duration,
}

impl Table {
    /// The table of a validated spec.
    pub fn new(settings: &RedisSettings, spec: &TableSpec) -> Result<Self> {
        Ok(Self {
            keys: KeyNames::new(&settings.key_prefix, spec)?,
            rows: RowShape::new(settings.format, spec)?,
            spec: spec.clone(),
            tombstone: Duration::from_secs(settings.tombstone_s),
        })
    }

    /// When a row of this version expires.
    pub fn expires(&self, version: Version) -> Option<Timestamp> {
        self.spec.ttl.map(|ttl| Timestamp(version.plus(ttl).0))
    }

    /// Whether a row of this version has expired.
    pub fn is_expired(&self, version: Version, now: Timestamp) -> bool {
        self.expires(version).is_some_and(|at| at <= now)
    }

    /// When Redis may remove what a change leaves, in milliseconds. Of a row that is its expiry. A tombstone outlives every older row that could
    /// still come: where rows expire, those of its own version; else as long as the settings say.
    fn gone_at(&self, kind: ChangeKind, version: Version, now: Timestamp) -> Option<i64> {
        let at = match (kind, self.expires(version)) {
            (_, Some(at)) => Some(at),
            (ChangeKind::Delete, None) => Some(now.plus(self.tombstone)),
            (_, None) => None,
        };
        // Rounded up: until then the clock port decides who sees the row.
        at.map(|at| at.0.div_euclid(1_000).saturating_add(1))
    }
}

/// One change that counts.
struct Winner {
    key: Vec<u8>,
    batch: usize,
    row: usize,
    version: Version,
    kind: ChangeKind,
}

/// The changes that count.
pub(super) struct Changes<'a> {
    table: &'a Table,
    batches: &'a [ChangeBatch],
    winners: Vec<Winner>,
    now: Timestamp,
}

impl<'a> Changes<'a> {
    /// Folds `batches`. What would be expired by `now` is left out: nobody could see it, nor anything older of its key.
    /// Rows of another shape, or with a null in their key, are [`InvalidInput`](millstream_core::ErrorKind::InvalidInput).
    pub fn fold(table: &'a Table, batches: &'a [ChangeBatch], now: Timestamp) -> Result<Self> {
        let mut winners: Vec<Winner> = Vec::new();
        let mut places: HashMap<Vec<u8>, usize> = HashMap::new();
        for (number, batch) in batches.iter().enumerate() {
            table.rows.check(batch.rows(), batch.kinds().values())?;
            for row in 0..batch.len() {
                let key = table.keys.of_row(batch.rows(), row)?;
                let (version, kind) = (batch.version(row), batch.kind(row));
                if table.is_expired(version, now) {
                    continue;
                }
                let winner = Winner { key, batch: number, row, version, kind };
                match places.entry(winner.key.clone()) {
                    Entry::Vacant(place) => {
                        place.insert(winners.len());
                        winners.push(winner);
                    }
                    // Of equal versions the later write wins.
                    Entry::Occupied(place) if winners[*place.get()].version <= version => winners[*place.get()] = winner,
                    Entry::Occupied(_) => {}
                }
            }
        }
        Ok(Self { table, batches, winners, now })
    }

    /// Whether nothing is to be written.
    pub fn is_empty(&self) -> bool {
        self.winners.is_empty()
    }

    /// The keys, each once.
    pub fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.winners.iter().map(|w| w.key.as_slice())
    }

    /// The numbers of the changes, cut into calls of at most `rows` each.
    pub fn calls(&self, rows: usize) -> Vec<Vec<usize>> {
        let all: Vec<usize> = (0..self.winners.len()).collect();
        all.chunks(self.rows_a_call(rows)).map(<[usize]>::to_vec).collect()
    }

    /// The same with a cluster's slots kept apart.
    pub fn calls_by_slot(&self, rows: usize) -> Vec<Vec<usize>> {
        let mut slots: HashMap<Slot, Vec<usize>> = HashMap::new();
        for (i, winner) in self.winners.iter().enumerate() {
            slots.entry(Slot::for_key(&winner.key)).or_default().push(i);
        }
        let rows = self.rows_a_call(rows);
        slots.values().flat_map(|slot| slot.chunks(rows)).map(<[usize]>::to_vec).collect()
    }

    fn rows_a_call(&self, rows: usize) -> usize {
        let bytes: usize = self.batches.iter().map(|b| b.rows().get_array_memory_size()).sum();
        let each = bytes / self.batches.iter().map(ChangeBatch::len).sum::<usize>().max(1);
        rows.min(BYTES_A_CALL / each.max(1)).max(1)
    }

    /// The keys of these changes.
    pub fn keys_of<'b>(&'b self, numbers: &'b [usize]) -> impl ExactSizeIterator<Item = &'b [u8]> {
        numbers.iter().map(|i| self.winners[*i].key.as_slice())
    }

    /// Appends these changes as a script takes them.
    pub fn put(&self, numbers: &[usize], call: &mut Cmd) -> Result<()> {
        let mut scratch = Vec::with_capacity(256);
        for winner in numbers.iter().map(|i| &self.winners[*i]) {
            call.arg(winner.version.0);
            match self.table.gone_at(winner.kind, winner.version, self.now) {
                Some(at) => call.arg(at),
                None => call.arg(""),
            };
            if winner.kind == ChangeKind::Delete {
                call.arg(-1);
                continue;
            }
            let rows = self.batches[winner.batch].rows();
            self.table.rows.put(rows, winner.row, winner.version, call, &mut scratch)?;
        }
        Ok(())
    }
}

/// The change that puts one row: what a fill is.
pub(super) fn fill(table: &Table, row: &CriticalRow) -> Result<Vec<ChangeBatch>> {
    if row.row.num_rows() != 1 {
        return Err(Error::invalid(format!("table {}: a fill of {} rows, not one", table.spec.name, row.row.num_rows())));
    }
    Ok(vec![ChangeBatch::inserts(row.row.clone(), row.version)?])
}

#[cfg(test)]
mod tests;
