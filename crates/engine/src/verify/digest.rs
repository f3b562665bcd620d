//! Rows as digests: so that a table of millions of rows can be compared by key with what it should hold, in little memory.

use arrow::array::{ArrayRef, RecordBatch};
use datafusion::common::hash_utils::{RandomState, create_hashes};
use millstream_core::{Error, Result};

/// A key, as 128 bits.
pub(super) type KeyDigest = u128;

fn hashes(columns: &[ArrayRef], seed: u64, rows: usize) -> Result<Vec<u64>> {
    let mut out = vec![0; rows];
    create_hashes(columns, &RandomState::with_seed(seed), &mut out)
        .map_err(|e| Error::internal("rows could not be hashed").caused_by(e))?;
    Ok(out)
}

/// The digest of each row's key columns.
pub(super) fn keys(rows: &RecordBatch, key: &[usize]) -> Result<Vec<KeyDigest>> {
    let columns: Vec<ArrayRef> = key.iter().map(|c| rows.column(*c).clone()).collect();
    let (high, low) = (hashes(&columns, 1, rows.num_rows())?, hashes(&columns, 2, rows.num_rows())?);
    Ok(high.into_iter().zip(low).map(|(h, l)| u128::from(h) << 64 | u128::from(l)).collect())
}

/// The digest of each row's first `columns` columns.
pub(super) fn contents(rows: &RecordBatch, columns: usize) -> Result<Vec<u64>> {
    hashes(&rows.columns()[..columns], 3, rows.num_rows())
}

/// The digest of each row's columns at `columns`.
pub(super) fn contents_at(rows: &RecordBatch, columns: &[usize]) -> Result<Vec<u64>> {
    let columns: Vec<ArrayRef> = columns.iter().map(|c| rows.column(*c).clone()).collect();
    hashes(&columns, 3, rows.num_rows())
}

/// The key of a row, for people: `origin=EWR, hour=2013-07-22T19:00:00Z`.
pub(super) fn describe(rows: &RecordBatch, key: &[usize], row: usize) -> String {
    let part = |c: &usize| {
        let value = arrow::util::display::array_value_to_string(rows.column(*c), row).unwrap_or_else(|_| "?".to_owned());
        format!("{}={value}", rows.schema_ref().field(*c).name())
    };
    key.iter().map(part).collect::<Vec<_>>().join(", ")
}
