//! A run: rows in the order of their keys, in one file that does not change any more.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use millstream_core::ports::{SpillFile, SpillWriter};
use millstream_core::{Error, EventTime, Result};

use super::block::{self, Block};
use super::filter::{KeyFilter, hash_of};
use super::merge::{Merge, Picker};
use super::{GroupKey, KeyRef, Prefix, SpillArea, begins};

/// About how many bytes a block has, as far as the number of rows allows.
const BLOCK_BYTES: usize = 64 << 10;
const BLOCK_ROWS_MIN: usize = 16;
const BLOCK_ROWS_MAX: usize = 4_096;

/// What a run's filter knows of its keys: what rows are looked for by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Filtering {
    /// Each as a whole.
    #[default]
    Keys,
    /// The [`Prefix`] of each.
    Prefixes,
    /// Nothing: the run is only read in order.
    Nothing,
}

impl Filtering {
    /// The part of `key` that the filter knows.
    fn part(self, key: KeyRef<'_>) -> Option<KeyRef<'_>> {
        match self {
            Self::Keys => Some(key),
            Self::Prefixes => Some(begins(key)),
            Self::Nothing => None,
        }
    }
}

/// Where a block is, and what it begins with.
struct BlockPlace {
    first: GroupKey,
    offset: u64,
    length: usize,
    checksum: u32,
}

/// Rows of groups in a file.
pub(crate) struct Run {
    file: Box<dyn SpillFile>,
    blocks: Vec<BlockPlace>,
    last: GroupKey,
    filter: KeyFilter,
    entries: usize,
    bytes: u64,
    memory_bytes: usize,
    /// The windows that end here or before are closed.
    closed: Option<EventTime>,
}

impl Run {
    /// How many groups it has, also of closed windows, and gone ones.
    pub(super) fn entries(&self) -> usize {
        self.entries
    }

    /// What it takes on disk, in bytes.
    pub(super) fn disk_bytes(&self) -> u64 {
        self.bytes
    }

    /// About what it takes in memory, in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// The windows that end at `watermark` or before are closed. Whether others are left.
    pub(super) fn close(&mut self, watermark: EventTime) -> bool {
        self.closed = self.closed.max(Some(watermark));
        self.last.end() > watermark
    }

    /// The block that has `key`, if the run has it. `hash` is the filter's.
    pub(super) fn block_of(&self, key: KeyRef<'_>, hash: u64) -> Option<usize> {
        if self.closed.is_some_and(|closed| key.0 <= closed) || key > self.last.borrowed() || !self.filter.may_hold(hash) {
            return None;
        }
        self.blocks.partition_point(|place| place.first.borrowed() <= key).checked_sub(1)
    }

    /// The blocks that may have keys which begin with `prefix`, if the run has any. `hash` is the filter's.
    pub(super) fn blocks_of(&self, prefix: &Prefix, hash: u64) -> Range<usize> {
        let prefix = prefix.borrowed();
        let is_closed = self.closed.is_some_and(|closed| prefix.0 <= closed);
        if is_closed || begins(self.last.borrowed()) < prefix || !self.filter.may_hold(hash) {
            return 0..0;
        }
        // They may begin in the middle of the block before the first that begins with them.
        let from = self.blocks.partition_point(|place| begins(place.first.borrowed()) < prefix).saturating_sub(1);
        let to = self.blocks.partition_point(|place| begins(place.first.borrowed()) <= prefix);
        from..to
    }

    /// Reads a block, and holds it against its checksum.
    pub(super) fn block(&self, number: usize) -> Result<Arc<Block>> {
        let place = self.blocks.get(number).ok_or_else(|| Error::internal("a run has fewer blocks"))?;
        let bytes = self.file.read(place.offset, place.length)?;
        if crc32c::crc32c(&bytes) != place.checksum {
            return Err(Error::corrupt(
                "a block of spilled state fails its checksum: look after the disk under the data directory; the state is safe in the checkpoint, \
                 from which the flow goes on when it is started again",
            ));
        }
        Ok(Arc::new(Block::decode(&bytes)?))
    }

    /// Its rows in order, without closed windows; only those behind `after`, where that is given.
    pub(super) fn cursor(&self, after: Option<KeyRef<'_>>) -> Result<RunCursor<'_>> {
        let end_of_closed = self.closed.map(|closed| (EventTime(closed.0.saturating_add(1)), &[][..]));
        let mut cursor = RunCursor { run: self, next: 0, block: None, row: 0 };
        let Some(from) = after.max(end_of_closed) else {
            cursor.load()?;
            return Ok(cursor);
        };
        cursor.next = self.blocks.partition_point(|place| place.first.borrowed() <= from).saturating_sub(1);
        cursor.load()?;
        if let Some(block) = &cursor.block {
            cursor.row = block.seek(from);
            // What `after` names is left out, the first open window is not.
            let is_behind = |row: usize| row >= block.len() || after.is_none_or(|after| block.key(row) > after);
            if !is_behind(cursor.row) {
                cursor.row += 1;
            }
        }
        cursor.settle()?;
        Ok(cursor)
    }
}

/// A place in a run.
pub(crate) struct RunCursor<'a> {
    run: &'a Run,
    next: usize,
    block: Option<Arc<Block>>,
    row: usize,
}

impl RunCursor<'_> {
    /// The block and the row in it; `None` at the end.
    pub(super) fn at(&self) -> Option<(&Arc<Block>, usize)> {
        self.block.as_ref().map(|block| (block, self.row))
    }

    pub(super) fn key(&self) -> Option<KeyRef<'_>> {
        self.block.as_ref().map(|block| block.key(self.row))
    }

    pub(super) fn advance(&mut self) -> Result<()> {
        self.row += 1;
        self.settle()
    }

    fn settle(&mut self) -> Result<()> {
        if self.block.as_ref().is_some_and(|block| self.row >= block.len()) { self.load() } else { Ok(()) }
    }

    fn load(&mut self) -> Result<()> {
        self.block = if self.next < self.run.blocks.len() { Some(self.run.block(self.next)?) } else { None };
        self.next += 1;
        self.row = 0;
        Ok(())
    }
}

/// A run that is being written. Dropped before it is finished, nothing is left of it.
pub(crate) struct RunWriter {
    writer: Box<dyn SpillWriter>,
    schema: SchemaRef,
    blocks: Vec<BlockPlace>,
    last: Option<GroupKey>,
    filtering: Filtering,
    filter: KeyFilter,
    entries: usize,
    offset: u64,
}

impl RunWriter {
    /// A run of rows with the columns of `schema`, at most `entries_max` of them.
    pub(crate) fn create(area: &SpillArea, schema: &SchemaRef, entries_max: usize, filtering: Filtering) -> Result<Self> {
        Ok(Self {
            writer: area.create()?,
            schema: block::stored_schema(schema),
            blocks: Vec::new(),
            last: None,
            filtering,
            filter: KeyFilter::with_room_for(if filtering == Filtering::Nothing { 0 } else { entries_max }),
            entries: 0,
            offset: 0,
        })
    }

    /// Adds a block of rows behind those before it: their keys, whether each is gone, and their columns.
    pub(crate) fn push(&mut self, keys: &[GroupKey], gone: Vec<bool>, columns: Vec<ArrayRef>) -> Result<()> {
        let (Some(first), Some(last)) = (keys.first(), keys.last()) else { return Ok(()) };
        let borrowed: Vec<KeyRef<'_>> = keys.iter().map(GroupKey::borrowed).collect();
        let bytes = block::encode(&self.schema, columns, &borrowed, gone)?;
        self.writer.append(&bytes)?;
        borrowed.iter().filter_map(|key| self.filtering.part(*key)).for_each(|part| self.filter.add(hash_of(part)));
        let place = BlockPlace { first: first.clone(), offset: self.offset, length: bytes.len(), checksum: crc32c::crc32c(&bytes) };
        self.blocks.push(place);
        self.offset += bytes.len() as u64;
        self.entries += keys.len();
        self.last = Some(last.clone());
        Ok(())
    }

    /// The run; `None` where nothing was added.
    pub(crate) fn finish(self) -> Result<Option<Run>> {
        let Self { writer, blocks, last, filter, entries, offset, .. } = self;
        let Some(last) = last else { return Ok(None) };
        let index: usize = blocks.iter().map(|place| size_of::<BlockPlace>() + place.first.row().len()).sum();
        let memory_bytes = filter.bytes() + index;
        Ok(Some(Run { file: writer.finish()?, blocks, last, filter, entries, bytes: offset, memory_bytes, closed: None }))
    }
}

/// How many rows of about `row_bytes` a block has.
pub(crate) fn block_rows(row_bytes: usize) -> usize {
    (BLOCK_BYTES / row_bytes.max(1)).clamp(BLOCK_ROWS_MIN, BLOCK_ROWS_MAX)
}

/// What a run is written from.
pub(crate) struct Written<'a, 'm> {
    /// The rows, in order.
    pub(crate) entries: Merge<'m>,
    /// How many there are at most.
    pub(crate) entries_max: usize,
    /// The batches in memory that places point into.
    pub(crate) memory: &'a [RecordBatch],
    /// About how many bytes a row has.
    pub(crate) row_bytes: usize,
    /// Whether what is gone has to be known: an older run may have it.
    pub(crate) keeps_gone: bool,
    /// What rows are looked for by.
    pub(crate) filtering: Filtering,
}

/// Writes a run of rows with the columns of `schema`; `None` where there are none. Nothing is left of it when that fails.
pub(crate) fn write(area: &SpillArea, schema: &SchemaRef, written: Written<'_, '_>) -> Result<Option<Run>> {
    let Written { mut entries, entries_max, memory, row_bytes, keeps_gone, filtering } = written;
    let block_rows = block_rows(row_bytes);
    let mut writer = RunWriter::create(area, schema, entries_max, filtering)?;
    loop {
        let (mut keys, mut gone, mut picker) = (Vec::with_capacity(block_rows), Vec::with_capacity(block_rows), Picker::new(memory));
        while keys.len() < block_rows {
            let Some(entry) = entries.next()? else { break };
            if entry.at.is_none() && !keeps_gone {
                continue;
            }
            gone.push(entry.at.is_none());
            picker.add(entry.at);
            keys.push(entry.key);
        }
        if keys.is_empty() {
            return writer.finish();
        }
        writer.push(&keys, gone, picker.columns(schema)?)?;
    }
}
