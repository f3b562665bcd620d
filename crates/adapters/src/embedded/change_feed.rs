//! The change feed of the built-in event store, box 4: numbered changes in four ranges a table.
//!
//! A position is `<table number>.<range>.<number of the last change that was read>`: so a position of another table, or of a table that
//! was dropped and made again, is known as such. The empty position is the beginning of what the feed holds. Blocks are pruned by age
//! ([`maintain`](super::EmbeddedStore::maintain)); a position before what is left is
//! [`OutOfRange`](millstream_core::ErrorKind::OutOfRange), for changes would be missed.

use arrow::array::{Int32Array, Int64Array, UInt8Array};
use async_trait::async_trait;
use fjall::{Readable, Snapshot};
use millstream_core::ports::{ChangeFeed, FeedPage, FeedPosition};
use millstream_core::{ChangeBatch, Error, Result};

use super::database::{Store, blocking};
use super::error::During;
use super::event_store::{EmbeddedEventStore, EventTable};
use super::feed_block::{self, Block};
use super::keyed_table::KeyedTable;
use super::row_codec::{RowDecoder, Stored};

/// How many ranges a table's feed has.
pub(super) const FEED_RANGES: usize = 4;
/// The kind of the pruning marks in the meta keyspace.
pub(super) const FLOOR: u8 = b'f';
/// A page holds no more bytes of rows than about this.
const PAGE_BYTES: usize = 32 << 20;

/// Where the ranges of a feed begin and end. Numbers begin at 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FeedEnds {
    /// The last change that was pruned; 0 before any was.
    pub floor: [u64; FEED_RANGES],
    /// The last change.
    pub last: [u64; FEED_RANGES],
    /// Whether the table was dropped.
    pub dropped: bool,
}

/// The range of a partition key: fixed for ever by its encoded bytes.
pub(super) fn range_of(head: &[u8]) -> usize {
    crc32c::crc32c(&head[super::key_codec::TABLE_BYTES..]) as usize % FEED_RANGES
}

pub(super) fn floor_key(table: u32, range: usize) -> [u8; 9] {
    let mut key = [FLOOR; 9];
    key[1..5].copy_from_slice(&table.to_be_bytes());
    key[5..].copy_from_slice(&(range as u32).to_be_bytes());
    key
}

/// The last change of a range that was pruned.
pub(super) fn read_floor(store: &Store, snapshot: &Snapshot, table: u32, range: usize) -> Result<u64> {
    let value = snapshot.get(&store.meta, floor_key(table, range)).during("reading where a change feed begins")?;
    value.map_or(Ok(0), |v| {
        let bytes = v.as_ref().try_into().map_err(|_| Error::corrupt("the mark where a change feed begins can't be read"))?;
        Ok(u64::from_be_bytes(bytes))
    })
}

fn position(table: u32, range: usize, sequence: u64) -> FeedPosition {
    FeedPosition(format!("{table}.{range}.{sequence}"))
}

/// The change that `after` names as the last one read, checked against what the feed holds.
fn parse(keyed: &KeyedTable, ends: &FeedEnds, range: usize, after: &FeedPosition) -> Result<u64> {
    if after.0.is_empty() {
        return Ok(ends.floor[range]);
    }
    let name = &keyed.spec.name;
    let mut parts = after.0.split('.').map(str::parse::<u64>);
    let (Some(Ok(table)), Some(Ok(of_range)), Some(Ok(sequence)), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(Error::out_of_range(format!("{:?} is no position in the change feed of table {name}", after.0)));
    };
    if table != u64::from(keyed.id) || of_range != range as u64 {
        return Err(Error::out_of_range(format!(
            "position {} is of range {of_range} of another table, or of a table {name} that was dropped since; start the flow afresh",
            after.0
        )));
    }
    if sequence > ends.last[range] {
        return Err(Error::out_of_range(format!(
            "position {} is beyond the end of the change feed of table {name}, whose range {range} ends at {}",
            after.0, ends.last[range]
        )));
    }
    if sequence < ends.floor[range] {
        return Err(Error::out_of_range(format!(
            "position {} in the change feed of table {name} was pruned: range {range} begins after {}; rebuild what reads it from the table",
            after.0, ends.floor[range]
        )));
    }
    Ok(sequence)
}

fn check_range(keyed: &KeyedTable, range: i32) -> Result<usize> {
    usize::try_from(range).ok().filter(|r| *r < FEED_RANGES).ok_or_else(|| {
        Error::out_of_range(format!("the change feed of table {} has the ranges 0 to {}, not {range}", keyed.spec.name, FEED_RANGES - 1))
    })
}

fn read(store: &Store, table: &EventTable, range: usize, after: &FeedPosition, limit: usize) -> Result<FeedPage> {
    let keyed = &table.keyed;
    let ends = table.ends.borrow().clone();
    let start = parse(keyed, &ends, range, after)?;
    let wanted = limit.min(usize::try_from(ends.last[range] - start).unwrap_or(usize::MAX));
    let mut rows = RowDecoder::nullable(&keyed.rows, wanted)?;
    let (mut kinds, mut versions, mut offsets) = (Vec::with_capacity(wanted), Vec::with_capacity(wanted), Vec::with_capacity(wanted));
    let mut last = start;
    let snapshot = store.snapshot();
    // A range that was pruned since `ends` was read must not look like a gap.
    let floor = read_floor(store, &snapshot, keyed.id, range)?;
    if floor > start {
        return read_pruned(store, table, range, after, limit);
    }
    let (from, to) = (feed_block::key(keyed.id, range as u32, start + 1), feed_block::key(keyed.id, range as u32, u64::MAX));
    'blocks: for entry in snapshot.range(&store.feed, from..=to) {
        if rows.rows() >= wanted {
            break;
        }
        let value = entry.value().during("reading a change feed")?;
        for change in Block::parse(&value)?.changes() {
            let (sequence, kind, row) = change?;
            if sequence <= start {
                continue;
            }
            if rows.rows() >= wanted || rows.bytes() >= PAGE_BYTES {
                break 'blocks;
            }
            if sequence != last + 1 {
                return Err(Error::corrupt(format!(
                    "the change feed of table {} goes from {last} to {sequence} in range {range}: changes are missing",
                    keyed.spec.name
                )));
            }
            rows.push(row)?;
            kinds.push(kind.code());
            versions.push(Stored::parse(row)?.version().0);
            offsets.push(i64::try_from(sequence).unwrap_or(i64::MAX));
            last = sequence;
        }
    }
    let changes = ChangeBatch::try_new(
        rows.finish()?,
        UInt8Array::from(kinds),
        Int64Array::from(versions),
        Int32Array::from_value(range as i32, offsets.len()),
        Int64Array::from(offsets),
    )?;
    let pending = table.ends.borrow().last[range].saturating_sub(last);
    Ok(FeedPage { changes, next: position(keyed.id, range, last), pending })
}

/// Reads again with the feed's new beginning: from it where the reader asked for the beginning, else an error.
fn read_pruned(store: &Store, table: &EventTable, range: usize, after: &FeedPosition, limit: usize) -> Result<FeedPage> {
    table.keyed.exclusively(|| Ok(()))?;
    if table.ends.borrow().floor[range] < read_floor(store, &store.snapshot(), table.keyed.id, range)? {
        return Err(Error::unavailable(format!("the change feed of table {} is being pruned; read again", table.keyed.spec.name)));
    }
    read(store, table, range, after, limit)
}

#[async_trait]
impl ChangeFeed for EmbeddedEventStore {
    async fn ranges(&self, table: &str) -> Result<i32> {
        self.tables.get(table)?;
        Ok(FEED_RANGES as i32)
    }

    async fn read(&self, table: &str, range: i32, after: &FeedPosition, limit: usize) -> Result<FeedPage> {
        let table = self.tables.get(table)?;
        let range = check_range(&table.keyed, range)?;
        let (store, after) = (self.store.clone(), after.clone());
        blocking(move || read(&store, &table, range, &after, limit)).await
    }

    async fn wait(&self, table: &str, seen: &[FeedPosition]) -> Result<()> {
        let table = self.tables.get(table)?;
        if seen.len() > FEED_RANGES {
            check_range(&table.keyed, i32::try_from(seen.len() - 1).unwrap_or(i32::MAX))?;
        }
        let mut ends = table.ends.subscribe();
        loop {
            let now = ends.borrow_and_update().clone();
            if now.dropped {
                return Err(table.keyed.dropped());
            }
            for (range, position) in seen.iter().enumerate() {
                if parse(&table.keyed, &now, range, position)? < now.last[range] {
                    return Ok(());
                }
            }
            // The sender lives in `table`, which this future holds, so this can't fail.
            ends.changed().await.map_err(|e| Error::internal("the change feed's end is gone").caused_by(e))?;
        }
    }
}
