//! Keyed state as columns: one row of partial results for each open group, found by key, ordered by window end.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::compute::interleave_record_batch;
use arrow::datatypes::SchemaRef;
use millstream_core::{Error, EventTime, Result};

/// A group: its window's end, then its group columns in Arrow's row format. Never stored outside of memory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupKey {
    end: EventTime,
    row: Box<[u8]>,
}

impl GroupKey {
    /// The group `row` of the window that ends at `end`.
    #[must_use]
    pub fn new(end: EventTime, row: &[u8]) -> Self {
        Self { end, row: row.into() }
    }

    /// The end of its window.
    #[must_use]
    pub fn end(&self) -> EventTime {
        self.end
    }

    /// The group as it was given.
    #[must_use]
    pub fn row(&self) -> &[u8] {
        &self.row
    }
}

/// Where a group's row is: a batch and a row in it.
type Place = (usize, usize);

/// The open groups.
pub(super) struct GroupState {
    schema: SchemaRef,
    places: BTreeMap<GroupKey, Place>,
    batches: Vec<RecordBatch>,
    rows: usize,
    /// Bytes of the batches and of the keys.
    batch_bytes: usize,
    key_bytes: usize,
}

/// State is compacted when fewer than one row in so many is live, and there are enough to make it worth while.
const DEAD_ROWS_FACTOR: usize = 4;
const ROWS_MIN: usize = 4_096;

impl GroupState {
    pub(super) fn new(schema: SchemaRef) -> Self {
        Self { schema, places: BTreeMap::new(), batches: Vec::new(), rows: 0, batch_bytes: 0, key_bytes: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.batch_bytes + self.key_bytes + self.places.len() * 64
    }

    /// Stores `rows` under `keys` (as many), in place of what the keys had.
    pub(super) fn put(&mut self, keys: Vec<GroupKey>, rows: RecordBatch) -> Result<()> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let batch = self.batches.len();
        self.rows += rows.num_rows();
        self.batch_bytes += rows.get_array_memory_size();
        self.batches.push(rows);
        for (row, key) in keys.into_iter().enumerate() {
            let bytes = key.row.len();
            if self.places.insert(key, (batch, row)).is_none() {
                self.key_bytes += bytes;
            }
        }
        if self.rows > ROWS_MIN.max(self.places.len() * DEAD_ROWS_FACTOR) {
            self.compact()?;
        }
        Ok(())
    }

    /// The rows of those of `keys` that are known, and which of the keys they are.
    pub(super) fn gather(&self, keys: &[GroupKey]) -> Result<(RecordBatch, Vec<usize>)> {
        let known = keys.iter().enumerate().filter_map(|(i, key)| self.places.get(key).map(|place| (i, *place)));
        let (indices, places): (Vec<usize>, Vec<Place>) = known.unzip();
        Ok((self.pick(&places)?, indices))
    }

    /// Removes the groups `keys`, as far as they are known, and returns their rows.
    pub(super) fn take(&mut self, keys: &[GroupKey]) -> Result<RecordBatch> {
        let (rows, _) = self.gather(keys)?;
        for key in keys {
            if self.places.remove(key).is_some() {
                self.key_bytes -= key.row.len();
            }
        }
        Ok(rows)
    }

    /// Removes the windows whose end is not after `watermark`, and returns their groups and rows in the order of their ends, if there are
    /// any.
    pub(super) fn close(&mut self, watermark: EventTime) -> Result<Option<(Vec<GroupKey>, RecordBatch)>> {
        if self.places.first_key_value().is_none_or(|(key, _)| key.end > watermark) {
            return Ok(None);
        }
        let Some(after) = watermark.0.checked_add(1) else { return Err(Error::internal("the watermark is at the end of time")) };
        let open = self.places.split_off(&GroupKey { end: EventTime(after), row: Box::default() });
        let closed = std::mem::replace(&mut self.places, open);
        self.key_bytes -= closed.keys().map(|k| k.row.len()).sum::<usize>();
        let (keys, places): (Vec<GroupKey>, Vec<Place>) = closed.into_iter().unzip();
        let rows = self.pick(&places)?;
        if self.places.is_empty() {
            self.batches.clear();
            self.rows = 0;
            self.batch_bytes = 0;
        } else if self.rows > ROWS_MIN.max(self.places.len() * DEAD_ROWS_FACTOR) {
            self.compact()?;
        }
        Ok(Some((keys, rows)))
    }

    /// All rows, in the order of window ends.
    pub(super) fn all(&self) -> Result<RecordBatch> {
        let places: Vec<Place> = self.places.values().copied().collect();
        self.pick(&places)
    }

    fn pick(&self, places: &[Place]) -> Result<RecordBatch> {
        if places.is_empty() {
            return Ok(RecordBatch::new_empty(self.schema.clone()));
        }
        // Only the batches that are needed: an epoch touches few of the many that small epochs leave behind.
        let mut batches: Vec<&RecordBatch> = Vec::new();
        let mut number_of: BTreeMap<usize, usize> = BTreeMap::new();
        let mut indices = Vec::with_capacity(places.len());
        for (batch, row) in places {
            let number = *number_of.entry(*batch).or_insert_with(|| {
                batches.push(&self.batches[*batch]);
                batches.len() - 1
            });
            indices.push((number, *row));
        }
        Ok(interleave_record_batch(&batches, &indices)?)
    }

    /// Copies the live rows together and forgets the others.
    fn compact(&mut self) -> Result<()> {
        let live = self.all()?;
        for (row, place) in self.places.values_mut().enumerate() {
            *place = (0, row);
        }
        self.rows = live.num_rows();
        self.batch_bytes = live.get_array_memory_size();
        self.batches = vec![live];
        Ok(())
    }
}

#[cfg(test)]
mod tests;
