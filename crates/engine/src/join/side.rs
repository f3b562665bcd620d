//! One side of a join of streams: its rows as columns, found by key and time, until they can match nothing any more.
//!
//! A row is a *slot*. Slots are found through chains, one for each key and *bucket* of time, which is as long as the times between which rows
//! match: whoever looks for matches meets at most two buckets, however long rows of a key are kept. Rows leave in the order of their times.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int32Array, Int64Array, RecordBatch, UInt32Array, new_null_array};
use arrow::compute::{interleave, take_record_batch};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema, SchemaRef};
use arrow::row::Rows;
use millstream_core::{Error, Result, RowPosition, Version};

/// No slot.
pub(super) const NONE: u32 = u32::MAX;

/// Slots are put together anew when fewer than one in so many is live and there are enough to make it worth while; or when small epochs have
/// left so many batches.
const DEAD_SLOTS_FACTOR: usize = 2;
const SLOTS_MIN: usize = 8_192;
const BATCHES_MAX: usize = 1_024;

/// The columns of a stored row behind its own.
const HIDDEN: [(&str, DataType); 5] = [
    ("partition", DataType::Int32),
    ("offset", DataType::Int64),
    ("version", DataType::Int64),
    ("id", DataType::Int64),
    ("matched", DataType::Boolean),
];

/// A row that came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub(super) position: RowPosition,
    pub(super) version: Version,
    /// Its event time; `None`: it can match nothing.
    pub(super) time: Option<i64>,
}

/// A row that is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) position: RowPosition,
    pub(super) version: Version,
    pub(super) time: i64,
    /// Rises with every row of the side; what a checkpoint knows the row by.
    id: i64,
    batch: u32,
    row: u32,
    /// The next slot of its chain.
    next: u32,
    pub(super) matched: bool,
    /// Whether it can match a row to come.
    live: bool,
}

/// Hashes that are hashes already.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// The rows of a side.
pub(super) struct SideState {
    schema: SchemaRef,
    stored: SchemaRef,
    /// How long a bucket is, in microseconds.
    bucket_us: i64,
    hashes: RandomState,
    batches: Vec<RecordBatch>,
    /// For each batch, the keys of its rows.
    keys: Vec<Rows>,
    slots: Vec<Slot>,
    /// The newest slot of each chain.
    heads: HashMap<u64, u32, BuildHasherDefault<AsIs>>,
    /// Times with their slots.
    times: BinaryHeap<Reverse<(i64, u32)>>,
    live: usize,
    next_id: i64,
    bytes: usize,
    /// The slots before this one are of earlier epochs.
    new_from: usize,
    /// Slots of earlier epochs that have matched for the first time in this one.
    newly_matched: Vec<u32>,
}

/// The rows of a batch with their keys.
pub(super) struct Keyed {
    pub(super) rows: RecordBatch,
    pub(super) keys: Rows,
    /// Whether each key can match.
    pub(super) usable: Vec<bool>,
}

impl SideState {
    /// Without rows. `spread_us` is how far apart the times of its rows can be that match the same row.
    pub(super) fn new(schema: SchemaRef, spread_us: i64) -> Self {
        let hidden = HIDDEN.into_iter().map(|(name, data_type)| Arc::new(Field::new(name, data_type, false)));
        let stored = Arc::new(Schema::new(schema.fields().iter().cloned().chain(hidden).collect::<Vec<_>>()));
        Self {
            schema,
            stored,
            bucket_us: spread_us.max(1),
            hashes: RandomState::new(),
            batches: Vec::new(),
            keys: Vec::new(),
            slots: Vec::new(),
            heads: HashMap::default(),
            times: BinaryHeap::new(),
            live: 0,
            next_id: 0,
            bytes: 0,
            new_from: 0,
            newly_matched: Vec::new(),
        }
    }

    /// The columns of the rows.
    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// About how much memory the rows take, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.slots.len() * (size_of::<Slot>() + size_of::<(i64, u32)>()) + self.heads.len() * 24
    }

    /// Begins an epoch: what is added and matched from now on is its delta.
    pub(super) fn begin_epoch(&mut self) {
        self.new_from = self.slots.len();
        self.newly_matched.clear();
    }

    /// The first slot of the epoch.
    pub(super) fn new_from(&self) -> u32 {
        count(self.new_from)
    }

    /// How many slots there are.
    pub(super) fn end(&self) -> u32 {
        count(self.slots.len())
    }

    pub(super) fn slot(&self, slot: u32) -> &Slot {
        &self.slots[slot as usize]
    }

    /// Adds rows. Those that can match nothing get a slot too, but nobody finds it.
    pub(super) fn add(&mut self, keyed: Keyed, arrivals: &[Arrival]) {
        let Keyed { rows, keys, usable } = keyed;
        if rows.num_rows() == 0 {
            return;
        }
        let batch = count(self.batches.len());
        for (row, (arrival, usable)) in arrivals.iter().zip(usable).enumerate() {
            let slot = count(self.slots.len());
            let time = arrival.time.filter(|_| usable);
            let next = time.map_or(NONE, |time| self.link(keys.row(row).data(), time, slot));
            let id = self.next_id;
            self.next_id += 1;
            let Arrival { position, version, .. } = *arrival;
            let live = time.is_some();
            self.live += usize::from(live);
            self.slots.push(Slot {
                position,
                version,
                time: time.unwrap_or_default(),
                id,
                batch,
                row: count(row),
                next,
                matched: false,
                live,
            });
        }
        self.bytes += rows.get_array_memory_size() + keys.size();
        self.batches.push(rows);
        self.keys.push(keys);
    }

    /// Puts `slot` in front of its chain; returns the one that was there.
    fn link(&mut self, key: &[u8], time: i64, slot: u32) -> u32 {
        self.times.push(Reverse((time, slot)));
        let chain = self.hashes.hash_one((key, time.div_euclid(self.bucket_us)));
        self.heads.insert(chain, slot).unwrap_or(NONE)
    }

    /// Calls `found` with each row of this key and a time from `from` to `to` that is before the slot `end`.
    pub(super) fn find(&self, key: &[u8], (from, to): (i64, i64), end: u32, mut found: impl FnMut(u32)) {
        for bucket in from.div_euclid(self.bucket_us)..=to.div_euclid(self.bucket_us) {
            let mut at = self.heads.get(&self.hashes.hash_one((key, bucket))).copied().unwrap_or(NONE);
            while let Some(slot) = self.slots.get(at as usize) {
                let is_near = slot.live && from <= slot.time && slot.time <= to && at < end;
                if is_near && self.keys[slot.batch as usize].row(slot.row as usize).data() == key {
                    found(at);
                }
                at = slot.next;
            }
        }
    }

    /// The key of a slot, as [`find`](Self::find) takes it.
    pub(super) fn key(&self, slot: u32) -> &[u8] {
        let slot = &self.slots[slot as usize];
        self.keys[slot.batch as usize].row(slot.row as usize).data()
    }

    /// Whether `slot` can match rows to come.
    pub(super) fn is_live(&self, slot: u32) -> bool {
        self.slots[slot as usize].live
    }

    /// Notes that `slot` has matched. Whether it had not before.
    pub(super) fn set_matched(&mut self, slot: u32) -> bool {
        let known = &mut self.slots[slot as usize];
        let first = !known.matched;
        known.matched = true;
        if first && (slot as usize) < self.new_from {
            self.newly_matched.push(slot);
        }
        first
    }

    /// Lets go of the rows whose time is before `time`, in the order of their times.
    pub(super) fn expire(&mut self, time: i64, mut gone: impl FnMut(u32, &Slot)) {
        while let Some(Reverse((_, slot))) = self.times.peek().copied().filter(|Reverse((first, _))| *first < time) {
            self.times.pop();
            let known = &mut self.slots[slot as usize];
            known.live = false;
            self.live -= 1;
            gone(slot, known);
        }
    }

    /// The first `width` columns of these slots; nulls for [`NONE`].
    pub(super) fn gather(&self, slots: &[u32], width: usize) -> Result<Vec<ArrayRef>> {
        // Only the batches that are needed: an epoch meets few of the many that small epochs leave behind.
        let mut numbers = vec![NONE; self.batches.len()];
        let mut batches: Vec<Option<&RecordBatch>> = Vec::new();
        let mut missing = NONE;
        let mut indices = Vec::with_capacity(slots.len());
        for slot in slots {
            let (number, batch, row) = match self.slots.get(*slot as usize) {
                Some(slot) => (&mut numbers[slot.batch as usize], Some(&self.batches[slot.batch as usize]), slot.row as usize),
                None => (&mut missing, None, 0),
            };
            if *number == NONE {
                *number = count(batches.len());
                batches.push(batch);
            }
            indices.push((*number as usize, row));
        }
        let column = |at: usize| -> Result<ArrayRef> {
            let data_type = self.schema.field(at).data_type();
            let nothing = new_null_array(data_type, 1);
            let arrays: Vec<&dyn Array> = batches.iter().map(|batch| batch.map_or(nothing.as_ref(), |b| b.column(at).as_ref())).collect();
            Ok(if arrays.is_empty() { new_null_array(data_type, 0) } else { interleave(&arrays, &indices)? })
        };
        (0..width).map(column).collect()
    }

    /// What a checkpoint stores of these slots.
    fn stored(&self, slots: &[u32]) -> Result<RecordBatch> {
        let known = || slots.iter().map(|slot| &self.slots[*slot as usize]);
        let mut columns = self.gather(slots, self.schema.fields().len())?;
        let hidden: [ArrayRef; 5] = [
            Arc::new(Int32Array::from_iter_values(known().map(|s| s.position.partition))),
            Arc::new(Int64Array::from_iter_values(known().map(|s| s.position.offset))),
            Arc::new(Int64Array::from_iter_values(known().map(|s| s.version.0))),
            Arc::new(Int64Array::from_iter_values(known().map(|s| s.id))),
            Arc::new(known().map(|s| Some(s.matched)).collect::<BooleanArray>()),
        ];
        columns.extend(hidden);
        Ok(RecordBatch::try_new(self.stored.clone(), columns)?)
    }

    /// The rows that are kept.
    pub(super) fn snapshot(&self) -> Result<RecordBatch> {
        self.stored(&self.live_slots(0).collect::<Vec<_>>())
    }

    /// The rows that this epoch has added or matched, as far as they are still kept.
    pub(super) fn delta(&self) -> Result<RecordBatch> {
        let matched = self.newly_matched.iter().copied().filter(|slot| self.is_live(*slot));
        self.stored(&matched.chain(self.live_slots(self.new_from)).collect::<Vec<_>>())
    }

    /// No rows, as a checkpoint stores them.
    pub(super) fn nothing(&self) -> RecordBatch {
        RecordBatch::new_empty(self.stored.clone())
    }

    fn live_slots(&self, from: usize) -> impl Iterator<Item = u32> + '_ {
        self.slots.iter().enumerate().skip(from).filter(|(_, slot)| slot.live).map(|(at, _)| count(at))
    }

    /// Puts rows back that a checkpoint stored: those that are there already may have matched since. `keyed` gives the keys of new ones, and
    /// their times.
    pub(super) fn restore(
        &mut self,
        stored: &RecordBatch,
        keyed: impl FnOnce(RecordBatch) -> Result<(Keyed, Vec<Option<i64>>)>,
    ) -> Result<()> {
        let own = self.schema.fields().len();
        if stored.num_columns() != own + HIDDEN.len() {
            return Err(lost_columns());
        }
        let hidden = |at: usize| stored.column(own + at);
        let partitions = hidden(0).as_primitive_opt::<Int32Type>().ok_or_else(lost_columns)?;
        let offsets = hidden(1).as_primitive_opt::<Int64Type>().ok_or_else(lost_columns)?;
        let versions = hidden(2).as_primitive_opt::<Int64Type>().ok_or_else(lost_columns)?;
        let ids = hidden(3).as_primitive_opt::<Int64Type>().ok_or_else(lost_columns)?;
        let matched = hidden(4).as_boolean_opt().ok_or_else(lost_columns)?;
        let mut new = Vec::new();
        for row in 0..stored.num_rows() {
            match self.slots.binary_search_by_key(&ids.value(row), |slot| slot.id) {
                Ok(at) => self.slots[at].matched |= matched.value(row),
                Err(_) => new.push(count(row)),
            }
        }
        let rows = take_record_batch(stored, &UInt32Array::from(new.clone()))?;
        let rows = RecordBatch::try_new(self.schema.clone(), rows.columns().iter().take(own).cloned().collect())?;
        let (keyed, times) = keyed(rows)?;
        let arrival = |(row, time): (&u32, Option<i64>)| {
            let row = *row as usize;
            let position = RowPosition { partition: partitions.value(row), offset: offsets.value(row) };
            Arrival { position, version: Version(versions.value(row)), time }
        };
        let arrivals: Vec<Arrival> = new.iter().zip(times).map(arrival).collect();
        let first = self.slots.len();
        self.add(keyed, &arrivals);
        for (slot, row) in self.slots[first..].iter_mut().zip(&new) {
            slot.id = ids.value(*row as usize);
            slot.matched = matched.value(*row as usize);
        }
        self.next_id = self.slots.last().map_or(0, |slot| slot.id + 1);
        Ok(())
    }

    /// Puts the live rows together, and forgets the others, if there are many of these. Slots get other numbers.
    pub(super) fn tidy(&mut self, keyed: impl FnOnce(RecordBatch) -> Result<Keyed>) -> Result<()> {
        if self.slots.len() <= SLOTS_MIN.max(self.live * DEAD_SLOTS_FACTOR) && self.batches.len() <= BATCHES_MAX {
            return Ok(());
        }
        let slots: Vec<u32> = self.live_slots(0).collect();
        let rows = RecordBatch::try_new(self.schema.clone(), self.gather(&slots, self.schema.fields().len())?)?;
        let kept: Vec<Slot> = slots.iter().map(|slot| self.slots[*slot as usize]).collect();
        let mut fresh = Self { hashes: self.hashes.clone(), ..Self::new(self.schema.clone(), self.bucket_us) };
        let arrival = |slot: &Slot| Arrival { position: slot.position, version: slot.version, time: Some(slot.time) };
        fresh.add(keyed(rows)?, &kept.iter().map(arrival).collect::<Vec<_>>());
        for (slot, known) in fresh.slots.iter_mut().zip(&kept) {
            (slot.id, slot.matched) = (known.id, known.matched);
        }
        fresh.next_id = self.next_id;
        *self = fresh;
        Ok(())
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(NONE)
}

fn lost_columns() -> Error {
    Error::corrupt("a checkpoint's rows of a join have other columns than the join keeps")
}

#[cfg(test)]
mod tests;
