//! The rows of a side as checkpoints and runs store them: their columns, then what else there is to know of each.
//!
//! A row is stored once as it came, and once more when it has matched; of two with one id, the later one counts. Their order says nothing.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int32Array, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema, SchemaRef};
use millstream_core::{Error, Result, RowPosition, Version};

use super::{Known, SideState, count};
use crate::join::columns::MatchColumns;
use crate::spill::{GroupKey, Merge, Picker, Runs, bytes_of};

/// The columns of a stored row behind its own.
const HIDDEN: [(&str, DataType); 5] = [
    ("partition", DataType::Int32),
    ("offset", DataType::Int64),
    ("version", DataType::Int64),
    ("id", DataType::Int64),
    ("matched", DataType::Boolean),
];

/// A part has at least so many rows, if they are there.
const PART_ROWS_MIN: usize = 16;

/// Rows of runs are put together so many at a time, at most.
const STEP_ROWS: usize = 4_096;

/// How far the rows of a side are written: first those in memory, in the order of their ids, then those in runs. What goes from memory into a run meanwhile is
/// written already, or is written then; what comes after the beginning, or matches after it, is in the deltas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::join) enum SideMark {
    /// Rows in memory.
    InMemory {
        /// Up to this id they are written.
        after: i64,
        /// What has this id or a greater one came after the beginning. `None`: this is the beginning.
        until: Option<i64>,
    },
    /// All that was in memory is written, and of the runs what is up to this key.
    InRuns { after: Option<GroupKey> },
}

impl Default for SideMark {
    fn default() -> Self {
        Self::InMemory { after: -1, until: None }
    }
}

/// The columns of stored rows, of a side with the columns of `own`.
pub(super) fn stored_schema(own: &Schema) -> SchemaRef {
    let hidden = HIDDEN.into_iter().map(|(name, data_type)| Arc::new(Field::new(name, data_type, false)));
    Arc::new(Schema::new(own.fields().iter().cloned().chain(hidden).collect::<Vec<_>>()))
}

impl SideState {
    /// What is stored of these slots; for [`NONE`](super::NONE), nothing that means something.
    pub(super) fn stored_columns(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        let nothing = Known { position: RowPosition { partition: 0, offset: 0 }, version: Version(0), id: 0, matched: false };
        let known = || slots.iter().map(|slot| if (*slot as usize) < self.slots.len() { self.known(*slot) } else { nothing });
        let mut columns = self.gather(slots, self.schema.fields().len())?;
        let hidden: [ArrayRef; 5] = [
            Arc::new(Int32Array::from_iter_values(known().map(|k| k.position.partition))),
            Arc::new(Int64Array::from_iter_values(known().map(|k| k.position.offset))),
            Arc::new(Int64Array::from_iter_values(known().map(|k| k.version.0))),
            Arc::new(Int64Array::from_iter_values(known().map(|k| k.id))),
            Arc::new(known().map(|k| Some(k.matched)).collect::<BooleanArray>()),
        ];
        columns.extend(hidden);
        Ok(columns)
    }

    fn stored(&self, slots: &[u32]) -> Result<RecordBatch> {
        Ok(RecordBatch::try_new(self.stored.clone(), self.stored_columns(slots)?)?)
    }

    /// Rows that were stored, apart: their own columns, and what else there is to know of each.
    pub(super) fn apart(&self, stored: &RecordBatch) -> Result<(RecordBatch, Vec<Known>)> {
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
        let known = (0..stored.num_rows()).map(|row| Known {
            position: RowPosition { partition: partitions.value(row), offset: offsets.value(row) },
            version: Version(versions.value(row)),
            id: ids.value(row),
            matched: matched.value(row),
        });
        let rows = RecordBatch::try_new(self.schema.clone(), stored.columns().iter().take(own).cloned().collect())?;
        Ok((rows, known.collect()))
    }

    /// The rows that this epoch has added or matched, as far as they are still kept.
    pub(in crate::join) fn delta(&self) -> Result<RecordBatch> {
        let matched = self.newly_matched.iter().copied().filter(|slot| self.is_live(*slot));
        self.stored(&matched.chain(self.live_among(self.new.clone())).collect::<Vec<_>>())
    }

    /// No rows, as a checkpoint stores them.
    pub(in crate::join) fn nothing(&self) -> RecordBatch {
        RecordBatch::new_empty(self.stored.clone())
    }

    /// The rows that are kept: about `bytes_max` of those behind `mark`, and the mark behind these; without one, all are written.
    pub(in crate::join) fn part(
        &self,
        mark: &SideMark,
        bytes_max: usize,
        columns: &MatchColumns,
    ) -> Result<(RecordBatch, Option<SideMark>)> {
        let (mut parts, mut after) = (Vec::new(), None);
        match mark {
            SideMark::InRuns { after: last } => after.clone_from(last),
            SideMark::InMemory { after, until } => {
                let until = until.unwrap_or(self.next_id);
                let row_bytes = self.size().movable() / self.slots.len().max(1);
                let rows_max = (bytes_max / row_bytes.max(1)).max(PART_ROWS_MIN);
                let mut slots = self.first_between(*after, until, rows_max.saturating_add(1));
                let is_all = slots.len() <= rows_max;
                slots.truncate(rows_max);
                let rows = self.stored(&slots)?;
                if let Some(last) = slots.last().filter(|_| !is_all) {
                    return Ok((rows, Some(SideMark::InMemory { after: self.slot(*last).id, until: Some(until) })));
                }
                parts.push(rows);
            }
        }
        let bytes = parts.iter().map(bytes_of).sum::<usize>();
        let last = self.part_of_runs(after.as_ref(), bytes_max.saturating_sub(bytes), columns, &mut parts)?;
        Ok((concat_batches(&self.stored, &parts)?, last.map(|last| SideMark::InRuns { after: Some(last) })))
    }

    /// The first `n` live slots whose ids are greater than `after` and less than `until`, in their order.
    fn first_between(&self, after: i64, until: i64, n: usize) -> Vec<u32> {
        if self.in_order {
            // One part of many: the others are not looked at.
            let slots = &self.slots[..self.spilled.residents(self.slots.len())];
            let of = |id: i64| count(slots.partition_point(|slot| slot.id < id));
            return self.live_among(of(after.saturating_add(1))..of(until)).take(n).collect();
        }
        let id = |slot: &u32| self.slot(*slot).id;
        self.live_by_id().into_iter().filter(|slot| after < id(slot) && id(slot) < until).take(n).collect()
    }

    /// Adds to `parts` about `bytes_max` of the rows in runs behind the key `after`, at least a few; returns the last key, if there may be more.
    fn part_of_runs(
        &self,
        after: Option<&GroupKey>,
        bytes_max: usize,
        columns: &MatchColumns,
        parts: &mut Vec<RecordBatch>,
    ) -> Result<Option<GroupKey>> {
        if self.spilled.by_key.is_empty() {
            return Ok(None);
        }
        let mut merge = Merge::new(self.spilled.by_key.sources(after.map(GroupKey::borrowed))?);
        let step = step_rows(&self.spilled.by_key, bytes_max);
        let mut bytes = 0_usize;
        loop {
            let (mut picker, mut last) = (Picker::new(&[]), None);
            while picker.len() < step {
                let Some(entry) = merge.next()? else { break };
                picker.add(entry.at);
                last = Some(entry.key);
            }
            let Some(last) = last else { return Ok(None) };
            let rows = self.kept_of_runs(&picker.rows(&self.stored)?, columns)?;
            bytes = bytes.saturating_add(bytes_of(&rows));
            parts.push(rows);
            if bytes >= bytes_max {
                return Ok(Some(last));
            }
        }
    }

    /// Puts rows back that a checkpoint stored: those that are there already may have matched since.
    pub(in crate::join) fn restore(&mut self, stored: &RecordBatch, columns: &MatchColumns) -> Result<()> {
        let (rows, known) = self.apart(stored)?;
        let all = |slots: &[super::Slot]| slots.iter().zip(0..).map(|(slot, number)| (slot.id, number)).collect();
        let mut slots: HashMap<i64, u32> = self.restoring.take().unwrap_or_else(|| all(&self.slots));
        let first = self.slots.len();
        let (mut places, mut new) = (Vec::new(), Vec::<Known>::new());
        for (row, known) in known.into_iter().enumerate() {
            let slot = *slots.entry(known.id).or_insert_with(|| {
                places.push(count(row));
                new.push(known);
                count(first + new.len() - 1)
            }) as usize;
            let matched = self.slots.get_mut(slot).map(|slot| &mut slot.matched);
            if let Some(matched) = matched.or_else(|| new.get_mut(slot.checked_sub(first)?).map(|new| &mut new.matched)) {
                *matched |= known.matched;
            }
        }
        let rows = if places.len() == rows.num_rows() { rows } else { take_record_batch(&rows, &UInt32Array::from(places))? };
        let keyed = columns.keyed(rows)?;
        let last = self.slots.last().map_or(-1, |slot| slot.id);
        self.in_order &= last < new.first().map_or(i64::MAX, |new| new.id) && new.is_sorted_by_key(|new| new.id);
        self.next_id = new.iter().map(|new| new.id + 1).fold(self.next_id, i64::max);
        if self.spilled.has_runs() {
            // A row that was restored before may be in a run.
            let back = new.iter().zip(&keyed.times).filter_map(|(new, time)| Some(((*time)?, new.id)));
            self.spilled.returned.extend(back);
        }
        self.put(keyed, new.into_iter());
        self.restoring = Some(slots);
        Ok(())
    }
}

/// Stored rows, with the numbers that `moved` has for the partitions of their events.
pub(in crate::join) fn renumbered(stored: &RecordBatch, moved: impl Fn(i32) -> i32) -> Result<RecordBatch> {
    let at = stored.num_columns().checked_sub(HIDDEN.len()).ok_or_else(lost_columns)?;
    let mut columns = stored.columns().to_vec();
    let partitions = columns.get_mut(at).ok_or_else(lost_columns)?;
    let renumbered: Int32Array = partitions.as_primitive_opt::<Int32Type>().ok_or_else(lost_columns)?.unary(moved);
    *partitions = Arc::new(renumbered);
    Ok(RecordBatch::try_new(stored.schema(), columns)?)
}

/// How many rows of `runs` are put together at a time, when about `bytes_max` of them are read.
pub(super) fn step_rows(runs: &Runs, bytes_max: usize) -> usize {
    let entry_bytes = usize::try_from(runs.disk_bytes()).unwrap_or(usize::MAX) / runs.entries().max(1);
    (bytes_max / entry_bytes.max(1)).clamp(PART_ROWS_MIN, STEP_ROWS)
}

fn lost_columns() -> Error {
    Error::corrupt("a checkpoint's rows of a join have other columns than the join keeps")
}
