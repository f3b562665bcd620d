//! Counters that say whether what was read from a partition still stands.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Date32Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use millstream_core::Value;

/// How many counters there are. Two partitions that share one make each other's cached reads invalid, which costs a store read
/// and is never wrong.
const SLOTS: usize = 1 << 16;

/// Which counter belongs to a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u16);

impl Slot {
    /// The counter of the rows of `table` with this partition key; of all its rows for an empty one.
    #[must_use]
    pub fn of(table: &str, partition: &[Value]) -> Self {
        let mut hasher = begin(table);
        for value in partition {
            match value {
                Value::Bool(v) => hasher.write_i64(i64::from(*v)),
                Value::Int(v) | Value::Timestamp(v) => hasher.write_i64(*v),
                Value::Date(v) => hasher.write_i64(i64::from(*v)),
                Value::Str(v) => v.as_bytes().hash(&mut hasher),
                Value::Bytes(v) => v.as_slice().hash(&mut hasher),
            }
        }
        end(&hasher)
    }

    /// The counters of the partitions of `rows`, each once, where `partition` are the indices of the partition columns; `None` for columns
    /// whose values can't be a key. The same slots as [`Self::of`], without a [`Value`] a cell: this is on the write path.
    #[must_use]
    pub fn of_rows(table: &str, rows: &RecordBatch, partition: &[usize]) -> Option<Vec<Self>> {
        let mut hashers = vec![begin(table); rows.num_rows()];
        for &column in partition {
            hash_column(rows.columns().get(column)?, &mut hashers)?;
        }
        let mut slots: Vec<Self> = hashers.iter().map(end).collect();
        slots.sort_unstable();
        slots.dedup();
        Some(slots)
    }
}

fn begin(table: &str) -> DefaultHasher {
    let mut hasher = DefaultHasher::new();
    table.hash(&mut hasher);
    hasher
}

fn end(hasher: &DefaultHasher) -> Slot {
    // The remainder is below 65,536, so the conversion can't fail.
    Slot(u16::try_from(hasher.finish() % SLOTS as u64).unwrap_or_default())
}

fn hash_column(array: &dyn Array, hashers: &mut [DefaultHasher]) -> Option<()> {
    let rows = hashers.iter_mut().enumerate();
    match array.data_type() {
        DataType::Boolean => rows.for_each(|(i, h)| h.write_i64(i64::from(array.as_boolean().value(i)))),
        DataType::Int8 => rows.for_each(|(i, h)| h.write_i64(array.as_primitive::<Int8Type>().value(i).into())),
        DataType::Int16 => rows.for_each(|(i, h)| h.write_i64(array.as_primitive::<Int16Type>().value(i).into())),
        DataType::Int32 => rows.for_each(|(i, h)| h.write_i64(array.as_primitive::<Int32Type>().value(i).into())),
        DataType::Int64 => rows.for_each(|(i, h)| h.write_i64(array.as_primitive::<Int64Type>().value(i))),
        DataType::Date32 => rows.for_each(|(i, h)| h.write_i64(array.as_primitive::<Date32Type>().value(i).into())),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            rows.for_each(|(i, h)| h.write_i64(array.as_primitive::<TimestampMicrosecondType>().value(i)));
        }
        DataType::Utf8 => rows.for_each(|(i, h)| array.as_string::<i32>().value(i).as_bytes().hash(h)),
        DataType::Binary => rows.for_each(|(i, h)| array.as_binary::<i32>().value(i).hash(h)),
        _ => return None,
    }
    Some(())
}

/// The counters.
pub struct Generations {
    counters: Box<[AtomicU64]>,
}

impl Default for Generations {
    fn default() -> Self {
        Self { counters: (0..SLOTS).map(|_| AtomicU64::new(0)).collect() }
    }
}

impl Generations {
    /// The count now: to be read before the store is.
    #[must_use]
    pub fn read(&self, slot: Slot) -> u64 {
        self.counters[usize::from(slot.0)].load(Ordering::SeqCst)
    }

    /// Counts up: to be called after the store committed.
    pub fn bump(&self, slot: Slot) {
        self.counters[usize::from(slot.0)].fetch_add(1, Ordering::SeqCst);
    }

    /// Counts all up: for a write of which it isn't known what it touched.
    pub fn bump_all(&self) {
        for counter in &self.counters {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests;
