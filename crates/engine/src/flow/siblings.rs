//! Rows that were made of one event (by `explode`, or by a join with reference data): they stand and fall together, and of those with one key
//! the last is the event's.
//!
//! Such rows have the version and the position of their event. So a replay gives them again as they were, and no two of them may be left to
//! the sink to choose between. Where they are aggregated, all of them are or none: an event is in one place.

use std::collections::{BTreeSet, HashSet};

use arrow::array::{BooleanArray, UInt32Array};
use arrow::row::{RowConverter, SortField};
use millstream_core::Result;

use crate::compile::{Rejects, Rows};

/// Which rows stay when those of the events in `wrong` don't: each with the event's number and the reason. An event is rejected once.
pub(super) fn without(origins: &UInt32Array, wrong: Rejects, rejects: &mut Rejects) -> BooleanArray {
    let mut gone = BTreeSet::new();
    for (origin, reason) in wrong {
        if gone.insert(origin) {
            rejects.push((origin, reason));
        }
    }
    origins.values().iter().map(|origin| Some(!gone.contains(origin))).collect()
}

/// `rows` with one row of each event and key: the last.
pub(super) fn last_of_each_key(rows: Rows, key: &[usize]) -> Result<Rows> {
    let origins = rows.origin.values();
    if key.is_empty() || origins.windows(2).all(|pair| pair[0] != pair[1]) {
        return Ok(rows);
    }
    let fields = key.iter().map(|c| SortField::new(rows.batch.column(*c).data_type().clone())).collect();
    let columns: Vec<_> = key.iter().map(|c| rows.batch.column(*c).clone()).collect();
    let keys = RowConverter::new(fields)?.convert_columns(&columns)?;
    let mut seen = HashSet::new();
    let mut keep = vec![true; rows.len()];
    for row in (0..rows.len()).rev() {
        keep[row] = seen.insert((origins[row], keys.row(row).owned()));
    }
    Ok(rows.filter(&BooleanArray::from(keep))?)
}

#[cfg(test)]
mod tests;
