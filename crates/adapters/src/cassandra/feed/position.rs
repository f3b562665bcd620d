//! Places in a shard of a change log, and how they stand in a [`FeedPosition`]. Pure.

use millstream_core::ports::FeedPosition;
use millstream_core::{Error, Result};

use super::FeedTable;

const FORMAT: &str = "1";

/// A change in a shard: the last one that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The number of its commit.
    pub commit: i64,
    /// The flow that wrote it, and the attempt.
    pub writer: String,
    pub attempt: i64,
    /// Its number within the shard. The first change has 1.
    pub sequence: i64,
}

impl Place {
    pub fn position(&self, feed: &FeedTable, shard: i32) -> FeedPosition {
        let Self { commit, writer, attempt, sequence } = self;
        FeedPosition(format!("{FORMAT}.{}.{shard}.{commit}.{attempt}.{sequence}.{writer}", feed.id))
    }

    /// The place that `position` names in `shard`; `None` is the beginning.
    pub fn parse(position: &FeedPosition, feed: &FeedTable, shard: i32, table: &str) -> Result<Option<Self>> {
        if position.0.is_empty() {
            return Ok(None);
        }
        let foreign = || {
            Error::out_of_range(format!(
                "{:?} is no position in range {shard} of the change feed of table {table}: it is of another table, or of one that was \
                 dropped since; start the flow afresh",
                position.0
            ))
        };
        let parts: Vec<&str> = position.0.splitn(7, '.').collect();
        let [FORMAT, id, of_shard, commit, attempt, sequence, writer] = parts[..] else { return Err(foreign()) };
        if id != feed.id || of_shard.parse() != Ok(shard) {
            return Err(foreign());
        }
        let number = |text: &str| text.parse::<i64>().map_err(|_| foreign());
        Ok(Some(Self { commit: number(commit)?, writer: writer.to_owned(), attempt: number(attempt)?, sequence: number(sequence)? }))
    }
}

#[cfg(test)]
mod tests;
