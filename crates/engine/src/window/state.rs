//! Keyed state as columns: one row of partial results for each open group, found by key, ordered by window end. What there is no memory for is in
//! [runs](crate::spill).
//!
//! What is put is in memory, until [`GroupState::spill`] is asked to make room: between epochs, so that a full disk interrupts nothing. Then the rows go
//! that have not been touched for longest. A row that is needed again is read, and what becomes of it is in memory again.

use std::collections::BTreeMap;
use std::ops::Bound;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, interleave_record_batch, take_record_batch};
use arrow::datatypes::SchemaRef;
use millstream_core::{EventTime, Result};

pub use crate::spill::GroupKey;
use crate::spill::{At, Filtering, GONE, Merge, Picker, Place, Runs, Source, SpillArea, Written, write};

/// The open groups.
pub(super) struct GroupState {
    schema: SchemaRef,
    /// The groups in memory; with [`GONE`], those that runs may have and that are there no more.
    places: BTreeMap<GroupKey, Place>,
    batches: Vec<RecordBatch>,
    rows: usize,
    /// Bytes of the batches and of the keys.
    batch_bytes: usize,
    key_bytes: usize,
    /// All that is not in memory.
    runs: Runs,
    /// The last group that has come out of closed windows, and its row, where others are still to come out. What is not behind it is there no more, though
    /// runs may have it.
    emitted: Option<Emitted>,
}

/// A group that has come out, and the columns that tell which it is.
pub(super) struct Emitted {
    pub(super) key: GroupKey,
    pub(super) row: RecordBatch,
}

/// State is compacted when fewer than one row in so many is live, and there are enough to make it worth while.
const DEAD_ROWS_FACTOR: usize = 4;
const ROWS_MIN: usize = 4_096;

/// Memory that a group takes beside its key and its row.
const PLACE_BYTES: usize = 64;

/// Compacted rows are in batches of so many.
const COMPACT_ROWS: usize = 4_096;

/// Groups of memory and runs are put together so many at a time.
const STEP_ROWS: usize = 4_096;

/// A part has at least so many, if they are there.
const PART_ROWS_MIN: usize = 16;

/// Groups with their rows.
pub(super) type Groups = (Vec<GroupKey>, RecordBatch);

impl GroupState {
    pub(super) fn new(schema: SchemaRef) -> Self {
        Self {
            schema,
            places: BTreeMap::new(),
            batches: Vec::new(),
            rows: 0,
            batch_bytes: 0,
            key_bytes: 0,
            runs: Runs::default(),
            emitted: None,
        }
    }

    /// About what the state takes in memory, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.resident_bytes() + self.pinned_bytes()
    }

    /// What of that stays, however much is put into runs.
    pub(super) fn pinned_bytes(&self) -> usize {
        self.runs.memory_bytes()
    }

    /// What the state takes on disk, in bytes.
    pub(super) fn disk_bytes(&self) -> u64 {
        self.runs.disk_bytes()
    }

    fn resident_bytes(&self) -> usize {
        self.batch_bytes + self.key_bytes + self.places.len() * PLACE_BYTES
    }

    /// About how many bytes a row takes.
    fn row_bytes(&self) -> usize {
        let rows = self.rows + self.runs.entries();
        (self.batch_bytes + usize::try_from(self.disk_bytes()).unwrap_or(usize::MAX)) / rows.max(1)
    }

    /// Stores `rows` under `keys` (as many), in place of what the keys had.
    pub(super) fn put(&mut self, keys: Vec<GroupKey>, rows: RecordBatch) -> Result<()> {
        let batch = self.batches.len();
        for (row, key) in keys.into_iter().enumerate() {
            let bytes = key.row().len();
            if self.places.insert(key, (batch, row)).is_none() {
                self.key_bytes += bytes;
            }
        }
        self.add(rows)
    }

    /// Adds a batch, whose places are known.
    fn add(&mut self, rows: RecordBatch) -> Result<()> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        self.rows += rows.num_rows();
        self.batch_bytes += rows.get_array_memory_size();
        self.batches.push(rows);
        self.compact_if_due()
    }

    /// Stores under `keys` what `merge` makes of the rows that these had, and of which keys they are. Returns what is stored. After an error the state is of
    /// no use any more.
    pub(super) fn update(
        &mut self,
        keys: Vec<GroupKey>,
        merge: impl FnOnce(RecordBatch, Vec<usize>) -> Result<RecordBatch>,
    ) -> Result<RecordBatch> {
        if !self.runs.is_empty() {
            let (rows, of_keys) = self.gather(&keys)?;
            let merged = merge(rows, of_keys)?;
            self.put(keys, merged.clone())?;
            return Ok(merged);
        }
        // One search finds the place of a key and gives it another. In the order of the keys, since what one search has read is near what the next one needs.
        let mut in_order: Vec<(GroupKey, usize)> = keys.into_iter().zip(0..).collect();
        in_order.sort_unstable();
        let (batch, mut known) = (self.batches.len(), Vec::new());
        for (key, row) in in_order {
            let bytes = key.row().len();
            match self.places.insert(key, (batch, row)) {
                Some(place) => known.push((row, place)),
                None => self.key_bytes += bytes,
            }
        }
        known.sort_unstable();
        let (of_keys, places): (Vec<usize>, Vec<Place>) = known.into_iter().unzip();
        let merged = merge(self.pick(&places)?, of_keys)?;
        self.add(merged.clone())?;
        Ok(merged)
    }

    /// The same for rows that were read: all their columns are parts of one buffer, which would count for each of them.
    pub(super) fn restore(&mut self, keys: Vec<GroupKey>, rows: &RecordBatch) -> Result<()> {
        let all = UInt32Array::from_iter_values((0..).take(rows.num_rows()));
        self.put(keys, take_record_batch(rows, &all)?)
    }

    /// The rows of those of `keys` that are known, and which of the keys they are.
    pub(super) fn gather(&self, keys: &[GroupKey]) -> Result<(RecordBatch, Vec<usize>)> {
        if !self.runs.is_empty() {
            return self.gather_with_runs(keys);
        }
        let known = keys.iter().enumerate().filter_map(|(i, key)| self.places.get(key).map(|place| (i, *place)));
        let (indices, places): (Vec<usize>, Vec<Place>) = known.unzip();
        Ok((self.pick(&places)?, indices))
    }

    fn gather_with_runs(&self, keys: &[GroupKey]) -> Result<(RecordBatch, Vec<usize>)> {
        let (mut here, mut elsewhere) = (Vec::new(), Vec::new());
        for (i, key) in keys.iter().enumerate() {
            match self.places.get(key) {
                Some(place) if *place == GONE => {}
                Some(place) => here.push((i, *place)),
                None => elsewhere.push(i),
            }
        }
        let found = self.runs.find(keys, elsewhere)?;
        // The rows of both, numbered through: those of runs behind those in memory.
        let first = self.batches.len();
        here.extend(found.places.into_iter().map(|(i, (batch, row))| (i, (first + batch, row))));
        here.sort_unstable_by_key(|(i, _)| *i);
        let mut picker = Picker::of_both(&self.batches, &found.batches);
        here.iter().for_each(|(_, place)| picker.add(Some(At::Memory(*place))));
        Ok((picker.rows(&self.schema)?, here.into_iter().map(|(i, _)| i).collect()))
    }

    /// Removes the groups `keys`, as far as they are known, and returns their rows.
    pub(super) fn take(&mut self, keys: &[GroupKey]) -> Result<RecordBatch> {
        let (rows, _) = self.gather(keys)?;
        self.remove(keys);
        Ok(rows)
    }

    /// Removes the groups `keys`, as far as they are known. Nothing is read for that.
    pub(super) fn remove(&mut self, keys: &[GroupKey]) {
        for key in keys {
            let bytes = key.row().len();
            if self.runs.may_hold(key) {
                if self.places.insert(key.clone(), GONE).is_none() {
                    self.key_bytes += bytes;
                }
            } else if self.places.remove(key).is_some() {
                self.key_bytes -= bytes;
            }
        }
    }

    /// Removes the groups of windows whose end is not after `watermark`, in the order of these ends, until they take about `bytes_max` bytes, and returns them
    /// and their rows, if there are any. Whether others are still to come out, [`emitted`](Self::emitted) says.
    pub(super) fn close(&mut self, watermark: EventTime, bytes_max: usize) -> Result<Option<Groups>> {
        let rows_max = (bytes_max / self.row_bytes().max(1)).max(PART_ROWS_MIN);
        if self.runs.is_empty() {
            let rest = self.places.keys().take_while(|key| key.end() <= watermark).nth(rows_max).cloned();
            self.emitted = None;
            let Some(closed) = self.split_closed(watermark, rest.as_ref()) else { return Ok(None) };
            let (keys, places): (Vec<GroupKey>, Vec<Place>) = closed.into_iter().unzip();
            let rows = self.pick(&places)?;
            if rest.is_some() {
                self.emitted = last_of(&keys, &rows)?;
            }
            self.settle()?;
            return Ok(Some((keys, rows)));
        }
        let (mut keys, mut batches, mut bytes, mut last) = (Vec::new(), Vec::new(), 0_usize, None);
        let mut merge = self.merge(None)?;
        loop {
            let (some, rows) = self.step(&mut merge, Some(watermark), rows_max.min(STEP_ROWS))?;
            if some.is_empty() {
                break;
            }
            bytes = bytes.saturating_add(rows.get_array_memory_size());
            if bytes >= bytes_max {
                last = last_of(&some, &rows)?;
            }
            keys.extend(some);
            batches.push(rows);
            if last.is_some() {
                break;
            }
        }
        drop(merge);
        self.forget(watermark, last)?;
        let rows = concat_batches(&self.schema, &batches)?;
        Ok((!keys.is_empty()).then_some((keys, rows)))
    }

    /// The last group that has come out of closed windows, where others are still to come out.
    pub(super) fn emitted(&self) -> Option<&Emitted> {
        self.emitted.as_ref()
    }

    /// The groups of windows whose end is not after `watermark`, up to `last` where that is given, in order.
    pub(super) fn closed(&self, watermark: EventTime, last: Option<&GroupKey>) -> Result<Vec<GroupKey>> {
        let (mut merge, mut keys) = (self.merge(None)?, Vec::new());
        while let Some(entry) = merge.next_until(Some(watermark))?.filter(|entry| last.is_none_or(|last| entry.key <= *last)) {
            keys.extend(entry.at.map(|_| entry.key));
        }
        Ok(keys)
    }

    /// Removes the groups of windows whose end is not after `watermark`, up to the last that has been `emitted` where others are still to come out.
    pub(super) fn forget(&mut self, watermark: EventTime, emitted: Option<Emitted>) -> Result<()> {
        // The first key behind another is that one with a byte more.
        let rest = emitted.as_ref().map(|last| GroupKey::new(last.key.end(), &[last.key.row(), &[0]].concat()));
        self.split_closed(watermark, rest.as_ref());
        if !self.runs.is_empty() {
            let before_last = emitted.as_ref().map(|last| EventTime(last.key.end().0.saturating_sub(1)));
            self.runs.close(before_last.unwrap_or(watermark));
            self.forget_gone();
        }
        self.emitted = emitted;
        self.settle()
    }

    /// Takes out of memory what is closed at `watermark`, if there is something; where that is given, only what is before `rest`.
    fn split_closed(&mut self, watermark: EventTime, rest: Option<&GroupKey>) -> Option<BTreeMap<GroupKey, Place>> {
        if self.places.first_key_value().is_none_or(|(key, _)| key.end() > watermark || rest.is_some_and(|rest| key >= rest)) {
            return None;
        }
        // At the end of time all windows are closed.
        let first_open = || watermark.0.checked_add(1).map(|after| GroupKey::new(EventTime(after), &[]));
        let open = rest.cloned().or_else(first_open).map(|first| self.places.split_off(&first));
        let open = open.unwrap_or_default();
        let closed = std::mem::replace(&mut self.places, open);
        self.key_bytes -= closed.keys().map(|k| k.row().len()).sum::<usize>();
        Some(closed)
    }

    /// Frees batches that hold no rows any more, or few.
    fn settle(&mut self) -> Result<()> {
        if !self.places.is_empty() {
            return self.compact_if_due();
        }
        self.batches.clear();
        self.rows = 0;
        self.batch_bytes = 0;
        Ok(())
    }

    /// All rows, in the order of window ends.
    pub(super) fn all(&self) -> Result<RecordBatch> {
        Ok(self.part(None, usize::MAX)?.0)
    }

    /// Rows in the order of window ends: those behind the group `after`, about `bytes_max` of them; and the last of their groups, if there may be
    /// more.
    pub(super) fn part(&self, after: Option<&GroupKey>, bytes_max: usize) -> Result<(RecordBatch, Option<GroupKey>)> {
        let mut merge = self.merge(after)?;
        let (mut batches, mut bytes) = (Vec::new(), 0_usize);
        let rows_max = (bytes_max / self.row_bytes().max(1)).clamp(PART_ROWS_MIN, STEP_ROWS);
        let last = loop {
            let (mut keys, rows) = self.step(&mut merge, None, rows_max)?;
            let Some(last) = keys.pop() else { break None };
            bytes = bytes.saturating_add(rows.get_array_memory_size());
            batches.push(rows);
            if bytes >= bytes_max {
                break Some(last);
            }
        };
        Ok((concat_batches(&self.schema, &batches)?, last))
    }

    /// All groups behind `after`, of memory and runs.
    fn merge(&self, after: Option<&GroupKey>) -> Result<Merge<'_>> {
        let after = after.max(self.emitted.as_ref().map(|last| &last.key));
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut sources = vec![Source::memory(self.places.range::<GroupKey, _>((from, Bound::Unbounded)))];
        sources.extend(self.runs.sources(after.map(GroupKey::borrowed))?);
        Ok(Merge::new(sources))
    }

    /// The next groups that are there, with their rows: none at the end.
    fn step(&self, merge: &mut Merge<'_>, until: Option<EventTime>, rows_max: usize) -> Result<Groups> {
        let (mut keys, mut picker) = (Vec::new(), Picker::new(&self.batches));
        while picker.len() < rows_max {
            let Some(entry) = merge.next_until(until)? else { break };
            if entry.at.is_some() {
                picker.add(entry.at);
                keys.push(entry.key);
            }
        }
        Ok((keys, picker.rows(&self.schema)?))
    }

    /// Puts rows into a run, those first that were touched longest ago, until the state takes at most about `bytes_max` bytes of memory, as far as that can be;
    /// then runs are merged. Where there is no room for the rows, nothing has changed.
    pub(super) fn spill(&mut self, area: &SpillArea, bytes_max: usize) -> Result<()> {
        // Memory first: a merge may not fit where the rows do.
        if self.bytes() > bytes_max && !self.places.is_empty() {
            self.put_away(area, bytes_max)?;
        }
        self.runs.tidy(area, &self.schema)?;
        self.forget_gone();
        self.settle()
    }

    fn put_away(&mut self, area: &SpillArea, bytes_max: usize) -> Result<()> {
        let live = self.places.values().filter(|place| **place != GONE).count();
        let room = bytes_max.saturating_sub(self.pinned_bytes());
        let keep = usize::try_from(live as u128 * room as u128 / self.resident_bytes().max(1) as u128).unwrap_or(usize::MAX);
        let first_kept = first_kept(&self.live_rows(), keep);
        let goes = |place: &Place| *place == GONE || place.0 < first_kept;
        let written = Written {
            entries: Merge::new(vec![Source::memory(self.places.iter().filter(|(_, place)| goes(place)))]),
            entries_max: self.places.values().filter(|place| goes(place)).count(),
            memory: &self.batches,
            row_bytes: self.row_bytes(),
            keeps_gone: !self.runs.is_empty(),
            filtering: Filtering::Keys,
        };
        if let Some(run) = write(area, &self.schema, written)? {
            self.runs.push(run);
        }
        self.places.retain(|_, place| !goes(place));
        self.key_bytes = self.places.keys().map(|key| key.row().len()).sum();
        self.compact()
    }

    /// How many groups have their rows in each batch.
    fn live_rows(&self) -> Vec<usize> {
        let mut live = vec![0; self.batches.len()];
        for (batch, _) in self.places.values() {
            if let Some(rows) = live.get_mut(*batch) {
                *rows += 1;
            }
        }
        live
    }

    /// Forgets which groups are gone, if there are no runs any more that could have them: they are closed, or were merged and nothing was left.
    fn forget_gone(&mut self) {
        if !self.runs.is_empty() {
            return;
        }
        let mut bytes = 0;
        self.places.retain(|key, place| {
            let stays = *place != GONE;
            bytes += if stays { key.row().len() } else { 0 };
            stays
        });
        self.key_bytes = bytes;
    }

    fn pick(&self, places: &[Place]) -> Result<RecordBatch> {
        if places.is_empty() {
            return Ok(RecordBatch::new_empty(self.schema.clone()));
        }
        // Only the batches that are needed: an epoch touches few of the many that small epochs leave behind.
        let mut batches: Vec<&RecordBatch> = Vec::new();
        let mut number_of: BTreeMap<usize, usize> = BTreeMap::new();
        let mut indices = Vec::with_capacity(places.len());
        let mut last = (usize::MAX, 0);
        for (batch, row) in places {
            if last.0 != *batch {
                let number = *number_of.entry(*batch).or_insert_with(|| {
                    batches.push(&self.batches[*batch]);
                    batches.len() - 1
                });
                last = (*batch, number);
            }
            indices.push((last.1, *row));
        }
        Ok(interleave_record_batch(&batches, &indices)?)
    }

    fn compact_if_due(&mut self) -> Result<()> {
        if self.rows > ROWS_MIN.max(self.places.len() * DEAD_ROWS_FACTOR) { self.compact() } else { Ok(()) }
    }

    /// Copies the live rows in memory together and forgets the others. Into batches of some size each: a batch is put into a run as a whole, and a
    /// column of texts can't be of any length.
    fn compact(&mut self) -> Result<()> {
        let places: Vec<Place> = self.places.values().copied().filter(|place| *place != GONE).collect();
        let batches = places.chunks(COMPACT_ROWS).map(|some| self.pick(some)).collect::<Result<Vec<_>>>()?;
        for (row, place) in self.places.values_mut().filter(|place| **place != GONE).enumerate() {
            *place = (row / COMPACT_ROWS, row % COMPACT_ROWS);
        }
        self.rows = places.len();
        self.batch_bytes = batches.iter().map(RecordBatch::get_array_memory_size).sum();
        self.batches = batches;
        Ok(())
    }
}

/// The last of groups, with its own row.
fn last_of(keys: &[GroupKey], rows: &RecordBatch) -> Result<Option<Emitted>> {
    let (Some(key), Some(at)) = (keys.last(), rows.num_rows().checked_sub(1)) else { return Ok(None) };
    let row = take_record_batch(rows, &UInt32Array::from(vec![u32::try_from(at).unwrap_or(u32::MAX)]))?;
    Ok(Some(Emitted { key: key.clone(), row }))
}

/// The first batch that stays in memory, when about `keep` rows are to: those of the newest batches. `live` are the rows of each batch. Pure.
fn first_kept(live: &[usize], keep: usize) -> usize {
    let mut room = keep;
    let fits = live.iter().rev().take_while(|rows| {
        let fits = **rows <= room;
        room = room.saturating_sub(**rows);
        fits
    });
    live.len() - fits.count()
}

#[cfg(test)]
mod tests;
