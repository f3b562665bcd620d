//! One side of a join of streams: its rows as columns, found by key and time, until they can match nothing any more.
//!
//! A row is a *slot*. Slots are found through chains, one for each key and *bucket* of time, which is as long as the times between which rows
//! match: whoever looks for matches meets at most two buckets, however long rows of a key are kept. Rows leave in the order of their times.
//!
//! Rows that there is no memory for are [elsewhere](spilled). Those that an epoch looks for are its *guests*: slots like any other, until they
//! are let go of.

mod spilled;
mod stored;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, new_null_array};
use arrow::compute::interleave;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::row::Rows;
use millstream_core::{Result, RowPosition, Version};

use super::columns::{Keyed, MatchColumns};
use crate::spill::{Size, bytes_of};
use spilled::Spilled;
pub(super) use stored::{SideMark, renumbered};

/// No slot.
pub(super) const NONE: u32 = u32::MAX;

/// Slots are put together anew when fewer than one in so many is live and there are enough to make it worth while; when small epochs have
/// left so many batches; or when rows that left take more than the others, and so many bytes.
const DEAD_SLOTS_FACTOR: usize = 2;
const SLOTS_MIN: usize = 8_192;
const BATCHES_MAX: usize = 1_024;
const DEAD_BYTES_MIN: usize = 1 << 20;

/// Rows that are put together anew are in batches of about so many bytes: a column of texts can't be of any length.
const BATCH_BYTES_MAX: usize = 64 << 20;

/// About what a row takes in memory beside its columns, in bytes: its slot, and its place in the order of times.
const SLOT_BYTES: usize = size_of::<Slot>() + size_of::<(i64, u32)>();

/// About what a chain takes, in bytes.
const HEAD_BYTES: usize = 24;

/// Where a row stands among those that leave: its time, then its number.
pub type Leaving = (i64, i64);

/// The place behind that of a row.
fn behind((time, id): Leaving) -> Leaving {
    (time, id.saturating_add(1))
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

/// What there is to know of a row beside its columns.
#[derive(Clone, Copy, Debug)]
struct Known {
    position: RowPosition,
    version: Version,
    id: i64,
    matched: bool,
}

/// Rows that came together.
struct Batch {
    rows: RecordBatch,
    keys: Rows,
    bytes: usize,
    /// How many of them are still kept.
    live: usize,
}

impl Batch {
    /// About what a row takes, in bytes.
    fn row_bytes(&self) -> usize {
        self.bytes / self.rows.num_rows().max(1)
    }

    /// About what those take that are not kept any more, in bytes.
    fn dead_bytes(&self) -> usize {
        self.row_bytes() * (self.rows.num_rows() - self.live)
    }
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
    batches: Vec<Batch>,
    slots: Vec<Slot>,
    /// The newest slot of each chain.
    heads: HashMap<u64, u32, BuildHasherDefault<AsIs>>,
    /// Times with their slots.
    times: BinaryHeap<Reverse<(i64, u32)>>,
    live: usize,
    next_id: i64,
    bytes: usize,
    /// See [`BATCH_BYTES_MAX`].
    batch_bytes_max: usize,
    /// The slots that this epoch has added.
    new: Range<u32>,
    /// Slots of earlier epochs that have matched for the first time in this one.
    newly_matched: Vec<u32>,
    /// Whether slots are in the order of their ids: they are but where rows came back.
    in_order: bool,
    /// While it is restored: the slots of ids.
    restoring: Option<HashMap<i64, u32>>,
    spilled: Spilled,
}

impl SideState {
    /// Without rows. `spread_us` is how far apart the times of its rows can be that match the same row. `is_outer`: rows that have matched
    /// nothing come out when they leave.
    pub(super) fn new(schema: SchemaRef, spread_us: i64, is_outer: bool) -> Self {
        Self {
            stored: stored::stored_schema(&schema),
            schema,
            bucket_us: spread_us.max(1),
            hashes: RandomState::new(),
            batches: Vec::new(),
            slots: Vec::new(),
            heads: HashMap::default(),
            times: BinaryHeap::new(),
            live: 0,
            next_id: 0,
            bytes: 0,
            batch_bytes_max: BATCH_BYTES_MAX,
            new: 0..0,
            newly_matched: Vec::new(),
            in_order: true,
            restoring: None,
            spilled: Spilled::new(is_outer),
        }
    }

    /// The columns of the rows.
    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// About what the rows take.
    pub(super) fn size(&self) -> Size {
        let pinned = self.spilled.memory_bytes();
        let restoring = self.restoring.as_ref().map_or(0, HashMap::len) * 24;
        // Slots of guests stay until the next epoch begins, though their rows do not.
        let residents = self.spilled.residents(self.slots.len());
        let slots = residents * SLOT_BYTES + (self.slots.len() - residents) * size_of::<Slot>();
        let resident = self.bytes + slots + self.heads.len() * HEAD_BYTES + self.spilled.returned_bytes() + restoring;
        Size { memory: resident + pinned, pinned, disk: self.spilled.disk_bytes() }
    }

    /// Begins an epoch: what is added and matched from now on is its delta.
    pub(super) fn begin_epoch(&mut self) {
        self.forget_guests();
        self.new = self.end()..self.end();
        self.newly_matched.clear();
    }

    /// The slots that the epoch has added.
    pub(super) fn new_slots(&self) -> Range<u32> {
        self.new.clone()
    }

    /// How many slots there are.
    fn end(&self) -> u32 {
        count(self.slots.len())
    }

    pub(super) fn slot(&self, slot: u32) -> &Slot {
        &self.slots[slot as usize]
    }

    /// Adds rows that came, with where each was made of. Those that can match nothing get a slot too, but nobody finds it.
    pub(super) fn add(&mut self, keyed: Keyed, events: &[(RowPosition, Version)]) {
        let first = self.next_id;
        let known = events.iter().zip(first..).map(|((position, version), id)| Known {
            position: *position,
            version: *version,
            id,
            matched: false,
        });
        self.put(keyed, known);
        self.next_id += i64::from(self.end() - self.new.end);
        self.new.end = self.end();
    }

    fn put(&mut self, keyed: Keyed, known: impl Iterator<Item = Known>) {
        let Keyed { rows, keys, times } = keyed;
        if rows.num_rows() == 0 {
            return;
        }
        let batch = count(self.batches.len());
        let before = self.live;
        for (row, (Known { position, version, id, matched }, time)) in known.zip(times).enumerate() {
            let slot = self.end();
            let next = time.map_or(NONE, |time| {
                self.times.push(Reverse((time, slot)));
                self.link(keys.row(row).data(), time, slot)
            });
            let live = time.is_some();
            self.live += usize::from(live);
            let time = time.unwrap_or_default();
            self.slots.push(Slot { position, version, time, id, batch, row: count(row), next, matched, live });
        }
        let bytes = bytes_of(&rows) + keys.size();
        self.bytes += bytes;
        self.batches.push(Batch { rows, keys, bytes, live: self.live - before });
    }

    /// The bucket that `time` is in.
    fn bucket(&self, time: i64) -> i64 {
        time.div_euclid(self.bucket_us)
    }

    fn chain(&self, key: &[u8], bucket: i64) -> u64 {
        self.hashes.hash_one((key, bucket))
    }

    /// Puts `slot` in front of its chain; returns the one that was there.
    fn link(&mut self, key: &[u8], time: i64, slot: u32) -> u32 {
        let chain = self.chain(key, self.bucket(time));
        self.heads.insert(chain, slot).unwrap_or(NONE)
    }

    /// Calls `found` with each row in memory of this key and a time from `from` to `to`, but those of the slots `but`.
    pub(super) fn find(&self, key: &[u8], (from, to): (i64, i64), but: &Range<u32>, mut found: impl FnMut(u32)) {
        for bucket in self.bucket(from)..=self.bucket(to) {
            let mut at = self.heads.get(&self.chain(key, bucket)).copied().unwrap_or(NONE);
            while let Some(slot) = self.slots.get(at as usize) {
                let is_near = slot.live && from <= slot.time && slot.time <= to && !but.contains(&at);
                if is_near && self.batches[slot.batch as usize].keys.row(slot.row as usize).data() == key {
                    found(at);
                }
                at = slot.next;
            }
        }
    }

    /// Whether [`find`](Self::find) finds rows in the order of [`place_among_found`](Self::place_among_found).
    pub(super) fn is_in_order(&self) -> bool {
        self.in_order && !self.spilled.has_guests()
    }

    /// Where a row that was found stands among others of its key, wherever it comes from: by buckets, in each the newest first.
    pub(super) fn place_among_found(&self, slot: u32) -> (i64, Reverse<i64>) {
        let slot = self.slot(slot);
        (self.bucket(slot.time), Reverse(slot.id))
    }

    /// Where a row stands among those that leave.
    pub(super) fn place_among_leaving(&self, slot: u32) -> Leaving {
        let slot = self.slot(slot);
        (slot.time, slot.id)
    }

    /// The key of a slot, as [`find`](Self::find) takes it.
    pub(super) fn key(&self, slot: u32) -> &[u8] {
        let slot = self.slot(slot);
        self.batches[slot.batch as usize].keys.row(slot.row as usize).data()
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
        if first && !self.new.contains(&slot) {
            self.newly_matched.push(slot);
        }
        first
    }

    /// Lets go of the rows in memory that stand before `until` among those that leave, in their order. `gone` is told of each, with about how many bytes it
    /// takes, and says whether that was enough. Returns the place before which all have left.
    pub(super) fn expire(&mut self, until: Leaving, mut gone: impl FnMut(u32, &Slot, usize) -> bool) -> Leaving {
        while let Some(Reverse((time, slot))) = self.times.peek().copied().filter(|Reverse((time, _))| (*time, i64::MIN) < until) {
            if !self.in_order {
                match self.expire_all_of(time, until, &mut gone) {
                    Some(passed) => return passed,
                    None => continue,
                }
            }
            let place = self.place_among_leaving(slot);
            if place >= until {
                break;
            }
            self.times.pop();
            if self.leave(slot, &mut gone) {
                return behind(place);
            }
        }
        until
    }

    /// The same for the rows of the first time there is, whose slots are not in the order of their numbers. `None`: all have left.
    fn expire_all_of(&mut self, time: i64, until: Leaving, gone: &mut impl FnMut(u32, &Slot, usize) -> bool) -> Option<Leaving> {
        let mut slots = Vec::new();
        while let Some(Reverse((_, slot))) = self.times.peek().copied().filter(|Reverse((first, _))| *first == time) {
            self.times.pop();
            slots.push(slot);
        }
        slots.sort_unstable_by_key(|slot| self.slot(*slot).id);
        let stay = slots.split_off(slots.partition_point(|slot| self.place_among_leaving(*slot) < until));
        let mut slots = slots.into_iter();
        let last = slots.find(|slot| self.leave(*slot, gone));
        let passed = match last {
            Some(last) => Some(behind(self.place_among_leaving(last))),
            None => (!stay.is_empty()).then_some(until),
        };
        self.times.extend(slots.chain(stay).map(|slot| Reverse((time, slot))));
        passed
    }

    fn leave(&mut self, slot: u32, gone: &mut impl FnMut(u32, &Slot, usize) -> bool) -> bool {
        let known = &mut self.slots[slot as usize];
        known.live = false;
        self.live -= 1;
        let batch = &mut self.batches[known.batch as usize];
        batch.live -= 1;
        gone(slot, known, batch.row_bytes())
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
                Some(slot) => (&mut numbers[slot.batch as usize], Some(&self.batches[slot.batch as usize].rows), slot.row as usize),
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

    /// All own columns of these slots.
    fn rows(&self, slots: &[u32]) -> Result<RecordBatch> {
        Ok(RecordBatch::try_new(self.schema.clone(), self.gather(slots, self.schema.fields().len())?)?)
    }

    fn live_among(&self, slots: Range<u32>) -> impl Iterator<Item = u32> + '_ {
        slots.filter(|slot| self.is_live(*slot))
    }

    /// The live slots, in the order of their ids.
    fn live_by_id(&self) -> Vec<u32> {
        let mut slots: Vec<u32> = self.live_among(0..self.end()).collect();
        if !self.in_order {
            slots.sort_by_key(|slot| self.slot(*slot).id);
        }
        slots
    }

    /// Puts the live rows together, and forgets the others, if there are many of these. Slots get other numbers.
    pub(super) fn tidy(&mut self, columns: &MatchColumns) -> Result<()> {
        // The order of what was restored is that of its checkpoints.
        let was_restored = self.restoring.take().is_some();
        let dead_bytes = self.dead_bytes();
        let is_due = self.slots.len() > SLOTS_MIN.max(self.live * DEAD_SLOTS_FACTOR)
            || self.batches.len() > BATCHES_MAX
            || dead_bytes > DEAD_BYTES_MIN.max(self.bytes - dead_bytes)
            || (was_restored && !self.in_order);
        if is_due { self.keep(&self.live_by_id(), columns) } else { Ok(()) }
    }

    /// About what rows take that are not kept any more, in bytes.
    fn dead_bytes(&self) -> usize {
        self.batches.iter().map(Batch::dead_bytes).sum()
    }

    /// Forgets all rows in memory but these, which are in the order of their ids, and puts them together. Nothing has changed when that fails.
    fn keep(&mut self, slots: &[u32], columns: &MatchColumns) -> Result<()> {
        let (mut parts, mut rest) = (Vec::new(), slots);
        while !rest.is_empty() {
            let (part, behind) = rest.split_at(self.fitting(rest));
            let known: Vec<Known> = part.iter().map(|slot| self.known(*slot)).collect();
            parts.push((columns.keyed(self.rows(part)?)?, known));
            rest = behind;
        }
        self.batches = Vec::new();
        self.slots = Vec::new();
        self.heads = HashMap::default();
        self.times = BinaryHeap::new();
        (self.live, self.bytes) = (0, 0);
        self.newly_matched = Vec::new();
        for (keyed, known) in parts {
            self.put(keyed, known.into_iter());
        }
        self.new = self.end()..self.end();
        self.in_order = true;
        self.restoring = None;
        self.spilled.no_guests();
        Ok(())
    }

    /// How many of these slots, at least one, make a batch.
    fn fitting(&self, slots: &[u32]) -> usize {
        if self.bytes <= self.batch_bytes_max {
            return slots.len();
        }
        let mut bytes = 0_usize;
        let fits = slots.iter().take_while(|slot| {
            bytes = bytes.saturating_add(self.bytes_of(**slot));
            bytes <= self.batch_bytes_max
        });
        fits.count().max(1)
    }

    /// About what a row takes: what its batch has for each, but its own texts, of which one may be much longer than others.
    fn bytes_of(&self, slot: u32) -> usize {
        let slot = self.slot(slot);
        let batch = &self.batches[slot.batch as usize];
        let text = |column: &ArrayRef| match column.data_type() {
            DataType::Utf8 => column.as_string::<i32>().value(slot.row as usize).len(),
            DataType::Binary => column.as_binary::<i32>().value(slot.row as usize).len(),
            _ => 0,
        };
        batch.row_bytes().max(batch.rows.columns().iter().map(text).sum())
    }

    fn known(&self, slot: u32) -> Known {
        let Slot { position, version, id, matched, .. } = *self.slot(slot);
        Known { position, version, id, matched }
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(NONE)
}

#[cfg(test)]
mod tests;
