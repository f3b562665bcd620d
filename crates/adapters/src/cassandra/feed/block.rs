//! A block of changes, as one cell of the log. Pure.
//!
//! Format 1: the byte 1, the number of changes (u32), then each change: kind (u8), version (i64), and the table's columns as CQL values,
//! each its length (i32, -1 for null) and its bytes. A delete has its key columns alone, in their places; the others are null. All
//! numbers are big-endian.

use millstream_core::{ChangeKind, Error, Result};

const FORMAT: u8 = 1;
/// A block is closed when it holds so many bytes.
const BYTES: usize = 16 << 10;

/// A block that is being filled.
#[derive(Debug)]
pub(super) struct BlockWriter {
    bytes: Vec<u8>,
    count: u32,
}

impl BlockWriter {
    pub fn new() -> Self {
        Self { bytes: vec![FORMAT, 0, 0, 0, 0], count: 0 }
    }

    pub fn begin(&mut self, kind: ChangeKind, version: i64) {
        self.bytes.push(kind.code());
        self.bytes.extend_from_slice(&version.to_be_bytes());
        self.count += 1;
    }

    /// The next column of the change that was begun.
    pub fn value(&mut self, value: Option<&[u8]>) {
        let length = value.map_or(-1, |v| i32::try_from(v.len()).unwrap_or(i32::MAX));
        self.bytes.extend_from_slice(&length.to_be_bytes());
        self.bytes.extend_from_slice(value.unwrap_or_default());
    }

    pub fn is_full(&self) -> bool {
        self.bytes.len() >= BYTES
    }

    pub fn finish(mut self) -> Vec<u8> {
        self.bytes[1..5].copy_from_slice(&self.count.to_be_bytes());
        self.bytes
    }
}

/// A change of a block.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct BlockChange<'a> {
    pub kind: ChangeKind,
    pub version: i64,
    pub values: Vec<Option<&'a [u8]>>,
}

/// The changes of a block of rows of `columns` columns.
pub(super) fn parse(bytes: &[u8], columns: usize) -> Result<Vec<BlockChange<'_>>> {
    let mut rest = Reader(bytes);
    if rest.take(1)? != [FORMAT] {
        return Err(Error::corrupt(format!("a block of a change log has the format {:?}, and {FORMAT} is known", bytes.first())));
    }
    let count = u32::from_be_bytes(rest.array()?);
    let mut changes = Vec::with_capacity(usize::try_from(count).unwrap_or(0).min(bytes.len()));
    for _ in 0..count {
        let kind = ChangeKind::from_code(rest.array::<1>()?[0])?;
        let version = i64::from_be_bytes(rest.array()?);
        let values = (0..columns).map(|_| rest.value()).collect::<Result<_>>()?;
        changes.push(BlockChange { kind, version, values });
    }
    if rest.0.is_empty() { Ok(changes) } else { Err(damaged()) }
}

fn damaged() -> Error {
    Error::corrupt("a block of a change log in Cassandra ends where it should not: it is damaged, or of a table of other columns")
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(length).ok_or_else(damaged)?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| damaged())
    }

    fn value(&mut self) -> Result<Option<&'a [u8]>> {
        match i32::from_be_bytes(self.array()?) {
            -1 => Ok(None),
            length => usize::try_from(length).map_err(|_| damaged()).and_then(|l| self.take(l)).map(Some),
        }
    }
}

#[cfg(test)]
mod tests;
