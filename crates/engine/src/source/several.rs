//! Several sources as one, for a flow that joins streams: their partitions stand one behind the other, and a chunk takes the records of all
//! of them merged in the order of their versions, as one topic's chunk does with its partitions.
//!
//! Each source is read in the chunks that its own flows share. What a source's chunk is ahead of the others waits here. A feed is in no order of
//! versions: its chunks are taken whole.

use std::sync::Arc;

use arrow::array::Int32Array;
use async_trait::async_trait;
use millstream_core::time::next_version;
use millstream_core::{ChangeBatch, Result, Version};

use super::{
    Chunk, ChunkLimit, ChunkReader, ChunkSource, PartitionState, RejectedRecord, SharedSource, SourceCursor, SourcePosition, SourceState,
};

/// A place in the merged order: a version, and a partition among those of all sources.
type Mark = (Version, usize);

/// Sources that are read as one.
pub struct SeveralSources {
    sources: Vec<Arc<SharedSource>>,
}

impl SeveralSources {
    /// `sources` in this order.
    #[must_use]
    pub fn new(sources: Vec<Arc<SharedSource>>) -> Self {
        Self { sources }
    }
}

#[async_trait]
impl ChunkSource for SeveralSources {
    async fn beginning(&self) -> Result<SourceState> {
        let mut states = Vec::new();
        for source in &self.sources {
            states.push(source.beginning().await?);
        }
        Ok(SourceState::of_several(states))
    }

    fn reader(&self) -> Result<Box<dyn ChunkReader>> {
        let lanes = self.sources.iter().map(|source| Lane { cursor: source.cursor(), ahead: None });
        Ok(Box::new(SeveralReader { lanes: lanes.collect() }))
    }

    fn reader_until(&self, until: &SourceState) -> Result<Box<dyn ChunkReader>> {
        let sources = self.sources.iter().enumerate();
        let lanes = sources.map(|(number, source)| Ok(Lane { cursor: source.cursor_until(&until.of_source(number))?, ahead: None }));
        Ok(Box::new(SeveralReader { lanes: lanes.collect::<Result<_>>()? }))
    }

    async fn wait(&self, state: &SourceState) -> Result<()> {
        let waits = self.sources.iter().enumerate().map(|(number, source)| {
            let state = state.of_source(number);
            Box::pin(async move { source.wait(&state).await })
        });
        futures::future::select_all(waits).await.0
    }

    async fn lag(&self, state: &SourceState) -> Result<u64> {
        let mut lag = 0;
        for (number, source) in self.sources.iter().enumerate() {
            lag += source.lag(&state.of_source(number)).await?;
        }
        Ok(lag)
    }
}

/// Reads several sources.
struct SeveralReader {
    lanes: Vec<Lane>,
}

/// One source on its way.
struct Lane {
    cursor: SourceCursor,
    ahead: Option<Ahead>,
}

/// A chunk of a source, and how far it is taken.
struct Ahead {
    chunk: Arc<Chunk>,
    /// What is taken of it leads to this state.
    state: SourceState,
    /// So many rows are taken.
    rows: usize,
    /// The rejected records that are not taken yet, in merged order, with their place in it.
    rejected: Vec<(Mark, RejectedRecord)>,
}

/// What is taken of a source for a chunk of all.
struct Taken {
    changes: ChangeBatch,
    rejected: Vec<RejectedRecord>,
    /// The first row's number in the source's chunk.
    from: usize,
    bytes: usize,
}

impl Ahead {
    fn new(chunk: Arc<Chunk>) -> Self {
        let (state, rejected) = (chunk.start.clone(), marked_rejects(&chunk));
        Self { chunk, state, rows: 0, rejected }
    }

    fn is_feed(&self) -> bool {
        self.chunk.end.partitions.iter().any(|p| matches!(p.position, SourcePosition::Feed(_)))
    }

    /// Up to where all records are known: the chunk's end, unless the source is read to its end.
    fn known_to(&self) -> Option<Mark> {
        let is_known = self.is_feed() || self.chunk.is_empty() || self.chunk.at_end.iter().all(|at_end| *at_end);
        (!is_known).then(|| self.chunk.end.mark())
    }

    fn is_taken(&self) -> bool {
        self.rows == self.chunk.changes.len() && self.rejected.is_empty()
    }

    /// Takes the records up to `cut`, a place among this source's partitions.
    fn take(&mut self, cut: Mark) -> Result<Taken> {
        let changes = &self.chunk.changes;
        let mark = |row: usize| (changes.version(row), usize::try_from(changes.partitions().value(row)).unwrap_or(0));
        let from = self.rows;
        let whole = self.is_feed();
        let to = if whole { changes.len() } else { from + (from..changes.len()).take_while(|row| mark(*row) <= cut).count() };
        let rejects = if whole { self.rejected.len() } else { self.rejected.iter().take_while(|(at, _)| *at <= cut).count() };
        let rejected: Vec<(Mark, RejectedRecord)> = self.rejected.drain(..rejects).collect();
        self.rows = to;
        if self.is_taken() {
            self.state.clone_from(&self.chunk.end);
        } else {
            let rows = (from..to).map(|row| (mark(row), changes.offsets().value(row)));
            for ((version, partition), offset) in rows.chain(rejected.iter().map(|(at, r)| (*at, r.position.offset))) {
                let after = PartitionState { position: SourcePosition::Offset(offset + 1), version };
                if let Some(state) = self.state.partitions.get_mut(partition).filter(|state| state.version < version) {
                    *state = after;
                }
            }
        }
        let share = (to - from + rejected.len()).saturating_mul(self.chunk.bytes) / self.chunk.records().max(1);
        let rejected = rejected.into_iter().map(|(_, record)| record).collect();
        Ok(Taken { changes: changes.slice(from, to - from), rejected, from, bytes: share })
    }
}

/// The rejected records of a chunk with their places in the merged order: each follows the record before it in its partition.
fn marked_rejects(chunk: &Chunk) -> Vec<(Mark, RejectedRecord)> {
    let mut marked = Vec::new();
    if chunk.rejected.is_empty() {
        return marked;
    }
    for (partition, start) in chunk.start.partitions.iter().enumerate() {
        let here = |number: i32| usize::try_from(number) == Ok(partition);
        let rows = (0..chunk.changes.len()).filter(|row| here(chunk.changes.partitions().value(*row)));
        let rows = rows.map(|row| (chunk.changes.offsets().value(row), Some(chunk.changes.version(row)), None));
        let rejects = chunk.rejected.iter().filter(|r| here(r.position.partition)).map(|r| (r.position.offset, None, Some(r)));
        let mut records: Vec<_> = rows.chain(rejects).collect();
        records.sort_by_key(|(offset, ..)| *offset);
        let mut version = start.version;
        for (_, known, reject) in records {
            version = known.unwrap_or_else(|| reject.map_or(version, |r| next_version(version, r.timestamp)));
            marked.extend(reject.map(|r| ((version, partition), r.clone())));
        }
    }
    marked.sort_by_key(|(mark, _)| *mark);
    marked
}

impl Lane {
    /// Has a chunk that goes on at `from`, unless nothing is there.
    async fn read(&mut self, from: &SourceState) -> Result<()> {
        if self.ahead.as_ref().is_some_and(|ahead| ahead.state == *from && !ahead.is_taken()) {
            return Ok(());
        }
        self.ahead = None;
        self.ahead = Some(Ahead::new(self.cursor.next(from).await?));
        Ok(())
    }
}

#[async_trait]
impl ChunkReader for SeveralReader {
    async fn chunk(&mut self, from: &SourceState, limit: ChunkLimit) -> Result<Chunk> {
        let mut cut = limit.mark_max;
        for (number, lane) in self.lanes.iter_mut().enumerate() {
            let start = from.start_of(number);
            lane.read(&from.of_source(number)).await?;
            if let Some((version, partition)) = lane.ahead.as_ref().and_then(Ahead::known_to) {
                cut = cut.min((version, partition.saturating_add(start)));
            }
        }
        let mut all: Option<Chunk> = None;
        let mut states = Vec::new();
        for (number, lane) in self.lanes.iter_mut().enumerate() {
            let Some(ahead) = &mut lane.ahead else { continue };
            let start = from.start_of(number);
            let taken = ahead.take(local(cut, start))?;
            states.push(ahead.state.clone());
            append(&mut all, taken, ahead, start, from)?;
        }
        let mut chunk = all.ok_or_else(|| millstream_core::Error::internal("a flow reads no source"))?;
        chunk.end = SourceState::of_several(states);
        Ok(chunk)
    }
}

/// A place among the partitions of all, seen from a source whose partitions begin at `start`: before its first one is the end of the version before.
fn local((version, partition): Mark, start: usize) -> Mark {
    match partition.checked_sub(start) {
        Some(partition) => (version, partition),
        None => (Version(version.0.saturating_sub(1)), usize::MAX),
    }
}

/// Puts what is taken of a source behind what is taken of those before it.
fn append(all: &mut Option<Chunk>, taken: Taken, ahead: &Ahead, start: usize, from: &SourceState) -> Result<()> {
    let shift = i32::try_from(start).unwrap_or(i32::MAX);
    let rows = taken.from..taken.from + taken.changes.len();
    let before = all.as_ref().map_or(0, |chunk| chunk.sources().map(ChangeBatch::len).sum::<usize>());
    let number = |row: u32| u32::try_from(row as usize - taken.from + before).unwrap_or(u32::MAX);
    let directed = ahead.chunk.directed.iter().filter(|(row, _)| rows.contains(&(*row as usize)));
    let directed: Vec<_> = directed.map(|(row, flows)| (number(*row), flows.clone())).collect();
    let at_end = ahead.chunk.at_end.iter().map(|at_end| *at_end && ahead.is_taken());
    let waiting = (ahead.chunk.changes.len() - ahead.rows + ahead.rejected.len()) as u64;
    let changes = shifted(&taken.changes, shift)?;
    let rejected = taken.rejected.into_iter().map(|mut record| {
        record.position.partition = record.position.partition.saturating_add(shift);
        record
    });
    let Some(chunk) = all else {
        *all = Some(Chunk {
            start: from.clone(),
            end: SourceState::default(),
            changes,
            further: Vec::new(),
            rejected: rejected.collect(),
            directed,
            at_end: at_end.collect(),
            seen_at: ahead.chunk.seen_at,
            lag: ahead.chunk.lag + waiting,
            bytes: taken.bytes,
        });
        return Ok(());
    };
    chunk.further.push(changes);
    chunk.rejected.extend(rejected);
    chunk.directed.extend(directed);
    chunk.at_end.extend(at_end);
    chunk.seen_at = chunk.seen_at.min(ahead.chunk.seen_at);
    chunk.lag += ahead.chunk.lag + waiting;
    chunk.bytes += taken.bytes;
    Ok(())
}

/// The same changes, of partitions whose numbers are so much greater.
fn shifted(changes: &ChangeBatch, by: i32) -> Result<ChangeBatch> {
    if by == 0 {
        return Ok(changes.clone());
    }
    let partitions: Int32Array = changes.partitions().unary(|partition: i32| partition.saturating_add(by));
    ChangeBatch::try_new(changes.rows().clone(), changes.kinds().clone(), changes.versions().clone(), partitions, changes.offsets().clone())
}

#[cfg(test)]
mod tests;
