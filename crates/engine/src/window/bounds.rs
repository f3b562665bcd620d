//! When the windows of a column begin and end.

use arrow::array::{Array, ArrayRef, AsArray, TimestampMicrosecondArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::TimestampMicrosecondType;
use millstream_core::{Error, Result};

/// The starts or the ends of windows, in microseconds since 1970-01-01T00:00:00Z; of a null window there is none.
pub struct Bounds {
    times: TimestampMicrosecondArray,
    nulls: Option<NullBuffer>,
}

impl Bounds {
    /// The ends of a column of window structs.
    pub fn ends(window: &ArrayRef) -> Result<Self> {
        Self::of(window, "end")
    }

    /// Their starts.
    pub(super) fn starts(window: &ArrayRef) -> Result<Self> {
        Self::of(window, "start")
    }

    fn of(window: &ArrayRef, bound: &str) -> Result<Self> {
        let structs = window.as_struct_opt().ok_or_else(|| Error::internal("a window is not a struct"))?;
        let times = structs.column_by_name(bound).ok_or_else(|| Error::internal(format!("a window has no {bound}")))?;
        let times = times
            .as_primitive_opt::<TimestampMicrosecondType>()
            .ok_or_else(|| Error::internal(format!("a window's {bound} is not a TIMESTAMP")))?;
        let nulls = NullBuffer::union(structs.nulls(), times.nulls()).filter(|nulls| nulls.null_count() > 0);
        Ok(Self { times: times.clone(), nulls })
    }

    /// Whether there is one of each window.
    #[must_use]
    pub fn are_all_there(&self) -> bool {
        self.nulls.is_none()
    }

    /// That of each window, where it is there.
    pub fn iter(&self) -> impl Iterator<Item = Option<i64>> {
        self.times.values().iter().enumerate().map(|(row, time)| self.is_there(row).then_some(*time))
    }

    /// Whether that of the window at `row` is there.
    #[must_use]
    pub fn is_there(&self, row: usize) -> bool {
        self.nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row))
    }

    /// That of each window, where rows without a window have been taken out.
    pub(super) fn all(&self) -> Result<&[i64]> {
        match self.nulls {
            None => Ok(self.times.values()),
            Some(_) => Err(Error::internal("a row without a window reached the state")),
        }
    }
}

#[cfg(test)]
mod tests;
