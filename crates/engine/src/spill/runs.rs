//! The runs of one state: where a group is in them, and when they are merged.

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::SchemaRef;
use millstream_core::{ErrorKind, EventTime, Result};

use super::block::Block;
use super::filter::hash_of;
use super::merge::{Merge, Source};
use super::run::{Filtering, Run, Written};
use super::{GroupKey, KeyRef, Place, Prefix, SpillArea, bytes_of, write};

/// So many runs of about one size become one.
const RUNS_OF_A_SIZE: usize = 4;

/// Parts of blocks are put together when there are so many, so that each takes little memory beside its rows.
const PARTS_MAX: usize = 256;

/// The runs of a state, the oldest first.
#[derive(Default)]
pub(crate) struct Runs {
    list: Vec<Run>,
    filtering: Filtering,
    /// A merge that there was no room for is tried again when there are so many.
    merged_from: usize,
}

/// Rows that were found in runs.
#[derive(Default)]
pub(crate) struct Found {
    /// The rows.
    pub(crate) batches: Vec<RecordBatch>,
    /// Which of the keys each is of, in order, and where it is.
    pub(crate) places: Vec<(usize, Place)>,
}

impl Runs {
    /// None, of which `filtering` says what their rows are looked for by.
    pub(crate) fn of(filtering: Filtering) -> Self {
        Self { filtering, ..Self::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many groups they have, each as often as it is in them.
    pub(crate) fn entries(&self) -> usize {
        self.list.iter().map(Run::entries).sum()
    }

    /// What they take on disk, in bytes.
    pub(crate) fn disk_bytes(&self) -> u64 {
        self.list.iter().map(Run::disk_bytes).sum()
    }

    /// About what they take in memory, in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.list.iter().map(Run::memory_bytes).sum()
    }

    /// Adds a run that is newer than all others.
    pub(crate) fn push(&mut self, run: Run) {
        self.list.push(run);
    }

    /// Whether a run may have `key`.
    pub(crate) fn may_hold(&self, key: &GroupKey) -> bool {
        let hash = hash_of(key.borrowed());
        self.list.iter().any(|run| run.block_of(key.borrowed(), hash).is_some())
    }

    /// Closes the windows that end at `watermark` or before. Runs without others are dropped.
    pub(crate) fn close(&mut self, watermark: EventTime) {
        let before = self.list.len();
        self.list.retain_mut(|run| run.close(watermark));
        if self.list.len() < before {
            self.merged_from = 0;
        }
    }

    /// Their groups in order, the newest run first; only those behind `after`, where that is given.
    pub(crate) fn sources(&self, after: Option<KeyRef<'_>>) -> Result<Vec<Source<'_>>> {
        self.list.iter().rev().map(|run| Ok(Source::Run(run.cursor(after)?))).collect()
    }

    /// The newest rows of those of `keys` that `wanted` picks. Every block is read once at most in each run.
    pub(crate) fn find(&self, keys: &[GroupKey], mut wanted: Vec<usize>) -> Result<Found> {
        wanted.sort_unstable_by(|a, b| keys[*a].cmp(&keys[*b]));
        let mut wanted: Vec<(usize, u64)> = wanted.into_iter().map(|i| (i, hash_of(keys[i].borrowed()))).collect();
        let mut found = Found::default();
        let mut parts = Vec::new();
        for run in self.list.iter().rev() {
            let (mut elsewhere, mut here) = (Vec::with_capacity(wanted.len()), Vec::new());
            for (i, hash) in wanted {
                match run.block_of(keys[i].borrowed(), hash) {
                    Some(block) => here.push((block, i, hash)),
                    None => elsewhere.push((i, hash)),
                }
            }
            for of_block in here.chunk_by(|(a, ..), (b, ..)| a == b) {
                let Some((number, ..)) = of_block.first() else { continue };
                let block = run.block(*number)?;
                let (first, mut rows) = (parts_rows(&parts), Vec::with_capacity(of_block.len()));
                for (_, i, hash) in of_block {
                    match block.find(keys[*i].borrowed()) {
                        Some(row) if block.is_gone(row) => {}
                        Some(row) => {
                            found.places.push((*i, (found.batches.len(), first + rows.len())));
                            rows.push(u32::try_from(row).unwrap_or(u32::MAX));
                        }
                        None => elsewhere.push((*i, *hash)),
                    }
                }
                if !rows.is_empty() {
                    parts.push(take_record_batch(block.rows(), &UInt32Array::from(rows))?);
                }
                if parts.len() >= PARTS_MAX {
                    found.batches.push(together(&mut parts)?);
                }
            }
            elsewhere.sort_unstable_by(|(a, _), (b, _)| keys[*a].cmp(&keys[*b]));
            wanted = elsewhere;
        }
        if !parts.is_empty() {
            found.batches.push(together(&mut parts)?);
        }
        found.places.sort_unstable_by_key(|(i, _)| *i);
        Ok(found)
    }

    /// The rows whose keys begin with one of `prefixes`, which are in order and each there once: those of the newest run first. In each run, every block is
    /// read once at most. `None`: they take more than `bytes_max`.
    pub(crate) fn beginning_with(&self, prefixes: &[Prefix], bytes_max: usize) -> Result<Option<Vec<RecordBatch>>> {
        let hashes: Vec<u64> = prefixes.iter().map(|prefix| hash_of(prefix.borrowed())).collect();
        let (mut found, mut parts, mut bytes) = (Vec::new(), Vec::new(), 0_usize);
        for run in self.list.iter().rev() {
            let mut wanted: Vec<(usize, &Prefix)> = Vec::new();
            for (prefix, hash) in prefixes.iter().zip(&hashes) {
                wanted.extend(run.blocks_of(prefix, *hash).map(|number| (number, prefix)));
            }
            for of_block in wanted.chunk_by(|(a, _), (b, _)| a == b) {
                let Some((number, _)) = of_block.first() else { continue };
                let block = run.block(*number)?;
                let rows = rows_beginning_with(&block, of_block.iter().map(|(_, prefix)| *prefix));
                if rows.is_empty() {
                    continue;
                }
                let part = take_record_batch(block.rows(), &UInt32Array::from(rows))?;
                bytes = bytes.saturating_add(bytes_of(&part));
                if bytes > bytes_max {
                    return Ok(None);
                }
                parts.push(part);
                if parts.len() >= PARTS_MAX {
                    found.push(together(&mut parts)?);
                }
            }
        }
        if !parts.is_empty() {
            found.push(together(&mut parts)?);
        }
        Ok(Some(found))
    }

    /// Merges the newest runs, as long as there are several of about one size. `schema` are the columns of the rows. For a while, a merge takes the room of
    /// its runs once more: where that is not there, it is put off, for nothing is lost by that but the time of whoever reads several runs.
    pub(crate) fn tidy(&mut self, area: &SpillArea, schema: &SchemaRef) -> Result<()> {
        while self.list.len() >= self.merged_from
            && let Some(from) = due(&self.list.iter().map(Run::disk_bytes).collect::<Vec<_>>())
        {
            match self.merged(from, area, schema) {
                Ok(run) => {
                    self.list.truncate(from);
                    self.list.extend(run);
                    self.merged_from = 0;
                }
                Err(error) if error.kind() == ErrorKind::Exhausted => {
                    tracing::debug!(runs = self.list.len(), %error, "a merge of spilled state is put off");
                    // Not with every run: each try fills what room there is.
                    self.merged_from = self.list.len().saturating_mul(2);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// A run of what those from `from` on say together; `None` where they say nothing.
    fn merged(&self, from: usize, area: &SpillArea, schema: &SchemaRef) -> Result<Option<Run>> {
        let merged = self.list.get(from..).unwrap_or_default();
        let (entries, bytes) = merged.iter().fold((0, 0), |(n, bytes), run| (n + run.entries(), bytes + run.disk_bytes()));
        let sources = merged.iter().rev().map(|run| Ok(Source::Run(run.cursor(None)?))).collect::<Result<_>>()?;
        let row_bytes = usize::try_from(bytes).unwrap_or(usize::MAX) / entries.max(1);
        let (entries_max, filtering) = (entries, self.filtering);
        let written = Written { entries: Merge::new(sources), entries_max, memory: &[], row_bytes, keeps_gone: from > 0, filtering };
        write(area, schema, written)
    }
}

/// The rows of `block` that are there and whose keys begin with one of `prefixes`, which are in order.
fn rows_beginning_with<'a>(block: &Block, prefixes: impl Iterator<Item = &'a Prefix>) -> Vec<u32> {
    let rows = prefixes.flat_map(|prefix| block.beginning_with(prefix)).filter(|row| !block.is_gone(*row));
    rows.map(|row| u32::try_from(row).unwrap_or(u32::MAX)).collect()
}

fn parts_rows(parts: &[RecordBatch]) -> usize {
    parts.iter().map(RecordBatch::num_rows).sum()
}

fn together(parts: &mut Vec<RecordBatch>) -> Result<RecordBatch> {
    let schema = parts.first().map(RecordBatch::schema).unwrap_or_else(|| std::sync::Arc::new(arrow::datatypes::Schema::empty()));
    let whole = concat_batches(&schema, parts.iter())?;
    parts.clear();
    Ok(whole)
}

/// The run from which on all are to be merged, given the sizes of runs, the oldest first: as far back as each is no larger than twice what is newer, if these are
/// [`RUNS_OF_A_SIZE`] or more. So a row is written again as often as the logarithm of the number of runs. Pure.
pub(super) fn due(sizes: &[u64]) -> Option<usize> {
    let (newest, older) = sizes.split_last()?;
    let mut newer = *newest;
    let mut from = older.len();
    while let Some(size) = from.checked_sub(1).and_then(|before| sizes.get(before)).filter(|size| **size <= newer.saturating_mul(2)) {
        newer = newer.saturating_add(*size);
        from -= 1;
    }
    (sizes.len() - from >= RUNS_OF_A_SIZE).then_some(from)
}
