//! A block of the change feed: the changes that one commit made in one feed range, as bytes. Pure; knows no storage.
//!
//! One key and value a block, rather than a change, keeps the feed's cost far below that of the rows, and makes it fast to read.
//! Format 1: format (1 byte), when it was committed (i64, microseconds), first sequence (u64), number of changes (u32), and for each
//! change its kind (1 byte), the length of its row (u32) and the row as the row codec writes it. Integers are little endian.
//! A block's key is its table, range and *last* sequence (big endian), so that a reader finds the block that holds the change after
//! a position by one seek.

use millstream_core::{ChangeKind, Error, Result};

const FORMAT: u8 = 1;
const HEADER_BYTES: usize = 1 + 8 + 8 + 4;
/// A block that is longer than this takes no further change.
pub(super) const BLOCK_BYTES: usize = 64 << 10;

/// Collects changes of one range.
pub(super) struct BlockWriter {
    bytes: Vec<u8>,
    count: u32,
}

impl BlockWriter {
    /// An empty block that begins with the change numbered `first`.
    pub fn new(committed: i64, first: u64) -> Self {
        let mut bytes = Vec::with_capacity(4096);
        bytes.push(FORMAT);
        bytes.extend_from_slice(&committed.to_le_bytes());
        bytes.extend_from_slice(&first.to_le_bytes());
        bytes.extend_from_slice(&0_u32.to_le_bytes());
        Self { bytes, count: 0 }
    }

    /// Adds a change: its kind, and the row after it.
    pub fn push(&mut self, kind: ChangeKind, row: &[u8]) -> Result<()> {
        let length = u32::try_from(row.len()).map_err(|_| Error::invalid("a row of more than 4 GiB"))?;
        self.bytes.push(kind.code());
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(row);
        self.count += 1;
        Ok(())
    }

    /// Whether the block is long enough.
    pub fn is_full(&self) -> bool {
        self.bytes.len() >= BLOCK_BYTES
    }

    /// The block.
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes[HEADER_BYTES - 4..HEADER_BYTES].copy_from_slice(&self.count.to_le_bytes());
        self.bytes
    }
}

/// A block that is being read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block<'a> {
    /// When it was committed, in microseconds by the wall clock.
    pub committed: i64,
    /// The number of its first change.
    pub first: u64,
    /// How many changes it holds.
    pub count: u32,
    rest: &'a [u8],
}

impl<'a> Block<'a> {
    /// Reads a block's head.
    pub fn parse(value: &'a [u8]) -> Result<Self> {
        let (head, rest) = value.split_at_checked(HEADER_BYTES).ok_or_else(cut)?;
        if head[0] != FORMAT {
            return Err(Error::corrupt(format!("a block of the change feed has format {}; this build reads format {FORMAT}", head[0])));
        }
        Ok(Self {
            committed: i64::from_le_bytes(head[1..9].try_into().map_err(|_| cut())?),
            first: u64::from_le_bytes(head[9..17].try_into().map_err(|_| cut())?),
            count: u32::from_le_bytes(head[17..].try_into().map_err(|_| cut())?),
            rest,
        })
    }

    /// Its changes with their numbers.
    pub fn changes(self) -> impl Iterator<Item = Result<(u64, ChangeKind, &'a [u8])>> {
        let mut rest = self.rest;
        (0..u64::from(self.count)).map(move |i| {
            let (head, tail) = rest.split_at_checked(5).ok_or_else(cut)?;
            let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]);
            let (row, tail) = tail.split_at_checked(usize::try_from(length).unwrap_or(usize::MAX)).ok_or_else(cut)?;
            rest = tail;
            Ok((self.first + i, ChangeKind::from_code(head[0])?, row))
        })
    }
}

fn cut() -> Error {
    Error::corrupt("a block of the change feed is cut off")
}

/// The length of a block's key.
pub(super) const KEY_BYTES: usize = 16;

/// A block's key: table, range, number of the last change.
pub(super) fn key(table: u32, range: u32, last: u64) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    key[..4].copy_from_slice(&table.to_be_bytes());
    key[4..8].copy_from_slice(&range.to_be_bytes());
    key[8..].copy_from_slice(&last.to_be_bytes());
    key
}

/// The number of the last change of the block with this key.
pub(super) fn last_of(key: &[u8]) -> Result<u64> {
    let last = key.get(8..KEY_BYTES).and_then(|b| b.try_into().ok()).map(u64::from_be_bytes);
    last.ok_or_else(|| Error::corrupt("a key of the change feed has the wrong length"))
}

#[cfg(test)]
mod tests;
