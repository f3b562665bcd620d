//! The rows of a side that there is no memory for: in [runs](crate::spill), in the order in which they are looked for, and, where rows come out that
//! have matched nothing, those in the order in which they leave.
//!
//! What rows of the other side look for comes back for as long as an epoch, or a part of one, is joined, and is let go of again: the rows in runs stay
//! what counts. Only a row that has matched for the first time stays in memory, until it is put into a run again. Of several rows with one id
//! the one in memory counts, then that of the newest run.

use std::collections::{BTreeSet, HashSet};
use std::hash::BuildHasher;
use std::ops::Range;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use millstream_core::{EventTime, Result};

use super::stored::step_rows;
use super::{Batch, HEAD_BYTES, Known, Leaving, NONE, SLOT_BYTES, SideState, Slot, behind, count};
use crate::join::columns::{Keyed, MatchColumns};
use crate::spill::{Filtering, GroupKey, Merge, Picker, Prefix, Run, RunWriter, Runs, SpillArea, block_rows, bytes_of};

/// About what a stored row takes beside its columns, in bytes.
const HIDDEN_BYTES: usize = 56;

/// About what is known of a row that is in memory and in a run, in bytes.
const RETURNED_BYTES: usize = 24;

/// What of a side is not in memory, and what of it is for a while.
pub(super) struct Spilled {
    /// By the end of the bucket, a hash of the key, and the id.
    pub(super) by_key: Runs,
    /// Of a side whose rows come out when they leave: those that have matched nothing, by the first time that is after theirs, and the id. A row that has
    /// matched since it went there is gone in a newer run.
    by_time: Option<Runs>,
    /// Times and ids of rows in memory that may be in runs, too.
    pub(super) returned: BTreeSet<Leaving>,
    /// The rows before this place among those that leave have left.
    passed: Leaving,
    /// The first slot behind which there are guests alone.
    guests_from: Option<usize>,
    /// The guests of now, and the first of their batches.
    guests: Range<u32>,
    batches_from: usize,
}

impl Spilled {
    pub(super) fn new(is_outer: bool) -> Self {
        Self {
            by_key: Runs::of(Filtering::Prefixes),
            by_time: is_outer.then(|| Runs::of(Filtering::Nothing)),
            returned: BTreeSet::new(),
            passed: (i64::MIN, i64::MIN),
            guests_from: None,
            guests: 0..0,
            batches_from: 0,
        }
    }

    fn all(&self) -> impl Iterator<Item = &Runs> {
        std::iter::once(&self.by_key).chain(&self.by_time)
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut Runs> {
        std::iter::once(&mut self.by_key).chain(&mut self.by_time)
    }

    pub(super) fn has_runs(&self) -> bool {
        self.all().any(|runs| !runs.is_empty())
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.all().map(Runs::memory_bytes).sum()
    }

    pub(super) fn disk_bytes(&self) -> u64 {
        self.all().map(Runs::disk_bytes).sum()
    }

    pub(super) fn returned_bytes(&self) -> usize {
        self.returned.len() * RETURNED_BYTES
    }

    /// Whether a row of a run is what counts: it has not left, and is not in memory.
    pub(super) fn has(&self, time: i64, id: i64) -> bool {
        (time, id) >= self.passed && !self.returned.contains(&(time, id))
    }

    pub(super) fn has_guests(&self) -> bool {
        !self.guests.is_empty()
    }

    /// There are no guests, and no slots of any.
    pub(super) fn no_guests(&mut self) {
        (self.guests_from, self.guests) = (None, 0..0);
    }

    /// Of `slots` slots, those that are no guests, as far as these are the last.
    pub(super) fn residents(&self, slots: usize) -> usize {
        self.guests_from.unwrap_or(slots)
    }
}

impl SideState {
    /// Whether there are rows that are not in memory.
    pub(in crate::join) fn has_runs(&self) -> bool {
        self.spilled.has_runs()
    }

    /// Whether rows of runs are in memory that are to be let go of.
    pub(in crate::join) fn has_guests(&self) -> bool {
        self.spilled.has_guests()
    }

    /// Adds to `prefixes` by what the rows in runs are found that [`find`](Self::find) looks for.
    pub(in crate::join) fn prefixes(&self, key: &[u8], (from, to): (i64, i64), prefixes: &mut Vec<Prefix>) {
        let hash = self.hashes.hash_one(key);
        prefixes.extend((self.bucket(from)..=self.bucket(to)).map(|bucket| Prefix::new(self.end_of(bucket), hash)));
    }

    /// The first time behind a bucket.
    fn end_of(&self, bucket: i64) -> EventTime {
        EventTime(bucket.saturating_add(1).saturating_mul(self.bucket_us))
    }

    /// Brings the rows in runs that are found by `prefixes` back as guests, to be found until they are [let go of](Self::release). Returns about how many bytes
    /// were read; `None` where they are more than `bytes_max`, and nothing is brought back.
    pub(in crate::join) fn recall(&mut self, mut prefixes: Vec<Prefix>, bytes_max: usize, columns: &MatchColumns) -> Result<Option<usize>> {
        prefixes.sort_unstable();
        prefixes.dedup();
        let Some(found) = self.spilled.by_key.beginning_with(&prefixes, bytes_max)? else { return Ok(None) };
        let Some(first) = found.first() else { return Ok(Some(0)) };
        let found = concat_batches(&first.schema(), &found)?;
        let (rows, known) = self.apart(&found)?;
        // Of a row that is in several runs, the newest comes first.
        let mut seen = HashSet::new();
        let times = columns.times(&rows)?;
        let mut counts =
            |known: &Known, time: Option<i64>| time.is_some_and(|time| self.spilled.has(time, known.id) && seen.insert(known.id));
        let counting: Vec<bool> = known.iter().zip(times).map(|(known, time)| counts(known, time)).collect();
        let bytes = bytes_of(&rows);
        let rows = if counting.contains(&false) { filter_record_batch(&rows, &BooleanArray::from(counting.clone()))? } else { rows };
        let known: Vec<Known> = known.into_iter().zip(counting).filter(|(_, counts)| *counts).map(|(known, _)| known).collect();
        self.welcome(columns.keyed(rows)?, &known, true);
        Ok(Some(bytes))
    }

    /// Takes in guests. Only what is not leaving is found.
    fn welcome(&mut self, keyed: Keyed, known: &[Known], is_found: bool) -> Range<u32> {
        let Keyed { rows, keys, times } = keyed;
        let first = self.end();
        if rows.num_rows() == 0 {
            return first..first;
        }
        self.spilled.guests_from.get_or_insert(self.slots.len());
        if !self.spilled.has_guests() {
            (self.spilled.guests, self.spilled.batches_from) = (first..first, self.batches.len());
        }
        let batch = count(self.batches.len());
        for (row, (known, time)) in known.iter().zip(times).enumerate() {
            let slot = self.end();
            let time = time.unwrap_or_default();
            let next = if is_found { self.link(keys.row(row).data(), time, slot) } else { NONE };
            let Known { position, version, id, matched } = *known;
            self.slots.push(Slot { position, version, time, id, batch, row: count(row), next, matched, live: is_found });
        }
        // They are not here for long: their bytes count for nothing.
        self.batches.push(Batch { rows, keys, bytes: 0, live: 0 });
        self.spilled.guests.end = self.end();
        first..self.end()
    }

    /// Lets go of the guests, but for those that have matched for the first time: these stay.
    pub(in crate::join) fn release(&mut self, columns: &MatchColumns) -> Result<()> {
        let guests = std::mem::replace(&mut self.spilled.guests, 0..0);
        if guests.is_empty() {
            return Ok(());
        }
        // The last one first, so that each is at the head of its chain.
        for slot in guests.clone().rev() {
            let Slot { time, next, live, .. } = *self.slot(slot);
            if live {
                let chain = self.chain(self.key(slot), self.bucket(time));
                if next == NONE {
                    self.heads.remove(&chain)
                } else {
                    self.heads.insert(chain, next)
                };
                self.slots[slot as usize].live = false;
            }
        }
        let staying: Vec<u32> = self.newly_matched.iter().copied().filter(|slot| guests.contains(slot)).collect();
        let rows = if staying.is_empty() { None } else { Some(self.rows(&staying)?) };
        self.batches.truncate(self.spilled.batches_from);
        if let Some(rows) = rows {
            let known: Vec<Known> = staying.iter().map(|slot| self.known(*slot)).collect();
            let back: Vec<Leaving> = staying.iter().map(|slot| self.place_among_leaving(*slot)).collect();
            self.spilled.returned.extend(back);
            self.newly_matched.retain(|slot| !guests.contains(slot));
            let first = self.end();
            self.put(columns.keyed(rows)?, known.into_iter());
            self.newly_matched.extend(first..self.end());
            (self.in_order, self.spilled.guests_from) = (false, None);
        }
        Ok(())
    }

    /// Forgets the slots of the guests that there were, if there is nothing behind them.
    pub(super) fn forget_guests(&mut self) {
        if let Some(from) = self.spilled.guests_from {
            self.slots.truncate(from);
        }
        self.spilled.no_guests();
    }

    /// Brings back as guests the rows in runs with times before `time` that have matched nothing and come out when they leave: the first of them in their order, about
    /// `bytes_max` bytes. Returns them, about how many bytes that are, and the place before which there are no others.
    pub(in crate::join) fn recall_leaving(
        &mut self,
        time: i64,
        bytes_max: usize,
        columns: &MatchColumns,
    ) -> Result<(Range<u32>, usize, Leaving)> {
        let (until, passed) = ((time, i64::MIN), self.spilled.passed);
        let by_time = self.spilled.by_time.as_ref().filter(|runs| until > passed && !runs.is_empty());
        let Some(by_time) = by_time else { return Ok((0..0, 0, until)) };
        let last = (passed.1 > i64::MIN).then(|| key_by_time((passed.0, passed.1 - 1)));
        let mut merge = Merge::new(by_time.sources(last.as_ref().map(GroupKey::borrowed))?);
        let step = step_rows(by_time, bytes_max);
        let (mut parts, mut bytes, mut read) = (Vec::new(), 0_usize, until);
        loop {
            let (mut picker, mut last) = (Picker::new(&[]), None);
            while picker.len() < step
                && let Some(entry) = merge.next_until(Some(EventTime(time)))?
            {
                if entry.at.is_some() {
                    picker.add(entry.at);
                    last = Some(place_of(&entry.key));
                }
            }
            let Some(last) = last else { break };
            let rows = self.kept_of_runs(&picker.rows(&self.stored)?, columns)?;
            bytes = bytes.saturating_add(bytes_of(&rows));
            parts.push(rows);
            if bytes >= bytes_max {
                read = behind(last);
                break;
            }
        }
        drop(merge);
        let (rows, known) = self.apart(&concat_batches(&self.stored, &parts)?)?;
        Ok((self.welcome(columns.keyed(rows)?, &known, false), bytes, read))
    }

    /// The place before which rows have left.
    pub(in crate::join) fn passed(&self) -> Leaving {
        self.spilled.passed
    }

    /// Lets go of the rows in runs that stand before `place` among those that leave, when those in memory have left.
    pub(in crate::join) fn pass(&mut self, place: Leaving) {
        if place > self.spilled.passed {
            self.spilled.passed = place;
            self.spilled.all_mut().for_each(|runs| runs.close(EventTime(place.0)));
            self.spilled.returned = if self.spilled.has_runs() { self.spilled.returned.split_off(&place) } else { BTreeSet::new() };
        }
    }

    /// Puts rows into runs, those first that came first, until the side takes at most about `bytes_max` bytes of memory, as far as that can be; then runs are
    /// merged. Where there is no room for the rows, nothing has changed. Slots get other numbers.
    pub(in crate::join) fn spill(&mut self, area: &SpillArea, bytes_max: usize, columns: &MatchColumns) -> Result<()> {
        // Memory first: a merge may not fit where the rows do.
        if self.size().memory > bytes_max && !self.slots.is_empty() {
            self.put_away(area, bytes_max, columns)?;
        }
        let stored = self.stored.clone();
        self.spilled.all_mut().try_for_each(|runs| runs.tidy(area, &stored))
    }

    fn put_away(&mut self, area: &SpillArea, bytes_max: usize, columns: &MatchColumns) -> Result<()> {
        let pinned = self.size().pinned;
        self.forget_guests();
        let live = self.live_by_id();
        let live_bytes = self.bytes - self.dead_bytes() + live.len() * (SLOT_BYTES + HEAD_BYTES);
        let room = bytes_max.saturating_sub(pinned);
        let keep = usize::try_from(live.len() as u128 * room as u128 / live_bytes.max(1) as u128).unwrap_or(usize::MAX);
        let (go, stay) = live.split_at(live.len().saturating_sub(keep));
        let (by_key, by_time) = (self.run_by_key(area, go)?, self.run_by_time(area, go)?);
        let gone: Vec<Leaving> = go.iter().map(|slot| self.place_among_leaving(*slot)).collect();
        self.keep(stay, columns)?;
        for place in gone {
            self.spilled.returned.remove(&place);
        }
        for (runs, run) in self.spilled.all_mut().zip([by_key, by_time]) {
            run.into_iter().for_each(|run| runs.push(run));
        }
        Ok(())
    }

    fn run_by_key(&self, area: &SpillArea, slots: &[u32]) -> Result<Option<Run>> {
        let entry = |slot: &u32| {
            let Slot { time, id, .. } = *self.slot(*slot);
            (self.end_of(self.bucket(time)), self.hashes.hash_one(self.key(*slot)), id, *slot)
        };
        let mut entries: Vec<_> = slots.iter().map(entry).collect();
        entries.sort_unstable();
        self.run(area, Filtering::Prefixes, &entries, |(end, hash, id, slot)| {
            (GroupKey::new(*end, [hash.to_be_bytes(), id.to_be_bytes()].as_flattened()), *slot)
        })
    }

    fn run_by_time(&self, area: &SpillArea, slots: &[u32]) -> Result<Option<Run>> {
        if self.spilled.by_time.is_none() {
            return Ok(None);
        }
        let entry = |slot: &u32| {
            let Slot { time, id, matched, .. } = *self.slot(*slot);
            if !matched {
                return Some((time, id, *slot));
            }
            // An older run may have it as it was.
            self.spilled.returned.contains(&(time, id)).then_some((time, id, NONE))
        };
        let mut entries: Vec<_> = slots.iter().filter_map(entry).collect();
        entries.sort_unstable();
        self.run(area, Filtering::Nothing, &entries, |(time, id, slot)| (key_by_time((*time, *id)), *slot))
    }

    /// Writes a run of what `place` makes of `entries`, in their order: keys with their slots, [`NONE`] of what is gone.
    fn run<T>(&self, area: &SpillArea, filtering: Filtering, entries: &[T], place: impl Fn(&T) -> (GroupKey, u32)) -> Result<Option<Run>> {
        if entries.is_empty() {
            return Ok(None);
        }
        let row_bytes = HIDDEN_BYTES + self.bytes / self.slots.len().max(1);
        let mut writer = RunWriter::create(area, &self.stored, entries.len(), filtering)?;
        for block in entries.chunks(block_rows(row_bytes)) {
            let (keys, slots): (Vec<GroupKey>, Vec<u32>) = block.iter().map(&place).unzip();
            let gone = slots.iter().map(|slot| *slot == NONE).collect();
            writer.push(&keys, gone, self.stored_columns(&slots)?)?;
        }
        writer.finish()
    }

    /// The rows of `stored`, which came from runs, that are kept and not in memory, where they may have matched since.
    pub(super) fn kept_of_runs(&self, stored: &RecordBatch, columns: &MatchColumns) -> Result<RecordBatch> {
        let (rows, known) = self.apart(stored)?;
        let times = columns.times(&rows)?;
        let is_kept = |(known, time): (&Known, Option<i64>)| Some(time.is_some_and(|time| self.spilled.has(time, known.id)));
        let kept: BooleanArray = known.iter().zip(times).map(is_kept).collect();
        Ok(filter_record_batch(stored, &kept)?)
    }
}

/// The key of a row in the runs in the order of times: the first time that is after its own, and its number.
fn key_by_time((time, id): Leaving) -> GroupKey {
    GroupKey::new(EventTime(time.saturating_add(1)), &id.to_be_bytes())
}

/// The place of a row with such a key.
fn place_of(key: &GroupKey) -> Leaving {
    let id = key.row().first_chunk().map_or(i64::MAX, |id| i64::from_be_bytes(*id));
    (key.end().0.saturating_sub(1), id)
}
